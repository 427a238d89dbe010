"""Announcing items: each announcement once, whatever file it comes in and whatever breaks on the way."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chalicelib.core import clock as clocks
from chalicelib.core import journal, keyring
from chalicelib.core.events import Event
from chalicelib.core.intake import Taken
from chalicelib.core.journal import JournalRow
from chalicelib.items import announced as announced_items
from chalicelib.items import rules, service
from chalicelib.items.schemas import Announced, Announcement, Status
from chalicelib.items.tables import ItemRow
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import ITEM, an_addressee, an_announcement, an_item
from tests.support.races import overtaken


def announce(*announcements: Announcement, delivery: str = "import/1/1") -> list[Taken]:
    return service.announce(announcements, actor="legacy/announcements", correlation_id=delivery)


def events_of(item: str = ITEM) -> list[Event]:
    return journal.read(rules.subject_of(item))


def announced(item: str = ITEM) -> Announced:
    """What counts of the item's announcements: its history and its row say the same."""
    by_events = service.read(item).announcement
    assert by_events == announced_items.facts_of([item])[item]
    assert by_events is not None
    return by_events


def many(count: int) -> Sequence[Announcement]:
    return [an_announcement(item=an_item()) for _ in range(count)]


class TestAnnouncing:
    def test_an_announced_item_is_known_with_its_facts(self, aws: Cloud) -> None:
        assert announce(an_announcement()) == [Taken.RECORDED]

        history = service.with_addressee(service.read(ITEM))
        assert (history.status, history.addressee) == (Status.ANNOUNCED, an_addressee())
        assert announced().reference == "64004504"

    def test_names_and_addresses_are_stored_sealed_only(self, aws: Cloud) -> None:
        announce(an_announcement(addressee=an_addressee(name="M. SECRET")))

        kept = [row.event for row in JournalRow.scan()] + [row.announced for row in ItemRow.scan()]
        assert len(kept) == 2
        assert not [text for text in kept if "SECRET" in text or "PAIX" in text]

    def test_a_number_that_comes_back_is_read_as_long_as_a_new_one(self, aws: Cloud, clock: FakeClock) -> None:
        announce(an_announcement(handed_over_on=clocks.today()))
        clock.advance(days=399)
        announce(an_announcement(handed_over_on=clocks.today(), addressee=an_addressee(name="M. NOUVEAU")))
        clock.advance(days=rules.ADDRESSEE_KEPT_FOR.days)

        addressee = service.with_addressee(service.read(ITEM)).addressee
        assert addressee is not None
        assert addressee.name == "M. NOUVEAU"

    def test_an_address_corrected_meanwhile_keeps_its_key(self, aws: Cloud, clock: FakeClock) -> None:
        announce(an_announcement())
        clock.advance(days=40)
        announce(an_announcement(addressee=an_addressee(street="14 RUE DE LA PAIX")))

        key = keyring.key_of(rules.subject_of(ITEM))
        assert all(key.open(event.body(Announced).addressee, type(an_addressee())) for event in events_of())

    def test_the_same_again_writes_nothing(self, aws: Cloud) -> None:
        announce(an_announcement())

        with aws.counting() as calls:
            assert announce(an_announcement()) == [Taken.REPEATED]
            assert announce(an_announcement(), delivery="import/2/1") == [Taken.DUPLICATE]
        assert "TransactWriteItems" not in calls
        assert len(events_of()) == 1

    def test_a_changed_announcement_is_a_new_one_and_counts(self, aws: Cloud, clock: FakeClock) -> None:
        announce(an_announcement())
        clock.advance(minutes=1)

        moved = an_announcement(addressee=an_addressee(street="1 QUAI BRANLY"))
        assert announce(moved, delivery="import/2/1") == [Taken.RECORDED]

        assert len(events_of()) == 2
        assert service.with_addressee(service.read(ITEM)).addressee == moved.addressee
        assert announced_items.facts_of([ITEM])[ITEM] == announced()

    def test_the_same_twice_in_one_call_is_recorded_once(self, aws: Cloud) -> None:
        assert announce(an_announcement(), an_announcement()) == [Taken.RECORDED, Taken.DUPLICATE]
        assert announce(an_announcement(), an_announcement()) == [Taken.REPEATED, Taken.DUPLICATE]
        assert len(events_of()) == 1

    def test_one_item_announced_twice_in_one_call_has_two_events_and_one_row(self, aws: Cloud) -> None:
        for number in range(8):
            item = an_item()
            both = [an_announcement(item=item, reference=name) for name in (f"A{number}", f"B{number}")]
            assert announce(*both) == [Taken.RECORDED, Taken.RECORDED]
            assert len(events_of(item)) == 2
            assert announced(item).reference in {f"A{number}", f"B{number}"}

    def test_an_item_number_used_again_after_the_retention_is_sealed_anew(self, aws: Cloud, clock: FakeClock) -> None:
        announce(an_announcement())
        clock.advance(days=rules.ADDRESSEE_KEPT_FOR.days + 1)

        announce(an_announcement(addressee=an_addressee(name="M. NOUVEAU")))

        addressee = service.with_addressee(service.read(ITEM)).addressee
        assert addressee is not None
        assert addressee.name == "M. NOUVEAU"

    def test_a_hundred_cost_sixteen_calls(self, aws: Cloud) -> None:
        """For each 25: three reads and a transaction."""
        announce(an_announcement())
        announcements = many(100)

        with aws.counting() as calls:
            assert announce(*announcements) == [Taken.RECORDED] * 100
        assert calls == {"BatchGetItem": 12, "TransactWriteItems": 4}

    def test_the_facts_of_a_hundred_items_cost_one_call(self, aws: Cloud) -> None:
        announcements = many(99)
        announce(*announcements)
        items = [one.item for one in announcements]

        with aws.counting() as calls:
            assert set(announced_items.facts_of([*items, *items, ITEM])) == set(items)
        assert calls == {"BatchGetItem": 1}


class TestTwoAtOnce:
    def test_two_deliveries_of_the_same_record_it_once(self, aws: Cloud) -> None:
        with overtaken(by=lambda: announce(an_announcement(), delivery="import/2/1")):
            assert announce(an_announcement()) == [Taken.DUPLICATE]
        assert len(events_of()) == 1

    def test_two_announcements_of_one_item_are_both_kept(self, aws: Cloud, clock: FakeClock) -> None:
        def other() -> None:
            clock.advance(seconds=-1)
            announce(an_announcement(reference="OTHER"), delivery="import/2/1")
            clock.advance(seconds=1)

        with overtaken(by=other):
            assert announce(an_announcement()) == [Taken.RECORDED]
        assert len(events_of()) == 2
        assert announced().reference == "64004504"
        for event in events_of():
            keyring.key_of(rules.subject_of(ITEM)).open(event.body(Announced).addressee, type(an_addressee()))


def test_a_history_without_an_announcement_needs_no_key(aws: Cloud) -> None:
    history = rules.fold(ITEM, [])
    with aws.counting() as calls:
        assert service.with_addressee(history) == msgspec.structs.replace(history, addressee=None)
    assert not calls
