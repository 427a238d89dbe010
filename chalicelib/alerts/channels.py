"""The ways by which pages go, behind one interface: `send` returns if the page was taken, and else says what is known.

A channel calls once and never tries again by itself: SMS, e-mail and push have no key that tells repeats, so that a
second call could page somebody twice. What errors say has no number, address or URL in it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from chalicelib.alerts import posting
from chalicelib.alerts.messages import Message, plain
from chalicelib.alerts.policies import Channel, Way
from chalicelib.alerts.schemas import Purpose
from chalicelib.core import aws, clock, settings
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import Settings

SIGNATURE_HEADER: Final = "Facteo-Signature"
CLIENT: Final = "Facteo"
"""What a receiver of events is told of who sent them."""
SUBJECT_LENGTH: Final = 99
"""SNS: a subject has less than 100 characters of ASCII."""
SUMMARY_LENGTH: Final = 1024
PUSH_LIVES: Final = "300s"
"""After that FCM drops what it could not deliver: nobody is called to an alert of yesterday."""

NOT_NOW: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "KMSThrottling",
        "KMSThrottlingException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes of AWS that mean: not taken, try later."""
HTTP_NOT_NOW: Final = frozenset({408, 425, 429, 503})
"""Statuses of a webhook that mean the same."""
NEVER_SENT: Final = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
)
"""What botocore raises before anything has left."""
_SUCCESS: Final = range(200, 300)
_SERVER_ERROR: Final = 500
_TOO_MANY_REQUESTS: Final = 429


class Refused(Exception):  # noqa: N818
    """The page was surely not taken. `again`: it may be tried again, now; otherwise it never will be taken."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Unknown(Exception):  # noqa: N818
    """Nobody knows whether the page was taken."""


class ChannelSettings(Settings, frozen=True, kw_only=True):
    """The topic of who is on call, the sender of e-mails and of SMS, and the platform application of pushes.

    Without `mail_from` no e-mail can be sent, and without `push_application` no handset registers for pushes.
    `sms_sender` is what a phone shows as the sender (up to 11 characters); without it, a number.
    """

    alert_topic: str
    mail_from: str = ""
    sms_sender: str = ""
    push_application: str = ""


def send(way: Way, message: Message) -> None:
    """Send a page by a way, once. Raises Refused if it was surely not taken, Unknown if nobody knows."""
    CHANNELS[way.channel](way, message)


# --- AWS ----------------------------------------------------------------------------------------------------


def _sms(way: Way, message: Message) -> None:
    sender = settings.load(ChannelSettings).sms_sender
    attributes = {"AWS.SNS.SMS.SMSType": "Transactional"} | ({"AWS.SNS.SMS.SenderID": sender} if sender else {})
    told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    _publish(PhoneNumber=way.to, Message=message.short, MessageAttributes=told)


def _topic(way: Way, message: Message) -> None:
    _publish(TopicArn=way.to, Subject=plain(message.headline)[:SUBJECT_LENGTH], Message=message.text)


def _push(way: Way, message: Message) -> None:
    """By FCM, as SNS passes it on: shown at once even if the phone sleeps."""
    shown = {"title": message.colleague, "body": message.advice}
    data = {"alert": message.alert, "action": message.action, "purpose": message.purpose}
    android = {"priority": "high", "ttl": PUSH_LIVES, "collapse_key": message.dedup_key}
    fcm = {"fcmV1Message": {"message": {"notification": shown, "data": data, "android": android}}}
    structure = {"default": message.colleague, "GCM": msgspec.json.encode(fcm).decode()}
    _publish(TargetArn=way.to, MessageStructure="json", Message=msgspec.json.encode(structure).decode())


def _publish(**parameters: Any) -> None:
    with _outcome_told():
        aws.call_once("sns").publish(**parameters)


def _email(way: Way, message: Message) -> None:
    sender = settings.load(ChannelSettings).mail_from
    if not sender:
        raise Refused("no sender of e-mails is configured", again=False)
    content = {"Subject": _utf8(message.headline), "Body": {"Text": _utf8(message.text)}}
    with _outcome_told():
        aws.call_once("sesv2").send_email(
            FromEmailAddress=sender, Destination={"ToAddresses": [way.to]}, Content={"Simple": content}
        )


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


@contextmanager
def _outcome_told() -> Iterator[None]:
    """Tell what is known of a call of AWS. Its own errors end here: they may quote whom the page was for."""
    try:
        yield
    except ClientError as error:
        raise _outcome_of(error) from None
    except ParamValidationError:
        raise Refused("the parameters are not valid", again=False) from None
    except NEVER_SENT as error:
        raise Refused(type(error).__name__, again=True) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise Unknown(type(error).__name__) from None


def _outcome_of(error: ClientError) -> Refused | Unknown:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    told = f"{error.operation_name}: {code or status}"
    if code in NOT_NOW or status == _TOO_MANY_REQUESTS:
        return Refused(told, again=True)
    return Unknown(told) if status >= _SERVER_ERROR else Refused(told, again=False)


# --- webhooks -----------------------------------------------------------------------------------------------


class Payload(Schema, frozen=True):
    """What a PagerDuty event is about."""

    summary: str
    source: str
    severity: str
    timestamp: datetime
    component: str
    group: str
    class_: str = msgspec.field(name="class")
    custom_details: Mapping[str, Any]


class PagerEvent(Schema, frozen=True, omit_defaults=True):
    """An event of PagerDuty's Events API v2, which many other services take as well."""

    event_action: str
    dedup_key: str
    payload: Payload
    client: str
    routing_key: str = ""


