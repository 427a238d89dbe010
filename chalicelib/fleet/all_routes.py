"""Every blueprint of the fleet: what its function serves."""

from __future__ import annotations

from chalicelib.fleet.checkins.routes import routes as checkins_routes
from chalicelib.fleet.commands.routes import routes as commands_routes
from chalicelib.fleet.guards.routes import routes as guards_routes
from chalicelib.fleet.losses.routes import routes as losses_routes
from chalicelib.fleet.policies.routes import routes as policies_routes
from chalicelib.fleet.routes import routes as fleet_routes

ROUTES = (fleet_routes, commands_routes, guards_routes, losses_routes, checkins_routes, policies_routes)
