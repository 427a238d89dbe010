"""Composition only: one Chalice application and the features' blueprints."""

from chalice.app import Chalice

app = Chalice(app_name="facteo")
