"""Who presses, and who comes to help: carriers with their handsets, dispatchers at their consoles, and where they work.

All of them act as the protocol says and no better: a handset sends the same press again until it is answered, a console
asks for what comes after the line that it has. What they do besides, and how soon, is drawn by the world's seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chalicelib.alerts import zones
from chalicelib.alerts.policies import DEFAULT, NATIONAL, Policy
from chalicelib.alerts.tables import LinesRow
from chalicelib.core import ids
from chalicelib.core.access import AccessRow
from chalicelib.core.callers import StaffMember
from chalicelib.people.schemas import Depot, Zone
from chalicelib.people.tables import PeopleRow
from tests.reliability.faults import chance
from tests.reliability.world import Answered, World

OPS = StaffMember(actor="staff/ops", roles=frozenset({"ops"}), scopes=frozenset({"*"}))
PATIENCE = timedelta(minutes=20)
"""How long a handset goes on sending what is not answered: it would never give up, but a test must end."""
PIN, DURESS_PIN = "1234", "4321"
KNOWS_PINS = 0.15
"""The share of carriers who enter a PIN, one of the two."""
SOON, WHILE, LONG = (2, 20), (20, 60), (60, 220)
"""Seconds until a dispatcher takes an alert, with the parts of the dispatchers below."""
SLOWNESS = 2
"""How much later than it is told a console asks again: what it learns later does not make the product's part easier."""
DISPATCHERS = ((SOON, 68), (WHILE, 24), (LONG, 8))


def _contact(name: str, *ways: tuple[str, str]) -> dict[str, Any]:
    signing = {"webhook": {"secret": "a secret of the receiver"}}
    return {"id": name, "ways": [{"channel": by, "to": to, **signing.get(by, {})} for by, to in ways]}


def _policy(contacts: Sequence[dict[str, Any]], steps: Mapping[int, Sequence[str]]) -> Policy:
    told = {"contacts": contacts, "steps": [{"after": after, "contacts": names} for after, names in steps.items()]}
    return msgspec.convert(told, Policy)


POLICIES: Mapping[str, Policy] = {
    "SUD": _policy(
        [
            _contact("desk", ("webhook", "https://desk.test/v2/enqueue"), ("sms", "+33600000001")),
            _contact("chief", ("sms", "+33600000002"), ("email", "chief@sud.test")),
            _contact("backup", ("email", "backup@sud.test"), ("sms", "+33600000003")),
        ],
        {
            0: ["desk", "colleagues"],
            10: ["chief"],
            20: ["backup", "chief"],
            40: ["on-call"],
            90: ["desk", "backup"],
        },
    ),
    "NORD": _policy(
        [_contact("anne", ("sms", "+33600000011")), _contact("bruno", ("email", "bruno@nord.test"))],
        {0: ["anne"], 10: ["bruno"], 20: ["anne", "bruno"], 40: ["on-call"], 90: ["anne", "on-call"]},
    ),
    "EST": _policy(
        [
            _contact("centre", ("webhook", "https://centre.test/v2/enqueue"), ("email", "centre@est.test")),
            _contact("backup", ("webhook", "https://backup.test/v2/enqueue")),
        ],
        {0: ["centre"], 10: ["centre"], 20: ["backup"], 40: ["centre", "backup"], 90: ["centre", "on-call"]},
    ),
}
"""OUEST has none, so that the default applies."""
ZONES = (*POLICIES, "OUEST")
DEPOTS: Mapping[str, str] = {f"{zone[0]}{number}D": zone for zone in ZONES for number in (1, 2)}
COLLEAGUES = 1
"""Handsets of each depot that are reached by push."""


def policy_of(zone: str) -> Policy:
    """Whom a zone's alerts reach, as it was set up."""
    return POLICIES.get(zone, DEFAULT)


def set_up(world: World) -> None:
    """Zones, depots, policies and colleagues, before anything goes wrong."""
    for zone in ZONES:
        _keep(world, f"zone/{zone}", "zone", Zone(id=zone, name=zone))
    for depot, zone in DEPOTS.items():
        address = {"postcode": "75015", "town": "Paris"}
        told = {"id": depot, "name": depot, "zone": zone, "address": address}
        _keep(world, f"depot/{depot}", "depot", msgspec.convert(told, Depot))
        for number in range(COLLEAGUES):
            endpoint = f"arn:aws:sns:eu-west-3:123456789012:endpoint/GCM/facteo/{depot}-{number}"
            content, device = json.dumps({"endpoint": endpoint}), ids.new()
            AccessRow(device, generation=1, state="enrolled", key="{}", carrier=f"{depot}-{number}", depot=depot).save()
            LinesRow(f"push/{depot}", device, content=content, expires_at=world.now + timedelta(days=60)).save()
    for zone, policy in POLICIES.items():
        zones.save_policy(zone, policy, by=OPS, correlation_id="set-up")


