"""What a page says: in French first, with an English line, and as a short plain text for SMS.

No page has a position or a name: pages lie on telephones, in mailboxes and with other companies, and whoever sees where
a carrier is must leave a trace of that. They say who (the carrier's id), from where (the depot) and what to do.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from chalicelib.alerts.schemas import Alert, Flag, Purpose, Trigger
from chalicelib.core.clock import PARIS
from chalicelib.core.schemas import Schema

SMS_LENGTH: Final = 160
"""Characters of one SMS in the GSM 7-bit alphabet (3GPP TS 23.038)."""
_TWO_IN_GSM: Final = frozenset("^{}\\[~]|`")
"""ASCII characters that count as two in it, or are not there."""
_REFERENCE: Final = 8


class Action(enum.StrEnum):
    """What a page is for, in the words of PagerDuty's Events API v2."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Words(Schema, frozen=True):
    """The same in two languages."""

    fr: str
    en: str


PURPOSES: Final = {
    Purpose.ACTUAL: Words(fr="", en=""),
    Purpose.EXERCISE: Words(fr="EXERCICE - ", en="EXERCISE - "),
    Purpose.SELF_TEST: Words(fr="ESSAI - ", en="TEST - "),
}
ACTIONS: Final = {
    Action.TRIGGER: Words(fr="SOS", en="SOS"),
    Action.ACKNOWLEDGE: Words(fr="SOS pris en charge", en="SOS taken"),
    Action.RESOLVE: Words(fr="SOS clos", en="SOS closed"),
}
UNDER_DURESS: Final = Words(fr="SOS SOUS CONTRAINTE", en="SOS UNDER DURESS")
TRIGGERS: Final = {
    Trigger.MANUAL: Words(fr="bouton SOS", en="SOS button"),
    Trigger.FALL: Words(fr="chute détectée", en="fall detected"),
    Trigger.NO_MOTION: Words(fr="plus de mouvement", en="no motion"),
    Trigger.MISSED_CHECK_IN: Words(fr="pointage manqué", en="missed check-in"),
    Trigger.LOST_LINK: Words(fr="liaison perdue", en="lost link"),
}
FLAGS: Final = {
    Flag.DURESS: Words(fr="sous contrainte", en="under duress"),
    Flag.CONTACT_LOST: Words(fr="contact perdu", en="contact lost"),
    Flag.CANCEL_ASKED: Words(fr="annulation demandée, à confirmer", en="cancellation asked for, to be confirmed"),
    Flag.LOW_BATTERY: Words(fr="batterie faible", en="low battery"),
    Flag.SLA_BREACHED: Words(fr="sans réponse depuis 40 s", en="not taken within 40 s"),
    Flag.LATE: Words(fr="reçu en retard", en="received late"),
    Flag.INCOMPLETE: Words(fr="reçu incomplet", en="received incomplete"),
}
"""The flags, the most urgent first."""
SILENT: Final = Words(fr="silencieux", en="silent")
TAKE_IT: Final = Words(
    fr="Ouvrez la console, prenez l'alerte, et voyez où est le facteur.",
    en="Open the console, take the alert, and see where the carrier is.",
)
TAKE_IT_IN_SHORT: Final = "Prenez l'alerte sur la console."
NOTHING_TO_DO: Final = Words(fr="Il n'y a plus rien à faire.", en="Nothing more is to be done.")
DO_NOT_CALL: Final = Words(
    fr="N'appelez pas le facteur : son téléphone doit rester muet.",
    en="Do not call the carrier: the phone must stay silent.",
)
DO_NOT_CALL_IN_SHORT: Final = "Ne pas l'appeler."
NOT_IN_DANGER: Final = Words(fr="Personne n'est en danger.", en="Nobody is in danger.")
COLLEAGUE: Final = Words(fr="Un collègue de votre site a besoin d'aide", en="A colleague of your depot needs help")
TELL_YOUR_MANAGER: Final = "Prévenez votre responsable de site ; en cas de danger, appelez le 17 ou le 112."


class Message(Schema, frozen=True):
    """A page: the facts for programs, and its texts. `since` is when the alert was received.

    `headline` is one line, `text` several, `short` at most 160 characters of plain ASCII. `colleague` and `advice` are
    the title and the text for the handsets of the same depot.
    """

    alert: str
    action: Action
    purpose: Purpose
    carrier: str
    depot: str
    zone: str
    trigger: Trigger
    silent: bool
    flags: tuple[Flag, ...]
    since: datetime
    step: int
    headline: str
    text: str
    short: str
    colleague: str
    advice: str

    @property
    def dedup_key(self) -> str:
        """By which a receiver tells that several pages are about the same alert."""
        return self.alert


