"""The flat announcement file (fichier d'annonce), format 02.00: what a sender tells of the items to come.

Records are one a line, `;` between fields, ISO-8859-1, LF or CRLF: one header BBB001, then a line DDD001 for
each item. Source: La Poste ColiPoste EDI specification 3.1, July 2014.

Reading forgives what the specification's own samples get wrong, and only that: a `;` after the last rank, a
digit in rank 10, the title in capitals (kept as Mme), a 0 kept after +33, another postcode in rank 5 than in
rank 18 (out of home). Everything else that breaks the layout refuses that line alone, with its rank and a
sentence for the sender. Writing is strict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from chalicelib.core.clock import PARIS
from chalicelib.core.schemas import Schema
from chalicelib.items.identifiers import IdentifierRefused, from_edi, to_edi
from chalicelib.items.schemas import Addressee, Announcement

ENCODING: Final = "iso-8859-1"
VERSION: Final = "02.00"
MAX_LINE_CHARACTERS: Final = 10_000
MAX_LINE_FIELDS: Final = 100


class Field(NamedTuple):
    """One rank of a record. `format`: A letters, AN printable, N digits, DT date and time (AAAAMMJJHHMM); a
    number is the exact length, `0..35` the least and the most. `required`: empty is refused. `one_of`: the
    values that are allowed. `reads`: the format that is accepted on reading, where it is more liberal.
    `separator`: the character between the field's parts, which its length does not count."""

    rank: int
    name: str
    format: str
    required: bool = False
    one_of: tuple[str, ...] = ()
    reads: str = ""
    separator: str = ""
    note: str = ""


HEADER_LAYOUT: Final = (
    Field(1, "record type", "AN6", required=True, one_of=("BBB001",)),
    Field(2, "deposit slip", "N1..10", required=True),
    Field(3, "client", "N6", required=True),
    Field(4, "slip created", "DT12", required=True, note="the time may be 0000"),
    Field(5, "slip issued", "DT12", required=True, note="the day of the physical hand-over"),
    Field(6, "version", "AN5", required=True, one_of=(VERSION,)),
    Field(7, "site", "N0..6"),
    Field(8, "trade name", "AN0..35", note="shown in notifications"),
)

LINE_LAYOUT: Final = (
    Field(1, "record type", "AN6", required=True, one_of=("DDD001",)),
    Field(2, "product code", "AN1..2", required=True, note="unknown codes are accepted"),
    Field(3, "parcel number", "N10", required=True, note="without the key"),
    Field(4, "weight", "N1..7", required=True, note="grams"),
    Field(5, "delivery postcode", "AN1..9", required=True, note="out of home: the pickup point's"),
    Field(6, "cash on delivery", "N0..7", note="cents"),
    Field(7, "cash on delivery currency", "A0..3", note="empty = EUR"),
    Field(8, "insured value", "N0..7", note="cents"),
    Field(9, "insured value currency", "AN0..3", note="empty = EUR"),
    Field(10, "Saturday", "A0..1", reads="AN0..1", note="O or N, empty = O; samples have 0"),
    Field(11, "non-machinable", "A0..1", one_of=("O", "N"), note="empty = N"),
    Field(12, "identity", "AN1..35", required=True, separator="`", note="title`first name`name"),
    Field(13, "company", "AN0..35", note="excludes rank 14"),
    Field(14, "flat, floor", "AN0..35", note="excludes rank 13"),
    Field(15, "building, residence", "AN0..35"),
    Field(16, "number and street", "AN0..35", note="empty only for a company with CEDEX"),
    Field(17, "hamlet or special mention", "AN0..35"),
    Field(18, "postcode", "AN1..9", required=True, note="of the home, even out of home"),
    Field(19, "town", "AN1..35", required=True),
    Field(20, "shipper reference", "AN0..35", note="absent: the parcel number comes back instead"),
    Field(21, "door code", "AN0..8"),
    Field(22, "building code", "AN0..8"),
    Field(23, "intercom", "AN0..30"),
    Field(24, "instructions", "AN0..75"),
    Field(25, "routing", "AN0..75", separator="`", note="five parts; not kept"),
    Field(26, "country", "A2", note="empty = FR"),
    Field(27, "recommendation", "AN2", one_of=("R1", "R2", "R3")),
    Field(28, "acknowledgement of receipt", "A1", one_of=("O", "N")),
    Field(29, "sorting", "AN3", one_of=("NON", "TG1", "TG2"), note="not kept"),
    Field(30, "duty and tax free", "A1", one_of=("O", "N"), note="not kept"),
    Field(31, "addressee's Colissimo id", "AN0..80", note="not kept"),
    Field(32, "phone", "AN0..20"),
    Field(33, "e-mail", "AN0..80"),
    Field(34, "mobile", "AN0..20"),
    Field(35, "pickup point", "N6", note="out of home only"),
    Field(36, "promotion", "AN0..15", note="not kept"),
    Field(37, "filler", "A0..1", note="unused"),
)


