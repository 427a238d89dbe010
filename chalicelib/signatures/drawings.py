"""What was drawn on a handset's pad, as evidence: its name, whether it can be a signature, and how it is shown."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chalicelib.signatures.schemas import Drawing, Point

MAX_BYTES: Final = 64 * 1024
"""Strokes in canonical JSON may not be longer; a signature has some 2 to 8 kB."""

PAD_MAX: Final = 65_535
"""The right and lower edges of the pad, in the strokes' coordinates."""
MIN_POINTS: Final = 10
MIN_MILLISECONDS: Final = 200
MIN_EXTENT_PERCENT: Final = 3
"""Of the pad: what stays below it in both directions is a tap. A flat line is not."""

_LINE_SHARE: Final = 200
"""The pen's width is the pad's longer side divided by this."""


def name_of(drawing: Drawing) -> str:
    """SHA-256 (hex) of the strokes in canonical JSON: `[[[x,y,t,p],...],...]`, no spaces, four integers each."""
    return hashlib.sha256(_canonical(drawing)).hexdigest()


def size_of(drawing: Drawing) -> int:
    """Bytes of the strokes in canonical JSON."""
    return len(_canonical(drawing))


def why_degenerate(drawing: Drawing) -> str | None:
    """Why it is no signature, to stand within a sentence; None if it can be one."""
    points = list(_points(drawing))
    if len(points) < MIN_POINTS:
        return f"it has fewer than {MIN_POINTS} points"
    if any(later.t < earlier.t for earlier, later in itertools.pairwise(points)):
        return "its time runs backwards"
    if _milliseconds(points) < MIN_MILLISECONDS:
        return f"it took less than {MIN_MILLISECONDS} ms"
    if max(_extent([point.x for point in points]), _extent([point.y for point in points])) < MIN_EXTENT_PERCENT:
        return f"it is smaller than {MIN_EXTENT_PERCENT} % of the pad in both directions"
    return None


def fits_screen(drawing: Drawing, opened_at: datetime, signed_at: datetime) -> bool:
    """Whether it can have been drawn while the screen was open."""
    return timedelta(milliseconds=_milliseconds(list(_points(drawing)))) <= signed_at - opened_at


def paths(drawing: Drawing, width: float, height: float) -> Iterator[list[tuple[float, float]]]:
    """Each stroke as points of an area of that size, from its upper left corner. A dot is one point."""
    for stroke in drawing.strokes:
        if stroke:
            yield [(point.x * width / PAD_MAX, point.y * height / PAD_MAX) for point in stroke]


def svg(drawing: Drawing) -> str:
    """The strokes as SVG on the pad's size: lines with round joins and nothing of what the handset sent as text."""
    width, height = drawing.pad.width, drawing.pad.height
    lines = "".join(f'<path d="{_line(path)}"/>' for path in paths(drawing, width, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        "<title>Signature manuscrite</title>"
        f'<g fill="none" stroke="#14213d" stroke-width="{max(width, height) / _LINE_SHARE:g}" '
        f'stroke-linecap="round" stroke-linejoin="round">{lines}</g></svg>'
    )


def _canonical(drawing: Drawing) -> bytes:
    return msgspec.json.encode(drawing.strokes)


def _points(drawing: Drawing) -> Iterator[Point]:
    return (point for stroke in drawing.strokes for point in stroke)


def _milliseconds(points: list[Point]) -> int:
    times = [point.t for point in points]
    return max(times, default=0) - min(times, default=0)


def _extent(values: list[int]) -> float:
    return (max(values) - min(values)) * 100 / PAD_MAX


def _line(path: list[tuple[float, float]]) -> str:
    """A line through the points; a dot is a line to itself, which round caps show."""
    first, *others = [f"{x:.1f} {y:.1f}" for x, y in path]
    return f"M{first}L" + "L".join(others or [first])
