"""Alerts over HTTP: for handsets, and for operators. A function of their own serves them: see `entry`."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.alerts import console, feed, following, numbers, pins, pushes, raising, zones
from chalicelib.alerts.channels import ChannelSettings
from chalicelib.alerts.following import NoOpenAlert
from chalicelib.alerts.ladder import AlertClosed
from chalicelib.alerts.numbers import NumberOf, RegisterNumber
from chalicelib.alerts.pins import PinLocked, PinsAlike, PinsMissing, PinWrong
from chalicelib.alerts.policies import Policy
from chalicelib.alerts.pushes import PushNotConfigured, PushTokenRefused
from chalicelib.alerts.raising import AlertIdTaken
from chalicelib.alerts.reports import AlertReport, CentreReport
from chalicelib.alerts.schemas import (
    AddNote,
    AlertId,
    AlertList,
    CloseAlert,
    ConsoleAlert,
    EnterPin,
    Feed,
    FeedQuery,
    FeedReceipt,
    HandOver,
    HandsetAlert,
    NextReport,
    OpenAlert,
    RaiseAlert,
    RegisterPush,
    ReportPositions,
    SetPins,
    Views,
)
from chalicelib.alerts.store import AlertSettings
from chalicelib.alerts.track import Track
from chalicelib.alerts.zones import PolicyInvalid
from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.people.ids import CarrierId, ZoneId

routes = Blueprint(__name__)

IN_DANGER = handset(blocked_too=True, any_clock=True)
RAISING = handset(blocked_too=True, any_clock=True, beside=raising.beside)
OPERATORS = staff("dispatcher")
READERS = staff("dispatcher", "depot-manager", "auditor")
WATCHERS = staff("dispatcher", "auditor")

CHANGING = (NotFound, AlertClosed, ChangedMeanwhile)


# --- handsets -----------------------------------------------------------------------------------------------


@endpoint(
    routes,
    "PUT /v1/alerts/{alert}",
    allow=RAISING,
    problems=[AlertIdTaken],
    status=201,
    salvages=True,
    returns=HandsetAlert,
    answers={200: "It was raised before; nothing has changed by this."},
    settings=AlertSettings,
)
def raise_alert(alert: AlertId, request: RaiseAlert, who: Handset, call: Call) -> Answer:
    """Raise an alert under an id of the press (UUIDv7). Sent again it is the same press; another press has another id.

    It is never refused for the handset's clock, its state (unless retired), its age or its body.
    """
    told, is_new = raising.raise_(alert, request, who=who, correlation_id=call.correlation_id)
    return Answer(body=told, status=201 if is_new else 200)


@endpoint(routes, "GET /v1/alerts/{alert}/status", allow=IN_DANGER, problems=[NotFound])
def alert_status(alert: AlertId, who: Handset) -> HandsetAlert:
    """How the handset's alert stands; of a self-test also how long it took to the operators' feed."""
    return following.status(alert, who=who)


@endpoint(
    routes,
    "POST /v1/alerts/{alert}/positions",
    allow=IN_DANGER,
    problems=[NotFound, NoOpenAlert, ChangedMeanwhile],
)
def report_positions(alert: AlertId, request: ReportPositions, who: Handset, call: Call) -> NextReport:
    """Say where the carrier is. Without an open alert no position is taken."""
    return following.report(alert, request, who=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/alerts/{alert}/cancellation",
    allow=IN_DANGER,
    problems=[NotFound, PinWrong, PinLocked, PinsMissing, ChangedMeanwhile],
)
def cancel_alert(alert: AlertId, request: EnterPin, who: Handset, call: Call) -> HandsetAlert:
    """Enter a PIN because it is nothing. An operator makes sure, unless the alarm had not been given yet."""
    return following.cancel(alert, request.pin, who=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/alerts/{alert}/views", allow=IN_DANGER, problems=[NotFound])
def alert_views(alert: AlertId, who: Handset) -> Views:
    """Who looked at the carrier's positions, and when."""
    return following.seen_by(alert, who=who)


@endpoint(
    routes,
    "PUT /v1/alert-pins",
    allow=handset(),
    problems=[PinWrong, PinLocked, PinsAlike, ChangedMeanwhile],
)
def set_pins(request: SetPins, who: Handset, call: Call) -> None:
    """Set the carrier's PIN and the one for duress."""
    following.set_pins(request, who=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "PUT /v1/alert-push",
    allow=handset(),
    settings=ChannelSettings,
    problems=[PushNotConfigured, PushTokenRefused],
)
def register_push(request: RegisterPush, who: Handset) -> None:
    """Be reached when a colleague of the same depot raises an alert."""
    pushes.register_push(who, request)


# --- operators ----------------------------------------------------------------------------------------------


@endpoint(routes, "GET /v1/alert-feed/{zone}", allow=WATCHERS)
def read_feed(zone: ZoneId, query: FeedQuery, who: StaffMember) -> Feed:
    """What happened to the alerts of a zone, in an order without gaps, after the line that the console has."""
    zones.require_zone(who, zone)
    return feed.read(zone, query.after)


