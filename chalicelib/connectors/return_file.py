"""The flat tracking return file (fichier retour): what became of the items, for the sender's system.

One record DDD001 a line, `;` between fields, ISO-8859-1, CRLF after each record (the announcement format allows
LF and CRLF; we always write CRLF). What is published: the record type, rank 5 = situation and rank 6 =
justification, three letters each. Every other rank of `LAYOUT` and the absence of a header record are ours:
`confirmed=False`, to be settled with the receiver before production.

Times leave as local time of Paris without offset, as flat formats do: in the hour that comes twice in October
two events may seem to be at the same time or in the wrong order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from datetime import time as clock_time
from typing import Final, NamedTuple

from chalicelib.core.clock import PARIS
from chalicelib.core.schemas import Schema
from chalicelib.items.event_types import (
    ANNOUNCED,
    CORRECTED,
    DELIVERED,
    DISCRIMINATOR,
    HANDED_OVER,
    HELD,
    NOT_DELIVERED,
    REDIRECTED,
    RETURNED,
    SCANNED,
)
from chalicelib.items.identifiers import to_edi
from chalicelib.items.schemas import Capacity, Cause, HeldAt, Recipient, Step

ENCODING: Final = "iso-8859-1"
END_OF_LINE: Final = "\r\n"

# --- codes ----------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One canonical fact and its published code, six letters: situation and justification.

    `code` empty: no published code says this, so it is not reported in this format. `confirmed`: the published
    meaning of the code is the fact, no more and no less; otherwise production does not send it.
    """

    event_type: str
    value: str
    code: str
    confirmed: bool
    note: str


CODES: Final = (
    Row(ANNOUNCED, "", "COMCFM", True, "announced; also the sender's proof that the line was integrated"),
    Row(SCANNED, Step.TAKEN_IN_CHARGE, "PCHCFM", True, "taken in charge"),
    Row(SCANNED, Step.AT_DEPOT, "AARCFM", True, "arrived at the delivery site"),
    Row(SCANNED, Step.OUT_FOR_DELIVERY, "", True, "no published code"),
    Row(SCANNED, Step.PRESENTED, "", True, "no published code; the outcome follows as its own event"),
    Row(DELIVERED, Recipient.ADDRESSEE, "LIVCFM", True, "delivered"),
    Row(DELIVERED, Recipient.LETTER_BOX, "LIVCFM", True, "delivered; the letter box has no code of its own"),
    Row(DELIVERED, Recipient.CARETAKER, "LIVGAR", True, "delivered to the caretaker"),
    Row(DELIVERED, Recipient.NEIGHBOUR, "LIVRTI", True, "delivered to a caretaker or neighbour"),
    Row(HANDED_OVER, Capacity.ADDRESSEE, "LIVCFM", True, "delivered; no published code tells a signature apart"),
    Row(HANDED_OVER, Capacity.HOLDER, "LIVCFM", True, "delivered; no published code tells the holder of a proxy apart"),
    Row(
        NOT_DELIVERED,
        Cause.ABSENT,
        "RENACP",
        False,
        "postponed, absent; RENNRV and RENARV would promise another presentation the next day",
    ),
    Row(NOT_DELIVERED, Cause.NO_ACCESS, "", True, "no published code"),
    Row(NOT_DELIVERED, Cause.ADDRESS_INCOMPLETE, "RENCAD", True, "incomplete address"),
    Row(NOT_DELIVERED, Cause.ADDRESS_INFORMATION_MISSING, "RENAIN", True, "information missing"),
    Row(NOT_DELIVERED, Cause.UNKNOWN_AT_ADDRESS, "RENDIA", True, "does not live at the address, will return"),
    Row(NOT_DELIVERED, Cause.REFUSED, "RENDIV", True, "refused, will return"),
    Row(NOT_DELIVERED, Cause.REFUSED_DAMAGED, "RENAVA", False, "refused; that AVA means damage is our reading"),
    Row(NOT_DELIVERED, Cause.REFUSED_LATE, "RENTAR", False, "refused; that TAR means lateness is our reading"),
    Row(NOT_DELIVERED, Cause.REFUSED_PAYMENT, "RENSRB", True, "refuses to pay the cash on delivery"),
    Row(NOT_DELIVERED, Cause.NOT_FOUND, "ENEMQT", False, "published as: not found in the box, missing"),
    Row(NOT_DELIVERED, Cause.NOT_COLLECTED, "", True, "no published code; the return follows as its own event"),
    Row(NOT_DELIVERED, Cause.POSTE_RESTANTE_EXPIRED, "", True, "no published code; the return is its own event"),
    Row(NOT_DELIVERED, Cause.DECEASED, "", True, "no published code"),
    Row(NOT_DELIVERED, Cause.MOVED, "RENDIA", False, "published as: does not live at the address, will return"),
    Row(
        NOT_DELIVERED,
        Cause.FORWARDING_EXPIRED,
        "RENDIA",
        False,
        "published as: does not live at the address, will return; nothing published says why it is not forwarded",
    ),
    Row(NOT_DELIVERED, Cause.FORWARDING_FORBIDDEN, "", True, "no published code"),
    Row(NOT_DELIVERED, Cause.BOX_NOT_EMPTIED, "", True, "no published code"),
    Row(NOT_DELIVERED, Cause.OUTSIDE_DISTRICT, "", True, "no published code; AARDVY would promise another route"),
    Row(NOT_DELIVERED, Cause.SENDER_REQUEST, "", True, "no published code"),
    Row(HELD, HeldAt.POST_OFFICE, "RENAVI", True, "available at the post office, not delivered"),
    Row(HELD, HeldAt.POST_OFFICE_AFTER_NOTICE, "RSTBRT", True, "available at the post office after the notice"),
    Row(HELD, HeldAt.PICKUP_POINT, "MLVARS", True, "available at the chosen pickup point"),
    Row(RETURNED, "", "SOLREO", True, "returned, whatever the cause; SOLREI is published with the same meaning"),
    Row(REDIRECTED, "", "RENLNA", True, "forwarded at the addressee's request"),
    Row(CORRECTED, "", "", True, "no published way to take a code back; what did happen is its own event"),
)

