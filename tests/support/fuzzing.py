"""How far fuzzing goes: `FACTEO_EXAMPLES` for each operation or parser, and `FACTEO_SEED` to go another way."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

EXAMPLES = int(os.environ.get("FACTEO_EXAMPLES", "15"))
SEED = int(os.environ.get("FACTEO_SEED", "20261123"))

_PASSED_OVER = [check for check in HealthCheck if check is not HealthCheck.return_value]
"""A fuzzer that looks for odd input may be slow in finding it, and its examples share one back office."""


def bounded(test: Any) -> Any:
    """Run a property test with so many examples: the same ones for the same seed."""
    phases = [Phase.explicit, Phase.generate, Phase.shrink]
    wanted = settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=phases, suppress_health_check=_PASSED_OVER
    )
    return seed(SEED)(wanted(test))
