"""How addresses are written and compared."""

from __future__ import annotations

import re
from typing import Protocol

from chalicelib.addresses.letters import plain

STREET_WORDS = {
    "ALL": "ALLEE",
    "AV": "AVENUE",
    "AVE": "AVENUE",
    "BD": "BOULEVARD",
    "BLD": "BOULEVARD",
    "BVD": "BOULEVARD",
    "CHE": "CHEMIN",
    "CHEM": "CHEMIN",
    "CRS": "COURS",
    "FG": "FAUBOURG",
    "FBG": "FAUBOURG",
    "IMP": "IMPASSE",
    "LOT": "LOTISSEMENT",
    "PL": "PLACE",
    "QU": "QUAI",
    "RES": "RESIDENCE",
    "RTE": "ROUTE",
    "R": "RUE",
    "SQ": "SQUARE",
    "ST": "SAINT",
    "STE": "SAINTE",
}
_NUMBER = re.compile(r"^(\d{1,5})\s*(?:BIS|TER|QUATER|[A-D](?=\s))?\s+(.*)$")

_GLUED = re.compile(r"^(\d+)([A-Z])")
"""`12BIS` is `12 BIS`."""

_SEVERAL = re.compile(r"^\s*(\d{1,5})\s*[-/]\s*\d{1,5}\b")
"""One entrance with several numbers: the first one counts."""


def normal_street(text: str) -> str:
    """A street's name as the plan is keyed: capitals without accents, one space, abbreviations written out."""
    return " ".join(STREET_WORDS.get(word, word) for word in plain(text).split())


def house_and_street(line: str) -> tuple[int | None, str]:
    """The house number, if there is one, and the normal name of the street: `12 bis r. d'Alésia`, `12-14 cours X`."""
    found = _NUMBER.match(plain(_SEVERAL.sub(r"\1", line)))
    if found is None:
        return None, normal_street(line)
    return int(found[1]), normal_street(found[2])


class Lines(Protocol):
    """What an address is compared by."""

    @property
    def street(self) -> str: ...
    @property
    def hamlet(self) -> str: ...
    @property
    def postcode(self) -> str: ...
    @property
    def country(self) -> str: ...


def normal_form(address: Lines) -> str:
    """The form in which two addresses are compared: `FR/75015/12 BIS RUE DE LA PAIX`. Floors do not count."""
    postcode = address.postcode.replace(" ", "").replace("-", "").upper()
    street = _GLUED.sub(r"\1 \2", normal_street(address.street or address.hamlet))
    return f"{address.country}/{postcode}/{street}"
