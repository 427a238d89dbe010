"""Every blueprint of the fleet: what its function serves."""

from __future__ import annotations

from chalicelib.fleet.commands.routes import routes as commands_routes
from chalicelib.fleet.guards.routes import routes as guards_routes
from chalicelib.fleet.routes import routes as fleet_routes

ROUTES = (fleet_routes, commands_routes, guards_routes)
