"""Alerts in a test's hand: what handsets send, and AWS with its functions behind the alerts.

The fixture `desk` does what AWS does: it takes new events of alerts out of the journal and what waits in the queues,
and gives them to their functions as raw events, within their rights and at their time by the fake clock. All channels
are replaced by ones that keep what they are called for: each test says what was sent, by `sent`, and fails if there
was more.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError

from chalicelib.alerts import channels, pins, store, ticking, zones
from chalicelib.alerts.channels import Refused, Unknown
from chalicelib.alerts.messages import Message
from chalicelib.alerts.pins import Pins
from chalicelib.alerts.policies import Channel, Way
from chalicelib.alerts.schemas import Alert, Happened
from chalicelib.alerts.workers import alert_events, alert_pages, alert_sweep, alert_texts, alert_timers
from chalicelib.core import clock as clocks
from chalicelib.core import events, ids, journal, keyring
from chalicelib.core.events import Event
from chalicelib.core.journal import JournalRow
from chalicelib.core.settings import physical_name
from tests.support import cloud, stored
from tests.support.api import Answered, Api, Caller
from tests.support.clock import FakeClock
from tests.support.crashes import Killed
from tests.support.events import SCHEDULED, invoke, sqs_event, stream_event
from tests.support.factories import DEPOT, HeldHandset

ZONE: Final = "PARIS-SUD"
TOPIC: Final = "arn:aws:sns:eu-west-3:123456789012:facteo-test-alerts"
ON_CALL: Final = f"topic:{TOPIC}"
"""What is sent by the default policy."""

SECRET: Final = "a secret of the receiver"

QUEUES: Final = {"pages": alert_pages, "alert-timers": alert_timers}
BATCH: Final = 20
VISIBLE_AGAIN: Final = timedelta(seconds=120)
"""After that a queue delivers again what its function did not deal with."""
HANGS_FOR: Final = timedelta(seconds=20)
"""How long a function runs at most."""
WATCHED_FOR: Final = timedelta(minutes=3)
"""How long nothing may be sent for closed alerts, at the end of each test."""

_ADDRESS = {"street": "12 rue Lecourbe", "postcode": "75015", "town": "Paris"}

# --- what is sent and stated --------------------------------------------------------------------------------


def a_fix(**changes: Any) -> dict[str, Any]:
    """A position in the rue Lecourbe, found just now by GNSS."""
    told = {
        "latitude": 48.8432,
        "longitude": 2.3056,
        "fixed_at": clocks.now().isoformat(),
        "radius": 12.5,
        "confidence": 68,
        "method": "gnss",
    }
    return told | changes


def an_alert_body(**changes: Any) -> dict[str, Any]:
    """A press of the button, as a handset tells it."""
    told = {"raised_at": clocks.now().isoformat(), "trigger": "manual", "battery": 80, "fix": a_fix()}
    return told | changes


def a_contact(name: str, *ways: str, secret: str = SECRET) -> dict[str, Any]:
    """A contact of a policy. Each way is `sms:+33…`, `email:…`, `webhook:…`, `topic:…`; `secret` signs webhooks."""
    split = [way.partition(":") for way in ways]
    signing = {"webhook": {"secret": secret}}
    return {"id": name, "ways": [{"channel": by, "to": to, **signing.get(by, {})} for by, _, to in split]}


def a_policy(**changes: Any) -> dict[str, Any]:
    """The duty room by SMS at once, the manager too after 10 s, the others at the usual times, then everybody."""
    told = {
        "contacts": [a_contact("room", "sms:+33600000001"), a_contact("manager", "sms:+33600000002")],
        "steps": [
            {"after": 0, "contacts": ["room"]},
            {"after": 10, "contacts": ["room", "manager"]},
            {"after": 20, "contacts": ["manager"]},
            {"after": 40, "contacts": ["manager"]},
            {"after": 90, "contacts": ["room", "manager"]},
        ],
    }
    return told | changes


def raise_alert(handset: HeldHandset, alert: str = "", *, caller: Caller | None = None, **body: Any) -> Answered:
    """Raise an alert, by default under a new id; keywords change its body."""
    return (caller or handset.calls()).put(f"/v1/alerts/{alert or ids.new()}", an_alert_body(**body))


def raised(handset: HeldHandset, alert: str = "", **body: Any) -> str:
    """The id of an alert, once it is raised."""
    answer = raise_alert(handset, alert, **body)
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


def alert_of(alert_id: str) -> Alert:
    """The alert as it is stored."""
    held = store.find(alert_id)
    assert held is not None
    return held.alert


def events_of(alert_id: str) -> list[Event]:
    """Its events, in the order in which they happened; looks at it are among them."""
    return sorted(journal.read(store.key_of(alert_id)), key=lambda event: event.body(Happened).number)


def said(alert_id: str) -> list[str]:
    """The last parts of their types."""
    return [event.type.removeprefix(store.EVENT) for event in events_of(alert_id)]


# --- what a test changes ------------------------------------------------------------------------------------


@contextmanager
def kms_away(*, cold: bool = True) -> Iterator[None]:
    """KMS cannot be reached, and unless it is not `cold` the process holds no key of it."""
    call = BaseClient._make_api_call

    def called(client: Any, operation: str, parameters: Any) -> Any:
        if client.meta.service_model.service_name == "kms":
            raise EndpointConnectionError(endpoint_url="https://kms.eu-west-3.amazonaws.com/")
        return call(client, operation, parameters)

    if cold:
        keyring.forget()
    with patch.object(BaseClient, "_make_api_call", called):
        yield


@pytest.fixture
def light_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of PINs that cost a thousandth: what is tested with them does not depend on it."""
    monkeypatch.setattr(pins, "MEMORY_KIB", 16)
    nobodys = pins._nobodys_hash()
    monkeypatch.setattr(pins, "_NOBODYS", Pins(pin_hash=nobodys, duress_hash=nobodys, decoys=(nobodys, nobodys)))


