"""Whether a pass opens this door now: the checks in their order, each with the refusal that it may end in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from reader import cose, tokens
from reader.brought import Key, StatusList
from reader.places import Place
from reader.refusals import Refusal
from reader.tokens import Token

SKEW: Final = 120
"""Seconds by which clocks may differ."""
LONGEST: Final = 12 * 3600
ONE_TIME: Final = frozenset({3})
"""Services whose pass opens a door once: 3 is help for a carrier in danger."""

_OF_STATUS: Final[Mapping[int | None, Refusal | None]] = {
    None: Refusal.INDEX_OUT_OF_RANGE,
    0: None,
    1: Refusal.REVOKED,
    2: Refusal.SUSPENDED,
    3: Refusal.REVOKED,
}


class Asked(NamedTuple):
    """A pass at a door: where that is, what the reader knows, and its time. `used` are one-time passes, used before."""

    token: Token
    place: Place
    keys: Mapping[bytes, Key]
    lists: Mapping[int, StatusList]
    used: Collection[bytes]
    now: int


def refusal(asked: Asked) -> Refusal | None:
    """The first reason not to open, except that whoever shows the pass may not be its holder: see `reader.proofs`."""
    for check in _CHECKS:
        if why := check(asked):
            return why
    return None


def _key(asked: Asked) -> Refusal | None:
    token = asked.token
    key = asked.keys.get(token.signed.kid)
    return None if key and key.made(token.signed, token.not_before) else Refusal.UNKNOWN_KEY


def _signature(asked: Asked) -> Refusal | None:
    key = asked.keys[asked.token.signed.kid]
    return None if cose.verified(asked.token.signed, key.public) else Refusal.BAD_SIGNATURE


def _length(asked: Asked) -> Refusal | None:
    return Refusal.TOO_LONG if asked.token.expires - asked.token.not_before > LONGEST else None


def _begin(asked: Asked) -> Refusal | None:
    return Refusal.NOT_YET if asked.now < asked.token.not_before - SKEW else None


def _end(asked: Asked) -> Refusal | None:
    return Refusal.EXPIRED if asked.now > asked.token.expires + SKEW else None


def _service(asked: Asked) -> Refusal | None:
    return None if asked.token.service in asked.place.services else Refusal.OTHER_SERVICE


def _perimeter(asked: Asked) -> Refusal | None:
    perimeter = asked.token.perimeter
    if isinstance(perimeter, str):
        return None if perimeter == asked.place.sector else Refusal.OUT_OF_PERIMETER
    mark = tokens.mark(asked.token.id, asked.place.building)
    return None if mark in tokens.marks_of(perimeter) else Refusal.OUT_OF_PERIMETER


def _hours(asked: Asked) -> Refusal | None:
    return None if asked.place.admits(asked.token.service, asked.now) else Refusal.OUTSIDE_HOURS


def _list(asked: Asked) -> Refusal | None:
    return None if asked.token.status_list in asked.lists else Refusal.NO_LIST


def _status(asked: Asked) -> Refusal | None:
    return _OF_STATUS[asked.lists[asked.token.status_list].status(asked.token.index)]


def _once(asked: Asked) -> Refusal | None:
    again = asked.token.service in ONE_TIME and asked.token.id in asked.used
    return Refusal.ALREADY_USED if again else None


_CHECKS: Final[tuple[Callable[[Asked], Refusal | None], ...]] = (
    _key,
    _signature,
    _begin,
    _end,
    _length,
    _service,
    _perimeter,
    _hours,
    _list,
    _status,
    _once,
)
