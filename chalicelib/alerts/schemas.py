"""The alert as it is kept, and the bodies of requests, answers and events.

What a handset is told of its alert never depends on which of the two PINs was entered: see `HandsetAlert`.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from chalicelib.alerts.policies import Plan
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema, Sealed

AlertId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Pin = Annotated[str, Meta(pattern=r"^[0-9]{4,8}" + END)]
Note = Annotated[str, Meta(min_length=1, max_length=1000)]
Moment = Annotated[datetime, Meta(tz=True)]
LineNumber = Annotated[int, Meta(ge=0, lt=10**12)]
Percent = Annotated[int, Meta(ge=0, le=100)]


class Trigger(enum.StrEnum):
    """What raised an alert: a press, or the handset by itself."""

    MANUAL = "manual"
    FALL = "fall"
    NO_MOTION = "no-motion"
    MISSED_CHECK_IN = "missed-check-in"
    LOST_LINK = "lost-link"

    @property
    def is_automatic(self) -> bool:
        """Whether the carrier has time to say that it is nothing."""
        return self is not Trigger.MANUAL


class Purpose(enum.StrEnum):
    """Whether it is meant: an exercise goes the whole way, a self-test as far as the feed and is closed there."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    SELF_TEST = "self-test"


class Awaited(enum.StrEnum):
    """Which press is still to come of an alert that came by text: the one with its id, or whichever comes first."""

    NONE = ""
    OWN = "own"
    ANY = "any"


class State(enum.StrEnum):
    """Where an alert stands. SEEN: a console has received it; ACKED: a person has taken it."""

    PRE_ALARM = "pre-alarm"
    RAISED = "raised"
    NOTIFIED = "notified"
    SEEN = "seen"
    ACKED = "acked"
    RESPONDING = "responding"
    JOINED = "joined"
    CLOSED = "closed"


UNTAKEN = frozenset({State.RAISED, State.NOTIFIED, State.SEEN})
"""Nobody has taken it: the ladder is climbed."""
TAKEN = frozenset({State.ACKED, State.RESPONDING})
OPEN = frozenset({State.PRE_ALARM, *UNTAKEN, *TAKEN})


class Flag(enum.StrEnum):
    """What an operator must know besides the state.

    LATE: raised more than a minute before it was received. INCOMPLETE: something of the raise could not be read.
    SLA_BREACHED: nobody had taken it after 40 s.
    """

    CANCEL_ASKED = "cancel-asked"
    CONTACT_LOST = "contact-lost"
    DURESS = "duress"
    INCOMPLETE = "incomplete"
    LATE = "late"
    LOW_BATTERY = "low-battery"
    SLA_BREACHED = "sla-breached"


class Reason(enum.StrEnum):
    """Why an alert was closed."""

    RESCUED = "rescued"
    FALSE_ALARM = "false-alarm"
    CANCELLED = "cancelled"
    HANDED_TO_SERVICES = "handed-to-emergency-services"
    SELF_TEST = "self-test"


class Method(enum.StrEnum):
    """How a position was found, as AML tells it (ETSI TS 103 625: G, W, C, N)."""

    GNSS = "gnss"
    WIFI = "wifi"
    CELL = "cell"
    UNKNOWN = "unknown"


class Fix(Schema, frozen=True):
    """A position: WGS 84 degrees, the radius (metres) within which it lies with `confidence` (per cent), and when.

    Android tells the radius for 68 %. `radius` is null if the handset does not know it.
    """

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    fixed_at: Moment
    radius: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    confidence: Percent = 68
    method: Method = Method.UNKNOWN


class LastPlace(Schema, frozen=True):
    """Where the carrier last scanned something: an address or what else helps to find them indoors."""

    text: Annotated[str, Meta(min_length=1, max_length=200)]
    at: Moment


class Whereabouts(Schema, frozen=True):
    """What is known of where a carrier is (personal data: stored sealed only): positions in the order of reception."""

    fixes: tuple[Fix, ...] = ()
    last_place: LastPlace | None = None

    def then(self, later: Whereabouts) -> Whereabouts:
        """What is known last after a later report, which need not tell both."""
        return Whereabouts(fixes=later.fixes[-1:] or self.fixes, last_place=later.last_place or self.last_place)


# --- what handsets send and are told ------------------------------------------------------------------------


