"""A world in which the product's alerts run: AWS, its queues and streams, channels and the API, under a fake clock.

The product's own code runs from the endpoint down to the botocore call, where `double` answers; what goes wrong there
and on the way is drawn by a seed. Left out are the signature of requests and tokens (who calls is taken at their word),
the cost of a PIN's hash, and the writing of logs: other tests look at those.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import random
import re
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch
from zlib import crc32

from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from pynamodb.connection import Connection

from chalicelib.alerts import pins, posting, workers, zones
from chalicelib.alerts.routes import routes  # noqa: F401 - importing it declares the endpoints
from chalicelib.alerts.tables import AlertsRow, LinesRow
from chalicelib.core import aws, endpoint, http_signatures, ids, keyring, oidc, settings, table, telemetry
from chalicelib.core.access import AccessRow
from chalicelib.core.call import Call
from chalicelib.core.errors import IdentityRequired
from chalicelib.core.journal import EventIdRow, JournalRow
from chalicelib.core.keyring import KeyRow
from chalicelib.core.table import Table
from chalicelib.people.tables import PeopleRow
from tests.reliability.double import Answer, Dynamo, Keys, Queues, Request, Sent, error
from tests.reliability.expressions import Item, Unsupported
from tests.reliability.faults import NOTHING, Fault, Faults, Plan, chance
from tests.reliability.loop import Killed, Loop
from tests.reliability.receivers import Receivers
from tests.support import template

MODELS: tuple[type[Table], ...] = (AccessRow, AlertsRow, LinesRow, JournalRow, EventIdRow, KeyRow, PeopleRow)
ENVIRONMENT = {
    "FACTEO_PAGES_QUEUE": "https://sqs/pages",
    "FACTEO_ALERT_TIMERS_QUEUE": "https://sqs/alert-timers",
    "FACTEO_ALERT_TOPIC": "arn:aws:sns:eu-west-3:123456789012:facteo-test-alerts",
    "FACTEO_MAIL_FROM": "alertes@facteo.test",
    "FACTEO_OIDC_JWKS": "https://login.facteo.test/keys",
}

LATENCY = (0.005, 0.020)
"""Seconds that a call of AWS takes."""
CHANNEL_LATENCY = (0.03, 0.3)
DELAY = (0.2, 3.0)
"""Seconds by which something that is delayed comes later."""
MESSAGE_LATENCY = (0.01, 0.08)
"""Seconds from a queue or a stream to a function."""
START_UP = (0.002, 0.02)
COLD_START = 0.3
COLD = 0.05
"""The share of functions that begin in a new process, which holds nothing yet, and the seconds that this takes."""
INDEX_LAG = timedelta(seconds=0.05)
SHARDS = 4
"""Of the stream: an on-demand table begins with four."""
API_TIMEOUT = 28.0
TIMERS = "alert-timers"
CHANNEL_SERVICES = ("sns", "sesv2")


class Answered(NamedTuple):
    """What a caller of the API has in hand; status 0: no answer came."""

    status: int
    text: str = ""

    @property
    def body(self) -> Any:
        """The JSON."""
        return json.loads(self.text)


@dataclass
class _HttpRequest:
    """A request as Chalice gives it to an endpoint."""

    method: str
    context: Mapping[str, Any]
    headers: Mapping[str, str]
    query_params: Any
    raw_body: bytes


class _Query(dict[str, str]):
    def getlist(self, name: str) -> list[str]:
        return [self[name]]


@dataclass
class _Queue:
    """A queue and the function behind it, as the template and chalice's configuration have them."""

    name: str
    worker: Any
    timeout: float
    visibility: float
    receives: int
    concurrency: int
    running: int = 0
    waiting: deque[tuple[Sent, int]] = field(default_factory=deque)
    dead: list[Sent] = field(default_factory=list)


@dataclass
class _Lane:
    """Records of the stream that follow one another."""

    records: deque[dict[str, Any]] = field(default_factory=deque)
    busy: bool = False


