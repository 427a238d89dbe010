"""The demo goes on: a carrier in danger presses the alert button, and nobody takes it at once."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.dom import minidom

from demo import alerts, console, pager, seed, staff
from demo.console import Console, Line
from demo.day import expect, say
from demo.pager import Page, Pager
from handset import sos
from handset.sos import Sensed, Sos
from infra.running import Run

CARRIER = "C2001"
PIN, DURESS_PIN = "2580", "1379"
"""The same in each demo: PINs are the carrier's, whatever handset they hold."""
PLACE = "12 BOULEVARD GAMBETTA, ISSY-LES-MOULINEAUX, 3e étage"
_START = (48.82430, 2.27010)
_STEP = 0.00004
"""Degrees that the carrier goes between two reports: a few metres."""
_ENDS_WITHIN = 30.0
_PAIR = re.compile(r"(<parameter>)\s*(<valueName>.*</valueName>)\s*(<value>.*</value>)\s*(?=</parameter>)")
"""A parameter of a CAP document, which is to stand on one line."""


def day(running: Run) -> None:
    """The alert, with a pager of this process that is called too and taken out of the zone's policy at the end.

    Raises DemoFailed, or TimeoutError.
    """
    with pager.serving(_say_page) as receiver, alerts.paged(running, receiver), _screen(running):
        one_alert(running, receiver)


def one_alert(running: Run, receiver: Pager) -> str:
    """The alert, step by step, with a pager that is called already: its id, once it is over. Raises as `day`."""
    with tempfile.TemporaryDirectory() as folder:
        button = Sos(staff.enrol(running, CARRIER, Path(folder) / f"sos-{int(time.time())}"))
        _begin_shift(button)
        pressed = _press(button)
        with _followed(button, pressed):
            _wait_for_step(receiver, pressed, 2)
            _take(running, pressed)
            _show_cap(running, pressed)
            _close(running, button, receiver, pressed)
    _show_report(running, pressed)
    return pressed


def _begin_shift(button: Sos) -> None:
    button.set_pins(PIN, DURESS_PIN)
    say(f"{CARRIER} begins the shift, sets two PINs (one for duress) and tries the alert button")
    milliseconds = button.self_test(_sensed(0))
    say(f"  the self-test came back: {milliseconds} ms from reception to the operators' feed")


def _press(button: Sos) -> str:
    alert = button.press(_sensed(1))
    began = time.monotonic()
    told = button.send(alert)
    say(f"SOS: pressed, and {told['status']} after {time.monotonic() - began:.1f} s. Nobody takes it ...")
    return alert


def _sensed(step: int) -> Sensed:
    """The carrier goes slowly along the boulevard."""
    now = datetime.now(UTC)
    latitude, longitude = (start + step * _STEP for start in _START)
    place = {"text": PLACE, "at": now.isoformat()}
    return Sensed(sos.fix(latitude, longitude, now, radius=8.0), battery=71, last_place=place)


@contextmanager
def _followed(button: Sos, alert: str) -> Iterator[None]:
    """The handset says where the carrier is, as often as it is asked, until the alert is over."""
    steps = iter(range(2, 10_000))
    with _thread(lambda: button.follow(alert, lambda: _sensed(next(steps)))) as following:
        yield
        following.join(_ENDS_WITHIN)
    expect(following.is_alive(), False, "positions are still sent after the end")


@contextmanager
def _screen(running: Run) -> Iterator[None]:
    """A dispatcher's screen, until the block ends."""
    stopped, screen = threading.Event(), Console(running)
    screen.catch_up()
    with _thread(lambda: screen.follow(stopped, _say_lines)) as following:
        try:
            yield
        finally:
            stopped.set()
        following.join(_ENDS_WITHIN)


@contextmanager
def _thread(run: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread


def _wait_for_step(receiver: Pager, alert: str, step: int) -> None:
    def called() -> list[Page] | None:
        pages = receiver.of(alert)
        return pages if pages and pages[-1].step >= step else None

    pages = seed.wait_for(called, f"step {step} of the ladder")
    expect([page.step for page in pages], list(range(1, step + 1)), "steps that called the pager, each once")


def _take(running: Run, alert: str) -> None:
    where = alerts.look(running, "alert", alert)
    fix, place = where["fix"], where["last_place"]
    say(f"A dispatcher looks: {fix['latitude']:.5f}, {fix['longitude']:.5f}, {where['age_seconds']} s ago")
    say(f"  the last scan was at {place['text']}")
    for action in ("acknowledge", "respond"):
        say(f"  {action}: {alerts.act(running, action, alert)['state']}")
    alerts.act(running, "note", alert, text="Un collègue est sur place, la police arrive.")


def _show_cap(running: Run, alert: str) -> None:
    say("The alert for the emergency services (CAP 1.2):")
    document = minidom.parseString(str(alerts.look(running, "cap", alert)))  # noqa: S318 - our own
    _print(_PAIR.sub(r"\1\2\3", document.toprettyxml(indent="  ")))


def _close(running: Run, button: Sos, receiver: Pager, alert: str) -> None:
    say(f"The handset shows: {button.status(alert)['status']}")
    state = alerts.act(running, "close", alert, reason="rescued")["state"]
    say(f"The carrier is safe: {state}. The carrier can read who looked:")
    for view in button.views(alert):
        say(f"  {console.short(view['by'])} ({view['what']})")
    seed.wait_for(lambda: receiver.of(alert, "resolve") or None, "the pager's all-clear")
    expect(len(receiver.of(alert, "acknowledge")), 1, "times the pager was told that it was taken")
    expect(receiver.refused, 0, "requests that were not signed by the back office")


def _show_report(running: Run, alert: str) -> None:
    way = alerts.look(running, "track", alert)["features"][1]["geometry"]["coordinates"]
    say(f"Its track has {len(way)} positions, from {way[0]} to {way[-1]} (GeoJSON)")
    report = alerts.look(running, "report", alert)
    say("Its report, with the seconds since the alert was received:")
    _print("\n".join(_entry(entry) for entry in report["timeline"]))
    delays = {name.removesuffix("_ms"): delay for name, delay in report["delays"].items() if delay is not None}
    _print(", ".join(f"{name} after {delay / 1000:.1f} s" for name, delay in delays.items()))


def _entry(entry: dict[str, Any]) -> str:
    more = [*entry["reached"], *entry["flags"], entry["reason"]]
    said = f"{entry['since_reception_ms'] / 1000:7.1f}  {entry['what']:<12}{console.short(entry['by']):<16}"
    return f"{said}{', '.join(filter(None, more))}".rstrip()


def _say_page(page: Page) -> None:
    step = f" (step {page.step})" if page.action == "trigger" else ""
    say(f"  pager   | {page.action}{step}: {page.summary}")


def _say_lines(lines: list[Line]) -> None:
    for line in lines:
        say(f"  console | {console.told(line)}")


def _print(text: str) -> None:
    print("\n".join(f"    {line}" for line in text.splitlines()), flush=True)
