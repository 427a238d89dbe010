"""`python -m handset`: a few commands, and what it says when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from handset.__main__ import main
from handset.client import Handset
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
