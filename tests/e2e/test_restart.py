"""`make run` stopped, started again, and killed: what was there is there, and after a kill it says that it is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from demo import staff
from handset.client import Handset
from handset.transport import NoNetwork
from infra.local_cloud import free_port
from infra.run import back_office

ITEM = "9V00000100014"


def test_state_outlives_a_clean_stop_and_a_kill_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, port = tmp_path / "back-office", free_port()
    with back_office(folder, port=port, sftp_port=0) as running:
        handset = staff.enrol(running, "C1001", tmp_path / "handset")
        handset.scan(ITEM, "at-depot")
        handset.sync()
    with pytest.raises(NoNetwork):
        handset.take_round()

    capsys.readouterr()
    with back_office(folder, port=port, sftp_port=0) as running:
        assert "Importing" not in capsys.readouterr().out
        handset = Handset(tmp_path / "handset", running.connect_to)
        handset.scan(ITEM, "out-for-delivery")
        assert handset.sync().recorded == 1
        bearer = staff.token(running, "carrier-support")
        history = staff.call(running, "GET", f"/v1/items/{ITEM}", bearer=bearer)
        assert [event["data"]["step"] for event in history["events"]] == ["at-depot", "out-for-delivery"]
        os.killpg(int((folder / "cloud" / "running").read_text()), signal.SIGKILL)

    with back_office(folder, port=port, sftp_port=0) as running:
        told = capsys.readouterr().out
        assert "was not stopped cleanly" in told
        assert "Importing demo-carriers.csv" in told
        assert staff.enrol(running, "C1001", tmp_path / "another").take_round()["snapshot"] == 1
