"""Building passes against the deployed stack: doors without a network, and a list that handsets carry to them."""

from __future__ import annotations

import pytest

from demo import doors
from infra.running import Run

REFUSALS = ["copied", "bad-signature", "out-of-perimeter", "expired"]
FIRST_DOOR = [
    *("opened", "copied", "bad-signature", "out-of-perimeter"),
    *("opened", "out-of-perimeter", "suspended"),
    *("suspended", "out-of-perimeter", "opened"),
]
"""What its log says: the story; suspended, brought, refused; lifted, brought, open."""


@pytest.mark.parametrize("time", ["once", "again"])
def test_a_shift_at_the_doors(running: Run, capsys: pytest.CaptureFixture[str], time: str) -> None:
    doors.day(running)

    printed = capsys.readouterr().out
    for refusal in REFUSALS:
        assert f": {refusal}\n" in printed
    logs = [line.partition("each entry proven: ")[2] for line in printed.splitlines() if "The log of" in line]
    assert logs == [", ".join(FIRST_DOOR), "opened, expired", "opened"]
    assert "C1001 tells where it was shown, 8 x, each time with the door's receipt" in printed
    assert "C1001 gives the pass back" in printed