@endpoint(routes, "POST /v1/alert-feed/{zone}/receipts", allow=OPERATORS, problems=[ChangedMeanwhile])
def feed_shown(zone: ZoneId, request: FeedReceipt, who: StaffMember, call: Call) -> None:
    """Say that a console shows these lines: their alerts count as seen, which is not the same as taken."""
    zones.require_zone(who, zone)
    feed.shown(zone, request.after, request.through, by=who.actor, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/alert-zones/{zone}/alerts", allow=WATCHERS)
def open_alerts(zone: ZoneId, who: StaffMember) -> AlertList:
    """The open alerts of a zone, without positions."""
    return console.open_alerts(zone, by=who)


@endpoint(routes, "GET /v1/alerts/{alert}", allow=WATCHERS, problems=[NotFound])
def look_at_alert(alert: AlertId, who: StaffMember, call: Call) -> ConsoleAlert:
    """An alert with the last known position and its age. The look is shown to the carrier."""
    return console.look(alert, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/alerts/{alert}/acknowledgement", allow=OPERATORS, problems=CHANGING)
def acknowledge(alert: AlertId, who: StaffMember, call: Call) -> OpenAlert:
    """Take an alert. Without another word of yours it is paged again when the lease ends."""
    return console.acknowledge(alert, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/alerts/{alert}/response", allow=OPERATORS, problems=CHANGING)
def respond(alert: AlertId, who: StaffMember, call: Call) -> OpenAlert:
    """Say that help is under way."""
    return console.respond(alert, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/alerts/{alert}/notes", allow=OPERATORS, problems=CHANGING)
def add_note(alert: AlertId, request: AddNote, who: StaffMember, call: Call) -> OpenAlert:
    """Write something down for whoever goes on. It prolongs your lease."""
    return console.note(alert, request.text, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/alerts/{alert}/zone", allow=OPERATORS, problems=CHANGING)
def hand_over(alert: AlertId, request: HandOver, who: StaffMember, call: Call) -> OpenAlert:
    """Hand an alert to another zone, where the ladder begins anew."""
    return console.hand_over(alert, request.zone, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/alerts/{alert}/closing", allow=OPERATORS, problems=[*CHANGING, Conflict])
def close_alert(alert: AlertId, request: CloseAlert, who: StaffMember, call: Call) -> OpenAlert:
    """End an alert, with the reason. Nothing is sent for it any more."""
    return console.close(alert, request.reason, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/alerts/{alert}/cap", allow=WATCHERS, problems=[NotFound], media=["application/cap+xml"])
def cap_document(alert: AlertId, who: StaffMember, call: Call) -> Answer:
    """The alert for the emergency services: CAP 1.2. The look is shown to the carrier."""
    body = console.cap_document(alert, by=who, correlation_id=call.correlation_id)
    return Answer(body=body, media="application/cap+xml")


@endpoint(routes, "GET /v1/alerts/{alert}/aml", allow=WATCHERS, problems=[NotFound], media=["text/plain"])
def aml_text(alert: AlertId, who: StaffMember, call: Call) -> Answer:
    """The alert as an AML text (ETSI TS 103 625). The look is shown to the carrier."""
    return Answer(body=console.aml_text(alert, by=who, correlation_id=call.correlation_id), media="text/plain")


@endpoint(routes, "GET /v1/alerts/{alert}/track", allow=WATCHERS, problems=[NotFound])
def alert_track(alert: AlertId, who: StaffMember, call: Call) -> Track:
    """Where the carrier was since the alert: GeoJSON (RFC 7946). The look is shown to the carrier."""
    return console.track_of(alert, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/alerts/{alert}/report", allow=READERS, problems=[NotFound])
def alert_report(alert: AlertId, who: StaffMember) -> AlertReport:
    """What happened, with every delay, and without a position."""
    return console.report_of(alert, by=who)


@endpoint(routes, "GET /v1/alert-zones/{zone}/report", allow=READERS)
def centre_report(zone: ZoneId, who: StaffMember) -> CentreReport:
    """How fast the zone's alerts were taken over the last twelve months (BS 8484)."""
    return console.centre_report(zone, by=who)


@endpoint(routes, "GET /v1/alert-policies/{zone}", allow=staff("ops"), problems=[NotFound])
def read_policy(zone: ZoneId, who: StaffMember) -> Policy:
    """Whom a zone's alerts reach, and when: with their numbers and the secrets of webhooks."""
    return zones.read_policy(zone, by=who)


@endpoint(
    routes,
    "PUT /v1/alert-policies/{zone}",
    allow=staff("ops"),
    settings=ChannelSettings,
    problems=[NotFound, PolicyInvalid, ChangedMeanwhile],
)
def save_policy(zone: ZoneId, request: Policy, who: StaffMember, call: Call) -> None:
    """State whom a zone's alerts reach, and when. It holds from the next step on."""
    zones.save_policy(zone, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes, "POST /v1/alert-pins/{carrier}/reset", allow=staff("depot-manager"), problems=[NotFound, ChangedMeanwhile]
)
def reset_pins(carrier: CarrierId, who: StaffMember, call: Call) -> None:
    """Let a carrier who forgot the PINs choose new ones."""
    pins.reset(carrier, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "PUT /v1/alert-numbers/{device}", allow=staff("fleet-admin"), problems=[NotFound, ChangedMeanwhile])
def register_number(device: AlertId, request: RegisterNumber, who: StaffMember, call: Call) -> NumberOf:
    """Say from which number (E.164) a handset sends texts: they raise alerts."""
    return numbers.register_number(device, request, by=who, correlation_id=call.correlation_id)
