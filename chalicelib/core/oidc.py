"""Bearer tokens of staff and of other systems: OIDC, RS256, keys from the issuer's key set chosen by `kid`."""

from __future__ import annotations

import urllib.request
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chalicelib.core import clock, settings, telemetry
from chalicelib.core.errors import IdentityRequired, Unavailable
from chalicelib.core.settings import Settings

KEY_SET_KEPT_FOR = timedelta(hours=1)
REFRESH_AFTER = timedelta(seconds=30)
_FETCH_TIMEOUT_SECONDS = 3
_LEEWAY_SECONDS = 60


class OIDCSettings(Settings, frozen=True, kw_only=True):
    """Who issues tokens, where its keys are, and for which audiences (client ids, separated by spaces).

    `oidc_scope_claim` is the claim with the depots and zones of a member of staff.
    """

    oidc_issuer: str
    oidc_jwks: str
    oidc_audience: str
    oidc_scope_claim: str = "custom:scope"


class _KeySet(msgspec.Struct):
    keys: dict[str, dict[str, Any]]
    fetched: datetime


class _Published(msgspec.Struct):
    keys: list[dict[str, Any]]


_cache: dict[str, _KeySet] = {}


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a valid token. Raises IdentityRequired for any other, Unavailable without the issuer's keys."""
    from joserfc import jwt  # noqa: PLC0415 - 70 ms that only staff requests need
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import RSAKey  # noqa: PLC0415

    known = settings.load(OIDCSettings)
    try:
        key = RSAKey.import_key(_key(known.oidc_jwks, _key_id(token)))
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"]).claims
    except (JoseError, ValueError) as error:
        raise IdentityRequired("The token is not valid: log in again.") from error
    _check(claims, known)
    return claims


def forget() -> None:
    """Drop the cached key sets."""
    _cache.clear()


def _check(claims: dict[str, Any], known: OIDCSettings) -> None:
    now = clock.now().timestamp()
    audience = claims.get("aud", claims.get("client_id"))
    audiences = set(audience) if isinstance(audience, list) else {audience}
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or expires + _LEEWAY_SECONDS < now:
        raise IdentityRequired("The token has expired: log in again.")
    begins = claims.get("nbf", now)
    if not isinstance(begins, int | float) or begins - _LEEWAY_SECONDS > now:
        raise IdentityRequired("The token is not valid yet: try again in a moment.")
    if claims.get("iss") != known.oidc_issuer or not audiences & set(known.oidc_audience.split()):
        raise IdentityRequired("The token was issued by somebody else or for something else.")
    if not claims.get("sub"):
        raise IdentityRequired("The token names nobody.")


def _key_id(token: str) -> str:
    from joserfc.jws import extract_compact  # noqa: PLC0415

    return str(extract_compact(token.encode()).headers().get("kid", ""))


def _key(url: str, key_id: str) -> dict[str, Any]:
    """The key with that id; an unknown id makes us look again, at most twice a minute."""
    try:
        return _key_set(url, key_id).keys[key_id]
    except KeyError:
        raise IdentityRequired("The token was signed with a key that its issuer does not publish.") from None


def _key_set(url: str, key_id: str) -> _KeySet:
    """The issuer's keys; those held before while it cannot be reached, so that its outage locks nobody out."""
    held = _cache.get(url)
    age = clock.now() - held.fetched if held else KEY_SET_KEPT_FOR
    if held is not None and age < (KEY_SET_KEPT_FOR if key_id in held.keys else REFRESH_AFTER):
        return held
    try:
        fresh = _fetched(url)
    except Unavailable:
        if held is None or key_id not in held.keys:
            raise
        telemetry.logger.warning("the identity provider's keys cannot be read: those held before are used")
        look_again_soon = clock.now() - KEY_SET_KEPT_FOR + REFRESH_AFTER
        fresh = _KeySet(held.keys, fetched=look_again_soon)
    _cache[url] = fresh
    return fresh


def _fetched(url: str) -> _KeySet:
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_TIMEOUT_SECONDS) as answer:  # noqa: S310 - from settings
            published = msgspec.json.decode(answer.read(), type=_Published)
    except (OSError, msgspec.DecodeError) as error:
        raise Unavailable("The identity provider's keys cannot be read; try again in a moment.") from error
    return _KeySet(keys={key["kid"]: key for key in published.keys if "kid" in key}, fetched=clock.now())
