"""HTTP for those who look after the imports. Files come through the bucket only."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.connectors.importer import service
from chalicelib.connectors.importer.schemas import Import, ImportId, ImportPage, ImportsOfMonth
from chalicelib.core.access import staff
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import NotFound

routes = Blueprint(__name__)


@endpoint(routes, "GET /v1/imports", allow=staff("ops"))
def imports_of_month(query: ImportsOfMonth) -> ImportPage:
    """The files received in a month, newest first, fifty at a time."""
    return service.imports_of(query)


@endpoint(routes, "GET /v1/imports/{import_id}", allow=staff("ops"), problems=[NotFound])
def read_import(import_id: ImportId) -> Import:
    """A file: how far it has come, what became of its lines, and where the rejected ones are listed."""
    return service.read(import_id)
