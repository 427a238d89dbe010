"""The alert button: a press is on the disk before anything is sent, and is sent until the back office has it.

Each press has an id of its own, under which it may be sent as often as need be. While there is no network, a text (SMS)
tells the same. From then on the handset says where the carrier is, as often as the back office asks, until no more is
taken. Whatever PIN is entered, the handset shows what it is answered and goes on as before: it does not know more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from handset import aml
from handset.aml import Fix
from handset.client import Handset
from handset.files import write_whole
from handset.ids import new_id
from handset.transport import NoNetwork, Refused

ANSWERED_WITHIN = 8.0
"""Seconds that an answer may take: after that the same is sent again, and by SMS."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a press is sent again, the first times; then always `LONGEST_PAUSE`."""
LONGEST_PAUSE = 15.0
REPORT_AGAIN = 5.0
"""Seconds after which a report that did not get through is tried again."""
TEXT_AGAIN = 60.0
"""Seconds between two texts about the same press."""
MOST_FIXES = 100
"""Positions of a report. If more could not be sent, the oldest are given up."""
CONFIDENCE = 68
"""Per cent: what Android's accuracy stands for."""

RETIRED = "/problems/device-blocked"
ID_TAKEN = "/problems/alert-id-taken"
NOT_TAKEN_ANY_MORE = {"/problems/no-open-alert", "/problems/not-found"}

Told = dict[str, Any]
"""An alert as the back office tells its handset of it: `id`, `status`, `received_at`, `delay_ms`."""


class SelfTestUnanswered(Exception):  # noqa: N818
    """The self-test did not come back: the alert button cannot be relied on."""


@dataclass(frozen=True)
class Sensed:
    """What the handset knows: a position, the battery (per cent), and where something was scanned last."""

    fix: Fix | None = None
    battery: int | None = None
    last_place: dict[str, str] | None = None


Sense = Callable[[], Sensed]


def fix(latitude: float, longitude: float, at: datetime, *, radius: float | None, method: str = "gnss") -> Fix:
    """A position in WGS 84 degrees: the radius is in metres, as Android tells it, None if it is not known."""
    return {
        "latitude": latitude,
        "longitude": longitude,
        "fixed_at": at.isoformat(),
        "radius": radius,
        "confidence": CONFIDENCE,
        "method": method,
    }


@dataclass
class _Press:
    """A press and what is sent of it, always the same. `taken`: the back office has it."""

    id: str
    body: dict[str, Any]
    taken: bool = False


