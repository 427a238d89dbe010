"""Loss cases: as they are kept, declared, told and journalled."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import Schema
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.schemas import CommandTold
from chalicelib.fleet.schemas import DeviceId, Serial
from chalicelib.people.ids import CarrierId, DepotId

CaseId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Moment = Annotated[datetime, Meta(tz=True)]


class LossKind(enum.StrEnum):
    """What became of the handset, as far as is known."""

    LOST = "lost"
    STOLEN = "stolen"


class DeclaredHow(enum.StrEnum):
    """Who declared it: staff, who were told in person or by phone, or a carrier on another handset."""

    STAFF = "staff"
    HANDSET = "handset"


class CaseState(enum.StrEnum):
    """Where a case stands."""

    OPEN = "open"
    FOUND = "found"
    CLOSED = "closed"
    """Given up: the handset is retired, and that hardware is not enrolled before somebody says that it was found."""
    WIPED = "wiped"
    """Somebody saw that it is."""


class GivenUp(enum.StrEnum):
    """Why a case is closed without the handset."""

    NOT_FOUND = "not-found"
    DESTROYED = "destroyed"
    WRITTEN_OFF = "written-off"


class WipeSeen(enum.StrEnum):
    """What somebody saw of a wiped handset."""

    SET_UP_SCREEN = "set-up-screen"
    CONTAINER_GONE = "container-gone"
    NEW_USER = "new-user"


class CaseNext(enum.StrEnum):
    """What can be done in a case as it stands."""

    LOST_MODE = "lost-mode"
    CONTAINER_WIPE = "container-wipe"
    FULL_WIPE = "full-wipe"
    WITHHOLDING = "withholding"
    WIPE_EVIDENCE = "wipe-evidence"
    FOUND = "found"
    CLOSED = "closed"


class OnDevice(Schema, frozen=True):
    """What was on the handset when it was declared lost: how far its events had come, whose round it carried (empty if
    none), and how many commands were open.
    """

    acknowledged_through: int
    route: str
    open_commands: int


class PositionsTaken(Schema, frozen=True):
    """How many positions were taken, and of when the first and the last are. This stays when they are purged."""

    taken: int = 0
    first: datetime | None = None
    last: datetime | None = None


class LossCase(Schema, frozen=True):
    """A loss case as it is kept. `ask_at`: when somebody is to be asked whether it shall be wiped, if nobody was."""

    id: str
    device: str
    generation: int
    carrier: str
    depot: str
    kind: LossKind
    lost_since: datetime | None
    witnessed: bool
    declared_by: str
    declared_at: datetime
    how: DeclaredHow
    lease_withheld: bool
    on_device: OnDevice
    state: CaseState = CaseState.OPEN
    ended_at: datetime | None = None
    ask_at: datetime | None = None
    approvals_asked_at: datetime | None = None
    positions: PositionsTaken = PositionsTaken()


class Reports(Schema, frozen=True):
    """Whose handsets were reported lost on a handset on a day."""

    day: str
    carriers: tuple[str, ...] = ()


class DeclareLoss(Schema, frozen=True):
    """A handset, by exactly one of device and serial number, that is lost. `witnessed`: somebody saw the theft."""

    kind: LossKind
    device: DeviceId | None = None
    serial: Serial | None = None
    lost_since: Moment | None = None
    witnessed: bool = False


class ReportLoss(Schema, frozen=True):
    """A carrier of the same depot says on this handset that theirs is lost."""

    carrier: CarrierId
    kind: LossKind


class LossReported(Schema, frozen=True):
    """The cases that were opened for it, or were open already: one for each enrolled handset of the carrier."""

    cases: tuple[str, ...]


class LostMode(Schema, frozen=True):
    """What a lost handset shows to whoever finds it: a text that names nobody, and a number to call."""

    text: Annotated[str, Meta(min_length=1, max_length=500)]
    phone: Annotated[str, Meta(pattern=r"^\+[0-9]{6,15}(?![\s\S])")]


class LossPosition(Schema, frozen=True):
    """Where a handset in lost mode is: WGS 84 degrees, and the radius in metres within which that holds."""

    at: Moment
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    accuracy_m: Annotated[float, Meta(ge=0, le=100_000)]


class GiveUp(Schema, frozen=True):
    """Why a case is given up."""

    reason: GivenUp


class SawWiped(Schema, frozen=True):
    """What shows that the handset is wiped."""

    seen: WipeSeen


class CaseSearch(Schema, frozen=True):
    """The cases of a depot, all or those in a state; `after` is the page before's."""

    depot: DepotId
    state: CaseState | None = None
    after: CaseId | None = None


class Cases(Schema, frozen=True):
    """Cases by their id, and where to go on reading. What is left out by `state` makes a page shorter."""

    cases: tuple[LossCase, ...]
    after: str | None = None


class CaseStep(Schema, frozen=True):
    """What somebody did in a case, and when. `command`: what was ordered by it; `reason`: why; `positions`: how many
    somebody looked at.
    """

    what: str
    at: datetime
    by: str
    command: str = ""
    reason: str = ""
    positions: int = 0


class CaseTold(Schema, frozen=True):
    """A case with all its steps, oldest first, as an insurer wants it. `commands` is the ladder: what was ordered since
    it was declared, each with what became of it; `events_since`, how many events came since, which are kept apart;
    `possible`, what can be done next.
    """

    case: LossCase
    steps: tuple[CaseStep, ...]
    commands: tuple[CommandTold, ...]
    events_since: int
    possible: tuple[CaseNext, ...]


class PositionsTold(Schema, frozen=True):
    """The latest positions of a case, the latest first. That somebody looked is told its carrier."""

    positions: tuple[LossPosition, ...]


class Ordered(Schema, frozen=True):
    """What was ordered of a carrier's lost handset, and what became of it. `approved`: by two people, in a warrant."""

    kind: Kind
    at: datetime
    by: str
    reason: str
    shown: str
    approved: bool


class OwnCase(Schema, frozen=True):
    """A loss case as the carrier sees it whose handset it was: who did what, and who looked where it was."""

    id: str
    device: str
    kind: LossKind
    state: CaseState
    declared_by: str
    declared_at: datetime
    ended_at: datetime | None
    ordered: tuple[Ordered, ...]
    positions: PositionsTaken
    looks: tuple[CaseStep, ...]


class OwnCases(Schema, frozen=True):
    """A carrier's latest loss cases, the latest first."""

    cases: tuple[OwnCase, ...]


class LossOpened(Schema, frozen=True):
    """`facteo.loss-case.opened`. `reported_on`: the handset on which it was reported, if it was on one."""

    device: str
    generation: int
    carrier: str
    kind: LossKind
    how: DeclaredHow
    witnessed: bool
    lease_withheld: bool
    reported_on: str


class LossSaid(Schema, frozen=True):
    """`facteo.loss-case.lease-withheld`, `.lost-mode-ordered`, `.approvals-asked`, `.found`, `.closed`, `.wiped`.

    `positions`: how many were purged.
    """

    device: str
    generation: int
    state: CaseState
    command: str = ""
    reason: str = ""
    positions: int = 0


class PositionsRead(Schema, frozen=True):
    """`facteo.loss-case.positions-read`: somebody looked at so many."""

    device: str
    generation: int
    positions: int