class Header(Schema, frozen=True):
    """The deposit slip (bordereau) that the lines belong to. `created_at` is Paris time."""

    deposit_slip: str
    client: str
    created_at: datetime
    handed_over_on: date
    site: str = ""
    trade_name: str = ""


class RecordRefused(Exception):  # noqa: N818 - reads as the fact it is
    """A record that is not taken. `rank` counts from 1, 0 is the whole record; `reason` is for the sender."""

    def __init__(self, rank: int, field: str, reason: str) -> None:
        super().__init__(f"rank {rank} ({field}): {reason}" if rank else reason)
        self.rank = rank
        self.field = field
        self.reason = reason


class HeaderRefused(RecordRefused):
    """The header cannot be read: no line of the file can be."""


class LineRefused(RecordRefused):
    """This line cannot be read: the others can."""


# --- formats --------------------------------------------------------------------------------------------

_FORMAT: Final = re.compile(r"(?P<letters>AN|A|N|DT)(?P<least>\d+)(?:\.\.(?P<most>\d+))?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Characters(NamedTuple):
    """What one field code allows."""

    pattern: re.Pattern[str]
    sentence: str


CHARACTERS: Final = {
    "A": Characters(re.compile(r"[A-Za-z]*"), "letters only"),
    "AN": Characters(re.compile(r"[^\x00-\x1f\x7f-\x9f;]*"), "printable characters only"),
    "N": Characters(re.compile(r"[0-9]*"), "digits only"),
    "DT": Characters(re.compile(r"[0-9]*"), "a date and time written AAAAMMJJHHMM"),
}


class Format(NamedTuple):
    """A format such as `AN0..35`, taken apart."""

    characters: Characters
    least: int
    most: int

    @classmethod
    def of(cls, text: str) -> Format:
        """Take apart a format of the layout tables."""
        found = _FORMAT.fullmatch(text)
        if found is None:
            raise ValueError(text)
        least = int(found["least"])
        return cls(CHARACTERS[found["letters"]], least, int(found["most"] or least))

    def lengths(self) -> str:
        """The allowed lengths, in words."""
        return str(self.most) if self.least == self.most else f"{self.least} to {self.most}"


_READS: Final = {field: Format.of(field.reads or field.format) for field in HEADER_LAYOUT + LINE_LAYOUT}
_WRITES: Final = {field: Format.of(field.format) for field in HEADER_LAYOUT + LINE_LAYOUT}


def _fault(field: Field, allowed: Format, value: str) -> str | None:
    """What is wrong with the value, as a sentence, or `None`."""
    shown = repr(value[:40])
    if not value:
        return "It is empty and must be filled." if field.required else None
    if field.one_of and value not in field.one_of:
        return f"It is {shown} and must be {' or '.join(field.one_of)}."
    if not allowed.characters.pattern.fullmatch(value):
        return f"It is {shown} and must hold {allowed.characters.sentence}."
    length = len(value) - (value.count(field.separator) if field.separator else 0)
    if not allowed.least <= length <= allowed.most:
        return f"It has {length} characters and must have {allowed.lengths()}."
    return None


# --- records --------------------------------------------------------------------------------------------


def decode(content: bytes) -> Iterator[str]:
    """The records of a file, without their ends of line (LF or CRLF), in order; empty ones too, so that the
    caller's line numbers are those of the sender's editor. The emptiness after the last end of line is none.
    """
    lines = content.decode(ENCODING).split("\n")
    if not lines[-1]:
        lines.pop()
    return (line.removesuffix("\r") for line in lines)


def _check_record(line: str, layout: Sequence[Field], refused: type[RecordRefused]) -> None:
    if len(line) > MAX_LINE_CHARACTERS:
        raise refused(0, "record", f"The record has over {MAX_LINE_CHARACTERS} characters: an end of line is missing.")
    if line.count(";") >= MAX_LINE_FIELDS:
        raise refused(0, "record", f"The record has over {MAX_LINE_FIELDS} fields: an end of line is missing.")
    control = _CONTROL.search(line)
    if control:
        rank = line.count(";", 0, control.start()) + 1
        name = layout[rank - 1].name if rank <= len(layout) else "record"
        code = f"0x{ord(control.group()):02X}"
        raise refused(rank, name, f"It holds the control character {code}: write the file in ISO-8859-1.")


def _split(line: str, layout: Sequence[Field], refused: type[RecordRefused]) -> dict[int, str]:
    """The fields of a record by rank, each checked against the layout."""
    line = line.removesuffix("\n").removesuffix("\r")
    _check_record(line, layout, refused)
    values = [value.strip() for value in line.split(";")]
    if values[0] != layout[0].one_of[0]:
        raise refused(1, layout[0].name, f"It is {values[0][:20]!r} and must be {layout[0].one_of[0]}.")
    if len(values) == len(layout) + 1 and not values[-1]:
        values.pop()
    if len(values) != len(layout):
        raise refused(0, "record", f"The record has {len(values)} fields and must have {len(layout)}.")
    for field, value in zip(layout, values, strict=True):
        fault = _fault(field, _READS[field], value)
        if fault:
            raise refused(field.rank, field.name, fault)
    return {field.rank: value for field, value in zip(layout, values, strict=True)}


def _moment(field: Field, value: str) -> datetime:
    parts = (int(value[start:end]) for start, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)))
    try:
        return datetime(*parts, tzinfo=PARIS)  # type: ignore[misc, arg-type]
    except ValueError:
        raise HeaderRefused(
            field.rank, field.name, f"It is {value!r}, which is no date and time AAAAMMJJHHMM."
        ) from None


