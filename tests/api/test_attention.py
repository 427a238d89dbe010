"""The work list of a depot: what waits there, who shortens it, and that nothing of it is lost or done twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind
from chalicelib.attention.tables import AttentionRow
from chalicelib.core import ids, journal
from chalicelib.core.events import Event
from chalicelib.core.transaction import transaction
from tests.support.acts import RegisteredPost
from tests.support.api import Answered, Api, Caller
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event
from tests.support.factories import DEPOT
from tests.support.races import contended, overtaken

LIST = f"/v1/depots/{DEPOT}/attention"
NOTE = "The sender was asked for the announcement."


@pytest.fixture
def manager(api: Api) -> Caller:
    return api.as_staff("depot-manager", scope=f"depot/{DEPOT}", sub="manager-1")


@pytest.fixture
def other(api: Api) -> Caller:
    return api.as_staff("depot-manager", scope=f"depot/{DEPOT}", sub="manager-2")


@pytest.fixture
def lacking(api: Api) -> Event:
    """A handing over without a document."""
    post = RegisteredPost(api)
    item = post.item()
    return post.hand_over(item, **post.act(item, document=None))


def entry_of(caller: Caller) -> Any:
    [entry] = caller.get(LIST).body["entries"]
    return entry


def handles(caller: Caller, entry: str, note: str = NOTE) -> Answered:
    return caller.post(f"{LIST}/{entry}/handling", {"note": note})


def a_matter(**changes: Any) -> Matter:
    return Matter(Kind.PROOF, "proof/1", an_item_event("facteo.item.handed-over", **changes), flags=["other-depot"])


def raised(*matters: Matter) -> None:
    for matter in matters:
        with transaction() as work:
            raising.raise_(work, matter)


def test_it_says_what_is_to_be_looked_at_and_names_nobody(manager: Caller, lacking: Event, aws: Cloud) -> None:
    with aws.counting() as calls:
        answer = manager.get(LIST)

    assert answer.body["entries"] == [
        {
            "id": answer.body["entries"][0]["id"],
            "kind": "proof",
            "subject": f"proof/{lacking.id}",
            "item": lacking.subject.removeprefix("item/"),
            "missing": ["document"],
            "flags": [],
            "happened_at": "2026-11-23T07:00:00Z",
        }
    ]
    assert calls == {"Query": 1}


def test_the_same_twice_is_one_entry(manager: Caller, aws: Cloud) -> None:
    matter = a_matter()
    raised(matter, matter)

    assert entry_of(manager)["flags"] == ["other-depot"]


def test_pages_of_a_hundred_the_oldest_first(manager: Caller, clock: FakeClock) -> None:
    matters = [a_matter(at=clock.at - timedelta(minutes=minutes)) for minutes in range(101)]
    raised(*matters)

    first = manager.get(LIST).body
    second = manager.get(LIST, after=first["after"]).body

    found = [one["id"] for page in (first, second) for one in page["entries"]]
    assert found == [matter.key[1] for matter in reversed(matters)]
    assert (len(first["entries"]), second["after"]) == (100, None)


def test_an_entry_is_kept_for_a_year_at_most(manager: Caller, lacking: Event, clock: FakeClock) -> None:
    [row] = AttentionRow.scan()
    assert row.expires_at == (clock.at + timedelta(days=365)).replace(microsecond=0)


class TestHandling:
    def test_it_goes_off_the_list_and_stands_in_the_journal(self, manager: Caller, lacking: Event, aws: Cloud) -> None:
        entry = entry_of(manager)
        with aws.counting() as calls:
            answer = handles(manager, entry["id"])
        assert calls == {"GetItem": 1, "TransactWriteItems": 1}

        assert (answer.status, answer.body["note"], answer.body["missing"]) == (200, NOTE, ["document"])
        assert manager.get(LIST).body == {"entries": [], "after": None}
        [event] = [one for one in journal.read(f"proof/{lacking.id}") if one.type == "facteo.attention.handled"]
        assert (event.actor, event.place) == ("staff/manager-1", f"depot/{DEPOT}")

    def test_said_again_the_answer_is_the_same(self, manager: Caller, lacking: Event) -> None:
        entry = entry_of(manager)["id"]

        first, second = handles(manager, entry), handles(manager, entry)

        assert (second.status, second.text) == (first.status, first.text)
        assert [one.type for one in journal.read(f"proof/{lacking.id}")].count("facteo.attention.handled") == 1

    def test_somebody_else_or_another_note_comes_too_late(self, manager: Caller, other: Caller, lacking: Event) -> None:
        entry = entry_of(manager)["id"]
        handles(manager, entry)

        for answer in (handles(other, entry), handles(manager, entry, "Something else was done.")):
            assert answer.problem == "conflict"
            assert "staff/manager-1" in answer.body["detail"]
        assert [one.type for one in journal.read(f"proof/{lacking.id}")].count("facteo.attention.handled") == 1

    @pytest.mark.parametrize("racing", [overtaken, contended])
    def test_two_at_once(self, racing: Any, manager: Caller, other: Caller, lacking: Event) -> None:
        entry, answers = entry_of(manager)["id"], []

        with racing(by=lambda: answers.append(handles(other, entry))):
            answers.append(handles(manager, entry))

        assert sorted(answer.status for answer in answers) == [200, 409]
        assert {answer.problem for answer in answers} == {"", "conflict"}
        assert [one.type for one in journal.read(f"proof/{lacking.id}")].count("facteo.attention.handled") == 1

    def test_what_was_never_raised(self, manager: Caller) -> None:
        assert handles(manager, ids.new()).problem == "not-found"

    def test_what_is_another_depots(self, api: Api, manager: Caller, lacking: Event) -> None:
        entry = entry_of(manager)["id"]
        theirs = f"/v1/depots/75018A/attention/{entry}/handling"
        manager_of_both = api.as_staff("depot-manager", scope=f"depot/{DEPOT} depot/75018A")

        assert manager_of_both.post(theirs, {"note": NOTE}).problem == "not-found"
        handles(manager, entry)
        assert manager_of_both.post(theirs, {"note": NOTE}).problem == "not-found"

    @pytest.mark.parametrize(
        "body", [{}, {"note": ""}, {"note": "ok"}, {"note": "x" * 201}, {"note": NOTE, "by": "me"}]
    )
    def test_without_a_word_of_what_was_done_it_stays(self, manager: Caller, lacking: Event, body: Any) -> None:
        entry = entry_of(manager)

        assert manager.post(f"{LIST}/{entry['id']}/handling", body).problem == "request-invalid"
        assert entry_of(manager) == entry
