"""Files for the senders' systems, handed over to a real SFTP server: each line exactly once, whatever breaks."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.connectors.tracking import despatches, rules, workers
from chalicelib.connectors.tracking.schemas import DespatchSent
from chalicelib.connectors.tracking.tables import DespatchRow, DueRow, LineRow
from chalicelib.connectors.tracking.transport import Channel, SFTPSession, TransferFailed, Transport, Unreachable, sftp
from chalicelib.core import clock as clocks
from chalicelib.core import ids, journal, settings
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.core.events import Event
from tests.support import sftp as receivers
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import Killed, after_step, die
from tests.support.events import SCHEDULED, an_item_event, announced, deliver, invoke, recorded
from tests.support.factories import an_item
from tests.support.sftp import Receiver

CLIENT, OTHER = "999999", "111111"
MANY = 15
"""There are at least so many steps: less would mean that a test no longer sees them."""
SFTP_STEPS = tuple((SFTPSession, name) for name in ("open", "upload", "size", "rename", "remove"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receivers.serving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def receiver(server: Receiver, aws: Cloud, tmp_path: Path) -> Receiver:
    """The receiver with an empty folder, and the secret that leads to it."""
    server.starts_afresh(tmp_path)
    receivers.keep_secret(server.secret)
    return server


def run() -> None:
    """The minute has passed."""
    invoke(workers.despatch, SCHEDULED)


def given_lines(count: int, client: str = CLIENT) -> list[str]:
    """Lines that wait for the client: their references."""
    references = [f"{client}/{an_item()}" for _ in range(count)]
    made = [announced(reference.split("/")[1], client=client, reference=reference) for reference in references]
    assert deliver(workers.tracking, made) == []
    return references


def lines_wait(count: int, client: str) -> list[str]:
    """The same in little time: the rows that the connector would have written."""
    references = [f"{client}/{an_item()}" for _ in range(count)]
    for reference in references:
        event_id = ids.new()
        partition, position = rules.line_partition(client, event_id), f"{clocks.stamp(clocks.now())}#{event_id}"
        text = f"DDD001;9V;2052475203;202611230800;LIV;CFM;{reference}\r\n"
        LineRow(pk=partition, sk=position, text=text, correlation_id=f"request-of-{event_id}").save()
    DueRow(pk=rules.due_partition(client), sk=client, touched=ids.new()).save()
    return references


@pytest.fixture
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer shards, thus fewer steps, for tests that stop after each of them."""
    monkeypatch.setattr(rules, "DUE_SHARDS", 1)
    monkeypatch.setattr(rules, "LINE_SHARDS", 2)


def handed_over(receiver: Receiver, client: str = CLIENT) -> Counter[str]:
    """How often each line of the client, by its reference, is in a file that the receiver had or has."""
    references = [line.split(";")[6] for line in receiver.lines()]
    return Counter(reference for reference in references if reference.startswith(f"{client}/"))


def sent_events(client: str = CLIENT) -> list[Event]:
    return journal.read(f"despatch/{client}")


def file_of(client: str = CLIENT) -> DespatchRow:
    """The client's last file."""
    return next(DespatchRow.query(f"despatch/{client}", scan_index_forward=False, limit=1))


def waiting(client: str = CLIENT) -> int:
    return sum(LineRow.count(shard) for shard in rules.line_partitions(client))


def is_due(client: str = CLIENT) -> bool:
    return DueRow.find(rules.due_partition(client), client) is not None


