"""`make load`: a morning of thousands of handsets, in a minute, against a local cloud on this machine.

Each simulated handset takes its round at a moment of the morning (most of them around the peak), then scans and syncs
with pauses in between. It signs with the reference handset's code and talks HTTP/1.1 by asyncio. Handsets are let in
by the product's own `access.grant`, without tickets: enrolment is not what is measured here.

It says what this machine and its emulated cloud can take, beside which nothing is promised of AWS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench import machine, requests
from bench.calls import counted_apart
from chalicelib.core import ids
from demo.seed import ROUNDS
from handset.signing import HandsetKey, Request
from infra.local_cloud import CREDENTIALS
from infra.run import STAGE, back_office
from infra.running import Run

PATIENCE_SECONDS = 30
"""As the reference handset: then there is no network for it."""

LOCAL = ("127.0.0.1", "localhost")
GRANTS_PER_TRANSACTION = 100
ITEMS_FROM = 5_000_000_000
"""Numbers of parcels that no demo has."""


class Parameters(NamedTuple):
    """What is simulated. `peak` is where the most handsets begin, as a part of the whole time; `at_once` how many
    requests are under way at most: the local cloud starts a process for each, which AWS would as well, elsewhere."""

    handsets: int = 2000
    seconds: float = 45
    syncs: int = 2
    scans: int = 10
    think_seconds: float = 10
    peak: float = 0.3
    at_once: int = 4
    seed: int = 0


class Answered(NamedTuple):
    """One request: when it was due, how long until its answer from then, and from when it was sent; its status."""

    kind: str
    due: float
    waited: float
    took: float
    status: str


class Device:
    """A handset in memory: its key, its numbers, the round it has."""

    def __init__(self, number: int) -> None:
        self.id = ids.new(datetime.now(UTC))
        self.key, self.sequence, self.etag = HandsetKey.generate(), 0, ""
        self.carrier, self.depot, _ = ROUNDS[number % len(ROUNDS)]
        self.acknowledged = 0

    def scans(self, number: int, randomness: random.Random) -> bytes:
        """The next scans."""
        found, now = [], datetime.now(UTC)
        for _ in range(number):
            self.sequence += 1
            item = requests.parcel(ITEMS_FROM + randomness.randrange(ITEMS_FROM))
            found.append(requests.a_scan(self.id, self.sequence, item, now))
        return requests.batch(found, now)


class Morning:
    """The run."""

    def __init__(self, running: Run, parameters: Parameters) -> None:
        self._authority = urllib.parse.urlsplit(running.url).netloc
        self._host, _, port = running.connect_to.partition(":")
        self._port = int(port)
        if self._host not in LOCAL:
            raise SystemExit(f"Only a back office on this machine is loaded, not {running.connect_to}.")
        self._parameters = parameters
        self._gate = asyncio.Semaphore(parameters.at_once)
        self._begun = 0.0
        self.answers: list[Answered] = []
        self.recorded = self.unfinished = 0
        self.warmed_in = self.seconds = 0.0

    async def run(self, devices: Sequence[Device], warming: Sequence[Device]) -> None:
        """Everybody's morning, once the first functions are warm. At its end no request is begun any more, and those
        under way are waited for."""
        self._begun = time.monotonic()
        await asyncio.gather(*(self._round(device, 0) for device in warming))
        self.warmed_in = self._now()
        self.answers.clear()
        self._begun = time.monotonic()
        await asyncio.gather(*(self._day(device, number) for number, device in enumerate(devices)))
        self.seconds = self._now()

    async def _day(self, device: Device, number: int) -> None:
        told = self._parameters
        randomness = random.Random(f"{told.seed}/{number}")  # noqa: S311
        due = randomness.triangular(0, told.seconds, told.seconds * told.peak)
        if not await self._round(device, due):
            self.unfinished += 1
            return
        for _ in range(told.syncs):
            due = max(due, self._now()) + randomness.expovariate(1 / told.think_seconds)
            if due > told.seconds or not await self._sync(device, due, randomness):
                self.unfinished += 1
                return

    async def _round(self, device: Device, due: float) -> bool:
        return await self._send("GET /v1/round", device, due, lambda: b"") is not None

    async def _sync(self, device: Device, due: float, randomness: random.Random) -> bool:
        answer = await self._send(
            "POST /v1/events", device, due, lambda: device.scans(self._parameters.scans, randomness)
        )
        if answer is None:
            return False
        self.recorded += sum(1 for result in answer["results"] if result["result"] == "recorded")
        device.acknowledged = answer["acknowledged_through"]
        return True

    async def _send(self, kind: str, device: Device, due: float, body: Callable[[], bytes]) -> Any:
        """The answer's JSON, or None if it did not come, was a refusal, or the morning was over before."""
        await asyncio.sleep(max(0.0, due - self._now()))
        async with self._gate:
            if self._now() > self._parameters.seconds:
                return None
            method, path = kind.split()
            request = requests.signed(
                method,
                path,
                body(),
                key=device.key,
                device=device.id,
                authority=self._authority,
                now=datetime.now(UTC),
                scheme="http",
            )
            sent = self._now()
            try:
                status, text = await asyncio.wait_for(self._exchange(request, path), PATIENCE_SECONDS)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                status, text = type(error).__name__, b""
        now = self._now()
        self.answers.append(Answered(kind, due, now - due, now - sent, status))
        return json.loads(text) if status == "200" else None

    async def _exchange(self, request: Request, path: str) -> tuple[str, bytes]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            headers = {**request.headers, "Content-Length": str(len(request.body)), "Connection": "close"}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"{request.method} {path} HTTP/1.1\r\n{head}\r\n".encode() + request.body)
            await writer.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
            status, *lines = answer.decode("iso-8859-1").split("\r\n")
            told = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(told["content-length"])) if "content-length" in told else b""
            return status.split()[1], body or await reader.read()
        finally:
            writer.close()

    def _now(self) -> float:
        return time.monotonic() - self._begun


