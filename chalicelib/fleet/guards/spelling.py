"""How handsets read what was approved: base64url and JSON strictly as written, and no more bytes than they take.

What the API let pass and a handset refuses would cut every handset off for ever. So nothing is kept that is spelled
otherwise. The numbers are those of the handset (tests/protocol holds both together).
"""

from __future__ import annotations

import json
from typing import Any, Final

from chalicelib.core import signing

MOST_TEXT_BYTES: Final = 16_384
"""Of a warrant or a set of approvers."""
MOST_PART_BYTES: Final = 2_048
"""Of the authenticator's data, the client's data or a signature."""
MOST_CREDENTIAL_BYTES: Final = 256
"""Of a credential's id: fewer than handsets take, so that twenty approvers fit into a text."""


def raw(text: str, most: int) -> bytes:
    """At most so many bytes from base64url without padding, in its one spelling. Raises ValueError."""
    found = signing.from_base64url(text)
    if signing.base64url(found) != text or len(found) > most:
        raise ValueError("no base64url of that length")
    return found


def json_object(content: bytes) -> dict[str, Any]:
    """The object of a JSON text in UTF-8 that names no member twice. Raises ValueError."""
    try:
        told = json.loads(content.decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("no JSON") from error
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    return told


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
