"""Identifiers: UUIDv7 after RFC 9562."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import ids

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
MILLISECOND = timedelta(milliseconds=1)

RFC_EXAMPLE = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
"""RFC 9562, appendix A.6: 2022-02-22T14:22:22-05:00."""


@given(MOMENTS)
def test_the_layout_is_that_of_a_uuid7(at: datetime) -> None:
    text = ids.new(at)
    made = UUID(text)

    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == (at - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND
    assert ids.is_uuid7(text)


@given(MOMENTS)
def test_an_id_carries_its_moment_to_the_millisecond(at: datetime) -> None:
    assert ids.moment(ids.new(at)) == at - at.microsecond % 1000 * timedelta(microseconds=1)


def test_the_moment_of_the_standards_example() -> None:
    assert ids.moment(RFC_EXAMPLE) == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_the_moment_of_an_id_beyond_all_dates_is_the_last_one() -> None:
    assert ids.moment("ffffffff-ffff-7fff-bfff-ffffffffffff") == datetime(9999, 12, 31, tzinfo=UTC)


@given(MOMENTS, st.timedeltas(min_value=MILLISECOND, max_value=timedelta(days=1)))
def test_a_later_id_is_greater_as_text(at: datetime, later_by: timedelta) -> None:
    assert ids.new(at + later_by) > ids.new(at)


@given(MOMENTS)
def test_all_ids_of_a_millisecond_lie_between_its_first_and_the_next_ones(at: datetime) -> None:
    assert ids.is_uuid7(ids.first(at))
    assert ids.first(at) <= ids.new(at) < ids.first(at + MILLISECOND)


def test_ids_of_one_moment_differ() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert len({ids.new(at) for _ in range(1000)}) == 1000


@given(MOMENTS, st.lists(st.text(max_size=10), min_size=1, max_size=4))
def test_a_derived_id_is_always_the_same(at: datetime, parts: list[str]) -> None:
    assert ids.derived(at, *parts) == ids.derived(at, *parts)
    assert ids.is_uuid7(ids.derived(at, *parts))


def test_other_parts_or_another_moment_derive_another_id() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    made = [
        ids.derived(at, "ab", "c"),
        ids.derived(at, "a", "bc"),
        ids.derived(at, "abc"),
        ids.derived(at, "c", "ab"),
        ids.derived(at + MILLISECOND, "ab", "c"),
    ]
    assert len(set(made)) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        RFC_EXAMPLE.upper(),
        RFC_EXAMPLE + "\n",
        " " + RFC_EXAMPLE,
        RFC_EXAMPLE.replace("-", ""),
        "{" + RFC_EXAMPLE + "}",
        "919108f7-52d1-4320-9bac-f847db4148a8",
        "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
    ],
)
def test_anything_else_is_no_uuid7(text: str) -> None:
    assert not ids.is_uuid7(text)
