"""The tracking answer: a row for every code, no order of events matters, both offsets of Paris, golden JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.schemas import Schema
from chalicelib.items.identifiers import parse
from chalicelib.items.schemas import (
    Addressee,
    Barcode,
    Capacity,
    Cause,
    Delivered,
    Held,
    HeldAt,
    HistoryEntry,
    ItemHistory,
    NotDelivered,
    Redirected,
    Returned,
    Scanned,
    Status,
    Step,
)
from chalicelib.items.suivi import MAX_ECHO, SuiviAnswer, holder_of, render, render_many
from chalicelib.items.suivi_codes import CODES, DELIVERED_BACK, HOLDER_OF_KIND, MESSAGES, ROWS, STEP_OF_STATUS, Holder
from tests.support.item_facts import a_handing_over, every_fact

GOLDEN = Path(__file__).parents[2] / "fixtures" / "suivi"
ITEM = "9V20524752032"
BARCODE = Barcode(raw=ITEM)
MONDAY = datetime(2026, 3, 23, 7, 0, tzinfo=UTC)

ANNOUNCED = ("facteo.item.announced", None)
TAKEN = ("facteo.item.scanned", Scanned(barcode=BARCODE, step=Step.TAKEN_IN_CHARGE))
AT_DEPOT = ("facteo.item.scanned", Scanned(barcode=BARCODE, step=Step.AT_DEPOT))
OUT = ("facteo.item.scanned", Scanned(barcode=BARCODE, step=Step.OUT_FOR_DELIVERY))
PRESENTED = ("facteo.item.scanned", Scanned(barcode=BARCODE, step=Step.PRESENTED))
DELIVERED = ("facteo.item.delivered", Delivered(barcode=BARCODE))
HANDED_OVER = ("facteo.item.handed-over", a_handing_over())
ABSENT = ("facteo.item.not-delivered", NotDelivered(barcode=BARCODE, cause=Cause.ABSENT))
HELD = ("facteo.item.held", Held(barcode=BARCODE, place=HeldAt.POST_OFFICE, until=date(2026, 4, 7)))
RETURNED = ("facteo.item.returned", Returned(barcode=BARCODE, cause=Cause.REFUSED))
REDIRECTED = ("facteo.item.redirected", Redirected(barcode=BARCODE))

Fact = tuple[str, Schema | None]


def an_entry(fact: Fact, number: int = 0, **changes: Any) -> HistoryEntry:
    event_type, data = fact
    at = MONDAY + timedelta(hours=number)
    fields: dict[str, Any] = {
        "id": f"event-{number:03}",
        "type": event_type,
        "at": at,
        "device_time": None,
        "received_at": at,
        "actor": "carrier/1",
        "data": msgspec.Raw(msgspec.json.encode(data) if data else b'{"item":"9V20524752032"}'),
    }
    return HistoryEntry(**{**fields, **changes})


def a_history(*facts: Fact, status: Status = Status.AT_DEPOT, final: bool = False, **changes: Any) -> ItemHistory:
    entries = tuple(an_entry(fact, number) for number, fact in enumerate(facts))
    fields: dict[str, Any] = {"item": ITEM, "status": status, "final": final, "events": entries}
    return ItemHistory(**{**fields, **changes})


def shown(answer: SuiviAnswer) -> dict[str, Any]:
    """The answer as a client reads it."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(answer))
    return found


def shipment(history: ItemHistory, lang: str = "fr_FR") -> dict[str, Any]:
    found: dict[str, Any] = shown(render(history, history.item, lang))["shipment"]
    return found


def event_codes(history: ItemHistory) -> list[str]:
    return [event["code"] for event in shipment(history)["event"]]


def reached(history: ItemHistory) -> list[bool]:
    return [step["status"] for step in shipment(history)["timeline"]]


