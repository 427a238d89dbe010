"""A handset fetches what it is to do. What is given out is its own for a while, and comes again until it signs."""

from __future__ import annotations

from chalicelib.core import clock
from chalicelib.core.access import Handset
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet.commands import boxes, proving, rules, settling
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.schemas import Orders


def poll(who: Handset, *, correlation_id: str) -> Orders:
    """What this handset is to do now, the most urgent first: no call more if nothing is, else one transaction."""
    held = [boxes.of_handset(who)]

    def given() -> Orders:
        before = held.pop() if held else boxes.load(who.device)
        return _give_out(who, before, correlation_id)

    return retried(given)


def _give_out(who: Handset, before: Held, correlation_id: str) -> Orders:
    if proving.seen_again(before, who, correlation_id=correlation_id):
        before = boxes.load(who.device)
    if settling.settle(before, correlation_id=correlation_id):
        before = boxes.load(who.device)
    now = clock.now()
    ready = rules.deliverable(before.box, now)
    if before.box.generation != who.generation or not ready:
        return Orders(orders=())
    given = [rules.given_out(command, now) for command in ready]
    with transaction() as work:
        for command in given:
            boxes.say_moved(work, before.box, command, by=who.actor, correlation_id=correlation_id)
        boxes.save(work, before, boxes.replace(before.box, *given))
    return Orders(orders=tuple(command.order for command in given))