# --- channels -----------------------------------------------------------------------------------------------


class Outcome(enum.Enum):
    """What a channel does with a page when it is called."""

    TAKES = "takes"
    REFUSES = "refuses"
    NOT_NOW = "not-now"
    UNKNOWN = "unknown"
    TAKES_AND_IS_CUT = "takes-and-is-cut"
    HANGS = "hangs"


class Sent(NamedTuple):
    """A page that a channel took: to whom (`sms:+33…`), what it says, and when."""

    told: str
    message: Message
    at: datetime


class Channels:
    """Channels that keep what they take. They tell no repeats: what comes twice was sent twice."""

    def __init__(self, clock: FakeClock) -> None:
        self.taken: list[Sent] = []
        self.called: list[str] = []
        self._clock = clock
        self._scripts: dict[str, list[Outcome]] = {}

    def will(self, told: str, *outcomes: Outcome) -> None:
        """What the next calls of a way (`sms:+33…`), or of a whole channel (`sms`), come to. Later ones are taken."""
        self._scripts.setdefault(told, []).extend(outcomes)

    def call(self, way: Way, message: Message) -> None:
        """What stands in for each channel."""
        told = f"{way.channel}:{way.to}"
        self.called.append(told)
        script = self._scripts.get(told) or self._scripts.get(way.channel.value) or [Outcome.TAKES]
        outcome = script.pop(0)
        if outcome in {Outcome.TAKES, Outcome.TAKES_AND_IS_CUT}:
            self.taken.append(Sent(told, message, self._clock.at))
        if outcome is Outcome.HANGS:
            self._clock.at += HANGS_FOR
            raise Killed
        if outcome in {Outcome.REFUSES, Outcome.NOT_NOW}:
            raise Refused("the test wants it so", again=outcome is Outcome.NOT_NOW)
        if outcome is not Outcome.TAKES:
            raise Unknown("the test wants it so")


# --- what AWS does ------------------------------------------------------------------------------------------


