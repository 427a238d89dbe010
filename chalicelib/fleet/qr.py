"""QR codes for enrolment tickets."""

from __future__ import annotations

import io

from chalicelib.fleet.schemas import QRCode

_SCALE = 6
_BORDER = 4


def draw(content: str) -> QRCode:
    """The content as QR code (ISO/IEC 18004, error correction M), as SVG and PNG."""
    import segno  # noqa: PLC0415 - only tickets need it, and it costs 30 ms

    code = segno.make(content, error="m", micro=False)
    png = io.BytesIO()
    code.save(png, kind="png", scale=_SCALE, border=_BORDER)
    return QRCode(svg=code.svg_inline(scale=_SCALE, border=_BORDER), png=png.getvalue())
