"""A back office, a carrier's handset and a door, without a cloud between them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from chalicelib.passes import cose, key_set, status_list, tokens
from chalicelib.passes.cose import Sign, Signer
from chalicelib.passes.key_set import IssuingKey
from chalicelib.passes.schemas import Status
from chalicelib.passes.tokens import Pass
from handset.passes import KEY_SET, STATUS_LIST, TIME, Wallet
from reader.door import Door, Kind
from tests.support.clock import MONDAY_MORNING, FakeClock

NOW = MONDAY_MORNING
WEEK = timedelta(days=7)
READER = bytes.fromhex("00000000000000d1")
OTHER_READER = bytes.fromhex("00000000000000d2")
SECTOR, OTHER_SECTOR = "7511602", "7511603"
BUILDING = hashlib.sha256(b"2 rue des Belles Feuilles").digest()[:16]
OTHER_BUILDING = hashlib.sha256(b"4 rue des Belles Feuilles").digest()[:16]
PASS_ID = bytes.fromhex("00000000000000c1")
MAIL, PARCELS, HELP = 1, 2, 3
URI = "https://api.facteo.test/v1/status-lists/0"
ALWAYS = {"days": "1234567", "from": "00:00", "to": "24:00"}
PLACE: Mapping[str, Any] = {
    "reader": READER.hex(),
    "sector": SECTOR,
    "building": BUILDING.hex(),
    "services": {"1": [{"days": "123456", "from": "06:00", "to": "24:00"}], "3": [ALWAYS]},
}
CURRENT, NEXT = b"k1", b"k2"
"""The names of two issuing keys: of this week, and of the next."""
ROOTS = (b"ra", b"rb")


def key(name: str | bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of that name: always the same."""
    seed = name if isinstance(name, bytes) else name.encode()
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(b"door " + seed).digest(), "big"), ec.SECP256R1())


def signs(name: str | bytes) -> Sign:
    """How the key of that name signs: r and whatever s comes out, as a keystore does."""
    private = key(name)

    def sign(message: bytes) -> bytes:
        der = private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))

    return sign


def jwk(name: str | bytes) -> dict[str, str]:
    """The public key of that name."""
    numbers = key(name).public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def a_pass(**changes: Any) -> Pass:
    """A pass for the mail of SECTOR, from an hour ago for eight hours, bound to the key `holder`."""
    told: dict[str, Any] = {
        "carrier": "C10011",
        "not_before": NOW - timedelta(hours=1),
        "expires": NOW + timedelta(hours=7),
        "id": PASS_ID,
        "holder": cose.cose_key(jwk("holder")),
        "service": MAIL,
        "perimeter": SECTOR,
        "status": (0, 48_211),
    }
    return Pass(**(told | changes))


def a_token(*, by: bytes = CURRENT, signed_by: str | bytes | None = None, **changes: Any) -> bytes:
    """Such a pass, signed; `signed_by` is the key that really signs, if it is not the one that is named."""
    return tokens.token(a_pass(**changes), Signer(by, signs(signed_by or by)))


def an_issuing_key(name: bytes, since: datetime = NOW - timedelta(days=1)) -> IssuingKey:
    """An issuing key that signs for a week."""
    return IssuingKey(kid=name, jwk=jwk(name), not_before=since, not_after=since + WEEK)


def a_key_set(
    sequence: int = 1,
    keys: Iterable[bytes] = (CURRENT, NEXT),
    *,
    by: bytes = ROOTS[0],
    signed_by: str | bytes | None = None,
    at: datetime = NOW,
    next_roots: Iterable[bytes] = (),
) -> bytes:
    """A key set, signed by a root."""
    return key_set.key_set(
        sequence,
        [an_issuing_key(name) for name in keys],
        issued=at,
        expires=at + WEEK,
        by=Signer(by, signs(signed_by or by)),
        next_roots=[a_root(name) for name in next_roots],
    )


def a_list(
    statuses: Mapping[int, Status] | None = None,
    *,
    at: datetime = NOW - timedelta(minutes=5),
    by: bytes = CURRENT,
    signed_by: str | bytes | None = None,
    uri: str = URI,
) -> bytes:
    """A status list."""
    signer = status_list.signer(by, signs(signed_by or by))
    return status_list.status_list(uri, statuses or {}, issued=at, expires=at + timedelta(days=1), ttl=60, by=signer)


def a_time(at: datetime, *, by: bytes = CURRENT, signed_by: str | bytes | None = None) -> bytes:
    """A signed time."""
    return tokens.signed_time(at, Signer(by, signs(signed_by or by)))


def a_root(name: bytes) -> cose.CoseKey:
    """A root's public key as a reader keeps it."""
    return key_set.root(name, jwk(name))


def clocks(at: FakeClock) -> tuple[Callable[[], float], Callable[[], float]]:
    """The own clock and the uptime of a reader that live by one clock."""
    return lambda: at().timestamp(), lambda: at().timestamp()


def a_new_door(folder: Path, clock: FakeClock | None = None, **changes: Any) -> Door:
    """A reader that knows its roots, and nothing else yet."""
    at = clock or FakeClock()
    roots = [cbor2.dumps(a_root(name)) for name in ROOTS]
    return Door.install(folder, {**PLACE, **changes}, roots, *clocks(at))


def a_door(folder: Path, clock: FakeClock | None = None, **changes: Any) -> Door:
    """A reader with a key set and a list on which everything is valid."""
    door = a_new_door(folder, clock, **changes)
    assert door.take(Kind.KEY_SET, a_key_set(at=NOW - timedelta(hours=2))) == "taken"
    assert door.take(Kind.STATUS_LIST, a_list(at=NOW - timedelta(hours=2))) == "taken"
    return door


def a_wallet(
    folder: Path, token: bytes | None = None, *, holder: str = "holder", clock: FakeClock | None = None
) -> Wallet:
    """A handset with a pass."""
    folder.mkdir(exist_ok=True)
    wallet = Wallet(folder, signs(holder), clock or FakeClock())
    wallet.keep(a_token() if token is None else token)
    return wallet


def with_news(wallet: Wallet, statuses: Mapping[int, Status] | None = None, at: datetime = NOW) -> Wallet:
    """The handset, with a key set, a time and a list of that moment."""
    wallet.carry(KEY_SET, a_key_set(2, at=at - timedelta(minutes=1)))
    wallet.carry(TIME, a_time(at))
    wallet.carry(STATUS_LIST, a_list(statuses, at=at))
    return wallet


def seconds(at: datetime) -> int:
    """Since 1970."""
    return int(at.astimezone(UTC).timestamp())
