"""The words of La Poste's tracking API, Suivi v2: codes, steps, holders and sentences, to read and correct.

Only codes that La Poste uses are here, and all of those that are published, whether a fact of ours has them or not.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from chalicelib.items.event_types import (
    ANNOUNCED,
    CORRECTED,
    DELIVERED,
    HANDED_OVER,
    HELD,
    NOT_DELIVERED,
    REDIRECTED,
    RETURNED,
    SCANNED,
)
from chalicelib.items.identifiers import Kind
from chalicelib.items.schemas import Capacity, Cause, HeldAt, Recipient, Status, Step

FRENCH: Final = "fr_FR"
ENGLISH: Final = "en_GB"


class Label(NamedTuple):
    """One sentence, in French and in English."""

    french: str
    english: str

    def in_language(self, lang: str) -> str:
        """The sentence; French for any language but English."""
        return self.english if lang == ENGLISH else self.french


class Outcome(enum.IntEnum):
    """How a step went: the `type` of a timeline item."""

    OK = 1
    HAZARD = 0
    FAILED = -1


# --- codes ----------------------------------------------------------------------------------------------


class Code(NamedTuple):
    """One code of Suivi v2: its step of the timeline (0: none), how the step went, what it means."""

    code: str
    step: int
    outcome: Outcome
    meaning: str


_CODES: Final = (
    Code("DR1", 1, Outcome.OK, "declared"),
    Code("DR2", 1, Outcome.HAZARD, "problem in preparation"),
    Code("PC1", 2, Outcome.OK, "taken in charge"),
    Code("PC2", 2, Outcome.OK, "taken in charge in the country of origin"),
    Code("ET1", 3, Outcome.OK, "in processing"),
    Code("ET2", 3, Outcome.OK, "in processing in the country of origin"),
    Code("ET3", 3, Outcome.OK, "in processing in the country of destination"),
    Code("ET4", 3, Outcome.OK, "in processing in a country of transit"),
    Code("EP1", 3, Outcome.OK, "waiting for presentation"),
    Code("DO1", 3, Outcome.OK, "into customs"),
    Code("DO2", 3, Outcome.OK, "out of customs"),
    Code("DO3", 3, Outcome.HAZARD, "held by customs"),
    Code("ID0", 3, Outcome.HAZARD, "customs information"),
    Code("PB1", 3, Outcome.HAZARD, "problem open"),
    Code("PB2", 3, Outcome.OK, "problem solved"),
    Code("MD2", 4, Outcome.OK, "out for delivery"),
    Code("ND1", 4, Outcome.FAILED, "cannot be delivered"),
    Code("AG1", 4, Outcome.OK, "waiting at the counter"),
    Code("RE1", 4, Outcome.FAILED, "returned to sender"),
    Code("DI0", 5, Outcome.OK, "delivered in a batch"),
    Code("DI1", 5, Outcome.OK, "delivered"),
    Code("DI2", 5, Outcome.FAILED, "delivered to the sender"),
    Code("DI3", 0, Outcome.HAZARD, "delayed, despite its prefix"),
)

CODES: Final = {row.code: row for row in _CODES}


class Row(NamedTuple):
    """One canonical fact: its code (empty: not shown) and the sentence that a customer reads.

    A delivery has one code, whoever received: only the sentence tells the holder of a proxy apart.
    """

    event_type: str
    value: str
    code: str
    label: Label


_HIDDEN: Final = Label("", "")
_DELIVERED: Final = Label("Votre envoi a été livré.", "Your item has been delivered.")

_FAILED: Final = {
    Cause.ABSENT: Label(
        "Le destinataire était absent : votre envoi n'a pas pu être remis.",
        "Nobody was in, so your item could not be delivered.",
    ),
    Cause.NO_ACCESS: Label(
        "Le facteur n'a pas pu accéder à l'adresse : votre envoi n'a pas pu être remis.",
        "The carrier could not get to the address, so your item could not be delivered.",
    ),
    Cause.ADDRESS_INCOMPLETE: Label(
        "L'adresse est incomplète : votre envoi n'a pas pu être remis.",
        "The address is incomplete, so your item could not be delivered.",
    ),
    Cause.ADDRESS_INFORMATION_MISSING: Label(
        "Une information manque dans l'adresse : votre envoi n'a pas pu être remis.",
        "Something is missing in the address, so your item could not be delivered.",
    ),
    Cause.UNKNOWN_AT_ADDRESS: Label(
        "Le destinataire est inconnu à cette adresse : votre envoi n'a pas pu être remis.",
        "The addressee is not known at this address, so your item could not be delivered.",
    ),
    Cause.REFUSED: Label("L'envoi a été refusé.", "The item was refused."),
    Cause.REFUSED_DAMAGED: Label(
        "L'envoi a été refusé car il était abîmé.",
        "The item was refused because it was damaged.",
    ),
    Cause.REFUSED_LATE: Label(
        "L'envoi a été refusé car il arrivait trop tard.",
        "The item was refused because it came too late.",
    ),
    Cause.REFUSED_PAYMENT: Label(
        "L'envoi a été refusé : la somme due à la livraison n'a pas été réglée.",
        "The item was refused: the amount due on delivery was not paid.",
    ),
    Cause.NOT_FOUND: Label(
        "Votre envoi n'a pas été retrouvé au moment de le livrer. Nous le recherchons.",
        "Your item could not be found when it was due. We are looking for it.",
    ),
    Cause.NOT_COLLECTED: Label(
        "L'envoi n'a pas été retiré dans le délai de conservation.",
        "The item was not collected in the time for which it was kept.",
    ),
    Cause.POSTE_RESTANTE_EXPIRED: Label(
        "L'envoi en poste restante n'a pas été retiré dans le délai de conservation.",
        "The item was not collected from poste restante in the time for which it was kept.",
    ),
    Cause.DECEASED: Label(
        "Votre envoi n'a pas pu être remis à son destinataire.",
        "Your item could not be delivered to its addressee.",
    ),
    Cause.MOVED: Label(
        "Le destinataire n'habite pas à l'adresse indiquée : votre envoi n'a pas pu être remis.",
        "The addressee does not live at this address, so your item could not be delivered.",
    ),
    Cause.FORWARDING_EXPIRED: Label(
        "Le destinataire n'habite plus à l'adresse indiquée et sa réexpédition a pris fin.",
        "The addressee no longer lives at this address, and forwarding has ended.",
    ),
    Cause.FORWARDING_FORBIDDEN: Label(
        "Le destinataire n'habite plus à l'adresse indiquée et cet envoi ne peut pas être réexpédié.",
        "The addressee no longer lives at this address, and this item may not be forwarded.",
    ),
    Cause.BOX_NOT_EMPTIED: Label(
        "La boîte du destinataire est pleine : votre envoi n'a pas pu être remis.",
        "The addressee's box is full, so your item could not be delivered.",
    ),
    Cause.OUTSIDE_DISTRICT: Label(
        "L'adresse n'est pas desservie par cette tournée : votre envoi n'a pas pu être remis.",
        "The address is not on this carrier's round, so your item could not be delivered.",
    ),
    Cause.SENDER_REQUEST: Label(
        "L'expéditeur a demandé le retour de l'envoi.",
        "The sender has asked for the item back.",
    ),
}
"""What a customer reads of each failed attempt. Of a death nobody who knows the number is told."""

_ROWS: Final = (
    Row(
        ANNOUNCED,
        "",
        "DR1",
        Label(
            "Votre envoi est annoncé par son expéditeur et ne nous est pas encore confié.",
            "The sender has announced your item but has not handed it over to us yet.",
        ),
    ),
    Row(SCANNED, Step.TAKEN_IN_CHARGE, "PC1", Label("Votre envoi nous a été confié.", "We have received your item.")),
    Row(
        SCANNED,
        Step.AT_DEPOT,
        "ET1",
        Label(
            "Votre envoi est sur le site qui dessert son adresse.",
            "Your item is at the depot that serves its address.",
        ),
    ),
    Row(
        SCANNED,
        Step.OUT_FOR_DELIVERY,
        "MD2",
        Label(
            "Votre envoi est parti en tournée avec le facteur.",
            "Your item is on its way to you with the carrier.",
        ),
    ),
    Row(SCANNED, Step.PRESENTED, "", _HIDDEN),
    Row(DELIVERED, Recipient.ADDRESSEE, "DI1", _DELIVERED),
    Row(
        DELIVERED,
        Recipient.LETTER_BOX,
        "DI1",
        Label("Votre envoi est dans votre boîte aux lettres.", "Your item is in your letter box."),
    ),
    Row(
        DELIVERED,
        Recipient.CARETAKER,
        "DI1",
        Label("Votre envoi a été remis au gardien.", "Your item has been left with the caretaker."),
    ),
    Row(
        DELIVERED,
        Recipient.NEIGHBOUR,
        "DI1",
        Label("Votre envoi a été remis à un voisin.", "Your item has been left with a neighbour."),
    ),
    Row(
        HANDED_OVER,
        Capacity.ADDRESSEE,
        "DI1",
        Label("Votre envoi a été remis à son destinataire.", "Your item has been handed to its addressee."),
    ),
    Row(
        HANDED_OVER,
        Capacity.HOLDER,
        "DI1",
        Label(
            "Votre envoi a été remis à une personne mandatée par le destinataire.",
            "Your item has been handed to a person whom the addressee authorised.",
        ),
    ),
    *(Row(NOT_DELIVERED, cause, "ND1", label) for cause, label in _FAILED.items()),
    Row(
        HELD,
        HeldAt.POST_OFFICE,
        "AG1",
        Label("Votre envoi vous attend au bureau de poste.", "Your item is waiting for you at the post office."),
    ),
    Row(
        HELD,
        HeldAt.POST_OFFICE_AFTER_NOTICE,
        "AG1",
        Label(
            "Un avis de passage vous a été laissé : votre envoi vous attend au bureau de poste.",
            "A delivery notice was left for you: your item is waiting at the post office.",
        ),
    ),
    Row(
        HELD,
        HeldAt.PICKUP_POINT,
        "AG1",
        Label(
            "Votre envoi vous attend au point de retrait.",
            "Your item is waiting for you at the pickup point.",
        ),
    ),
    Row(
        RETURNED,
        "",
        "RE1",
        Label("L'envoi retourne à son expéditeur.", "The item is on its way back to the sender."),
    ),
    Row(
        REDIRECTED,
        "",
        "ET1",
        Label(
            "Votre envoi est réexpédié à la demande du destinataire.",
            "Your item is being forwarded at the addressee's request.",
        ),
    ),
    Row(CORRECTED, "", "", _HIDDEN),
)

ROWS: Final = {(row.event_type, str(row.value)): row for row in _ROWS}

DELIVERED_BACK: Final = Row(
    DELIVERED, "", "DI2", Label("L'envoi a été rendu à son expéditeur.", "The item has been given back to the sender.")
)
"""A delivery that follows a return: who received the item is its sender."""

HELD_UNTIL: Final = Label(" Retrait possible jusqu'au {day} inclus.", " You can collect it until {day} inclusive.")


# --- timeline, holders, messages ------------------------------------------------------------------------

STEP_LABELS: Final = (
    Label("Annoncé", "Announced"),
    Label("Pris en charge", "Taken in charge"),
    Label("En cours d'acheminement", "On its way"),
    Label("En cours de livraison", "Being delivered"),
    Label("Livré", "Delivered"),
)

STEP_OF_STATUS: Final = {
    Status.UNKNOWN: 0,
    Status.ANNOUNCED: 1,
    Status.TAKEN_IN_CHARGE: 2,
    Status.AT_DEPOT: 3,
    Status.REDIRECTED: 3,
    Status.OUT_FOR_DELIVERY: 4,
    Status.PRESENTED: 4,
    Status.NOT_DELIVERED: 4,
    Status.HELD: 4,
    Status.RETURNED: 4,
    Status.DELIVERED: 5,
}


class Holder(enum.IntEnum):
    """Which part of La Poste answers for the item."""

    NATIONAL_MAIL = 1
    INTERNATIONAL_MAIL = 2
    CHRONOPOST = 3
    COLISSIMO = 4


HOLDER_OF_KIND: Final = {
    Kind.REGISTERED_LETTER: Holder.NATIONAL_MAIL,
    Kind.TRACKED_LETTER: Holder.NATIONAL_MAIL,
    Kind.PARCEL: Holder.COLISSIMO,
    Kind.ROUTING: Holder.COLISSIMO,
    Kind.SSCC: Holder.COLISSIMO,
    Kind.S10: Holder.INTERNATIONAL_MAIL,
}

HOLDER_OF_S10: Final = {
    "EW": Holder.COLISSIMO,
    "E": Holder.CHRONOPOST,
    "X": Holder.CHRONOPOST,
    "C": Holder.COLISSIMO,
    "H": Holder.COLISSIMO,
}
"""S10 numbers by their two letters or their first: EMS is Chronopost's, parcels are Colissimo's, letters stay
with international mail. EW and X as seen in answers of La Poste; the rest unconfirmed."""

PRODUCT_OF_HOLDER: Final = {
    Holder.NATIONAL_MAIL: "courrier",
    Holder.INTERNATIONAL_MAIL: "courrier international",
    Holder.CHRONOPOST: "chronopost",
    Holder.COLISSIMO: "colissimo",
}

REMOVAL_POINT_TYPES: Final = {
    HeldAt.POST_OFFICE: "BDP",
    HeldAt.POST_OFFICE_AFTER_NOTICE: "BDP",
    HeldAt.PICKUP_POINT: "A2P",
}

MESSAGES: Final = {
    400: Label(
        "Ce numéro n'est pas celui d'un envoi. Comparez-le, caractère par caractère, à celui de l'étiquette.",
        "This is not the number of an item. Compare it with the label, one character at a time.",
    ),
    404: Label(
        "Nous n'avons pas encore d'information sur cet envoi. S'il vient d'être déposé, réessayez plus tard.",
        "We know nothing of this item yet. If it was posted just now, please try again later.",
    ),
}
