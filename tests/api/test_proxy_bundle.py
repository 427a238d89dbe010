"""What a carrier takes along in the morning of proxies (procurations)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from chalicelib.core import journal
from chalicelib.people import legacy
from chalicelib.people.schemas import Address, CarrierEntry, Depot, Duty, Zone
from chalicelib.rounds.carried import BundleTaken
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import CARRIER, DEPOT, ROUTE, HeldHandset, a_handset, a_plan_line, an_addressee, an_item
from tests.support.proxies import ADDRESS, a_one_off, a_proxy, registered, revoke, verified
from tests.support.sorting import import_plan, sorted_item

TODAY = date(2026, 11, 23)


@pytest.fixture
def handset(api: Api, clock: FakeClock) -> HeldHandset:
    """The handset of a carrier who has a round today, in the rue de la Paix and the rue Lecourbe."""
    stated = [
        Zone(id="SUD", name="Paris Sud"),
        Depot(id=DEPOT, name="Paris", zone="SUD", address=Address(postcode="75015", town="Paris")),
        CarrierEntry(id=CARRIER, first_name="Zoé", last_name="Martin", depot=DEPOT),
        Duty(carrier=CARRIER, day=TODAY, depot=DEPOT, route=ROUTE, starts="06:30", ends="13:00"),
    ]
    for line, record in enumerate(stated, 1):
        legacy.import_records([record], lines=[line], at=clock.at, actor="system/test", correlation_id="setup")
    import_plan(a_plan_line(), a_plan_line(street="RUE LECOURBE"))
    return a_handset(api)


def bundle(handset: HeldHandset) -> Answered:
    answer = handset.calls().get("/v1/round")
    assert answer.status == 200
    return answer


def taken() -> tuple[str, ...]:
    """What the journal says was given out last."""
    told = [event.body(BundleTaken) for event in journal.read(f"round/{DEPOT}/{ROUTE}/{TODAY}")]
    return max(told, key=lambda one: one.snapshot).items


def test_they_are_those_at_the_addresses_of_the_rounds_items(api: Api, handset: HeldHandset) -> None:
    item, other = sorted_item(), sorted_item()
    sorted_item(addressee=an_addressee(street="7 RUE LECOURBE"))
    proxy = verified(api)
    elsewhere = verified(api, a_proxy(address=ADDRESS | {"street": "9 rue Lecourbe"}))

    answer = bundle(handset)

    assert answer.body["proxies"] == [
        {
            "id": proxy,
            "revision": 2,
            "kind": "permanent",
            "scopes": ["parcel-against-signature", "plain-mail", "registered"],
            "ends_at": "2027-11-23T00:00:00+01:00",
            "principal": {"last_name": "LEFÈVRE", "first_name": "Hélène", "birth_name": "", "company": ""},
            "holders": [{"last_name": "MOREAU", "first_name": "Julien"}],
            "items": sorted([item, other]),
        }
    ]
    assert elsewhere not in answer.text
    assert f"proxy/{proxy}@2" in taken()


def test_they_are_those_that_are_valid_now(api: Api, handset: HeldHandset, clock: FakeClock) -> None:
    item = sorted_item()
    registered(api)
    verified(api, a_proxy(start="2026-11-24"))
    revoke(api, verified(api))
    verified(api, a_one_off(an_item()))
    proxy = verified(api, a_one_off(item, end="2026-11-23"))
    revoke(api, proxy, effective_at="2026-11-23T12:00:00+01:00")

    [carried] = bundle(handset).body["proxies"]
    assert (carried["id"], carried["ends_at"]) == (proxy, "2026-11-23T12:00:00+01:00")

    clock.at = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
    assert bundle(handset).body["proxies"] == []


def test_changed_ones_make_another_content(api: Api, handset: HeldHandset) -> None:
    sorted_item()
    proxy = verified(api)
    assert bundle(handset).body["snapshot"] == 1
    revoke(api, proxy)
    answer = bundle(handset)
    assert (answer.body["snapshot"], answer.body["proxies"]) == (2, [])
