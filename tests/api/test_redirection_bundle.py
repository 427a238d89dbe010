"""What a carrier takes along in the morning of redirections (réexpéditions)."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from chalicelib.addresses.names import Beneficiary
from chalicelib.core import journal
from chalicelib.people import legacy
from chalicelib.people.schemas import Address, CarrierEntry, Depot, Duty, Zone
from chalicelib.redirections.carried import CarriedBeneficiary
from chalicelib.rounds.carried import BundleTaken
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import CARRIER, DEPOT, ROUTE, HeldHandset, a_handset, a_plan_line, an_addressee
from tests.support.redirections import ANNE, OLD, START, Desk, an_address
from tests.support.sorting import import_plan, sorted_item

TODAY = date.fromisoformat(START)


@pytest.fixture
def handset(api: Api, clock: FakeClock) -> HeldHandset:
    """The handset of a carrier who has a round in the rue de la Paix on the first day that can be agreed."""
    stated = [
        Zone(id="SUD", name="Paris Sud"),
        Depot(id=DEPOT, name="Paris", zone="SUD", address=Address(postcode="75015", town="Paris")),
        CarrierEntry(id=CARRIER, first_name="Zoé", last_name="Martin", depot=DEPOT),
        Duty(carrier=CARRIER, day=TODAY, depot=DEPOT, route=ROUTE, starts="06:30", ends="13:00"),
    ]
    for line, record in enumerate(stated, 1):
        legacy.import_records([record], lines=[line], at=clock.at, actor="system/test", correlation_id="setup")
    import_plan(a_plan_line())
    return a_handset(api)


def bundle(handset: HeldHandset) -> Answered:
    answer = handset.calls().get("/v1/round")
    assert answer.status == 200
    return answer


def taken() -> tuple[str, ...]:
    """What the journal says was given out last."""
    told = [event.body(BundleTaken) for event in journal.read(f"round/{DEPOT}/{ROUTE}/{TODAY}")]
    return max(told, key=lambda one: one.snapshot).items


def test_they_are_those_at_the_addresses_of_the_items_that_are_active(
    api: Api, handset: HeldHandset, clock: FakeClock
) -> None:
    desk, there = Desk(api), an_address(apartment="APT 3")
    redirection = desk.verified(new_address=there, old_address=OLD | {"apartment": "APT 7"})
    waiting = desk.requested(beneficiaries=[ANNE])
    elsewhere = desk.verified(old_address=an_address())
    clock.at = datetime.fromisoformat(f"{START}T07:00:00+01:00")
    item, other = sorted_item(), sorted_item()
    sorted_item(addressee=an_addressee(street="14 RUE DE LA PAIX"))

    answer = bundle(handset)

    [carried] = answer.body["redirections"]
    assert carried.pop("new_address") == {"building": "", "hamlet": ""} | there
    assert carried.pop("beneficiaries") == [
        {"last_name": "Lefèvre", "first_name": "Hélène", "gender": "", "birth_name": "", "company": ""}
    ]
    assert carried == {
        "id": redirection,
        "revision": 2,
        "kind": "definitive",
        "scope": "beneficiaries",
        "reach": "national",
        "last_day": "2027-05-25",
        "apartment": "APT 7",
        "items": sorted([item, other]),
    }
    assert waiting not in answer.text
    assert elsewhere not in answer.text
    assert f"redirection/{redirection}@2" in taken()


def test_one_that_has_ended_is_not_taken_along_again(api: Api, handset: HeldHandset, clock: FakeClock) -> None:
    desk = Desk(api)
    redirection = desk.verified()
    clock.at = datetime.fromisoformat(f"{START}T07:00:00+01:00")
    sorted_item()
    first = bundle(handset)

    desk.posts(redirection, "end", on=START)
    second = bundle(handset)

    assert [one["last_day"] for one in second.body["redirections"]] == [START]
    assert (first.body["snapshot"], second.body["snapshot"]) == (1, 2)
    assert f"redirection/{redirection}@3" in taken()


def test_a_carried_beneficiary_has_what_the_matcher_needs() -> None:
    known, carried = (set(kind.__struct_fields__) for kind in (Beneficiary, CarriedBeneficiary))
    assert known == carried
