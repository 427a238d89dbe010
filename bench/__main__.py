"""The command: prints every figure beside its bound, and what was measured on. `python -m bench passes`: some of it."""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import cold_start, machine, passes, scan

MIB = 2**20


def main(parts: Sequence[str]) -> int:
    """Measure these parts. Returns 1 if a ratio is beyond its bound, 2 if there is no such part."""
    if not PARTS.keys() >= set(parts):
        print(f"Parts are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    print(f"{machine.told()} at the start\n")
    beyond = [name for part in parts for name in PARTS[part]()]
    print(f"{len(beyond)} beyond their bounds: {', '.join(beyond)}" if beyond else "All within their bounds.")
    return 1 if beyond else 0


def _cold_starts() -> list[str]:
    with tempfile.TemporaryDirectory() as made:
        return _cold_starts_in(Path(made))


def _cold_starts_in(folder: Path) -> list[str]:
    figures = cold_start.measure(folder)
    print(f"{'cold start (CPU ms, import and first client)':46}{'bare':>8}{'ours':>8}{'ratio':>8}{'bound':>8}")
    for figure in figures:
        bound = f"{figure.bound:.1f}" if figure.bound else "apart"
        cost, (*before, last) = figure.cost, textwrap.wrap(figure.name, 42)
        for line in before:
            print(f"  {line}")
        print(f"  {last:44}{cost.bare:8.0f}{cost.ours:8.0f}{cost.ratio:8.2f}{bound:>8}")
    sizes = [(name, (folder / name / "deployment.zip").stat().st_size / MIB) for name in ("bare", "ours")]
    print("zip (MiB): " + ", ".join(f"{name} {size:.1f}" for name, size in sizes) + "\n")
    return [figure.name for figure in figures if figure.bound and figure.cost.ratio > figure.bound]


def _scans() -> list[str]:
    print(f"{'scans (CPU ms for a signed request)':46}{'bare':>8}{'ours':>8}{'ratio':>8}{'bound':>8}")
    figures = scan.measure()
    for one in figures:
        name = f"{one.scans} scans, {one.calls} calls"
        cost, quartiles = one.cost, ", ".join(f"{value:.2f}" for value in one.cost.quartiles)
        print(f"  {name:44}{cost.bare:8.2f}{cost.ours:8.2f}{cost.ratio:8.2f}{scan.BOUND:8.1f}")
        print(f"    quartiles of the ratio in {scan.TURNS} turns: {quartiles}")
        print(f"    {one.request_bytes} bytes from the handset, {one.dynamodb_bytes} to DynamoDB")
    print()
    return [f"{one.scans} scans" for one in figures if one.cost.ratio > scan.BOUND]


def _passes() -> list[str]:
    print(f"{'passes (CPU µs for one)':46}{'bare':>8}{'ours':>8}{'ratio':>8}{'bound':>8}")
    figures = passes.measure()
    for one in figures:
        cost, bound = one.cost, f"{one.bound:.1f}" if one.bound else "apart"
        quartiles = ", ".join(f"{value:.2f}" for value in cost.quartiles)
        print(f"  {one.name:44}{cost.bare * 1000:8.1f}{cost.ours * 1000:8.1f}{cost.ratio:8.2f}{bound:>8}")
        print(f"    quartiles of the ratio in {one.turns} turns of {one.each}: {quartiles}")
        if one.note:
            print(f"    {one.note}")
    print()
    return [one.name for one in figures if one.bound and one.cost.ratio > one.bound]


PARTS: Mapping[str, Callable[[], Sequence[str]]] = {"scans": _scans, "passes": _passes, "cold-starts": _cold_starts}
"""Name of a part → what measures and prints it, and tells what is beyond its bound."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [*PARTS]))
