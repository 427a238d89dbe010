"""An alert as CAP 1.2 (OASIS, 1 July 2010): what is handed to another centre or to the emergency services.

Messages are made for the stages of an alert: the first is an Alert, each later one an Update that names all stages
before it, the last a Cancel if there was no danger. What the handset reported since the last stage, or a flag that
changed, makes an Update of that stage, which nothing names later: so the references grow with what people do, and not
with every position.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from xml.etree import ElementTree

from chalicelib.alerts.reports import Told, in_order
from chalicelib.alerts.schemas import Alert, Fix, Flag, LastPlace, Purpose, Reason, State, Trigger
from chalicelib.core.clock import PARIS

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
EXPIRES_AFTER: Final = timedelta(hours=24)
"""No alert is open that long; if one is, each message of it renews the time."""
LANGUAGES: Final = ("fr-FR", "en-GB")
HARMLESS: Final = frozenset({Reason.CANCELLED, Reason.FALSE_ALARM})
"""Closed for one of these, there was nothing: a Cancel. For any other it is over: an Update with the all-clear."""

Text = tuple[str, str]
"""The same in each of the languages."""


class Kind(NamedTuple):
    """What a stage says to others: how soon they must act, what they should do, and the stage in words."""

    urgency: str
    response: str
    headline: Text


STAGES: Final[Mapping[str, Kind]] = {
    "raised": Kind("Immediate", "Assess", ("alerte déclenchée", "alert raised")),
    "pre-alarm-over": Kind("Immediate", "Assess", ("alerte confirmée faute de réponse", "no answer, alert confirmed")),
    "pressed-again": Kind("Immediate", "Assess", ("nouvel appel du facteur", "the carrier called again")),
    "duress": Kind("Immediate", "Execute", ("facteur sous la contrainte", "the carrier is under duress")),
    "acked": Kind("Immediate", "Monitor", ("prise en charge par un opérateur", "taken by an operator")),
    "responding": Kind("Immediate", "Monitor", ("secours en route", "help is under way")),
    "handed-over": Kind("Immediate", "Assess", ("transmise à un autre centre", "handed to another centre")),
    "lease-over": Kind("Immediate", "Assess", ("plus prise en charge", "not taken any more")),
    "closed": Kind("Past", "AllClear", ("alerte close", "alert closed")),
}
"""The events of an alert that make a message. `raised` of an alert that waits for its carrier is only Expected."""
WAITING: Final = Kind("Expected", "Monitor", ("en attente de réponse du facteur", "waiting for the carrier's answer"))

EVENTS: Final[Mapping[Trigger, Text]] = {
    Trigger.MANUAL: ("Facteur en danger", "Mail carrier in danger"),
    Trigger.FALL: ("Chute d'un facteur", "Fall of a mail carrier"),
    Trigger.NO_MOTION: ("Facteur immobile", "Mail carrier not moving"),
    Trigger.MISSED_CHECK_IN: ("Facteur sans nouvelles", "Mail carrier missed a check-in"),
    Trigger.LOST_LINK: ("Liaison perdue avec un facteur", "Link to a mail carrier lost"),
}
STATUSES: Final[Mapping[Purpose, str]] = {
    Purpose.ACTUAL: "Actual",
    Purpose.EXERCISE: "Exercise",
    Purpose.SELF_TEST: "Test",
}
NOTES: Final[Mapping[Purpose, str]] = {
    Purpose.ACTUAL: "",
    Purpose.EXERCISE: "EXERCICE / EXERCISE",
    Purpose.SELF_TEST: "ESSAI / TEST",
}
RESTRICTION: Final = "Secours et centres d'alerte de La Poste / Rescue services and alert centres of La Poste"
SILENT: Final[Text] = (
    "Alerte silencieuse : n'appelez pas le téléphone du facteur, approchez sans sirène.",
    "Silent alert: do not call the carrier's telephone, approach without a siren.",
)
NOWHERE: Final[Text] = ("Position inconnue", "Position unknown")
SOMEWHERE: Final[Text] = ("Position du téléphone du facteur", "Position of the carrier's telephone")
LAST_PLACE: Final[Text] = ("dernier flashage", "last scan")

_UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


class Sender(NamedTuple):
    """Who sends: `id`, unique in the world, without spaces, commas, < and &; and a name for people."""

    id: str
    name: str


class Message(NamedTuple):
    """What makes a message: its identifier, when it was sent, and the stage that it tells."""

    identifier: str
    sent: datetime
    stage: Told


class Where(NamedTuple):
    """Where the carrier is, as far as it is known."""

    fix: Fix | None
    last_place: LastPlace | None


def document(
    alert: Alert,
    told: Iterable[Told],
    fix: Fix | None,
    last_place: LastPlace | None,
    *,
    sender: Sender,
    to: Sequence[str] = (),
) -> str:
    """The CAP message that tells an alert as it stands: of its last stage, or of what changed since.

    `told` are its events, in whatever order. `to` are addresses: the message is Private then, else Restricted to who
    needs it for the rescue. Raises ValueError if there is no event yet.
    """
    events = in_order(told)
    stages = [_of_stage(alert, event) for event in events if event.what in STAGES]
    if not stages:
        raise ValueError("There is no message before the alert is raised.")
    message = _moved(stages[-1], _changed_at(alert, events))
    earlier = [stage for stage in stages if stage.identifier != message.identifier]
    root = ElementTree.Element("alert", xmlns=NAMESPACE)
    for name, text in _envelope(alert, message, earlier, sender, to):
        _add(root, name, text)
    for which in range(len(LANGUAGES)):
        root.append(_info(alert, message, Where(fix, last_place), sender.name, which))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _of_stage(alert: Alert, event: Told) -> Message:
    return Message(f"{alert.id}.{event.body.number}", event.at, event)


def _changed_at(alert: Alert, events: Sequence[Told]) -> datetime:
    """When the handset was heard last or a flag changed, whichever was later."""
    flagged = [after.at for before, after in pairwise(events) if before.body.flags != after.body.flags]
    return max([alert.heard_at, *flagged])


def _moved(message: Message, at: datetime) -> Message:
    """The message for what changed after the stage, unless that was the end."""
    if message.stage.what == "closed" or at <= message.sent:
        return message
    return Message(f"{message.identifier}.{at.astimezone(UTC):%Y%m%d%H%M%S%f}", at, message.stage)


def _envelope(
    alert: Alert, message: Message, earlier: Sequence[Message], sender: Sender, to: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The elements before the first info, in the order of the schema; those without a text are left out."""
    yield "identifier", message.identifier
    yield "sender", sender.id
    yield "sent", moment(message.sent)
    yield "status", STATUSES[alert.purpose]
    yield "msgType", _type(alert, message, earlier)
    yield "scope", "Private" if to else "Restricted"
    yield "restriction", "" if to else RESTRICTION
    yield "addresses", " ".join(f'"{address}"' if " " in address else address for address in to)
    yield "note", f"{NOTES[alert.purpose]} {alert.id}" if NOTES[alert.purpose] else ""
    yield "references", " ".join(f"{sender.id},{stage.identifier},{moment(stage.sent)}" for stage in earlier)
    yield "incidents", alert.id