# --- tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "step", "outcome"),
    [
        ("DR1", 1, 1),
        ("DR2", 1, 0),
        ("PC1", 2, 1),
        ("PC2", 2, 1),
        ("ET1", 3, 1),
        ("ET2", 3, 1),
        ("ET3", 3, 1),
        ("ET4", 3, 1),
        ("EP1", 3, 1),
        ("DO1", 3, 1),
        ("DO2", 3, 1),
        ("DO3", 3, 0),
        ("ID0", 3, 0),
        ("PB1", 3, 0),
        ("PB2", 3, 1),
        ("MD2", 4, 1),
        ("ND1", 4, -1),
        ("AG1", 4, 1),
        ("RE1", 4, -1),
        ("DI0", 5, 1),
        ("DI1", 5, 1),
        ("DI2", 5, -1),
        ("DI3", 0, 0),
    ],
)
def test_every_published_code_has_its_step(code: str, step: int, outcome: int) -> None:
    assert (CODES[code].step, CODES[code].outcome) == (step, outcome)


def test_there_is_no_other_code() -> None:
    assert len(CODES) == 23
    assert "AN1" not in CODES
    assert {row.code for row in [*ROWS.values(), DELIVERED_BACK]} <= CODES.keys() | {""}


def test_every_value_of_every_event_has_a_row_and_both_sentences() -> None:
    assert ROWS.keys() == every_fact()
    for row in ROWS.values():
        assert bool(row.label.french) is bool(row.label.english) is bool(row.code)


def test_every_status_has_a_step() -> None:
    assert STEP_OF_STATUS.keys() == set(Status)


@pytest.mark.parametrize(
    ("fact", "status", "code", "steps"),
    [
        (ANNOUNCED, Status.ANNOUNCED, "DR1", 1),
        (TAKEN, Status.TAKEN_IN_CHARGE, "PC1", 2),
        (AT_DEPOT, Status.AT_DEPOT, "ET1", 3),
        (REDIRECTED, Status.REDIRECTED, "ET1", 3),
        (OUT, Status.OUT_FOR_DELIVERY, "MD2", 4),
        (ABSENT, Status.NOT_DELIVERED, "ND1", 4),
        (HELD, Status.HELD, "AG1", 4),
        (RETURNED, Status.RETURNED, "RE1", 4),
        (DELIVERED, Status.DELIVERED, "DI1", 5),
        (HANDED_OVER, Status.DELIVERED, "DI1", 5),
    ],
)
def test_each_fact_has_its_code_and_step(fact: Fact, status: Status, code: str, steps: int) -> None:
    history = a_history(fact, status=status)
    assert event_codes(history) == [code]
    assert reached(history) == [step <= steps for step in range(1, 6)]
    assert shipment(history)["timeline"][steps - 1]["type"] == CODES[code].outcome


@pytest.mark.parametrize("cause", Cause)
def test_no_failed_attempt_reads_as_a_delivery(cause: Cause) -> None:
    fact = ("facteo.item.not-delivered", NotDelivered(barcode=BARCODE, cause=cause))
    assert event_codes(a_history(fact, status=Status.NOT_DELIVERED)) == ["ND1"]


# --- what is shown --------------------------------------------------------------------------------------


def test_five_steps_are_always_there() -> None:
    for facts in ([ANNOUNCED], [ANNOUNCED, TAKEN, AT_DEPOT, OUT, DELIVERED]):
        assert [step["id"] for step in shipment(a_history(*facts))["timeline"]] == [1, 2, 3, 4, 5]


def test_events_are_newest_first_and_their_order_decreases_from_100() -> None:
    found = shipment(a_history(ANNOUNCED, TAKEN, AT_DEPOT, OUT, DELIVERED, status=Status.DELIVERED))["event"]
    assert [event["code"] for event in found] == ["DI1", "MD2", "ET1", "PC1", "DR1"]
    assert [event["order"] for event in found] == [100, 99, 98, 97, 96]


