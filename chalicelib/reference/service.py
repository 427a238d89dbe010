"""The description of the API, and the pages that explain its problems."""

from __future__ import annotations

import enum
import functools
import hashlib
import html
import re
from pathlib import Path
from typing import Any, Final

from chalicelib.core.errors import NotFound

_HERE: Final = Path(__file__).parent
_PROBLEMS: Final = _HERE / "problems"

_FRAME: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../v1/docs/page.css">
</head>
<body>
{body}
<p><a href="../v1/docs">The description of the API</a></p>
</body>
</html>
"""


class File(enum.StrEnum):
    """A file that the pages need."""

    PAGE = "page.css"
    START = "start.js"
    VIEWER = "swagger-ui-bundle.js"
    VIEWER_STYLE = "swagger-ui.css"


_FILES: Final = {
    File.PAGE: ("static/page.css", "text/css"),
    File.START: ("static/start.js", "text/javascript"),
    File.VIEWER: ("static/swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    File.VIEWER_STYLE: ("static/swagger-ui/swagger-ui.css", "text/css"),
}
"""Where it is, and its media type."""

MEDIA: Final = ("text/css", "text/javascript")


@functools.cache
def description() -> dict[str, Any]:
    """The OpenAPI document of every endpoint."""
    from chalicelib.core import openapi  # noqa: PLC0415 - readers of the description need it, and nobody else
    from chalicelib.core.endpoint import every_endpoint  # noqa: PLC0415
    from chalicelib.reference.shapes import BEHIND  # noqa: PLC0415

    return openapi.document(every_endpoint(), BEHIND)


def readable() -> str:
    """The page (HTML) that shows the description."""
    return (_HERE / "static" / "docs.html").read_text(encoding="utf-8")


def file(name: File) -> tuple[str, str]:
    """A file that the pages need: its text and its media type."""
    path, media = _FILES[name]
    return (_HERE / path).read_text(encoding="utf-8"), media


@functools.cache
def etag_of(name: File) -> str:
    """The ETag of a file: weak, since it is also sent compressed (RFC 9110, section 8.8.1)."""
    path, _ = _FILES[name]
    return f'W/"{hashlib.sha256((_HERE / path).read_bytes()).hexdigest()[:32]}"'


def problem_page(slug: str) -> str:
    """The page (HTML) of the problem type with this slug (letters and hyphens). Raises NotFound."""
    try:
        text = (_PROBLEMS / f"{slug}.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"There is no problem type '{slug}'.") from None
    title = text.partition("\n")[0].removeprefix("# ")
    return _FRAME.format(title=html.escape(title), body="\n".join(_block(block) for block in text.split("\n\n")))


def _block(text: str) -> str:
    """A block of a page, which knows headings, lists, paragraphs and `code`."""
    lines = html.escape(text.strip(), quote=False)
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", lines)
    if heading := re.match(r"(#+) ", marked):
        level = len(heading[1])
        return f"<h{level}>{marked[heading.end() :]}</h{level}>"
    if marked.startswith("- "):
        items = "".join(f"<li>{item}</li>" for item in marked.removeprefix("- ").split("\n- "))
        return f"<ul>{items}</ul>"
    return f"<p>{marked}</p>"
