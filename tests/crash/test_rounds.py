"""Items and the rounds on which they lie, killed everywhere."""

from __future__ import annotations

import pytest

from chalicelib.connectors.relay import service as relay
from chalicelib.core import clock, journal
from chalicelib.core.events import Event
from chalicelib.items import service as items
from chalicelib.people import legacy
from chalicelib.people.schemas import Address, CarrierEntry, Depot, Duty, Zone
from chalicelib.rounds import plan
from chalicelib.rounds.workers import sorting
from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import an_item_event, announced, deliver, recorded, work_off
from tests.support.factories import (
    CARRIER,
    DEPOT,
    ITEM,
    ROUTE,
    HeldHandset,
    a_handset,
    a_plan_line,
    an_addressee,
    an_announcement,
    an_item,
)


def a_plan(street: str = "RUE DE LA PAIX") -> None:
    plan.import_plan([a_plan_line(street=street)], actor="legacy/sorting-plan", correlation_id=f"import/{street}")


def test_announcements(everywhere: Everywhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_ANNOUNCEMENTS_PER_TRANSACTION", 2)
    several = [an_announcement(item=an_item()) for _ in range(3)]

    def announce(_: None) -> None:
        items.announce(several, actor="legacy/announcements", correlation_id="import/1/1")

    everywhere(Scenario("announcements", lambda: None, announce))


def test_a_correction(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> Event:
        announced()
        return recorded(an_item_event("facteo.item.delivered"))[0]

    def correct(wrong: Event) -> None:
        asked = {"corrects": wrong.id, "reason": "wrong item"}
        answer = api.as_staff("depot-manager").post(f"/v1/items/{ITEM}/corrections", asked)
        assert answer.status == 201

    everywhere(Scenario("correction", arrange, correct))


def test_sorting_two_items(everywhere: Everywhere) -> None:
    def arrange() -> list[Event]:
        a_plan()
        first, second = an_item(), an_item()
        scan = an_item_event(item=second, data={"step": "at-depot"})
        return [announced(first), announced(second, addressee=an_addressee(street="3 RUE INCONNUE")), *recorded(scan)]

    everywhere(Scenario("sorting", arrange, sort))


def test_sorting_after_a_change_of_the_plan(everywhere: Everywhere) -> None:
    def arrange() -> None:
        a_plan()
        sort([announced(an_item(), addressee=an_addressee(street="7 RUE NEUVE")) for _ in range(2)])
        a_plan("RUE NEUVE")
        relay.send("sorting", [event for event in journal.read(f"plan/{DEPOT}") if b"NEUVE" in bytes(event.data)])

    everywhere(Scenario("sorting, a new plan", arrange, lambda _: work_off("sorting", sorting)))


def sort(batch: list[Event]) -> None:
    assert deliver(sorting, batch) == []


def test_a_placement_by_hand(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> str:
        a_plan()
        item = an_item()
        sort([announced(item, addressee=an_addressee(street="3 RUE INCONNUE"))])
        return item

    def place(item: str) -> None:
        placement = {"depot": DEPOT, "route": ROUTE}
        assert api.as_staff("depot-manager").put(f"/v1/items/{item}/placement", placement).status == 200

    everywhere(Scenario("placement", arrange, place))


def test_a_round_bundle(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> HeldHandset:
        roster()
        a_plan()
        sort([announced(an_item()) for _ in range(2)])
        return a_handset(api)

    def take(handset: HeldHandset) -> None:
        answer = handset.calls().get("/v1/round")
        assert (answer.status, answer.body["snapshot"], len(answer.body["items"])) == (200, 1, 2)

    everywhere(Scenario("round bundle", arrange, take))


def roster() -> None:
    """The carrier has a round today."""
    duty = Duty(carrier=CARRIER, day=clock.today(), depot=DEPOT, route=ROUTE, starts="06:30", ends="13:00")
    stated = [
        Zone(id="SUD", name="Paris Sud"),
        Depot(id=DEPOT, name="Paris", zone="SUD", address=Address(postcode="75015", town="Paris")),
        CarrierEntry(id=CARRIER, first_name="Zoé", last_name="Martin", depot=DEPOT),
        duty,
    ]
    for line, record in enumerate(stated, 1):
        legacy.import_records([record], lines=[line], at=clock.now(), actor="system/test", correlation_id="setup")