JOURNEY = a_history(ANNOUNCED, TAKEN, AT_DEPOT, OUT, ABSENT, HELD, DELIVERED, status=Status.DELIVERED, final=True)


@given(listed=st.permutations(JOURNEY.events))
def test_the_order_in_which_events_are_listed_does_not_matter(listed: list[HistoryEntry]) -> None:
    again = msgspec.structs.replace(JOURNEY, events=tuple(listed))
    assert render(again, ITEM) == render(JOURNEY, ITEM)


def test_events_of_the_same_moment_have_one_order() -> None:
    entries = [an_entry(TAKEN, 1, id="b"), an_entry(AT_DEPOT, 1, id="c"), an_entry(ANNOUNCED, 1, id="a")]
    for listed in (entries, entries[::-1]):
        assert event_codes(a_history(events=tuple(listed))) == ["ET1", "PC1", "DR1"]


@pytest.mark.parametrize(
    ("capacity", "lang", "sentence"),
    [
        (Capacity.ADDRESSEE, "fr_FR", "Votre envoi a été remis à son destinataire."),
        (Capacity.HOLDER, "fr_FR", "Votre envoi a été remis à une personne mandatée par le destinataire."),
        (Capacity.HOLDER, "en_GB", "Your item has been handed to a person whom the addressee authorised."),
    ],
)
def test_the_sentence_alone_tells_a_holder_from_the_addressee(capacity: Capacity, lang: str, sentence: str) -> None:
    fact = ("facteo.item.handed-over", a_handing_over(capacity))
    [event] = shipment(a_history(fact, status=Status.DELIVERED, final=True), lang)["event"]
    assert (event["code"], event["label"]) == ("DI1", sentence)


def test_a_death_is_not_told() -> None:
    fact = ("facteo.item.not-delivered", NotDelivered(barcode=BARCODE, cause=Cause.DECEASED))
    for lang in ("fr_FR", "en_GB"):
        [event] = shipment(a_history(fact, status=Status.NOT_DELIVERED), lang)["event"]
        assert not {"décédé", "décès", "deceased", "died"} & set(event["label"].lower().split())


@pytest.mark.parametrize("delivery", [DELIVERED, HANDED_OVER], ids=["delivered", "handed over"])
def test_a_delivered_item_is_final_and_has_its_delivery_date(delivery: Fact) -> None:
    found = shipment(a_history(TAKEN, delivery, status=Status.DELIVERED, final=True))
    assert (found["isFinal"], found["deliveryDate"]) == (True, "2026-03-23T09:00:00+01:00")


def test_a_returned_item_is_final_but_not_delivered() -> None:
    found = shipment(a_history(TAKEN, OUT, RETURNED, status=Status.RETURNED, final=True))
    assert found["isFinal"] is True
    assert "deliveryDate" not in found
    assert [step["status"] for step in found["timeline"]] == [True, True, True, True, False]
    assert found["timeline"][3]["type"] == -1


@pytest.mark.parametrize("delivery", [DELIVERED, HANDED_OVER], ids=["delivered", "handed over"])
def test_a_delivery_after_a_return_is_one_to_the_sender(delivery: Fact) -> None:
    history = a_history(TAKEN, RETURNED, delivery, status=Status.DELIVERED, final=True, contradictions=("event-002",))
    found = shipment(history)
    assert [event["code"] for event in found["event"]] == ["DI2", "RE1", "PC1"]
    assert "deliveryDate" not in found
    assert (found["timeline"][4]["status"], found["timeline"][4]["type"]) == (True, -1)


@pytest.mark.parametrize("delivery", [DELIVERED, HANDED_OVER], ids=["delivered", "handed over"])
def test_a_return_after_a_delivery_takes_the_delivery_date_back(delivery: Fact) -> None:
    history = a_history(delivery, RETURNED, status=Status.RETURNED, final=True, contradictions=("event-001",))
    found = shipment(history)
    assert [event["code"] for event in found["event"]] == ["RE1", "DI1"]
    assert "deliveryDate" not in found


