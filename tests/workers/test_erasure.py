"""Erasure: on its date a data key is destroyed, and nothing that was kept gives the data back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.connectors.tracking.workers import tracking
from chalicelib.core import clock as clocks
from chalicelib.core import journal, keyring, telemetry
from chalicelib.core.events import Event
from chalicelib.core.keyring import KeyRow
from chalicelib.core.progress import ProgressRow
from chalicelib.core.transaction import transaction
from chalicelib.erasure import service
from chalicelib.erasure.workers import erase
from chalicelib.items import rules as item_rules
from chalicelib.items import service as items
from chalicelib.items.schemas import Addressee, Announced
from chalicelib.rounds.workers import sorting
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud, all_models
from tests.support.events import SCHEDULED, announced, deliver, invoke, stream_event
from tests.support.factories import ITEM, an_addressee, an_announcement
from tests.support.races import overtaken

SECRETS = ("MARGUERITE", "DISCRETE", "+33698765432")
SOMEBODY = an_addressee(name="Mme MARGUERITE DUPONT", street="7 RUE DISCRETE", mobile="+33698765432")


def run_erasure() -> None:
    invoke(erase, SCHEDULED)


def a_key(subject: str, keep_until: date) -> str:
    with transaction() as work:
        keyring.create(work, subject, keep_until=keep_until)
    return subject


def subjects() -> set[str]:
    return {row.subject for row in KeyRow.scan() if row.destroy_on}


def days_erased() -> list[date]:
    return sorted(
        date.fromisoformat(row.subject.removeprefix("erasure/"))
        for row in journal.JournalRow.scan(journal.JournalRow.type == "facteo.day.erased")
    )


class TestDate:
    @pytest.mark.parametrize(("days", "there"), [(-1, True), (0, True), (1, False), (20, False)])
    def test_a_key_is_destroyed_when_its_last_day_is_over(
        self, aws: Cloud, clock: FakeClock, days: int, there: bool
    ) -> None:
        last_day = clocks.today() + timedelta(days=30)
        a_key("item/1", last_day)
        clock.advance(days=30 + days)
        run_erasure()
        assert (subjects() == {"item/1"}) is there

    def test_the_day_is_that_of_paris(self, aws: Cloud, clock: FakeClock) -> None:
        a_key("item/1", clocks.today())
        clock.advance(hours=15, minutes=59)
        run_erasure()
        assert subjects() == {"item/1"}
        clock.advance(minutes=2)
        run_erasure()
        assert subjects() == set()

    def test_each_day_is_recorded_once_and_none_is_left_out(self, aws: Cloud, clock: FakeClock) -> None:
        run_erasure()
        first = days_erased()
        clock.advance(days=3)
        run_erasure()
        run_erasure()
        assert days_erased() == [*first, *(first[-1] + timedelta(days=number) for number in (1, 2, 3))]
        assert first[-1] == date(2026, 11, 22)

    def test_a_newer_key_of_the_same_subject_stays(self, aws: Cloud, clock: FakeClock) -> None:
        """The index may still show the old date of a row that has been replaced."""
        old, other = a_key("item/1", clocks.today()), a_key("item/2", clocks.today())
        clock.advance(days=1)
        with overtaken(by=lambda: a_key(old, clocks.today() + timedelta(days=9))):
            service.erase_due()
        assert other not in subjects()
        assert keyring.key_of(old)

    def test_what_a_run_has_no_time_for_the_next_one_does(
        self, aws: Cloud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(5):
            a_key(f"item/{number}", clocks.today())
        clock.advance(days=1)
        monkeypatch.setattr(service, "MAX_ITEMS", 1)
        destroy: Callable[[Any], None] = service._destroy

        def slow(chunk: Any) -> None:
            destroy(chunk)
            clock.advance(minutes=2)

        monkeypatch.setattr(service, "_destroy", slow)
        run_erasure()
        assert len(subjects()) == 3
        run_erasure()
        run_erasure()
        assert subjects() == set()


@pytest.fixture
def kept(aws: Cloud, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """An item went all its way. What stream, queues, logs, tables and a backup of them kept of it."""
    telemetry.logger.setLevel("INFO")
    event = announced(ITEM, addressee=SOMEBODY)
    stream = json.dumps(stream_event(event))
    assert deliver(tracking, [event]) == deliver(sorting, [event]) == []
    queues = json.dumps([message for name in ("tracking", "sorting") for message in aws.messages(name)])
    backup = _dump("keyring")
    telemetry.logger.setLevel("WARNING")

    def everything() -> str:
        return "\n".join((stream, queues, backup, capsys.readouterr().out, _dump()))

    return everything


def _dump(*without: str) -> str:
    tables = {model.table: model for model in all_models() if model.table not in without}
    return "\n".join(str(row.attribute_values) for model in tables.values() for row in model.scan())


class TestNothingGivesItBack:
    def test_nowhere_is_a_name_or_a_street_in_clear(self, kept: Callable[[], str]) -> None:
        everything = kept()
        assert ITEM in everything
        assert not [secret for secret in SECRETS if secret in everything]

    def test_after_its_date_the_journal_opens_nothing_and_still_says_what_happened(
        self, kept: Callable[[], str], clock: FakeClock
    ) -> None:
        [event] = [each for each in journal.read(f"item/{ITEM}") if each.type == "facteo.item.announced"]
        key = keyring.key_of(f"item/{ITEM}")
        assert key.open(event.body(Announced).addressee, Addressee) == SOMEBODY
        clock.advance(days=item_rules.ADDRESSEE_KEPT_FOR.days + 1)

        run_erasure_up_to_now(clock)

        assert f"item/{ITEM}" not in subjects()
        assert items.with_addressee(items.read(ITEM)).addressee is None
        assert items.read(ITEM).announcement

    def test_a_key_that_is_made_anew_does_not_open_what_the_old_one_sealed(
        self, kept: Callable[[], str], clock: FakeClock
    ) -> None:
        event: Event = journal.read(f"item/{ITEM}")[0]
        clock.advance(days=item_rules.ADDRESSEE_KEPT_FOR.days + 1)
        run_erasure_up_to_now(clock)
        a_key(f"item/{ITEM}", clocks.today() + timedelta(days=9))
        with pytest.raises(keyring.KeyGone):
            keyring.key_of(f"item/{ITEM}").open(event.body(Announced).addressee, Addressee)

    def test_guesses_cannot_be_tried_against_what_is_left(self, kept: Callable[[], str], clock: FakeClock) -> None:
        """Whoever knows all of an announcement but the name finds no trace by which to tell that a guess is right."""
        announcement = an_announcement(addressee=SOMEBODY)
        told = items._fingerprint(announcement)
        assert told in kept()
        clock.advance(days=item_rules.ADDRESSEE_KEPT_FOR.days + 1)
        run_erasure_up_to_now(clock)
        keyring.forget()
        assert items._fingerprint(announcement) != told


def run_erasure_up_to_now(clock: FakeClock) -> None:
    """As if the function had run every day."""
    ProgressRow("erasure", through=clock.at - timedelta(days=2)).save()
    run_erasure()
