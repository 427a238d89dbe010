"""Proxies: registered, verified, revoked by carrier support; shown at a door; judged afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.addresses import index
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core import ids, journal, keyring
from chalicelib.proxies import rules, service
from chalicelib.proxies.schemas import Searched
from chalicelib.proxies.tables import ProxiesRow
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import ITEM
from tests.support.fleet import everything_stored
from tests.support.proxies import (
    ADDRESS,
    COMPANY,
    DOCUMENTS,
    PRINCIPAL,
    a_holder,
    a_one_off,
    a_proxy,
    put,
    registered,
    revoke,
    says,
    types,
    verified,
    verify,
)
from tests.support.races import contended, overtaken

UNKNOWN = "019ac9a0-0000-7000-8000-0000000000ff"
HOLDER = {"last_name": "MOREAU", "first_name": "Julien"}


def read(api: Api, proxy: str) -> Any:
    answer = api.as_staff("auditor").get(f"/v1/proxies/{proxy}")
    assert answer.status == 200
    return answer.body


def found(api: Api, **changes: Any) -> list[str]:
    """The ids of the proxies at an address."""
    answer = api.as_staff("carrier-support").post("/v1/proxy-searches", {"address": ADDRESS | changes})
    assert answer.status == 200
    return [one["id"] for one in answer.body["proxies"]]


def nothing_stored() -> bool:
    return list(ProxiesRow.scan()) == []


class TestRegistration:
    def test_a_proxy_waits_for_its_verification(self, api: Api) -> None:
        proxy = ids.new()

        answer = put(api, proxy, a_proxy(scopes=["registered", "cash-on-delivery"]))

        assert answer.status == 200
        assert answer.body["holders"] == [a_holder()]
        told = {name: answer.body[name] for name in ("id", "state", "revision", "kind", "scopes", "readable_until")}
        assert told == {
            "id": proxy,
            "state": "requested",
            "revision": 1,
            "kind": "permanent",
            "scopes": ["cash-on-delivery", "registered"],
            "readable_until": "2028-12-31",
        }
        [event] = journal.read(f"proxy/{proxy}")
        assert (event.type, event.actor) == ("facteo.proxy.registered", "staff/s-1")
        assert read(api, proxy) == answer.body

    def test_nobody_it_names_is_stored_in_the_clear(self, api: Api) -> None:
        verified(api)
        stored = everything_stored().upper()
        for word in ("MOREAU", "JULIEN", "1990-05-12", "DE LA PAIX"):
            assert word not in stored

    def test_the_same_again_is_the_same_answer(self, api: Api, aws: Cloud, clock: FakeClock) -> None:
        proxy = ids.new()
        first = put(api, proxy, a_proxy())
        clock.advance(days=400)

        with aws.counting() as calls:
            again = put(api, proxy, a_proxy(scopes=list(reversed(a_proxy()["scopes"]))))

        assert (again.status, again.body) == (200, first.body | {"state": "expired"})
        assert calls == {"BatchGetItem": 1}
        assert types(proxy) == ["registered"]

    @pytest.mark.parametrize("change", [{"end": "2027-11-23"}, {"holders": [a_holder(first_name="Julie")]}])
    def test_an_id_names_one_proxy(self, api: Api, change: dict[str, Any]) -> None:
        proxy = registered(api)
        before = read(api, proxy)

        answer = put(api, proxy, a_proxy(**change))

        assert (answer.status, answer.problem) == (409, "conflict")
        assert read(api, proxy) == before

    def test_an_id_names_one_proxy_for_ever(self, api: Api) -> None:
        """Its row goes when it is forgotten; its events stay."""
        proxy = registered(api)
        for row in ProxiesRow.scan():
            row.delete()
        assert put(api, proxy, a_proxy()).problem == "conflict"
        assert nothing_stored()

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"holders": [a_holder(), a_holder(born_on="2008-11-24")]}, "holder-is-minor"),
            ({"holders": [a_holder(born_on="9999-12-31")]}, "holder-is-minor"),
            ({"start": "2026-12-01", "end": "2026-11-30"}, "proxy-dates-cross"),
            ({"start": "2026-01-01", "end": "2026-11-22"}, "proxy-dates-cross"),
            ({"end": "2031-11-24"}, "proxy-dates-cross"),
            ({"start": "2027-11-25", "end": "2027-12-25"}, "proxy-dates-cross"),
            ({"start": "9999-12-31", "end": "9999-12-31"}, "proxy-dates-cross"),
            ({"kind": "one-off", "item": ITEM, "end": "2026-12-24"}, "proxy-dates-cross"),
        ],
    )
    def test_what_cannot_be_a_proxy_is_a_clear_problem(self, api: Api, change: dict[str, Any], problem: str) -> None:
        answer = put(api, ids.new(), a_proxy(**change))
        assert (answer.status, answer.problem) == (422, problem)
        assert nothing_stored()

    @pytest.mark.parametrize(
        "change",
        [
            {"holders": []},
            {"holders": [a_holder()] * 11},
            {"holders": [a_holder(born_on="1990-02-30")]},
            {"holders": [a_holder(last_name=" ")]},
            {"scopes": []},
            {"scopes": ["registered", "registered"]},
            {"kind": "one-off"},
            {"item": ITEM},
            {"principal": PRINCIPAL | COMPANY},
            {"principal": {"first_name": "Hélène"}},
            {"principal": {"last_name": "LEFÈVRE"}},
            {"principal": {"company": "ATELIER DUMAS"}},
            {"principal": COMPANY | {"siret": "73282932000075"}},
            {"principal": {"company": "AMICALE", "rna": "W12345678"}},
            {"principal": PRINCIPAL | {"siret": COMPANY["siret"]}},
            {"address": {"postcode": "75015", "town": "Paris"}},
            {"verified": True},
        ],
    )
    def test_what_has_another_shape_is_refused(self, api: Api, change: dict[str, Any]) -> None:
        answer = put(api, ids.new(), a_proxy(**change))
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert nothing_stored()

    @pytest.mark.parametrize("principal", [COMPANY, {"company": "AMICALE DES BOULISTES", "rna": "W751234567"}])
    def test_a_legal_person_may_give_one_for_five_years(self, api: Api, principal: dict[str, str]) -> None:
        assert put(api, ids.new(), a_proxy(principal=principal, end="2031-11-23")).status == 200
        assert put(api, ids.new(), a_proxy(principal=principal, end="2031-11-24")).problem == "proxy-dates-cross"

    def test_an_id_is_a_uuid7(self, api: Api) -> None:
        assert put(api, "p-1", a_proxy()).problem == "not-found"

    def test_an_address_has_a_hundred_at_most(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rules, "MAX_AT_ADDRESS", 2)
        known = [registered(api) for _ in range(2)]

        answer = put(api, ids.new(), a_proxy())

        assert (answer.status, answer.problem, answer.body["limit"]) == (409, "too-many-proxies", 2)
        assert sorted(found(api)) == sorted(known)
        assert revoke(api, known[0]).status == 200, "what is there can still be changed"

    def test_what_an_address_has_fits_into_its_row(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "MAX_ADDRESS_BYTES", 1500)
        registered(api)
        assert put(api, ids.new(), a_proxy()).problem == "too-many-proxies"

    def test_two_at_once_at_one_address_are_both_registered(self, api: Api) -> None:
        registered(api)
        for racing in (overtaken, contended):
            others: list[str] = []
            with racing(by=lambda others=others: others.append(registered(api))):
                mine = registered(api)
            assert {mine, *others} <= set(found(api))
            assert [types(one) for one in (mine, *others)] == [["registered"]] * 2

    def test_the_same_twice_at_once_is_registered_once(self, api: Api) -> None:
        proxy, answers = ids.new(), []
        with overtaken(by=lambda: answers.append(put(api, proxy, a_proxy()))):
            answers.append(put(api, proxy, a_proxy()))
        assert [answer.status for answer in answers] == [200, 200]
        assert (types(proxy), found(api)) == (["registered"], [proxy])


class TestVerification:
    def test_makes_it_active_and_says_by_whom(self, api: Api) -> None:
        proxy = registered(api)

        answer = verify(api, proxy, documents=["principal-identity", "proof-of-address"])

        assert (answer.status, answer.body["state"], answer.body["revision"]) == (200, "active", 2)
        assert answer.body["verification"] == {
            "method": "post-office",
            "documents": ["principal-identity", "proof-of-address"],
            "by": "staff/s-1",
            "at": "2026-11-23T07:00:00Z",
        }
        assert verify(api, proxy, documents=["proof-of-address", "principal-identity"]).body == answer.body
        assert types(proxy) == ["registered", "verified"]

    @pytest.mark.parametrize(
        ("body", "said", "told"),
        [
            (a_proxy(), {"documents": ["principal-identity"]}, {"missing": ["proof-of-address"]}),
            (a_proxy(), {"method": "delivery-notice"}, {"methods": ["online", "post-office"]}),
            (a_proxy(principal=COMPANY), {"method": "online"}, {"methods": ["legal-representative"]}),
            (a_one_off(ITEM), {"method": "delivery-notice", "documents": []}, {"missing": sorted(DOCUMENTS[:2])}),
        ],
    )
    def test_wants_what_its_method_asks_for(
        self, api: Api, body: dict[str, Any], said: dict[str, Any], told: dict[str, Any]
    ) -> None:
        proxy = registered(api, body)
        answer = verify(api, proxy, **said)
        assert (answer.status, answer.problem) == (422, "proxy-unproved")
        assert told.items() <= answer.body.items()
        assert (read(api, proxy)["state"], types(proxy)) == ("requested", ["registered"])

    @pytest.mark.parametrize("what", ["refused", "revoked", "expired", "verified otherwise"])
    def test_of_one_that_is_decided_is_a_conflict(self, api: Api, clock: FakeClock, what: str) -> None:
        proxy = registered(api)
        if what == "refused":
            says(api, proxy, "refusal", reason="documents-missing")
        elif what == "revoked":
            revoke(api, proxy)
        elif what == "expired":
            clock.advance(days=400)
        else:
            verify(api, proxy)
        before = types(proxy)
        assert verify(api, proxy, method="online").problem == "conflict"
        assert types(proxy) == before

    def test_a_refusal_is_final(self, api: Api) -> None:
        proxy = registered(api)
        answers = [says(api, proxy, "refusal", reason="address-not-proved") for _ in range(2)]
        assert [(one.status, one.body["state"]) for one in answers] == [(200, "refused")] * 2
        assert says(api, proxy, "refusal", reason="other").problem == "conflict"
        assert revoke(api, proxy).problem == "conflict"
        assert says(api, verified(api), "refusal", reason="other").problem == "conflict"
        assert types(proxy) == ["registered", "refused"]

    def test_verified_and_refused_at_once_only_one_counts(self, api: Api) -> None:
        proxy = registered(api)
        with overtaken(by=lambda: says(api, proxy, "refusal", reason="other")):
            assert verify(api, proxy).problem == "conflict"
        assert (read(api, proxy)["state"], types(proxy)) == ("refused", ["registered", "refused"])


class TestRevocation:
    def test_holds_from_now_on(self, api: Api, clock: FakeClock) -> None:
        proxy = verified(api)
        clock.advance(hours=2)

        answer = revoke(api, proxy)

        assert (answer.status, answer.body["state"]) == (200, "revoked")
        assert answer.body["revocation"]["effective_at"] == "2026-11-23T09:00:00Z"
        clock.advance(hours=1)
        assert revoke(api, proxy).body == answer.body
        assert revoke(api, proxy, reason="fraud").problem == "conflict"
        assert types(proxy) == ["registered", "verified", "revoked"]

    def test_may_hold_from_later_on_and_be_brought_forward(self, api: Api, clock: FakeClock) -> None:
        proxy = verified(api)
        later = [revoke(api, proxy, effective_at="2026-12-01T00:00:00+01:00") for _ in range(2)]
        assert [one.body["state"] for one in later] == ["active", "active"]
        assert revoke(api, proxy, effective_at="2026-12-02T00:00:00+01:00").problem == "conflict"

        assert revoke(api, proxy, effective_at="2026-11-25T00:00:00+01:00").body["revision"] == 4

        clock.at = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
        assert read(api, proxy)["state"] == "revoked"

    @pytest.mark.parametrize(
        ("effective_at", "problem"),
        [
            ("2026-11-23T06:59:59Z", "revocation-backdated"),
            ("0001-01-01T00:00:00+14:00", "revocation-backdated"),
            ("2027-11-22T23:00:00Z", "conflict"),
            ("9999-12-31T23:59:59-14:00", "conflict"),
            ("2026-12-01T00:00:00", "request-invalid"),
        ],
    )
    def test_is_neither_for_the_past_nor_after_the_end(self, api: Api, effective_at: str, problem: str) -> None:
        proxy = verified(api)
        assert revoke(api, proxy, effective_at=effective_at).problem == problem
        assert types(proxy) == ["registered", "verified"]

    def test_two_at_once_count_once(self, api: Api) -> None:
        proxy = verified(api)
        with overtaken(by=lambda: revoke(api, proxy)):
            assert revoke(api, proxy).status == 200
        assert types(proxy) == ["registered", "verified", "revoked"]


class TestReading:
    def test_costs_two_calls_at_most(self, api: Api, aws: Cloud) -> None:
        proxy = verified(api)
        keyring._shared_keys.clear()
        with aws.counting() as calls:
            assert read(api, proxy)["principal"]["first_name"] == "Hélène"
        assert calls == {"GetItem": 1, "BatchGetItem": 1}

    def test_finds_the_proxies_at_an_address_by_one_read(self, api: Api, aws: Cloud, clock: FakeClock) -> None:
        older = registered(api)
        clock.advance(minutes=1)
        newer = registered(api, a_proxy(address=ADDRESS | {"apartment": "Esc. B"}))
        registered(api, a_proxy(address=ADDRESS | {"street": "14 rue de la Paix"}))

        with aws.counting() as calls:
            assert found(api, street="12, RUE DE LA PAIX", town="PARIS CEDEX") == [newer, older]
        assert calls == {"BatchGetItem": 1, "TransactWriteItems": 1}, "the address, the journal"
        assert found(api, postcode="75016") == []

    def test_a_search_is_journalled_with_who_searched_and_where(self, api: Api) -> None:
        registered(api)
        support = api.as_staff("carrier-support", sub="support-1")
        for _ in range(2):
            assert support.post("/v1/proxy-searches", {"address": ADDRESS}).status == 200

        events = journal.read("staff/support-1")
        assert [(event.type, event.actor) for event in events] == [("facteo.proxy.searched", "staff/support-1")] * 2
        place = index.key_of(PostalAddress(**ADDRESS))
        assert [event.body(Searched) for event in events] == [Searched(address=place, found=1)] * 2

    def test_whom_it_names_is_forgotten_thirteen_months_after_its_end(
        self, api: Api, aws: Cloud, clock: FakeClock
    ) -> None:
        proxy = verified(api)
        clock.at = datetime(2028, 12, 31, 22, 59, tzinfo=UTC)
        assert (read(api, proxy)["principal"]["last_name"], found(api)) == ("LEFÈVRE", [proxy])

        clock.at = datetime(2028, 12, 31, 23, 0, tzinfo=UTC)
        with aws.counting() as calls:
            told = read(api, proxy)
        assert calls == {"GetItem": 1}, "nobody asks for a key whose day is over"
        assert (told["principal"], told["address"], told["holders"], found(api)) == (None, None, None, [])

        newer = registered(api, a_proxy(start="2029-01-01", end="2029-02-01"))
        [row] = [row for row in ProxiesRow.scan() if row.pk.startswith("address/")]
        assert proxy not in row.content
        assert newer in row.content
        assert row.expires_at == datetime(2030, 3, 31, 22, 0, tzinfo=UTC)

    def test_only_carrier_support_and_auditors(self, api: Api) -> None:
        proxy = registered(api)
        others = api.as_staff("dispatcher", "depot-manager", "ops")
        assert others.get(f"/v1/proxies/{proxy}").problem == "access-denied"
        assert others.post("/v1/proxy-searches", {"address": ADDRESS}).problem == "access-denied"
        assert api.as_staff("auditor").put(f"/v1/proxies/{proxy}", a_proxy()).problem == "access-denied"
        assert api.as_staff("carrier-support").post("/v1/proxy-checks", {"holder": HOLDER}).status == 401

    @pytest.mark.parametrize("what", ["verification", "refusal", "revocation"])
    def test_nobody_changes_what_is_not_there(self, api: Api, what: str) -> None:
        body: dict[str, Any] = {"reason": "other"} if what != "verification" else {"method": "online", "documents": []}
        assert says(api, UNKNOWN, what, **body).problem == "not-found"
        assert nothing_stored()
