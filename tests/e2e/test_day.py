"""The main job: legacy file, round, offline scans, journal, queue, legacy file. Twice, since a day follows another."""

from __future__ import annotations

from demo import day
from infra.running import Run


def test_a_day_of_the_post_and_another_one(running: Run) -> None:
    before = day.files(running)
    first = day.day(running)
    second = day.day(running)
    assert day.lines(running, day.files(running) - before) == first + second, "a line left twice, or late"
