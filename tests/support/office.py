"""A back office in this process that commands one handset: it stands where the handset's network is."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from demo.passkey import Passkey
from handset import acts
from handset.client import Handset
from handset.files import write_json
from handset.ids import new_id
from handset.signing import HandsetKey
from handset.strict import json_object, opened
from handset.transport import Answer, NoNetwork, Refused
from tests.support import warrants
from tests.support.clock import FakeClock
from tests.support.warrants import DEVICE, ORIGIN, RP_ID

ANNA, BERT, CARA = (Passkey.new(RP_ID, ORIGIN) for _ in range(3))
BOTH = {"staff/anna": ANNA, "staff/bert": BERT}
FIRST_SET = warrants.a_set(BOTH)
LEASE_KEY = bytes(range(32))
HOURS = 72

Body = dict[str, Any]


class Killed(BaseException):
    """The handset is switched off at that moment."""


class Office:
    """What it has to say, what it was told, and what goes wrong next.

    `hook` is asked before each request, with its method and path: it may raise. `answers` stand for paths.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.key, self.kid = clock, HandsetKey.generate(), "office-1"
        self.orders: list[str] = []
        self.states: dict[str, str] = {}
        self.reports: list[Body] = []
        self.raw_reports: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[Body | None] = []
        self.events: list[Body] = []
        self.answers: dict[str, Body] = {}
        self.hook: Callable[[str, str], None] = lambda method, path: None
        self.handset_key: dict[str, str] = {}
        self.spoke_after_its_last_word: list[str] = []

    def enrol(self, folder: Path, **members: Any) -> Handset:
        """A handset that was enrolled before, in a folder with what others own."""
        folder.mkdir()
        key = HandsetKey.generate()
        key.save(folder / "key-1.pem")
        self.handset_key = {**key.public_jwk, "kid": DEVICE}
        enrolment = {
            "device": DEVICE,
            "generation": 2,
            "source": f"/handsets/{DEVICE}/2",
            "url": "https://api.facteo.test",
            "key": "key-1.pem",
            "policy": {"batch_events": 2, "batch_bytes": 1_048_576},
            "server_keys": [{**self.key.public_jwk, "kid": self.kid}],
            "approvers": {"text": warrants.encoded(FIRST_SET), "approvals": []},
            **members,
        }
        write_json(folder / "enrolment.json", enrolment)
        return Handset(folder, now=self.clock)

    def order(self, kind: str, warrant: Body | None = None, /, **members: Any) -> str:
        """Have an order wait: its id."""
        told = {
            "type": "facteo.order",
            "id": new_id(self.clock()),
            "device": DEVICE,
            "generation": 2,
            "number": len(self.orders) + 1,
            "kind": kind,
            "parameters": {},
            "reason": f"Because of {kind}.",
            "issued_at": self.clock().isoformat(),
            "expires_at": (self.clock() + timedelta(days=1)).isoformat(),
            "warrant": warrant,
            **members,
        }
        self.orders.append(self.signed(told))
        return str(told["id"])

    def signed(self, content: Body, kid: str = "") -> str:
        """A content as a JWS by this office."""
        return acts.signed(content, self.key, kid or self.kid)

    def forget(self) -> None:
        """Forget what was reported."""
        self.reports.clear()
        self.raw_reports.clear()

    def said(self) -> list[tuple[str, str]]:
        """What was reported, and with which code."""
        return [(report["what"], report["code"]) for report in self.reports]

    def call(self, method: str, path: str, body: Any = None, headers: Any = None, timeout: float = 30) -> Answer:
        """Answer a request of the handset."""
        if any(report["what"] == "wiping" for report in self.reports):
            self.spoke_after_its_last_word.append(path)
        self.calls.append((method, path))
        self.bodies.append(body)
        self.hook(method, path)
        if path in self.answers:
            return Answer(200, {"etag": f'"{len(self.calls)}"'}, self.answers[path])
        if path == "/v1/commands":
            return Answer(200, {}, {"orders": list(self.orders)})
        if path.endswith("/reports"):
            return Answer(200, {}, {"state": self._reported(body["report"])})
        if path == "/v1/events":
            return Answer(200, {}, self._taken(body["events"]))
        if path == "/v1/lease":
            until = (self.clock() + timedelta(hours=HOURS)).isoformat()
            return Answer(200, {}, {"key": base64.b64encode(LEASE_KEY).decode(), "until": until})
        raise Refused(404, {"type": "/problems/not-found", "title": "Not found"})

    def _reported(self, report: str) -> str:
        payload = opened(report, [self.handset_key])
        assert acts.canonical(json.loads(payload)) == payload
        told = json_object(payload)
        self.raw_reports.append(report)
        if report not in self.raw_reports[:-1]:
            self.reports.append(told)
        return self.states.get(told["command"], told["what"])

    def _taken(self, events: list[Body]) -> Body:
        self.events += events
        results = [
            {"id": one["id"], "sequence": one["sequence"], "result": "recorded", "problem": None} for one in events
        ]
        return {"results": results, "acknowledged_through": events[-1]["sequence"]}


@contextmanager
def serving(office: Office) -> Iterator[None]:
    """Every handset of this process calls this office until the block ends."""

    def call(handset: Handset, method: str, path: str, *rest: Any, **options: Any) -> Answer:
        return office.call(method, path, *rest, **options)

    with patch.object(Handset, "call", call):
        yield


def no_network(*parts: str) -> Callable[[str, str], None]:
    """A hook: what has one of these parts in its path does not get through."""

    def hook(_: str, path: str) -> None:
        if any(part in path for part in parts):
            raise NoNetwork("no network")

    return hook


@contextmanager
def before_each_file_operation(count: Callable[[], None]) -> Iterator[None]:
    """Before anything is written, renamed or removed, `count` is called: it may raise."""

    def counted(real: Any) -> Any:
        def operation(*given: Any, **options: Any) -> Any:
            count()
            return real(*given, **options)

        return operation

    with ExitStack() as stack:
        for name in ("fsync", "replace", "unlink", "rmdir"):
            stack.enter_context(patch.object(os, name, counted(getattr(os, name))))
        yield


def killed_at(number: int, office: Office, act: Callable[[], Any]) -> bool:
    """Act, and be killed before the operation of that number: a file's or a request. Whether it came to that."""
    left = [number]

    def count(*_: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    office.hook = count
    try:
        with before_each_file_operation(count):
            act()
    except Killed:
        return True
    finally:
        office.hook = no_network()
    return False


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
