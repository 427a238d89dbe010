"""A legacy file that is taken in slices. It stands last: after it the queues are full of its items for a while."""

from __future__ import annotations

from demo import seed
from infra.running import Run


def test_a_file_of_several_slices_is_announced_once(running: Run) -> None:
    lines = [_line(number) for number in range(2_500)]
    content = "\n".join(["BBB001;1;964744;202611240700;202611240000;02.00;;ESSAI", *lines, ""]).encode("iso-8859-1")

    for name in ("large.txt", "large-again.txt"):
        seed.drop(running, "announcements", name, content)
    first, again = (seed.wait_for_import(running, "announcements", name) for name in ("large.txt", "large-again.txt"))

    assert (first["slices"], again["slices"]) == (3, 3)
    assert first["accepted"] + again["accepted"] == 2_500
    assert first["duplicates"] + again["duplicates"] == 2_500


def _line(number: int) -> str:
    return (
        f"DDD001;9V;{8_000_000_000 + number};1000;75015;0;;0;;O;N;M.`Rémi`DUPRÉ;;;;12 RUE LECOURBE;;75015;PARIS;"
        f"REF-{number};;;;;;FR;;;;;;;;0611111111;;;;"
    )
