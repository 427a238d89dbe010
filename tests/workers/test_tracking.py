"""The tracking connector: each event one line for its sender, whatever the order and however often it comes."""

from __future__ import annotations

import random
from datetime import timedelta
from unittest.mock import patch

import pytest

from chalicelib.connectors.tracking import rules, service
from chalicelib.connectors.tracking.tables import DueRow, LineRow, TrackingRow
from chalicelib.connectors.tracking.workers import tracking
from chalicelib.core import clock as clocks
from chalicelib.core import inbox, settings
from chalicelib.core.events import Event
from chalicelib.core.inbox import InboxRow
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, announced, deliver, recorded
from tests.support.factories import an_addressee, an_item
from tests.support.races import overtaken

CLIENT, OTHER = "999999", "111111"


def waiting(client: str = CLIENT) -> list[str]:
    """The client's pending lines in the order of the file, without end of line."""
    rows = [row for shard in rules.line_partitions(client) for row in LineRow.query(shard)]
    return [row.text.removesuffix("\r\n") for row in sorted(rows, key=lambda row: row.sk)]


def codes(client: str = CLIENT) -> list[str]:
    """Situation and justification of each pending line."""
    return ["".join(line.split(";")[4:6]) for line in waiting(client)]


def due() -> set[str]:
    return {row.sk for shard in rules.due_partitions() for row in DueRow.query(shard)}


def a_history(item: str, *, client: str = CLIENT) -> list[Event]:
    """An announced item that is taken in charge, arrives and is delivered: four events, a minute apart."""
    made = announced(item, client=client, reference=f"REF-{item}")
    now = clocks.now()
    later = recorded(
        an_item_event(item=item, at=now + timedelta(minutes=1)),
        an_item_event(item=item, at=now + timedelta(minutes=2), data={"step": "at-depot"}),
        an_item_event("facteo.item.delivered", item=item, at=now + timedelta(minutes=3)),
    )
    return [made, *later]


