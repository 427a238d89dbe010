"""Drawn signatures: their names, what is none, and the picture that is made of them."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import msgspec
import pytest

from chalicelib.signatures import drawings
from chalicelib.signatures.schemas import Drawing, Point
from tests.support.signatures import a_drawing, a_line, a_pad

SVG = "{http://www.w3.org/2000/svg}"
OPENED = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def strokes_of(drawing: Drawing) -> list[list[list[int]]]:
    return [[[point.x, point.y, point.t, point.p] for point in stroke] for stroke in drawing.strokes]


class TestName:
    def test_it_is_the_hash_of_the_strokes_in_canonical_json(self) -> None:
        drawing = a_drawing()
        canonical = json.dumps(strokes_of(drawing), separators=(",", ":")).encode()
        assert drawings.name_of(drawing) == hashlib.sha256(canonical).hexdigest()
        assert drawings.size_of(drawing) == len(canonical)

    def test_a_point_without_pressure_is_named_with_a_zero(self) -> None:
        drawing = msgspec.json.decode('{"pad":{"width":1,"height":1,"dpi":1},"strokes":[[[7,8,9]],[]]}', type=Drawing)
        assert drawings.name_of(drawing) == hashlib.sha256(b"[[[7,8,9,0]],[]]").hexdigest()

    def test_the_pad_is_no_part_of_it(self) -> None:
        """The same strokes from another handset are the same strokes."""
        assert drawings.name_of(a_drawing(pad=a_pad(model="other"))) == drawings.name_of(a_drawing())

    def test_each_hand_has_its_own(self) -> None:
        assert len({drawings.name_of(a_drawing(seed=seed)) for seed in range(50)}) == 50


class TestDegenerate:
    @pytest.mark.parametrize("seed", range(20))
    def test_what_a_hand_draws_is_a_signature(self, seed: int) -> None:
        assert drawings.why_degenerate(a_drawing(seed=seed)) is None

    @pytest.mark.parametrize(
        ("drawing", "reason"),
        [
            (a_line(points=10), None),
            (a_line(points=9), "it has fewer than 10 points"),
            (Drawing(pad=a_pad(), strokes=((), ())), "it has fewer than 10 points"),
            (a_line(duration=200), None),
            (a_line(duration=199), "it took less than 200 ms"),
            (a_line(x=2_000, y=0), None),
            (a_line(x=0, y=2_000), None),
            (a_line(x=1_900, y=1_900), "it is smaller than 3 % of the pad in both directions"),
            (a_line(x=0, y=0), "it is smaller than 3 % of the pad in both directions"),
        ],
    )
    def test_what_is_less_than_a_signature(self, drawing: Drawing, reason: str | None) -> None:
        assert drawings.why_degenerate(drawing) == reason

    @pytest.mark.parametrize("cut", [0, 20])
    def test_time_does_not_run_backwards(self, cut: int) -> None:
        """Neither within a stroke nor from one stroke to the next."""
        points = [Point(number * 900, 900, 20 * number) for number in range(40)]
        points[20] = Point(18_000, 900, 1)
        drawing = Drawing(pad=a_pad(), strokes=(tuple(points[:cut]), tuple(points[cut:])))
        assert drawings.why_degenerate(drawing) == "its time runs backwards"


@pytest.mark.parametrize(("open_ms", "fits"), [(400, True), (399, False), (-1, False)])
def test_a_drawing_took_no_longer_than_its_screen_was_open(open_ms: int, fits: bool) -> None:
    signed = OPENED + timedelta(milliseconds=open_ms)
    assert drawings.fits_screen(a_line(duration=400), OPENED, signed) is fits


class TestPicture:
    def test_each_stroke_is_a_line_on_the_pad(self) -> None:
        drawing = Drawing(pad=a_pad(width=800, height=300), strokes=((Point(0, 65_535, 0), Point(65_535, 0, 9)),))
        root = ElementTree.fromstring(drawings.svg(drawing))  # noqa: S314 - our own
        assert root.get("viewBox") == "0 0 800 300"
        assert [path.get("d") for path in root.iter(f"{SVG}path")] == ["M0.0 300.0L800.0 0.0"]
        assert root.find(f"{SVG}g").get("stroke-linejoin") == "round"  # type: ignore[union-attr]

    def test_a_dot_is_shown_and_an_empty_stroke_is_not(self) -> None:
        drawing = Drawing(pad=a_pad(width=100, height=100), strokes=((), (Point(0, 0, 0),)))
        assert re.findall(r' d="(.*?)"', drawings.svg(drawing)) == ["M0.0 0.0L0.0 0.0"]

    def test_it_has_a_title_and_nothing_of_what_the_handset_sent_as_text(self) -> None:
        hostile = a_pad(model="</title><script>alert(1)")
        root = ElementTree.fromstring(drawings.svg(a_drawing(pad=hostile)))  # noqa: S314 - our own
        assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "g", "path"}
        assert "".join(root.itertext()) == "Signature manuscrite"
