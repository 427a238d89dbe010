"""Why a door stays shut."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The reasons, in the order in which a reader looks for them."""

    MALFORMED = "malformed"
    TOO_SLOW = "too-slow"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    NOT_YET = "not-yet"
    EXPIRED = "expired"
    TOO_LONG = "too-long"
    OTHER_SERVICE = "other-service"
    OUT_OF_PERIMETER = "out-of-perimeter"
    OUTSIDE_HOURS = "outside-hours"
    NO_LIST = "no-list"
    INDEX_OUT_OF_RANGE = "index-out-of-range"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    ALREADY_USED = "already-used"
    REPLAYED = "replayed"
    STALE_CODE = "stale-code"
    COPIED = "copied"
