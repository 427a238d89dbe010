"""Proxies over HTTP: for carrier support, and for handsets at the door."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.items import service as items
from chalicelib.proxies import service
from chalicelib.proxies.rules import (
    HolderIsMinor,
    ProxyDatesCross,
    ProxyUnproved,
    RevocationBackdated,
    TooManyProxies,
)
from chalicelib.proxies.schemas import (
    ProxiesFound,
    Proxy,
    ProxyCheck,
    ProxyId,
    ProxySearch,
    ProxyVerdict,
    Refusal,
    RegisterProxy,
    Revocation,
    Verification,
)

routes = Blueprint(__name__)

EDITORS = staff("carrier-support")
READERS = staff("carrier-support", "auditor")

CHANGING = (NotFound, Conflict, ChangedMeanwhile)


@endpoint(
    routes,
    "PUT /v1/proxies/{proxy}",
    allow=EDITORS,
    problems=[*CHANGING, ProxyDatesCross, HolderIsMinor, TooManyProxies],
)
def register(proxy: ProxyId, request: RegisterProxy, who: StaffMember, call: Call) -> Proxy:
    """Register a proxy under an id of yours (UUIDv7). It is not valid before it is verified.

    The same again changes nothing; an id that has another content is refused.
    """
    return service.register(proxy, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/proxies/{proxy}/verification",
    allow=EDITORS,
    problems=[*CHANGING, ProxyUnproved],
)
def verify(proxy: ProxyId, request: Verification, who: StaffMember, call: Call) -> Proxy:
    """State that a proxy was verified, how, and what was seen: from now on it is valid on its days."""
    return service.verify(proxy, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/proxies/{proxy}/refusal", allow=EDITORS, problems=CHANGING)
def refuse(proxy: ProxyId, request: Refusal, who: StaffMember, call: Call) -> Proxy:
    """Refuse a proxy that was not verified."""
    return service.refuse(proxy, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/proxies/{proxy}/revocation",
    allow=EDITORS,
    problems=[*CHANGING, RevocationBackdated],
)
def revoke(proxy: ProxyId, request: Revocation, who: StaffMember, call: Call) -> Proxy:
    """Revoke a proxy, from now on or from a later moment."""
    return service.revoke(proxy, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/proxies/{proxy}", allow=READERS, problems=[NotFound])
def read(proxy: ProxyId) -> Proxy:
    """A proxy, with whom it names as long as that may be kept."""
    return service.read(proxy)


@endpoint(routes, "POST /v1/proxy-searches", allow=EDITORS)
def search(request: ProxySearch, who: StaffMember, call: Call) -> ProxiesFound:
    """The proxies at an address. That you searched for it is journalled."""
    return service.search(request.address, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/proxy-checks", allow=handset(beside=items.asked_for), problems=[NotFound])
def check(request: ProxyCheck, who: Handset) -> ProxyVerdict:
    """Whether somebody at the door may receive by a proxy, and why, in a sentence for the carrier."""
    return service.check(request, who)
