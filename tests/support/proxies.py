"""Proxies: as they are asked for, `a_proxy(holders=[a_holder()])`, and as they are registered by carrier support."""

from __future__ import annotations

from typing import Any

from chalicelib.core import ids, journal
from chalicelib.core.transaction import retried, transaction
from chalicelib.proxies import service, states
from tests.support.api import Answered, Api

ADDRESS = {"street": "12 rue de la Paix", "postcode": "75015", "town": "Paris"}
PRINCIPAL = {"last_name": "LEFÈVRE", "first_name": "Hélène", "gender": "f"}
COMPANY = {"company": "ATELIER DUMAS", "siret": "73282932000074"}
DOCUMENTS = ["principal-identity", "holder-identity", "proof-of-address", "company-registration"]
SCOPES = ["registered", "parcel-against-signature", "plain-mail"]


def a_holder(**changes: Any) -> dict[str, Any]:
    """Julien Moreau, 36 years old."""
    return {"last_name": "MOREAU", "first_name": "Julien", "born_on": "1990-05-12"} | changes


def a_proxy(**changes: Any) -> dict[str, Any]:
    """Hélène Lefèvre, rue de la Paix, lets Julien Moreau receive for a year from today on."""
    return {
        "principal": PRINCIPAL,
        "address": ADDRESS,
        "holders": [a_holder()],
        "scopes": SCOPES,
        "start": "2026-11-23",
        "end": "2027-11-22",
    } | changes


def a_one_off(item: str, **changes: Any) -> dict[str, Any]:
    """The same for one item, within a week."""
    return a_proxy(**({"kind": "one-off", "item": item, "end": "2026-11-30"} | changes))


def put(api: Api, proxy: str, body: dict[str, Any]) -> Answered:
    """State a proxy."""
    return api.as_staff("carrier-support").put(f"/v1/proxies/{proxy}", body)


def says(api: Api, proxy: str, what: str, **body: Any) -> Answered:
    """State a `verification`, `refusal` or `revocation` of it."""
    return api.as_staff("carrier-support").post(f"/v1/proxies/{proxy}/{what}", body)


def verify(api: Api, proxy: str, **changes: Any) -> Answered:
    """State that it was verified at a post office."""
    return says(api, proxy, "verification", **({"method": "post-office", "documents": DOCUMENTS} | changes))


def revoke(api: Api, proxy: str, **changes: Any) -> Answered:
    """Revoke it, from now on unless said otherwise."""
    return says(api, proxy, "revocation", **({"reason": "by-principal"} | changes))


def registered(api: Api, body: dict[str, Any] | None = None) -> str:
    """A new proxy that nobody has verified: its id."""
    proxy = ids.new()
    answer = put(api, proxy, body or a_proxy())
    assert answer.status == 200, answer.text
    return proxy


def verified(api: Api, body: dict[str, Any] | None = None) -> str:
    """A new proxy that is verified: its id."""
    proxy = registered(api, body)
    method = "legal-representative" if "company" in (body or {}).get("principal", {}) else "post-office"
    answer = verify(api, proxy, method=method)
    assert answer.status == 200, answer.text
    return proxy


def used(proxy: str, proof: str = "act-1") -> bool:
    """Note a use as a judge does: again when somebody else was faster."""

    def note() -> bool:
        with transaction() as work:
            return service.note_use(work, proxy, proof, actor="system/judging", correlation_id="request-1")

    return retried(note)


def types(proxy: str) -> list[str]:
    """What happened to a proxy, in its order: `registered`, `verified`…"""
    return [event.type.removeprefix("facteo.proxy.") for event in states.in_order(journal.read(f"proxy/{proxy}"))]