_ROW_OF: Final = {(row.event_type, str(row.value)): row for row in CODES}


class ReturnCode(Schema, frozen=True):
    """Situation and justification, three letters each. An unconfirmed code is not for production."""

    situation: str
    justification: str
    confirmed: bool
    note: str


def code_for(event_type: str, data: object) -> ReturnCode | None:
    """The code of a canonical event, whose decoded body is `data`; `None`: not reported in this format.

    Raises `LookupError` for an event that the table does not know: it is never guessed nor dropped in silence.
    """
    field = DISCRIMINATOR.get(event_type)
    value = "" if field is None else str(getattr(data, field))
    row = _ROW_OF.get((event_type, value))
    if row is None:
        raise LookupError(f"the return file has no row for {event_type} {value}".rstrip())
    if not row.code:
        return None
    return ReturnCode(situation=row.code[:3], justification=row.code[3:], confirmed=row.confirmed, note=row.note)


# --- the record -----------------------------------------------------------------------------------------


class Field(NamedTuple):
    """One rank of the record. `confirmed`: the layout of this rank is published."""

    rank: int
    name: str
    format: str
    confirmed: bool
    note: str = ""


LAYOUT: Final = (
    Field(1, "record type", "AN6", True, "DDD001"),
    Field(2, "product code", "AN0..2", False, "empty when rank 3 holds a whole number"),
    Field(3, "parcel number", "AN10..18", False, "ten digits without key, or the whole number"),
    Field(4, "event date and time", "DT12", False, "AAAAMMJJHHMM, local time of Paris"),
    Field(5, "situation", "A3", True),
    Field(6, "justification", "A3", True),
    Field(7, "shipper reference", "AN1..35", False, "the item number when the sender gave none"),
)


class ReturnLine(Schema, frozen=True):
    """What one record says. `item` is the canonical item number, `at` an aware moment."""

    item: str
    at: datetime
    code: ReturnCode
    reference: str = ""


class Substitution(Schema, frozen=True):
    """A character that the file cannot carry, and what stands for it; or the end that a field was cut by, which
    nothing stands for. `line` and `rank` count from 1."""

    line: int
    rank: int
    character: str
    replacement: str


class RenderedFile(Schema, frozen=True):
    """The bytes to send, and what had to be changed for them."""

    content: bytes
    substitutions: tuple[Substitution, ...]


