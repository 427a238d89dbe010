"""What each kind of order does to a handset (docs/protocol/commands.md, section 2), but for those that destroy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from handset import check_in, standing, trust
from handset.client import Handset
from handset.strict import Malformed
from handset.transport import NoNetwork, Refused

Order = dict[str, Any]
"""An order's payload, and its SHA-256 (hex) as `digest`."""

Effect = Callable[[Handset, Order], dict[str, Any] | None]
"""Obeys an order; gives the `detail` to report, if any. Raises EffectFailed."""

DESTROY: Final = ("container-wipe", "release", "full-wipe")
REPEATED: Final = ("stand-down",)
"""Kinds that are done again if the handset was switched off in the middle: done twice they do the same."""
REASON_SHOWN: Final = ("lock", "lost-mode", "container-lock", *DESTROY)
"""Kinds of whose reason the carrier is told before anything happens."""

_PHONE: Final = re.compile(r"\+[0-9]{6,15}")


class EffectFailed(Exception):  # noqa: N818
    """An order was obeyed in vain; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def knows(kind: str) -> bool:
    """Whether a handset can do that at all."""
    return kind in EFFECTS or kind in DESTROY


def fits(order: Order) -> bool:
    """Whether the parameters are those of the order's kind; others beside them are ignored."""
    given = order["parameters"]
    return all(
        holds(given.get(name))
        for name, holds in _PARAMETERS.get(order["kind"], {}).items()
        if not _left_out(name, given)
    )


def _ring(handset: Handset, order: Order) -> None:
    until = handset.now() + timedelta(seconds=order["parameters"]["seconds"])
    standing.change(handset, ringing_until=until.isoformat())


def _message(handset: Handset, order: Order) -> None:
    shown = {"order": order["id"], "text": order["parameters"]["text"], "at": handset.now().isoformat()}
    standing.change(handset, messages=[*standing.of(handset)["messages"], shown])


def _lock(handset: Handset, _: Order) -> None:
    standing.change(handset, locked=True)


def _lost_mode(handset: Handset, order: Order) -> None:
    shown = {name: order["parameters"][name] for name in ("text", "phone")}
    standing.change(handset, locked=True, lost={**shown, "since": handset.now().isoformat()})


def _container_lock(handset: Handset, _: Order) -> None:
    handset.container.lock()


def _stand_down(handset: Handset, order: Order) -> None:
    voided = {*standing.of(handset)["voided"], *order["parameters"].get("void", [])}
    standing.change(handset, locked=False, lost=None, ringing_until=None, voided=sorted(voided))
    handset.container.unlock()


def _policy_refresh(handset: Handset, _: Order) -> None:
    try:
        trust.take_policy(handset)
    except NoNetwork as error:
        raise EffectFailed("no-network") from error
    except Refused as error:
        raise EffectFailed("policy-refused") from error
    except Malformed as error:
        raise EffectFailed("policy-invalid") from error


def _diagnostics(handset: Handset, _: Order) -> dict[str, Any]:
    return check_in.diagnostics(handset)


EFFECTS: Mapping[str, Effect] = {
    "ring": _ring,
    "message": _message,
    "lock": _lock,
    "lost-mode": _lost_mode,
    "container-lock": _container_lock,
    "stand-down": _stand_down,
    "policy-refresh": _policy_refresh,
    "diagnostics": _diagnostics,
}
"""Kind → what it does."""


def _left_out(name: str, given: Mapping[str, Any]) -> bool:
    return name in _OPTIONAL and name not in given


def _text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 500  # noqa: PLR2004 - the protocol's


def _phone(value: Any) -> bool:
    return isinstance(value, str) and _PHONE.fullmatch(value) is not None


def _seconds(value: Any) -> bool:
    return type(value) is int and 5 <= value <= 300  # noqa: PLR2004 - the protocol's


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _ids(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_PARAMETERS: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "ring": {"seconds": _seconds},
    "message": {"text": _text},
    "lost-mode": {"text": _text, "phone": _phone},
    "stand-down": {"void": _ids},
    "full-wipe": {"external_storage": _flag, "esim": _flag},
}
_OPTIONAL: Final = frozenset({"void"})
"""What may be left out: there is nothing to void then."""
