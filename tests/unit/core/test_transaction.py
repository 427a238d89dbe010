"""The unit of work: all or nothing, and each failure told as the domain error that it means."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import permutations

import pytest
from pynamodb.exceptions import TransactWriteError

from chalicelib.core import journal
from chalicelib.core.errors import ChangedMeanwhile, Conflict, EventIdReused, Problem, Unavailable
from chalicelib.core.journal import EventIdRow
from chalicelib.core.transaction import TRIES, UnitOfWork, retried, transaction
from tests.support import dynamodb
from tests.support.cloud import Cloud
from tests.support.events import an_item_event

KINDS = ("check", "delete", "put", "update")
"""In the order in which DynamoDB is sent them, and gives its reasons."""

sent = partial(dynamodb.sent, "TransactWriteItems")
refusing = partial(dynamodb.refusing, "TransactWriteItems")

UNTOUCHED = EventIdRow.subject == "item/1"


def a_row(row_id: str, subject: str = "item/1") -> EventIdRow:
    return EventIdRow(id=row_id, subject=subject, fingerprint="before")


def write(work: UnitOfWork, kind: str, row_id: str, otherwise: Problem) -> None:
    """A write of that kind which needs the row to be as `a_row` made it."""
    row = a_row(row_id)
    match kind:
        case "check":
            work.check(row, UNTOUCHED, otherwise=otherwise)
        case "delete":
            work.delete(row, when=UNTOUCHED, otherwise=otherwise)
        case "put":
            row.fingerprint = "after"
            work.put(row, when=UNTOUCHED, otherwise=otherwise)
        case "update":
            work.update(row, [EventIdRow.fingerprint.set("after")], when=UNTOUCHED, otherwise=otherwise)


def refusal_of(order: tuple[str, ...]) -> str:
    """Two writes of each kind, the kinds in that order: what the refusal says."""
    work = UnitOfWork()
    for number in (1, 2):
        for kind in order:
            write(work, kind, f"{kind}-{number}", Conflict(f"{kind}-{number}"))
    with pytest.raises(Conflict) as refused:
        work.commit()
    return refused.value.detail


@pytest.fixture
def rows(aws: Cloud) -> None:
    for kind in KINDS:
        for number in (1, 2):
            a_row(f"{kind}-{number}").save()


def fingerprints() -> set[str]:
    return {row.fingerprint for row in EventIdRow.scan()}


@pytest.mark.usefixtures("rows")
class TestRefusals:
    @pytest.mark.parametrize("failing", [f"{kind}-{number}" for kind in KINDS for number in (1, 2)])
    def test_the_error_is_that_of_the_item_whichever_order_the_writes_were_declared_in(self, failing: str) -> None:
        a_row(failing, subject="somebody/else").save()

        assert {refusal_of(order) for order in permutations(KINDS)} == {failing}
        assert fingerprints() == {"before"}
        assert EventIdRow.count() == 8

    def test_of_several_failures_the_first_that_was_sent_is_told(self) -> None:
        for failing in ("update-1", "put-2", "delete-2"):
            a_row(failing, subject="somebody/else").save()

        assert {refusal_of(order) for order in permutations(KINDS)} == {"delete-2"}

    def test_a_condition_without_a_meaning_of_its_own_is_a_change_meanwhile(self) -> None:
        with pytest.raises(ChangedMeanwhile), transaction() as work:
            work.update(a_row("nowhere"), [EventIdRow.fingerprint.set("after")], when=UNTOUCHED)

    def test_a_row_that_must_be_new_is_refused_where_there_is_one(self) -> None:
        with pytest.raises(Conflict), transaction() as work:
            work.put(a_row("put-1"), unless_exists=Conflict("taken"))

    def test_together_they_are_written(self) -> None:
        with transaction() as work:
            for kind in KINDS:
                write(work, kind, f"{kind}-1", Conflict("not met"))

        found = {row.id: row.fingerprint for row in EventIdRow.scan() if row.id.endswith("-1")}
        assert found == {"check-1": "before", "put-1": "after", "update-1": "after"}


class TestSending:
    def test_everything_goes_in_one_call(self, aws: Cloud) -> None:
        with aws.counting() as calls, transaction() as work:
            work.append(an_item_event())
            work.put(a_row("r"))

        assert calls == {"TransactWriteItems": 1}

    def test_an_empty_unit_of_work_sends_nothing(self, aws: Cloud) -> None:
        with aws.counting() as calls, transaction():
            pass

        assert calls == {}

    def test_a_block_that_raises_writes_nothing(self, aws: Cloud) -> None:
        with aws.counting() as calls, suppress(Conflict), transaction() as work:
            work.put(a_row("r"))
            raise Conflict("on second thoughts")

        assert calls == {}

    @pytest.mark.parametrize(
        "clash",
        [
            dynamodb.cancelled("None", "TransactionConflict"),
            dynamodb.cancelled("TransactionConflict", "ThrottlingError"),
            dynamodb.cancelled("ProvisionedThroughputExceeded", "None"),
            dynamodb.error("TransactionInProgressException"),
            dynamodb.error("ThrottlingException"),
            dynamodb.error("ProvisionedThroughputExceededException"),
        ],
    )
    def test_a_clash_is_tried_again_with_the_same_token(self, aws: Cloud, clash: dict[str, object]) -> None:
        event = an_item_event()
        with sent() as calls, refusing(clash, clash), transaction() as work:
            work.append(event)

        assert journal.read(event.subject) == [event]
        assert len(calls) == 3
        assert len({call["ClientRequestToken"] for call in calls}) == 1

    def test_two_units_of_work_have_two_tokens(self, aws: Cloud) -> None:
        with sent() as calls:
            for row_id in "ab":
                with transaction() as work:
                    work.put(a_row(row_id))

        assert len({call["ClientRequestToken"] for call in calls}) == 2

    def test_a_clash_that_does_not_end_is_given_up(self, aws: Cloud) -> None:
        clashes = [dynamodb.cancelled("TransactionConflict")] * TRIES
        with sent() as calls, refusing(*clashes), pytest.raises(Unavailable), transaction() as work:
            work.put(a_row("r"))

        assert len(calls) == TRIES
        assert EventIdRow.count() == 0

    def test_a_failed_condition_beside_a_clash_is_told_at_once(self, aws: Cloud) -> None:
        work = UnitOfWork()
        work.put(a_row("a"), unless_exists=EventIdReused("the wrong one"))
        work.put(a_row("b"), unless_exists=Conflict("the right one"))

        with refusing(dynamodb.cancelled("TransactionConflict", "ConditionalCheckFailed")), pytest.raises(Conflict):
            work.commit()

    @pytest.mark.parametrize(
        "failure",
        [
            dynamodb.cancelled("ValidationError"),
            dynamodb.cancelled("TransactionConflict", "ItemCollectionSizeLimitExceeded"),
            dynamodb.error("ValidationException"),
            dynamodb.error("AccessDeniedException"),
        ],
    )
    def test_any_other_failure_is_raised_and_not_repeated(self, aws: Cloud, failure: dict[str, object]) -> None:
        with sent() as calls, refusing(failure), pytest.raises(TransactWriteError), transaction() as work:
            work.put(a_row("r"))

        assert len(calls) == 1


@pytest.mark.usefixtures("clock")
class TestRetried:
    @pytest.mark.parametrize("lost", [ChangedMeanwhile("again"), EventIdReused("again")])
    def test_a_lost_race_is_run_again(self, lost: Problem) -> None:
        outcomes = [lost, lost, None]

        def use_case() -> str:
            if problem := outcomes.pop(0):
                raise problem
            return "done"

        assert retried(use_case) == "done"

    def test_a_race_that_is_always_lost_is_told(self) -> None:
        runs: list[int] = []

        def use_case() -> None:
            runs.append(1)
            raise ChangedMeanwhile("again")

        with pytest.raises(ChangedMeanwhile):
            retried(use_case)
        assert len(runs) == TRIES

    def test_another_problem_is_not_run_again(self) -> None:
        runs: list[int] = []

        def use_case() -> None:
            runs.append(1)
            raise Conflict("no")

        with pytest.raises(Conflict):
            retried(use_case)
        assert len(runs) == 1
