"""Composition only: one Chalice application and the features' blueprints.

Workers are functions of their own, of whose modules Lambda imports each alone, and alerts, fleet and passes have API
functions of their own (their `entry`; see `infra/apart.py`). Their blueprints are here for whoever makes the template;
on Lambda this module is that of the API function of all other paths, which need not load them.
"""

from __future__ import annotations

import os

from chalice.app import Chalice

from chalicelib.attention.routes import routes as attention_routes
from chalicelib.connectors.importer.routes import routes as importer_routes
from chalicelib.core.endpoint import SERVED_ELSEWHERE
from chalicelib.items.routes import routes as items_routes
from chalicelib.people.routes import routes as people_routes
from chalicelib.proxies.routes import routes as proxies_routes
from chalicelib.redirections.routes import routes as redirections_routes
from chalicelib.reference.routes import routes as reference_routes
from chalicelib.rounds.routes import routes as rounds_routes
from chalicelib.signatures.routes import routes as signatures_routes
from chalicelib.sync.routes import routes as sync_routes

ROUTES = (
    people_routes,
    importer_routes,
    items_routes,
    proxies_routes,
    redirections_routes,
    signatures_routes,
    attention_routes,
    rounds_routes,
    sync_routes,
    reference_routes,
)

app = Chalice(app_name="facteo", debug=False)
for blueprint in ROUTES:
    app.register_blueprint(blueprint)

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    SERVED_ELSEWHERE.extend(("chalicelib.alerts.routes", "chalicelib.fleet.all_routes", "chalicelib.passes.routes"))
else:
    from chalicelib.alerts.routes import routes as alerts_routes
    from chalicelib.alerts.workers import workers as alerts_workers
    from chalicelib.connectors.importer.workers import workers as importer_workers
    from chalicelib.connectors.relay.workers import workers as relay_workers
    from chalicelib.connectors.tracking.workers import workers as tracking_workers
    from chalicelib.erasure.workers import workers as erasure_workers
    from chalicelib.fleet.all_routes import ROUTES as FLEET_ROUTES
    from chalicelib.fleet.workers import workers as fleet_workers
    from chalicelib.judging.workers import workers as judging_workers
    from chalicelib.passes.routes import routes as passes_routes
    from chalicelib.passes.workers import workers as passes_workers
    from chalicelib.rounds.workers import workers as rounds_workers

    for blueprint in (
        alerts_routes,
        alerts_workers,
        *FLEET_ROUTES,
        fleet_workers,
        passes_routes,
        passes_workers,
        relay_workers,
        importer_workers,
        rounds_workers,
        judging_workers,
        tracking_workers,
        erasure_workers,
    ):
        app.register_blueprint(blueprint)