class World:
    """Everything around the product."""

    def __init__(self, seed: int, plan: Plan = NOTHING) -> None:
        self.seed = seed
        self.random = chance(seed)
        self.faults = Faults(plan, chance(seed, "faults"))
        self.loop = Loop()
        self.dynamo = Dynamo(index_lag=INDEX_LAG, on_write=self._written)
        self.queues_of_aws = Queues(self._sent)
        self.keys = Keys()
        self.receivers = Receivers()
        self.calls: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.conflicts: Counter[str] = Counter()
        """By function, how many transactions met another one on the same item."""
        self.journal: list[tuple[datetime, dict[str, Any]]] = []
        """Every event, and when it was written."""
        self.page_rows: dict[tuple[str, str], list[tuple[datetime, str, dict[str, Any]]]] = {}
        """By alert and key, each state of a page's row: since when, which, and what it holds."""
        self.fed_at: dict[tuple[str, int], datetime] = {}
        """When each event of an alert came into a feed."""
        self.stream_failures: list[dict[str, Any]] = []
        self._services: Mapping[str, Callable[[str, Request], Answer]] = {
            "dynamodb": self.dynamo.call,
            "sqs": self.queues_of_aws.call,
            "kms": self.keys.call,
            "sns": self._publish,
            "sesv2": self._mail,
        }
        self._queues = {name: _queue(name, worker) for name, worker in _WORKERS.items()}
        self._lanes = [_Lane() for _ in range(SHARDS * _stream_mapping().get("ParallelizationFactor", 1))]
        self._numbers = itertools.count(1)
        self._runs = itertools.count()
        self._paths = [(method, _pattern(path), declared) for (method, path), declared in endpoint.REGISTRY.items()]

    @property
    def now(self) -> datetime:
        """The present moment of the world."""
        return self.loop.now

    @contextmanager
    def running(self) -> Iterator[World]:
        """Put the product into this world until the block ends."""
        with ExitStack() as stack:
            stack.enter_context(patch.dict(os.environ, ENVIRONMENT))
            _forget_everything()
            stack.callback(_forget_everything)
            stack.callback(telemetry.logger.setLevel, os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
            telemetry.logger.setLevel(os.environ.get("RELIABILITY_LOG", "CRITICAL"))
            for target, name, ours in self._instead():
                stack.enter_context(patch.object(target, name, ours))
            stack.enter_context(patch.object(pins, "_NOBODYS", _cheap_nobody()))
            stack.enter_context(self.loop.running())
            stack.callback(random.setstate, random.getstate())
            random.seed(self.seed)
            for model in MODELS:
                model.create_table(read_capacity_units=1, write_capacity_units=1)
            self.loop.after(0, self._start_sweeper)
            yield self

    def _instead(self) -> Iterator[tuple[Any, str, Any]]:
        def call(client: BaseClient, operation: str, request: Request) -> Answer:
            return self._call(client, operation, request)

        yield BaseClient, "_make_api_call", call
        yield posting, "post", self._post
        for name in ("send_pre_boto_callback", "send_post_boto_callback"):  # signals that nobody listens to
            yield Connection, name, lambda *_: None
        yield telemetry, "_write", self._count
        yield oidc, "claims_of", json.loads
        yield http_signatures, "verify", self._verify
        yield ids.secrets, "randbits", self.random.getrandbits
        yield uuid, "uuid4", lambda: uuid.UUID(int=self.random.getrandbits(128))
        yield pins, "MEMORY_KIB", 8
        yield pins, "ITERATIONS", 1

    # --- calls of AWS

    def _call(self, client: BaseClient, operation: str, request: Request) -> Answer:
        """A call of AWS, with whatever befalls it."""
        service = client.meta.service_model.service_name
        if not self.loop.in_task:
            return self._act(service, operation, request)
        self.calls[f"{service}:{operation}"] += 1
        if service in CHANNEL_SERVICES:
            act = partial(self._act, service, operation, request)
            return self._channel(act, partial(_channel_error, operation), _attempts(client))
        fault = self.faults.draw("call", _possible(service, operation, _attempts(client)))
        self._sleep(LATENCY)
        if fault is Fault.NONE:
            return self._act(service, operation, request)
        if fault is Fault.PARTIAL:
            return self._partly(service, operation, request)
        self._come_before(fault, operation)
        answer = self._act(service, operation, request)
        self._come_after(fault, service)
        return self._act(service, operation, request) if fault is Fault.DOUBLED else answer

    def _come_before(self, fault: Fault, operation: str) -> None:
        """What befalls a call before it has its effect."""
        if fault is Fault.KILLED_BEFORE:
            self._kill()
        if fault is Fault.DELAYED:
            self._sleep(DELAY)
        if fault is Fault.REFUSED:
            self._sleep((0.0, 1.0))
            raise self._refusal(operation)

    def _come_after(self, fault: Fault, service: str) -> None:
        """What befalls it afterwards."""
        if fault is Fault.KILLED_AFTER:
            self._kill()
        if fault in {Fault.DOUBLED, Fault.CUT}:
            self._sleep((0.05, 3.0))
        if fault is Fault.CUT:
            raise ReadTimeoutError(endpoint_url=f"https://{service}")

    def _act(self, service: str, operation: str, request: Request) -> Answer:
        """What a call does, without what may befall it."""
        if operation == "TransactWriteItems" and self.loop.in_task:
            return self._transact(request)
        if service not in self._services:
            raise Unsupported(f"{service}:{operation}")
        return self._services[service](operation, request)

    def _publish(self, operation: str, request: Request) -> Answer:
        if operation != "Publish":
            raise Unsupported(f"sns:{operation}")
        self.receivers.published(request, self.now, self._message)
        return {"MessageId": "m"}

    def _mail(self, operation: str, request: Request) -> Answer:
        if operation != "SendEmail":
            raise Unsupported(f"sesv2:{operation}")
        self.receivers.mailed(request, self.now, self._message)
        return {"MessageId": "m"}

    @property
    def _message(self) -> str:
        """On which message whoever calls is at work."""
        return self.loop.process.message if self.loop.process else ""

    def _transact(self, request: Request) -> Answer:
        """A transaction is under way for a while: who touches its items meanwhile meets a conflict."""
        try:
            opened = self.dynamo.begin(request)
        except ClientError:
            self.conflicts[self.loop.process.name if self.loop.process else ""] += 1
            raise
        try:
            self._sleep(LATENCY)
            return self.dynamo.finish(opened)
        finally:
            self.dynamo.abandon(opened)

    def _refusal(self, operation: str) -> Exception:
        code, status = self.faults.random.choice(
            [("ThrottlingException", 400), ("InternalServerError", 500), ("RequestLimitExceeded", 400), ("", 0)]
        )
        if not status:
            return EndpointConnectionError(endpoint_url="https://aws")
        return error(operation, code, "refused by the test", ResponseMetadata={"HTTPStatusCode": status})

    def _partly(self, service: str, operation: str, request: Request) -> Answer:
        """Some items or messages of a call are not taken."""
        draw = self.faults.random.random
        if service == "sqs":
            taken = [entry for entry in request["Entries"] if draw() < 0.5]
            refused = [entry["Id"] for entry in request["Entries"] if entry not in taken]
            answer = self.queues_of_aws.call(operation, {**request, "Entries": taken}) if taken else {}
            failed = [{"Id": name, "SenderFault": False, "Code": "InternalError"} for name in refused]
            return answer | ({"Failed": failed} if failed else {})
        wanted, left = request["RequestItems"], "UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"
        name = self.faults.random.choice([*wanted])
        rest = {other: told for other, told in wanted.items() if other != name}
        answer = self.dynamo.call(operation, {**request, "RequestItems": rest}) if rest else {"Responses": {}}
        return answer | {left: {name: wanted[name]}}

    def _kill(self) -> None:
        process = self.loop.process
        if process is None:
            return
        process.dead = True
        self.killed[process.name] += 1
        raise Killed

    def _sleep(self, seconds: tuple[float, float]) -> None:
        self.loop.sleep(self.random.uniform(*seconds))

    # --- channels

    def _channel(self, act: Callable[[], Any], error_of: Callable[[Fault], Exception], attempts: int = 1) -> Any:
        """A call of a channel, with whatever befalls it: an SDK that tries again pages twice."""
        fault = self.faults.draw("channel")
        self._sleep(CHANNEL_LATENCY)
        if fault is Fault.KILLED_BEFORE:
            self._kill()
        if fault is Fault.DELAYED:
            self._sleep((0.2, 2.5))
        if fault in {Fault.REFUSED, Fault.NEVER}:
            raise error_of(fault)
        if fault is Fault.HUNG:
            self.loop.sleep(3.0)
            raise error_of(fault)
        if fault is Fault.BROKEN and self.faults.random.random() < 0.5:
            raise error_of(fault)
        answer = act()
        if fault is Fault.KILLED_AFTER:
            self._kill()
        if fault in {Fault.DOUBLED, Fault.CUT} and attempts > 1:
            self._sleep((0.05, 3.0))
            return act()
        if fault in {Fault.CUT, Fault.DOUBLED}:
            self._sleep((0.05, 3.0))
        if fault in {Fault.CUT, Fault.DOUBLED, Fault.BROKEN}:
            raise error_of(fault)
        return answer

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        try:
            self._channel(lambda: self.receivers.posted(url, body, self.now, self._message), _WebhookAnswer)
        except _WebhookAnswer as answer:
            match answer.fault:
                case Fault.REFUSED:
                    raise posting.NeverSent("no connection") from None
                case Fault.NEVER:
                    return 400
                case Fault.BROKEN:
                    return 502
                case _:
                    raise posting.Cut("no answer") from None
        return 202

    # --- queues, stream and schedule

    def _sent(self, sent: Sent) -> None:
        name = sent.queue.rpartition("/")[2]
        fault = self.faults.draw("timer" if name == TIMERS else "message")
        if name == TIMERS and (self.faults.plan.timers_all_lost or fault is Fault.LOST):
            return
        seconds = sent.delay + self.random.uniform(*MESSAGE_LATENCY)
        if fault is Fault.DELAYED:
            seconds += self.random.uniform(*DELAY) * 3
        self.loop.after(seconds, lambda: self._arrived(name, sent, 1))
        if fault is Fault.DOUBLED:
            self.loop.after(seconds + self.random.uniform(0, 5), lambda: self._arrived(name, sent, 1))

    def _arrived(self, name: str, sent: Sent, receives: int) -> None:
        queue = self._queues[name]
        if queue.running >= queue.concurrency:
            queue.waiting.append((sent, receives))
            return
        queue.running += 1
        self.loop.start(lambda: self._deliver(queue, sent, receives))

    def _deliver(self, queue: _Queue, sent: Sent, receives: int) -> None:
        raw = {"Records": [_sqs_record(next(self._numbers), sent, receives)]}
        result = self.invoke(queue.worker, raw, queue.timeout, message=sent.body)
        queue.running -= 1
        if result is None or result["batchItemFailures"]:
            self._again(queue, sent, receives)
        if queue.waiting:
            self._arrived(queue.name, *queue.waiting.popleft())

    def _again(self, queue: _Queue, sent: Sent, receives: int) -> None:
        self.failed[queue.name] += 1
        if receives >= queue.receives:
            queue.dead.append(sent)
            return
        self.loop.after(queue.visibility, lambda: self._arrived(queue.name, sent, receives + 1))

    def invoke(self, worker: Any, raw: dict[str, Any], timeout: float, message: str = "") -> Any:
        """Run a function of Lambda; what it answers, None if it died."""
        name = worker.func.__name__
        try:
            with self.loop.function(name, timeout, message):
                self._begin()
                return worker(raw, None)
        except Killed:
            return None

    def _begin(self) -> None:
        self._sleep(START_UP)
        if self.random.random() < COLD:
            zones.forget()
            keyring.forget()
            self.loop.sleep(COLD_START)

    def _written(self, name: str, before: Item | None, after: Item | None) -> None:
        """The stream and what judges look at hear of every change."""
        short = name.removeprefix("facteo-test-")
        if short == "journal" and before is None and after is not None:
            event = json.loads(after["event"]["S"])
            self.journal.append((self.now, event))
            if event["subject"].startswith("alert/"):
                self._record(after)
        if short != "alert-lines" or after is None:
            return
        if after["pk"]["S"].startswith("feed/"):
            line = json.loads(after["content"]["S"])
            self.fed_at[line["alert"], line["number"]] = self.now
        elif after["sk"]["S"].startswith("page/"):
            place = (after["pk"]["S"], after["sk"]["S"])
            told = (self.now, after["state"]["S"], json.loads(after["content"]["S"]))
            self.page_rows.setdefault(place, []).append(told)

    def _record(self, item: Item) -> None:
        number = str(next(self._numbers)).zfill(24)
        keys = {name: item[name] for name in ("subject", "id")}
        record = {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": item, "SequenceNumber": number}}
        lane = self._lanes[crc32(item["subject"]["S"].encode()) % len(self._lanes)]
        fault = self.faults.draw("message")
        seconds = self.random.uniform(*MESSAGE_LATENCY)
        copies = 2 if fault is Fault.DOUBLED else 1
        if fault is Fault.DELAYED:
            seconds += self.random.uniform(*DELAY)
        self.loop.after(seconds, lambda: self._streamed(lane, [record] * copies))

    def _streamed(self, lane: _Lane, records: Sequence[dict[str, Any]]) -> None:
        lane.records.extend(records)
        if not lane.busy:
            lane.busy = True
            self.loop.start(lambda: self._work_off(lane))

    def _work_off(self, lane: _Lane) -> None:
        """Batches of a lane one after the other: from the first failure on, a batch is tried again some times."""
        mapping, tries = _stream_mapping(), 0
        size = _STREAM_BATCH
        while lane.records:
            batch = [lane.records[n] for n in range(min(size, len(lane.records)))]
            result = self.invoke(workers.alert_events, {"Records": batch}, _timeout("alert_events"))
            done = len(batch) if result is not None else 0
            failed = {one["itemIdentifier"] for one in result["batchItemFailures"]} if result else set()
            numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
            done = min([done, *(numbers.index(number) for number in failed)])
            for _ in range(done):
                lane.records.popleft()
            if done:
                tries, size = 0, _STREAM_BATCH
                if done == len(batch):
                    continue
            tries, size = tries + 1, max(size // 2, 1)
            self.failed["alert_events"] += 1
            if tries > mapping.get("MaximumRetryAttempts", 10):
                self.stream_failures.append(lane.records.popleft())
                tries, size = 0, _STREAM_BATCH
            else:
                self.loop.sleep(min(0.25 * 2**tries, 5.0))
        lane.busy = False

    def _start_sweeper(self) -> None:
        """Every minute, whatever became of the last run."""
        number, plan = next(self._runs), self.faults.plan
        self.loop.after(60, self._start_sweeper)
        fault = self.faults.draw("run")
        if fault is Fault.LOST or (plan.lost_run_every and number % plan.lost_run_every == plan.lost_run_every - 1):
            self.counted["sweeper runs lost"] += 1
            return
        later = self.random.uniform(*DELAY) if fault is Fault.DELAYED else 0.0
        for _ in range(2 if fault is Fault.DOUBLED else 1):
            sweep = partial(self.invoke, workers.alert_sweep, _SCHEDULED, _timeout("alert_sweep"))
            self.loop.start(sweep, after=later)

    # --- the API

    def ask(self, method: str, path: str, who: Mapping[str, str], body: Any = None, **query: str) -> Answered:
        """Somebody calls the API once, over a network that loses requests and answers."""
        fault = self.faults.draw("request")
        self._sleep((0.02, 0.15))
        if fault is Fault.REFUSED:
            self._sleep((0.1, 3.0))
            return Answered(0)
        if fault is Fault.DELAYED:
            self._sleep(DELAY)
        answer = self._serve(method, path, who, body, query)
        if fault is Fault.DOUBLED:
            answer = self._serve(method, path, who, body, query)
        if fault is Fault.CUT:
            self._sleep((0.1, 3.0))
            return Answered(0)
        return answer

    def _serve(self, method: str, path: str, who: Mapping[str, str], body: Any, query: Mapping[str, str]) -> Answered:
        self.calls[f"api:{method}"] += 1
        declared, parameters = self._route(method, path)
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", **who}
        request = _HttpRequest(method, {"path": path}, headers, _Query(query), raw)
        try:
            with self.loop.function("alerts_api", API_TIMEOUT):
                self._begin()
                response = endpoint._respond(declared, request, parameters)
        except Killed:
            return Answered(0)
        return Answered(response.status_code, response.body)

    def _route(self, method: str, path: str) -> tuple[Any, dict[str, str]]:
        for known, pattern, declared in self._paths:
            if known == method and (found := pattern.fullmatch(path)):
                return declared, found.groupdict()
        raise Unsupported(f"{method} {path}")

    def _verify(self, call: Call, find_key: Callable[[str], Any], *, any_clock: bool = False) -> datetime:
        """Take a handset at its word, if it is one."""
        if find_key(call.headers["device"]) is None:
            raise IdentityRequired("There is no such handset.")
        return datetime.fromisoformat(call.headers["signed-at"]).astimezone(UTC)

    # --- the rest

    def _count(self, name: str, _unit: Any, value: float, dimensions: Mapping[str, str]) -> None:
        self.counted[" ".join([name, *dimensions.values()])] += int(value) if value == int(value) else 1

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Every alert as it stands, by its id."""
        rows = self.dynamo.tables["facteo-test-alerts"].all()
        found = (row for row in rows if row["pk"]["S"].startswith("alert/"))
        return {row["pk"]["S"].removeprefix("alert/"): json.loads(row["content"]["S"]) for row in found}

    def lines(self, prefix: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """The lines of every list whose key begins so, in their order."""
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for row in self.dynamo.tables["facteo-test-alert-lines"].all():
            if row["pk"]["S"].startswith(prefix):
                found.setdefault(row["pk"]["S"], []).append((row["sk"]["S"], json.loads(row["content"]["S"])))
        return found

    @property
    def is_quiet(self) -> bool:
        """Whether no message waits and no record is left in the stream."""
        busy = any(queue.running or queue.waiting for queue in self._queues.values())
        return not busy and not any(lane.busy for lane in self._lanes)

    @property
    def dead_letters(self) -> Counter[str]:
        """How many messages of each queue nobody could take."""
        return Counter({name: len(queue.dead) for name, queue in self._queues.items() if queue.dead})


class _WebhookAnswer(Exception):  # noqa: N818 - what comes of a call
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def _channel_error(operation: str, fault: Fault) -> Exception:
    """What botocore raises for it."""
    match fault:
        case Fault.REFUSED:
            return error(operation, "ThrottlingException", "slow down", ResponseMetadata={"HTTPStatusCode": 400})
        case Fault.NEVER:
            return error(operation, "InvalidParameter", "not valid", ResponseMetadata={"HTTPStatusCode": 400})
        case Fault.BROKEN:
            return error(operation, "InternalError", "broken", ResponseMetadata={"HTTPStatusCode": 500})
        case _:
            return ReadTimeoutError(endpoint_url="https://channel")


def _attempts(client: BaseClient) -> int:
    """How often the SDK sends a call at most."""
    return int((client.meta.config.retries or {}).get("total_max_attempts", 1))


@functools.cache
def _possible(service: str, operation: str, attempts: int) -> frozenset[Fault]:
    """What can befall a call: only the SDK sends again, and only batches are taken in part."""
    never = set() if attempts > 1 else {Fault.DOUBLED}
    if service != "sqs" and operation not in {"BatchGetItem", "BatchWriteItem"}:
        never.add(Fault.PARTIAL)
    return frozenset(set(Fault) - never)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


def _sqs_record(number: int, sent: Sent, receives: int) -> dict[str, Any]:
    return {
        "messageId": f"m-{number}",
        "receiptHandle": f"r-{number}",
        "body": sent.body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {name: {"stringValue": value} for name, value in sent.attributes.items()},
        "md5OfBody": hashlib.md5(sent.body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
    }


def _cheap_nobody() -> pins.Pins:
    with patch.object(pins, "MEMORY_KIB", 8), patch.object(pins, "ITERATIONS", 1):
        return pins.Pins(
            pin_hash=pins._nobodys_hash(),
            duress_hash=pins._nobodys_hash(),
            decoys=(pins._nobodys_hash(), pins._nobodys_hash()),
        )


def _forget_everything() -> None:
    aws.reset()
    table.shared_connection.cache_clear()
    settings.load.cache_clear()
    endpoint._check_settings.cache_clear()
    keyring.forget()
    zones.forget()
    for model in MODELS:
        model._connection = None


# --- what is deployed ---------------------------------------------------------------------------------------

_WORKERS = {"pages": workers.alert_pages, TIMERS: workers.alert_timers, "alert-texts": workers.alert_texts}
_SCHEDULED: dict[str, Any] = {
    "version": "0",
    "id": "1",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-23T07:00:00Z",
    "region": "eu-west-3",
    "resources": [],
    "detail": {},
}
_STAGE = template.stages()["prod"]["lambda_functions"]
_STREAM_BATCH = 20


def _timeout(function: str) -> float:
    return float(_STAGE[function]["lambda_timeout"])


def _queue(name: str, worker: Any) -> _Queue:
    function = worker.func.__name__
    queues = {template.short_name(told["QueueName"]): told for told in template.resources(template.QUEUE).values()}
    told = queues[name]
    return _Queue(
        name=name,
        worker=worker,
        timeout=_timeout(function),
        visibility=told["VisibilityTimeout"],
        receives=told["RedrivePolicy"]["maxReceiveCount"],
        concurrency=_STAGE[function]["reserved_concurrency"],
    )


_MAPPINGS = template.functions()["alert_events"]["Events"]["AlertEventsDynamodbEventSource"]["Properties"]


def _stream_mapping() -> Mapping[str, Any]:
    return _MAPPINGS  # type: ignore[no-any-return]
