"""Texts that come in by SMS, from handsets without data: each raises an alert or updates the one that it belongs to.

A text with an alert's id belongs to that press, whichever way the press came first. One without an id belongs to the
open alert that the number's device raised within ten minutes, before it or after it, else it raises a new one.
"""

from __future__ import annotations

import msgspec

from chalicelib.alerts import aml, following, ladder, numbers, raising, store
from chalicelib.alerts.aml import AMLText
from chalicelib.alerts.raising import Origin
from chalicelib.alerts.schemas import Alert, Awaited, LastAlert, Purpose, RaiseAlert, ReportPositions
from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import clock, ids, telemetry
from chalicelib.core.access import AccessRow, DeviceState
from chalicelib.core.errors import Unavailable
from chalicelib.core.transaction import retried


class Text(msgspec.Struct, rename="camel"):
    """A text as SNS tells of it: from which number (E.164), and what it says."""

    origination_number: str
    message_body: str
    inbound_message_id: str = ""


class _Notification(msgspec.Struct, rename="pascal"):
    """SNS's envelope around it, unless the subscription is a raw one."""

    message: str


def take(body: str, *, message_id: str) -> None:
    """Take a text: at most five reads and a transaction. Taken again, it changes nothing that counts.

    Raises msgspec.ValidationError for what is no text, Unavailable if its position could not be sealed.
    """
    text = _read(body)
    origin = _origin_of(text)
    if origin is None:
        telemetry.logger.warning("a text from nobody's number", extra={"message_id": message_id})
        telemetry.count("TextsFromStrangers")
        return
    told = _understood(text)
    press = _belongs_to(told, origin)
    if press is not None:
        _update(press, told, correlation_id=message_id)
    elif not _raised(told, text, origin, message_id):
        telemetry.logger.info("the text had been taken already", extra={"message_id": message_id})


def _read(body: str) -> Text:
    try:
        return msgspec.json.decode(body, type=Text)
    except msgspec.ValidationError:
        return msgspec.json.decode(msgspec.json.decode(body, type=_Notification).message, type=Text)


def _origin_of(text: Text) -> Origin | None:
    owner = numbers.device_of_number(text.origination_number)
    row = AccessRow.find(owner.device) if owner else None
    if row is None or row.state == DeviceState.RETIRED:
        return None
    return Origin(
        device=row.device,
        generation=int(row.generation),
        carrier=row.carrier,
        depot=row.depot,
        signed_at=clock.now(),
    )


def _understood(text: Text) -> AMLText:
    """Whatever it says: somebody in need may write anything."""
    try:
        return aml.read(text.message_body, received_at=clock.now())
    except ValueError:
        return AMLText(incomplete=True)


def _belongs_to(told: AMLText, origin: Origin) -> Alert | None:
    """The press that a text is about; None if it is a press of its own."""
    if told.alert is not None:
        held = store.find(told.alert)
        return held.alert if held and held.alert.is_of(origin.device, origin.carrier) else None
    pointer = AlertsRow.find(store.pointer_key(origin.device, origin.carrier, Purpose.ACTUAL))
    alert = store.existing(pointer.holds(LastAlert).alert).alert if pointer else None
    if alert is None or not alert.is_open or clock.now() - alert.received_at > ladder.SAME_WITHIN:
        return None
    return alert


def _raised(told: AMLText, text: Text, origin: Origin, message_id: str) -> bool:
    """Raise an alert under the press's own id, or a new one if it has none or another handset's: once for a text."""
    named = told.alert if told.alert is not None and store.find(told.alert) is None else None
    awaited = Awaited.OWN if named else Awaited.ANY
    once = f"text/{text.inbound_message_id or message_id}"
    raised = raising.new(
        named or ids.new(), _request(told), origin, once=once, awaited=awaited, correlation_id=message_id
    )
    return raised is not None


def _request(told: AMLText) -> RaiseAlert:
    """Silent: a text does not say whether the phone may ring, and who writes may not be able to speak."""
    return RaiseAlert(
        silent=True,
        raised_at=ids.moment(told.alert) if told.alert else None,
        fix=told.fix,
        incomplete=told.incomplete,
    )


def _update(press: Alert, told: AMLText, *, correlation_id: str) -> None:
    """Keep its position, if the alert is still open: what is closed a late text does not open again."""
    request = ReportPositions(fixes=(told.fix,) if told.fix else ())
    sealed = retried(
        lambda: following.record(store.going_on_for(store.own(press.id)), request, correlation_id=correlation_id)
    )
    if not sealed:
        raise Unavailable("The position could not be sealed: the text is taken again.")
