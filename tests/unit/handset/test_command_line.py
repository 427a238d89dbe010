"""`python -m handset`: a few commands, and what it says when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from chalicelib.alerts.schemas import Flag
from handset.__main__ import main
from handset.client import Handset
from tests.support.alerts import ON_CALL, Desk, alert_of
from tests.support.bridge import NO_NETWORK, Bridge
from tests.support.factories import ITEM
from tests.support.fleet import retire

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def folder(handset: Handset) -> str:
    handset.outbox.close()
    return str(handset.folder)


def test_it_enrols_works_and_syncs(bridge: Bridge, tmp_path: Path, capsys: Printed) -> None:
    ticket = tmp_path / "ticket.json"
    ticket.write_text(json.dumps(bridge.ticket()))
    common = ["--folder", str(tmp_path / "handset"), "--connect-to", bridge.connect_to]

    assert main([*common, "enrol", "--serial", "S-1", "--ticket", str(ticket)]) == 0
    assert main([*common, "deliver", ITEM, "caretaker"]) == 0
    assert main([*common, "scan", "1234567891011", "presented"]) == 0
    assert main([*common, "status"]) == 0
    assert main([*common, "sync"]) == 0

    enrolled, *told = capsys.readouterr().out.splitlines()
    assert enrolled.endswith(", generation 1.")
    assert told[:4] == [
        "Recorded. 1 event waits to be sent.",
        "Recorded. 2 events wait to be sent.",
        "2 events wait to be sent.",
        "1 recorded, 0 known already, 1 refused.",
    ]
    assert told[4].startswith("  facteo.item.scanned number 2: ")


def test_what_a_new_enrolment_gives_up_is_told(bridge: Bridge, handset: Handset, capsys: Printed) -> None:
    handset.scan(ITEM, "presented")
    assert retire(bridge.api, handset.enrolment["device"]).status == 200
    ticket = handset.folder.with_name("ticket.json")
    ticket.write_text(json.dumps(bridge.ticket()))
    common = ["--folder", str(handset.folder), "--connect-to", bridge.connect_to]
    assert main([*common, "enrol", "--serial", "S-1", "--ticket", str(ticket)]) == 0
    told = capsys.readouterr().out
    assert "generation 2." in told
    assert "1 event was never sent and is given up" in told
    assert f"outbox-{handset.enrolment['device']}-1.db" in told


def test_without_network_nothing_is_lost(folder: str, capsys: Printed) -> None:
    assert main(["--folder", folder, "scan", ITEM, "presented"]) == 0
    assert main(["--folder", folder, "--connect-to", NO_NETWORK, "sync"]) == 1
    assert "Nothing is lost" in capsys.readouterr().err
    assert main(["--folder", folder, "--connect-to", "nowhere:at-all", "sync"]) == 1


def test_a_refusal_is_told_in_words(bridge: Bridge, folder: str, capsys: Printed) -> None:
    assert main(["--folder", folder, "--connect-to", bridge.connect_to, "round"]) == 1
    assert "404 You have no round today" in capsys.readouterr().err


@pytest.mark.parametrize("ticket", ["", "not JSON", "[]", '{"url": "http://api.facteo.test"}'])
def test_what_is_no_ticket_is_refused(ticket: str, tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "ticket.json"
    path.write_text(ticket)
    assert main(["--folder", str(tmp_path / "h"), "enrol", "--serial", "S-1", "--ticket", str(path)]) == 1
    assert "This is not a ticket" in capsys.readouterr().err
    assert not (tmp_path / "h").exists()


def test_a_folder_without_a_handset_says_so_and_exits_with_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "handset", "--folder", str(tmp_path), "status"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (1, "")
    assert "no enrolled handset" in done.stderr


def test_a_step_that_does_not_exist_is_a_usage_error(folder: str) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--folder", folder, "scan", ITEM, "teleported"])
    assert exited.value.code == 2


class TestAlertButton:
    AT = ("--at", "48.8432", "2.3056", "--radius", "9", "--battery", "64", "--place", "12 RUE LECOURBE")

    def test_it_raises_follows_and_cancels(self, bridge: Bridge, folder: str, desk: Desk, capsys: Printed) -> None:
        common = ["--folder", folder, "--connect-to", bridge.connect_to]
        assert main([*common, "pins", "2580", "1379"]) == 0
        assert main([*common, "sos", "--silent", *self.AT]) == 0
        desk.work()
        assert main([*common, "where", *self.AT]) == 0
        assert main([*common, "cancel", "1379"]) == 0
        assert main([*common, "alert"]) == 0

        told = capsys.readouterr().out.splitlines()
        told = [line for line in told if not line.startswith("{")]
        alert = told[1].removeprefix("Pressed: ")
        assert told == [
            "The PINs are set.",
            f"Pressed: {alert}",
            f"{alert}: the alert is raised",
            "Taken. Report again in 5 s.",
            f"{alert}: cancelled",
            f"{alert}: cancelled",
        ]
        assert (alert_of(alert).silent, alert_of(alert).battery) == (True, 64)
        assert Flag.DURESS in alert_of(alert).flags
        desk.sent(ON_CALL)

    def test_without_network_it_gives_the_text_and_keeps_the_press(
        self, bridge: Bridge, folder: str, desk: Desk, capsys: Printed
    ) -> None:
        assert main(["--folder", folder, "--connect-to", NO_NETWORK, "sos", "--tries", "1", *self.AT]) == 1
        printed = capsys.readouterr()
        assert 'To be sent as SMS: A"ML=1;lt=+48.84320;lg=+002.30560;' in printed.out
        assert "Nothing is lost" in printed.err
        assert main(["--folder", folder, "--connect-to", bridge.connect_to, "where"]) == 0
        desk.work()
        desk.sent(ON_CALL)

    def test_without_an_alert_it_says_so(self, folder: str, capsys: Printed) -> None:
        assert main(["--folder", folder, "where"]) == 1
        assert main(["--folder", folder, "cancel", "2580"]) == 1
        assert capsys.readouterr().err.count("There is no alert that is not over") == 2

    def test_a_self_test_that_nobody_answers_is_told(self, folder: str, capsys: Printed) -> None:
        with patch("handset.sos.PAUSES", [0] * 20):
            assert main(["--folder", folder, "--connect-to", NO_NETWORK, "self-test"]) == 1
        assert "Tell your depot before you go" in capsys.readouterr().err
