"""An address as it is written: on an envelope (NF Z10-011), and in the Colissimo flat file.

Lines 1 to 3 stay as they were entered. From line 4 on there are capitals, digits and spaces only; NF Z10-011 leaves
accents on capitals open, La Poste asks for none, so there are none. Stored addresses are never in this form.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta

from chalicelib.addresses.country_names import COUNTRY_NAMES, OVERSEAS
from chalicelib.addresses.letters import plain
from chalicelib.addresses.schemas import MAX_LINE, PostalAddress
from chalicelib.core.schemas import Schema

MAX_STREET: Final = 32
"""Characters of a street's label, without its number, from which on it may be abbreviated (NF Z10-011)."""
MAX_EDI_LINE: Final = 35
MAX_EDI_NAME: Final = 37
"""As `items.schemas.Addressee`: the 35 of the record, and the two separators between title, first name and name."""

ABBREVIATIONS: Final = {
    "ALLEE": "ALL",
    "ALLEES": "ALL",
    "AVENUE": "AV",
    "BOULEVARD": "BD",
    "CHEMIN": "CHE",
    "COURS": "CRS",
    "FAUBOURG": "FG",
    "IMPASSE": "IMP",
    "LOTISSEMENT": "LOT",
    "PLACE": "PL",
    "RESIDENCE": "RES",
    "ROUTE": "RTE",
    "SQUARE": "SQ",
    "SAINT": "ST",
    "SAINTE": "STE",
    "CAPITAINE": "CAP",
    "COLONEL": "COL",
    "COMMANDANT": "CDT",
    "DOCTEUR": "DR",
    "GENERAL": "GAL",
    "LIEUTENANT": "LT",
    "MARECHAL": "MAL",
    "PRESIDENT": "PDT",
    "PROFESSEUR": "PR",
}
"""Words of a street's label and their abbreviations; the last word of a label keeps its full form."""

_NUMBERED = re.compile(r"((?:\d+ ?(?:BIS|TER|QUATER|[A-D])? )?)(.*)")

EdiLine = Annotated[str, Meta(max_length=MAX_EDI_LINE)]


class EdiAddress(Schema, frozen=True):
    """Name and address in the lengths of the Colissimo flat file."""

    name: Annotated[str, Meta(max_length=MAX_EDI_NAME)]
    apartment: EdiLine
    building: EdiLine
    street: EdiLine
    hamlet: EdiLine
    postcode: Annotated[str, Meta(max_length=9)]
    town: EdiLine
    country: Annotated[str, Meta(min_length=2, max_length=2)]


def lines(recipient: str, address: PostalAddress) -> tuple[str, ...]:
    """The lines on the envelope: at most 6, 7 abroad with the country last; none is empty or over 38 characters.

    A street is abbreviated only if its label exceeds 32 characters. What exceeds 38 even so is cut at the end; of what
    `PostalAddress` takes that can only be a ligature that becomes two letters, and a name that is too long.
    """
    block = (
        _spaced(recipient),
        _spaced(address.apartment),
        _spaced(address.building),
        _street(address.street),
        plain(address.hamlet),
        _locality(address),
        _country(address.country),
    )
    return tuple(line[:MAX_LINE].rstrip() for line in block if line)


def to_edi(recipient: str, address: PostalAddress) -> tuple[EdiAddress, tuple[str, ...]]:
    """The same for the flat file, and the names of the fields that lost characters, in the order of the lines.

    A street or a town that is too long is abbreviated first, which loses nothing.
    """
    whole = {
        "name": _spaced(recipient),
        "apartment": _spaced(address.apartment),
        "building": _spaced(address.building),
        "street": _abbreviated(_street(address.street), MAX_EDI_LINE),
        "hamlet": plain(address.hamlet),
        "town": _abbreviated(plain(address.town), MAX_EDI_LINE),
    }
    limits = dict.fromkeys(whole, MAX_EDI_LINE) | {"name": MAX_EDI_NAME}
    kept = {field: text[: limits[field]].rstrip() for field, text in whole.items()}
    cut = tuple(field for field, text in whole.items() if kept[field] != text)
    return EdiAddress(**kept, postcode=_postcode(address), country=address.country), cut


def _street(text: str) -> str:
    """Line 4. Its label is abbreviated from the left, word by word, until it has 32 characters."""
    number, label = _numbered(plain(text))
    return number + _abbreviated(label, MAX_STREET)


def _numbered(line: str) -> tuple[str, str]:
    found = _NUMBERED.fullmatch(line)
    return (found[1], found[2]) if found else ("", line)


def _abbreviated(line: str, longest: int) -> str:
    words = line.split(" ")
    for at, word in enumerate(words[:-1]):
        if len(" ".join(words)) <= longest:
            break
        words[at] = ABBREVIATIONS.get(word, word)
    return " ".join(words)


def _locality(address: PostalAddress) -> str:
    """Line 6. Abroad the postcode is written as it is there: SW1A 1AA, 1250-096."""
    return f"{_postcode(address)} {plain(address.town)}"


def _postcode(address: PostalAddress) -> str:
    is_french = address.country in OVERSEAS or address.country == "FR"
    return re.sub(r"[ -]", "", address.postcode) if is_french else _spaced(address.postcode)


def _country(code: str) -> str:
    """Line 7, abroad only. A code that names no country stays a code."""
    return "" if code in OVERSEAS or code == "FR" else COUNTRY_NAMES.get(code, code)


def _spaced(text: str) -> str:
    return " ".join(text.split())
