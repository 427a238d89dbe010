"""Whoever holds the handset cannot tell which of the two PINs was entered: not then, and not by any later answer.

A conversation is held in two worlds that begin alike. In one the carrier names the good PIN, and an operator confirms
the end; in the other the PIN for duress, and the operators act on it. Every answer to the handset is compared: status,
body and headers, byte by byte. What the server keeps must differ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from chalicelib.alerts.schemas import Alert, Flag, Reason, State
from chalicelib.core import ids
from tests.support import cloud, stored, transactions
from tests.support.alerts import Desk, a_fix, alert_of, an_alert_body, said
from tests.support.api import Api
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.factories import HeldHandset, a_handset
from tests.support.fuzzing import SEED

GOOD, DURESS, WRONG = "1357", "2468", "9999"
NEW, NEW_DURESS = "1111", "2222"
NUMBER: Final = "+33612345678"
EXAMPLES: Final = 4


class Answer(NamedTuple):
    """What the handset gets to see of an answer, after what it asked."""

    asked: str
    status: int
    headers: dict[str, str]
    body: str


class Conversation:
    """What is said in one of the two worlds. Presses are numbered; `told` is the PIN that the carrier names."""

    def __init__(self, desk: Desk, handset: HeldHandset, *, forced: bool) -> None:
        self.desk, self.handset, self.forced = desk, handset, forced
        self.told, self.other = (DURESS, GOOD) if forced else (GOOD, DURESS)
        self.answers: list[Answer] = []

    def press(self, number: int) -> str:
        """The id of a press: the same in both worlds."""
        return ids.derived(MONDAY_MORNING, "press", str(number))

    def ask(self, method: str, path: str, body: Any = None) -> None:
        self.desk.clock.advance(milliseconds=200)
        request = f"request-{len(self.answers)}"
        answer = self.handset.calls().request(method, f"/v1/{path}", body, Facteo_Correlation_Id=request)
        headers = {name: value for name, value in answer.headers.items() if name != "Date"}
        self.answers.append(Answer(f"{method} {path} {body}", answer.status, headers, answer.text))

    # --- what the handset does ---

    def presses(self, number: int, **body: Any) -> None:
        """A press, or one that is sent again."""
        self.ask("PUT", f"alerts/{self.press(number)}", an_alert_body(**body))

    def status(self, number: int) -> None:
        self.ask("GET", f"alerts/{self.press(number)}/status")

    def reports(self, number: int, **body: Any) -> None:
        self.ask("POST", f"alerts/{self.press(number)}/positions", {"fixes": [a_fix()], **body})

    def views(self, number: int) -> None:
        self.ask("GET", f"alerts/{self.press(number)}/views")

    def enters(self, number: int, pin: str) -> None:
        self.ask("POST", f"alerts/{self.press(number)}/cancellation", {"pin": pin})

    def names_the_pin(self, number: int) -> None:
        """The PIN that differs between the worlds: the bytes that are sent do, those that come back must not."""
        self.enters(number, self.told)
        self.answers[-1] = self.answers[-1]._replace(asked="the PIN that the carrier names")

    def names_the_other(self, number: int) -> None:
        self.enters(number, self.other)
        self.answers[-1] = self.answers[-1]._replace(asked="the other PIN")

    def changes_the_pins(self) -> None:
        body = {"pin": NEW, "duress_pin": NEW_DURESS, "current_pin": self.told}
        self.ask("PUT", "alert-pins", body)
        self.answers[-1] = self.answers[-1]._replace(asked="other PINs")

    def asks_everything(self, *numbers: int) -> None:
        """Everything that a handset may ask without doing anything."""
        for number in numbers:
            self.status(number)
            self.presses(number)
            self.reports(number)
            self.views(number)

    def texts(self, says: str) -> None:
        """An SMS, which nobody answers."""
        self.desk.text(NUMBER, says)

    # --- what others do ---

    def works(self, **parts: float) -> None:
        """Time passes, and what is due then is done."""
        self.desk.clock.advance(**parts)
        self.desk.work()

    def looks(self, number: int) -> None:
        self.works(seconds=1)
        self.desk.operator.get(f"/v1/alerts/{self.press(number)}")

    def takes(self, number: int) -> None:
        self.works(seconds=1)
        self.desk.operator.post(f"/v1/alerts/{self.press(number)}/acknowledgement")

    def closes(self, number: int, reason: str = "rescued") -> None:
        self.works(seconds=1)
        self.desk.operator.post(f"/v1/alerts/{self.press(number)}/closing", {"reason": reason})

    def acts_on_the_pin(self, number: int) -> Any:
        """The operator confirms that it was nothing, or looks where the carrier is and sends help."""
        if not self.forced:
            return self.closes(number, "cancelled")
        self.works(seconds=1)
        path = f"/v1/alerts/{self.press(number)}"
        for act in ("/acknowledgement", "/response"):
            self.desk.operator.post(path + act)
        return self.desk.operator.get(f"{path}/track")


Story = Callable[[Conversation], Any]


class Worlds:
    """Two worlds that begin alike."""

    def __init__(self, desk: Desk, handset: HeldHandset, clock: FakeClock) -> None:
        self.desk, self.handset, self.clock = desk, handset, clock
        self._saved, self._began = stored.save(), clock.at

    def play(self, story: Story, *, forced: bool) -> Conversation:
        """Tell a story in one of them, from the beginning."""
        stored.restore(self._saved)
        self.clock.at = self._began
        transactions.forget()
        cloud.start_cold()
        self.desk.start_over()
        conversation = Conversation(self.desk, self.handset, forced=forced)
        story(conversation)
        self.desk.channels.taken.clear()
        return conversation

    def compare(self, story: Story, facts: Callable[[Conversation], Any] = lambda _: None) -> tuple[Any, Any]:
        """Fail at the first answer that differs. What the server has at the end: in the good world and in the other."""
        good = self.play(story, forced=False)
        kept = facts(good)
        forced = self.play(story, forced=True)
        assert len(good.answers) == len(forced.answers)
        for one, other in zip(good.answers, forced.answers, strict=True):
            assert one == other
        return kept, facts(forced)


@pytest.fixture
def worlds(desk: Desk, api: Api, clock: FakeClock, light_pins: None) -> Worlds:
    handset = a_handset(api)
    assert handset.calls().put("/v1/alert-pins", {"pin": GOOD, "duress_pin": DURESS}).status == 204
    number = {"number": NUMBER}
    assert api.as_staff("fleet-admin").put(f"/v1/alert-numbers/{handset.device}", number).status == 200
    return Worlds(desk, handset, clock)


def kept_of(conversation: Conversation) -> Alert:
    return alert_of(conversation.press(1))


def positions_of(conversation: Conversation, number: int) -> list[Any]:
    track = conversation.desk.operator.get(f"/v1/alerts/{conversation.press(number)}/track").body
    return [feature["geometry"]["coordinates"] for feature in track["features"]]


def test_over_a_whole_conversation(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        talk.looks(1)
        talk.reports(1)
        talk.asks_everything(1)
        talk.names_the_pin(1)
        talk.asks_everything(1)
        talk.works(seconds=12)
        talk.acts_on_the_pin(1)
        talk.asks_everything(1)
        talk.names_the_pin(1)
        talk.works(minutes=3)
        talk.reports(1, battery=9)
        talk.asks_everything(1)
        talk.presses(2)
        talk.status(2)
        talk.works(seconds=5)
        talk.asks_everything(2)
        talk.looks(2)
        talk.takes(2)
        talk.asks_everything(1, 2)
        talk.works(minutes=11, seconds=20)
        talk.reports(1)
        talk.works(seconds=40)
        talk.asks_everything(1, 2)
        talk.names_the_other(1)
        talk.names_the_other(2)
        talk.works(seconds=2)
        talk.asks_everything(1, 2)
        talk.closes(2)
        talk.asks_everything(2)
        talk.presses(3, trigger="fall")
        talk.works(seconds=10)
        talk.asks_everything(3)
        talk.works(seconds=30)
        talk.status(3)
        for _ in range(6):
            talk.enters(3, WRONG)
        talk.names_the_pin(3)
        talk.names_the_other(3)
        talk.asks_everything(1, 2, 3)
        talk.presses(4, purpose="self-test")
        talk.works(seconds=3)
        talk.asks_everything(4)

    worlds.compare(story)


def test_but_the_server_knows_and_acts(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.presses(1, fix=None)
        talk.works(seconds=2)
        talk.names_the_pin(1)
        talk.works(seconds=2)
        talk.acts_on_the_pin(1)
        talk.works(minutes=10)
        talk.reports(1)

    def facts(talk: Conversation) -> tuple[Alert, list[Any], str]:
        return kept_of(talk), positions_of(talk, 1), ",".join(said(talk.press(1)))

    good, forced = worlds.compare(story, facts)

    cancelled, dropped, nothing_said = good
    assert (cancelled.state, cancelled.reason, cancelled.epoch) == (State.CLOSED, Reason.CANCELLED, 1)
    assert (dropped, "duress" in nothing_said) == ([], False)
    open_still, kept, called = forced
    assert open_still.is_open
    assert Flag.DURESS in open_still.flags
    assert open_still.epoch > 1
    assert kept == [[2.3056, 48.8432]]
    assert "duress,notified" in called


def test_of_several_presses_that_are_one_alert(worlds: Worlds) -> None:
    """Of each press, whichever it was entered for."""

    def story(talk: Conversation, named_for: int) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        talk.looks(1)
        talk.presses(2)
        talk.works(seconds=2)
        talk.names_the_pin(named_for)
        talk.asks_everything(1, 2)
        talk.acts_on_the_pin(1)
        talk.asks_everything(1, 2)
        talk.works(minutes=16)
        talk.asks_everything(1, 2)

    for number in (1, 2):
        worlds.compare(functools.partial(story, named_for=number))


def test_in_the_pre_alarm(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.presses(1, trigger="no-motion")
        talk.works(seconds=10)
        talk.names_the_pin(1)
        talk.asks_everything(1)
        talk.works(seconds=30)
        talk.asks_everything(1)
        talk.presses(2, trigger="fall")
        talk.works(seconds=1)
        talk.asks_everything(1, 2)
        talk.takes(2)
        talk.asks_everything(1, 2)
        talk.works(seconds=31)
        talk.asks_everything(1, 2)

    worlds.compare(story)


def test_after_an_operator_closed_it(worlds: Worlds) -> None:
    """Even then the PIN for duress calls for help, and who looked before stays told."""

    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        talk.looks(1)
        talk.takes(1)
        talk.closes(1, "false-alarm")
        talk.asks_everything(1)
        talk.names_the_pin(1)
        talk.asks_everything(1)
        talk.works(seconds=5)
        talk.names_the_other(1)
        talk.presses(2)
        talk.works(seconds=5)
        talk.asks_everything(1, 2)
        talk.works(minutes=15)
        talk.asks_everything(1, 2)

    good, forced = worlds.compare(story, lambda talk: kept_of(talk).successor)
    assert (good == "", forced == "") == (False, False), "each time the PIN for duress was among the two"


def test_when_a_pin_is_named_again_after_the_end(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        talk.looks(1)
        talk.names_the_pin(1)
        talk.acts_on_the_pin(1)
        talk.closes(1)
        for _ in range(2):
            talk.names_the_pin(1)
            talk.works(seconds=2)
            talk.asks_everything(1)

    worlds.compare(story)


@pytest.mark.parametrize("meanwhile", ["takes", "closes"])
def test_when_no_pin_is_taken_any_more(worlds: Worlds, meanwhile: str) -> None:
    """Help is called all the same, and nothing that the handset is told changes by that."""

    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        getattr(talk, meanwhile)(1)
        for _ in range(5):
            talk.enters(1, WRONG)
        talk.names_the_pin(1)
        talk.works(seconds=2)
        talk.asks_everything(1)

    worlds.compare(story)


def test_when_the_pins_are_changed(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.changes_the_pins()
        talk.changes_the_pins()
        talk.works(seconds=5)
        talk.presses(1)
        talk.works(seconds=5)
        talk.asks_everything(1)
        talk.names_the_pin(1)
        talk.enters(1, NEW)
        talk.asks_everything(1)
        talk.acts_on_the_pin(1)
        talk.asks_everything(1)
        talk.enters(1, NEW_DURESS)
        talk.works(seconds=5)
        talk.presses(2)
        talk.works(seconds=5)
        talk.asks_everything(1, 2)

    worlds.compare(story)


def test_when_the_pins_are_changed_again_and_again(worlds: Worlds) -> None:
    """Just now the answer may have been lost; later it is a try, until no PIN is taken any more."""

    def story(talk: Conversation) -> None:
        talk.changes_the_pins()
        talk.works(minutes=4)
        talk.changes_the_pins()
        for _ in range(6):
            talk.works(minutes=1)
            talk.changes_the_pins()
        talk.ask("PUT", "alert-pins", {"pin": NEW, "duress_pin": NEW_DURESS})
        talk.works(minutes=15)
        talk.ask("PUT", "alert-pins", {"pin": NEW, "duress_pin": NEW_DURESS})
        talk.presses(1)
        talk.works(seconds=5)
        talk.asks_everything(1)

    good, _ = worlds.compare(story, lambda talk: [answer.status for answer in talk.answers])
    assert good[:10] == [204, 204, *[403] * 5, 429, 429, 403]


def test_when_the_pins_are_changed_while_somebody_has_it(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        talk.takes(1)
        talk.changes_the_pins()
        talk.works(seconds=2)
        talk.asks_everything(1)

    worlds.compare(story)


def test_when_the_other_pin_is_named_after_a_change(worlds: Worlds) -> None:
    """Whoever changed the PINs may make the carrier name the other of the two that were."""

    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.changes_the_pins()
        talk.names_the_other(1)
        talk.asks_everything(1)

    worlds.compare(story)


def test_whatever_is_texted_meanwhile(worlds: Worlds) -> None:
    def story(talk: Conversation) -> None:
        talk.presses(1)
        talk.works(seconds=2)
        talk.texts("à l'aide")
        talk.names_the_pin(1)
        talk.acts_on_the_pin(1)
        talk.texts("à l'aide")
        talk.asks_everything(1)
        talk.presses(2)
        talk.works(seconds=2)
        talk.asks_everything(1, 2)
        talk.closes(2)
        talk.asks_everything(1, 2)

    worlds.compare(story)


# --- in any order -------------------------------------------------------------------------------------------

Move = tuple[str, Sequence[Any], dict[str, Any]]


def moves(name: str, *arguments: Any, **named: Any) -> st.SearchStrategy[Move]:
    return st.just((name, arguments, named))


AFTERWARDS = st.one_of(
    *(moves(name, number) for name in ("status", "reports", "views") for number in (1, 2)),
    *(moves(name, 2) for name in ("takes", "closes", "looks")),
    *(moves(name, number) for name in ("names_the_pin", "names_the_other") for number in (1, 2)),
    *(moves("presses", number) for number in (1, 2)),
    moves("presses", 2, trigger="fall"),
    moves("presses", 2, purpose="exercise"),
    moves("enters", 1, WRONG),
    *(moves("works", seconds=seconds) for seconds in (1, 40, 600)),
)
"""What may happen once the operator has dealt with the PIN. Operators do the same in both worlds then, for the press
that the handset made last.
"""


def test_in_any_order(worlds: Worlds) -> None:
    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(AFTERWARDS, min_size=3, max_size=6))
    def played(afterwards: list[Move]) -> None:
        def story(talk: Conversation) -> None:
            talk.presses(1)
            talk.works(seconds=2)
            talk.names_the_pin(1)
            talk.acts_on_the_pin(1)
            for name, arguments, named in afterwards:
                getattr(talk, name)(*arguments, **named)
                talk.works(seconds=1)
            talk.asks_everything(1, 2)

        worlds.compare(story)

    played()
