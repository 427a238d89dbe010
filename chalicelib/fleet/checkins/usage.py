"""Personal use of a handset: its carrier is shown what was counted, and what is left. Staff see depots' totals only."""

from __future__ import annotations

import msgspec

from chalicelib.core import clock
from chalicelib.core.access import Handset
from chalicelib.core.call import Call
from chalicelib.core.table import Place
from chalicelib.fleet.checkins import rules
from chalicelib.fleet.checkins.schemas import KeptUse, PersonalUse, Usage
from chalicelib.fleet.policies import serving
from chalicelib.fleet.policies.schemas import Telephony
from chalicelib.fleet.tables import CheckInRow


def beside(_: Call, device: str) -> list[Place]:
    """What was counted, to be read with what lets the device in."""
    return [(CheckInRow, device)]


def of_handset(who: Handset) -> Usage:
    """What was counted in this enrolment, this month and the last, by days in Paris: mostly no call more."""
    row = CheckInRow.among(who.beside, who.device)
    allowed = serving.settings_of(who)[1].telephony or Telephony()
    this, last = (
        rules.against(of_month(row, month, who.generation), allowed) for month in rules.months_of(clock.today())
    )
    return Usage(allowed_call_seconds=allowed.call_seconds, allowed_sms=allowed.sms, this_month=this, last_month=last)


def of_month(row: CheckInRow | None, month: str, generation: int) -> PersonalUse:
    """What a row says of a month in an enrolment."""
    text = row.uses[rules.slot_of(month)] if row else None
    kept = msgspec.json.decode(text, type=KeptUse) if text else None
    return rules.of_month(kept, month, generation)