def _keep(world: World, pk: str, sk: str, record: msgspec.Struct) -> None:
    text = msgspec.json.encode(record).decode()
    PeopleRow(pk=pk, sk=sk, group=pk, record=text, revision=1, stated_at=world.now.isoformat()).save()


# --- carriers -----------------------------------------------------------------------------------------------


@dataclass
class Press:
    """A press of the button: its own id, and how it was answered in the end."""

    id: str
    device: str
    depot: str
    at: datetime
    said: dict[str, Any]
    statuses: list[int] = field(default_factory=list)
    accepted_at: datetime | None = None
    pin: str = ""
    """The PIN that was entered for it and taken."""


class Carrier:
    """A carrier and the handset in their hand."""

    def __init__(self, world: World, number: int, depot: str, state: str = "enrolled") -> None:
        self.world, self.random = world, chance(world.seed, number)
        self.depot, self.device, self.carrier = depot, ids.new(), f"C{number}"
        self.clock_off = timedelta(seconds=self.random.choice([0, 0, 0, self.random.uniform(-600, 600)]))
        self.presses: list[Press] = []
        self.busy = False
        row = AccessRow(self.device, generation=1, state=state, key="{}", carrier=self.carrier, depot=depot)
        row.key = json.dumps({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})
        row.save()

    @property
    def _who(self) -> dict[str, str]:
        return {"device": self.device, "signed-at": (self.world.now + self.clock_off).isoformat()}

    def lives(self) -> None:
        """Presses, and does what people in danger do."""
        self.busy = True
        drawn = self.random.random
        pins = drawn() < KNOWS_PINS and self._set_pins()
        press = self.press()
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            self.world.loop.sleep(self.random.uniform(1, 30))
            self._report(press)
        if drawn() < 0.12:
            self.world.loop.sleep(self.random.uniform(1, 60))
            self.press()
        if pins:
            self.world.loop.sleep(self.random.uniform(0, 20))
            self._enter(self.random.choice([PIN, DURESS_PIN]), press)
        if drawn() < 0.04:
            self.world.loop.sleep(self.random.uniform(200, 500))
            self.press()
        self.busy = False

    def press(self, **told: Any) -> Press:
        """Press, and send it until somebody answers."""
        said = self._said() | told
        press = Press(ids.new(self.world.now + self.clock_off), self.device, self.depot, self.world.now, said)
        self.presses.append(press)
        path = f"/v1/alerts/{press.id}"
        self._until(lambda: self._ask("PUT", path, said), {200, 201}, press.statuses, pauses=(0.5, 3))
        if press.statuses[-1] in {200, 201}:
            press.accepted_at = self.world.now
        return press

    def _said(self) -> dict[str, Any]:
        drawn = self.random.random
        automatic = self.random.choice(["fall", "no-motion", "missed-check-in", "lost-link"])
        said: dict[str, Any] = {
            "raised_at": (self.world.now + self.clock_off).isoformat(),
            "trigger": automatic if drawn() < 0.2 else "manual",
            "purpose": "self-test" if drawn() < 0.04 else "exercise" if drawn() < 0.05 else "actual",
            "silent": drawn() < 0.3,
            "battery": self.random.choice([None, 5, 50, 100]),
        }
        return said | ({"fix": self._fix()} if drawn() < 0.6 else {})

    def _fix(self) -> dict[str, Any]:
        fixed_at = (self.world.now + self.clock_off).isoformat()
        return {"latitude": 48.85, "longitude": 2.35, "fixed_at": fixed_at, "radius": 12.0, "method": "gnss"}

    def _report(self, press: Press) -> None:
        said = {"fixes": [self._fix()], "battery": 40}
        self._until(lambda: self._ask("POST", f"/v1/alerts/{press.id}/positions", said), {200, 409})

    def _set_pins(self) -> bool:
        """Whether the carrier has PINs then: a handset that is lost sets none."""
        said = {"pin": PIN, "duress_pin": DURESS_PIN}
        return self._until(lambda: self._ask("PUT", "/v1/alert-pins", said), {204, 403}).status == 204

    def _enter(self, pin: str, press: Press) -> None:
        path = f"/v1/alerts/{press.id}/cancellation"
        if self._until(lambda: self._ask("POST", path, {"pin": pin}), {200, 403, 409, 429}).status == 200:
            press.pin = pin

    def _ask(self, method: str, path: str, body: Any = None) -> Answered:
        return self.world.ask(method, path, self._who, body)

    def _until(
        self,
        ask: Callable[[], Answered],
        enough: set[int],
        statuses: list[int] | None = None,
        pauses: tuple[float, float] = (1, 5),
    ) -> Answered:
        """Ask again until one of these answers comes."""
        given_up = self.world.now + PATIENCE
        while True:
            answer = ask()
            if statuses is not None:
                statuses.append(answer.status)
            if answer.status in enough or self.world.now > given_up:
                return answer
            self.world.loop.sleep(self.random.uniform(*pauses))


