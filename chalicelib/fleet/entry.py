"""The entry of the function that serves the fleet alone: no other one can sign what handsets obey.

infra/apart.py leads its paths to it. The function of all other paths loads nothing of it.
"""

from __future__ import annotations

from chalice.app import Chalice

from chalicelib.fleet.all_routes import ROUTES

app = Chalice(app_name="facteo", debug=False)
for blueprint in ROUTES:
    app.register_blueprint(blueprint)
