"""A finger on the pad: strokes for a person who is not there. Each number has a hand of its own."""

from __future__ import annotations

import math
import random
from typing import Any

_STROKES, _POINTS, _STEP_MS, _PAUSE_MS = 3, 40, 12, 120
_PAD = 65_535
MILLISECONDS = _STROKES * (_POINTS * _STEP_MS + _PAUSE_MS)
"""How long a drawing takes."""


def drawing(hand: int) -> dict[str, Any]:
    """A signature as `POST /v1/events` takes it: loops that go to the right."""
    moves = random.Random(hand)  # noqa: S311 - a hand, no secret
    strokes, t = [], 0
    for number in range(_STROKES):
        left, loops, height = 0.06 + 0.3 * number, moves.uniform(1.5, 3.5), moves.uniform(0.12, 0.3)
        stroke = []
        for point in range(_POINTS):
            along = point / (_POINTS - 1)
            x = left + 0.25 * along + 0.03 * math.sin(2 * math.pi * loops * along)
            y = 0.5 - height * (1 - along / 2) * math.cos(2 * math.pi * loops * along) + moves.uniform(-0.004, 0.004)
            stroke.append([round(x * _PAD), round(y * _PAD), t, moves.randint(90, 200)])
            t += _STEP_MS
        strokes.append(stroke)
        t += _PAUSE_MS
    return {"pad": {"width": 1080, "height": 420, "dpi": 420, "model": "Facteo demo"}, "strokes": strokes}
