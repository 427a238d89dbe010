"""Redirections over HTTP: carrier support registers them, the print shop mails codes, handsets ask at the door."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from chalicelib.addresses import index
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core import ids, journal
from chalicelib.core.journal import JournalRow
from chalicelib.core.keyring import KeyRow
from chalicelib.redirections import conditions, lookups
from chalicelib.redirections.schemas import RedirectionsSearched
from chalicelib.redirections.tables import AddressRow, RedirectionRow
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud, start_cold
from tests.support.dynamodb import error, refusing, sent
from tests.support.events import announced
from tests.support.factories import ITEM, HeldHandset, a_handset, an_addressee, an_item
from tests.support.logs import logged
from tests.support.races import contended, overtaken
from tests.support.redirections import ANNE, HELENE, OLD, PAUL, START, Desk, a_request, an_address, in_days

DOCUMENT = {"beneficiary": 0, "kind": "passport"}
NEVER_ANNOUNCED = an_item()


@pytest.fixture
def desk(api: Api) -> Desk:
    return Desk(api)


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def events_of(redirection: str) -> list[str]:
    """What happened to it, in the alphabet's order: the clock of a test stands still."""
    found = journal.read(f"redirection/{redirection}")
    return sorted(event.type.removeprefix("facteo.redirection.") for event in found)


def journal_size() -> int:
    return len(list(JournalRow.scan()))


def until_active(clock: FakeClock) -> None:
    """To nine o'clock on the first day that can be agreed on the tests' morning."""
    clock.at = datetime.fromisoformat(f"{START}T09:00:00+01:00")


def asked(handset: HeldHandset, **changes: Any) -> Any:
    """What a handset is told of an item at the rue de la Paix."""
    told = {"address": OLD, "name": "MME HELENE LEFEVRE"} | changes
    answer = handset.calls().post("/v1/redirection-checks", {name: value for name, value in told.items() if value})
    assert answer.status == 200, answer.text
    return answer.body


