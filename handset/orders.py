"""Orders: fetched, judged by the handset itself, obeyed at most once, and reported (docs/protocol/commands.md, 2 to 4).

`fleet/orders.json` keeps each order with what was reported of it, before anything is done:

| stage | means | after a restart |
|---|---|---|
| accepting | `accepted` is signed; whether the back office has it is not known | the same report again; obeyed if the answer says so |
| obeying | the answer said so: the effect may have begun | reported as failed, `interrupted`; only a stand-down is done again |
| done | the last report is signed | the same report again, until it was answered |

An order that destroys is never obeying: from the answer on `handset.wiping` has it.
"""  # noqa: E501 - a table

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from handset import effects, standing, trust, wiping
from handset.approvals import Untrusted, check_warrant, read_warrant, version_named
from handset.client import Handset
from handset.effects import DESTROY, EFFECTS, REASON_SHOWN, REPEATED, EffectFailed, Order
from handset.files import read_json, write_json
from handset.reports import ACCEPTED, FAILED, NOT_NOW, REFUSED, SUCCEEDED, UNSUPPORTED, WIPING, signed_report
from handset.sos import Sos
from handset.strict import Malformed, json_object, moment, opened
from handset.transport import NoNetwork, Refused

WAITING: Final = "waiting"
"""What became of an order that cannot be obeyed before the back office is asked."""
DROPPED: Final = "dropped"
"""What became of an order that the back office does not want obeyed any more."""
ALERT_OPEN: Final = "alert-open"
"""Why nothing is destroyed now: an alert of the carrier's is open."""
ALERT_FIRST: Final = timedelta(hours=1)
"""How long an alert goes before an order that destroys."""
TRY_AGAIN_AFTER = timedelta(minutes=15)
"""When an order may come again that cannot be obeyed now."""

_ACCEPTING, _OBEYING, _DONE = "accepting", "obeying", "done"
_ID = re.compile(r"[0-9a-f-]{36}")
_SHAPE: Final = {"device": str, "generation": int, "number": int, "kind": str, "parameters": dict, "reason": str}

Kept = dict[str, Any]
"""`order`, `stage`, the signed `report`, `what` it says with which `code`, and whether it was `told`."""


@dataclass(frozen=True)
class Outcome:
    """What became of an order: what was reported, or `WAITING`, or `DROPPED` with the order's state as `code`."""

    order: Order
    what: str
    code: str = ""


class _Objection(Exception):  # noqa: N818
    """Why an order is not obeyed: what to report, and the code."""

    def __init__(self, what: str, code: str) -> None:
        super().__init__(code)
        self.what, self.code = what, code


