"""A device's box: what is open for its enrolment. Read together with what lets the device in, written with it.

Everything that changes a command goes through `save`: it files what is over, says how many wait, and sets the moment at
which somebody must look again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import access, events
from chalicelib.core.access import AccessRow, DeviceState, Handset
from chalicelib.core.call import Call
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema
from chalicelib.core.table import Place, find_together
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet import records
from chalicelib.fleet.commands import rules
from chalicelib.fleet.commands.schemas import Box, Command, CommandMoved, DeviceStateChanged, Filed
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED
from chalicelib.fleet.tables import CommandsRow

_SAID: Final[Mapping[DeviceState, str]] = {
    DeviceState.ENROLLED: "readmitted",
    DeviceState.QUARANTINED: "quarantined",
    DeviceState.WIPING: "wiping",
}
"""What a device may do → what is said when it comes to that."""


class Held(NamedTuple):
    """A device's box as it was read, its revision, and what lets the device in."""

    entry: AccessRow
    box: Box
    revision: int

    @property
    def device(self) -> str:
        """Whose box it is."""
        return self.box.device

    @property
    def state(self) -> DeviceState:
        """What the device may do."""
        return DeviceState(self.entry.state)


def key_of(device: str) -> str:
    """Where a device's box stands."""
    return f"device/{device}"


def filed_key(command: str) -> str:
    """Where it is said where a command is."""
    return f"command/{command}"


def beside(_: Call, device: str) -> list[Place]:
    """The box, to be read with what lets the device in."""
    return [(CommandsRow, key_of(device))]


def of_handset(who: Handset) -> Held:
    """The box that was read with what let this handset in."""
    return _held(who.row, CommandsRow.among(who.beside, key_of(who.device)))


def load(device: str) -> Held:
    """A device's box: one consistent call. Raises NotFound."""
    found = load_many([device])
    if device not in found:
        raise NotFound(f"There is no device {device}.")
    return found[device]


def load_many(devices: Iterable[str]) -> dict[str, Held]:
    """The boxes of those devices that exist: one consistent call for at most 50."""
    wanted = list(dict.fromkeys(devices))
    rows = find_together([*((AccessRow, one) for one in wanted), *((CommandsRow, key_of(one)) for one in wanted)])
    entries = {one: AccessRow.among(rows, one) for one in wanted}
    return {
        one: _held(entry, CommandsRow.among(rows, key_of(one))) for one, entry in entries.items() if entry is not None
    }


def save(
    work: UnitOfWork, before: Held, box: Box, *, retired: bool = False, lease_withheld: bool | None = None
) -> DeviceState:
    """Write a box, and what its device may do from now on, which is returned: see `_state_of`. `retired`: nothing, for
    ever. `lease_withheld`: whether its lease is, if that changes.

    The work is refused with ChangedMeanwhile if either changed since it was read.
    """
    file_all(work, before, box)
    kept = rules.without_what_is_over(box)
    records.save(work, key_of(box.device), kept, instead_of=before.revision, due=_due(kept))
    waiting = sum(command.state in BEFORE_ACCEPTED for command in kept.open)
    state = DeviceState.RETIRED if retired else _state_of(kept, before.state)
    if state is not before.state or lease_withheld is not None:
        access.set_state(work, before.entry, state, waiting=waiting, lease_withheld=lease_withheld)
    else:
        access.set_waiting(work, before.entry, waiting)  # whatever was read: both rows are read together, not as one
    return state


def file_all(work: UnitOfWork, before: Held, box: Box) -> None:
    """Say where each command is that came into the box since it was read, or is over since."""
    known = {command.id for command in before.box.open}
    for command in box.open:
        if command.id not in known:
            file(work, box, command, instead_of=0)
        elif not rules.stays(command):
            file(work, box, command, instead_of=1)


def file(work: UnitOfWork, box: Box, command: Command, *, instead_of: int) -> None:
    """Say where a command is: in the box, or here since it is over."""
    filed = Filed(device=box.device, depot=box.depot, over=None if rules.stays(command) else command)
    records.save(work, filed_key(command.id), filed, instead_of=instead_of, group=key_of(box.device))


def in_box(box: Box, command: str) -> Command:
    """A command that was in the box a moment ago. Raises ChangedMeanwhile if it was filed since."""
    for one in box.open:
        if one.id == command:
            return one
    raise ChangedMeanwhile("The command has just ended; ask again.")


def replace(box: Box, *commands: Command) -> Box:
    """The box with these commands in place of those with the same ids, or added to them; and what follows from them."""
    changed = {command.id: command for command in commands}
    for command in commands:
        box = rules.noted(box, command)
    there = tuple(changed.pop(command.id, command) for command in box.open)
    return msgspec.structs.replace(box, open=(*there, *changed.values()))


def say(
    work: UnitOfWork,
    box: Box,
    command: str,
    what: str,
    body: Schema,
    *,
    by: str,
    correlation_id: str,
) -> Event:
    """Write what happened to a command into its journal; the event that says so."""
    event = event_of(box, command, what, body, by=by, correlation_id=correlation_id)
    work.append(event)
    return event


def event_of(
    box: Box,
    command: str,
    what: str,
    body: Schema,
    *,
    by: str,
    correlation_id: str,
    event_id: str = "",
    at: datetime | None = None,
) -> Event:
    """What happened to a command, as an event of its journal."""
    return events.make(
        f"facteo.command.{what}",
        filed_key(command),
        body,
        actor=by,
        correlation_id=correlation_id or command,
        event_id=event_id,
        at=at,
        place=f"depot/{box.depot}",
    )


def say_moved(work: UnitOfWork, box: Box, command: Command, *, by: str, correlation_id: str) -> None:
    """Write into a command's journal that it came into its present state."""
    moved = CommandMoved(
        device=command.device,
        generation=command.generation,
        kind=command.kind,
        state=command.state,
        attempts=command.attempts,
    )
    say(work, box, command.id, command.state.value, moved, by=by, correlation_id=correlation_id)


def say_change(work: UnitOfWork, before: Held, box: Box, state: DeviceState, *, by: str, correlation_id: str) -> None:
    """Write into a device's journal what it may do from now on, if that is not what it might before."""
    if state is before.state:
        return
    event = events.make(
        f"facteo.device.{_SAID[state]}",
        f"device/{box.device}",
        DeviceStateChanged(generation=box.generation, state=state, loss=box.loss),
        actor=by,
        correlation_id=correlation_id,
        place=f"depot/{box.depot}",
    )
    work.append(event)


def _held(entry: AccessRow, row: CommandsRow | None) -> Held:
    kept = records.of_row(row, Box)
    if kept is not None and kept.record.generation == entry.generation:
        return Held(entry, kept.record, kept.revision)
    empty = Box(device=entry.device, generation=int(entry.generation), carrier=entry.carrier, depot=entry.depot)
    return Held(entry, empty, kept.revision if kept else 0)


def _state_of(box: Box, before: DeviceState) -> DeviceState:
    """What a device may do: shut out from the moment at which its wipe is approved, however long that takes to arrive
    and whatever the handset says of it. A retired one stays so.
    """
    if before is DeviceState.RETIRED:
        return before
    if box.shut:
        return DeviceState.WIPING
    return DeviceState.QUARANTINED if box.loss else DeviceState.ENROLLED


def _due(box: Box) -> datetime | None:
    moments = [rules.due_at(command) for command in box.open]
    return min((moment for moment in moments if moment), default=None)
