"""Handing over against signature: the act that the handset's key signs, so that one event can be proved alone."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Any

from handset.signing import HandsetKey, base64url

Drawing = dict[str, Any]

_NUMBERS_OF_A_POINT = 4


def canonical(content: Any) -> bytes:
    """Canonical JSON (RFC 8785) of a content without fractions: members in order, no spaces, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def name_of(drawing: Drawing) -> str:
    """SHA-256 (hex) of the strokes, four numbers for each point: what the act names the drawing by."""
    strokes = [[[*point, 0][:_NUMBERS_OF_A_POINT] for point in stroke] for stroke in drawing["strokes"]]
    return hashlib.sha256(canonical(strokes)).hexdigest()


def shown(lines: Sequence[str]) -> str:
    """SHA-256 (hex) of the text beside the pad: its lines, joined by line feeds."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def nonce() -> str:
    """Of this act only."""
    return secrets.token_urlsafe(16)


def signed(act: dict[str, Any], key: HandsetKey, device: str) -> str:
    """The act as a compact JWS (RFC 7515, ES256) of its canonical JSON."""
    header = base64url(canonical({"alg": "ES256", "kid": device}))
    signing_input = f"{header}.{base64url(canonical(act))}"
    return f"{signing_input}.{base64url(key.sign_raw(signing_input.encode()))}"
