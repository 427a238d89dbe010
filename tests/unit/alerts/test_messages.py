"""What pages say: what a person needs to act, in one SMS if need be, and never a position or a name."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.alerts.messages import FLAGS, SMS_LENGTH, TRIGGERS, Action, Message, message_of, plain
from chalicelib.alerts.schemas import Alert, Flag, Purpose, State, Trigger
from chalicelib.core.schemas import Sealed

RAISED = datetime(2026, 7, 23, 22, 59, tzinfo=UTC)
"""A minute before one in the morning of the 24th in Paris."""
ALERT = "019c0000-0000-7000-8000-0000abcd1234"

GSM_7_BIT_IN_ASCII = frozenset(
    "@$_ !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""The basic table of 3GPP TS 23.038 as far as it is ASCII: one septet each."""


def an_alert(**changes: Any) -> Alert:
    told = {
        "id": ALERT,
        "device": "019c0000-0000-7000-8000-000000000001",
        "generation": 1,
        "carrier": "C1001",
        "depot": "75015A",
        "zone": "PARIS",
        "raised_at": RAISED,
        "received_at": RAISED,
        "heard_at": RAISED,
        "state": State.NOTIFIED,
        "whereabouts": Sealed("c2VhbGVk"),
    }
    return Alert(**(told | changes))


def said(action: Action = Action.TRIGGER, step: int = 0, **changes: Any) -> Message:
    return message_of(an_alert(**changes), action, step)


def test_a_page_says_who_where_since_when_and_what_to_do() -> None:
    message = said(trigger=Trigger.FALL)

    assert message.headline == "SOS : facteur C1001, site 75015A"
    assert message.text == (
        "SOS : facteur C1001, site 75015A\n"
        "Déclenché par : chute détectée.\n"
        "Depuis : le 24/07/2026 à 00:59 (heure de Paris).\n"
        "À faire : Ouvrez la console, prenez l'alerte, et voyez où est le facteur.\n"
        f"Alerte : {ALERT}\n"
        "\n"
        "English: SOS: carrier C1001, depot 75015A; fall detected, since 2026-07-24 00:59 (Paris)."
        " Open the console, take the alert, and see where the carrier is."
    )
    assert message.short == (
        "SOS: facteur C1001, site 75015A, 24/07 00:59. Prenez l'alerte sur la console. Chute detectee. Ref abcd1234."
    )
    assert message.dedup_key == ALERT


def test_duress_is_said_first_and_that_nobody_calls() -> None:
    message = said(flags=frozenset({Flag.LATE, Flag.DURESS}))

    assert message.headline.startswith("SOS SOUS CONTRAINTE : ")
    assert message.short.startswith("SOS SOUS CONTRAINTE: facteur C1001, site 75015A, 24/07 00:59. Ne pas l'appeler.")
    assert "À savoir : sous contrainte, reçu en retard." in message.text
    for told in ("N'appelez pas le facteur", "SOS UNDER DURESS", "Do not call the carrier"):
        assert told in message.text
    assert message.flags == (Flag.DURESS, Flag.LATE)


@pytest.mark.parametrize("changes", [{"silent": True}, {"flags": frozenset({Flag.DURESS})}])
def test_a_phone_that_must_not_ring_is_called_by_nobody(changes: dict[str, Any]) -> None:
    message = said(**changes)
    assert "Ne pas l'appeler." in message.short
    assert "N'appelez pas" in message.text
    assert "N'appelez pas" in message.advice


def test_a_loud_one_may_be_called() -> None:
    message = said()
    assert "appeler" not in message.short
    assert "appelez" not in message.text
    assert "N'appelez pas" not in message.advice


@pytest.mark.parametrize(("purpose", "word"), [(Purpose.EXERCISE, "EXERCICE - "), (Purpose.SELF_TEST, "ESSAI - ")])
def test_a_drill_is_called_one_wherever_it_is_read(purpose: Purpose, word: str) -> None:
    message = said(purpose=purpose)
    for text in (message.headline, message.text, message.short, message.colleague):
        assert text.startswith(word)
    assert "Personne n'est en danger." in message.text
    assert message.advice.startswith("Personne n'est en danger.")


def test_a_later_step_says_that_nobody_answered() -> None:
    assert "sans réponse" not in said(step=0).text
    assert "Toujours sans réponse, étape 4." in said(step=3).text


def test_who_was_paged_hears_that_it_is_over() -> None:
    message = said(Action.RESOLVE, step=3, flags=frozenset({Flag.DURESS}), silent=True)
    assert message.headline == "SOS clos : facteur C1001, site 75015A"
    assert "Il n'y a plus rien à faire." in message.text
    assert "Prenez" not in message.short
    assert "sans réponse" not in message.text


def test_an_alert_of_a_handset_that_nobody_knows_is_told_all_the_same() -> None:
    assert said(carrier="", depot="").headline == "SOS : facteur inconnu, site inconnu"


def test_every_trigger_and_flag_has_its_words() -> None:
    assert set(TRIGGERS) == set(Trigger)
    assert set(FLAGS) == set(Flag)


def test_every_page_fits_one_sms_and_needs_no_other_alphabet() -> None:
    flags = [frozenset(some) for size in (0, 1, len(Flag)) for some in itertools.combinations(Flag, size)]
    for purpose, trigger, action, some, silent in itertools.product(Purpose, Trigger, Action, flags, (True, False)):
        message = said(
            action, purpose=purpose, trigger=trigger, flags=some, silent=silent, carrier="C" * 20, depot="7" * 10
        )
        assert len(message.short) <= SMS_LENGTH
        assert set(message.short) <= GSM_7_BIT_IN_ASCII
        assert "C" * 20 in message.short
        if action is not Action.RESOLVE and (silent or Flag.DURESS in some):
            assert "Ne pas l'appeler." in message.short


def test_no_page_has_anything_of_the_whereabouts() -> None:
    assert "c2VhbGVk" not in repr(said())


def test_plain_text_has_no_line_of_its_own() -> None:
    assert plain("Été\r\nSubject: €{x}") == "EteSubject: x"