class Desk:
    """AWS behind the alerts. `lost` names queues whose messages are lost; `failed` says what its function reported."""

    def __init__(self, api: Api, clock: FakeClock) -> None:
        self.api, self.clock, self.channels = api, clock, Channels(clock)
        self.lost: set[str] = set()
        self.failed: list[str] = []
        self._streamed = {event.id for event in _alert_events()}
        self._waiting: list[tuple[datetime, int, str, str]] = []
        self._numbers = itertools.count()

    @property
    def operator(self) -> Caller:
        """A dispatcher of the whole country."""
        return self.api.as_staff("dispatcher", sub="anne")

    def has_policy(self, zone: str = ZONE, **changes: Any) -> None:
        """Save a policy for a zone; keywords change it."""
        answer = self.api.as_staff("ops").put(f"/v1/alert-policies/{zone}", a_policy(**changes))
        assert answer.status == 204, answer.text

    def takes(self, alert_id: str, *, by: Caller | None = None) -> None:
        """An operator acknowledges the alert."""
        answer = (by or self.operator).post(f"/v1/alerts/{alert_id}/acknowledgement")
        assert answer.status == 200, answer.text

    def closes(self, alert_id: str, reason: str = "rescued") -> None:
        """An operator closes the alert, and all that follows at once is done."""
        answer = self.operator.post(f"/v1/alerts/{alert_id}/closing", {"reason": reason})
        assert answer.status == 200, answer.text
        self.work()

    def feed(self, zone: str = ZONE) -> list[dict[str, Any]]:
        """Every line of a zone's feed."""
        lines: list[dict[str, Any]] = self.operator.get(f"/v1/alert-feed/{zone}").body["lines"]
        return lines

    # --- functions ---

    def work(self) -> None:
        """Deliver everything that is due now, and what comes of it, until nothing is."""
        while self._stream() or self._deliver_next():
            pass

    def wait(self, **parts: float) -> None:
        """Let so much time pass, and deliver everything at its moment."""
        until = self.clock.at + timedelta(**parts)
        self.work()
        while (moment := self._next()) is not None and moment <= until:
            self.clock.at = max(moment, self.clock.at)
            self.work()
        self.clock.at = max(until, self.clock.at)

    def sweep(self) -> None:
        """Run the sweeper for one look, at this moment, and deliver what is due then."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ticking, "RUN_FOR", ticking.LOOK_EVERY)
            assert self._invoked(alert_sweep, SCHEDULED) == []
        self.work()

    def sweep_for_a_minute(self) -> None:
        """Run the sweeper, whose pauses pass by the fake clock; what waits is delivered afterwards only."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(clocks, "pause", lambda seconds: self.clock.advance(seconds=seconds))
            assert self._invoked(alert_sweep, SCHEDULED) == []
        self.work()

    def text(self, number: str, says: str, *, inbound: str = "", raw: bool = False) -> list[str]:
        """A text comes in by SMS, in SNS's envelope unless it is `raw`, and what follows at once is done.

        `inbound` is the id that SNS gives it: twice the same for a message that is delivered twice.
        """
        told = {
            "originationNumber": number,
            "destinationNumber": "+33700000000",
            "messageKeyword": "KEYWORD_123456789012",
            "messageBody": says,
            "inboundMessageId": inbound or f"inbound-{next(self._numbers)}",
        }
        body = json.dumps(told)
        failed = invoke(alert_texts, sqs_event(body if raw else _notification(body)))
        self.work()
        return failed

    def start_over(self) -> None:
        """Forget what is under way, because the cloud was put back to what it is now."""
        zones.forget()
        self._streamed = {event.id for event in _alert_events()}
        self._waiting, self.lost, self.failed = [], set(), []
        self.channels.taken.clear()

    # --- what was sent ---

    def sent(self, *expected: str) -> list[Sent]:
        """What was sent since this was asked last: exactly these ways (`sms:+33…`), in any order."""
        taken, self.channels.taken = self.channels.taken, []
        assert sorted(page.told for page in taken) == sorted(expected)
        return taken

    def nothing_more(self) -> None:
        """Fail if something was sent that the test did not name, or is sent for a closed alert in the next minutes."""
        assert [page.told for page in self.channels.taken] == [], "sent, and not expected by the test"
        assert self.failed == [], "functions that failed"
        over = {row.id for row in self._alerts() if not row.is_open}
        if over:
            self.channels.taken.clear()
            self.wait(seconds=WATCHED_FOR.total_seconds())
            self.sweep()
            late = [page.told for page in self.channels.taken if page.message.alert in over]
            assert late == [], "sent for an alert that was over"

    # --- within ---

    def _alerts(self) -> list[Alert]:
        subjects = {event.subject for event in _alert_events()}
        return store.find_many(subject.removeprefix("alert/") for subject in subjects)

    def _stream(self) -> bool:
        """Give the stream's worker the alerts' events that it has not seen yet. Whether there were any."""
        fresh = [event for event in _alert_events() if event.id not in self._streamed]
        for first in range(0, len(fresh), BATCH):
            batch = fresh[first : first + BATCH]
            self._streamed.update(event.id for event in batch)
            self.failed += [f"alert_events {number}" for number in self._invoked(alert_events, stream_event(*batch))]
        return bool(fresh)

    def _deliver_next(self) -> bool:
        """Deliver the next message that is due. Whether there was one."""
        if not self._waiting or self._waiting[0][0] > self.clock.at:
            return False
        _, _, queue, body = heapq.heappop(self._waiting)
        if self._invoked(QUEUES[queue], sqs_event(body)):
            self.failed.append(queue)
            self._wait_for(VISIBLE_AGAIN, queue, body)
        return True

    def _invoked(self, worker: Any, raw: dict[str, Any]) -> list[str]:
        """Call a function and collect what it put into queues; one that is killed in the middle has dealt with none."""
        failed = []
        try:
            failed = invoke(worker, raw)
        except Killed:
            for record in raw["Records"]:
                queue = next(name for name, known in QUEUES.items() if known is worker)
                self._wait_for(VISIBLE_AGAIN, queue, record["body"])
        self._collect()
        return failed

    def _collect(self) -> None:
        for queue in QUEUES:
            messages = stored._queue(queue)._messages
            for message in messages:
                held_back = timedelta(seconds=round(max(message.delayed_until - message.sent_timestamp, 0) / 1000))
                if queue not in self.lost:
                    self._wait_for(held_back, queue, message.body)
            messages.clear()

    def _wait_for(self, time: timedelta, queue: str, body: str) -> None:
        heapq.heappush(self._waiting, (self.clock.at + time, next(self._numbers), queue, body))

    def _next(self) -> datetime | None:
        return self._waiting[0][0] if self._waiting else None