class RaiseAlert(Schema, frozen=True):
    """An alert as the handset raises it. Nothing of it is needed: what cannot be read is left out and flagged.

    `raised_at` is when the button was pressed, by the handset's clock.
    """

    raised_at: Moment | None = None
    trigger: Trigger = Trigger.MANUAL
    purpose: Purpose = Purpose.ACTUAL
    silent: bool = False
    battery: Percent | None = None
    fix: Fix | None = None
    last_place: LastPlace | None = None
    incomplete: bool = False


class Status(enum.StrEnum):
    """What a handset is told: never whether somebody looks for the carrier once a PIN was entered."""

    PRE_ALARM = "pre-alarm"
    RAISED = "raised"
    TAKEN = "taken"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class HandsetAlert(Schema, frozen=True):
    """An alert as its handset is told of it. `delay_ms`: of a self-test, from reception to the operators' feed."""

    id: str
    status: Status
    received_at: datetime
    delay_ms: int | None = None


class ReportPositions(Schema, frozen=True):
    """Positions since the last report, in the order in which they were found; none says: I am still here."""

    fixes: Annotated[tuple[Fix, ...], Meta(max_length=100)] = ()
    battery: Percent | None = None
    last_place: LastPlace | None = None


class NextReport(Schema, frozen=True):
    """When the next report is expected, in seconds."""

    seconds: int


class EnterPin(Schema, frozen=True):
    """A PIN by which the carrier says that it is nothing, or under duress seems to."""

    pin: Pin


class SetPins(Schema, frozen=True):
    """The carrier's two PINs, and one of those that they replace if there are any."""

    pin: Pin
    duress_pin: Pin
    current_pin: Pin | None = None


class RegisterPush(Schema, frozen=True):
    """The token by which the handset is reached when a colleague nearby raises an alert (FCM)."""

    token: Annotated[str, Meta(min_length=10, max_length=4096)]


class View(Schema, frozen=True):
    """Who looked at the carrier's position, when, and as what (`track`, `cap`, ...)."""

    by: str
    at: datetime
    what: str


class Views(Schema, frozen=True):
    """The views of an alert's positions, the oldest first."""

    views: tuple[View, ...]


# --- what operators send and are told -----------------------------------------------------------------------


class OpenAlert(Schema, frozen=True):
    """An alert as it stands, without where the carrier is."""

    id: str
    zone: str
    depot: str
    carrier: str
    device: str
    state: State
    trigger: Trigger
    purpose: Purpose
    silent: bool
    flags: tuple[Flag, ...]
    raised_at: datetime
    received_at: datetime
    heard_at: datetime
    battery: int | None
    epoch: int
    step: int
    owner: str
    lease_until: datetime | None
    closed_at: datetime | None
    reason: Reason | None
    follows: str


class AlertList(Schema, frozen=True):
    """Open alerts, the oldest first."""

    alerts: tuple[OpenAlert, ...]


class NoteRead(Schema, frozen=True):
    """What an operator wrote down, when and who."""

    by: str
    at: datetime
    text: str


class ConsoleAlert(Schema, frozen=True):
    """An alert with the last position that came in, and how old it is: it is never shown as where the carrier is now.

    `last_place` is where something was scanned last, which helps indoors. `erased`: neither positions nor notes can be
    read any more.
    """

    alert: OpenAlert
    fix: Fix | None
    last_place: LastPlace | None
    age_seconds: int | None
    notes: tuple[NoteRead, ...]
    erased: bool


class AddNote(Schema, frozen=True):
    """What an operator writes down, for whoever takes over. It is kept sealed, as long as the positions."""

    text: Note


class CloseAlert(Schema, frozen=True):
    """Why an alert is over. CANCELLED: the carrier asked for it with their PIN, and the operator made sure."""

    reason: Reason


class HandOver(Schema, frozen=True):
    """The zone that takes an alert over: `NATIONAL` is always there."""

    zone: Annotated[str, Meta(pattern=r"^[0-9A-Z-]{1,20}" + END)]


# --- what happened: event bodies and lines of the feed ------------------------------------------------------


class Happened(Schema, frozen=True, omit_defaults=True):
    """`facteo.alert.…`: what happened to an alert, and how it stood afterwards.

    `number` counts the events of the alert from 1. `step` is the last step that was fired; `with_` names the contacts
    that it reaches. `note` and `whereabouts` are sealed under `alert/<id>`.
    """

    number: int
    state: State
    epoch: int
    step: int
    flags: tuple[Flag, ...] = ()
    with_: tuple[str, ...] = msgspec.field(default=(), name="with")
    reason: str = ""
    other: str = ""
    note: Sealed | None = None
    whereabouts: Sealed | None = None


