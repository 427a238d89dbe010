"""At the door without a network: who may receive, and where an item goes, by the round alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from handset.door import proxy_for, redirection_for

ITEM, OTHER = "9V20524752032", "9V00000100014"
ENDS = datetime.fromisoformat("2026-12-01T00:00:00+01:00")
BEFORE = ENDS - timedelta(seconds=1)
ANNE = {"last_name": "DELORME", "first_name": "Anne", "gender": "F", "birth_name": "", "company": ""}
FIRM = {"last_name": "", "first_name": "", "gender": "", "birth_name": "", "company": "Vent d'Ouest SARL"}


def a_proxy(identity: str = "proxy-one", **changes: Any) -> dict[str, Any]:
    """A proxy for Jean-Noël Éluard, of which the round says so much."""
    told = {
        "id": identity,
        "revision": 2,
        "ends_at": ENDS.isoformat(),
        "holders": [{"last_name": "ÉLUARD", "first_name": "Jean-Noël"}],
        "principal": ANNE,
        "scopes": ["registered"],
        "items": [ITEM],
    }
    return told | changes


HERS = {"name": "Mme Anne DELORME", "company": ""}


def a_bundle(*proxies: dict[str, Any], addressee: Any = HERS, **redirection: Any) -> dict[str, Any]:
    """A round with an item for somebody, and a redirection of Anne Delorme's and a firm's items."""
    contract = {"id": "contract-one", "revision": 4, "items": [ITEM], "beneficiaries": [ANNE, FIRM]}
    contract |= {"new_address": {"town": "NANTES"}} | redirection
    said = {"addressee": addressee, "recommendation": "R1", "signature_required": True}
    items = [{"item": ITEM, **said}, {"item": OTHER, **said}]
    return {"items": items, "proxies": proxies, "redirections": [contract]}


class TestProxies:
    @pytest.mark.parametrize("name", [("ÉLUARD", "Jean-Noël"), ("Eluard", "JEAN NOEL"), (" éluard ", "jean-noël")])
    def test_a_holder_is_known_however_the_name_is_spelt(self, name: tuple[str, str]) -> None:
        assert proxy_for(a_bundle(a_proxy()), ITEM, *name, at=BEFORE) == {"id": "proxy-one", "revision": 2}

    @pytest.mark.parametrize("name", [("ÉLUARD", "Jean"), ("ÉLUARD", "Paul"), ("Jean-Noël", "ÉLUARD"), ("", "")])
    def test_whoever_is_not_plainly_a_holder_is_none(self, name: tuple[str, str]) -> None:
        assert proxy_for(a_bundle(a_proxy()), ITEM, *name, at=BEFORE) is None

    def test_it_is_not_valid_from_its_end_on(self) -> None:
        assert proxy_for(a_bundle(a_proxy()), ITEM, "ÉLUARD", "Jean-Noël", at=ENDS) is None

    def test_it_is_for_the_items_at_its_address(self) -> None:
        assert proxy_for(a_bundle(a_proxy()), OTHER, "ÉLUARD", "Jean-Noël", at=BEFORE) is None

    @pytest.mark.parametrize(
        "changes", [{"principal": ANNE | {"first_name": "Paul"}}, {"principal": FIRM}, {"scopes": ["plain-mail"]}]
    )
    def test_it_is_for_its_principals_items_of_its_scopes(self, changes: dict[str, Any]) -> None:
        assert proxy_for(a_bundle(a_proxy(**changes)), ITEM, "ÉLUARD", "Jean-Noël", at=BEFORE) is None

    def test_a_birth_name_is_a_name(self) -> None:
        proxy = a_proxy(principal=ANNE | {"last_name": "MARTIN", "birth_name": "DELORME"})
        assert proxy_for(a_bundle(proxy), ITEM, "ÉLUARD", "Jean-Noël", at=BEFORE) is not None

    def test_another_one_that_is_valid_is_found(self) -> None:
        ended = a_proxy("proxy-nil", ends_at=BEFORE.isoformat())

        found = proxy_for(a_bundle(ended, a_proxy()), ITEM, "ÉLUARD", "Jean-Noël", at=BEFORE)

        assert found == {"id": "proxy-one", "revision": 2}


class TestRedirections:
    @pytest.mark.parametrize(
        "addressee",
        [
            {"name": "Mme Anne DELORME", "company": ""},
            {"name": "delorme anne", "company": ""},
            {"name": "", "company": "VENT D'OUEST SARL"},
        ],
    )
    def test_a_beneficiarys_item_is_redirected(self, addressee: dict[str, str]) -> None:
        assert redirection_for(a_bundle(addressee=addressee), ITEM) == {"id": "contract-one", "revision": 4}

    @pytest.mark.parametrize(
        "addressee", [{"name": "M Paul DELORME", "company": ""}, {"name": "DELORME", "company": ""}, None]
    )
    def test_whoever_is_not_plainly_a_beneficiary_is_none(self, addressee: dict[str, str] | None) -> None:
        assert redirection_for(a_bundle(addressee=addressee), ITEM) is None

    @pytest.mark.parametrize("changes", [{"items": [OTHER]}, {"new_address": None}])
    def test_what_is_at_another_address_or_kept_at_the_office_goes_nowhere(self, changes: dict[str, Any]) -> None:
        assert redirection_for(a_bundle(addressee={"name": "Anne DELORME", "company": ""}, **changes), ITEM) is None