def _alert_events() -> list[Event]:
    """The alerts' events in the journal, read behind its API."""
    table = stored._dynamodb().tables[physical_name(JournalRow.table)]
    rows = (row for subject, rows in table.items.items() if subject.value.startswith("alert/") for row in rows.values())
    return [events.decode(row.attrs["event"].value) for row in rows]


def _notification(body: str) -> str:
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": ids.new(),
            "TopicArn": "arn:aws:sns:eu-west-3:123456789012:facteo-test-alert-texts",
            "Message": body,
            "Timestamp": datetime.now(UTC).isoformat(),
            "SignatureVersion": "1",
        }
    )


@pytest.fixture
def desk(aws: cloud.Cloud, api: Api, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """AWS behind the alerts of a post with one zone and one depot, and channels that keep what they are called for."""
    zones.forget()
    running = Desk(api, clock)
    monkeypatch.setattr(channels, "CHANNELS", dict.fromkeys(Channel, running.channels.call))
    ops = api.as_staff("ops")
    depot = {"name": "Paris 15", "zone": ZONE, "postcodes": ["75015"], "address": _ADDRESS}
    assert ops.put(f"/v1/zones/{ZONE}", {"name": ZONE}).status == 200
    assert ops.put(f"/v1/depots/{DEPOT}", depot).status == 200
    yield running
    running.nothing_more()
