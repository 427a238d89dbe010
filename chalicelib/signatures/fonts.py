"""The typeface of documents: which characters it has, how wide they are, and its place in a PDF (ISO 32000-1, 9.7)."""

from __future__ import annotations

import functools
import itertools
import re
import struct
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_FOLDER: Final = Path(__file__).parent / "static"
_EM: Final = 1000
"""Widths in a PDF are thousandths of the size."""
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_BREAKS: Final = re.compile(r"[^\S\u00a0\u202f]+")
"""White space, but for the spaces that keep what is beside them together."""

_WINDOWS_UNICODE: Final = (3, 1)
_SEGMENTS: Final = 4
"""The format of a character table that fonts of the basic plane have."""


class Font(NamedTuple):
    """A TrueType font. Measures in thousandths of its size; `glyphs` by code point, `widths` by glyph."""

    name: str
    file: bytes
    glyphs: Mapping[int, int]
    widths: tuple[int, ...]
    box: tuple[int, ...]
    ascent: int
    descent: int

    def printable(self, text: str) -> str:
        """The text in composed form on one line, with a visible sign in place of each character that cannot be shown.

        Marks that turn or hide text are among those.
        """
        spaced = _BREAKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
        return "".join(char if self._shows(char) else REPLACEMENT for char in spaced)

    def width(self, text: str) -> int:
        """The width of printable text."""
        return sum(self.widths[self.glyphs[ord(char)]] for char in text)

    def encoded(self, text: str) -> str:
        """Printable text as a PDF string: the glyphs' numbers."""
        return "".join(f"{self.glyphs[ord(char)]:04x}" for char in text)

    def _shows(self, char: str) -> bool:
        return ord(char) in self.glyphs and (char.isprintable() or unicodedata.category(char) == "Zs")


@functools.cache
def load(name: str) -> Font:
    """A font of the folder `static`."""
    file = (_FOLDER / f"{name}.ttf").read_bytes()
    tables = _tables(file)
    units = int(struct.unpack_from(">H", tables["head"], 18)[0])
    (count,) = struct.unpack_from(">H", tables["hhea"], 34)
    box = struct.unpack_from(">4h", tables["head"], 36)
    ascent, descent = struct.unpack_from(">2h", tables["hhea"], 4)
    advances = struct.unpack_from(">" + "Hh" * count, tables["hmtx"])[::2]
    (glyphs,) = struct.unpack_from(">H", tables["maxp"], 4)
    widths = [*advances, *itertools.repeat(advances[-1], glyphs - count)]

    def scaled(value: int) -> int:
        return round(value * _EM / units)

    return Font(
        name=name,
        file=file,
        glyphs=dict(_characters(tables["cmap"])),
        widths=tuple(map(scaled, widths)),
        box=tuple(map(scaled, box)),
        ascent=scaled(ascent),
        descent=scaled(descent),
    )


def unicode_map(font: Font, text: str) -> str:
    """The table that leads from glyphs back to text, for who copies, searches or hears it (ISO 32000-1, 9.10.3)."""
    rows = [f"<{font.glyphs[ord(char)]:04x}> <{char.encode('utf-16-be').hex()}>" for char in sorted(set(text))]
    blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    return "\n".join(
        [
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
            "/CMapName /Adobe-Identity-UCS def /CMapType 2 def",
            "1 begincodespacerange <0000> <ffff> endcodespacerange",
            *(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks),
            "endcmap CMapName currentdict /CMap defineresource pop end end",
        ]
    )


def _tables(file: bytes) -> dict[str, bytes]:
    (count,) = struct.unpack_from(">H", file, 4)
    rows = [struct.unpack_from(">4s3L", file, 12 + 16 * row) for row in range(count)]
    return {tag.decode(): file[offset : offset + length] for tag, _, offset, length in rows}


def _characters(cmap: bytes) -> Iterator[tuple[int, int]]:
    """Code points and their glyphs."""
    (count,) = struct.unpack_from(">H", cmap, 2)
    rows = [struct.unpack_from(">HHL", cmap, 4 + 8 * row) for row in range(count)]
    table = next(cmap[offset:] for *platform, offset in rows if tuple(platform) == _WINDOWS_UNICODE)
    form, _, _, doubled = struct.unpack_from(">4H", table)
    if form != _SEGMENTS:
        raise ValueError(f"The font's character table has format {form}.")
    segments = doubled // 2
    ends = struct.unpack_from(f">{segments}H", table, 14)
    starts = struct.unpack_from(f">{segments}H", table, 16 + doubled)
    deltas = struct.unpack_from(f">{segments}H", table, 16 + 2 * doubled)
    ranges = 16 + 3 * doubled
    offsets = struct.unpack_from(f">{segments}H", table, ranges)
    for number, (start, end, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for code in range(start, end + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", table, ranges + 2 * number + offset + 2 * (code - start))
            if glyph and (glyph + delta) & 0xFFFF:
                yield code, (glyph + delta) & 0xFFFF
