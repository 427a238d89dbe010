"""Wiping: all of the container and nothing else, whenever the handset is killed, and its key never speaks again."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handset import files, orders, standing, wiping
from handset.client import Handset, NotEnrolled
from handset.orders import Orders
from handset.transport import Answer, NoNetwork
from tests.support.clock import FakeClock
from tests.support.office import BOTH, Office, fingerprint, killed_at, no_network, serving
from tests.support.warrants import WARRANT, a_warrant

ITEM = "9V20524752032"
OTHERS = ("personal", "external", "esim.json", "frp.json")
FULL = {"external_storage": False, "esim": False}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def office(clock: FakeClock) -> Iterator[Office]:
    office = Office(clock)
    with serving(office):
        yield office


@pytest.fixture
def folder(office: Office, tmp_path: Path) -> Path:
    """A handset in use: three events wait, the round is sealed, and the carrier has things of their own."""
    handset = office.enrol(tmp_path / "handset")
    folder = handset.folder
    (folder / "personal" / "photos").mkdir(parents=True)
    (folder / "external").mkdir()
    for name in ("personal/photos/a.jpg", "personal/key-of-my-bike.pem", "external/music.mp3", "esim.json", "frp.json"):
        (folder / name).write_bytes(name.encode() * 100)
    handset.take_lease()
    handset.container.write("round", b'{"etag": "1", "bundle": {"snapshot": 3}}')
    handset.wallet.keep(b"\xa0")
    (folder / "vitals.json").write_text("{}")
    standing.change(handset, locked=True)
    for _ in range(3):
        handset.scan(ITEM, "out-for-delivery")
    handset.outbox.close()
    return folder


def ordered(office: Office, kind: str = "container-wipe", **parameters: bool) -> str:
    return office.order(
        kind, a_warrant(BOTH, kind=kind, parameters=parameters), parameters=parameters, reason="Stolen."
    )


def obey(folder: Path, office: Office) -> list[str]:
    return [one.what for one in Orders(Handset(folder, now=office.clock)).run()]


def others(folder: Path) -> dict[str, str]:
    """The fingerprints of what is not the operator's."""
    return {name: value for name, value in fingerprint(folder).items() if name.startswith(OTHERS)}


