"""An independent judge of a world: from the journal, the rows of pages, what arrived, and the feed as it was read.

It knows nothing of how the product comes to its decisions. Each requirement is a check of its own, with the number of
things that it looked at and a sentence for each that is wrong.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.reliability import people
from tests.reliability.people import Dispatcher, Press
from tests.reliability.receivers import ACKNOWLEDGE, RESOLVE, TRIGGER, Receipt
from tests.reliability.world import World

EVENT = "facteo.alert."
NOT_ON_THE_FEED = frozenset({"viewed"})
ALARMED = frozenset({"raised", "notified", "seen"})
TAKEN_BY = frozenset({"acked", "responding"})
BEGINS_ANEW = frozenset({"pressed-again", "lease-over", "duress", "taken-over"})
TELLS_NO_REPEATS = frozenset({"sms", "email", "push", "topic"})
SENDING, SENT, FAILED, UNKNOWN, PLANNED, WITHDRAWN = "sending", "sent", "failed", "unknown", "planned", "withdrawn"
NOT_ARRIVED = frozenset({FAILED, UNKNOWN})
FUNCTION_RUNS = timedelta(seconds=21)
"""How long after its row said SENDING a page may arrive: the function has 20 s."""
FURTHER_WITHIN = timedelta(minutes=5)
"""When a further page must have been planned at the latest, even while timers, sweeper and workers fail as well."""


class Said(NamedTuple):
    """An event of an alert: when it was written and what it says."""

    at: datetime
    what: str
    body: Mapping[str, Any]
    event: Mapping[str, Any]


class Row(NamedTuple):
    """A page's row: its key in parts, and its states with the moments at which they were written."""

    alert: str
    epoch: int
    step: int
    contact: str
    way: int
    channel: str
    action: str
    history: Sequence[tuple[datetime, str, Mapping[str, Any]]]

    @property
    def state(self) -> str:
        return self.history[-1][1]

    @property
    def planned_at(self) -> datetime:
        return self.history[0][0]

    @property
    def done_at(self) -> datetime:
        return self.history[-1][0]

    @property
    def began(self) -> list[datetime]:
        """When it was about to be sent."""
        return [at for at, state, _ in self.history if state == SENDING]

    @property
    def name(self) -> str:
        whom = f"{self.contact}/{self.way} {self.channel} {self.action}"
        return f"{self.alert} epoch {self.epoch} step {self.step} {whom}"


@dataclass
class Check:
    """A requirement: how many things were looked at, and what is wrong."""

    name: str
    looked_at: int = 0
    faults: list[str] = field(default_factory=list)

    def require(self, holds: object, fault: str) -> None:
        self.looked_at += 1
        if not holds:
            self.faults.append(fault)


