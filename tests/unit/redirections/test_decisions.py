"""What becomes of an item at the door, and what is made of a redirection afterwards."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
import pytest

from chalicelib.core import events
from chalicelib.core.events import Event
from chalicelib.items.product_codes import Family
from chalicelib.redirections import decisions
from chalicelib.redirections.decisions import ItemFacts, decide, hops, judge
from chalicelib.redirections.schemas import RedirectionRecord
from tests.support.clock import FakeClock
from tests.support.events import an_item_event
from tests.support.redirections import a_contract, terms

NOON = datetime.fromisoformat("2026-12-24T12:00:00+01:00")
JEAN = "M JEAN DUPONT"


def test_nothing_there_is_delivered_here() -> None:
    decision = decide(ItemFacts(), JEAN, "", [], NOON)
    assert (decision.action, decision.rule, decision.redirection) == ("deliver-here", "no-contract", None)


@pytest.mark.parametrize(
    ("contract", "name", "action", "rule"),
    [
        ({}, JEAN, "redirect", "name-R2"),
        ({}, "M J DUPONT", "redirect", "name-R3"),
        ({"names": ["Jean Dupont", "Jacques Dupont"]}, "M J DUPONT", "ask", "name-R3"),
        ({}, "MME MARIE DUPONT", "deliver-here", "name-R6"),
        ({"scope": "household"}, "MME MARIE DUPONT", "redirect", "name-R6"),
        ({"scope": "household"}, "M ET MME DUPONT", "redirect", "name-R5"),
        ({"scope": "household"}, "DURAND MARIE", "deliver-here", "name-R1"),
        ({}, "SARL DUPONT JEAN", "deliver-here", "name-N2"),
        ({"companies": ["Dupont Transports"]}, "DUPONT TRANSPORTS", "ask", "name-N2"),
        ({"companies": ["Dupont Transports SARL"]}, "SARL DUPONT TRANSPORTS", "redirect", "name-N2"),
        ({"companies": ["Dupont Transports SARL"]}, JEAN, "deliver-here", "name-N2"),
        ({"kind": "hold", "new_address": None}, JEAN, "hold", "name-R2"),
        ({"verified_at": None}, JEAN, "deliver-here", "not-active"),
        ({"ended_on": date(2026, 12, 23)}, JEAN, "deliver-here", "not-active"),
        ({"ended_on": date(2026, 12, 24)}, JEAN, "redirect", "name-R2"),
    ],
)
def test_whose_the_item_is_decides(contract: dict[str, Any], name: str, action: str, rule: str) -> None:
    decision = decide(ItemFacts(), name, "", [a_contract(**contract)], NOON)

    assert (decision.action, decision.rule) == (action, rule)
    assert (decision.new_address is not None) == (action == "redirect")
    assert (decision.redirection is None) == (action == "deliver-here")
    assert 0 < len(decision.sentence) <= 120


PARCEL = Family.PARCEL


@pytest.mark.parametrize(
    ("item", "contract", "action"),
    [
        ({"do_not_forward": True}, {}, "return"),
        ({"do_not_forward": True}, {"kind": "temporary"}, "return"),
        ({"do_not_forward": True}, {"kind": "hold"}, "hold"),
        ({"family": PARCEL, "weight_grams": 2001}, {"reach": "international"}, "return"),
        ({"family": PARCEL, "weight_grams": 2001}, {"reach": "international", "kind": "temporary"}, "deliver-here"),
        ({"family": PARCEL, "weight_grams": 2000}, {"reach": "international"}, "redirect"),
        ({"family": PARCEL, "weight_grams": 9999}, {}, "redirect"),
        ({"family": None, "weight_grams": 2001}, {"reach": "international"}, "redirect"),
        ({"registered": True}, {"kind": "hold", "end": date(2027, 1, 8)}, "hold"),
        ({"registered": True}, {"kind": "hold", "end": date(2027, 1, 9)}, "deliver-here"),
        ({"registered": False}, {"kind": "hold", "end": date(2027, 1, 9)}, "hold"),
        ({"registered": True}, {}, "redirect"),
    ],
)
def test_what_a_contract_does_not_cover(item: dict[str, Any], contract: dict[str, Any], action: str) -> None:
    decision = decide(ItemFacts(**item), JEAN, "", [a_contract(**contract)], NOON)
    assert decision.action == action


def test_what_the_contract_excludes_matters_only_for_its_beneficiaries() -> None:
    decision = decide(ItemFacts(do_not_forward=True), "MME ZOE MARTIN", "", [a_contract()], NOON)
    assert decision.action == "deliver-here"


def test_nobody_is_asked_about_what_is_delivered_here_anyway() -> None:
    contract = a_contract(kind="temporary", reach="international")
    heavy = ItemFacts(family=PARCEL, weight_grams=2001)

    assert decide(heavy, "DUPOND JEAN", "", [contract], NOON).action == "deliver-here"
    assert decide(ItemFacts(), "DUPOND JEAN", "", [contract], NOON).action == "ask"


def test_an_exclusion_counts_from_its_date_on(monkeypatch: pytest.MonkeyPatch) -> None:
    marked, row = ItemFacts(do_not_forward=True), decisions.EXCLUSIONS[0]
    for since, action in ((date(2026, 12, 24), "return"), (date(2026, 12, 25), "redirect")):
        monkeypatch.setattr(decisions, "EXCLUSIONS", (row._replace(since=since),))
        assert decide(marked, JEAN, "", [a_contract()], NOON).action == action


@pytest.mark.parametrize(
    ("theirs", "on_item", "action"),
    [("Apt 3", "APT 3", "redirect"), ("Apt 3", "", "redirect"), ("", "APT 7", "redirect"), ("Apt 3", "APT 7", "ask")],
)
def test_another_flat_is_asked_about(theirs: str, on_item: str, action: str) -> None:
    contract = a_contract(apartment=theirs, scope="household")
    assert decide(ItemFacts(), JEAN, on_item, [contract], NOON).action == action


def test_the_contract_that_was_verified_last_counts_and_is_flagged() -> None:
    first = a_contract(scope="household", verified_at=datetime.fromisoformat("2026-11-20T08:00:00+01:00"))
    last = a_contract(verified_at=datetime.fromisoformat("2026-11-21T08:00:00+01:00"))

    for there in ([first, last], [last, first]):
        decision = decide(ItemFacts(), JEAN, "", there, NOON)
        assert decision.redirection is not None
        assert (decision.redirection.id, decision.flags) == (last.terms.id, ("several-redirections",))
    assert decide(ItemFacts(), JEAN, "", [first], NOON).flags == ()


def test_a_match_goes_before_a_doubt() -> None:
    doubtful, sure = a_contract(names=["Jean-Pierre Dupont"]), a_contract()
    decision = decide(ItemFacts(), JEAN, "", [doubtful, sure], NOON)
    assert (decision.action, decision.redirection and decision.redirection.id) == ("redirect", sure.terms.id)


# --- afterwards -----------------------------------------------------------------------------------------------


def told(fact: str, **changes: Any) -> Event:
    """An event of a contract: its terms from then on."""
    held = msgspec.structs.asdict(terms(**changes))
    record = RedirectionRecord(
        **held, address="", content="", parties="", requested_at=NOON, requested_by="staff/support-1"
    )
    return events.make(
        f"facteo.redirection.{fact}", "redirection/1", record, actor="staff/support-1", correlation_id="c"
    )


REQUESTED = {"revision": 1, "verified_at": None}
ENDED = {"revision": 3, "ended_on": date(2026, 12, 23)}


@pytest.mark.parametrize(
    ("history", "known", "flags"),
    [
        ([], 2, ("redirection-unknown",)),
        ([("requested", REQUESTED), ("verified", {})], 7, ("redirection-unknown",)),
        ([("requested", REQUESTED), ("verified", {})], 2, ()),
        ([("requested", REQUESTED), ("verified", {}), ("ended", ENDED)], 2, ("redirection-ended-unknown-to-device",)),
        ([("requested", REQUESTED), ("verified", {}), ("ended", ENDED)], 3, ("redirection-invalid",)),
        ([("requested", REQUESTED)], 1, ("redirection-invalid",)),
        ([("requested", REQUESTED), ("verified", {"end": date(2026, 12, 1)})], 2, ("redirection-invalid",)),
        ([("requested", REQUESTED), ("verified", {}), ("renewed", {})], 2, ()),
    ],
)
def test_a_redirection_that_happened_is_judged(
    clock: FakeClock, history: list[tuple[str, dict[str, Any]]], known: int, flags: tuple[str, ...]
) -> None:
    found = [told(fact, **changes) for fact, changes in history]
    for order in (found, found[::-1]):
        assert judge(order, known_revision=known, moment=NOON) == flags


def test_an_end_that_came_after_the_moment_changes_nothing(clock: FakeClock) -> None:
    ended = told("ended", revision=3, ended_on=date(2026, 12, 24))
    assert judge([told("verified"), ended], known_revision=2, moment=NOON) == ()


def by_contract(*names: str) -> list[Event]:
    used = [{"redirection": {"id": name, "revision": 2}} if name else {} for name in names]
    return [an_item_event("facteo.item.redirected", data=data) for data in used]


@pytest.mark.parametrize(
    ("names", "in_circles"),
    [
        ([], False),
        (["aaaaaaaa", "bbbbbbbb", "cccccccc"], False),
        (["aaaaaaaa", "bbbbbbbb", "aaaaaaaa"], True),
        (["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"], True),
        (["", "", ""], False),
        (["", "", "", ""], True),
    ],
)
def test_an_item_that_goes_in_circles(clock: FakeClock, names: list[str], in_circles: bool) -> None:
    assert hops(by_contract(*names)) == (("redirection-loop",) if in_circles else ())


def test_a_redirection_that_was_corrected_does_not_count(clock: FakeClock) -> None:
    twice = by_contract("aaaaaaaa", "aaaaaaaa")
    correction = an_item_event("facteo.item.corrected")
    corrected = msgspec.structs.replace(
        correction, data=msgspec.Raw(msgspec.json.encode({"corrects": twice[0].id, "reason": "another item"}))
    )
    assert hops([*twice, corrected]) == ()
    assert hops(twice) == ("redirection-loop",)
