"""The handset: enrol, take the round, work without a network, sync when there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from handset import acts, passes
from handset.files import write_whole
from handset.outbox import Event, Outbox
from handset.passes import Wallet
from handset.signing import HandsetKey
from handset.transport import TIMEOUT_SECONDS, Answer, NoNetwork, Transport, monotonic_milliseconds

_ENVELOPE_BYTES = 1024
"""Room in a batch for what is around the events."""
_RANDOM_BITS = 74
"""Of a UUIDv7."""

Use = dict[str, Any]
"""A use of a pass as the wallet notes it."""


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
    """A handset whose memory is a folder: its key, its enrolment, its round, its passes and its outbox.

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
        self.wallet = Wallet(folder, self._key.sign_raw, now, self._boot)
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

        A former enrolment's round and passes are forgotten, and what its outbox holds cannot be sent any more: see
        `given_up`.
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
            if given := answer.body["building_pass"]:
                self.wallet.keep(base64.b64decode(given["token"]))
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

        Uses of passes go with it. Raises NoNetwork and Refused; what was sent before stays sent, and the rest stays in
        the outbox.
        """
        self.record_uses()
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

    def record_uses(self) -> None:
        """Record where passes were shown, and the receipts of it, each once.

        An event's id follows from what it tells: if the handset is killed before the wallet forgets what is recorded
        here, it is found in the outbox, out of which nothing goes before this has been done.
        """
        uses = self.wallet.uses
        if not uses:
            return
        recorded = {event["id"] for event in self.outbox.all()}
        told = [one for use in uses for one in _told_of(use)]
        self.outbox.add_all([self._maker_of_use(one) for one in told if one["id"] not in recorded])
        self.wallet.told(len(uses))

    @property
    def public_key(self) -> dict[str, str]:
        """The key of this enrolment as JWK (RFC 7517)."""
        return self._key.public_jwk

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
        self.commands_waiting = int(answer.headers.get("facteo-commands-waiting", self.commands_waiting))
        return answer

    def _maker(self, event_type: str, item: str, data: dict[str, Any]) -> Callable[[int], Event]:
        barcode = {"raw": item, "symbology": "code128"}
        return lambda sequence: self._event(sequence, event_type, f"item/{item}", {"barcode": barcode, **data})

    def _maker_of_use(self, told: Event) -> Callable[[int], Event]:
        return lambda sequence: self._event(sequence, told["type"], told["subject"], told["data"]) | told

    def _event(self, sequence: int, event_type: str, subject: str, data: dict[str, Any]) -> Event:
        kept = self.round
        return {
            "specversion": "1.0",
            "id": new_id(self.now()),
            "source": self.enrolment["source"],
            "type": event_type,
            "subject": subject,
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
    """Forget the round and the passes of an enrolment other than `source`; tell what its outbox holds, if anything."""
    try:
        former = Handset(folder)
    except NotEnrolled:
        return None
    try:
        if former.enrolment["source"] == source:
            return None
        former.record_uses()
        for forgotten in ("round.json", passes.FILE):
            (folder / forgotten).unlink(missing_ok=True)
        count = former.outbox.count()
        return GivenUp(count, former.outbox_file) if count else None
    finally:
        former.outbox.close()


def _told_of(use: Use) -> Iterator[Event]:
    """What there is to tell of a use: what of each event does not hang on when it is recorded."""
    if use["nonce"]:
        data = {"pass": use["pass"], "reader": use["reader"], "challenge": use["nonce"]}
        yield _event_of(use, "used", use["pass"], data)
    if use["receipt"]:
        receipt = bytes.fromhex(use["receipt"])
        yield _event_of(use, "receipt", passes.named_in(receipt), {"receipt": base64.b64encode(receipt).decode()})


def _event_of(use: Use, what: str, named: str, data: dict[str, Any]) -> Event:
    """What happened at a door, at the time by which the wallet noted it."""
    return {
        "id": _id_of(use, use["receipt"] if what == "receipt" else what),
        "type": f"facteo.pass.{what}",
        "subject": f"pass/{named}",
        "time": use["at"],
        "data": data,
        "devicemonotonic": use["monotonic"],
        "deviceboot": use["boot"],
    }


def _id_of(use: Use, told: str) -> str:
    """The id of an event that tells something of a use: always the same."""
    seed = hashlib.sha256(f"{use['pass']} {use['nonce']} {told}".encode()).digest()
    return _uuid7(datetime.fromisoformat(use["at"]), int.from_bytes(seed) >> (len(seed) * 8 - _RANDOM_BITS))


def _key_in(path: Path) -> HandsetKey:
    if not path.exists():
        HandsetKey.generate().save(path)
    return HandsetKey.load(path)


def new_id(at: datetime | None = None) -> str:
    """A UUIDv7 of that moment (RFC 9562, section 5.7); of now unless said otherwise."""
    return _uuid7(at or datetime.now(UTC), secrets.randbits(_RANDOM_BITS))


def _uuid7(at: datetime, random: int) -> str:
    milliseconds = int(at.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)))