@dataclass
class Verdict:
    """All checks, and the figures that are no matter of right or wrong: seconds by what they measure."""

    checks: list[Check]
    seconds: dict[str, list[float]]

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong."""
        return [f"{check.name}: {fault}" for check in self.checks for fault in check.faults]

    def check(self, name: str) -> Check:
        """The check of that name."""
        return next(check for check in self.checks if check.name == name)


class Judge:
    """Looks at a world that has come to rest."""

    def __init__(self, world: World, presses: Sequence[Press], consoles: Sequence[Dispatcher]) -> None:
        self.world, self.presses, self.consoles = world, presses, consoles
        self.alerts = world.alerts()
        self.said = _said(world)
        self.rows = [_row(*place, history) for place, history in world.page_rows.items()]
        self.feeds = {pk.removeprefix("feed/"): lines for pk, lines in world.lines("feed/").items()}
        self.by_alert: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            self.by_alert[row.alert].append(row)
        self.receipts: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
        for receipt in world.receivers.receipts:
            self.receipts[_page_of(receipt)].append(receipt)
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def verdict(self) -> Verdict:
        """What is right and what is wrong."""
        checks = []
        for name, judge in CHECKS.items():
            check = Check(name)
            judge(self, check)
            checks.append(check)
        return Verdict(checks, dict(self.seconds))

    # --- alerts

    def accepted(self, check: Check) -> None:
        """Who pressed was answered with 201 or 200 in the end, whatever the handset's state, clock and network."""
        for press in self.presses:
            check.require(press.accepted_at, f"{press.id} was never accepted: {Counter(press.statuses)}")

    def kept(self, check: Check) -> None:
        """What was accepted is in the journal, from its first event on and without a gap, and has a row."""
        for press in self.presses:
            if press.accepted_at:
                said = self.said.get(press.id, [])
                told = [one.body["number"] for one in said if one.what not in NOT_ON_THE_FEED]
                check.require(press.id in self.alerts, f"{press.id} has no row")
                check.require(told and sorted(told) == [*range(1, len(told) + 1)], f"{press.id} has the events {told}")
                check.require(said and said[0].what == "raised" and said[0].at <= press.accepted_at, f"{press.id} late")

    def heard(self, check: Check) -> None:
        """Every alarm reached somebody, or somebody took it before."""
        for alert, said in self.said.items():
            if self.alerts[alert].get("purpose") == "self-test" or self.alerts[alert]["state"] == "joined":
                continue
            ended_before = all(one.body["state"] in {"pre-alarm", "closed"} for one in said)
            reached = any(self.receipts[alert, _key(row)] for row in self.by_alert[alert])
            taken = any(one.what in TAKEN_BY for one in said)
            check.require(reached or taken or ended_before, f"{alert} was heard by nobody: {[s.what for s in said]}")

    def ended(self, check: Check) -> None:
        """Every alert was closed, or goes on in one that was."""
        for alert, content in self.alerts.items():
            last = content
            while last["state"] == "joined":
                last = self.alerts[last["joined_to"]]
            check.require(last["state"] == "closed", f"{alert} is {content['state']}")

    def escalates(self, check: Check) -> None:
        """A PIN that was entered under duress begins the ladder anew, or raises another alert if that one has ended."""
        for press in self.presses:
            if press.pin == people.DURESS_PIN:
                of_device = [alert for alert, content in self.alerts.items() if content["device"] == press.device]
                said = [one for alert in of_device for one in self.said[alert]]
                helped = any(one.what == "duress" or _is_raised_under_duress(one) for one in said)
                check.require(helped, f"{press.id} under duress: {[one.what for one in said]}")

    # --- the feed

    def gapless(self, check: Check) -> None:
        """The lines of a zone are numbered from one on without a gap, and a console got each once, in their order."""
        for zone, lines in self.feeds.items():
            numbers = [line["seq"] for _, line in lines]
            check.looked_at += len(numbers) - 1
            check.require(numbers == [*range(1, len(numbers) + 1)], f"{zone} has a gap in {len(numbers)} lines")
        for console in self.consoles:
            numbers = [line["seq"] for line in console.received]
            last = len(self.feeds.get(console.zone, []))
            got = f"the console of {console.zone} got {len(numbers)} of {last}"
            check.require(numbers == [*range(1, last + 1)], got)

    def told_once(self, check: Check) -> None:
        """Every event of every alert stands in one feed, once; those of an alert in their order."""
        written = Counter(
            (alert, one.body["number"]) for alert, said in self.said.items() for one in said if _is_told(one)
        )
        found = Counter((line["alert"], line["number"]) for lines in self.feeds.values() for _, line in lines)
        check.looked_at += len(written)
        check.faults += [f"{alert} event {number} is not in a feed" for alert, number in written - found]
        check.faults += [f"{alert} event {number} is in a feed again" for alert, number in found - written]
        for zone, lines in self.feeds.items():
            last: dict[str, int] = {}
            for _, line in lines:
                in_order = line["number"] > last.get(line["alert"], 0)
                check.require(in_order, f"{zone}: {line['alert']} event {line['number']} comes after a later one")
                last[line["alert"]] = line["number"]

    # --- pages

    def paged_once(self, check: Check) -> None:
        """By SMS, e-mail, push and topic one page at most comes for an alert, epoch, step, person and channel."""
        counted: Counter[tuple[Any, ...]] = Counter()
        for row in self.rows:
            if row.channel in TELLS_NO_REPEATS:
                place = (row.alert, row.epoch, row.step, row.contact, row.channel)
                counted[place] += len(self.receipts[row.alert, _key(row)])
        for place, count in counted.items():
            check.require(count <= 1, f"{place} arrived {count} times")

    def with_row(self, check: Check) -> None:
        """What arrived has a row that said so before, leads where the policy says, and speaks of its alert."""
        rows = {(row.alert, _key(row)): row for row in self.rows}
        for place, receipts in self.receipts.items():
            row = rows.get(place)
            for receipt in receipts:
                check.require(row, f"{receipt.channel} at {receipt.at} has no page: {receipt.message[:200]}")
                if row:
                    began = [at for at in row.began if at <= receipt.at <= at + FUNCTION_RUNS]
                    check.require(began, f"{row.name} arrived at {receipt.at}, began {row.began}")
                    check.require(_fits(receipt, row), f"{row.name} went to {receipt.to} by {receipt.channel}")

    def truthful(self, check: Check) -> None:
        """A row that says SENT was received, one that says FAILED or WITHDRAWN was not, and none is left SENDING."""
        for row in self.rows:
            count = len(self.receipts[row.alert, _key(row)])
            if row.state == SENT:
                check.require(count >= 1, f"{row.name} is sent, and nothing arrived")
            elif row.state in {FAILED, WITHDRAWN, PLANNED} and (row.channel != "webhook" or len(row.began) <= 1):
                check.require(count == 0, f"{row.name} is {row.state}, and arrived {count} times")
            else:
                check.require(row.state != SENDING, f"{row.name} is left {SENDING}")

    def further(self, check: Check) -> None:
        """If no page of a step surely arrived, a further page follows, unless somebody took the alert or it ended."""
        for alert, rows in self.by_alert.items():
            wanted = [row for row in rows if row.action == TRIGGER]
            for epoch, step in dict.fromkeys((row.epoch, row.step) for row in wanted):
                of_step = [row for row in wanted if (row.epoch, row.step) == (epoch, step)]
                if not all(row.state in NOT_ARRIVED for row in of_step):
                    continue
                failed_at = max(_failed_at(row) for row in of_step)
                later = [row.planned_at for row in wanted if (row.epoch, row.step) > (epoch, step)]
                over = self._no_longer_wanted(alert, epoch)
                follows = min(later, default=None)
                if over is not None and (follows is None or over < follows):
                    check.require(over <= failed_at + FURTHER_WITHIN, f"{alert} {epoch}/{step}: nobody for a long time")
                    continue
                check.require(follows, f"{alert} epoch {epoch} step {step}: no further page after {failed_at}")
                if follows:
                    waited = max((follows - failed_at).total_seconds(), 0.0)
                    self.seconds["further page after"].append(waited)
                    limit = FURTHER_WITHIN.total_seconds()
                    check.require(waited <= limit, f"{alert} {epoch}/{step}: {waited:.0f} s")

    def _no_longer_wanted(self, alert: str, epoch: int) -> datetime | None:
        """When somebody had taken it, it had ended or begun anew, after that epoch had begun."""
        for one in self.said[alert]:
            if one.body["epoch"] == epoch and one.body["state"] not in {*ALARMED, "pre-alarm"}:
                return one.at
            if one.body["epoch"] > epoch:
                return one.at
        return None

    def silent_after_closing(self, check: Check) -> None:
        """After CLOSED no page is begun or received, but for what tells a webhook that it is over."""
        for alert, said in self.said.items():
            closed = next((one.at for one in said if one.what == "closed"), None)
            if closed is None:
                continue
            for row in self.by_alert[alert]:
                if row.action == RESOLVE:
                    continue
                late = [at for at in row.began if at > closed]
                check.require(not late, f"{row.name} begun at {late[:1]}, closed at {closed}")
                arrived = [one.at for one in self.receipts[alert, _key(row)] if one.at > closed + FUNCTION_RUNS]
                check.require(not arrived, f"{row.name} arrived at {arrived[:1]}, closed at {closed}")

    def silent_while_taken(self, check: Check) -> None:
        """From the moment somebody takes an alert until its ladder begins anew no page for it begins."""
        for alert in self.said:
            for row in self.by_alert[alert]:
                if row.action == TRIGGER:
                    over = self._no_longer_wanted(alert, row.epoch)
                    late = [at for at in row.began if over is not None and at > over]
                    check.require(not late, f"{row.name} begun at {late[:1]}, not wanted since {over}")

    def webhooks(self, check: Check) -> None:
        """Of each alert a webhook has one trigger, one acknowledgement and one end at most, and if it began it ends."""
        keys: dict[tuple[str, str], set[str]] = defaultdict(set)
        for receipt in self.world.receivers.receipts:
            if receipt.channel == "webhook":
                keys[receipt.to, _page_of(receipt)[0]].add(json.loads(receipt.text)["dedup_key"])
        for (url, alert), found in keys.items():
            check.require(len(found) == 1, f"{alert} came to {url} under {len(found)} dedup keys")
        for (url, alert), incident in self.world.receivers.incidents.items():
            wrong = [action for action, count in Counter(incident.effects).items() if count > 1]
            check.require(not wrong, f"{alert} at {url}: {incident.effects}")
            is_open = self.alerts.get(alert, {}).get("state") != "closed"
            check.require(
                is_open or incident.state in {"", RESOLVE}, f"{alert} is closed, {url} has {incident.effects}"
            )
            in_order = incident.effects == sorted(incident.effects, key=[TRIGGER, ACKNOWLEDGE, RESOLVE].index)
            check.require(in_order, f"{alert} at {url}: {incident.effects}")

    # --- time

    def in_time(self, check: Check) -> None:
        """How late each step, each end of a pre-alarm and of a lease was: to be held against a bound by who asks."""
        for alert, said in self.said.items():
            if self.alerts[alert].get("purpose") != "self-test":
                leases = [until for console in self.consoles for until in console.leases.get(alert, [])]
                for what, seconds in _lateness(said, self.alerts[alert]["depot"], leases):
                    self.seconds[what].append(seconds)
                    check.looked_at += 1
        for press in self.presses:
            raised = self.said.get(press.id)
            rows = [row for row in self.by_alert.get(press.id, []) if row.epoch == 1]
            began = [at for row in rows for at in row.began[:1]]
            if raised and began and self.alerts[press.id].get("trigger", "manual") == "manual":
                self.seconds["raise to first page"].append((min(began) - raised[0].at).total_seconds())
        for lines in self.feeds.values():
            for _, line in lines:
                if line["what"] == "raised":
                    written = next(one.at for one in self.said[line["alert"]] if one.what == "raised")
                    self.seconds["raise to feed"].append((self._fed_at(line) - written).total_seconds())

    def _fed_at(self, line: Mapping[str, Any]) -> datetime:
        return self.world.fed_at[line["alert"], line["number"]]


