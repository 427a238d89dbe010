"""What a handset is told of a proxy at the door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.addresses import index
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core import ids
from chalicelib.items import product_codes
from handset.signing import HandsetKey
from tests.support import dynamodb
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import announced
from tests.support.factories import ITEM, HeldHandset, a_handset, an_addressee, an_item
from tests.support.logs import logged
from tests.support.proxies import (
    ADDRESS,
    COMPANY,
    a_holder,
    a_one_off,
    a_proxy,
    registered,
    revoke,
    says,
    used,
    verified,
    verify,
)

HOLDER = {"last_name": "MOREAU", "first_name": "Julien"}


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def asks(handset: HeldHandset, **body: Any) -> Answered:
    """What a handset is told of Julien Moreau at the door."""
    return handset.calls().post("/v1/proxy-checks", {"holder": HOLDER} | body)


def asks_by_address(handset: HeldHandset, **body: Any) -> Any:
    asked = {"address": ADDRESS, "addressee": "Mme Hélène LEFEVRE", "scopes": ["registered"]}
    answer = asks(handset, **(asked | body))
    assert answer.status == 200, answer.text
    return answer.body


class TestCheck:
    def test_accepts_a_holder_of_the_addressees_proxy(self, api: Api, handset: HeldHandset, aws: Cloud) -> None:
        announced()
        proxy = verified(api)
        asks(handset, item=ITEM)

        with aws.counting() as calls:
            answer = asks(handset, item=ITEM)

        assert answer.body == {
            "verdict": "accepted",
            "rule": "proxy-valid",
            "sentence": "Procuration valable : vérifiez la pièce d'identité du mandataire.",
            "proxy": {"id": proxy, "revision": 2},
        }
        assert calls == {"BatchGetItem": 2}, "the handset's access with the item and its key; the address"

    def test_by_address_costs_one_call_beside_the_handsets_access(
        self, api: Api, handset: HeldHandset, aws: Cloud
    ) -> None:
        verified(api)
        with aws.counting() as calls:
            assert asks_by_address(handset)["rule"] == "proxy-valid"
        assert calls == {"GetItem": 1, "BatchGetItem": 1}

    @pytest.mark.parametrize(
        ("asked", "verdict", "rule"),
        [
            ({"holder": {"last_name": "Moreau", "first_name": "J."}}, "accepted", "proxy-valid"),
            ({"holder": {"last_name": "MOREAU", "first_name": "Julie"}}, "refused", "holder-not-named"),
            ({"holder": {"last_name": "MOREAUX", "first_name": "Julien"}}, "review", "holder-to-review"),
            ({"addressee": "M LEFEVRE"}, "review", "principal-to-review"),
            ({"addressee": "M Paul DURAND"}, "refused", "no-proxy"),
            ({"scopes": ["registered", "declared-value"]}, "refused", "proxy-out-of-scope"),
            ({"address": ADDRESS | {"street": "14 rue de la Paix"}}, "refused", "no-proxy"),
        ],
    )
    def test_says_who_may_receive_what(
        self, api: Api, handset: HeldHandset, asked: dict[str, Any], verdict: str, rule: str
    ) -> None:
        proxy = verified(api)
        told = asks_by_address(handset, **asked)
        assert (told["verdict"], told["rule"]) == (verdict, rule)
        assert told["sentence"].endswith((".", "?"))
        assert (told["proxy"] is None) == (rule in {"no-proxy", "holder-not-named"})
        assert told["proxy"] in (None, {"id": proxy, "revision": 2})
        assert "MOREAU" not in str(told)

    @pytest.mark.parametrize("rule", ["not-verified", "refused", "revoked", "expired", "not-started"])
    def test_says_why_a_proxy_is_not_valid(self, api: Api, handset: HeldHandset, clock: FakeClock, rule: str) -> None:
        proxy = registered(api, a_proxy(start="2026-11-24"))
        if rule == "refused":
            says(api, proxy, "refusal", reason="other")
        elif rule != "not-verified":
            verify(api, proxy)
        if rule == "revoked":
            revoke(api, proxy)
        if rule == "expired":
            clock.at = datetime(2027, 11, 22, 23, 0, tzinfo=UTC)
        assert (told := asks_by_address(handset))["rule"] == rule
        assert told["verdict"] == "refused"

    def test_of_two_proxies_the_better_one_speaks(self, api: Api, handset: HeldHandset) -> None:
        good = verified(api)
        revoke(api, verified(api))
        verified(api, a_proxy(scopes=["plain-mail"]))
        verified(api, a_proxy(holders=[a_holder(first_name="Zoé")]))
        assert asks_by_address(handset)["proxy"]["id"] == good

    @pytest.mark.parametrize(
        ("changes", "rule"),
        [
            ({"cash_on_delivery_cents": 100}, "proxy-out-of-scope"),
            ({"insured_value_cents": 100}, "proxy-out-of-scope"),
            ({"product": "6A"}, "proxy-valid"),
            ({"addressee": an_addressee(name="", company="ATELIER DUMAS SARL")}, "no-proxy"),
        ],
    )
    def test_knows_of_an_item_what_it_needs(
        self, api: Api, handset: HeldHandset, changes: dict[str, Any], rule: str
    ) -> None:
        announced(**changes)
        verified(api)
        assert asks(handset, item=ITEM).body["rule"] == rule

    def test_a_company_gives_proxies_for_what_is_the_companys(self, api: Api, handset: HeldHandset) -> None:
        announced(addressee=an_addressee(name="Service courrier", company="ATELIER DUMAS SARL"))
        proxy = verified(api, a_proxy(principal=COMPANY | {"company": "SARL ATELIER DUMAS"}))
        assert asks(handset, item=ITEM).body["proxy"] == {"id": proxy, "revision": 2}

    def test_no_proxy_covers_what_is_for_the_addressee_alone(
        self, api: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not any(code.in_person for code in product_codes.PRODUCT_CODES.values())
        announced()
        verified(api)
        alone = product_codes.PRODUCT_CODES["9V"]._replace(in_person=True)
        monkeypatch.setitem(product_codes.PRODUCT_CODES, "9V", alone)
        told = asks(handset, item=ITEM).body
        assert (told["verdict"], told["rule"], told["proxy"]) == ("refused", "in-person", None)

    def test_a_one_off_proxy_is_for_its_item_and_once(self, api: Api, handset: HeldHandset) -> None:
        other = an_item()
        announced()
        announced(other)
        proxy = verified(api, a_one_off(ITEM))
        assert asks(handset, item=ITEM).body["rule"] == "proxy-valid"
        assert asks(handset, item=other).body["rule"] == "proxy-out-of-scope"
        assert used(proxy) is True
        assert asks(handset, item=ITEM).body["rule"] == "used"

    def test_an_item_that_nobody_announced_is_asked_by_address(self, api: Api, handset: HeldHandset) -> None:
        verified(api)
        answer = asks(handset, item=ITEM)
        assert (answer.status, answer.problem) == (404, "not-found")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"item": ITEM, "address": ADDRESS, "addressee": "LEFEVRE", "scopes": ["registered"]},
            {"address": ADDRESS, "addressee": "LEFEVRE"},
            {"item": ITEM, "scopes": ["registered"]},
            {"item": ITEM, "holder": {"last_name": "MOREAU"}},
        ],
    )
    def test_asks_by_item_or_by_address(self, handset: HeldHandset, body: dict[str, Any]) -> None:
        assert asks(handset, **body).problem == "request-invalid"

    @pytest.mark.parametrize("state", ["quarantined", "retired"])
    def test_a_blocked_handset_is_told_nothing(self, api: Api, state: str) -> None:
        announced()
        verified(api)
        assert asks(a_handset(api, state=state), item=ITEM).problem == "device-blocked"


class TestWhoAsks:
    def test_what_lets_it_in_and_the_item_are_read_together_and_consistently(
        self, api: Api, handset: HeldHandset
    ) -> None:
        announced()
        with dynamodb.sent("BatchGetItem") as reads:
            asks(handset, item=ITEM)
        asked = reads[0]["RequestItems"]
        assert asked.keys() == {"facteo-test-access", "facteo-test-keyring", "facteo-test-items"}
        assert all(table["ConsistentRead"] for table in asked.values())

    def test_a_stranger_is_told_the_same_of_an_item_that_there_is(self, api: Api, handset: HeldHandset) -> None:
        announced()
        verified(api)
        strangers = [
            HeldHandset(api, handset.device, HandsetKey.generate()),
            HeldHandset(api, ids.new(), handset.key),
            HeldHandset(api, "nobody", handset.key),
        ]
        for stranger in strangers:
            with logged("looked up") as traces:
                answers = [asks(stranger, **of) for of in ({"item": ITEM}, {"item": an_item()}, {"address": ADDRESS})]
            assert [(answer.status, answer.problem) for answer in answers] == [(401, "identity-required")] * 3
            assert answers[0].text == answers[1].text
            assert traces == []

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            b"{}",
            b"[" * 50_000,
            b'{"holder": ' + b"[" * 50_000,
            b'{"item": "\xff"}',
            b'{"item": 7}',
            b'{"item": ""}',
            b'{"item": null}',
        ],
        ids=range(9),
    )
    def test_what_cannot_be_read_costs_the_access_row(self, handset: HeldHandset, aws: Cloud, body: bytes) -> None:
        with aws.counting() as calls:
            answer = handset.calls().post("/v1/proxy-checks", body)
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert calls == {"GetItem": 1}

    def test_each_check_leaves_a_trace_that_names_nobody(
        self, api: Api, handset: HeldHandset, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = an_item()
        announced()
        announced(other, addressee=an_addressee(name="M Paul DURAND"))
        verified(api)
        with logged("looked up") as traces:
            asks(handset, item=ITEM)
            asks(handset, item=other)
            asks(handset, item=an_item())
            asks_by_address(handset)

        place = index.key_of(PostalAddress(**ADDRESS))
        assert [(line["asked_by"], line["found"]) for line in traces] == [
            (ITEM, True),
            (other, False),
            (traces[2]["asked_by"], False),
            (place, True),
        ]
        assert {(line["looked_up"], line["device"]) for line in traces} == {("proxy", handset.device)}
        assert not [word for word in ("MOREAU", "LEFEVRE", "DURAND", "Paix", "PAIX") if word in str(traces)]
        assert capsys.readouterr().out.count('"LookUps":[1.0]') == len(traces)