class Sos:
    """The alert button of an enrolled handset. `text` sends an SMS to the number of the operator.

    Taken up again in the folder of a handset that was killed, it knows the presses that are not over.
    """

    def __init__(
        self,
        handset: Handset,
        text: Callable[[str], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._handset, self._text, self._pause = handset, text, pause
        self._unsent: list[Fix] = []
        self._texted: dict[str, datetime] = {}

    def press(
        self, sensed: Sensed = Sensed(), *, trigger: str = "manual", purpose: str = "actual", silent: bool = False
    ) -> str:
        """Keep a press and give its id. When this returns it is on the disk, network or not."""
        press = self._drawn_up(sensed, trigger=trigger, purpose=purpose, silent=silent)
        self._keep(press)
        return press.id

    @property
    def current(self) -> str | None:
        """The last press that is not over; None if there is none."""
        return max((path.stem.removeprefix("sos-") for path in self._handset.folder.glob("sos-*.json")), default=None)

    def send(self, alert: str, tries: int | None = None) -> Told:
        """Send a press until the back office says that it has it, or so many times; it tells under which id.

        After the first time in vain the same goes out as a text. Raises NoNetwork when the last try failed, and Refused
        if the handset is retired.
        """
        made = 0
        while True:
            try:
                return self._sent(self._press(alert))
            except Refused as refusal:
                if refusal.problem["type"] != ID_TAKEN:
                    raise
                alert = self._renamed(alert)
                continue
            except NoNetwork:
                self._by_text(alert)
                made += 1
                if made == tries:
                    raise
            self._pause(PAUSES[made - 1] if made <= len(PAUSES) else LONGEST_PAUSE)

    def report(self, alert: str, sensed: Sensed) -> int | None:
        """Say where the carrier is: in how many seconds to report again, None if no more is taken.

        Positions that do not get through go with the next report, and the last one by text. Raises NoNetwork, and
        Refused if the handset is retired or the press must have another id: see `send`.
        """
        self._unsent = [*self._unsent, *([sensed.fix] if sensed.fix else [])][-MOST_FIXES:]
        body = {"fixes": self._unsent, "battery": sensed.battery, "last_place": sensed.last_place}
        try:
            if not self._press(alert).taken:
                self._sent(self._press(alert))
            answer = self._insist("POST", f"/v1/alerts/{alert}/positions", body, {RETIRED, *NOT_TAKEN_ANY_MORE})
        except NoNetwork:
            self._by_text(alert)
            raise
        except Refused as refusal:
            if refusal.problem.get("type") not in NOT_TAKEN_ANY_MORE:
                raise
            self._forget(alert)
            return None
        self._unsent = []
        return int(answer["seconds"])

    def follow(self, alert: str, sense: Sense) -> None:
        """Report as often as the back office asks, until it takes no more: also after a PIN, whatever is shown."""
        while True:
            try:
                seconds = self.report(alert, sense())
            except NoNetwork:
                self._pause(REPORT_AGAIN)
                continue
            if seconds is None:
                return
            self._pause(seconds)

    def status(self, alert: str) -> Told:
        """How an alert stands; one that is closed is forgotten. Raises NoNetwork, Refused."""
        told = self._call("GET", f"/v1/alerts/{alert}/status")
        if told["status"] == "closed":
            self._forget(alert)
        return told

    def cancel(self, alert: str, pin: str) -> Told:
        """Enter a PIN: what to show from then on. Raises NoNetwork, and Refused for a wrong PIN."""
        return self._call("POST", f"/v1/alerts/{alert}/cancellation", {"pin": pin})

    def set_pins(self, pin: str, duress_pin: str, current_pin: str | None = None) -> None:
        """Set the carrier's two PINs; to change them, one of the former ones is needed. Raises NoNetwork, Refused."""
        body = {"pin": pin, "duress_pin": duress_pin, "current_pin": current_pin}
        self._handset.call("PUT", "/v1/alert-pins", body)

    def views(self, alert: str) -> list[dict[str, str]]:
        """Who looked at the carrier's positions, when, and as what. Raises NoNetwork, Refused."""
        return list(self._call("GET", f"/v1/alerts/{alert}/views")["views"])

    def self_test(self, sensed: Sensed = Sensed(), *, within: int = 30) -> int:
        """Try the alert button at the start of the shift: how many milliseconds it took to the operators' feed.

        Raises SelfTestUnanswered if that is not known within so many seconds, and Refused.
        """
        press = self._drawn_up(sensed, trigger="manual", purpose="self-test", silent=False)
        for _ in range(within):
            try:
                told = self.status(press.id) if press.taken else self._raised(press)
                press.taken = True
            except NoNetwork:
                told = {"delay_ms": None}
            if told["delay_ms"] is not None:
                return int(told["delay_ms"])
            self._pause(1.0)
        raise SelfTestUnanswered(f"The self-test was not answered within {within} s.")

    # --- within ---------------------------------------------------------------------------------------------

    def _drawn_up(self, sensed: Sensed, *, trigger: str, purpose: str, silent: bool) -> _Press:
        now = self._handset.now()
        told = {"raised_at": now.isoformat(), "trigger": trigger, "purpose": purpose, "silent": silent}
        return _Press(new_id(now), {**told, **asdict(sensed)})

    def _sent(self, press: _Press) -> Told:
        told = self._raised(press)
        press.taken = True
        self._keep(press)
        return told

    def _raised(self, press: _Press) -> Told:
        """Send a press once."""
        return self._insist("PUT", f"/v1/alerts/{press.id}", press.body, {RETIRED, ID_TAKEN})

    def _insist(self, method: str, path: str, body: Mapping[str, Any], final: set[str]) -> dict[str, Any]:
        """Send what has to arrive. Whatever is refused for another reason than the final ones is to be tried again."""
        try:
            return self._call(method, path, body)
        except Refused as refusal:
            if refusal.problem.get("type") in final:
                raise
            raise NoNetwork(str(refusal)) from refusal

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return dict(self._handset.call(method, path, body, timeout=ANSWERED_WITHIN).body)

    def _by_text(self, alert: str) -> None:
        """What the handset knows of an alert as a text; not for an exercise, which a text could not say."""
        press, now = self._press(alert), self._handset.now()
        before = self._texted.get(alert)
        lately = before is not None and (now - before).total_seconds() < TEXT_AGAIN
        if self._text is None or lately or press.body["purpose"] != "actual":
            return
        self._texted[alert] = now
        last = self._unsent[-1] if self._unsent else press.body["fix"]
        self._text(aml.text_of(alert, datetime.fromisoformat(press.body["raised_at"]), last))

    def _file(self, alert: str) -> Path:
        return self._handset.folder / f"sos-{alert}.json"

    def _press(self, alert: str) -> _Press:
        return _Press(**json.loads(self._file(alert).read_text()))

    def _keep(self, press: _Press) -> None:
        write_whole(self._file(press.id), json.dumps(asdict(press)).encode())

    def _renamed(self, alert: str) -> str:
        """The same press under another id."""
        press = replace(self._press(alert), id=new_id(self._handset.now()))
        self._keep(press)
        self._forget(alert)
        return press.id

    def _forget(self, alert: str) -> None:
        self._file(alert).unlink(missing_ok=True)