def test_a_contradiction_is_not_shown_to_customers() -> None:
    history = a_history(OUT, DELIVERED, ABSENT, status=Status.DELIVERED, final=True, contradictions=("event-002",))
    assert event_codes(history) == ["DI1", "MD2"]


def test_an_event_that_did_not_happen_is_not_shown() -> None:
    events = (an_entry(OUT, 0), an_entry(RETURNED, 1, voided_by="event-009"), an_entry(DELIVERED, 2))
    history = a_history(events=events, status=Status.DELIVERED, final=True)
    assert event_codes(history) == ["DI1", "MD2"]


def test_an_announcement_that_comes_late_or_again_is_no_news() -> None:
    assert event_codes(a_history(TAKEN, ANNOUNCED)) == ["PC1"]
    assert event_codes(a_history(ANNOUNCED, ANNOUNCED, TAKEN)) == ["PC1", "DR1"]


def test_facts_without_a_code_are_not_shown() -> None:
    stranger = ("facteo.alert.raised", None)
    assert event_codes(a_history(OUT, PRESENTED, stranger, status=Status.PRESENTED)) == ["MD2"]


def test_a_delivery_that_does_not_name_who_took_it_is_one_to_the_addressee() -> None:
    entry = an_entry(DELIVERED, data=msgspec.Raw(b'{"barcode":{"raw":"9V20524752032"}}'))
    assert event_codes(a_history(events=(entry,), status=Status.DELIVERED)) == ["DI1"]


def test_the_entry_date_is_when_the_item_came_into_the_network() -> None:
    assert shipment(a_history(ANNOUNCED, TAKEN, AT_DEPOT))["entryDate"] == "2026-03-23T09:00:00+01:00"
    assert shipment(a_history(ANNOUNCED, status=Status.ANNOUNCED))["entryDate"] == "2026-03-23T08:00:00+01:00"


@pytest.mark.parametrize(
    ("place", "kind"),
    [(HeldAt.POST_OFFICE, "BDP"), (HeldAt.POST_OFFICE_AFTER_NOTICE, "BDP"), (HeldAt.PICKUP_POINT, "A2P")],
)
def test_where_a_held_item_can_be_collected(place: HeldAt, kind: str) -> None:
    fact = ("facteo.item.held", Held(barcode=BARCODE, place=place, until=date(2026, 4, 7)))
    named = a_history(events=(an_entry(fact, place="Paris Louvre"),), status=Status.HELD)
    found = shipment(named)
    assert found["contextData"]["removalPoint"] == {"name": "Paris Louvre", "type": kind}
    assert found["event"][0]["label"].endswith("jusqu'au 07/04/2026 inclus.")
    gone = a_history(events=(*named.events, an_entry(DELIVERED, 1)), status=Status.DELIVERED)
    assert "removalPoint" not in shipment(gone)["contextData"]
    assert "removalPoint" not in shipment(a_history(fact, status=Status.HELD))["contextData"]


def test_countries_are_told_where_they_are_known() -> None:
    found = shipment(a_history(TAKEN, item="RB123456785US", addressee=Addressee(name="A", country="MC")))
    assert (found["contextData"]["originCountry"], found["contextData"]["arrivalCountry"]) == ("US", "MC")
    assert "arrivalCountry" not in shipment(a_history(TAKEN))["contextData"]


# --- dates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "date_shown"),
    [
        (datetime(2023, 3, 9, 8, 38, tzinfo=UTC), "2023-03-09T09:38:00+01:00"),
        (datetime(2026, 7, 1, 7, 38, 59, 999, tzinfo=UTC), "2026-07-01T09:38:59+02:00"),
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "2026-03-29T01:59:59+01:00"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "2026-03-29T03:00:00+02:00"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-25T02:30:00+02:00"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2026-10-25T02:30:00+01:00"),
    ],
)
def test_dates_carry_the_offset_of_paris(at: datetime, date_shown: str) -> None:
    found = shipment(a_history(events=(an_entry(TAKEN, at=at),)))
    assert found["event"][0]["date"] == date_shown
    assert datetime.fromisoformat(date_shown) == at.replace(microsecond=0)