def event_of(message: Message, routing_key: str = "") -> PagerEvent:
    """The page as an event: `dedup_key` is the alert's id, so that a receiver tells repeats."""
    details = {
        "alert": message.alert,
        "purpose": message.purpose,
        "carrier": message.carrier,
        "depot": message.depot,
        "zone": message.zone,
        "trigger": message.trigger,
        "silent": message.silent,
        "flags": message.flags,
        "step": message.step,
        "text": message.text,
    }
    payload = Payload(
        summary=message.headline[:SUMMARY_LENGTH],
        source=f"depot/{message.depot}",
        severity="critical" if message.purpose is Purpose.ACTUAL else "info",
        timestamp=message.since,
        component=f"carrier/{message.carrier}",
        group=f"zone/{message.zone}",
        class_=message.trigger,
        custom_details=details,
    )
    return PagerEvent(
        event_action=message.action,
        dedup_key=message.dedup_key,
        payload=payload,
        client=CLIENT,
        routing_key=routing_key,
    )


def _webhook(way: Way, message: Message) -> None:
    """A routing key, if the receiver wants one, is the fragment of the URL: `https://…/v2/enqueue#R0UT1NG`."""
    body = msgspec.json.encode(event_of(message, _routing_key(way.to)))
    headers = {"Content-Type": "application/json", "User-Agent": "facteo"}
    if way.secret:
        headers[SIGNATURE_HEADER] = signature(body, way.secret, int(clock.now().timestamp()))
    try:
        status = posting.post(way.to, body, headers)
    except posting.Impossible as error:
        raise Refused(str(error), again=False) from None
    except posting.NeverSent as error:
        raise Refused(str(error), again=True) from None
    except posting.Cut as error:
        raise Unknown(str(error)) from None
    if status not in _SUCCESS:
        raise _outcome_of_status(status)


def _routing_key(url: str) -> str:
    try:
        return urlsplit(url).fragment
    except ValueError:
        return ""


def signature(body: bytes, secret: str, at: int) -> str:
    """The header by which a receiver tells that we sent the body: HMAC-SHA-256 (hex) of `<unix time>.<body>`."""
    signed = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


def _outcome_of_status(status: int) -> Refused | Unknown:
    told = f"the webhook answered {status}"
    if status in HTTP_NOT_NOW:
        return Refused(told, again=True)
    return Unknown(told) if status >= _SERVER_ERROR else Refused(told, again=False)


CHANNELS: Final[Mapping[Channel, Callable[[Way, Message], None]]] = {
    Channel.SMS: _sms,
    Channel.EMAIL: _email,
    Channel.WEBHOOK: _webhook,
    Channel.PUSH: _push,
    Channel.TOPIC: _topic,
}
