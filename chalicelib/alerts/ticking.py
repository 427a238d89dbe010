"""What workers do with an alert: whatever is due. Done again, or by two at once, it is done once.

A tick finds the alert's zone, climbs the ladder, plans pages, brings its lines into the feed and sets the next timer.
Timers may be lost: the sweeper looks at the index of what is due.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from chalicelib.alerts import feed, ladder, paging, store, zones
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.messages import Action
from chalicelib.alerts.paging import Page, PagingSettings
from chalicelib.alerts.policies import Channel, Policy
from chalicelib.alerts.schemas import Alert, LastAlert, State, Whereabouts
from chalicelib.alerts.store import Held
from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import clock, keyring, queues, settings, telemetry
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.queues import Outgoing
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.core.transaction import UnitOfWork, retried, transaction

LOOK_EVERY: Final = timedelta(seconds=10)
RUN_FOR: Final = timedelta(seconds=60)
PATIENCE: Final = timedelta(seconds=4)
"""What is due for longer than that has lost its timer: with a look every ten seconds it is never 15 seconds late."""
ZONE_WAITED_FOR: Final = timedelta(seconds=10)
"""If the zone cannot be found out for longer, the national one takes the alert."""
PAGES_AGAIN_AFTER: Final = timedelta(seconds=10)
SETTLED: Final = {"acked": Action.ACKNOWLEDGE, "closed": Action.RESOLVE}


class TickingSettings(PagingSettings, frozen=True, kw_only=True):
    """The queue of the timers, besides what paging needs."""

    alert_timers_queue: str


class TimerSet(Schema, frozen=True):
    """The message of a timer: whose."""

    alert: str


class _Ticked(NamedTuple):
    """An alert after a tick: pages that wait to be asked for, and whether a timer is to be set."""

    alert: Alert
    pages: Sequence[Page] = ()
    timer: bool = False


def tick_all(alert_ids: Iterable[str]) -> None:
    """Do what is due for these alerts, then bring what they have to say into the feed. Raises the last failure."""
    failures: list[Exception] = []
    alerts: list[Alert] = []
    for alert_id in alert_ids:
        try:
            alerts += tick(alert_id)
        except Exception as failure:  # the others must not wait for it
            telemetry.logger.exception("a tick failed", extra={"alert": alert_id})
            failures.append(failure)
    feed.bring(alerts)
    if failures:
        raise failures[-1]


def tick(alert_id: str) -> list[Alert]:
    """Do what is due for an alert, and for the one that it was joined to: those that may have something to say."""
    ticked = retried(lambda: _tick(alert_id))
    if ticked is None:
        return []
    if ticked.pages:
        paging.ask(ticked.pages)
    if ticked.timer:
        _set_timer(ticked.alert)
    others = tick(ticked.alert.joined_to) if ticked.alert.state is State.JOINED and ticked.timer else []
    return [ticked.alert, *others]


def sweep() -> None:
    """For a minute, every ten seconds: tick what is due for more than four, and say that the sweeper lives."""
    begun = clock.now()
    looks = 0
    while (wait := begun + looks * LOOK_EVERY - clock.now()) < RUN_FOR and looks * LOOK_EVERY < RUN_FOR:
        clock.pause(max(wait.total_seconds(), 0))
        if _look():
            telemetry.count("AlertSweeperRan")
        looks += 1


def _look() -> bool:
    """Help what is late. Whether all that is due could be looked up."""
    found: list[str] = []
    looked_up = 0
    for shard in range(store.SHARDS):
        with _surviving(f"shard {shard}"):
            for alert_id, since in store.due(shard, clock.now() - PATIENCE):
                telemetry.seconds("AlertStepLate", clock.now() - since)
                found.append(alert_id)
            looked_up += 1
    random.shuffle(found)
    with _surviving("timers"):
        _send_timers(found, delay=0)
    for alert_id in found:
        with _surviving(alert_id):
            tick_all([alert_id])
    return looked_up == store.SHARDS


@contextmanager
def _surviving(what: str) -> Iterator[None]:
    """Whatever breaks within, the sweeper goes on: the next look finds it again."""
    try:
        yield
    except Exception:
        telemetry.logger.exception("the sweeper could not help", extra={"what": what})


def _tick(alert_id: str) -> _Ticked | None:
    held = store.find(alert_id)
    if held is None:
        return None
    if not held.alert.zone:
        return _place(held)
    now = clock.now()
    policy = _Lazy(held.alert.zone)
    move = ladder.ticked(held.alert, lambda steps: policy.read().contacts_of(steps), now)
    move = _looked_at_pages(move, now)
    move = _noted_timer(move)
    settled, move = _settled(move, now)
    if move.alert == held.alert:
        return _Ticked(move.alert)
    with transaction() as work:
        pages = paging.plan(work, move.alert, move.pages, policy.read()) if move.pages else []
        paging.plan_settled(work, settled)
        move = Move(_webhooks_noted(move.alert, move.pages, policy), move.said)
        store.save(work, held, move, correlation_id=alert_id)
    if move.pages:
        telemetry.seconds("StepFiredAfter", now - (move.alert.ladder_from or now))
    return _Ticked(move.alert, [*pages, *settled], timer=move.alert.timer_for != held.alert.timer_for)


class _Lazy:
    """The policy of a zone, read if somebody asks."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._policy: Policy | None = None

    def read(self) -> Policy:
        self._policy = self._policy or zones.policy_of(self._zone)
        return self._policy