CHECKS: Mapping[str, Callable[[Judge, Check], None]] = {
    "every press is accepted": Judge.accepted,
    "no alert is lost": Judge.kept,
    "every alarm reaches somebody": Judge.heard,
    "every alert comes to its end": Judge.ended,
    "duress escalates": Judge.escalates,
    "the feed has no gap": Judge.gapless,
    "the feed has each event once": Judge.told_once,
    "nobody is paged twice": Judge.paged_once,
    "no page without its row": Judge.with_row,
    "rows tell the truth": Judge.truthful,
    "a further page follows": Judge.further,
    "nothing is sent after CLOSED": Judge.silent_after_closing,
    "nothing is sent once it is taken": Judge.silent_while_taken,
    "webhooks have each event once": Judge.webhooks,
    "lateness": Judge.in_time,
}


# --- reading ------------------------------------------------------------------------------------------------


def _said(world: World) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    for at, event in world.journal:
        if event["subject"].startswith("alert/"):
            what = event["type"].removeprefix(EVENT)
            if what not in NOT_ON_THE_FEED:
                found[event["subject"].removeprefix("alert/")].append(Said(at, what, event["data"], event))
    return {alert: sorted(said, key=lambda one: one.body["number"]) for alert, said in found.items()}


def _is_told(one: Said) -> bool:
    return one.what not in NOT_ON_THE_FEED


