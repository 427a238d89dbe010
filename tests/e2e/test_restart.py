"""`make run` stopped, started again, and killed: what was there is there, and after a kill it says that it is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from demo import day, seed, staff
from handset.client import Handset
from handset.transport import NoNetwork
from infra.local_cloud import free_port
from infra.run import back_office


def test_state_outlives_a_clean_stop_and_a_kill_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, port = tmp_path / "back-office", free_port()
    memory = folder / "handsets" / "C1001"
    with back_office(folder, port=port, sftp_port=0) as running:
        handset = staff.enrol(running, "C1001", memory)
        handset.scan(seed.ITEM, "at-depot")
        handset.sync()
    handset.scan(seed.ITEM, "out-for-delivery")
    with pytest.raises(NoNetwork):
        handset.sync()

    capsys.readouterr()
    with back_office(folder, port=port, sftp_port=0) as running:
        assert "Importing" not in capsys.readouterr().out
        handset = Handset(memory, running.connect_to)
        assert handset.sync().recorded == 1
        bearer = staff.token(running, "carrier-support")
        history = staff.call(running, "GET", f"/v1/items/{seed.ITEM}", bearer=bearer)
        scanned = [event["data"]["step"] for event in history["events"] if event["type"] == "facteo.item.scanned"]
        assert scanned == ["at-depot", "out-for-delivery"]
        day.day(running)
        assert staff.retire(running, "C1001") == handset.enrolment["device"]
        assert staff.enrol(running, "C1001", memory).enrolment["generation"] == 2
        os.killpg(int((folder / "cloud" / "running").read_text()), signal.SIGKILL)

    with back_office(folder, port=port, sftp_port=0) as running:
        told = capsys.readouterr().out
        assert "was not stopped cleanly" in told
        assert "Importing demo-carriers.csv" in told
        assert not memory.exists()
        assert staff.enrol(running, "C1001", memory).enrolment["generation"] == 1