class TestRequest:
    def test_waits_for_the_code_that_is_mailed(self, desk: Desk) -> None:
        redirection = desk.requested()

        found = desk.read(redirection)

        assert (found["state"], found["revision"], found["reach"]) == ("pending-verification", 1, "national")
        assert (found["start"], found["end"], found["remind_on"]) == (START, "2027-05-25", "2027-05-15")
        assert found["code"] == {"number": 1, "valid_until": "2026-12-23T07:00:00Z", "attempts_left": 5}
        assert found["parties"]["beneficiaries"][0]["last_name"] == "Lefèvre"
        assert events_of(redirection) == ["code-issued", "requested"]

    def test_is_stored_and_journalled_sealed_only(self, desk: Desk) -> None:
        redirection = desk.requested()
        code = desk.code(redirection)

        rows = [row.record + (row.code or "") for row in RedirectionRow.scan() if row.pk.startswith("redirection/")]
        rows += [row.contracts for row in AddressRow.scan() if row.pk.startswith("address/")]
        rows += [row.event for row in JournalRow.scan()]

        assert len(rows) > 4
        assert not [row for row in rows for word in ("Lefèvre", "LEFEVRE", "LA PAIX", "MERCIERE", code) if word in row]

    def test_the_same_again_gets_the_same_answer(self, desk: Desk, clock: FakeClock) -> None:
        redirection, body = ids.new(), {"new_address": an_address()}
        first, before = desk.puts(redirection, **body), journal_size()
        clock.advance(days=2)

        again = desk.puts(redirection, **body)

        assert (first.status, again.status, again.body) == (200, 200, first.body)
        assert journal_size() == before

    def test_another_one_under_the_same_id_is_refused(self, desk: Desk) -> None:
        redirection = desk.requested()

        answer = desk.puts(redirection, months=12)

        assert (answer.status, answer.problem) == (409, "conflict")
        assert events_of(redirection) == ["code-issued", "requested"]

    @pytest.mark.parametrize(
        ("changes", "status", "problem"),
        [
            ({"start": "2026-11-25"}, 422, "start-not-offered"),
            ({"start": "2026-11-01"}, 422, "start-not-offered"),
            ({"start": "9999-12-31"}, 422, "start-not-offered"),
            ({"months": 7}, 422, "duration-not-offered"),
            ({"months": None, "end": "2027-05-25"}, 422, "duration-not-offered"),
            ({"kind": "temporary", "months": None, "end": "2026-12-09"}, 422, "duration-not-offered"),
            ({"kind": "temporary", "months": None, "end": "2027-11-26"}, 422, "duration-not-offered"),
            ({"kind": "temporary", "months": None, "end": "9999-12-31"}, 422, "duration-not-offered"),
            ({"kind": "hold", "new_address": None, "months": 3}, 422, "duration-not-offered"),
            ({"old_address": an_address(country="BE")}, 422, "address-not-served"),
            ({"new_address": OLD | {"apartment": "APT 7"}}, 422, "redirection-loop"),
            ({"months": None}, 400, "request-invalid"),
            ({"end": "2027-05-25"}, 400, "request-invalid"),
            ({"kind": "hold", "months": 1}, 400, "request-invalid"),
            ({"new_address": None}, 400, "request-invalid"),
            ({"beneficiaries": []}, 400, "request-invalid"),
            ({"beneficiaries": [{"company": "SARL X"}]}, 400, "request-invalid"),
            ({"scope": "company"}, 400, "request-invalid"),
            ({"minors": [1]}, 400, "request-invalid"),
            ({"suspended": True}, 400, "request-invalid"),
        ],
    )
    def test_what_cannot_be_agreed_is_a_clear_problem(
        self, desk: Desk, changes: dict[str, Any], status: int, problem: str
    ) -> None:
        answer = desk.puts(ids.new(), **changes)

        assert (answer.status, answer.problem) == (status, problem)
        assert journal_size() == 0

    def test_says_from_when_it_may_start(self, desk: Desk) -> None:
        assert desk.puts(ids.new(), start="2026-11-24").body["first"] == START

    def test_a_contract_abroad_is_international(self, desk: Desk) -> None:
        abroad = desk.requested(new_address=an_address(country="BE", postcode="1000"))
        overseas = desk.requested(beneficiaries=[ANNE], new_address=an_address(country="RE", postcode="97400"))

        assert [desk.read(one)["reach"] for one in (abroad, overseas)] == ["international", "national"]