def _is_raised_under_duress(one: Said) -> bool:
    return one.what == "raised" and "duress" in one.body.get("flags", ())


def _row(pk: str, sk: str, history: Sequence[tuple[datetime, str, Mapping[str, Any]]]) -> Row:
    _, epoch, step, contact, way, action = sk.split("/")
    number, _, channel = way.partition("-")
    return Row(pk.removeprefix("alert/"), int(epoch), int(step), contact, int(number), channel, action, history)


def _key(row: Row) -> str:
    return f"page/{row.epoch:06}/{row.step:06}/{row.contact}/{row.way}-{row.channel}/{row.action}"


def _page_of(receipt: Receipt) -> tuple[str, str]:
    told = json.loads(receipt.message) if receipt.message.startswith("{") else {}
    return str(told.get("alert", "")), str(told.get("page", ""))


def _fits(receipt: Receipt, row: Row) -> bool:
    """Whether something arrived where the page leads, and is about its alert."""
    about = row.alert in receipt.text or row.alert[-8:] in receipt.text or receipt.channel == "sms"
    if row.channel in {"push", "topic"}:
        return receipt.channel == row.channel and about
    ways = [
        (way.channel.value, way.to)
        for policy in people.POLICIES.values()
        for contact in policy.contacts
        if contact.id == row.contact and row.way < len(contact.ways)
        for way in [contact.ways[row.way]]
    ]
    return (receipt.channel, receipt.to) in ways and receipt.channel == row.channel and about


