"""One A4 page as PDF: text that always fits, lines, bars and pen strokes. Millimetres from the upper left corner."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from chalicelib.signatures import fonts
from chalicelib.signatures.fonts import Font

WIDTH: Final = 210.0
HEIGHT: Final = 297.0
_MM: Final = 72 / 25.4
_EM: Final = 1000

Colour = tuple[float, float, float]
INK: Final[Colour] = (0.08, 0.13, 0.24)
GREY: Final[Colour] = (0.42, 0.46, 0.53)
RULE: Final[Colour] = (0.78, 0.81, 0.85)
PALE: Final[Colour] = (0.96, 0.97, 0.98)
AMBER: Final[Colour] = (0.99, 0.95, 0.85)
BLACK: Final[Colour] = (0, 0, 0)

_FONTS: Final = {False: "DejaVuSans", True: "DejaVuSans-Bold"}
_LEADING: Final = 1.3
_STEP: Final = 0.5
_SMALLEST: Final = 5.0
_LONGEST: Final = 600
_MOST: Final = 12
"""So many characters of a text, and texts of a block, are looked at: more would never fit."""
_ELLIPSIS: Final = "…"
_PEN: Final = 1.1
_BORDER: Final = 0.7
_NONSYMBOLIC: Final = 32
_CAP_HEIGHT: Final = 729
_STEM: Final = {False: 80, True: 140}
_ROUND: Final = 1


class Line(NamedTuple):
    """A text and how it looks. Sizes in points; a text that does not fit is made smaller, then shortened."""

    text: str
    size: float = 9.5
    bold: bool = False
    colour: Colour = INK


class Page:
    """A page to draw on. `pdf()` gives it, the same bytes for the same drawing."""

    def __init__(self) -> None:
        import pydyf  # noqa: PLC0415 - only documents need it

        self._pdf = pydyf.PDF()
        self._stream = pydyf.Stream(compress=True)
        self._stream.set_line_cap(_ROUND)
        self._stream.set_line_join(_ROUND)
        self._shown: dict[bool, set[str]] = {False: set(), True: set()}

    def text(self, x: float, y: float, width: float, line: Line, *, right: bool = False) -> None:
        """One line on the base line `y`, from `x` or up to `x + width`."""
        font = _font(line.bold)
        text, size = _printable(line), line.size
        while size > _SMALLEST and _measure(font, text, size) > width:
            size -= _STEP
        if _measure(font, text, size) > width:
            text = _fitting(font, text, size, width - _measure(font, _ELLIPSIS, size)) + _ELLIPSIS
        start = x + width - _measure(font, text, size) if right else x
        self._show(start, y, text, size, line)

    def block(self, x: float, y: float, width: float, height: float, lines: Sequence[Line]) -> None:
        """Texts under each other from the top `y`, broken between words, in a size at which all of them fit."""
        texts = [(line, _printable(line)) for line in lines[:_MOST]]
        shrunk, rows = 0.0, _rows(texts, 0.0, width)
        while sum(_height(size) for _, size, _ in rows) > height and any(size > _SMALLEST for _, size, _ in rows):
            shrunk += _STEP
            rows = _rows(texts, shrunk, width)
        end = y + height
        for number, (row, size, line) in enumerate(rows, start=1):
            following = sum(_height(size) for _, size, _ in rows[number : number + 1])
            cut = number < len(rows) and y + _height(size) + following > end
            self._show(x, y + size / _MM, f"{row[:-1]}{_ELLIPSIS}" if cut else row, size, line)
            y += _height(size)
            if cut:
                break

    def rule(self, x: float, y: float, width: float, colour: Colour = RULE, thickness: float = 0.25) -> None:
        """A horizontal line, its upper edge on `y`."""
        self.area(x, y, width, thickness, colour)

    def area(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        self._stream.set_color_rgb(*colour)
        self._stream.rectangle(*_place(x, y + height), width * _MM, height * _MM)
        self._stream.fill()

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """The border of a rectangle."""
        self._stream.set_color_rgb(*RULE, stroke=True)
        self._stream.set_line_width(_BORDER)
        self._stream.rectangle(*_place(x, y + height), width * _MM, height * _MM)
        self._stream.stroke()

    def modules(self, x: float, y: float, rows: Sequence[Iterable[int]], width: float, height: float) -> None:
        """A barcode or a two-dimensional code: rows of dark (1) and light modules of that size."""
        self._stream.set_color_rgb(*BLACK)
        for number, row in enumerate(rows):
            for start, length in _runs(row):
                corner = _place(x + start * width, y + (number + 1) * height)
                self._stream.rectangle(*corner, length * width * _MM, height * _MM)
        self._stream.fill()

    def pen(self, x: float, y: float, paths: Iterable[Sequence[tuple[float, float]]]) -> None:
        """Lines as a pen draws them, from points relative to `x`, `y`. One point is a dot."""
        self._stream.set_color_rgb(*INK, stroke=True)
        self._stream.set_line_width(_PEN)
        for path in paths:
            first, *others = [_place(x + dx, y + dy) for dx, dy in path]
            self._stream.move_to(*first)
            for point in others or [first]:
                self._stream.line_to(*point)
            self._stream.stroke()

    def pdf(self, title: str, made_at: datetime) -> bytes:
        """The page as PDF in French, dated as told."""
        import pydyf  # noqa: PLC0415 - only documents need it

        typefaces = pydyf.Dictionary({_key(bold): self._embed(bold).reference for bold in _FONTS})
        self._pdf.add_object(self._stream)
        self._pdf.add_page(
            pydyf.Dictionary(
                {
                    "Type": "/Page",
                    "Parent": self._pdf.pages.reference,
                    "MediaBox": pydyf.Array([0, 0, round(WIDTH * _MM, 2), round(HEIGHT * _MM, 2)]),
                    "Contents": self._stream.reference,
                    "Resources": pydyf.Dictionary({"Font": typefaces}),
                }
            )
        )
        self._pdf.catalog["Lang"] = pydyf.String("fr-FR")
        self._pdf.catalog["ViewerPreferences"] = pydyf.Dictionary({"DisplayDocTitle": "true"})
        self._pdf.info["Title"] = pydyf.String(title)
        self._pdf.info["CreationDate"] = pydyf.String(made_at.astimezone(UTC).strftime("D:%Y%m%d%H%M%S+00'00'"))
        file = io.BytesIO()
        self._pdf.write(file, identifier=True)
        return file.getvalue()

    def _show(self, x: float, y: float, text: str, size: float, line: Line) -> None:
        self._shown[line.bold].update(text)
        self._stream.begin_text()
        self._stream.set_color_rgb(*line.colour)
        self._stream.set_font_size(_key(line.bold), size)
        self._stream.move_text_to(*_place(x, y))
        self._stream.show_text(f"<{_font(line.bold).encoded(text)}>")
        self._stream.end_text()

    def _embed(self, bold: bool) -> Any:
        """The font with what a reader needs of it: the widths, and the way back to text, of what is shown."""
        import pydyf  # noqa: PLC0415 - only documents need it

        font, text = _font(bold), "".join(self._shown[bold])
        name = f"/FACTEO+{font.name}"
        widths = sorted({font.glyphs[ord(char)] for char in text})
        program = self._add(pydyf.Stream([font.file], {"Length1": len(font.file)}, compress=True))
        descriptor = self._add(
            pydyf.Dictionary(
                {
                    "Type": "/FontDescriptor",
                    "FontName": name,
                    "Flags": _NONSYMBOLIC,
                    "FontBBox": pydyf.Array(font.box),
                    "ItalicAngle": 0,
                    "Ascent": font.ascent,
                    "Descent": font.descent,
                    "CapHeight": _CAP_HEIGHT,
                    "StemV": _STEM[bold],
                    "FontFile2": program.reference,
                }
            )
        )
        glyphs = self._add(
            pydyf.Dictionary(
                {
                    "Type": "/Font",
                    "Subtype": "/CIDFontType2",
                    "BaseFont": name,
                    "CIDSystemInfo": "<</Registry (Adobe)/Ordering (Identity)/Supplement 0>>",
                    "FontDescriptor": descriptor.reference,
                    "CIDToGIDMap": "/Identity",
                    "W": pydyf.Array([part for glyph in widths for part in (glyph, f"[{font.widths[glyph]}]")]),
                }
            )
        )
        back = self._add(pydyf.Stream([fonts.unicode_map(font, text)], compress=True))
        return self._add(
            pydyf.Dictionary(
                {
                    "Type": "/Font",
                    "Subtype": "/Type0",
                    "BaseFont": name,
                    "Encoding": "/Identity-H",
                    "DescendantFonts": pydyf.Array([glyphs.reference]),
                    "ToUnicode": back.reference,
                }
            )
        )

    def _add(self, thing: Any) -> Any:
        self._pdf.add_object(thing)
        return thing


def _font(bold: bool) -> Font:
    return fonts.load(_FONTS[bold])


def _key(bold: bool) -> str:
    return "B" if bold else "R"


def _place(x: float, y: float) -> tuple[float, float]:
    """Points from the lower left corner, to the hundredth: the same on every machine."""
    return round(x * _MM, 2), round((HEIGHT - y) * _MM, 2)


def _height(size: float) -> float:
    return size * _LEADING / _MM


def _measure(font: Font, text: str, size: float) -> float:
    return font.width(text) * size / _EM / _MM


def _fitting(font: Font, text: str, size: float, width: float) -> str:
    """As much of the text's beginning as fits, a character at least."""
    ends = itertools.accumulate(font.width(char) for char in text)
    fits = sum(1 for _ in itertools.takewhile(lambda end: end * size / _EM / _MM <= width, ends))
    return text[: max(fits, 1)]


