"""A dispatcher's screen of a zone: it follows the feed, says what it shows, and keeps the open alerts in sight.

On a terminal the open alerts stand above the last lines of the feed; elsewhere each line is printed as it comes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from demo import staff
from demo.alerts import ZONE
from infra.running import Run

Line = dict[str, Any]

LINES_SHOWN = 15
_CLEAR = "\x1b[H\x1b[J"
_OVER = {"closed", "joined"}
_TAIL = 6


class Console:
    """A screen. `alerts` is the last line of each alert that is open."""

    def __init__(self, running: Run, zone: str = ZONE) -> None:
        self.alerts: dict[str, Line] = {}
        self.through = 0
        self._running, self._zone = running, zone

    def catch_up(self) -> list[Line]:
        """What there is already: the lines of the alerts that are still open."""
        lines, _ = self.look()
        return [line for line in lines if line["alert"] in self.alerts]

    def look(self) -> tuple[list[Line], int]:
        """The lines that are new, which then count as shown, and in how many seconds to ask again."""
        lines: list[Line] = []
        while True:
            after = self.through
            feed = self._call("GET", f"/v1/alert-feed/{self._zone}?after={after}", "dispatcher")
            lines += feed["lines"]
            self.through = feed["through"]
            for line in feed["lines"]:
                self._note(line)
            if self.through > after:
                shown = {"after": after, "through": self.through}
                self._call("POST", f"/v1/alert-feed/{self._zone}/receipts", "dispatcher", shown)
            if not feed["more"]:
                return lines, int(feed["ask_again_seconds"])

    def follow(self, stopped: threading.Event, show: Callable[[list[Line]], None]) -> None:
        """Show what is new, as often as the back office says, until it is stopped."""
        show(self.catch_up())
        seconds = 0
        while not stopped.wait(seconds):
            lines, seconds = self.look()
            if lines:
                show(lines)

    def _note(self, line: Line) -> None:
        if line["state"] in _OVER:
            self.alerts.pop(line["alert"], None)
        else:
            self.alerts[line["alert"]] = line

    def _call(self, method: str, path: str, role: str, body: Any = None) -> Any:
        return staff.call(self._running, method, path, body, bearer=staff.token(self._running, role))


def watch(console: Console, stopped: threading.Event) -> None:
    """Show the screen until it is stopped: drawn anew on a terminal, line by line elsewhere."""
    if not sys.stdout.isatty():
        console.follow(stopped, lambda lines: print("\n".join(map(told, lines)), flush=True) if lines else None)
        return
    kept: list[Line] = []

    def draw(lines: list[Line]) -> None:
        kept.extend(lines)
        del kept[:-LINES_SHOWN]
        print(_CLEAR + screen(console.alerts, kept), flush=True)

    console.follow(stopped, draw)


def screen(alerts: Mapping[str, Line], lines: list[Line]) -> str:
    """The open alerts, the oldest first, and the last lines."""
    rows = [
        f"  …{alert[-_TAIL:]}  {line['state']:<10}  step {line.get('step', 0):>2}  {_whose(line)}  {_told_more(line)}"
        for alert, line in alerts.items()
    ]
    head = f"Open alerts: {len(alerts)}" if alerts else "No alert is open."
    return "\n".join([head, *rows, "", *map(told, lines)])


def told(line: Line) -> str:
    """A line of the feed as a line of text."""
    at = datetime.fromisoformat(line["at"]).astimezone(ZoneInfo("Europe/Paris"))
    what = WORDS.get(line["what"], line["what"])
    step = f" {line['step']}" if line["what"] == "notified" else ""
    by = f" by {short(line['by'])}" if line["by"].startswith("staff/") else ""
    text = f"{at:%H:%M:%S}  {line['seq']:>4}  …{line['alert'][-_TAIL:]}  {what}{step}{by}  {_whose(line)}"
    return f"{text}  {_told_more(line)}".rstrip()


def short(who: str) -> str:
    """Who did something, with the first part of an id only: `staff/2274c3bd`."""
    kind, _, name = who.partition("/")
    return f"{kind}/{name.split('-')[0]}"


def _whose(line: Line) -> str:
    return f"{line['carrier']} of {line['depot']}"


def _told_more(line: Line) -> str:
    purpose = [line["purpose"]] if line.get("purpose", "actual") != "actual" else []
    silent = ["SILENT: do not call"] if line.get("silent") else []
    return ", ".join([*purpose, *silent, *line.get("flags", []), *filter(None, [line.get("reason")])])


WORDS: Mapping[str, str] = {
    "raised": "SOS RAISED",
    "placed": "is this zone's",
    "pre-alarm-over": "SOS: not cancelled in time",
    "notified": "called: step",
    "seen": "seen",
    "acked": "TAKEN",
    "responding": "help is under way",
    "located": "position",
    "noted": "note",
    "lease-over": "NOBODY GOES ON WITH IT",
    "pressed-again": "SOS PRESSED AGAIN",
    "completed": "the press came after its text",
    "joined": "belongs to another alert",
    "handed-over": "handed to another zone",
    "taken-over": "SOS TAKEN OVER from another zone",
    "duress": "SOS UNDER DURESS",
    "cancel-asked": "cancellation asked for, to be confirmed",
    "contact-lost": "CONTACT LOST",
    "closed": "closed",
}
"""What happened, as a dispatcher reads it."""
