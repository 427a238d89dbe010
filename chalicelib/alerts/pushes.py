"""By which endpoints the handsets of a depot are called by push, when a colleague nearby raises an alert."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.alerts.channels import ChannelSettings
from chalicelib.alerts.schemas import RegisterPush
from chalicelib.alerts.tables import LinesRow
from chalicelib.core import aws, clock, settings, telemetry
from chalicelib.core.errors import Problem, Unavailable
from chalicelib.core.schemas import Schema

if TYPE_CHECKING:  # workers let nobody in
    from chalicelib.core.access import Handset

PUSH_KEPT_FOR: Final = timedelta(days=60)
MOST_COLLEAGUES: Final = 25
KNOWN_ENDPOINT: Final = re.compile(r"Endpoint (arn:\S+) already exists with the same Token")
"""How SNS tells the endpoint of a token that it knows with other attributes: there is no other way to ask for it."""


class PushNotConfigured(Unavailable):
    title = "Handsets cannot be called by push here"


class PushTokenRefused(Problem):
    title = "The push token is not one that can be used"


class _Endpoint(Schema, frozen=True):
    """Where SNS reaches a handset."""

    endpoint: str


def register_push(who: Handset, request: RegisterPush) -> None:
    """Let the handset be called by push when a colleague of its depot raises an alert, for 60 days from now.

    Two calls of SNS and one write. Raises PushNotConfigured, PushTokenRefused.
    """
    application = settings.load(ChannelSettings).push_application
    if not application:
        raise PushNotConfigured("Go on without: colleagues are called in other ways. Ask again after the next update.")
    row = LinesRow(
        _push_key(who.depot),
        who.device,
        content=msgspec.json.encode(_Endpoint(endpoint=_endpoint(application, request.token))).decode(),
        expires_at=clock.now() + PUSH_KEPT_FOR,
    )
    row.save()


def colleagues_of(depot: str, except_device: str) -> list[tuple[str, str]]:
    """The other handsets of a depot and the endpoints by which SNS reaches them: 25 of them at most.

    One query, and a read for each 100 that ever registered: those that were retired, or moved, are not called.
    """
    rows = LinesRow.query(_push_key(depot))
    others = {row.sk: row for row in rows if row.sk != except_device and row.expires_at > clock.now()}
    there = [others[device] for device in sorted(_still_there(depot, others))]
    return [(row.sk, row.holds(_Endpoint).endpoint) for row in there[:MOST_COLLEAGUES]]


def _still_there(depot: str, devices: Collection[str]) -> Collection[str]:
    """Those that are enrolled at the depot; all if that cannot be read, because nobody may go unheard."""
    from chalicelib.core.access import AccessRow, DeviceState  # noqa: PLC0415 - workers let nobody in

    try:
        found = list(AccessRow.find_many(devices))
    except Exception:
        telemetry.logger.exception("colleagues are called whether they are there or not", extra={"depot": depot})
        return devices
    return [row.device for row in found if (row.state, row.depot) == (DeviceState.ENROLLED, depot)]


def _endpoint(application: str, token: str) -> str:
    """The endpoint of a token, always the same one. SNS disables it after a failure, so it is enabled each time."""
    sns = aws.client("sns")
    enabled = {"Enabled": "true"}
    try:
        told = sns.create_platform_endpoint(PlatformApplicationArn=application, Token=token, Attributes=enabled)
        endpoint = str(told["EndpointArn"])
    except sns.exceptions.InvalidParameterException as error:
        known = KNOWN_ENDPOINT.search(str(error))
        if known is None:
            raise PushTokenRefused("Ask FCM for a new token and register that.") from None
        endpoint = known[1]
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Token": token, **enabled})
    return endpoint


def _push_key(depot: str) -> str:
    return f"push/{depot}"