def read_header(line: str) -> Header:
    """Read the record BBB001. Raises `HeaderRefused`."""
    values = _split(line, HEADER_LAYOUT, HeaderRefused)
    return Header(
        deposit_slip=values[2],
        client=values[3],
        created_at=_moment(HEADER_LAYOUT[3], values[4]),
        handed_over_on=_moment(HEADER_LAYOUT[4], values[5]).date(),
        site=values[7],
        trade_name=values[8],
    )


# --- the line's own rules -------------------------------------------------------------------------------

_IDENTITY_PARTS: Final = 3


def _check_identity(values: Mapping[int, str]) -> str | None:
    parts = values[12].split("`")
    if len(parts) > _IDENTITY_PARTS:
        return "It has more than two backticks: write title`first name`name."
    return None if any(part.strip() for part in parts) else "It is empty and must be filled."


def _check_currency(amount: str, currency: str) -> str | None:
    if not amount.strip("0") or currency in {"", "EUR"}:
        return None
    return f"It is {currency!r} and must be EUR or empty: amounts are read as cents of euro."


def _check_company(values: Mapping[int, str]) -> str | None:
    return "Ranks 13 and 14 are both filled: give a company or a flat." if values[13] and values[14] else None


def _check_street(values: Mapping[int, str]) -> str | None:
    if values[16] or (values[13] and "CEDEX" in values[19].upper()):
        return None
    return "It is empty, which only a company with a CEDEX town may have."


CROSS_CHECKS: Final[tuple[tuple[int, Callable[[Mapping[int, str]], str | None]], ...]] = (
    (7, lambda values: _check_currency(values[6], values[7])),
    (9, lambda values: _check_currency(values[8], values[9])),
    (12, _check_identity),
    (14, _check_company),
    (16, _check_street),
)
"""The rules that one field's format cannot say: rank that is blamed, and the check."""


def _cross_check(values: Mapping[int, str]) -> None:
    for rank, check in CROSS_CHECKS:
        fault = check(values)
        if fault:
            raise LineRefused(rank, LINE_LAYOUT[rank - 1].name, fault)


# --- phones ---------------------------------------------------------------------------------------------

_PHONE_DECORATION: Final = re.compile(r"[\s.\-()/]")
FRENCH_PHONES: Final = (
    re.compile(r"0([1-9][0-9]{8})"),
    re.compile(r"(?:\+|00)?330?([1-9][0-9]{8})"),
)


def normalise_phone(text: str) -> str:
    """A French number as `+33` and nine digits, whatever of the published and seen forms it came in; any
    other number as it came, because an odd phone is no reason to lose an announcement."""
    bare = _PHONE_DECORATION.sub("", text)
    for pattern in FRENCH_PHONES:
        found = pattern.fullmatch(bare)
        if found:
            return "+33" + found[1]
    return text


# --- reading --------------------------------------------------------------------------------------------


TITLES: Final = {"M.": "M.", "MME": "Mme"}
"""The titles that the specification knows, by their capitals: as they are kept and written."""


def _joined(identity: str) -> str:
    title, backtick, names = identity.partition("`")
    known = TITLES.get(title.strip().upper(), title) if backtick else title
    return " ".join(f"{known} {names}".replace("`", " ").split())