def _type(alert: Alert, message: Message, earlier: Sequence[Message]) -> str:
    if message.stage.what == "closed" and alert.reason in HARMLESS and earlier:
        return "Cancel"
    return "Update" if earlier else "Alert"


def _info(alert: Alert, message: Message, where: Where, sender: str, which: int) -> ElementTree.Element:
    """The alert in one of the languages."""
    info = ElementTree.Element("info")
    for name, text in _told(alert, message, sender, which):
        _add(info, name, text)
    for name, text in _parameters(alert, message, where.fix):
        parameter = ElementTree.SubElement(info, "parameter")
        _add(parameter, "valueName", name)
        _add(parameter, "value", text)
    area = ElementTree.SubElement(info, "area")
    _add(area, "areaDesc", _place(where, which))
    _add(area, "circle", circle(where.fix) if where.fix else "")
    return info


def _told(alert: Alert, message: Message, sender: str, which: int) -> Iterator[tuple[str, str]]:
    """The elements of an info before its parameters, in the order of the schema."""
    kind = _kind(message.stage)
    is_over = message.stage.what == "closed"
    yield "language", LANGUAGES[which]
    yield "category", "Safety"
    yield "event", EVENTS[alert.trigger][which]
    yield "responseType", kind.response
    yield "urgency", kind.urgency
    yield "severity", _severity(alert, is_over=is_over)
    yield "certainty", _certainty(alert, is_over=is_over)
    yield "expires", moment(message.sent + EXPIRES_AFTER)
    yield "senderName", sender
    yield "headline", f"{NOTES[alert.purpose]} {EVENTS[alert.trigger][which]} – {kind.headline[which]}".strip()
    yield "instruction", SILENT[which] if _is_silent(alert) and not is_over else ""


