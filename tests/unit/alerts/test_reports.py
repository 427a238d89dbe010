"""How fast an alert was answered, and how fast a centre is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.alerts import ladder, reports
from chalicelib.alerts.reports import AlertDelays, Row
from chalicelib.alerts.schemas import Purpose, Reason, State, Trigger
from tests.support.alert_stories import COLLEAGUE, OPERATOR, Story
from tests.support.clock import MONDAY_MORNING

UNTIL = datetime(2027, 3, 1, tzinfo=UTC)


def a_rescue() -> Story:
    story = Story()
    story.tick(0)
    story.take(ladder.seen(story.alert, story.at(1.25), by=COLLEAGUE))
    story.tick(10)
    story.take(ladder.acked(story.alert, story.at(12.5), by=OPERATOR))
    story.take(ladder.responding(story.alert, story.at(30), by=OPERATOR))
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(600), by=OPERATOR))
    return story


# --- of one alert -------------------------------------------------------------------------------------------


def test_every_line_has_its_delays() -> None:
    story = a_rescue()
    report = reports.of_alert(story.alert, story.told)
    assert [(line.what, line.since_reception_ms, line.since_previous_ms) for line in report.timeline] == [
        ("raised", 0, 0),
        ("placed", 0, 0),
        ("notified", 0, 0),
        ("seen", 1250, 1250),
        ("notified", 10_000, 8750),
        ("acked", 12_500, 2500),
        ("responding", 30_000, 17_500),
        ("closed", 600_000, 570_000),
    ]
    assert [line.reached for line in report.timeline if line.reached] == [("step-0",), ("step-1",)]
    assert (report.state, report.reason, report.timeline[-1].reason) == (State.CLOSED, Reason.RESCUED, "rescued")
    assert report.timeline[3].by == COLLEAGUE


def test_the_figures_are_since_reception() -> None:
    story = a_rescue()
    alert = msgspec.structs.replace(story.alert, told_at=MONDAY_MORNING + timedelta(milliseconds=420))
    assert reports.of_alert(alert, story.told).delays == AlertDelays(
        alarmed_ms=0,
        feed_ms=420,
        notified_ms=0,
        seen_ms=1250,
        acked_ms=12_500,
        responding_ms=30_000,
        closed_ms=600_000,
    )


def test_what_never_happened_has_no_delay() -> None:
    story = Story(trigger=Trigger.FALL)
    assert reports.of_alert(story.alert, story.told).delays == AlertDelays()
    story.tick(31)
    delays = reports.of_alert(story.alert, story.told).delays
    assert (delays.alarmed_ms, delays.notified_ms, delays.acked_ms) == (30_000, 31_000, None)


def test_the_first_of_each_counts() -> None:
    story = Story()
    for begun in (0, 300):
        story.take(ladder.acked(story.alert, story.at(begun + 5), by=OPERATOR))
        story.tick(begun + 200)
    delays = reports.of_alert(story.alert, story.told).delays
    assert (delays.acked_ms, delays.notified_ms) == (5000, 200_000)


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_events_come_does_not_matter(chance: object) -> None:
    story = a_rescue()
    shuffled = list(story.told)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    report = reports.of_alert(story.alert, shuffled)
    assert report == reports.of_alert(story.alert, story.told)
    assert all(earlier.number < later.number for earlier, later in pairwise(report.timeline))
    assert sum(line.since_previous_ms for line in report.timeline) == report.timeline[-1].since_reception_ms


def test_what_counts_of_an_alert_for_its_centre() -> None:
    row = Row(raised_at=MONDAY_MORNING, zone="Z33", ack_seconds=12.5, purpose=Purpose.ACTUAL, reason=Reason.RESCUED)
    assert reports.row_of(a_rescue().alert, UNTIL) == row


def test_seconds_count_from_the_alarm_and_not_while_the_carrier_may_cancel() -> None:
    story = Story(trigger=Trigger.NO_MOTION)
    story.tick(30)
    story.take(ladder.acked(story.alert, story.at(38), by=OPERATOR))
    assert reports.row_of(story.alert, UNTIL).ack_seconds == 8


def test_who_closes_an_alert_that_nobody_had_taken_takes_it() -> None:
    story = Story()
    story.take(ladder.closed(story.alert, Reason.FALSE_ALARM, story.at(25), by=OPERATOR))
    assert reports.row_of(story.alert, story.at(25)).ack_seconds == 25


def test_each_zone_is_counted_for_the_time_in_which_it_had_the_alert() -> None:
    story = Story()
    story.tick(0)
    left = story.alert
    story.take(ladder.handed_over(story.alert, "LYON", left.plan, story.at(300), by=OPERATOR))
    story.take(ladder.acked(story.alert, story.at(303), by=COLLEAGUE))
    rows = [reports.row_of(left, story.at(300)), reports.row_of(story.alert, UNTIL)]
    assert [(row.zone, row.ack_seconds) for row in rows] == [("Z33", 300), ("LYON", 3)]


def test_what_its_carrier_cancelled_in_time_was_taken_by_nobody() -> None:
    story = Story(trigger=Trigger.FALL)
    story.take(ladder.cancel_asked(story.alert, story.at(20)))
    row = reports.row_of(story.alert, story.at(20))
    assert (row.ack_seconds, row.reason) == (None, Reason.CANCELLED)
    assert reports.of_centre("Z33", [row], UNTIL).actual.withdrawn == 1


# --- of a centre --------------------------------------------------------------------------------------------


def a_row(
    ack: float | None, reason: Reason = Reason.FALSE_ALARM, purpose: Purpose = Purpose.ACTUAL, days: float = 1
) -> Row:
    raised_at = UNTIL - timedelta(days=days)
    return Row(raised_at=raised_at, zone="Z33", ack_seconds=ack, purpose=purpose, reason=reason)


def test_a_centre_that_reaches_its_targets() -> None:
    rows = [*[a_row(4)] * 160, *[a_row(10)] * 2, *[a_row(40)] * 36, a_row(41), a_row(None)]
    figures = reports.of_centre("Z33", rows, UNTIL).actual
    assert (figures.alarms, figures.taken) == (200, 199)
    assert [(share.seconds, share.per_cent, share.reached) for share in figures.targets] == [
        (10, 81.0, True),
        (40, 99.0, True),
    ]
    assert [(share.seconds, share.per_cent, share.reached) for share in figures.floor] == [
        (30, 81.0, True),
        (60, 99.5, True),
    ]
    assert (figures.median_seconds, figures.percentile_98_5_seconds) == (4, 40)
    assert figures.reasons == {Reason.FALSE_ALARM: 200}


@pytest.mark.parametrize(("slow", "reached"), [(3, True), (4, False)])
def test_98_5_per_cent_are_no_less(slow: int, *, reached: bool) -> None:
    rows = [*[a_row(5)] * (200 - slow), *[a_row(None)] * slow]
    figures = reports.of_centre("Z33", rows, UNTIL).actual
    assert figures.targets[1].reached is reached
    assert figures.percentile_98_5_seconds == (5 if reached else None)


def test_drills_and_self_tests_are_apart() -> None:
    rows = [a_row(5), a_row(90, purpose=Purpose.EXERCISE), a_row(None, Reason.SELF_TEST, Purpose.SELF_TEST)]
    report = reports.of_centre("Z33", rows, UNTIL)
    assert (report.actual.alarms, report.actual.median_seconds) == (1, 5)
    assert (report.exercises.alarms, report.exercises.median_seconds) == (1, 90)
    assert report.self_tests == 1


def test_an_alarm_without_an_answer_counts_and_one_that_never_was_does_not() -> None:
    figures = reports.of_centre("Z33", [a_row(None, Reason.CANCELLED), a_row(None), a_row(5)], UNTIL).actual
    assert (figures.alarms, figures.taken, figures.withdrawn) == (2, 1, 1)
    assert figures.targets[0].per_cent == 50
    assert figures.reasons == {Reason.FALSE_ALARM: 1 + 1}


def test_nothing_is_no_share() -> None:
    figures = reports.of_centre("Z33", [], UNTIL).actual
    assert (figures.alarms, figures.median_seconds, figures.percentile_98_5_seconds) == (0, None, None)
    assert [share.reached for share in (*figures.targets, *figures.floor)] == [None] * 4


@pytest.mark.parametrize(
    ("raised_at", "until", "counts"),
    [
        ("2026-03-01T00:00:00+00:00", "2027-03-01T00:00:00+00:00", True),
        ("2026-02-28T23:59:59+00:00", "2027-03-01T00:00:00+00:00", False),
        ("2027-03-01T00:00:00+00:00", "2027-03-01T00:00:00+00:00", False),
        ("2027-02-28T00:00:00+00:00", "2028-02-29T00:00:00+00:00", True),
        ("2027-02-27T23:59:59+00:00", "2028-02-29T00:00:00+00:00", False),
    ],
)
def test_twelve_months_roll(raised_at: str, until: str, *, counts: bool) -> None:
    row = msgspec.structs.replace(a_row(5), raised_at=datetime.fromisoformat(raised_at))
    report = reports.of_centre("Z33", [row], datetime.fromisoformat(until))
    assert report.actual.alarms == counts


def test_other_centres_do_not_count() -> None:
    assert reports.of_centre("Z75", [a_row(5)], UNTIL).actual.alarms == 0


@given(st.lists(st.none() | st.floats(0, 200), min_size=1))
def test_figures_agree_with_each_other(waits: list[float | None]) -> None:
    figures = reports.of_centre("Z33", [a_row(wait) for wait in waits], UNTIL).actual
    assert figures.alarms == len(waits)
    assert figures.taken == len([wait for wait in waits if wait is not None])
    shares = [share.per_cent or 0 for share in (figures.targets[0], figures.floor[0], figures.targets[1])]
    assert shares == sorted(shares)
    within_40 = figures.targets[1].reached
    assert within_40 == (figures.percentile_98_5_seconds is not None and figures.percentile_98_5_seconds <= 40)


def test_endpoints_can_declare_them() -> None:
    _, components = msgspec.json.schema_components([reports.AlertReport, reports.CentreReport])
    assert {"AlertReport", "TimelineEntry", "AlertDelays", "CentreReport", "CentreFigures"} <= components.keys()
    report = reports.of_centre("Z33", [a_row(5)], UNTIL)
    assert msgspec.json.decode(msgspec.json.encode(report), type=reports.CentreReport) == report
