"""What handsets say of doors: where their pass was shown, and the receipts that readers gave them.

Where a carrier was and when is personal data: what the journal keeps of it is sealed under a key that all entries of a
day share, and that dies on its date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Final, NoReturn, cast

import msgspec
from msgspec import Meta

from chalicelib.core import clock, keyring, settings
from chalicelib.core.clock import PARIS
from chalicelib.core.errors import Problem
from chalicelib.core.events import Event
from chalicelib.core.facts import HandsetFact
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import UnitOfWork
from chalicelib.passes import receipts
from chalicelib.passes.event_types import RECEIPT, USED
from chalicelib.passes.schemas import PassReceipt, PassUsed, SealedOfDay

MAX_EVENT_BYTES: Final = 4096
ANY_READER: Final = "00" * 8
"""Where the pass was shown as a code to whichever reader sees it."""

_SLOT_SECONDS: Final = 30
_SLOT_BYTES: Final = 4


class EntrySettings(Settings, frozen=True, kw_only=True):
    """For how many days it can be read where a carrier entered: the day itself and so many after it."""

    pass_entries_days: Annotated[int, Meta(ge=1, le=184)] = 92


class ReceiptMalformed(Problem):
    status = 422
    title = "That is no receipt of a reader"


class PassEvidence(msgspec.Struct, frozen=True):
    """What was said of a door. Nobody else is kept from saying the same."""

    sent: PassUsed | PassReceipt

    @property
    def rows(self) -> int:
        """None: its key is that of a day."""
        return 0

    @property
    def claims(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def kept(self, _: UnitOfWork, event: Event) -> Event:
        """The event with all that it says sealed under the key of its day. The day's first one makes the key."""
        day = _day_of(event.happened_at)
        key = keyring.shared_key(key_name(day), keep_until=day + kept_for())
        body = SealedOfDay(day=day, sealed=key.seal(self.sent))
        return msgspec.structs.replace(event, data=msgspec.Raw(msgspec.json.encode(body)))

    def clash(self, owners: Mapping[str, str], _: Event) -> NoReturn:
        """Never: it claims nothing."""
        raise LookupError(f"nothing was claimed that is {owners}")


def key_name(day: date) -> str:
    """Whose key it is that seals the entries of a day."""
    return f"entries/{day}"


def kept_for() -> timedelta:
    """How long after its day an entry can be read."""
    return timedelta(days=settings.load(EntrySettings).pass_entries_days)


def is_code(used: PassUsed, shown_at: datetime) -> bool:
    """Whether a pass was shown as a code, of whose use the handset gets no receipt: what was signed tells.

    `shown_at` is the handset's own time: by it the code was made, for half a minute.
    """
    slot, reader = int(shown_at.timestamp()) // _SLOT_SECONDS, bytes.fromhex(used.reader)
    signed = (max(near, 0).to_bytes(_SLOT_BYTES, "big") + reader for near in (slot - 1, slot, slot + 1))
    return any(hashlib.sha256(one).hexdigest() == used.challenge for one in signed)


def _day_of(moment: datetime) -> date:
    """The day of an entry. One that is told so late that its day is over can be read today, and no longer."""
    return max(moment.astimezone(PARIS).date(), clock.today() - kept_for())


def _examine(body: Schema, _: Event, __: PublicKey) -> PassEvidence:
    return PassEvidence(cast("PassUsed | PassReceipt", body))


def _pass_used(body: Schema) -> str:
    return f"pass/{cast(PassUsed, body).id}"


def _pass_named(body: Schema) -> str:
    named = receipts.pass_of(cast(PassReceipt, body).receipt)
    if named is None:
        raise ReceiptMalformed("Send the bytes that the reader gave, in base64, and nothing else.")
    return f"pass/{named}"


HANDSET_FACTS: Mapping[str, HandsetFact] = {
    USED: HandsetFact(body=PassUsed, subject_of=_pass_used, max_bytes=MAX_EVENT_BYTES, examine=_examine),
    RECEIPT: HandsetFact(body=PassReceipt, subject_of=_pass_named, max_bytes=MAX_EVENT_BYTES, examine=_examine),
}
"""What a carrier's handset may say of doors."""
