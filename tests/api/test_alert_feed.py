"""The consoles' feed: one for each zone, without a gap, every line once; what a console shows counts as seen."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.alerts import feed, raising
from chalicelib.alerts.raising import Origin
from chalicelib.alerts.schemas import Alert, RaiseAlert
from chalicelib.alerts.workers import alert_events
from chalicelib.core import clock as clocks
from chalicelib.core import ids
from chalicelib.core.errors import ChangedMeanwhile
from tests.support.alerts import (
    ON_CALL,
    ZONE,
    Desk,
    alert_of,
    events_of,
    raised,
    said,
)
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud
from tests.support.events import invoke, stream_event
from tests.support.factories import CARRIER, DEPOT, HeldHandset, a_handset
from tests.support.races import contended, overtaken


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


@pytest.fixture
def alert(desk: Desk, handset: HeldHandset) -> str:
    """An alert whose first three lines are in the feed."""
    found = raised(handset)
    desk.work()
    desk.sent(ON_CALL)
    return found


def read(desk: Desk, after: int | None = None, zone: str = ZONE) -> Any:
    answer = desk.operator.get(f"/v1/alert-feed/{zone}", **({} if after is None else {"after": str(after)}))
    assert answer.status == 200, answer.text
    return answer.body


def shows(desk: Desk, after: int, through: int) -> Answered:
    return desk.operator.post(f"/v1/alert-feed/{ZONE}/receipts", {"after": after, "through": through})


def whats(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(line["seq"], line["what"]) for line in lines]


def a_press(number: int) -> Alert:
    """An alert of a handset of its own, that nobody has looked at yet."""
    now = clocks.now()
    origin = Origin(device=f"device-{number}", generation=1, carrier=CARRIER, depot=DEPOT, signed_at=now)
    found = raising.new(ids.new(), RaiseAlert(), origin, correlation_id=f"press-{number}")
    assert found is not None
    return found


def gapless(lines: list[dict[str, Any]]) -> bool:
    """Whether the numbers go up by one, and of each alert every event is there, once, in its order."""
    numbers: dict[str, list[int]] = {}
    for line in lines:
        numbers.setdefault(line["alert"], []).append(line["number"])
    told = all(found == list(range(1, len(events_of(one)) + 1)) for one, found in numbers.items())
    return told and [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


class TestReading:
    def test_tells_what_happened_and_neither_where_nor_the_name(self, desk: Desk, alert: str) -> None:
        told = read(desk)
        assert whats(told["lines"]) == [(1, "raised"), (2, "placed"), (3, "notified")]
        assert (told["through"], told["more"], told["ask_again_seconds"]) == (3, False, 2)
        first = told["lines"][0]
        assert {name: first[name] for name in ("alert", "number", "by", "carrier", "depot", "state", "trigger")} == {
            "alert": alert,
            "number": 1,
            "by": f"carrier/{CARRIER}",
            "carrier": CARRIER,
            "depot": DEPOT,
            "state": "raised",
            "trigger": "manual",
        }
        assert "48.84" not in str(told)

    def test_goes_on_after_the_line_that_the_console_has(self, desk: Desk, alert: str) -> None:
        assert whats(read(desk, after=2)["lines"]) == [(3, "notified")]
        told = read(desk, after=3)
        assert (told["lines"], told["through"], told["ask_again_seconds"]) == ([], 3, 2)
        desk.closes(alert)
        told = read(desk, after=3)
        assert (whats(told["lines"]), told["ask_again_seconds"]) == ([(4, "closed")], 2)

    def test_gives_so_many_lines_at_once_and_says_that_there_are_more(
        self, desk: Desk, alert: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed, "PAGE", 2)
        first = read(desk)
        assert (whats(first["lines"]), first["through"]) == ([(1, "raised"), (2, "placed")], 2)
        assert (first["more"], first["ask_again_seconds"]) == (True, 0)
        rest = read(desk, after=2)
        assert (whats(rest["lines"]), rest["more"]) == ([(3, "notified")], False)

    def test_costs_a_query(self, desk: Desk, aws: Cloud, alert: str) -> None:
        with aws.counting() as calls:
            read(desk)
        assert calls == {"Query": 1}

    @pytest.mark.parametrize("after", [-1, "x", 10**30])
    def test_after_what_is_no_number_is_refused(self, desk: Desk, after: Any) -> None:
        answer = desk.operator.get(f"/v1/alert-feed/{ZONE}", after=str(after))
        assert (answer.status, answer.problem) == (400, "request-invalid")


class TestWriting:
    def test_each_zone_has_its_numbers(self, desk: Desk, api: Api, alert: str) -> None:
        elsewhere = raised(a_handset(api, depot="99999Z"))
        desk.work()
        desk.sent(ON_CALL)
        assert whats(desk.feed("NATIONAL")) == [(1, "raised"), (2, "placed"), (3, "notified")]
        assert {line["alert"] for line in desk.feed()} == {alert}
        assert {line["alert"] for line in desk.feed("NATIONAL")} == {elsewhere}

    def test_what_comes_again_is_told_once(self, desk: Desk, alert: str) -> None:
        before = desk.feed()
        for _ in range(2):
            assert invoke(alert_events, stream_event(*events_of(alert))) == []
        feed.bring([alert_of(alert)])
        assert desk.feed() == before

    @pytest.mark.parametrize("racing", [overtaken, contended])
    def test_of_two_who_bring_lines_at_once_both_are_told_once(self, desk: Desk, racing: Any) -> None:
        first, second = a_press(1), a_press(2)
        for press in (first, second):
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(feed, "bring", lambda _: None)
                assert invoke(alert_events, stream_event(*events_of(press.id))) == []
        found = [alert_of(first.id), alert_of(second.id)]
        assert all(one.outbox for one in found)

        with racing(by=lambda: feed.bring(found[1:])):
            feed.bring(found)

        assert gapless(desk.feed())
        assert len(desk.feed()) == 6
        desk.work()
        desk.sent(ON_CALL, ON_CALL)

    def test_more_than_fit_into_a_transaction_come_in_one_batch(self, desk: Desk) -> None:
        presses = [a_press(number) for number in range(33)]
        events = [event for press in presses for event in events_of(press.id)]
        assert invoke(alert_events, stream_event(*events)) == []
        lines = desk.feed()
        assert (len(lines), gapless(lines)) == (99, True)
        assert not any(alert_of(press.id).outbox for press in presses)
        desk.work()
        desk.sent(*[ON_CALL] * 33)

    def test_more_lines_than_fit_come_one_after_the_other(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "LINES_AT_ONCE", 2)
        presses = [a_press(number) for number in range(3)]
        events = [event for press in presses for event in events_of(press.id)]
        assert invoke(alert_events, stream_event(*events)) == []
        lines = desk.feed()
        assert (len(lines), gapless(lines)) == (9, True)
        desk.work()
        desk.sent(*[ON_CALL] * 3)

    def test_what_could_not_be_told_because_many_write_is_told_soon(self, desk: Desk, handset: HeldHandset) -> None:
        def crowded(*_: Any) -> None:
            raise ChangedMeanwhile("Somebody else wrote the feed.")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(feed, "_bring", crowded)
            alert = raised(handset)
            desk.work()
        assert desk.feed() == []
        desk.clock.advance(seconds=10)
        desk.sweep()
        assert whats(desk.feed())[:3] == [(1, "raised"), (2, "placed"), (3, "notified")]
        assert gapless(desk.feed())
        assert alert_of(alert).told_at == desk.clock.at
        desk.sent(ON_CALL, ON_CALL)

    def test_costs_a_read_and_a_transaction(self, desk: Desk, aws: Cloud, alert: str) -> None:
        desk.takes(alert)
        with aws.counting() as calls:
            feed.bring([alert_of(alert)])
        assert calls == {"GetItem": 1, "BatchGetItem": 1, "TransactWriteItems": 1}, "the first is the test's"


class TestReceipts:
    def test_what_a_console_shows_is_seen_and_not_taken(self, desk: Desk, alert: str) -> None:
        desk.clock.advance(seconds=3)
        assert shows(desk, 0, 3).status == 204
        seen = alert_of(alert)
        assert (seen.state, seen.seen_at, seen.owner, seen.acked_at) == ("seen", desk.clock.at, "", None)
        [event] = [each for each in events_of(alert) if each.type == "facteo.alert.seen"]
        assert event.actor == "staff/anne"
        desk.wait(seconds=7)
        desk.sent(ON_CALL)

    def test_is_told_once_however_many_consoles_show_it(self, desk: Desk, api: Api, alert: str) -> None:
        other = api.as_staff("dispatcher", sub="bruno")
        with overtaken(by=lambda: other.post(f"/v1/alert-feed/{ZONE}/receipts", {"after": 0, "through": 3})):
            assert shows(desk, 0, 3).status == 204
        assert shows(desk, 0, 3).status == 204
        assert said(alert).count("seen") == 1

    def test_only_what_is_shown_is_seen(self, desk: Desk, api: Api, alert: str) -> None:
        other = raised(a_handset(api))
        desk.work()
        desk.sent(ON_CALL)
        assert shows(desk, 3, 6).status == 204
        assert (alert_of(alert).state, alert_of(other).state) == ("notified", "seen")

    def test_of_lines_that_are_not_there_nothing_is_seen(self, desk: Desk, alert: str) -> None:
        for after, through in ((3, 200), (7, 9)):
            assert shows(desk, after, through).status == 204
        for after, through in ((3, 3), (3, 1)):
            assert shows(desk, after, through).problem == "request-invalid"
        assert alert_of(alert).state == "notified"

    def test_what_is_taken_or_over_stays_so(self, desk: Desk, api: Api, alert: str) -> None:
        other = raised(a_handset(api))
        desk.work()
        desk.sent(ON_CALL)
        desk.takes(alert)
        desk.closes(other)
        assert shows(desk, 0, 8).status == 204
        assert (alert_of(alert).state, alert_of(other).state) == ("acked", "closed")

    def test_a_joined_press_is_seen_as_its_alert(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        press = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        [line] = [line for line in desk.feed() if line["what"] == "joined"]
        assert shows(desk, line["seq"] - 1, line["seq"]).status == 204
        assert (alert_of(alert).state, alert_of(press).state) == ("seen", "joined")

    def test_a_line_of_before_makes_nothing_seen(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        lines = len(desk.feed())
        raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        assert shows(desk, 0, lines).status == 204
        assert alert_of(alert).state == "notified"

    def test_a_zone_that_handed_it_over_sees_it_no_more(self, desk: Desk, alert: str) -> None:
        assert desk.operator.post(f"/v1/alerts/{alert}/zone", {"zone": "NATIONAL"}).status == 200
        desk.work()
        desk.sent(ON_CALL)
        assert shows(desk, 0, len(desk.feed())).status == 204
        assert (alert_of(alert).zone, alert_of(alert).state) == ("NATIONAL", "notified")

    def test_cost_a_query_and_two_calls_for_each_alert(self, desk: Desk, aws: Cloud, alert: str) -> None:
        with aws.counting() as calls:
            shows(desk, 0, 3)
        assert calls == {"Query": 1, "GetItem": 1, "TransactWriteItems": 1}