def _addressee(values: Mapping[int, str]) -> Addressee:
    return Addressee(
        name=_joined(values[12]),
        company=values[13],
        apartment=values[14],
        building=values[15],
        street=values[16],
        hamlet=values[17],
        postcode=values[18],
        town=values[19],
        country=values[26].upper() or "FR",
        door_code=values[21],
        building_code=values[22],
        intercom=values[23],
        instructions=values[24],
        phone=normalise_phone(values[32]),
        mobile=normalise_phone(values[34]),
        email=values[33],
    )


def _item(values: Mapping[int, str]) -> str:
    try:
        return from_edi(values[2], values[3])
    except IdentifierRefused as refused:
        raise LineRefused(2, LINE_LAYOUT[1].name, refused.reason) from None


def read_line(line: str, header: Header) -> Announcement:
    """Read a record DDD001 of the header's slip. Raises `LineRefused`, with the rank to mend."""
    values = _split(line, LINE_LAYOUT, LineRefused)
    _cross_check(values)
    item = _item(values)
    return Announcement(
        item=item,
        client=header.client,
        deposit_slip=header.deposit_slip,
        product=item[:2],
        reference=values[20],
        handed_over_on=header.handed_over_on,
        weight_grams=int(values[4]),
        delivery_postcode=values[5],
        addressee=_addressee(values),
        cash_on_delivery_cents=int(values[6] or 0),
        insured_value_cents=int(values[8] or 0),
        recommendation=values[27],
        acknowledgement_of_receipt=values[28] == "O",
        pickup_point=values[35],
    )


# --- writing --------------------------------------------------------------------------------------------

_MOMENT: Final = "%Y%m%d%H%M"


def _identity(name: str) -> str:
    """A joined name as title`first name`name: the first word that is no title is taken for the first name."""
    words = name.split(" ")
    title = words.pop(0) if words[0] in TITLES.values() else ""
    first = words.pop(0) if len(words) > 1 else ""
    return "`".join((title, first, " ".join(words)))


def _record(values: Mapping[int, str], layout: Sequence[Field], refused: type[RecordRefused]) -> str:
    for field in layout:
        value = values.get(field.rank, "")
        fault = _fault(field, _WRITES[field], value)
        if not fault and value.encode(ENCODING, "replace").decode(ENCODING) != value:
            fault = f"It is {value!r}, which ISO-8859-1 cannot write."
        if fault:
            raise refused(field.rank, field.name, fault)
    return ";".join(values.get(field.rank, "") for field in layout)


def write_header(header: Header) -> str:
    """The record BBB001, without end of line. Raises `HeaderRefused` for what cannot be written strictly."""
    values = {
        1: "BBB001",
        2: header.deposit_slip,
        3: header.client,
        4: header.created_at.astimezone(PARIS).strftime(_MOMENT),
        5: f"{header.handed_over_on:%Y%m%d}0000",
        6: VERSION,
        7: header.site,
        8: header.trade_name,
    }
    return _record(values, HEADER_LAYOUT, HeaderRefused)


def _amount(cents: int, rank: int) -> dict[int, str]:
    return {rank: str(cents), rank + 1: "EUR"} if cents else {rank: "0"}


def _address_fields(addressee: Addressee) -> dict[int, str]:
    return {
        12: _identity(addressee.name),
        13: addressee.company,
        14: addressee.apartment,
        15: addressee.building,
        16: addressee.street,
        17: addressee.hamlet,
        18: addressee.postcode,
        19: addressee.town,
        21: addressee.door_code,
        22: addressee.building_code,
        23: addressee.intercom,
        24: addressee.instructions,
        26: addressee.country,
        32: addressee.phone,
        33: addressee.email,
        34: addressee.mobile,
    }


def write_line(announcement: Announcement) -> str:
    """The record DDD001 with exactly 37 ranks, without end of line. Client, slip and hand-over day travel in the
    header. Raises `LineRefused` for what cannot be written strictly."""
    parts = to_edi(announcement.item)
    if parts is None:
        raise LineRefused(3, LINE_LAYOUT[2].name, f"{announcement.item!r} is no parcel number of La Poste.")
    values = {
        1: "DDD001",
        2: parts[0],
        3: parts[1],
        4: str(announcement.weight_grams),
        5: announcement.delivery_postcode,
        **_amount(announcement.cash_on_delivery_cents, 6),
        **_amount(announcement.insured_value_cents, 8),
        10: "O",
        11: "N",
        **_address_fields(announcement.addressee),
        20: announcement.reference,
        27: announcement.recommendation,
        28: "O" if announcement.acknowledgement_of_receipt else "N",
        29: "NON",
        30: "N",
        35: announcement.pickup_point,
    }
    line = _record(values, LINE_LAYOUT, LineRefused)
    _cross_check({field.rank: values.get(field.rank, "") for field in LINE_LAYOUT})
    return line
