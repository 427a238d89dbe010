"""The entry of the function that serves passes alone: no other one can open the keys that sign them.

infra/apart.py leads its paths to it. The function of all other paths loads nothing of it.
"""

from __future__ import annotations

from chalice.app import Chalice

from chalicelib.passes.routes import routes

app = Chalice(app_name="facteo", debug=False)
app.register_blueprint(routes)