def _looked_at_pages(move: Move, now: datetime) -> Move:
    """Ask again for pages that were planned some seconds ago and did not leave."""
    if move.alert.pages_due is None or move.alert.pages_due > now:
        return move
    undone = paging.look_again(move.alert)
    due = now + ladder.PAGES_LOOKED_AT_AFTER if move.pages else now + PAGES_AGAIN_AFTER if undone else None
    return Move(msgspec.structs.replace(move.alert, pages_due=due), move.said, move.pages)


def _noted_timer(move: Move) -> Move:
    """The alert that knows for which moment its timer is set."""
    return Move(msgspec.structs.replace(move.alert, timer_for=ladder.timer_at(move.alert)), move.said, move.pages)


def _settled(move: Move, now: datetime) -> tuple[list[Page], Move]:
    """The pages that tell webhooks that it was taken or is over, and the alert that knows that they were told."""
    told = ladder.to_settle(move.alert)
    if not told:
        return [], move
    alert = msgspec.structs.replace(move.alert, settled=told, pages_due=now + ladder.PAGES_LOOKED_AT_AFTER)
    return paging.settle(alert, SETTLED[told]), Move(alert, move.said, move.pages)


def _webhooks_noted(alert: Alert, contacts: Sequence[str], policy: _Lazy) -> Alert:
    """The alert that knows that a webhook may be told of it, be it as a contact's first way or a later one."""
    if alert.webhooks or not contacts:
        return alert
    found = [policy.read().contact(name) for name in contacts]
    ways = {way.channel for contact in found if contact for way in contact.ways}
    return msgspec.structs.replace(alert, webhooks=Channel.WEBHOOK in ways)


def _set_timer(alert: Alert) -> None:
    """A message for the moment when something is due next. It may be lost: the sweeper looks as well."""
    if alert.timer_for is None:
        return
    seconds = math.ceil((alert.timer_for - clock.now()).total_seconds())
    try:
        _send_timers([alert.id], delay=min(max(seconds, 0), queues.MAX_DELAY))
    except Exception:  # the sweeper finds it
        telemetry.logger.exception("no timer was set", extra={"alert": alert.id})


def _send_timers(alert_ids: Iterable[str], *, delay: int) -> None:
    messages = [Outgoing(msgspec.json.encode(TimerSet(alert=alert_id)).decode()) for alert_id in alert_ids]
    queues.send(settings.load(TickingSettings).alert_timers_queue, messages, delay=delay)


# --- the first tick -----------------------------------------------------------------------------------------


def _place(held: Held) -> _Ticked:
    """Find the alert's zone, and the open alert of the same carrier and device that it belongs to, if there is one."""
    alert, now = held.alert, clock.now()
    pointer = AlertsRow.find(store.pointer_key(alert.device, alert.carrier, alert.purpose))
    before = store.find(pointer.holds(LastAlert).alert) if pointer else None
    joins = alert.is_open and before is not None and before.alert.is_open
    with transaction() as work:
        if before is not None and joins:
            move = ladder.joined(alert, before.alert.id, before.alert.zone, now)
            told = msgspec.structs.replace(alert, whereabouts=_under_the_key_of(before.alert, alert))
            target = ladder.pressed_again(before.alert, told, now)
            store.save(work, before, target, correlation_id=alert.id)
        else:
            zone = zones.zone_of(alert.depot, waits_no_longer=now >= alert.received_at + ZONE_WAITED_FOR)
            follows = before.alert.id if before is not None else ""
            move = ladder.placed(alert, zone, zones.policy_of(zone).plan, now, follows=follows)
            if alert.is_open or before is None or not before.alert.is_open:
                _point_to(work, alert, pointer)
        store.save(work, held, move, correlation_id=alert.id)
    if joins:
        return _Ticked(move.alert, timer=True)
    ticked = _tick(alert.id)
    return ticked or _Ticked(move.alert)


def _under_the_key_of(alert: Alert, press: Alert) -> Sealed | None:
    """Where a press says that the carrier is, sealed like everything else of the alert that it is joined to."""
    if press.whereabouts is None:
        return None
    try:
        keys = keyring.keys_of([alert.subject, press.subject])
        return keys[alert.subject].seal(keys[press.subject].open(press.whereabouts, Whereabouts))
    except Exception:  # the alert goes on without it; the next report comes in seconds
        telemetry.logger.exception("a press was joined without its position", extra={"alert": alert.id})
        return None


def _point_to(work: UnitOfWork, alert: Alert, pointer: AlertsRow | None) -> None:
    content = msgspec.json.encode(LastAlert(alert=alert.id)).decode()
    revision = int(pointer.revision) + 1 if pointer else 1
    unchanged = AlertsRow.revision == pointer.revision if pointer else AlertsRow.pk.does_not_exist()
    meanwhile = ChangedMeanwhile("The device raised another alert at the same time.")
    key = store.pointer_key(alert.device, alert.carrier, alert.purpose)
    row = AlertsRow(pk=key, content=content, revision=revision)
    work.put(row, when=unchanged, otherwise=meanwhile)