def let_in(running: Run, devices: Sequence[Device]) -> None:
    """Enrol them by the product's own function, in the tables of that run."""
    os.environ |= {**CREDENTIALS, "AWS_ENDPOINT_URL": running.endpoint, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}
    os.environ["FACTEO_STAGE"] = STAGE
    from chalicelib.core import access  # noqa: PLC0415 - after the settings
    from chalicelib.core.access import AccessRow  # noqa: PLC0415
    from chalicelib.core.transaction import transaction  # noqa: PLC0415

    for start in range(0, len(devices), GRANTS_PER_TRANSACTION):
        with transaction() as work:
            for device in devices[start : start + GRANTS_PER_TRANSACTION]:
                row = AccessRow(
                    device.id,
                    generation=1,
                    state="enrolled",
                    key=json.dumps(device.key.public_jwk),
                    carrier=device.carrier,
                    depot=device.depot,
                )
                access.grant(work, row, replaces=None)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def report(morning: Morning, devices: Sequence[Device], seconds: float) -> Iterator[str]:
    """What is printed at the end."""
    answers = morning.answers
    yield f"{len(answers)} requests in {seconds:.1f} s: {len(answers) / seconds:.1f} a second"
    fifths = Counter(min(4, int(5 * (one.due + one.waited) / seconds)) for one in answers)
    yield "answers in each fifth of the time: " + ", ".join(str(fifths[fifth]) for fifth in range(5))
    yield f"{'milliseconds':34}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}"
    for kind in sorted({one.kind for one in answers}):
        of = [one for one in answers if one.kind == kind]
        for name, times in (
            ("from sending", [one.took for one in of]),
            ("from when it was due", [one.waited for one in of]),
        ):
            shown = [*(percentile(times, part) for part in (0.5, 0.95, 0.99)), max(times)]
            yield f"  {f'{kind}, {name}':38}" + "".join(f"{value * 1000:8.0f}" for value in shown)
        yield f"    {len(of)} answers: " + ", ".join(
            f"{n} x {s}" for s, n in sorted(Counter(o.status for o in of).items())
        )
    sent = sum(device.acknowledged for device in devices)
    yield f"{morning.recorded} scans recorded, {sent} acknowledged"
    yield f"{morning.unfinished} of {len(devices)} handsets had not done all by the end"


def calls(morning: Morning, scans: int) -> Iterator[str]:
    """The AWS calls that the answers took: those of one request of each kind, in moto, times the answers."""
    answered = Counter(one.kind for one in morning.answers if one.status == "200")
    yield "AWS calls of the API, by one request of each kind counted with moto (a round that is new takes one more):"
    for kind, counted in counted_apart(scans).items():
        told = ", ".join(f"{times} x {name}" for name, times in sorted(counted.items()))
        total = sum(counted.values()) * answered[kind]
        yield f"  {kind}: {sum(counted.values())} calls ({told}); {answered[kind]} answers, {total} calls"


def main() -> int:
    """The command. Returns 1 if a request failed or a scan was lost."""
    parser = argparse.ArgumentParser(description="A morning of handsets against a local cloud on this machine.")
    parser.add_argument("--running", action="store_true", help="against what `make run` started, not one of its own")
    defaults = Parameters(seed=secrets.randbelow(2**32))
    for name, value in defaults._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    running, parameters = given.pop("running"), Parameters(**given)
    with nullcontext(Run.load()) if running else _own_back_office() as found:
        return _load(found, parameters)


def _load(running: Run, parameters: Parameters) -> int:
    print(f"\n{machine.told()} at the start")
    print(", ".join(f"{name} {value}" for name, value in parameters._asdict().items()), flush=True)
    devices = [Device(number) for number in range(parameters.handsets)]
    warming = [Device(number) for number in range(parameters.at_once)]
    begun = time.monotonic()
    let_in(running, [*warming, *devices])
    print(f"{len(devices)} handsets let in within {time.monotonic() - begun:.1f} s", flush=True)
    morning = Morning(running, parameters)
    asyncio.run(morning.run(devices, warming))
    print(f"warmed up within {morning.warmed_in:.1f} s, which do not count")
    print(*report(morning, devices, morning.seconds), sep="\n")
    print(*calls(morning, parameters.scans), sep="\n")
    failed = sum(1 for one in morning.answers if one.status != "200")
    return 1 if failed or morning.recorded != sum(device.acknowledged for device in devices) else 0


@contextmanager
def _own_back_office() -> Iterator[Run]:
    os.environ.setdefault("AWS_DEFAULT_REGION", CREDENTIALS["AWS_DEFAULT_REGION"])
    with tempfile.TemporaryDirectory() as folder, back_office(Path(folder), port=0, sftp_port=0) as started:
        yield started


if __name__ == "__main__":
    sys.exit(main())