def _kind(stage: Told) -> Kind:
    return WAITING if stage.body.state is State.PRE_ALARM else STAGES[stage.what]


def _severity(alert: Alert, *, is_over: bool) -> str:
    if is_over:
        return "Minor"
    return "Extreme" if Flag.DURESS in alert.flags else "Severe"


def _certainty(alert: Alert, *, is_over: bool) -> str:
    """What somebody closed was looked at; a press is a person's word, anything else a handset's guess."""
    if is_over:
        return "Observed"
    return "Likely" if alert.trigger is Trigger.MANUAL or Flag.DURESS in alert.flags else "Possible"


def _is_silent(alert: Alert) -> bool:
    return alert.silent or Flag.DURESS in alert.flags


def _parameters(alert: Alert, message: Message, fix: Fix | None) -> Iterator[tuple[str, str]]:
    """Name and value of what CAP has no element for."""
    yield "state", message.stage.body.state
    yield "trigger", alert.trigger
    yield "raised", moment(alert.raised_at)
    yield "carrier", alert.carrier
    yield "depot", alert.depot
    if alert.flags:
        yield "flags", " ".join(sorted(alert.flags))
    if message.stage.body.reason:
        yield "reason", message.stage.body.reason
    if alert.battery is not None:
        yield "battery-percent", str(alert.battery)
    if fix:
        yield from _fix_parameters(fix, message.sent)


def _fix_parameters(fix: Fix, sent: datetime) -> Iterator[tuple[str, str]]:
    age = max(sent - fix.fixed_at, timedelta())
    yield "fix-time", moment(fix.fixed_at)
    yield "fix-age-seconds", str(int(age.total_seconds()))
    yield "fix-method", fix.method
    yield "fix-radius-metres", "unknown" if fix.radius is None else str(math.ceil(fix.radius))
    yield "fix-confidence-percent", "unknown" if fix.radius is None else str(fix.confidence)


def _place(where: Where, which: int) -> str:
    if where.last_place is None:
        return (SOMEWHERE if where.fix else NOWHERE)[which]
    return f"{where.last_place.text} ({LAST_PLACE[which]} {_in_paris(where.last_place.at):%d/%m %H:%M})"


def circle(fix: Fix) -> str:
    """`lat,lon radius`, the radius in kilometres, rounded up to a metre; 0 if it is not known."""
    kilometres = math.ceil(fix.radius or 0) / 1000
    return f"{fix.latitude:.6f},{fix.longitude:.6f} {kilometres:g}"


def moment(at: datetime) -> str:
    """A time as CAP wants it: whole seconds, UTC as -00:00, never Z."""
    return f"{_second(at).replace(tzinfo=None).isoformat()}-00:00"


def _second(at: datetime) -> datetime:
    """The moment in UTC, in whole seconds. One at the very ends of the calendar keeps its own hours."""
    with contextlib.suppress(OverflowError):
        at = at.astimezone(UTC)
    return at.replace(microsecond=0, tzinfo=UTC)


def _in_paris(at: datetime) -> datetime:
    with contextlib.suppress(OverflowError):
        return at.astimezone(PARIS)
    return at


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    """A child with a text; none without."""
    if text:
        ElementTree.SubElement(parent, name).text = _UNFIT.sub("\ufffd", text)