class TestHandOver:
    def test_what_waits_becomes_a_file_and_leaves(self, receiver: Receiver) -> None:
        item = "9V20524752032"
        made = announced(item, reference="CMD-42")
        scan = recorded(an_item_event(item=item, at=datetime(2026, 11, 23, 6, 30, tzinfo=UTC)))
        deliver(workers.tracking, [made, *scan])

        run()

        expected = (
            b"DDD001;9V;2052475203;202611230730;PCH;CFM;CMD-42\r\nDDD001;9V;2052475203;202611230800;COM;CFM;CMD-42\r\n"
        )
        assert receiver.files() == [("999999.20261123.080000_001.ok", expected)]
        assert receiver.names() == ["999999.20261123.080000_001.ok"]
        assert (waiting(), is_due()) == (0, False)

    def test_it_is_said_in_the_journal_once(self, receiver: Receiver) -> None:
        given_lines(2)
        run()
        run()

        [event] = sent_events()
        [(name, content)] = receiver.files()
        assert event.type == "facteo.despatch.sent"
        assert event.body(DespatchSent) == DespatchSent(
            client=CLIENT,
            sequence=1,
            name=name,
            lines=2,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            fixed_at=datetime(2026, 11, 23, 7, 0, tzinfo=UTC),
        )

    def test_a_line_leads_back_to_the_handset_s_request(self, receiver: Receiver) -> None:
        item = an_item()
        made = announced(item)
        scan = recorded(an_item_event(item=item, at=made.time + timedelta(minutes=1)))
        deliver(workers.tracking, [*scan, made])
        run()

        [(name, _)] = receiver.files()
        origin = despatches.origin_of(name, 2)
        assert (origin.event_id, origin.correlation_id) == (scan[0].id, scan[0].correlationid)
        for unknown in ((name, 0), (name, 3), ("999999.20261123.080000_002.ok", 1)):
            with pytest.raises(NotFound):
                despatches.origin_of(*unknown)

    def test_names_count_on(self, receiver: Receiver, clock: FakeClock) -> None:
        for _ in range(2):
            given_lines(1)
            run()
            clock.advance(minutes=1)
        assert receiver.names() == ["999999.20261123.080000_001.ok", "999999.20261123.080100_002.ok"]

    def test_the_counter_goes_on_from_999_to_000(self, receiver: Receiver, clock: FakeClock) -> None:
        given_lines(1)
        run()
        last = file_of()
        last.sk, last.sequence = rules.despatch_position(999), 999
        last.save()
        given_lines(1)
        run()
        assert receiver.names()[0] == "999999.20261123.080000_000.ok"
        assert file_of().sequence == 1000

    def test_a_long_list_leaves_in_several_files_the_oldest_lines_first(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FACTEO_DESPATCH_LINES", "3")
        settings.load.cache_clear()
        item = an_item()
        start = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
        made = announced(item)
        scans = recorded(*(an_item_event(item=item, at=start + timedelta(minutes=minute)) for minute in range(7)))
        deliver(workers.tracking, [made, *scans[::-1]])

        run()

        assert [content.count(b"\r\n") for _, content in receiver.files()] == [3, 3, 2]
        times = [line.split(";")[3] for line in receiver.lines()]
        assert times == sorted(times)
        assert len(times) == 8

    def test_nothing_to_send_makes_no_connection(self, receiver: Receiver) -> None:
        with after_step(0, die, *SFTP_STEPS) as steps:
            run()
        assert set(steps.names) == {"Query"}

    def test_an_old_marker_is_deleted(self, receiver: Receiver) -> None:
        DueRow(pk=rules.due_partition(CLIENT), sk=CLIENT, touched="once").save()
        run()
        assert not is_due()
        assert receiver.names() == []

    @pytest.mark.usefixtures("few_shards")
    def test_a_line_that_comes_at_any_moment_of_a_run_leaves_with_it_or_the_next(self, receiver: Receiver) -> None:
        for step in itertools.count(1):
            client = f"{step:06}"
            references = lines_wait(1, client)
            late: list[str] = []
            with after_step(step, lambda: late.extend(lines_wait(1, client)), *SFTP_STEPS):  # noqa: B023 - used at once
                run()
            run()
            assert handed_over(receiver, client) == Counter(references + late)
            assert not is_due(client)
            if not late:
                break
        assert step > MANY


class TestWindow:
    @pytest.mark.parametrize(
        ("at", "leaves"),
        [
            ("2026-11-24T00:59:00+01:00", True),
            ("2026-11-24T01:00:00+01:00", False),
            ("2026-11-24T05:59:59+01:00", False),
            ("2026-11-24T06:00:00+01:00", True),
            ("2026-07-24T05:59:00+02:00", False),
        ],
    )
    def test_files_leave_while_the_server_is_open(
        self, receiver: Receiver, clock: FakeClock, at: str, leaves: bool
    ) -> None:
        clock.at = datetime.fromisoformat(at).astimezone(UTC)
        given_lines(1)
        run()
        assert len(receiver.files()) == leaves
        assert is_due() is not leaves

    def test_a_run_that_reaches_the_closing_time_begins_no_other_file(
        self, receiver: Receiver, clock: FakeClock
    ) -> None:
        clock.at = datetime.fromisoformat("2026-11-24T00:59:58+01:00").astimezone(UTC)
        given_lines(1)
        given_lines(1, OTHER)
        with after_step(1, lambda: clock.advance(seconds=2), *SFTP_STEPS, only="rename"):
            run()
        assert len(receiver.files()) == 1


class TestFailures:
    def test_a_refused_client_holds_back_no_other(self, receiver: Receiver, clock: FakeClock) -> None:
        refused, sent = given_lines(2), given_lines(2, OTHER)
        receiver.refuses = CLIENT

        run()
        assert handed_over(receiver, OTHER) == Counter(sent)
        assert handed_over(receiver) == Counter()

        receiver.refuses = ""
        clock.advance(minutes=1)
        run()
        assert handed_over(receiver) == Counter(refused)

    def test_a_failure_is_counted(self, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
        given_lines(1)
        receiver.refuses = CLIENT
        run()
        assert '"DespatchesFailed":[1.0]' in capsys.readouterr().out

    def test_a_connection_that_breaks_in_the_middle_of_an_upload(self, receiver: Receiver, clock: FakeClock) -> None:
        mine, others = given_lines(3), given_lines(3, OTHER)
        receiver.breaks_after = 100
        run()
        assert receiver.files() == []
        assert len(receiver.names()) == 2, "one half of a file of each client"

        receiver.breaks_after = None
        clock.advance(minutes=1)
        run()
        assert handed_over(receiver) == Counter(mine)
        assert handed_over(receiver, OTHER) == Counter(others)
        assert all(name.endswith(".ok") for name in receiver.names()), "the halves are cleared away"

    def test_without_the_server_everything_waits(
        self, receiver: Receiver, clock: FakeClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        references = given_lines(2)
        receivers.keep_secret(receiver.secret | {"port": 1})
        run()
        assert '"DespatchesFailed":[1.0]' in capsys.readouterr().out

        receivers.keep_secret(receiver.secret)
        clock.advance(minutes=1)
        run()
        assert handed_over(receiver) == Counter(references)

    @pytest.mark.parametrize("changed", ["host_key", "password"])
    def test_neither_a_strange_server_nor_a_wrong_password(
        self, receiver: Receiver, changed: str, tmp_path: Path
    ) -> None:
        with receivers.serving(tmp_path / "stranger") as stranger:
            strange = {"host_key": stranger.secret["host_key"], "password": "wrong"}
        receivers.keep_secret(receiver.secret | {changed: strange[changed]})
        with pytest.raises(Unreachable) as refusal, sftp():
            pass
        assert strange[changed] not in str(refusal.value)

    def test_a_size_that_differs_is_not_handed_over(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        given_lines(1)
        with monkeypatch.context() as lossy:
            upload = SFTPSession.upload
            lossy.setattr(SFTPSession, "upload", lambda self, name, content: upload(self, name, content[:-1]))
            run()
        assert receiver.files() == []
        run()
        assert len(receiver.files()) == 1


@pytest.mark.usefixtures("few_shards")
class TestCrashes:
    def test_a_crash_at_the_rename_whose_answer_was_lost(self, receiver: Receiver, clock: FakeClock) -> None:
        """The server renamed, the connection broke, the receiver took the file: nothing of it can be seen."""
        references = given_lines(2)
        rename = SFTPSession.rename

        def answerless(session: SFTPSession, name: str, to: str) -> None:
            rename(session, name, to)
            receiver.pick_up()
            raise TransferFailed("connection lost")

        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(SFTPSession, "rename", answerless)
            run()
        assert file_of().state == rules.State.UPLOADED

        clock.advance(minutes=1)
        run()
        assert handed_over(receiver) == Counter(references)
        assert len(sent_events()) == 1

    def test_a_server_that_died_in_the_middle_of_a_rename(self, receiver: Receiver) -> None:
        """OpenSSH makes the new name, then deletes the old one: a crash leaves both."""
        references = given_lines(2)
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(SFTPSession, "rename", halved_by(receiver))
            run()
        assert file_of().state == rules.State.UPLOADED

        run()
        assert file_of().state == rules.State.SENT
        assert handed_over(receiver) == Counter(references)


def halved_by(receiver: Receiver) -> Callable[[SFTPSession, str, str], None]:
    """A rename of which only the first half happens."""

    def halved(_: SFTPSession, name: str, to: str) -> None:
        (receiver.folder / to).write_bytes((receiver.folder / name).read_bytes())
        raise TransferFailed("connection lost")

    return halved


@pytest.mark.usefixtures("few_shards")
class TestTwoAtOnce:
    @pytest.mark.parametrize(
        "meanwhile",
        [
            {"leased_until": datetime(2026, 11, 23, 7, 2, tzinfo=UTC)},
            {"state": rules.State.SENT.value},
            {"attempt": 2},
        ],
        ids=["held by another", "moved on by a slow one", "taken on by another"],
    )
    def test_a_file_is_taken_on_only_as_it_was_read(self, receiver: Receiver, meanwhile: dict[str, Any]) -> None:
        given_lines(1)
        with pytest.raises(Killed), after_step(1, die, *SFTP_STEPS, only="open"):
            run()
        read, now = file_of(), file_of()
        for name, value in meanwhile.items():
            setattr(now, name, value)
        now.save()
        with pytest.raises(ChangedMeanwhile):
            despatches._lease(read)

    def test_another_run_between_any_two_steps(self, receiver: Receiver) -> None:
        """While a run is under way, another one starts and ends: the lease keeps it away from the same file."""
        self.interleave(receiver, run)

    @pytest.mark.parametrize("picks_up", [False, True], ids=["left there", "picked up at once"])
    def test_another_run_takes_over_from_one_that_is_only_slow(
        self, receiver: Receiver, clock: FakeClock, picks_up: bool
    ) -> None:
        """The first run stands still longer than its lease, at any step, and then goes on as if nothing were."""

        def take_over() -> None:
            clock.advance(seconds=rules.LEASE.total_seconds() + 1)
            run()
            if picks_up:
                receiver.pick_up()

        self.interleave(receiver, take_over)

    @staticmethod
    def interleave(receiver: Receiver, other: Callable[[], None]) -> None:
        for step in itertools.count(1):
            client = f"{step:06}"
            references = lines_wait(3, client)
            with after_step(step, other, *SFTP_STEPS) as steps:
                run()
            name = steps.names[step - 1] if len(steps) >= step else "the end"
            run()
            assert handed_over(receiver, client) == Counter(references), name
            assert len(sent_events(client)) == 1
            if name == "the end":
                break
        assert step > MANY


class TestChannel:
    def test_one_connection_serves_a_run_until_it_is_dropped(self) -> None:
        opened: list[str] = []

        @contextmanager
        def connect() -> Iterator[Transport]:
            opened.append("opened")
            yield _NoTransport()
            opened.append("closed")

        with Channel(connect) as channel:
            assert channel.open() is channel.open()
            channel.drop()
            channel.open()
        assert opened == ["opened", "closed"] * 2


class _NoTransport:
    def upload(self, name: str, content: bytes) -> None:
        raise AssertionError

    def size(self, name: str) -> int | None:
        raise AssertionError

    def rename(self, name: str, to: str) -> None:
        raise AssertionError

    def remove(self, name: str) -> None:
        raise AssertionError
