"""The AWS calls of what the load run sends, counted with moto in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from bench.kinds import Measured
from bench.ledger import Clerk
from bench.stage import moto_cloud
from infra.build import ROOT

ITEMS = 10


def counted_apart(scans: int) -> Mapping[str, Mapping[str, int]]:
    """Kind of request → AWS calls by operation. Apart, for moto would answer the whole process."""
    command = [sys.executable, "-m", "bench.calls", str(scans)]
    told: dict[str, dict[str, int]] = json.loads(
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    )
    return told


def _counted(scans: int) -> dict[str, dict[str, int]]:
    with moto_cloud(), Clerk().listening() as clerk:
        of = Measured(clerk)
        sync = of.sync(scans)
        of.new_round(ITEMS)
        return {
            "GET /v1/round": dict(of.unchanged_round().ledger.calls),
            "POST /v1/events": dict(sync.ledger.calls),
        }


if __name__ == "__main__":
    print(json.dumps(_counted(int(sys.argv[1]))))
