"""The arithmetic of comparing by turns."""

from __future__ import annotations

import pytest

from bench.turns import compared


def test_the_ratio_is_the_middle_one_of_the_turns() -> None:
    found = compared([(0.004, 0.006), (0.004, 0.005), (0.002, 0.009)])
    assert (found.bare, found.ours) == (pytest.approx(4), pytest.approx(6))
    assert found.ratio == pytest.approx(1.5)


def test_the_quartiles_are_those_of_the_turns() -> None:
    found = compared([(1, 1 + turn / 100) for turn in range(1, 100)])
    assert found.quartiles == pytest.approx((1.25, 1.5, 1.75))
