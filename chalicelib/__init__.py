"""The back office: `core`, which knows no feature, and one folder for each feature.

Imports point downwards only: routes and workers call services, services call rules and tables, all call core.
Chalice and boto3 stay at the edges (`app.py`, `routes.py`, `workers.py`, `core/`, `tables.py`).
"""