def _failed_at(row: Row) -> datetime:
    return next(at for at, state, _ in row.history if state in NOT_ARRIVED)


def _lateness(said: Iterable[Said], depot: str, leases: Sequence[datetime]) -> Iterator[tuple[str, float]]:
    """How late, in seconds, what an alert was due to do was done: of steps also those that never were.

    A lease may have been prolonged without an event: `leases` are those that operators were told of.
    """
    due = _Due(depot, leases)
    for one in said:
        yield from due.take(one)


class _Due:
    """What an alert is due to do, by the policy of its zone."""

    def __init__(self, depot: str, leases: Sequence[datetime]) -> None:
        self.policy = people.policy_of(people.DEPOTS.get(depot, ""))
        self.leases = leases
        self.begun: datetime | None = None
        self.lease: datetime | None = None
        self.step = 0

    def take(self, one: Said) -> Iterator[tuple[str, float]]:
        """Go on with an event; what was late by how much."""
        told = datetime.fromisoformat(one.event["time"])
        if one.what == "handed-over":
            self.policy = people.policy_of(one.body["other"])
        elif one.what == "raised":
            wait = self.policy.timers.pre_alarm if one.body["state"] == "pre-alarm" else 0
            self.begun = told + timedelta(seconds=wait)
        elif one.what == "pre-alarm-over" and self.begun:
            yield "pre-alarm late by", (one.at - self.begun).total_seconds()
        elif one.what in BEGINS_ANEW:
            yield from self._lease_over(one)
            self.begun, self.step, self.lease = told, 0, None
        elif one.what == "notified" and self.begun:
            yield "step late by", (one.at - self.begun - self.policy.plan.offset(self.step)).total_seconds()
            self.step = one.body["step"]
        if one.body["state"] in {*TAKEN_BY, "closed", "joined"}:
            yield from self._missed(one, told)
            self.begun = None
        if one.what in TAKEN_BY or (one.what == "noted" and self.lease):
            self.lease = told + timedelta(seconds=self.policy.timers.lease)

    def _lease_over(self, one: Said) -> Iterator[tuple[str, float]]:
        if one.what == "lease-over" and self.lease:
            until = max([self.lease, *(lease for lease in self.leases if lease <= one.at)])
            yield "lease late by", (one.at - until).total_seconds()

    def _missed(self, one: Said, told: datetime) -> Iterator[tuple[str, float]]:
        """The step that was due when somebody took the alert, or it ended."""
        if self.begun and one.body["state"] != "joined":
            late = (told - self.begun - self.policy.plan.offset(self.step)).total_seconds()
            if late > 0:
                yield "step late by", late