class TestLines:
    def test_each_event_is_a_line_in_the_order_in_which_things_happened(self, aws: Cloud) -> None:
        item = "9V20524752032"
        history = a_history(item)

        assert deliver(tracking, history[::-1]) == []

        assert waiting() == [
            "DDD001;9V;2052475203;202611230800;COM;CFM;REF-9V20524752032",
            "DDD001;9V;2052475203;202611230801;PCH;CFM;REF-9V20524752032",
            "DDD001;9V;2052475203;202611230802;AAR;CFM;REF-9V20524752032",
            "DDD001;9V;2052475203;202611230803;LIV;CFM;REF-9V20524752032",
        ]
        assert due() == {CLIENT}

    def test_each_sender_is_told_of_its_own_items(self, aws: Cloud) -> None:
        mine, other = an_item(), an_item()
        deliver(tracking, a_history(mine) + a_history(other, client=OTHER))

        assert all(f"REF-{mine}" in line for line in waiting(CLIENT))
        assert all(f"REF-{other}" in line for line in waiting(OTHER))
        assert len(waiting(CLIENT)) == len(waiting(OTHER)) == 4
        assert due() == {CLIENT, OTHER}

    def test_the_line_leads_back_to_the_request(self, aws: Cloud) -> None:
        history = a_history(an_item())
        deliver(tracking, history)

        rows = [row for shard in rules.line_partitions(CLIENT) for row in LineRow.query(shard)]
        assert {row.correlation_id for row in rows} == {event.correlationid for event in history}

    def test_nothing_personal_is_kept(self, aws: Cloud) -> None:
        item = an_item()
        deliver(tracking, [announced(item, addressee=an_addressee(name="M. Zébulon SECRET"))])

        assert not [row for row in TrackingRow.scan() if "SECRET" in str(row.attribute_values)]

    def test_an_event_without_a_code_only_leaves_its_inbox_row(self, aws: Cloud) -> None:
        item = an_item()
        made = announced(item)
        out = recorded(an_item_event(item=item, data={"step": "out-for-delivery"}))

        assert deliver(tracking, [made, *out]) == []

        assert codes() == ["COMCFM"]
        assert inbox.unseen(service.CONSUMER, [made.id, out[0].id]) == []

    def test_what_the_file_cannot_carry_is_counted(self, aws: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
        deliver(tracking, [announced(an_item(), reference="œuvre")])

        assert waiting()[0].endswith(";oeuvre")
        assert '"CharactersReplaced":[1.0]' in capsys.readouterr().out

    def test_production_keeps_an_unconfirmed_code_for_a_replay(
        self, aws: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        item = an_item()
        made = announced(item)
        absent = recorded(an_item_event("facteo.item.not-delivered", item=item))
        with monkeypatch.context() as production:
            production.setattr(rules, "PRODUCTION", {settings.load(settings.Settings).stage})
            assert deliver(tracking, [made, *absent]) == []
        assert codes() == ["COMCFM"]

        assert deliver(tracking, absent) == []
        assert codes() == ["COMCFM", "RENACP"]


class TestRepeats:
    @pytest.mark.parametrize("seed", range(5))
    def test_twice_and_in_any_order(self, aws: Cloud, seed: int) -> None:
        """Some events come before their announcement, all come twice, in batches of any size."""
        shuffled = random.Random(seed)  # noqa: S311 - a seed that can be given again
        histories = [a_history(an_item(), client=client) for client in (CLIENT, CLIENT, OTHER)]
        messages = [event for history in histories for event in history] * 2
        shuffled.shuffle(messages)
        while messages:
            size = shuffled.randint(1, 6)
            assert deliver(tracking, messages[:size]) == []
            messages = messages[size:]

        told = ["COMCFM", "PCHCFM", "AARCFM", "LIVCFM"]
        assert sorted(codes(CLIENT)) == sorted(told * 2)
        assert codes(OTHER) == told

    def test_two_workers_at_once_write_each_line_once(self, aws: Cloud) -> None:
        history = a_history(an_item())
        with overtaken(by=lambda: deliver(tracking, history[1:])):
            assert deliver(tracking, history) == []

        assert codes() == ["COMCFM", "PCHCFM", "AARCFM", "LIVCFM"]

    def test_a_repeat_marks_the_client_that_a_crash_left_unmarked(self, aws: Cloud) -> None:
        history = a_history(an_item())
        with patch.object(service, "_mark_due", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            deliver(tracking, history)
        assert (len(waiting()), due()) == (4, set())

        assert deliver(tracking, history) == []
        assert (len(waiting()), due()) == (4, {CLIENT})

    def test_a_marker_changes_with_each_new_line(self, aws: Cloud) -> None:
        deliver(tracking, [announced(an_item())])
        [before] = [row.touched for shard in rules.due_partitions() for row in DueRow.query(shard)]
        deliver(tracking, [announced(an_item())])
        [after] = [row.touched for shard in rules.due_partitions() for row in DueRow.query(shard)]
        assert before != after


class TestBeforeTheAnnouncement:
    def test_an_event_of_an_unknown_item_waits_in_the_journal(self, aws: Cloud) -> None:
        item = an_item()
        scan = recorded(an_item_event(item=item))

        assert deliver(tracking, scan) == []
        assert list(TrackingRow.scan()) == []
        assert inbox.unseen(service.CONSUMER, [scan[0].id]) == [scan[0].id]

        assert deliver(tracking, [announced(item)]) == []
        assert sorted(codes()) == ["COMCFM", "PCHCFM"]
        assert deliver(tracking, scan) == []
        assert sorted(codes()) == ["COMCFM", "PCHCFM"]

    def test_what_a_lost_handset_said_is_not_fetched(self, aws: Cloud) -> None:
        item = an_item()
        recorded(an_item_event(item=item, quarantined=True))

        assert deliver(tracking, [announced(item)]) == []
        assert codes() == ["COMCFM"]

    def test_a_former_life_of_the_number_is_nobody_elses_business(self, aws: Cloud, clock: FakeClock) -> None:
        item = an_item()
        deliver(tracking, [announced(item), *recorded(an_item_event("facteo.item.delivered", item=item))])
        clock.advance(days=401)
        for row in InboxRow.scan():
            row.delete()  # as DynamoDB does by then

        assert deliver(tracking, [announced(item, client="777777")]) == []
        assert codes("777777") == ["COMCFM"]
        assert sorted(codes()) == ["COMCFM", "LIVCFM"]

    def test_an_event_that_cannot_be_told_does_not_hold_back_the_announcement(self, aws: Cloud) -> None:
        item = an_item()
        strange = recorded(an_item_event("facteo.item.photographed", item=item), an_item_event(item=item))

        assert deliver(tracking, strange[:1]) == ["m-1"]
        assert deliver(tracking, [announced(item)]) == []
        assert sorted(codes()) == ["COMCFM", "PCHCFM"]
        assert deliver(tracking, strange[:1]) == ["m-1"]

    def test_another_kind_of_event_of_the_item_is_none_of_its_business(self, aws: Cloud) -> None:
        item = an_item()
        recorded(an_item_event("facteo.redirection.applied", item=item))

        assert deliver(tracking, [announced(item)]) == []
        assert codes() == ["COMCFM"]


class TestPoison:
    @pytest.mark.parametrize("poison", ["{", '{"specversion":"1.0"}', "facteo.item.photographed", "wrong body"])
    def test_only_the_message_that_cannot_be_taken_is_reported(self, aws: Cloud, poison: str) -> None:
        history = a_history(an_item())
        bad: dict[str, Event | str] = {
            "facteo.item.photographed": an_item_event("facteo.item.photographed"),
            "wrong body": an_item_event(data={"step": "in-orbit"}),
        }

        assert deliver(tracking, [*history[:2], bad.get(poison, poison), *history[2:]]) == ["m-3"]

        assert codes() == ["COMCFM", "PCHCFM", "AARCFM", "LIVCFM"]


def test_a_full_batch_costs_few_calls(aws: Cloud) -> None:
    item = an_item()
    deliver(tracking, [announced(item)])
    scans = recorded(*(an_item_event(item=item, data={"step": "at-depot"}) for _ in range(100)))
    with aws.counting() as calls:
        assert deliver(tracking, scans) == []
    assert calls == {"BatchGetItem": 2, "TransactWriteItems": 2, "BatchWriteItem": 1}


def test_an_inbox_row_is_kept_longer_than_a_replay_reaches_back(aws: Cloud, clock: FakeClock) -> None:
    deliver(tracking, [announced(an_item())])
    [row] = InboxRow.scan()
    assert row.expires_at > clock() + timedelta(days=366)