STAND_INS: Final = {
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "–": "-",
    "—": "-",
    "…": "...",
    "œ": "oe",
    "Œ": "OE",
    "Ÿ": "Y",
    "€": "EUR",
    ";": ",",
}
"""What stands for a character outside ISO-8859-1, or for the separator. Other letters lose their accent; what
remains becomes `?`, and control characters a space."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNKNOWN: Final = "?"


def _carried(character: str) -> str:
    if character in STAND_INS:
        return STAND_INS[character]
    if _CONTROL.match(character):
        return " "
    if character.encode(ENCODING, "ignore"):
        return character
    return unicodedata.normalize("NFKD", character).encode(ENCODING, "ignore").decode(ENCODING) or _UNKNOWN


def _local(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a moment without its offset cannot be put in local time")
    return at.astimezone(PARIS)


def _number_fields(item: str) -> tuple[str, str]:
    """Ranks 2 and 3. A La Poste number of thirteen characters travels as product and ten digits, as it does in
    announcements; any other (S10, tracked letter, a letter whose key is another) whole, with rank 2 empty."""
    return to_edi(item) or ("", item)


def _values(line: ReturnLine) -> tuple[str, ...]:
    return (
        "DDD001",
        *_number_fields(line.item),
        _local(line.at).strftime("%Y%m%d%H%M"),
        line.code.situation,
        line.code.justification,
        line.reference or line.item,
    )


MAX_FIELD: Final = 35


def _carry(text: str) -> str:
    return "".join(map(_carried, text))[:MAX_FIELD]


def render_line(line: ReturnLine) -> str:
    """The record DDD001, without end of line, with every character already one that the file can carry."""
    return ";".join(map(_carry, _values(line)))


def _changes(value: str) -> Iterator[tuple[str, str]]:
    """What a field had to change: each character with its stand-in, then the end that was cut off."""
    for character in value:
        if _carried(character) != character:
            yield character, _carried(character)
    cut = "".join(map(_carried, value))[MAX_FIELD:]
    if cut:
        yield cut, ""


def _substitutions(lines: Sequence[ReturnLine]) -> tuple[Substitution, ...]:
    return tuple(
        Substitution(line=number, rank=field.rank, character=character, replacement=replacement)
        for number, line in enumerate(lines, start=1)
        for field, value in zip(LAYOUT, _values(line), strict=True)
        for character, replacement in _changes(value)
    )


def render_file(lines: Sequence[ReturnLine]) -> RenderedFile:
    """The whole file. The same lines give the same bytes."""
    text = "".join(render_line(line) + END_OF_LINE for line in lines)
    return RenderedFile(content=text.encode(ENCODING), substitutions=_substitutions(lines))


# --- hand-over ------------------------------------------------------------------------------------------

COUNTERS: Final = 1000
"""The counter in a name has three digits and goes on from 999 to 000. The caller counts on without end; two
names are the same only after a thousand files of one client in one second."""

_CLIENT: Final = re.compile(r"[0-9]{6}")
OPENS: Final = clock_time(6, 0)
CLOSES: Final = clock_time(1, 0)


def _stem(client: str, at: datetime, counter: int) -> str:
    if not _CLIENT.fullmatch(client):
        raise ValueError(f"a client number has six digits, not {client!r}")
    if counter < 0:
        raise ValueError("a counter does not go below zero")
    return f"{client}.{_local(at):%Y%m%d.%H%M%S}_{counter % COUNTERS:03}"


def file_name(client: str, at: datetime, counter: int) -> str:
    """The name of a complete file, `CCCCCC.AAAAMMJJ.HHmmss_ccc.ok`, in local time of Paris.

    The rename to it is the hand-over. Raises `ValueError` for a client that is not six digits, a negative
    counter or a moment without offset.
    """
    return _stem(client, at, counter) + ".ok"


def temporary_name(client: str, at: datetime, counter: int) -> str:
    """The name during upload, which the receiver ignores: the same with `.tmp`."""
    return _stem(client, at, counter) + ".tmp"


def within_send_window(at: datetime, opens: clock_time = OPENS, closes: clock_time = CLOSES) -> bool:
    """Whether the receiver's server is open: 06:00 to 01:00 the next day in Paris, 01:00 itself excluded.

    The clock changes at 02:00 or 03:00, when it is closed, so that local time is never in doubt here.
    """
    local = _local(at).time()
    return local >= opens or local < closes
