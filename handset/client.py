"""The handset: enrol, take the round, work without a network, sync when there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

from handset import acts, passes, wiping
from handset.container import Container, ContainerClosed
from handset.files import read_json, remove, write_json
from handset.ids import RANDOM_BITS, new_id, uuid7
from handset.outbox import Event, Outbox
from handset.passes import Wallet
from handset.signing import HandsetKey
from handset.transport import TIMEOUT_SECONDS, Answer, NoNetwork, Refused, Transport, monotonic_milliseconds

_ENVELOPE_BYTES = 1024
"""Room in a batch for what is around the events."""

FLEET: Final = "fleet"
"""The folder, in that of the handset, of what it was commanded and whom it believes: it ends with the enrolment."""

_ROUND: Final = "round"
_PLAIN_ROUND: Final = "round.json"

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

    Take it up again from the same folder after it was killed: nothing that was done is lost, and a wipe that was begun
    is carried out before anything else; then NotEnrolled is raised. Each enrolment has a key and an outbox of its own,
    and `enrolment.json` says which: the numbers of events begin anew with it. `now` is its own clock, whatever that
    says.

    The round is sealed in the container, for which a lease is asked when there is a round to keep. As long as no lease
    was ever given (the back office has none to give, or cannot be reached) there is no container yet, and the round
    lies in `round.json` as it is: it is sealed with the first lease. Once there is a container the round is never kept
    outside of it; while it is closed there is no round, and events are recorded without one.
    """

    def __init__(
        self, folder: Path, connect_to: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder, self.now = folder, now
        wiping.finish(folder)
        kept = read_json(folder / "enrolment.json")
        if kept is None:
            raise NotEnrolled(str(folder))
        self.enrolment: dict[str, Any] = kept
        self._key = HandsetKey.load(folder / self.enrolment["key"])
        self._transport = Transport(self.enrolment["url"], connect_to, now)
        self.outbox_file = folder / f"outbox-{self.enrolment['device']}-{self.enrolment['generation']}.db"
        self.container = Container(folder, now)
        self._boot = secrets.token_hex(8)
        self.wallet = Wallet(folder, self._key.sign_raw, now, self._boot)
        self.commands_waiting = 0
        self.given_up: GivenUp | None = None
        if intent := wiping.intended(folder):
            wiping.carry_out(self, intent)
            raise NotEnrolled(str(folder))

    @cached_property
    def outbox(self) -> Outbox:
        """What waits to be sent; opened when it is needed, so that a handset whose outbox is broken still obeys."""
        return Outbox(self.outbox_file)

    @property
    def events_waiting(self) -> int | None:
        """How many events wait to be sent; None if the outbox cannot be read."""
        try:
            return self.outbox.count()
        except sqlite3.Error:
            return None

    @property
    def fleet(self) -> Path:
        """The folder of what this enrolment was commanded, and of whom it believes."""
        path = self.folder / FLEET
        path.mkdir(mode=0o700, exist_ok=True)
        return path

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
        if wiping.begun(folder):
            with suppress(NotEnrolled):
                cls(folder, connect_to, now)
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
        write_json(folder / "enrolment.json", enrolment)
        for unused in set(folder.glob("key-*.pem")) - {folder / key_name}:
            unused.unlink()
        handset = cls(folder, connect_to, now)
        handset.given_up = given_up
        return handset

    def take_round(self) -> dict[str, Any]:
        """Today's bundle: the new one, or the one taken before if nothing has changed or there is no network.

        Raises Refused, NoNetwork if none was taken before, and ContainerClosed if it cannot be kept.
        """
        kept = self.round
        headers = {"If-None-Match": kept["etag"]} if kept else {}
        try:
            answer = self.call("GET", "/v1/round", headers=headers)
        except NoNetwork:
            if kept is None:
                raise
            return dict(kept["bundle"])
        if answer.body is None:
            return dict((kept or {})["bundle"])
        self._keep_round({"etag": answer.headers["etag"], "bundle": answer.body})
        if given := answer.body["building_pass"]:
            self.wallet.keep(base64.b64decode(given["token"]))
        return dict(answer.body)

    @property
    def round(self) -> dict[str, Any] | None:
        """The bundle that was taken last, with its ETag; None if there is none or the container is closed."""
        if self.container.locked:
            return None
        if not self.container.made:
            return cast("dict[str, Any] | None", read_json(self.folder / _PLAIN_ROUND))
        try:
            sealed = self.container.read(_ROUND)
        except ContainerClosed:
            return None
        return json.loads(sealed) if sealed else None

    def take_lease(self) -> datetime:
        """Have the container opened: until when it can be read. What lay outside of it is sealed.

        Raises NoNetwork, Refused and ContainerClosed.
        """
        if self.container.locked:
            raise ContainerClosed("it was locked by order")
        given = self.call("POST", "/v1/lease").body
        until = datetime.fromisoformat(given["until"])
        self.container.take_lease(base64.b64decode(given["key"]), until)
        plain = self.folder / _PLAIN_ROUND
        if plain.exists():
            self.container.write(_ROUND, plain.read_bytes())
            remove([plain])
        return until

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
        data = {"act": self.signed(act), "drawing": drawing, "carrier_drawing": carrier_drawing}
        return self.outbox.add_all([self._maker("facteo.item.handed-over", item, data) for item in items])

    def sync(self, until: datetime | None = None) -> Synced:
        """Send what waits, each event once, oldest first, in batches of the size that the policy allows.

        Uses of passes go with it. No batch is begun, or waited for, after `until` if that is given. Raises NoNetwork
        and Refused; what was sent before stays sent, and the rest stays in the outbox.
        """
        self.record_uses()
        policy, synced, through = self.enrolment["policy"], Synced(), 0
        events, size = policy["batch_events"], policy["batch_bytes"] - _ENVELOPE_BYTES
        while (seconds := self._left(until)) > 0 and (waiting := self.outbox.waiting(events, size, after=through)):
            body = {"clock": self._clock(), "events": waiting}
            answer = self.call("POST", "/v1/events", body, timeout=seconds).body
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

    def signed(self, content: dict[str, Any]) -> str:
        """A content as a compact JWS (ES256) by the key of this enrolment, of canonical JSON."""
        return acts.signed(content, self._key, self.enrolment["device"])

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

    def _keep_round(self, taken: dict[str, Any]) -> None:
        if self._is_open():
            self.container.write(_ROUND, json.dumps(taken).encode())
            remove([self.folder / _PLAIN_ROUND])
        else:
            write_json(self.folder / _PLAIN_ROUND, taken)

    def _is_open(self) -> bool:
        """Whether the container is open, by a new lease if need be; raises if there is one and no lease can be had."""
        if self.container.until is None:
            try:
                self.take_lease()
            except (NoNetwork, Refused):
                if self.container.made:
                    raise
                return False
        return True

    def _left(self, until: datetime | None) -> float:
        """How many seconds an answer may be waited for."""
        return min(TIMEOUT_SECONDS, (until - self.now()).total_seconds()) if until else TIMEOUT_SECONDS

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
        former.container.destroy()
        remove(folder / forgotten for forgotten in (_PLAIN_ROUND, passes.FILE, FLEET))
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
    return uuid7(datetime.fromisoformat(use["at"]), int.from_bytes(seed) >> (len(seed) * 8 - RANDOM_BITS))


def _key_in(path: Path) -> HandsetKey:
    if not path.exists():
        HandsetKey.generate().save(path)
    return HandsetKey.load(path)