class TestWhatGoes:
    @pytest.mark.parametrize("kind", ["container-wipe", "release"])
    def test_the_container_and_nothing_else(self, office: Office, folder: Path, kind: str) -> None:
        before = others(folder)
        assert len(before) == 5
        ordered(office, kind)
        assert obey(folder, office) == ["wiping"]
        assert others(folder) == before
        assert sorted(path.name for path in folder.iterdir()) == sorted([*OTHERS, "wiped.json"])
        with pytest.raises(NotEnrolled):
            Handset(folder)

    @pytest.mark.parametrize(
        ("external_storage", "esim", "stays"),
        [
            (False, False, {"external", "esim.json", "frp.json"}),
            (True, False, {"esim.json", "frp.json"}),
            (False, True, {"external", "frp.json"}),
            (True, True, {"frp.json"}),
        ],
    )
    def test_everything_but_what_was_not_asked_for(
        self, office: Office, folder: Path, external_storage: bool, esim: bool, stays: set[str]
    ) -> None:
        before = {name: value for name, value in fingerprint(folder).items() if name.startswith(tuple(stays))}
        ordered(office, "full-wipe", external_storage=external_storage, esim=esim)
        assert obey(folder, office) == ["wiping"]
        assert fingerprint(folder) == before
        assert {path.name for path in folder.iterdir()} == stays

    def test_a_link_is_removed_and_not_followed(self, office: Office, folder: Path) -> None:
        before = others(folder)
        (folder / "vault" / "away").symlink_to(folder / "personal")
        (folder / "shortcut").symlink_to(folder / "personal")
        ordered(office)
        obey(folder, office)
        assert others(folder) == before
        assert not (folder / "shortcut").is_symlink()

    def test_keys_go_first(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        order: list[str] = []
        real = files.remove

        def noted(paths: Any) -> None:
            listed = list(paths)
            order.extend(path.name for path in listed)
            real(listed)

        monkeypatch.setattr(wiping, "remove", noted)
        wiping.wipe_container(folder)
        keys = {"key-1.pem", "keystore-container.key", "keystore-lease.json"}
        assert set(order[:3]) == keys


class TestWhatIsSaid:
    def test_accepted_then_the_outbox_then_the_last_word(self, office: Office, folder: Path) -> None:
        order = ordered(office)
        assert obey(folder, office) == ["wiping"]
        posts = [path.removeprefix(f"/v1/commands/{order}") for method, path in office.calls if method == "POST"]
        assert posts[-4:] == ["/reports", "/v1/events", "/v1/events", "/reports"]
        assert office.said() == [("accepted", ""), ("wiping", "")]
        assert office.reports[-1]["detail"] == {"sent": 3, "lost": 0}
        assert [event["sequence"] for event in office.events] == [1, 2, 3]

    def test_what_is_left_says_why_and_by_whose_word(self, office: Office, folder: Path, clock: FakeClock) -> None:
        order = ordered(office)
        obey(folder, office)
        assert json.loads((folder / "wiped.json").read_text()) == {
            "kind": "container-wipe",
            "warrant": WARRANT["id"],
            "reason": "Stolen.",
            "accepted_at": clock().isoformat(),
            "command": order,
            "report": office.raw_reports[-1],
            "at": clock().isoformat(),
            "sent": 3,
            "lost": 0,
        }

    def test_the_outbox_is_sent_for_a_minute_at_most(self, office: Office, folder: Path, clock: FakeClock) -> None:
        waited: list[float] = []
        real = office.call

        def slow(method: str, path: str, *rest: Any, timeout: float = 30, **options: Any) -> Answer:
            if path == "/v1/events":
                waited.append(timeout)
                clock.advance(seconds=60)
            return real(method, path, *rest, **options)

        office.call = slow  # type: ignore[method-assign]
        ordered(office)
        obey(folder, office)
        assert office.reports[-1]["detail"] == {"sent": 2, "lost": 1}
        assert waited == [30]

    def test_an_answer_is_not_waited_for_beyond_the_minute(
        self, office: Office, folder: Path, clock: FakeClock
    ) -> None:
        waited: list[float] = []
        real = office.call

        def slow(method: str, path: str, *rest: Any, timeout: float = 30, **options: Any) -> Answer:
            if path == "/v1/events":
                waited.append(timeout)
                clock.advance(seconds=50)
            return real(method, path, *rest, **options)

        office.call = slow  # type: ignore[method-assign]
        ordered(office)
        obey(folder, office)
        assert waited == [30, 10]

    def test_without_a_network_after_accepted_it_destroys_all_the_same(self, office: Office, folder: Path) -> None:
        ordered(office)

        def after_accepted(method: str, path: str) -> None:
            if office.reports:
                raise NoNetwork("gone")

        office.hook = after_accepted
        assert obey(folder, office) == ["wiping"]
        wiped = json.loads((folder / "wiped.json").read_text())
        assert (wiped["sent"], wiped["lost"]) == (0, 3)
        assert not (folder / "enrolment.json").exists()

    @pytest.mark.parametrize("content", [b"no database", b""])
    def test_an_outbox_that_cannot_be_read_does_not_stop_it(self, office: Office, folder: Path, content: bytes) -> None:
        [outbox] = folder.glob("outbox-*.db")
        outbox.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096 if content else b"no database" * 100)
        ordered(office)
        assert obey(folder, office) == ["wiping"]
        assert office.reports[-1]["detail"] == {"sent": 0, "lost": None}
        assert json.loads((folder / "wiped.json").read_text())["lost"] is None

    @pytest.mark.parametrize("answer", [{}, {"results": []}, {"results": None, "acknowledged_through": "x"}])
    def test_an_odd_answer_does_not_stop_it(self, office: Office, folder: Path, answer: dict[str, Any]) -> None:
        office.answers["/v1/events"] = answer
        ordered(office)
        assert obey(folder, office) == ["wiping"]
        assert office.reports[-1]["detail"] == {"sent": 0, "lost": 3}

    def test_nothing_that_its_last_word_is_answered_stops_it(self, office: Office, folder: Path) -> None:
        ordered(office)

        def odd(method: str, path: str) -> None:
            if path.endswith("/reports") and office.reports:
                raise ValueError("a header that is no number")

        office.hook = odd
        assert obey(folder, office) == ["wiping"]
        assert not (folder / "enrolment.json").exists()

    def test_without_the_word_of_the_back_office_nothing_is_destroyed(self, office: Office, folder: Path) -> None:
        before = fingerprint(folder)
        ordered(office)
        office.hook = no_network("/reports")
        assert obey(folder, office) == ["waiting"]
        office.hook = no_network()
        office.states[json.loads((folder / "fleet" / "orders.json").read_text()).popitem()[0]] = "cancelled"
        assert obey(folder, office) == ["dropped"]
        assert {name: value for name, value in fingerprint(folder).items() if name != "fleet/orders.json"} == before

    def test_orders_behind_a_wipe_are_not_looked_at(self, office: Office, folder: Path) -> None:
        ordered(office)
        office.order("message", parameters={"text": "x"})
        assert obey(folder, office) == ["wiping"]


