"""The command: prints every figure beside its bound, and what was measured on."""

from __future__ import annotations

import sys
import tempfile
import textwrap
from pathlib import Path

from bench import cold_start, machine, scan

MIB = 2**20


def main() -> int:
    """Measure everything. Returns 1 if a ratio is beyond its bound."""
    print(f"{machine.told()} at the start\n")
    with tempfile.TemporaryDirectory() as folder:
        beyond = [*_scans(), *_cold_starts(Path(folder))]
    print(f"\n{len(beyond)} beyond their bounds: {', '.join(beyond)}" if beyond else "\nAll within their bounds.")
    return 1 if beyond else 0


def _cold_starts(folder: Path) -> list[str]:
    figures = cold_start.measure(folder)
    print(f"{'cold start (CPU ms, import and first client)':46}{'bare':>8}{'ours':>8}{'ratio':>8}{'bound':>8}")
    for figure in figures:
        bound = f"{figure.bound:.1f}" if figure.bound else "apart"
        cost, (*before, last) = figure.cost, textwrap.wrap(figure.name, 42)
        for line in before:
            print(f"  {line}")
        print(f"  {last:44}{cost.bare:8.0f}{cost.ours:8.0f}{cost.ratio:8.2f}{bound:>8}")
    sizes = [(name, (folder / name / "deployment.zip").stat().st_size / MIB) for name in ("bare", "ours")]
    print("zip (MiB): " + ", ".join(f"{name} {size:.1f}" for name, size in sizes))
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


if __name__ == "__main__":
    sys.exit(main())