class Line(Schema, frozen=True, omit_defaults=True):
    """What happened, as the consoles are told: no position, no name. `what` is the last part of the event's type.

    `zone` is whose feed it belongs to; empty before the alert has one.
    """

    alert: str
    number: int
    what: str
    at: datetime
    by: str
    zone: str
    carrier: str
    depot: str
    state: State
    trigger: Trigger
    purpose: Purpose = Purpose.ACTUAL
    silent: bool = False
    flags: tuple[Flag, ...] = ()
    epoch: int = 1
    step: int = 0
    reason: str = ""
    other: str = ""


class FeedLine(Line, frozen=True, kw_only=True):
    """A line of a zone's feed: `seq` goes up by one from line to line, without a gap."""

    seq: int


class Feed(Schema, frozen=True):
    """Lines of a zone's feed. Ask again with `after=through`: in `ask_again_seconds`, or at once if there is `more`."""

    lines: tuple[FeedLine, ...]
    through: int
    more: bool
    ask_again_seconds: int


class FeedQuery(Schema, frozen=True):
    """Asks for the lines after `after`."""

    after: LineNumber = 0


class FeedReceipt(Schema, frozen=True):
    """A console shows the lines after `after` up to `through`: at most 200 at once."""

    after: LineNumber
    through: LineNumber


class LastAlert(Schema, frozen=True):
    """Of a device: the alert that it raised last, to which another press belongs while it is open."""

    alert: str


# --- the alert as it is kept --------------------------------------------------------------------------------


class Alert(Schema, frozen=True, omit_defaults=True):
    """Everything that decides what happens next. What that is `ladder` says; others note what they have done.

    Times: `raised_at` is what the handset's clock said, all others are ours. `epoch` goes up when the ladder begins
    anew, at `ladder_from`; `step` counts the steps fired since. `plan` has the times of its zone. `alarmed_at` is when
    the carrier could not withdraw it any more, `told_at` when the feed had its first line. `acked_at` is when somebody
    took it first, `taken_at` last, and `taken_until` the end of their lease, as the handset is told. `handed_at` is
    when its zone got it from another, `zone_acked_at` when somebody of that zone took it first. `pin_at` is when a PIN
    was entered for this press, `pins` when one was for any press of this alert. `joined_to` is the alert that a
    joined press belongs to; `successor` the one that was raised for it under duress, after it was closed, of which the
    handset knows nothing. `outbox` are the lines that the feed does not have yet, `timer_for` is the moment for which a
    timer was sent. `webhooks`: some were paged, and `settled` is what they were told since. `awaited`: see there.
    """

    id: str
    device: str
    generation: int
    carrier: str
    depot: str
    raised_at: datetime
    received_at: datetime
    heard_at: datetime
    state: State
    trigger: Trigger = Trigger.MANUAL
    purpose: Purpose = Purpose.ACTUAL
    silent: bool = False
    zone: str = ""
    plan: Plan = Plan()
    flags: frozenset[Flag] = frozenset()
    number: int = 0
    epoch: int = 1
    step: int = 0
    ladder_from: datetime | None = None
    pre_alarm_until: datetime | None = None
    pages_due: datetime | None = None
    lease_until: datetime | None = None
    owner: str = ""
    alarmed_at: datetime | None = None
    told_at: datetime | None = None
    seen_at: datetime | None = None
    acked_at: datetime | None = None
    handed_at: datetime | None = None
    zone_acked_at: datetime | None = None
    taken_at: datetime | None = None
    taken_until: datetime | None = None
    responding_at: datetime | None = None
    closed_at: datetime | None = None
    pin_at: datetime | None = None
    pins: tuple[datetime, ...] = ()
    reason: Reason | None = None
    joined_to: str = ""
    successor: str = ""
    follows: str = ""
    awaited: Awaited = Awaited.NONE
    battery: int | None = None
    whereabouts: Sealed | None = None
    timer_for: datetime | None = None
    webhooks: bool = False
    settled: str = ""
    outbox: tuple[Line, ...] = ()

    @property
    def subject(self) -> str:
        """Its place in the journal and in the keyring."""
        return f"alert/{self.id}"

    def is_of(self, device: str, carrier: str) -> bool:
        """Whether this carrier raised it with this handset, which may have been another carrier's then."""
        return (self.device, self.carrier) == (device, carrier)

    @property
    def is_open(self) -> bool:
        """Whether anything may still be sent for it."""
        return self.state in OPEN