class TestKilled:
    @pytest.mark.parametrize("kind", ["container-wipe", "full-wipe"])
    def test_at_any_moment_it_goes_on_and_no_old_key_speaks(
        self, office: Office, folder: Path, tmp_path: Path, kind: str
    ) -> None:
        copy, number, killed = tmp_path / "copy", 0, True
        ordered(office, kind, **(FULL if kind == "full-wipe" else {}))
        before = others(folder)
        while killed:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder, copy)
            office.forget()
            killed = killed_at(number, office, lambda: obey(copy, office))
            self.goes_on(copy, office)
            left = {path.name for path in copy.iterdir()}
            assert left <= {*OTHERS, "wiped.json"}, number
            if kind == "container-wipe":
                assert (others(copy), "wiped.json" in left) == (before, True), number
            assert office.spoke_after_its_last_word == [], number
            number += 1
        assert number > 30, "it was killed at every step"

    def goes_on(self, folder: Path, office: Office) -> None:
        """The handset is switched on again: what was begun is done at once, what was not is obeyed as ever."""
        begun = wiping.begun(folder)
        try:
            handset = Handset(folder, now=office.clock)
        except NotEnrolled:
            return
        assert not begun
        assert [one.what for one in Orders(handset).run()] == ["wiping"]

    def test_after_accepted_it_sends_what_waits_first(self, office: Office, folder: Path, clock: FakeClock) -> None:
        ordered(office)

        def killed(method: str, path: str) -> None:
            if path == "/v1/events":
                raise KeyboardInterrupt

        office.hook = killed
        with pytest.raises(KeyboardInterrupt):
            obey(folder, office)
        office.hook = no_network()
        with pytest.raises(NotEnrolled):
            Handset(folder, now=clock)
        assert office.reports[-1]["detail"] == {"sent": 3, "lost": 0}

    def test_after_its_last_word_it_says_nothing_more(self, office: Office, folder: Path, clock: FakeClock) -> None:
        ordered(office)

        def killed(method: str, path: str) -> None:
            if path.endswith("/reports") and office.reports:
                raise KeyboardInterrupt

        office.hook = killed
        with pytest.raises(KeyboardInterrupt):
            obey(folder, office)
        office.hook, calls = no_network(), len(office.calls)
        with pytest.raises(NotEnrolled):
            Handset(folder, now=clock)
        assert len(office.calls) == calls
        assert json.loads((folder / "wiped.json").read_text())["sent"] == 3

    def test_it_is_finished_before_the_handset_is_enrolled_again(
        self, office: Office, folder: Path, clock: FakeClock
    ) -> None:
        ordered(office)
        office.hook = lambda method, path: no_network("")(method, path) if office.reports else None
        assert killed_at(18, office, lambda: obey(folder, office))
        assert wiping.begun(folder)
        with pytest.raises(NoNetwork):
            Handset.enrol(folder, {"code": "c", "url": "http://127.0.0.1:9"}, serial="S-1", now=clock)
        assert not wiping.begun(folder)
        assert sorted(path.name for path in folder.iterdir() if path.name not in OTHERS)[1:] == ["wiped.json"]


def test_a_full_disk_stops_no_wipe(office: Office, folder: Path, clock: FakeClock) -> None:
    """A thief fills it, so that nothing can be written down."""
    office.order("container-wipe", a_warrant(BOTH))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with patch.object(wiping, "write_json", full), patch.object(orders, "write_json", full):
        [outcome] = Orders(Handset(folder, now=clock)).run()
    assert outcome.what == "wiping"
    left = {path.name for path in folder.iterdir()}
    assert left == {"personal", "external", "esim.json", "frp.json"}