def message_of(alert: Alert, action: Action, step: int) -> Message:
    """What a page of a step (counted from 0) says of the alert as it stands now."""
    return Message(
        alert=alert.id,
        action=action,
        purpose=alert.purpose,
        carrier=alert.carrier,
        depot=alert.depot,
        zone=alert.zone,
        trigger=alert.trigger,
        silent=alert.silent,
        flags=tuple(flag for flag in FLAGS if flag in alert.flags),
        since=alert.received_at,
        step=step,
        headline=_headline(alert, action).fr,
        text=_text(alert, action, step),
        short=_short(alert, action),
        colleague=PURPOSES[alert.purpose].fr + COLLEAGUE.fr,
        advice=_advice(alert),
    )


def plain(text: str) -> str:
    """The text in ASCII: accents are dropped, and what a GSM 7-bit SMS would count as two."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in ascii_only if letter.isprintable() and letter not in _TWO_IN_GSM)


def _headline(alert: Alert, action: Action) -> Words:
    word, purpose = _word(alert, action), PURPOSES[alert.purpose]
    return Words(
        fr=f"{purpose.fr}{word.fr} : facteur {alert.carrier or 'inconnu'}, site {alert.depot or 'inconnu'}",
        en=f"{purpose.en}{word.en}: carrier {alert.carrier or 'unknown'}, depot {alert.depot or 'unknown'}",
    )


def _word(alert: Alert, action: Action) -> Words:
    duress = action is Action.TRIGGER and Flag.DURESS in alert.flags
    return UNDER_DURESS if duress else ACTIONS[action]


def _text(alert: Alert, action: Action, step: int) -> str:
    to_do, headline = _to_do(alert, action), _headline(alert, action)
    trigger, flags = TRIGGERS[alert.trigger], _known(alert)
    again = f"Toujours sans réponse, étape {step + 1}." if step and action is Action.TRIGGER else ""
    french = (
        headline.fr,
        f"Déclenché par : {trigger.fr}.",
        f"Depuis : le {alert.received_at.astimezone(PARIS):%d/%m/%Y à %H:%M} (heure de Paris).",
        f"À savoir : {', '.join(flag.fr for flag in flags)}." if flags else "",
        again,
        f"À faire : {' '.join(words.fr for words in to_do)}",
        f"Alerte : {alert.id}",
    )
    english = (
        f"{headline.en}; {trigger.en}",
        f"since {alert.received_at.astimezone(PARIS):%Y-%m-%d %H:%M} (Paris)",
        *(flag.en for flag in flags),
    )
    to_do_in_english = " ".join(words.en for words in to_do)
    return "\n".join([*filter(None, french), "", f"English: {', '.join(english)}. {to_do_in_english}"])


def _known(alert: Alert) -> list[Words]:
    flags = [words for flag, words in FLAGS.items() if flag in alert.flags]
    return [SILENT, *flags] if alert.silent else flags


def _to_do(alert: Alert, action: Action) -> list[Words]:
    if action is Action.RESOLVE:
        return [NOTHING_TO_DO]
    drill = [] if alert.purpose is Purpose.ACTUAL else [NOT_IN_DANGER]
    return [*drill, TAKE_IT, *([DO_NOT_CALL] if _must_stay_silent(alert) else [])]


def _must_stay_silent(alert: Alert) -> bool:
    """Whether a ringing phone would tell somebody that help was called."""
    return alert.silent or Flag.DURESS in alert.flags


def _short(alert: Alert, action: Action) -> str:
    """The headline and the moment, and of the rest what fits, the most urgent first."""
    head = f"{_headline(alert, action).fr}, {alert.received_at.astimezone(PARIS):%d/%m %H:%M}.".replace(" :", ":")
    open_ones = action is not Action.RESOLVE
    more = (
        DO_NOT_CALL_IN_SHORT if open_ones and _must_stay_silent(alert) else "",
        TAKE_IT_IN_SHORT if open_ones else "",
        f"{TRIGGERS[alert.trigger].fr.capitalize()}.",
        f"Ref {alert.id[-_REFERENCE:]}.",
        *(f"{FLAGS[flag].fr.capitalize()}." for flag in FLAGS if flag in alert.flags and flag is not Flag.DURESS),
    )
    return _fitted(plain(head), (plain(part) for part in more if part))


def _fitted(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        if len(text) + 1 + len(part) <= SMS_LENGTH:
            text = f"{text} {part}"
    return text


def _advice(alert: Alert) -> str:
    drill = "" if alert.purpose is Purpose.ACTUAL else f"{NOT_IN_DANGER.fr} "
    do_not_call = f" {DO_NOT_CALL.fr}" if _must_stay_silent(alert) else ""
    return f"{drill}Facteur {alert.carrier}, site {alert.depot}. {TELL_YOUR_MANAGER}{do_not_call}"