class TestBesideOthers:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({}, {}),
            ({}, {"beneficiaries": [ANNE, HELENE]}),
            ({}, {"scope": "household", "beneficiaries": [PAUL]}),
            ({"scope": "household", "beneficiaries": [PAUL]}, {}),
            ({}, {"kind": "hold", "new_address": None, "months": None, "start": "2027-05-25", "end": "2027-05-26"}),
        ],
    )
    def test_the_same_people_have_one_at_a_time(
        self, desk: Desk, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        there = desk.requested(**first)

        answer = desk.puts(ids.new(), **second)

        assert (answer.status, answer.problem) == (409, "overlapping-contract")
        assert answer.body["redirection"] == there

    @pytest.mark.parametrize(
        "second",
        [
            {"beneficiaries": [PAUL]},
            {"beneficiaries": [ANNE], "scope": "household"},
            {"start": "2027-05-26"},
            {"old_address": OLD | {"apartment": "APT 7"}, "scope": "household"},
        ],
    )
    def test_others_and_other_days_fit_beside_it(self, desk: Desk, second: dict[str, Any]) -> None:
        desk.requested(old_address=OLD | {"apartment": "APT 3"})
        desk.requested(**({"old_address": OLD | {"apartment": "APT 3"}} | second))

    def test_what_is_refused_or_cancelled_is_in_nobodys_way(self, desk: Desk) -> None:
        assert desk.posts(desk.requested(), "cancellation").status == 200
        assert desk.posts(desk.requested(), "refusal", reason="fraud-suspected").status == 200
        desk.requested()

    def test_a_way_back_is_refused(self, desk: Desk) -> None:
        there, between = an_address(), an_address()
        desk.verified(old_address=there, new_address=between)
        desk.requested(old_address=between, new_address=OLD, scope="household")

        answer = desk.puts(ids.new(), new_address=there)

        assert (answer.status, answer.problem) == (422, "redirection-loop")
        assert desk.puts(ids.new(), new_address=there, beneficiaries=[ANNE]).status == 200, "she has no way back"

    def test_four_in_a_row_are_too_many(self, desk: Desk) -> None:
        houses = [an_address() for _ in range(4)]
        for old, new in pairwise(houses):
            desk.requested(old_address=old, new_address=new)

        answer = desk.puts(ids.new(), new_address=houses[0])

        assert (answer.status, answer.problem) == (422, "redirection-chain-too-long")

    def test_an_address_takes_so_many_and_forgets_those_that_are_over_first(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conditions, "MAX_CONTRACTS", 2)
        first, second = desk.requested(), desk.requested(beneficiaries=[PAUL], start=in_days(30))

        full = desk.puts(ids.new(), beneficiaries=[ANNE])
        desk.posts(second, "cancellation")
        third = desk.requested(beneficiaries=[ANNE])

        assert (full.status, full.problem) == (409, "too-many-redirections")
        found = desk.support.post("/v1/redirection-searches", {"address": OLD}).body["redirections"]
        assert {one["id"] for one in found} == {first, third}
        assert desk.read(second)["state"] == "cancelled"

    def test_of_two_at_once_one_is_refused(self, desk: Desk) -> None:
        desk.requested(old_address=an_address())  # the keys that all of them share
        mine = ids.new()
        with overtaken(by=desk.requested):
            answer = desk.puts(mine)

        assert (answer.status, answer.problem) == (409, "overlapping-contract")
        assert desk.support.get(f"/v1/redirections/{mine}").status == 404

    def test_two_at_once_for_others_are_both_taken(self, desk: Desk) -> None:
        desk.requested(old_address=an_address())  # the keys that all of them share
        with contended(by=lambda: desk.requested(beneficiaries=[ANNE])):
            desk.requested()

        found = desk.support.post("/v1/redirection-searches", {"address": OLD}).body["redirections"]
        assert len(found) == 2

    def test_two_at_once_do_not_close_a_loop(self, desk: Desk) -> None:
        there = an_address()
        desk.requested(old_address=an_address())  # the keys that all of them share
        with overtaken(by=lambda: desk.requested(old_address=there, new_address=OLD)):
            answer = desk.puts(ids.new(), new_address=there)

        assert answer.problem == "redirection-loop"


class TestVerification:
    def test_by_the_code_of_the_letter(self, desk: Desk, clock: FakeClock) -> None:
        redirection = desk.requested()
        code = desk.code(redirection)

        answer = desk.posts(redirection, "verification", code=f" {code[:4].lower()}-{code[4:]}")

        assert (answer.status, answer.body["state"], answer.body["revision"]) == (200, "scheduled", 2)
        assert (answer.body["method"], answer.body["code"]) == ("code", None)
        assert events_of(redirection) == ["code-issued", "letter-read", "requested", "verified"]
        until_active(clock)
        assert desk.read(redirection)["state"] == "active"

    @pytest.mark.parametrize(
        "body",
        [
            {"method": "digital-identity"},
            {"method": "identity-documents", "documents": [DOCUMENT, DOCUMENT | {"beneficiary": 1}]},
        ],
    )
    def test_by_another_method_without_a_code(self, desk: Desk, body: dict[str, Any]) -> None:
        redirection = desk.requested(beneficiaries=[HELENE, PAUL, ANNE], minors=[2], by_code=False)
        assert desk.read(redirection)["state"] == "requested"

        answer = desk.posts(redirection, "verification", **body)

        assert (answer.status, answer.body["state"], answer.body["method"]) == (200, "scheduled", body["method"])
        assert events_of(redirection) == ["requested", "verified"]

    @pytest.mark.parametrize(
        ("body", "status", "problem"),
        [
            ({"method": "identity-documents", "documents": [DOCUMENT]}, 422, "identity-incomplete"),
            ({"method": "identity-documents", "documents": [DOCUMENT | {"beneficiary": 9}]}, 400, "request-invalid"),
            ({"method": "identity-documents"}, 400, "request-invalid"),
            ({"method": "renewal"}, 400, "request-invalid"),
            ({"method": "code"}, 400, "request-invalid"),
            ({}, 400, "request-invalid"),
            ({"code": "ABCDEFGH"}, 409, "conflict"),
        ],
    )
    def test_without_enough_proof_nothing_is_verified(
        self, desk: Desk, body: dict[str, Any], status: int, problem: str
    ) -> None:
        redirection = desk.requested(beneficiaries=[HELENE, PAUL], by_code=False)

        answer = desk.posts(redirection, "verification", **body)

        assert (answer.status, answer.problem) == (status, problem)
        assert events_of(redirection) == ["requested"]

    def test_once_verified_it_stays_so(self, desk: Desk) -> None:
        redirection = desk.verified()
        first, before = desk.read(redirection), journal_size()

        again = desk.posts(redirection, "verification", code="WRONGONE")

        assert (again.status, again.body) == (200, first)
        assert journal_size() == before

    def test_a_wrong_code_is_counted_and_five_use_it_up(self, desk: Desk) -> None:
        redirection = desk.requested()
        code = desk.code(redirection)

        answers = [desk.posts(redirection, "verification", code="WRONGONE") for _ in range(5)]
        right = desk.posts(redirection, "verification", code=code)

        assert [answer.body["attempts_left"] for answer in answers] == [4, 3, 2, 1, 0]
        assert {answer.problem for answer in answers} == {"code-wrong"}
        assert (right.status, right.problem) == (409, "code-exhausted")
        assert events_of(redirection).count("verification-failed") == 5

    def test_guessing_in_parallel_gets_no_more_attempts(self, desk: Desk) -> None:
        redirection = desk.requested()
        told: list[str] = []

        def guess() -> None:
            told.append(desk.posts(redirection, "verification", code="WRONGONE").problem)

        for _ in range(3):
            with overtaken(by=guess):
                guess()

        assert told == ["code-wrong"] * 5 + ["code-exhausted"]
        assert events_of(redirection).count("verification-failed") == 5

    def test_a_new_code_takes_the_place_of_the_old_one(self, desk: Desk) -> None:
        redirection = desk.requested()
        old = desk.code(redirection)
        for _ in range(5):
            desk.posts(redirection, "verification", code="WRONGONE")

        answers = [desk.posts(redirection, "code", replaces=1) for _ in range(2)]
        new = desk.code(redirection)

        assert [answer.body["code"]["number"] for answer in answers] == [2, 2], "the second one is a repeat"
        assert new != old
        assert desk.posts(redirection, "verification", code=old).problem == "code-wrong"
        assert desk.posts(redirection, "verification", code=new).body["state"] == "scheduled"
        assert events_of(redirection).count("code-issued") == 2

    def test_a_code_of_another_number_is_not_replaced(self, desk: Desk) -> None:
        redirection = desk.requested()
        assert desk.posts(redirection, "code", replaces=4).problem == "conflict"
        assert desk.posts(desk.verified(beneficiaries=[ANNE]), "code", replaces=0).problem == "conflict"

    @pytest.mark.parametrize(("days", "status"), [(30, 200), (30.01, 409)])
    def test_a_code_is_valid_for_30_days(self, desk: Desk, clock: FakeClock, days: float, status: int) -> None:
        redirection = desk.requested()
        code = desk.code(redirection)
        clock.advance(days=days)

        answer = desk.posts(redirection, "verification", code=code)

        assert answer.status == status
        assert answer.problem == ("code-expired" if status == 409 else "")

    def test_the_letter_is_for_the_old_address_and_must_not_be_forwarded(self, desk: Desk) -> None:
        redirection = desk.requested(old_address=OLD | {"apartment": "Apt 3"})

        letter = desk.ops.get(f"/v1/redirections/{redirection}/letter").body

        assert letter["lines"] == ["Hélène Lefèvre", "Apt 3", "12 RUE DE LA PAIX", "75015 PARIS"]
        assert letter["mark"] == "NE PAS RÉEXPÉDIER"
        assert len(letter["code"]) == 8
        assert set(letter["code"]) <= set(conditions.CODE_ALPHABET)

    def test_whoever_registers_does_not_see_the_code(self, desk: Desk, api: Api) -> None:
        both = api.as_staff("carrier-support", "ops", sub="both-1")
        redirection = ids.new()
        assert both.put(f"/v1/redirections/{redirection}", a_request()).status == 200

        assert both.get(f"/v1/redirections/{redirection}/letter").problem == "access-denied"
        assert desk.support.get(f"/v1/redirections/{redirection}/letter").problem == "access-denied"
        assert "letter-read" not in events_of(redirection)
        assert desk.code(redirection)
        [read] = [event for event in journal.read(f"redirection/{redirection}") if event.type.endswith("letter-read")]
        assert read.actor == "staff/ops-1"

    def test_there_is_no_letter_once_it_has_served(self, desk: Desk, clock: FakeClock) -> None:
        waiting, verified = desk.requested(), desk.verified(beneficiaries=[ANNE])
        clock.advance(days=31)

        answers = [desk.ops.get(f"/v1/redirections/{one}/letter") for one in (waiting, verified)]

        assert [answer.problem for answer in answers] == ["conflict", "conflict"]

    def test_of_two_verifications_at_once_one_counts(self, desk: Desk) -> None:
        redirection = desk.requested()
        code = desk.code(redirection)

        with overtaken(by=lambda: desk.posts(redirection, "verification", code=code)):
            answer = desk.posts(redirection, "verification", method="digital-identity")

        assert (answer.status, answer.body["method"]) == (200, "code")
        assert events_of(redirection).count("verified") == 1


class TestChanges:
    @pytest.mark.parametrize(
        ("what", "body", "state"),
        [
            ("refusal", {"reason": "identity-not-proven"}, "refused"),
            ("cancellation", {}, "cancelled"),
        ],
    )
    def test_what_waits_is_refused_or_cancelled_once(
        self, desk: Desk, what: str, body: dict[str, Any], state: str
    ) -> None:
        redirection = desk.requested()
        code = desk.code(redirection)

        answers = [desk.posts(redirection, what, **body) for _ in range(2)]

        assert [answer.body["state"] for answer in answers] == [state, state]
        assert events_of(redirection).count(state) == 1
        assert desk.posts(redirection, "verification", code=code).problem == "conflict"

    def test_what_was_verified_is_not_refused_but_cancelled_until_it_begins(self, desk: Desk, clock: FakeClock) -> None:
        redirection, begun = desk.verified(), desk.verified(beneficiaries=[ANNE])

        assert desk.posts(redirection, "refusal", reason="fraud-suspected").problem == "conflict"
        assert desk.posts(redirection, "cancellation").body["state"] == "cancelled"
        until_active(clock)
        assert desk.posts(begun, "cancellation").problem == "conflict"

    def test_it_ends_early_and_is_not_taken_up_again(self, desk: Desk, clock: FakeClock) -> None:
        redirection = desk.verified()
        until_active(clock)

        answers = [desk.posts(redirection, "end", on=in_days(1)) for _ in range(2)]

        assert [(one.status, one.body["state"], one.body["last_day"]) for one in answers] == [
            (200, "active", in_days(1))
        ] * 2
        assert events_of(redirection).count("ended") == 1
        assert desk.posts(redirection, "end", on=in_days(30)).problem == "conflict"
        clock.advance(days=2)
        assert desk.read(redirection)["state"] == "ended-early"
        desk.requested(start=in_days(10))

    @pytest.mark.parametrize("day", ["2026-11-25", "2027-05-25", "9999-12-31"])
    def test_no_end_in_the_past_and_none_that_is_not_early(self, desk: Desk, clock: FakeClock, day: str) -> None:
        redirection = desk.verified()
        until_active(clock)
        assert desk.posts(redirection, "end", on=day).problem == "request-invalid"

    def test_what_waits_is_not_ended(self, desk: Desk) -> None:
        assert desk.posts(desk.requested(), "end", on="2026-12-24").problem == "conflict"

    def test_a_renewal_follows_without_a_gap_and_needs_no_other_code(self, desk: Desk, clock: FakeClock) -> None:
        first, second = desk.verified(), ids.new()
        until_active(clock)

        answers = [desk.posts(first, "renewal", id=second, months=12) for _ in range(2)]

        renewed = answers[0].body
        assert answers[1].body == renewed
        assert (renewed["id"], renewed["state"], renewed["renews"]) == (second, "scheduled", first)
        assert (renewed["start"], renewed["end"]) == ("2027-05-26", "2028-05-25")
        assert desk.read(first)["renewed_by"] == second
        assert events_of(first).count("renewed") == 1
        assert events_of(second) == ["requested"]
        clock.at = datetime.fromisoformat("2027-05-26T00:00:00+02:00")
        assert [desk.read(one)["state"] for one in (first, second)] == ["expired", "active"]

    @pytest.mark.parametrize(
        ("changes", "months", "problem"),
        [
            ({}, 7, "duration-not-offered"),
            ({"kind": "temporary"}, 6, "conflict"),
            ({"by_code": False}, 6, "conflict"),
        ],
    )
    def test_not_everything_is_renewed(self, desk: Desk, changes: dict[str, Any], months: int, problem: str) -> None:
        redirection = desk.requested(**changes) if "by_code" in changes else desk.verified(**changes)
        assert desk.posts(redirection, "renewal", id=ids.new(), months=months).problem == problem

    def test_it_is_renewed_once(self, desk: Desk) -> None:
        redirection, another = desk.verified(), desk.requested(beneficiaries=[ANNE])

        assert desk.posts(redirection, "renewal", id=ids.new(), months=6).status == 200
        assert desk.posts(redirection, "renewal", id=ids.new(), months=6).problem == "overlapping-contract"
        assert desk.posts(redirection, "renewal", id=another, months=6).problem == "conflict"

    @pytest.mark.parametrize(
        ("what", "body"),
        [
            ("verification", {"method": "digital-identity"}),
            ("code", {"replaces": 0}),
            ("refusal", {"reason": "fraud-suspected"}),
            ("cancellation", {}),
            ("end", {"on": "2027-01-01"}),
            ("renewal", {"id": ids.new(), "months": 6}),
        ],
    )
    def test_what_is_not_there_is_not_found(self, desk: Desk, what: str, body: dict[str, Any]) -> None:
        assert desk.posts(ids.new(), what, **body).problem == "not-found"
        assert journal_size() == 0


class TestReading:
    def test_costs_one_call(self, desk: Desk, aws: Cloud) -> None:
        redirection = desk.requested()
        with aws.counting() as calls:
            desk.read(redirection)
        assert calls == {"GetItem": 1}

    def test_the_contracts_at_an_address_however_it_is_written(self, desk: Desk, aws: Cloud) -> None:
        redirection = desk.requested()
        desk.requested(old_address=an_address())
        written = {"street": "12, r. de la Paix", "postcode": "75015", "town": "Paris 15e", "apartment": "3"}

        with aws.counting() as calls:
            answer = desk.support.post("/v1/redirection-searches", {"address": written})

        [found] = answer.body["redirections"]
        assert (found["id"], found["state"]) == (redirection, "requested")
        assert found["destination"]["new_address"]["town"] == "LYON"
        assert calls == {"GetItem": 1, "TransactWriteItems": 1}, "the address, the journal"

    def test_a_search_is_journalled_with_who_searched_and_where(self, desk: Desk, api: Api) -> None:
        desk.requested()
        auditor = api.as_staff("auditor", sub="auditor-1")
        for address in (OLD, an_address()):
            assert auditor.post("/v1/redirection-searches", {"address": address}).status == 200

        events = journal.read("staff/auditor-1")
        assert {(event.type, event.actor) for event in events} == {("facteo.redirection.searched", "staff/auditor-1")}
        told = [event.body(RedirectionsSearched) for event in events]
        assert {one.address: one.found for one in told}[index.key_of(PostalAddress(**OLD))] == 1
        assert sorted(one.found for one in told) == [0, 1]
        assert not [event for event in events if "PAIX" in str(event.data)]

    def test_what_cannot_be_journalled_is_not_told(self, desk: Desk) -> None:
        desk.requested()
        with refusing("TransactWriteItems", error("InternalServerError")):
            answer = desk.support.post("/v1/redirection-searches", {"address": OLD})
        assert answer.status == 500
        assert "LYON" not in answer.text
        assert journal.read("staff/support-1") == []

    def test_in_the_thirteenth_month_after_its_end_it_is_read_and_then_never_again(
        self, desk: Desk, clock: FakeClock
    ) -> None:
        redirection, body = ids.new(), a_request()
        assert desk.puts(redirection, **body).status == 200
        [row] = [row for row in RedirectionRow.scan() if row.pk.startswith("redirection/")]
        assert row.expires_at.isoformat() == "2028-07-01T00:00:00+00:00"

        clock.at = datetime.fromisoformat("2028-06-30T23:00:00+02:00")
        start_cold()
        assert desk.read(redirection)["parties"]["subscriber"] == "Hélène Lefèvre"
        clock.advance(hours=2)
        start_cold()
        keys = {row.subject for row in KeyRow.scan()}

        assert desk.read(redirection)["parties"] is None
        assert (
            desk.support.post("/v1/redirection-searches", {"address": OLD}).body["redirections"][0]["destination"]
            is None
        )
        assert desk.puts(redirection, **body).problem == "conflict"
        assert {row.subject for row in KeyRow.scan()} == keys, "no key is made to read with"


class TestAtTheDoor:
    def test_an_item_is_redirected_from_the_first_day_to_the_last(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        redirection = desk.verified()
        moments = {
            "2026-11-25T23:59:59+01:00": "deliver-here",
            "2026-11-26T00:00:00+01:00": "redirect",
            "2027-05-25T23:59:59+02:00": "redirect",
            "2027-05-26T00:00:00+02:00": "deliver-here",
        }
        for moment, action in moments.items():
            clock.at = datetime.fromisoformat(moment)
            decision = asked(handset)
            assert decision["action"] == action, moment
            assert len(decision["sentence"]) <= 120
            if action == "redirect":
                assert decision["redirection"] == {"id": redirection, "revision": 2}
                assert decision["new_address"] is None, "whoever asks for an address is not told where somebody lives"

    def test_without_verification_nothing_is_redirected(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        desk.requested()
        until_active(clock)
        assert (asked(handset)["action"], asked(handset)["rule"]) == ("deliver-here", "not-active")

    @pytest.mark.parametrize(
        ("changes", "decided"),
        [
            ({"name": "M PAUL LEFEVRE"}, ("deliver-here", "name-R6")),
            ({"name": "MME H LEFEVRE"}, ("redirect", "name-R3")),
            ({"name": "FAMILLE LEFEVRE"}, ("ask", "name-R5")),
            ({"do_not_forward": True}, ("return", "sender-mark")),
            ({"address": an_address()}, ("deliver-here", "no-contract")),
        ],
    )
    def test_the_name_and_the_mark_decide(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock, changes: dict[str, Any], decided: tuple[str, str]
    ) -> None:
        desk.verified()
        until_active(clock)

        decision = asked(handset, **changes)

        assert (decision["action"], decision["rule"]) == decided
        assert decision["new_address"] is None

    def test_by_the_item_with_what_was_announced(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock, aws: Cloud
    ) -> None:
        desk.verified(new_address=an_address(country="BE", postcode="1000"))
        announced(weight_grams=2001)
        until_active(clock)

        abroad = asked(handset, item=ITEM, address=None, name=None)
        with aws.counting() as calls:
            asked(handset, item=ITEM, address=None, name=None)

        assert (abroad["action"], abroad["rule"]) == ("return", "parcel-abroad-2kg-definitive")
        assert calls == {"BatchGetItem": 1, "GetItem": 1}, "the access row with the item and its key; the address"

    def test_each_check_leaves_a_trace_that_names_nobody(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        desk.verified()
        announced()
        until_active(clock)
        elsewhere = an_address()
        with logged("looked up") as traces:
            asked(handset, item=ITEM, address=None, name=None)
            asked(handset)
            asked(handset, address=elsewhere)
            handset.calls().post("/v1/redirection-checks", {"item": NEVER_ANNOUNCED})

        places = [index.key_of(PostalAddress(**address)) for address in (OLD, elsewhere)]
        assert [(line["asked_by"], line["found"]) for line in traces] == [
            (ITEM, True),
            (places[0], True),
            (places[1], False),
            (NEVER_ANNOUNCED, False),
        ]
        assert {(line["looked_up"], line["device"]) for line in traces} == {("redirection", handset.device)}
        assert not [word for word in ("LEFEVRE", "PAIX", elsewhere["street"]) if word in str(traces)]

    def test_by_the_address_costs_two_calls_with_the_access_row(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock, aws: Cloud
    ) -> None:
        desk.verified()
        until_active(clock)
        with sent("GetItem") as reads, aws.counting() as calls:
            asked(handset)
        assert calls == {"GetItem": 2}
        assert [read["TableName"] for read in reads] == ["facteo-test-access", "facteo-test-redirections"]
        assert all(read["ConsistentRead"] for read in reads)

    def test_an_item_that_nobody_announced_is_asked_for_by_its_address(self, handset: HeldHandset) -> None:
        answer = handset.calls().post("/v1/redirection-checks", {"item": ITEM})
        assert (answer.status, answer.problem) == (404, "not-found")

    @pytest.mark.parametrize("body", [{}, {"address": OLD}, {"item": ITEM, "address": OLD, "name": "X"}])
    def test_a_question_that_asks_nothing_is_refused(self, handset: HeldHandset, body: dict[str, Any]) -> None:
        answer = handset.calls().post("/v1/redirection-checks", body)
        assert (answer.status, answer.problem) == (400, "request-invalid")

    def test_many_addresses_are_one_call(self, desk: Desk, clock: FakeClock, aws: Cloud) -> None:
        redirection = desk.verified()
        until_active(clock)
        addressees = {str(number): an_addressee(street=f"{number} RUE DE LA PAIX") for number in range(1, 100)}

        with aws.counting() as calls:
            [found] = lookups.carried(addressees)

        assert (found.id, found.items, found.last_day.isoformat()) == (redirection, ("12",), "2027-05-25")
        assert calls == {"BatchGetItem": 1}


def test_a_contract_verified_late_counts_from_then_on(desk: Desk, handset: HeldHandset, clock: FakeClock) -> None:
    redirection = desk.requested()
    code = desk.code(redirection)
    until_active(clock)
    clock.advance(days=3)
    before = asked(handset)["action"]

    answer = desk.posts(redirection, "verification", code=code)

    assert (before, answer.body["state"], asked(handset)["action"]) == ("deliver-here", "active", "redirect")
