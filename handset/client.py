"""The handset: enrol, take the round, work without a network, sync when there is one."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from handset import acts
from handset.files import write_whole
from handset.outbox import Event, Outbox
from handset.signing import HandsetKey
from handset.transport import TIMEOUT_SECONDS, Answer, NoNetwork, Transport, monotonic_milliseconds

_ENVELOPE_BYTES = 1024
"""Room in a batch for what is around the events."""


@dataclass
class Synced:
    """What became of the events of a sync. The `postponed` ones came too early and stay; `problems` says why."""

    recorded: int = 0
    duplicate: int = 0
    refused: int = 0
    postponed: int = 0
    problems: list[tuple[Event, dict[str, Any]]] = field(default_factory=list)

    def note(self, event: Event, result: dict[str, Any]) -> None:
        """Count the result of an event."""
        setattr(self, result["result"], getattr(self, result["result"]) + 1)
        if result["problem"]:
            self.problems.append((event, result["problem"]))


@dataclass(frozen=True)
class GivenUp:
    """How many events of a former enrolment were never sent, and the file that keeps them."""

    events: int
    kept_in: Path


class NotEnrolled(Exception):  # noqa: N818
    """The folder holds no enrolled handset."""


class Handset:
    """A handset whose memory is a folder: its key, its enrolment, its round and its outbox.

    Take it up again from the same folder after it was killed: nothing that was done is lost. Each enrolment has a key
    and an outbox of its own, and `enrolment.json` says which: the numbers of events begin anew with it. `now` is its
    own clock, whatever that says.
    """

    def __init__(
        self, folder: Path, connect_to: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder, self.now = folder, now
        try:
            self.enrolment: dict[str, Any] = json.loads((folder / "enrolment.json").read_text())
        except FileNotFoundError as error:
            raise NotEnrolled(str(folder)) from error
        self._key = HandsetKey.load(folder / self.enrolment["key"])
        self._transport = Transport(self.enrolment["url"], connect_to, now)
        self.outbox_file = folder / f"outbox-{self.enrolment['device']}-{self.enrolment['generation']}.db"
        self.outbox = Outbox(self.outbox_file)
        self._boot = secrets.token_hex(8)
        self.commands_waiting = 0
        self.given_up: GivenUp | None = None

    @classmethod
    def enrol(
        cls,
        folder: Path,
        content: dict[str, str],
        *,
        serial: str,
        connect_to: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Handset:
        """Enrol with what the ticket's QR code says. Asked again with the same ticket, it carries on with the same key.

        A former enrolment's round is forgotten, and what its outbox holds cannot be sent any more: see `given_up`.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_name = f"key-{hashlib.sha256(content['code'].encode()).hexdigest()[:16]}.pem"
        key = _key_in(folder / key_name)
        hardware = {
            "serial": serial,
            "manufacturer": "Facteo",
            "model": "reference handset",
            "os_version": "0",
            "app_version": "0.1.0",
        }
        body = {"code": content["code"], "public_key": key.public_jwk, "hardware": hardware}
        transport = Transport(content["url"], connect_to, now)
        answer = transport.send("POST", "/v1/enrolments", body, key=key, key_id=key.thumbprint)
        given_up = _leave_former(folder, answer.body["source"])
        enrolment = {**answer.body, "url": content["url"], "key": key_name}
        write_whole(folder / "enrolment.json", json.dumps(enrolment).encode())
        for unused in set(folder.glob("key-*.pem")) - {folder / key_name}:
            unused.unlink()
        handset = cls(folder, connect_to, now)
        handset.given_up = given_up
        return handset

    def take_round(self) -> dict[str, Any]:
        """Today's bundle: the new one, or the one taken before if nothing has changed or there is no network.

        Raises Refused, and NoNetwork if none was taken before.
        """
        kept = self.round
        headers = {"If-None-Match": kept["etag"]} if kept else {}
        try:
            answer = self.call("GET", "/v1/round", headers=headers)
        except NoNetwork:
            if kept is None:
                raise
            return dict(kept["bundle"])
        if answer.body is not None:
            taken = {"etag": answer.headers["etag"], "bundle": answer.body}
            write_whole(self.folder / "round.json", json.dumps(taken).encode())
        return dict((self.round or {})["bundle"])

    @property
    def round(self) -> dict[str, Any] | None:
        """The bundle that was taken last, with its ETag."""
        path = self.folder / "round.json"
        return json.loads(path.read_text()) if path.exists() else None

    def scan(self, item: str, step: str) -> Event:
        """Record that an item was seen at a step of its way."""
        return self.record("facteo.item.scanned", item, step=step)

    def record(self, event_type: str, item: str, **data: Any) -> Event:
        """Record a fact about an item. When this returns it is on the disk, network or not."""
        return self.outbox.add(self._maker(event_type, item, data))

    def hand_over(
        self,
        items: Sequence[str],
        receiver: dict[str, Any],
        drawing: dict[str, Any] | None,
        *,
        text: Sequence[str],
        opened_at: datetime,
        procedure: str = "signature-id",
        version: int = 1,
        carrier_drawing: dict[str, Any] | None = None,
        **said: Any,
    ) -> list[Event]:
        """Record that somebody received items against one signature: an event for each, all or none of them.

        `text` is what stood beside the pad since `opened_at`; `said` are further members of the act (`document`,
        `earlier`, `presented_on`, `unable_to_sign`).
        """
        act = {
            "id": new_id(self.now()),
            "device": self.enrolment["device"],
            "procedure": procedure,
            "version": version,
            "items": list(items),
            "nonce": acts.nonce(),
            "shown": acts.shown(text),
            "opened_at": opened_at.isoformat(),
            "signed_at": self.now().isoformat(),
            "receiver": receiver,
            "drawing": acts.name_of(drawing) if drawing else None,
            "carrier_drawing": acts.name_of(carrier_drawing) if carrier_drawing else None,
            **said,
        }
        signed = acts.signed(act, self._key, self.enrolment["device"])
        data = {"act": signed, "drawing": drawing, "carrier_drawing": carrier_drawing}
        return self.outbox.add_all([self._maker("facteo.item.handed-over", item, data) for item in items])

    def sync(self) -> Synced:
        """Send what waits, each event once, oldest first, in batches of the size that the policy allows.

        Raises NoNetwork and Refused; what was sent before stays sent, and the rest stays in the outbox.
        """
        policy, synced, through = self.enrolment["policy"], Synced(), 0
        events, size = policy["batch_events"], policy["batch_bytes"] - _ENVELOPE_BYTES
        while waiting := self.outbox.waiting(events, size, after=through):
            answer = self.call("POST", "/v1/events", {"clock": self._clock(), "events": waiting}).body
            results = answer["results"]
            if len(results) != len(waiting):
                raise NoNetwork(f"the answer speaks of {len(results)} events, and {len(waiting)} were sent")
            self.outbox.settle(waiting, results, answer["acknowledged_through"])
            for event, result in zip(waiting, results, strict=True):
                synced.note(event, result)
            through = waiting[-1]["sequence"]
        return synced

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Send a signed request and wait so many seconds for its answer. Raises NoNetwork and Refused."""
        answer = self._transport.send(
            method, path, body, key=self._key, key_id=self.enrolment["device"], headers=headers, timeout=timeout
        )
        self.commands_waiting = int(answer.headers.get("facteo-commands-waiting", "0"))
        return answer

    def _maker(self, event_type: str, item: str, data: dict[str, Any]) -> Callable[[int], Event]:
        barcode = {"raw": item, "symbology": "code128"}
        return lambda sequence: self._event(sequence, event_type, item, {"barcode": barcode, **data})

    def _event(self, sequence: int, event_type: str, item: str, data: dict[str, Any]) -> Event:
        kept = self.round
        return {
            "specversion": "1.0",
            "id": new_id(self.now()),
            "source": self.enrolment["source"],
            "type": event_type,
            "subject": f"item/{item}",
            "time": self.now().isoformat(),
            "datacontenttype": "application/json",
            "data": data,
            "sequence": sequence,
            "snapshot": kept["bundle"]["snapshot"] if kept else 0,
            "devicemonotonic": monotonic_milliseconds(),
            "deviceboot": self._boot,
        }

    def _clock(self) -> dict[str, Any]:
        return {"time": self.now().isoformat(), "monotonic": monotonic_milliseconds(), "boot": self._boot}


def _leave_former(folder: Path, source: str) -> GivenUp | None:
    """Forget the round of an enrolment other than `source`, and tell what its outbox holds, if anything."""
    try:
        former = Handset(folder)
    except NotEnrolled:
        return None
    try:
        if former.enrolment["source"] == source:
            return None
        (folder / "round.json").unlink(missing_ok=True)
        count = former.outbox.count()
        return GivenUp(count, former.outbox_file) if count else None
    finally:
        former.outbox.close()


def _key_in(path: Path) -> HandsetKey:
    if not path.exists():
        HandsetKey.generate().save(path)
    return HandsetKey.load(path)


def new_id(at: datetime | None = None) -> str:
    """A UUIDv7 of that moment (RFC 9562, section 5.7); of now unless said otherwise."""
    random = secrets.randbits(74)
    milliseconds = int((at or datetime.now(UTC)).timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)))
