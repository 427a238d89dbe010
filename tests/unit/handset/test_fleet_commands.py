"""`python -m handset check-in|obey|space`: what each prints."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handset.__main__ import main
from handset.client import Handset
from tests.support.clock import FakeClock
from tests.support.office import BOTH, LEASE_KEY, Office, no_network, serving
from tests.support.warrants import WARRANT, a_warrant

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def office() -> Iterator[Office]:
    """A handset of the command line lives by the real clock."""
    office = Office(FakeClock(datetime.now(UTC)))
    with serving(office):
        yield office


@pytest.fixture
def folder(office: Office, tmp_path: Path) -> Path:
    handset = office.enrol(tmp_path / "handset")
    (handset.folder / "personal" / "photos").mkdir(parents=True)
    (handset.folder / "personal" / "photos" / "a.jpg").write_bytes(b"mine")
    (handset.folder / "frp.json").write_text("{}")
    return handset.folder


def run(folder: Path, *arguments: str) -> int:
    return main(["--folder", str(folder), *arguments])


def test_check_in_says_until_when_the_container_can_be_read(office: Office, folder: Path, capsys: Printed) -> None:
    told = {"lease_until": "2099-11-30T09:00:00Z", "policy": 0, "next_check_in_seconds": 900}
    office.answers["/v1/check-ins"] = told
    office.answers["/v1/lease"] = {"key": base64.b64encode(LEASE_KEY).decode(), "until": told["lease_until"]}
    assert run(folder, "check-in", "--at", "48.84", "2.3", "12") == 0
    expected = "Checked in: the container can be read until 2099-11-30 10:00; policy 0. Again in 900 s.\n"
    assert capsys.readouterr().out == expected
    office.answers["/v1/check-ins"] = {**told, "lease_until": None}
    assert run(folder, "check-in") == 0
    assert capsys.readouterr().out.startswith("Checked in: no lease;")


def test_a_lost_handset_says_that_its_position_was_sent(office: Office, folder: Path, capsys: Printed) -> None:
    office.order("lost-mode", parameters={"text": "Found me?", "phone": "+33155440000"})
    office.answers["/v1/check-ins"] = {"lease_until": None, "policy": 0, "next_check_in_seconds": 300}
    office.answers["/v1/loss-positions"] = {}
    assert run(folder, "obey") == 0
    assert run(folder, "check-in", "--at", "48.84", "2.3", "12") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "The handset is declared lost: its position was sent."


def test_obey_says_what_became_of_each_order(office: Office, folder: Path, capsys: Printed) -> None:
    office.order("lock")
    office.order("message", parameters={"text": "x"}, generation=1)
    office.order("self-destruct")
    assert run(folder, "obey") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Why: Because of lock.",
        "Order 1, lock: done.",
        "Order 2, message: refused (not-mine).",
        "Order 3, self-destruct: this handset cannot do that (unknown-kind).",
    ]
    office.orders.clear()
    assert run(folder, "obey") == 0
    assert capsys.readouterr().out == "No order waits.\n"


def test_obey_without_a_network_loses_nothing(office: Office, folder: Path, capsys: Printed) -> None:
    office.order("lock")
    office.hook = no_network("")
    assert run(folder, "obey") == 1
    assert capsys.readouterr().err == "Not now: no network. Nothing is lost: try again later.\n"


def test_a_policy_of_somebody_else_is_told(office: Office, folder: Path, capsys: Printed) -> None:
    office.answers["/v1/check-ins"] = {"lease_until": None, "policy": 12, "next_check_in_seconds": 900}
    office.answers["/v1/policy"] = {"policy": "a.b.c"}
    assert run(folder, "check-in") == 1
    assert capsys.readouterr().err.startswith("What the back office answered is not its own: ")


def test_space_before_and_after_a_wipe(office: Office, folder: Path, capsys: Printed) -> None:
    handset = Handset(folder)
    assert run(folder, "space") == 0
    assert "Container: not made yet." in capsys.readouterr().out
    handset.take_lease()
    handset.container.write("round", b"{}")
    assert run(folder, "space") == 0
    until = office.clock() + timedelta(hours=72)
    personal, card, container, esim, frp = capsys.readouterr().out.splitlines()
    assert personal == "Personal space: 1 (photos/a.jpg)."
    assert (card, esim, frp) == ("SD card: empty.", "eSIM: none.", "Factory-reset protection: there.")
    assert container.startswith(f"Container: open until {until.year}-")
    assert container.endswith("; sealed: round.")

    office.order("container-wipe", a_warrant(BOTH, expires_at="2099-01-01T00:00:00Z"), reason="Stolen.")
    assert run(folder, "obey") == 0
    assert capsys.readouterr().out.splitlines() == ["Why: Stolen.", "Order 1, container-wipe: wiped."]
    assert run(folder, "obey") == 1
    assert "enrol it first" in capsys.readouterr().err
    assert run(folder, "space") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:3] == [personal, card, "Container: none."]
    assert told[-1].startswith("Wiped (container-wipe) at ")
    assert told[-1].endswith(f"by warrant {WARRANT['id']}: Stolen. 0 events were sent first, 0 died.")