# --- dispatchers --------------------------------------------------------------------------------------------


class Dispatcher:
    """A console of a zone, and whoever sits before it."""

    def __init__(self, world: World, zone: str, *, answers: bool = True) -> None:
        self.world, self.zone, self.answers = world, zone, answers
        self.random = chance(world.seed, zone)
        self.cursor = 0
        self.received: list[dict[str, Any]] = []
        self.standing: dict[str, dict[str, Any]] = {}
        self.at_work: set[str] = set()
        self.leases: dict[str, list[datetime]] = {}
        """Until when it was told that an alert is its own."""
        self.over = False
        claims = {"sub": f"dispatcher-{zone}", "cognito:groups": ["dispatcher"], "custom:scope": "*"}
        self._who = {"authorization": f"Bearer {json.dumps(claims)}"}

    def watches(self) -> None:
        """Asks for the feed until the day is over."""
        while not self.over:
            answer = self._ask("GET", f"/v1/alert-feed/{self.zone}", after=str(self.cursor))
            wait = 2.0
            if answer.status == 200:
                feed = answer.body
                self._take(feed["lines"])
                wait = feed["ask_again_seconds"] * SLOWNESS
            self.world.loop.sleep(max(wait, 0.1) + self.random.uniform(0, 0.2))

    def _take(self, lines: Sequence[dict[str, Any]]) -> None:
        if not lines:
            return
        before, self.cursor = self.cursor, lines[-1]["seq"]
        self.received += lines
        self.standing |= {line["alert"]: line for line in lines}
        for alert in dict.fromkeys(line["alert"] for line in lines):
            self._look_at(self.standing[alert])
        if self.random.random() < 0.3:
            told = {"after": before, "through": self.cursor}
            self.world.loop.start(lambda: self._ask("POST", f"/v1/alert-feed/{self.zone}/receipts", told))

    def _look_at(self, line: dict[str, Any]) -> None:
        wanted = line["state"] in {"raised", "notified", "seen"} and line.get("purpose") != "self-test"
        if self.answers and wanted and line["alert"] not in self.at_work and line["zone"] == self.zone:
            self.at_work.add(line["alert"])
            self.world.loop.start(lambda: self._deal_with(line["alert"]))

    def _deal_with(self, alert: str) -> None:
        """Take it, answer, and end it; or forget it, so that the lease runs out."""
        seconds = self.random.choices([span for span, _ in DISPATCHERS], [part for _, part in DISPATCHERS])[0]
        self.world.loop.sleep(self.random.uniform(*seconds))
        drawn = self.random.random
        done = False
        if self._act(alert, "acknowledgement") == 200:
            if drawn() < 0.4:
                self.world.loop.sleep(self.random.uniform(1, 60))
                self._act(alert, "response")
            if drawn() < 0.06:
                other = self.random.choice([zone for zone in ZONES if zone != self.zone])
                done = self._act(alert, "zone", {"zone": other}) == 200
            elif drawn() < 0.12:
                done = True
        if not done:
            self.world.loop.sleep(self.random.uniform(5, 50))
            self._close(alert)
        self.at_work.discard(alert)
        self._look_at(self.standing[alert])

    def _close(self, alert: str) -> None:
        reason = self.random.choice(["rescued", "false-alarm", "handed-to-emergency-services"])
        if "cancel-asked" in self.standing[alert].get("flags", []):
            reason = "cancelled"
        if self._act(alert, "closing", {"reason": reason}) == 409:
            self._act(alert, "closing", {"reason": "rescued"})

    def _act(self, alert: str, what: str, body: Any = None) -> int:
        """Do something about an alert until it is answered."""
        given_up = self.world.now + PATIENCE
        while True:
            answer = self._ask("POST", f"/v1/alerts/{alert}/{what}", body)
            if answer.status == 200 and (until := answer.body.get("lease_until")):
                self.leases.setdefault(alert, []).append(datetime.fromisoformat(until))
            if answer.status in {200, 403, 404, 409} or self.world.now > given_up:
                return answer.status
            self.world.loop.sleep(self.random.uniform(0.5, 3))

    def _ask(self, method: str, path: str, body: Any = None, **query: str) -> Answered:
        return self.world.ask(method, path, self._who, body, **query)


def consoles(world: World, *, answers: bool = True) -> list[Dispatcher]:
    """A console for each zone and the national one, all at work."""
    made = [Dispatcher(world, zone, answers=answers) for zone in (*ZONES, NATIONAL)]
    for one in made:
        world.loop.start(one.watches, after=world.random.uniform(0, 2))
    return made