# --- holders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "holder"),
    [
        ("1A12345678901", 1),
        ("87000634002228A", 1),
        ("RB123456785US", 2),
        ("CB662173705US", 2),
        ("LU680211095FR", 2),
        ("EE471108151FR", 3),
        ("XY746876977FR", 3),
        ("EW112720413FR", 4),
        ("9V20524752032", 4),
        ("%00101006M000000000170849250", 4),
        ("106141412345678908", 4),
    ],
)
def test_who_answers_for_an_item(item: str, holder: int) -> None:
    assert holder_of(parse(item)) == holder


def test_every_kind_with_a_number_has_a_holder() -> None:
    assert set(HOLDER_OF_KIND.values()) | {Holder.CHRONOPOST} == set(Holder)


# --- answers without a shipment, languages --------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ("RB658828494MQ", 404),
        ("9v 2052 475 203 2", 404),
        ("9V20524752033", 400),
        ("nonsense", 400),
        ("", 400),
        ("9V1722409000010860000037", 400),
    ],
)
def test_an_item_that_nothing_is_known_of(item: str, code: int) -> None:
    assert shown(render(None, item, "fr_FR")) == {
        "lang": "fr_FR",
        "scope": "open",
        "returnCode": code,
        "returnMessage": MESSAGES[code].french,
        "idShip": item,
    }


def test_a_refused_number_is_not_echoed_without_end() -> None:
    assert shown(render(None, "A" * 100_000))["idShip"] == "A" * MAX_ECHO


def test_an_item_of_which_nothing_may_be_shown_is_not_known() -> None:
    history = a_history(events=(an_entry(DELIVERED, voided_by="event-009"),), status=Status.UNKNOWN)
    assert render(history, ITEM).return_code == 404


@pytest.mark.parametrize(
    ("asked", "spoken"), [("fr_FR", "fr_FR"), ("en_GB", "en_GB"), ("de_DE", "fr_FR"), ("", "fr_FR")]
)
def test_the_answer_says_which_language_it_speaks(asked: str, spoken: str) -> None:
    history = a_history(TAKEN)
    assert render(history, ITEM, asked).lang == spoken
    label = shipment(history, asked)["event"][0]["label"]
    assert label == ("We have received your item." if spoken == "en_GB" else "Votre envoi nous a été confié.")


def test_several_items_are_answered_in_the_order_asked() -> None:
    answers = render_many([(ITEM, a_history(TAKEN)), ("RB658828494MQ", None), ("nonsense", None)], "en_GB")
    assert [answer.return_code for answer in answers] == [200, 404, 400]


# --- golden ---------------------------------------------------------------------------------------------


def golden_history() -> ItemHistory:
    """Announced in winter time, delivered in summer time, with everything in between that can be."""
    facts = [ANNOUNCED, TAKEN, AT_DEPOT, OUT, ABSENT, HELD, REDIRECTED, OUT, DELIVERED]
    entries = tuple(
        an_entry(fact, number, at=MONDAY + timedelta(days=number), place="Paris Louvre")
        for number, fact in enumerate(facts)
    )
    return a_history(
        events=entries, status=Status.DELIVERED, final=True, addressee=Addressee(name="Mme A B", country="FR")
    )


@pytest.mark.parametrize("lang", ["fr_FR", "en_GB"])
def test_golden_answer(lang: str) -> None:
    golden = json.loads((GOLDEN / f"{lang}.json").read_text(encoding="utf-8"))
    answer = render(golden_history(), ITEM, lang)
    assert shown(answer) == golden
    assert msgspec.json.decode(msgspec.json.encode(answer), type=SuiviAnswer) == answer
