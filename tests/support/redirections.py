"""Redirections for tests: `a_request(kind="hold")`, `Desk(api).active()`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.addresses.names import Beneficiary
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core import clock, ids
from chalicelib.redirections.rules import Contract
from chalicelib.redirections.schemas import Destination, Reach, RedirectionKind, RedirectionScope, Terms
from tests.support.api import Answered, Api, Caller

START = "2026-11-26"
"""The first day that may be agreed on the tests' morning, a Monday."""

_houses = itertools.count(1)


def an_address(**changes: Any) -> dict[str, Any]:
    """A house in Lyon that no test had before."""
    told = {"street": f"{next(_houses)} RUE MERCIERE", "postcode": "69002", "town": "LYON", "country": "FR"}
    return told | changes


OLD = {"street": "12 RUE DE LA PAIX", "postcode": "75015", "town": "PARIS", "country": "FR"}
HELENE = {"first_name": "Hélène", "last_name": "Lefèvre"}
PAUL = {"first_name": "Paul", "last_name": "Lefèvre"}
ANNE = {"first_name": "Anne", "last_name": "Le Goff"}


def a_request(**changes: Any) -> dict[str, Any]:
    """Hélène Lefèvre leaves the rue de la Paix for good, for six months of redirection. None leaves a field out."""
    told = {
        "kind": "definitive",
        "scope": "beneficiaries",
        "subscriber": "Hélène Lefèvre",
        "beneficiaries": [HELENE],
        "old_address": OLD,
        "new_address": an_address(),
        "start": START,
        "months": 6,
    }
    return {name: value for name, value in (told | changes).items() if value is not None}


def terms(**changes: Any) -> Terms:
    """A contract of the tests' morning for six months, verified the day after."""
    told = {
        "id": ids.new(),
        "revision": 2,
        "kind": RedirectionKind.DEFINITIVE,
        "scope": RedirectionScope.BENEFICIARIES,
        "reach": Reach.NATIONAL,
        "start": date(2026, 11, 26),
        "end": date(2027, 5, 25),
        "verified_at": datetime.fromisoformat("2026-11-24T08:00:00+01:00"),
    }
    return Terms(**(told | changes))


def a_contract(
    *,
    names: Sequence[str] = ("Jean Dupont",),
    companies: Sequence[str] = (),
    apartment: str = "",
    new_address: dict[str, Any] | None = None,
    **changes: Any,
) -> Contract:
    """Jean Dupont's contract, or that of others (first name and surname), or of companies."""
    who = tuple(Beneficiary(first_name=first, last_name=last) for first, last in (name.split() for name in names))
    if companies:
        who, changes = tuple(Beneficiary(company=name) for name in companies), {"scope": "company"} | changes
    kinds = {"kind": RedirectionKind, "scope": RedirectionScope, "reach": Reach}
    told = {name: kinds[name](value) if name in kinds else value for name, value in changes.items()}
    held = terms(**told)
    moved = held.kind is not RedirectionKind.HOLD
    address = PostalAddress(**(new_address or an_address())) if moved else None
    return Contract(held, Destination(beneficiaries=who, apartment=apartment, new_address=address))


class Desk:
    """Carrier support at work, and the print shop that sees the letters."""

    def __init__(self, api: Api) -> None:
        self.api = api

    @property
    def support(self) -> Caller:
        return self.api.as_staff("carrier-support", sub="support-1")

    @property
    def ops(self) -> Caller:
        return self.api.as_staff("ops", sub="ops-1")

    def puts(self, redirection: str, **changes: Any) -> Answered:
        return self.support.put(f"/v1/redirections/{redirection}", a_request(**changes))

    def posts(self, redirection: str, what: str, **body: Any) -> Answered:
        return self.support.post(f"/v1/redirections/{redirection}/{what}", body)

    def requested(self, **changes: Any) -> str:
        """A contract that waits for its code."""
        redirection = ids.new()
        answer = self.puts(redirection, **changes)
        assert answer.status == 200, answer.text
        return redirection

    def code(self, redirection: str) -> str:
        """The code, as the letter has it."""
        answer = self.ops.get(f"/v1/redirections/{redirection}/letter")
        assert answer.status == 200, answer.text
        return str(answer.body["code"])

    def verified(self, **changes: Any) -> str:
        """A contract that was verified by its code."""
        redirection = self.requested(**changes)
        answer = self.posts(redirection, "verification", code=self.code(redirection))
        assert answer.status == 200, answer.text
        return redirection

    def read(self, redirection: str) -> Any:
        answer = self.support.get(f"/v1/redirections/{redirection}")
        assert answer.status == 200, answer.text
        return answer.body


def in_days(days: int) -> str:
    """The business day so many days from now."""
    found: date = clock.today() + timedelta(days=days)
    return found.isoformat()
