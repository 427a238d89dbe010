"""The container: readable while the lease lasts, and not a moment longer; with the same lease key again it is."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from handset.container import Container, ContainerClosed
from tests.support.clock import FakeClock

LEASE, OTHER = bytes(32), bytes([1]) * 32
SECRET = "Mme Hélène LEFÈVRE".encode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def container(tmp_path: Path, clock: FakeClock) -> Container:
    """One with something in it, open for an hour."""
    container = Container(tmp_path, clock)
    container.take_lease(LEASE, clock() + timedelta(hours=1))
    container.write("round", SECRET)
    return container


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_before_the_first_lease_there_is_none(tmp_path: Path, clock: FakeClock) -> None:
    container = Container(tmp_path, clock)
    assert (container.made, container.until, container.locked, container.names()) == (False, None, False, [])
    with pytest.raises(ContainerClosed):
        container.write("round", SECRET)


def test_what_is_sealed_can_be_read_and_seen_nowhere(container: Container, tmp_path: Path) -> None:
    assert container.read("round") == SECRET
    assert container.read("another") is None
    assert container.names() == ["round"]
    assert SECRET not in everything(tmp_path)


def test_another_process_reads_it(container: Container, tmp_path: Path, clock: FakeClock) -> None:
    assert Container(tmp_path, clock).read("round") == SECRET


def test_once_the_lease_is_over_the_lease_key_is_gone_and_nothing_can_be_read(
    container: Container, tmp_path: Path, clock: FakeClock
) -> None:
    clock.advance(minutes=59, seconds=59)
    assert container.read("round") == SECRET
    clock.advance(seconds=1)
    with pytest.raises(ContainerClosed):
        container.read("round")
    with pytest.raises(ContainerClosed):
        container.write("round", b"")
    assert not (tmp_path / "keystore-lease.json").exists()
    clock.advance(hours=-1)
    with pytest.raises(ContainerClosed):
        container.read("round")


def test_with_the_same_lease_key_it_can_be_read_again(container: Container, clock: FakeClock) -> None:
    clock.advance(hours=100)
    assert container.until is None
    container.take_lease(LEASE, clock() + timedelta(hours=1))
    assert container.read("round") == SECRET


def test_another_lease_key_does_not_open_it_and_does_not_replace_it(container: Container, clock: FakeClock) -> None:
    with pytest.raises(ContainerClosed):
        container.take_lease(OTHER, clock() + timedelta(hours=1))
    assert container.read("round") == SECRET


def test_each_check_in_puts_its_end_off(container: Container, clock: FakeClock) -> None:
    container.put_off(clock() + timedelta(hours=3))
    clock.advance(hours=2)
    assert container.read("round") == SECRET
    clock.advance(hours=2)
    container.put_off(clock() + timedelta(hours=3))
    assert container.until is None, "what is over cannot be put off"


@pytest.mark.parametrize("lost", ["keystore-container.key", "keystore-lease.json"])
def test_either_key_alone_opens_nothing(container: Container, tmp_path: Path, lost: str) -> None:
    if lost == "keystore-lease.json":
        kept = json.loads((tmp_path / lost).read_text())
        (tmp_path / lost).write_text(json.dumps({**kept, "key": "A" * 43 + "="}))
        (tmp_path / lost).write_text(json.dumps({**kept, "key": "/" * 42 + "8="}))
    else:
        (tmp_path / lost).write_bytes(bytes(32))
    with pytest.raises(ContainerClosed):
        container.read("round")


@pytest.mark.parametrize("at", [0, 12, -1])
def test_what_was_changed_on_the_disk_is_not_read(container: Container, tmp_path: Path, at: int) -> None:
    path = tmp_path / "vault" / "round.sealed"
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ContainerClosed):
        container.read("round")


def test_a_seal_is_good_under_its_own_name_only(container: Container, tmp_path: Path) -> None:
    (tmp_path / "vault" / "round.sealed").rename(tmp_path / "vault" / "other.sealed")
    with pytest.raises(ContainerClosed):
        container.read("other")


def test_locked_by_order_it_takes_no_lease_until_it_is_unlocked(container: Container, clock: FakeClock) -> None:
    container.lock()
    with pytest.raises(ContainerClosed):
        container.read("round")
    with pytest.raises(ContainerClosed):
        container.take_lease(LEASE, clock() + timedelta(hours=1))
    container.unlock()
    container.take_lease(LEASE, clock() + timedelta(hours=1))
    assert container.read("round") == SECRET


def test_destroyed_it_cannot_be_read_with_any_lease(container: Container, tmp_path: Path, clock: FakeClock) -> None:
    container.destroy()
    assert list(tmp_path.iterdir()) == []
    container.take_lease(LEASE, clock() + timedelta(hours=1))
    assert container.read("round") is None


def test_killed_while_it_is_made_it_is_made_the_next_time(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "keystore-container.key").write_bytes(bytes(32))
    container = Container(tmp_path, clock)
    assert not container.made
    container.take_lease(LEASE, clock() + timedelta(hours=1))
    container.write("round", SECRET)
    assert container.read("round") == SECRET
