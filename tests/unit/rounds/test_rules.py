"""Where an item lies: the streets of the plan, and whose word counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.core.events import Event
from chalicelib.rounds import rules
from chalicelib.rounds.schemas import HELD, NO_DEPOT, UNSORTED, Parity, Place, Placement, PlanLine
from tests.support.clock import MONDAY_MORNING
from tests.support.events import an_item_event
from tests.support.factories import a_plan_line, an_addressee

HERE, OTHER = "75015A", "75018A"


class TestStreets:
    @pytest.mark.parametrize(
        ("lines", "asked"),
        [
            ({"street": "12 RUE LECOURBE", "hamlet": "LE MOULIN"}, (12, "RUE LECOURBE")),
            ({"street": "", "hamlet": "Le Moulin Neuf"}, (None, "LE MOULIN NEUF")),
            ({"street": "", "hamlet": "", "town": "PARIS CEDEX 15"}, (None, "")),
        ],
    )
    def test_the_plan_is_asked_for_the_street_or_else_the_hamlet(
        self, lines: dict[str, str], asked: tuple[int | None, str]
    ) -> None:
        assert rules.planned_street(an_addressee(**lines)) == asked


class TestLines:
    ODD = a_plan_line(number_from=1, number_to=99, parity=Parity.ODD, route="ODD")
    EVEN = a_plan_line(number_from=2, number_to=98, parity=Parity.EVEN, route="EVEN")
    FEW = a_plan_line(number_from=11, number_to=13, route="FEW", rank=900)
    WHOLE = a_plan_line(route="WHOLE", rank=1)
    BEGINNING = a_plan_line(number_to=50, route="BEGINNING")

    @pytest.mark.parametrize(
        ("lines", "house", "route"),
        [
            ([ODD, EVEN], 7, "ODD"),
            ([ODD, EVEN], 8, "EVEN"),
            ([ODD, EVEN], 1, "ODD"),
            ([ODD, EVEN], 99, "ODD"),
            ([ODD, EVEN], 100, None),
            ([ODD, EVEN], 101, None),
            ([EVEN], 7, None),
            ([WHOLE, ODD, FEW], 12, "FEW"),
            ([WHOLE, ODD, FEW], 13, "FEW"),
            ([WHOLE, ODD, FEW], 15, "ODD"),
            ([WHOLE, ODD, FEW], 16, "WHOLE"),
            ([a_plan_line(number_from=1, number_to=99, route="BOTH", rank=1), ODD], 7, "ODD"),
            ([WHOLE, ODD], None, "WHOLE"),
            ([ODD, EVEN], None, None),
            ([BEGINNING], None, None),
            ([BEGINNING], 0, "BEGINNING"),
            ([], 7, None),
        ],
    )
    def test_the_narrowest_line_that_holds_the_house_wins(
        self, lines: Sequence[PlanLine], house: int | None, route: str | None
    ) -> None:
        for ordered in (lines, lines[::-1]):
            found = rules.line_for(house, ordered)
            assert (found.route if found else None) == route

    @pytest.mark.parametrize(
        "change",
        [
            {"number_from": 9, "number_to": 7},
            {"street": "-"},
            {"street": ""},
            {"route": "T12\n"},
            {"route": UNSORTED},
            {"depot": "75015A\n"},
            {"rank": 1_000_000},
            {"number_to": 100_000},
        ],
    )
    def test_a_line_that_no_item_could_ever_match_is_no_line(self, change: dict[str, Any]) -> None:
        told = msgspec.to_builtins(a_plan_line()) | change
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(told, PlanLine)


def placed(depot: str, minutes: int) -> Event:
    at = MONDAY_MORNING + timedelta(minutes=minutes)
    event = an_item_event("facteo.item.placed", at=at, place=f"depot/{depot}")
    body = Placement(depot=depot, route="HAND", rank=7)
    return msgspec.structs.replace(event, data=msgspec.Raw(msgspec.json.encode(body)))


def scanned(depot: str, minutes: int, step: str = "at-depot") -> Event:
    at = MONDAY_MORNING + timedelta(minutes=minutes)
    return an_item_event(at=at, data={"step": step}, place=f"depot/{depot}" if depot else "")


def held(place: str, minutes: int) -> Event:
    return an_item_event("facteo.item.held", at=MONDAY_MORNING + timedelta(minutes=minutes), place=place)


def by_hand(depot: str) -> Place:
    return Place(depot=depot, route="HAND", rank=7)


def by_plan(depot: str) -> Place:
    return Place(depot=depot, route="PLAN")


class TestPlaces:
    @pytest.mark.parametrize(
        ("events", "plan", "place"),
        [
            ([], None, None),
            ([], by_plan(HERE), by_plan(HERE)),
            ([placed(HERE, 1)], by_plan(HERE), by_hand(HERE)),
            ([placed(HERE, 1), placed(OTHER, 2)], None, by_hand(OTHER)),
            ([scanned(HERE, 1)], by_plan(HERE), by_plan(HERE)),
            ([scanned(OTHER, 1)], by_plan(HERE), Place(depot=OTHER)),
            ([scanned(OTHER, 1)], None, Place(depot=OTHER)),
            ([scanned(OTHER, 1), scanned(HERE, 2)], by_plan(HERE), by_plan(HERE)),
            ([scanned(OTHER, 1), placed(HERE, 2)], None, by_hand(HERE)),
            ([placed(HERE, 1), scanned(OTHER, 2)], by_plan(HERE), Place(depot=OTHER)),
            ([placed(HERE, 1), scanned(OTHER, 2)], by_plan(OTHER), by_plan(OTHER)),
            ([placed(HERE, 1), scanned(HERE, 2)], by_plan(HERE), by_hand(HERE)),
            ([scanned(OTHER, 1, "out-for-delivery")], by_plan(HERE), by_plan(HERE)),
            ([scanned("", 1)], by_plan(HERE), by_plan(HERE)),
        ],
    )
    def test_the_latest_word_of_staff_and_the_depot_that_holds_it_count(
        self, events: Sequence[Event], plan: Place | None, place: Place | None
    ) -> None:
        assert rules.place_of(events, plan) == place

    @pytest.mark.parametrize(
        ("events", "depot"),
        [
            ([held(f"depot/{HERE}", 1)], HERE),
            ([scanned(OTHER, 1), placed(OTHER, 2), held(f"depot/{HERE}", 3)], HERE),
            ([held(f"depot/{HERE}", 1), held(f"depot/{OTHER}", 2)], OTHER),
            ([held(f"depot/{HERE}", 1), placed(OTHER, 2)], OTHER),
            ([held("", 1)], NO_DEPOT),
        ],
    )
    def test_a_held_item_lies_with_the_depot_that_last_had_it(self, events: Sequence[Event], depot: str) -> None:
        assert rules.held_at(events) == Place(depot=depot, route=HELD)
