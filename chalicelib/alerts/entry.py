"""The entry of the function that serves alerts alone, so that nothing else of the API can be in their way.

infra/apart.py leads its paths to it. The function of all other paths loads nothing of it.
"""

from __future__ import annotations

from chalice.app import Chalice

from chalicelib.alerts.routes import routes

app = Chalice(app_name="facteo", debug=False)
app.register_blueprint(routes)
