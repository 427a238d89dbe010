"""The pass itself and the signed time, as readers want them: docs/protocol/pass.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from chalicelib.passes.cose import ISSUER, CoseKey, Signer

ID_BYTES: Final = 8
BUILDING_BYTES: Final = 16
MAX_BUILDINGS: Final = 20

_MARK_BYTES: Final = 3


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says.

    `id` has 8 random bytes; `holder` is the device's key; `perimeter` is a sector (INSEE code and sector) or the marks
    of buildings; `status` is the list's number and the index in it.
    """

    carrier: str
    not_before: datetime
    expires: datetime
    id: bytes
    holder: CoseKey
    service: int
    perimeter: str | bytes
    status: tuple[int, int]


def token(told: Pass, signer: Signer) -> bytes:
    """The token: a CWT (RFC 8392) with a confirmation key (RFC 8747), tagged as COSE_Sign1."""
    return signer.sign1(
        {
            1: ISSUER,
            2: told.carrier,
            4: int(told.expires.timestamp()),
            5: int(told.not_before.timestamp()),
            7: told.id,
            8: {1: told.holder},
            -65537: (told.service, told.perimeter),
            -65538: told.status,
        }
    )


def marks(token_id: bytes, buildings: Iterable[bytes]) -> bytes:
    """The perimeter of a pass for 1 to 20 buildings, each given by its 16 secret bytes. Raises ValueError.

    A mark has three bytes and is another one in each pass: who reads the token learns no address and no repetition.
    """
    found = {hashlib.sha256(b"FBLDG1" + token_id + building).digest()[:_MARK_BYTES] for building in buildings}
    if not 0 < len(found) <= MAX_BUILDINGS:
        raise ValueError(f"a pass has 1 to {MAX_BUILDINGS} buildings")
    return b"".join(sorted(found))


def signed_time(at: datetime, signer: Signer) -> bytes:
    """The time, for readers whose clock is behind."""
    return signer.sign1({1: ISSUER, 6: int(at.timestamp())})
