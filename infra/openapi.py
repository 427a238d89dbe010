"""The committed description of the API, `openapi.json`: `python -m infra.openapi` writes it."""

from __future__ import annotations

import json

from infra.build import ROOT

PATH = ROOT / "openapi.json"


def text() -> str:
    """What the file must hold."""
    import app  # noqa: F401, PLC0415 - it declares the endpoints
    from chalicelib.reference import service  # noqa: PLC0415

    return json.dumps(service.description(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
