"""The outbox: what was shown as done is on the disk, whenever the handset is killed; no number twice, no gap."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from handset.outbox import Event, Outbox

SIZE = 1024 * 1024

RECORDER = """
import sys
from pathlib import Path
from handset.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    print(outbox.add(lambda sequence: {"sequence": sequence, "by": sys.argv[3]})["sequence"], flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Outbox:
    return Outbox(path)


def record(outbox: Outbox, count: int) -> list[Event]:
    return [outbox.add(lambda sequence: {"sequence": sequence}) for _ in range(count)]


def recorder(path: Path, count: int, name: str = "one") -> subprocess.Popen[str]:
    """A process that records and says each number once it is on the disk."""
    command = [sys.executable, "-c", RECORDER, str(path), str(count), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603


def numbers(events: list[Event]) -> list[int]:
    return [event["sequence"] for event in events]


def a_result(result: str = "recorded", problem: str = "") -> dict[str, Any]:
    return {"result": result, "problem": {"type": problem} if problem else None}


REFUSED = a_result("refused", "/problems/event-malformed")


def test_numbers_begin_at_one_and_go_on_after_a_restart(path: Path) -> None:
    first = Outbox(path)
    assert numbers(record(first, 2)) == [1, 2]
    first.close()
    assert numbers(record(Outbox(path), 1)) == [3]


def test_an_event_that_could_not_be_made_takes_no_number(outbox: Outbox) -> None:
    with pytest.raises(ZeroDivisionError):
        outbox.add(lambda _: {"sequence": 1 // 0})
    assert numbers(record(outbox, 1)) == [1]
    assert numbers(outbox.all()) == [1]


def test_numbers_are_not_given_again_once_everything_is_acknowledged(outbox: Outbox) -> None:
    outbox.settle(record(outbox, 2), [a_result(), a_result()], 2)
    assert outbox.all() == []
    assert numbers(record(outbox, 1)) == [3]


def test_killed_at_any_moment_nothing_shown_is_lost_and_no_number_is_missing_or_given_twice(path: Path) -> None:
    shown: list[int] = []
    for kills_after in (1, 2, 5, 11, 23):
        with recorder(path, 10_000) as process:
            assert process.stdout
            shown += [int(process.stdout.readline()) for _ in range(kills_after)]
            process.kill()
            shown += [int(line) for line in process.stdout if line.endswith("\n")]
        kept = numbers(Outbox(path).all())
        assert kept == list(range(1, len(kept) + 1))
        assert set(shown) <= set(kept)
    assert len(set(shown)) == len(shown)


def test_two_processes_on_a_new_outbox_share_the_numbers(path: Path) -> None:
    with recorder(path, 60, "one") as one, recorder(path, 60, "two") as two:
        outputs = [one.communicate()[0], two.communicate()[0]]
    assert (one.returncode, two.returncode) == (0, 0)
    assert sorted(int(line) for output in outputs for line in output.split()) == list(range(1, 121))
    assert numbers(Outbox(path).all()) == list(range(1, 121))


def test_opening_waits_for_another_process_that_writes(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.05, other.execute, ["COMMIT"]).start()
    assert numbers(record(Outbox(path), 1)) == [1]


@pytest.mark.parametrize(("acknowledged", "left"), [(0, [1, 2, 3, 4]), (2, [3, 4]), (4, [])])
def test_only_what_is_acknowledged_is_deleted(outbox: Outbox, acknowledged: int, left: list[int]) -> None:
    outbox.settle(record(outbox, 4), [a_result()] * 4, acknowledged)
    assert numbers(outbox.all()) == left
    assert outbox.count() == len(left)


def test_what_was_never_sent_is_not_deleted_whatever_is_acknowledged(outbox: Outbox) -> None:
    """As when the handset was restored from a backup: the back office has seen higher numbers."""
    sent = record(outbox, 2)
    record(outbox, 2)
    outbox.settle(sent, [a_result(), a_result()], 500)
    assert numbers(outbox.all()) == [3, 4]


def test_refused_events_are_not_sent_again_and_go_once_acknowledged(outbox: Outbox) -> None:
    sent = record(outbox, 3)
    outbox.settle(sent, [a_result(), REFUSED, a_result()], 1)
    assert numbers(outbox.waiting(10, SIZE)) == [3]
    assert numbers(outbox.all()) == [2, 3]
    outbox.settle(sent[2:], [a_result("duplicate")], 3)
    assert outbox.all() == []


def test_a_refused_event_is_known_by_its_place_not_by_what_the_answer_calls_it(outbox: Outbox) -> None:
    """What the back office cannot read has neither id nor number in its answer."""
    outbox.settle(record(outbox, 1), [REFUSED | {"id": None, "sequence": None}], 0)
    assert outbox.count() == 0


def test_an_event_that_came_too_early_stays_and_is_sent_again(outbox: Outbox) -> None:
    outbox.settle(record(outbox, 1), [a_result("postponed")], 0)
    assert numbers(outbox.waiting(10, SIZE)) == [1]


def test_settling_happens_whole_or_not_at_all(path: Path, outbox: Outbox) -> None:
    sent = record(outbox, 2)
    with sqlite3.connect(path) as other:
        other.execute("CREATE TRIGGER full BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        outbox.settle(sent, [REFUSED, a_result()], 2)
    assert numbers(outbox.waiting(10, SIZE)) == [1, 2]


def test_the_oldest_are_sent_first_and_no_more_than_fits(outbox: Outbox) -> None:
    record(outbox, 12)
    assert numbers(outbox.waiting(5, SIZE)) == [1, 2, 3, 4, 5]
    assert numbers(outbox.waiting(5, SIZE, after=10)) == [11, 12]
    three = len('{"sequence": 1}, ') * 3
    assert numbers(outbox.waiting(5, three)) == [1, 2, 3]
    assert numbers(outbox.waiting(5, three - 1)) == [1, 2]
    assert numbers(outbox.waiting(5, 1)) == [1], "a single one may be larger"