def _printable(line: Line) -> str:
    text = line.text if len(line.text) <= _LONGEST else line.text[: _LONGEST - 1] + _ELLIPSIS
    return _font(line.bold).printable(text)


def _rows(texts: Sequence[tuple[Line, str]], shrunk: float, width: float) -> list[tuple[str, float, Line]]:
    """The rows of texts that are made smaller by so many points, with the size of each."""
    sizes = [max(line.size - shrunk, _SMALLEST) for line, _ in texts]
    return [
        (row, size, line)
        for (line, text), size in zip(texts, sizes, strict=True)
        for row in _wrapped(_font(line.bold), text, size, width)
    ]


def _wrapped(font: Font, text: str, size: float, width: float) -> Iterator[str]:
    """Printable text in rows of that width; a word that is longer than a row is broken where it is full."""
    row = ""
    for word in text.split(" "):
        rest = word
        if row and _measure(font, f"{row} {rest}", size) <= width:
            row = f"{row} {rest}"
            continue
        if row:
            yield row
        while _measure(font, rest, size) > width:
            full = _fitting(font, rest, size, width)
            yield full
            rest = rest[len(full) :]
        row = rest
    if row:
        yield row


def _runs(row: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where dark modules start in a row, and how many they are."""
    start, place = None, -1
    for place, dark in enumerate(row):
        if dark and start is None:
            start = place
        elif not dark and start is not None:
            yield start, place - start
            start = None
    if start is not None:
        yield start, place + 1 - start