class Orders:
    """The orders of an enrolled handset. `show` tells the carrier why, before a lock or a wipe.

    A handset that is busy has a file `busy.json` in its folder, whose `code` says why it obeys nothing now.
    """

    def __init__(self, handset: Handset, show: Callable[[str], None] = lambda _: None) -> None:
        self._handset, self._show = handset, show
        self._file = handset.fleet / "orders.json"
        self._kept: dict[str, Kept] = read_json(self._file) or {}

    def run(self) -> list[Outcome]:
        """Go on with what is not finished, then fetch and obey what waits. After a wipe the handset is none any more.

        Raises NoNetwork and Refused if orders cannot be fetched: what was kept before is kept.
        """
        outcomes: dict[str, Outcome] = {}
        for order in self._to_take():
            if order["id"] not in outcomes:
                outcomes[order["id"]] = self._take(order)
            if outcomes[order["id"]].what == WIPING:
                break
        return list(outcomes.values())

    # --- within ---------------------------------------------------------------------------------------------

    def _to_take(self) -> Iterator[Order]:
        yield from [kept["order"] for kept in self._kept.values() if kept["stage"] != _DONE or not kept["told"]]
        fetched = self._handset.call("GET", "/v1/commands").body.get("orders")
        for token in fetched if isinstance(fetched, list) else []:
            # What is not from the back office is not answered.
            with suppress(Malformed):
                yield read_order(token, self._handset.enrolment["server_keys"])

    def _take(self, order: Order) -> Outcome:
        """Obey an order, or say again what was said of it: what was kept under its id counts, not what comes now."""
        kept = self._kept.get(order["id"])
        if kept is None:
            return self._judge(order)
        if kept["stage"] == _ACCEPTING:
            return self._judge(kept["order"])
        if kept["stage"] == _OBEYING:
            again = kept["order"]["kind"] in REPEATED
            return self._obey(kept["order"]) if again else self._conclude(kept["order"], FAILED, "interrupted")
        return self._tell(kept)

    def _judge(self, order: Order) -> Outcome:
        try:
            self._check(order)
        except _Objection as objection:
            return self._conclude(order, objection.what, objection.code)
        except NoNetwork:
            return Outcome(order, WAITING)
        reason = self._reason_to_wait(order)
        return self._put_off(order, reason) if reason else self._accept(order)

    def _reason_to_wait(self, order: Order) -> str:
        """Why the handset does not obey now; empty if it can. While its carrier calls for help nothing is destroyed,
        but not for longer than an hour: a thief may press the button too.
        """
        is_recent = self._handset.now() < moment(order["issued_at"]) + ALERT_FIRST
        if order["kind"] in DESTROY and is_recent and Sos(self._handset).current:
            return ALERT_OPEN
        busy = read_json(self._handset.folder / "busy.json")
        return str(busy["code"]) if busy else ""

    def _check(self, order: Order) -> None:
        """Raises _Objection, and NoNetwork if the approvers that are named cannot be asked for now."""
        enrolment = self._handset.enrolment
        if (order["device"], order["generation"]) != (enrolment["device"], enrolment["generation"]):
            raise _Objection(REFUSED, "not-mine")
        if order.get("expires_at") is not None and not self._is_to_come(order["expires_at"]):
            raise _Objection(REFUSED, "expired")
        if not effects.knows(order["kind"]):
            raise _Objection(UNSUPPORTED, "unknown-kind")
        if not effects.fits(order):
            raise _Objection(REFUSED, "parameters-invalid")
        if order["kind"] in DESTROY:
            self._check_warrant(order)

    def _check_warrant(self, order: Order) -> None:
        handset, warrant = self._handset, order.get("warrant")
        known = trust.approvers(handset)
        if known and version_named(warrant) > known.version:
            with suppress(Refused):
                trust.learn_approvers(handset)
            known = trust.approvers(handset)
        try:
            check_warrant(warrant, order, known, handset.now(), standing.of(handset)["voided"])
        except Untrusted as refusal:
            raise _Objection(REFUSED, refusal.code) from refusal

    def _is_to_come(self, at: Any) -> bool:
        try:
            return self._handset.now() < moment(at)
        except Malformed:
            return False

    def _put_off(self, order: Order, code: str) -> Outcome:
        """Say that it cannot be done now. That is not kept: when the order comes again it is judged anew."""
        retry_at = (self._handset.now() + TRY_AGAIN_AFTER).isoformat()
        self._answer(order, signed_report(self._handset, order, NOT_NOW, code, {"retry_at": retry_at}))
        return Outcome(order, NOT_NOW, code)

    def _accept(self, order: Order) -> Outcome:
        """Obey, if the back office says that the order is accepted: not before, and not without its word."""
        kept = self._kept.get(order["id"]) or self._keep(order, _ACCEPTING, ACCEPTED)
        state = self._answer(order, kept["report"])
        if not state:
            return Outcome(order, WAITING)
        if state != ACCEPTED:
            return self._drop(kept, state)
        return self._wipe(order) if order["kind"] in DESTROY else self._obey(order)

    def _drop(self, kept: Kept, state: str) -> Outcome:
        self._change(kept, stage=_DONE, told=True, what=DROPPED, code=state)
        return Outcome(kept["order"], DROPPED, state)

    def _obey(self, order: Order) -> Outcome:
        self._change(self._kept[order["id"]], stage=_OBEYING)
        self._show_reason(order)
        try:
            detail = EFFECTS[order["kind"]](self._handset, order)
        except EffectFailed as failure:
            return self._conclude(order, FAILED, failure.code)
        return self._conclude(order, SUCCEEDED, detail=detail)

    def _wipe(self, order: Order) -> Outcome:
        intent = wiping.begin(self._handset, order, read_warrant(order["warrant"])["id"])
        self._show_reason(order)
        wiping.carry_out(self._handset, intent)
        return Outcome(order, WIPING)

    def _show_reason(self, order: Order) -> None:
        if order["kind"] in REASON_SHOWN:
            self._show(order["reason"])

    def _conclude(self, order: Order, what: str, code: str = "", detail: dict[str, Any] | None = None) -> Outcome:
        return self._tell(self._keep(order, _DONE, what, code, detail))

    def _tell(self, kept: Kept) -> Outcome:
        """Say, or say again, what the last report says."""
        if self._answer(kept["order"], kept["report"]):
            self._change(kept, told=True)
        return Outcome(kept["order"], kept["what"], kept["code"])

    def _answer(self, order: Order, report: str) -> str:
        """Send a report: the state of its order, empty if it was not answered."""
        try:
            answer = self._handset.call("POST", f"/v1/commands/{order['id']}/reports", {"report": report})
        except (NoNetwork, Refused):
            return ""
        return str(answer.body.get("state"))

    def _keep(self, order: Order, stage: str, what: str, code: str = "", detail: dict[str, Any] | None = None) -> Kept:
        report = signed_report(self._handset, order, what, code, detail)
        kept = {"order": order, "stage": stage, "report": report, "what": what, "code": code, "told": False}
        self._kept[order["id"]] = kept
        self._change(kept)
        return kept

    def _change(self, kept: Kept, **members: Any) -> None:
        """When this returns, it is on the disk. Only what destroys goes on if that is full: it happens once anyway."""
        kept.update(members)
        try:
            write_json(self._file, self._kept)
        except OSError:
            if kept["order"]["kind"] not in DESTROY:
                raise


def read_order(token: Any, server_keys: list[dict[str, Any]]) -> Order:
    """The order of a compact JWS by one of the back office's keys. Raises Malformed: then it is not from there."""
    payload = opened(token, server_keys)
    order = json_object(payload)
    shaped = all(type(order.get(name)) is kind for name, kind in _SHAPE.items())
    if order.get("type") != "facteo.order" or not shaped or not _ID.fullmatch(str(order.get("id"))):
        raise Malformed("no order")
    moment(order.get("issued_at"))
    return {**order, "digest": hashlib.sha256(payload).hexdigest()}
