"""The procedures of handing over, versioned: what each demands and says. A table to read and correct.

A new rule is a new version with its first day: what was handed over before keeps the version that it names.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from chalicelib.signatures.schemas import Document, Mention

_ALWAYS: Final = (
    Mention.SENDER,
    Mention.ADDRESSEE,
    Mention.DEPOSIT_DATE,
    Mention.GUARANTEE_LEVEL,
    Mention.PRICE,
    Mention.PROVIDER,
    Mention.ITEM,
    Mention.RECEIVER_NAME,
    Mention.CAPACITY,
    Mention.DELIVERY_DATE,
)


class Procedure(NamedTuple):
    """One version of a procedure: from and to which delivery day it holds, its legal basis, what a proof must say, and
    the words that stand on it (French, as the carrier and the customer read them)."""

    name: str
    version: int
    first_day: date
    last_day: date | None
    basis: str
    mentions: tuple[Mention, ...]
    title: str
    statement: str = ""


SIGNATURE_ID: Final = "signature-id"
SIGNATURE_KNOWN_PERSON: Final = "signature-known-person"
WITHDRAWAL: Final = "withdrawal"
CARRIER_ATTESTATION: Final = "carrier-attestation"

_2007: Final = "arrêté du 7 février 2007"

PROCEDURES: Final = (
    Procedure(
        SIGNATURE_ID,
        1,
        date(2007, 2, 17),
        None,
        f"{_2007}, article 4",
        (*_ALWAYS, Mention.SIGNATURE, Mention.DOCUMENT),
        "Remise contre signature",
    ),
    Procedure(
        SIGNATURE_KNOWN_PERSON,
        1,
        date(2013, 1, 1),
        None,
        f"{_2007}, article 4-1",
        (
            *_ALWAYS,
            Mention.SIGNATURE,
            Mention.EARLIER_PROOF,
            Mention.CARRIER_STATEMENT,
            Mention.CARRIER_SIGNATURE,
        ),
        "Remise contre signature à une personne déjà identifiée",
        "Le facteur atteste que cette personne lui a déjà justifié de son identité à cette adresse.",
    ),
    Procedure(
        WITHDRAWAL,
        1,
        date(2007, 2, 17),
        None,
        f"{_2007}, article 5",
        (*_ALWAYS, Mention.SIGNATURE, Mention.DOCUMENT, Mention.PRESENTATION_DATE),
        "Retrait d'un envoi mis en instance",
    ),
    Procedure(
        CARRIER_ATTESTATION,
        1,
        date(2020, 4, 17),
        date(2020, 7, 10),
        "arrêté du 15 avril 2020",
        (*_ALWAYS, Mention.CARRIER_STATEMENT),
        "Remise sans signature (procédure particulière)",
        "Le facteur atteste sur l'honneur avoir remis cet envoi à cette personne.",
    ),
)

ACKNOWLEDGEMENT: Final = (
    Mention.ITEM,
    Mention.RECEIVER_NAME,
    Mention.CAPACITY,
    Mention.DELIVERY_DATE,
)
"""What the avis de réception says beside the signature and the document, or what stands for it (article 7)."""

DOCUMENTS: Final[dict[Document, tuple[date, date | None, str]]] = {
    Document.IDENTITY_CARD: (date(2007, 2, 17), None, "carte nationale d'identité"),
    Document.PASSPORT: (date(2007, 2, 17), None, "passeport"),
    Document.DRIVING_LICENCE: (date(2007, 2, 17), None, "permis de conduire"),
    Document.RESIDENCE_PERMIT: (date(2007, 2, 17), None, "titre de séjour"),
    Document.DIGITAL_IDENTITY: (date(2020, 1, 1), None, "identité numérique"),
}
"""The accepted identity documents (article 8): first and last day, and what they are called."""


def find(name: str, version: int) -> Procedure | None:
    """That version of a procedure."""
    return next((row for row in PROCEDURES if (row.name, row.version) == (name, version)), None)


def holds_on(procedure: Procedure, day: date) -> bool:
    """Whether the procedure may be used for a delivery of that day."""
    return procedure.first_day <= day and (procedure.last_day is None or day <= procedure.last_day)


def is_accepted(document: Document, day: date) -> bool:
    """Whether the kind of document was accepted on that day."""
    first, last, _ = DOCUMENTS[document]
    return first <= day and (last is None or day <= last)
