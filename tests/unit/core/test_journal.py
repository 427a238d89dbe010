"""The journal: every event once, found again by its subject, its id and the hour it was received in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import ids, journal
from chalicelib.core.errors import EventIdReused
from chalicelib.core.events import fingerprint
from chalicelib.core.journal import JournalRow
from chalicelib.core.transaction import transaction
from tests.support.clock import MONDAY_MORNING
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, recorded
from tests.support.factories import ITEM, an_item

HOUR = timedelta(hours=1)


class TestAppending:
    def test_events_of_a_subject_are_read_in_the_order_of_their_ids(self, aws: Cloud) -> None:
        late, early, between = (
            an_item_event(
                at=MONDAY_MORNING + timedelta(minutes=minutes), id=ids.derived(MONDAY_MORNING + HOUR * n, "e")
            )
            for minutes, n in ((0, 3), (2, 1), (1, 2))
        )
        recorded(late, early, between, an_item_event(item=an_item()))

        with aws.counting() as calls:
            found = journal.read(f"item/{ITEM}")

        assert found == [early, between, late]
        assert calls == {"Query": 1}
        assert journal.read("item/unheard-of") == []

    def test_the_latest_are_read_from_a_moment_on_and_no_more_than_asked(self, aws: Cloud) -> None:
        oldest, *others = (an_item_event(id=ids.new(MONDAY_MORNING + HOUR * n)) for n in range(4))
        recorded(oldest, *others)
        subject, since = f"item/{ITEM}", MONDAY_MORNING + HOUR

        assert journal.read_latest(subject, since, 9) == list(reversed(others))
        with aws.counting() as calls:
            assert journal.read_latest(subject, since, 2) == [others[2], others[1]]
        assert calls == {"Query": 1}
        assert journal.read_latest(subject, since + HOUR * 3, 9) == []

    @pytest.mark.parametrize("item", [ITEM, "8R41234567895"])
    def test_an_id_names_one_event_in_the_whole_journal(self, aws: Cloud, item: str) -> None:
        [first] = recorded(an_item_event())

        with pytest.raises(EventIdReused) as refused, transaction() as work:
            work.append(an_item_event(item=item, id=first.id, data={"step": "presented"}))

        assert refused.value.members == {"event": first.id}
        assert [row.event for row in JournalRow.scan()] == [JournalRow.of(first).event]


class TestLookingUp:
    def test_a_guard_tells_what_its_id_names_and_what_was_sent(self, aws: Cloud) -> None:
        plain, told = an_item_event(), an_item_event()
        with transaction() as work:
            work.append(plain)
            work.append(told, content="as it was sent", refusal="event-malformed")

        with aws.counting() as calls:
            found = journal.lookup([plain.id, told.id, plain.id, ids.new()])

        assert {row.id: (row.subject, row.fingerprint, row.refusal) for row in found.values()} == {
            plain.id: (plain.subject, fingerprint(plain.data), ""),
            told.id: (told.subject, "as it was sent", "event-malformed"),
        }
        assert calls == {"BatchGetItem": 1}

    def test_many_are_read_by_their_keys_a_hundred_at_a_time(self, aws: Cloud) -> None:
        one, two = recorded(an_item_event(), an_item_event(item=an_item()))
        unknown = [(f"item/{ITEM}", ids.new()) for _ in range(99)]

        with aws.counting() as calls:
            found = journal.read_many([(one.subject, one.id), *unknown, (two.subject, two.id), (one.subject, one.id)])

        assert sorted(event.id for event in found) == sorted([one.id, two.id])
        assert calls == {"BatchGetItem": 2}

    def test_nothing_asked_costs_nothing(self, aws: Cloud) -> None:
        with aws.counting() as calls:
            assert journal.read_many([]) == []
            assert journal.lookup([]) == {}
        assert calls == {}


class TestTimeIndex:
    @pytest.mark.parametrize(
        "hour",
        [
            datetime(2026, 11, 23, 23, tzinfo=UTC),
            datetime(2026, 10, 25, 0, tzinfo=UTC),  # the hours that Paris has twice
            datetime(2026, 10, 25, 1, tzinfo=UTC),
        ],
    )
    def test_the_events_of_an_hour_are_found_in_its_buckets_in_order(self, aws: Cloud, hour: datetime) -> None:
        moments = [hour + HOUR - timedelta(microseconds=1), hour, hour + HOUR / 2]
        within = [an_item_event(receivedat=moment) for moment in moments]
        recorded(
            *within, *(an_item_event(receivedat=moment) for moment in (hour - timedelta(microseconds=1), hour + HOUR))
        )

        buckets = [list(JournalRow.by_time.query(bucket)) for bucket in journal.hour_buckets(hour)]

        assert {row.id for rows in buckets for row in rows} == {event.id for event in within}
        assert all([row.position for row in rows] == sorted(row.position for row in rows) for rows in buckets)

    @given(
        st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()),  # noqa: DTZ001
        st.uuids(version=4),
    )
    def test_an_event_stands_in_one_bucket_of_its_hour_only(self, received: datetime, event_id: object) -> None:
        row = JournalRow.of(an_item_event(receivedat=received, id=str(event_id), time=received))
        utc = received.astimezone(UTC)

        assert row.bucket in journal.hour_buckets(received)
        assert row.bucket not in journal.hour_buckets(utc + HOUR) + journal.hour_buckets(utc - HOUR)

    @pytest.mark.usefixtures("clock")
    def test_the_events_of_an_hour_are_spread_over_all_its_buckets(self) -> None:
        rows = [JournalRow.of(an_item_event(id=ids.derived(MONDAY_MORNING, str(n)))) for n in range(500)]

        assert {row.bucket for row in rows} == set(journal.hour_buckets(MONDAY_MORNING))
