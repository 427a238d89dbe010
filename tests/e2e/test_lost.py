"""A lost handset against the deployed stack: shut out, emptied by two passkeys, found, enrolled again."""

from __future__ import annotations

import pytest

from demo import lost
from infra.running import Run


@pytest.mark.parametrize("time", ["once", "again"])
def test_a_lost_handset(running: Run, capsys: pytest.CaptureFixture[str], time: str) -> None:
    lost.day(running)

    printed = capsys.readouterr().out
    for told in (
        "its next request is refused: device-blocked",
        "its pass is suspended",
        "A fleet administrator alone orders a wipe: approvals-required",
        "awaiting-approval, 1 missing",
        "the handset verifies both, and shows: Lost on the round.",
        "3 events went up first, 0 died; the container is gone",
        "all 3 personal files are there, byte for byte",
        "staff read: wipe announced by the handset, not proven",
        "tries to enrol it again: handset-under-review",
        "Staff read: wiped (the same handset was enrolled with a new key)",
        "no old order runs on it",
        "what was ordered (container-wipe: wiped)",
    ):
        assert told in printed
