"""HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530), as every handset request carries them.

We fix what must be covered: a request that covers less is refused, and the algorithm is ours, not the caller's.
"""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)

from chalicelib.core import clock, settings
from chalicelib.core.call import Call
from chalicelib.core.errors import ClockSkewed, IdentityRequired
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.settings import Settings

CLOCK_TOLERANCE = timedelta(minutes=5)
LAST_MOMENT = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
"""In seconds of Unix. What a clock that is set beyond it says, or before 1970, counts as the end of the calendar."""
MAX_HEADER = 4096
"""Ours have some hundred characters; what is longer is not parsed."""
_HEADERS = ("signature", "signature-input", "content-digest")
COVERED = ("@method", "@authority", "@path")


class SignatureSettings(Settings, frozen=True, kw_only=True):
    """`authority` is the public host name (and port) of the API, which signatures cover."""

    authority: str


class _Verifier(HTTPMessageVerifier):
    """The library looks at the machine's clock; what the signature says of its time is held against ours, below."""

    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:
        """Nothing: see `_check_clock`."""


class _OneKey(HTTPSignatureKeyResolver):
    """`failure` is what broke while the key was looked up, which the library takes for a wrong signature."""

    def __init__(self, find: Callable[[str], PublicKey | None]) -> None:
        self._find = find
        self.failure: Exception | None = None

    def resolve_public_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        try:
            key = self._find(key_id)
        except Exception as error:
            self.failure = error
            raise
        return key.opened() if key else None

    def resolve_private_key(self, key_id: str) -> None:
        raise NotImplementedError("The server verifies; it has no handset's private key.")


class _Message(msgspec.Struct):
    method: str
    url: str
    headers: dict[str, str]


def verify(call: Call, find_key: Callable[[str], PublicKey | None], *, any_clock: bool = False) -> datetime:
    """Check the signature of a call with the key that `find_key` gives for its `keyid`; when it was `created`.

    Raises IdentityRequired for a signature that is missing, wrong, covers too little or has expired, and ClockSkewed
    (with our time) when `created` is more than 5 minutes from now. With `any_clock` the signature may be of any time.
    """
    if any(len(call.headers.get(name, "")) > MAX_HEADER for name in _HEADERS):
        raise _refused(f"a header of it is longer than {MAX_HEADER} characters")
    keys = _OneKey(find_key)
    verifier = _Verifier(signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=keys)
    try:
        results = verifier.verify(_message(call), max_age=None, require_components=_required(call), body=call.body)
    except (InvalidSignature, ValueError) as error:
        if keys.failure:
            raise keys.failure from None
        raise _refused(str(error)) from error
    parameters = results[0].parameters
    if "created" not in parameters or "nonce" not in parameters:
        raise _refused("created and nonce must be among its parameters")
    created = _moment(int(parameters["created"]))
    if not any_clock:
        _check_clock(created, parameters)
    return created


def _message(call: Call) -> _Message:
    authority = settings.load(SignatureSettings).authority
    query = urllib.parse.urlencode(call.query, quote_via=urllib.parse.quote)
    return _Message(
        method=call.method,
        url=f"https://{authority}{call.path}" + (f"?{query}" if query else ""),
        headers=call.headers,
    )


def _required(call: Call) -> list[str]:
    parameters = [f'"@query-param";name="{name}"' for name in call.query]
    return [*COVERED, *parameters, *(["content-digest"] if call.body else [])]


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), LAST_MOMENT), UTC)


def _check_clock(created: datetime, parameters: Mapping[str, Any]) -> None:
    now = clock.now()
    if abs(created - now) > CLOCK_TOLERANCE:
        raise ClockSkewed("Correct the clock by server_time, sign again and send again.", server_time=clock.stamp(now))
    if parameters.get("expires", math.inf) < now.timestamp():
        raise _refused("it has expired")


def _refused(reason: str) -> IdentityRequired:
    return IdentityRequired(
        f"The request's signature is refused: {reason}. See docs/protocol/README.md for what it must cover."
    )
