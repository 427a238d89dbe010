"""Who hears of an alert, and when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.alerts import policies
from chalicelib.alerts.policies import COLLEAGUES, ON_CALL, Channel, Contact, Plan, Policy, Step, Timers, Way

SMS = Way(channel=Channel.SMS, to="+33600000000")


def a_contact(name: str) -> Contact:
    return Contact(id=name, ways=(SMS,))


def a_policy(*steps: tuple[int, tuple[str, ...]], contacts: tuple[str, ...] = ("anne", "bruno")) -> Policy:
    return Policy(
        contacts=tuple(a_contact(name) for name in contacts),
        steps=tuple(Step(after=after, contacts=reached) for after, reached in steps),
    )


def test_steps_are_at_0_10_20_40_90_seconds_and_then_every_minute_without_an_end() -> None:
    plan = policies.DEFAULT.plan
    assert plan == Plan()
    assert [plan.offset(step).total_seconds() for step in range(8)] == [0, 10, 20, 40, 90, 150, 210, 270]
    assert plan.offset(10_000).total_seconds() == 90 + 9_996 * 60


@given(st.sets(st.integers(1, 3600), max_size=19), st.integers(10, 3600), st.integers(0, 100))
def test_each_step_is_after_the_one_before(later: set[int], repeat: int, step: int) -> None:
    plan = Plan(offsets=(0, *sorted(later)), timers=Timers(repeat=repeat))
    assert plan.offset(step) < plan.offset(step + 1)


def test_who_is_reached_by_two_steps_is_named_once() -> None:
    policy = a_policy((0, ("anne",)), (10, ("bruno", "anne")), (20, (ON_CALL,)))
    assert policy.contacts_of([0, 1]) == ("anne", "bruno")
    assert policy.contacts_of([1, 2]) == ("bruno", "anne", ON_CALL)
    assert policy.contacts_of([]) == ()


@given(st.integers(2, 10_000))
def test_the_last_step_is_repeated(step: int) -> None:
    policy = a_policy((0, ("anne",)), (10, ("anne", "bruno")), (20, ("bruno", ON_CALL)))
    assert policy.contacts_of([step, step + 1]) == ("bruno", ON_CALL)


def test_a_contact_by_its_name() -> None:
    policy = a_policy((0, ("anne",)))
    assert policy.contact("bruno") == a_contact("bruno")
    assert policy.contact("carole") is None


def test_the_default_needs_nobodys_number_and_has_no_fault() -> None:
    assert policies.DEFAULT.fault() is None
    assert {name for step in policies.DEFAULT.steps for name in step.contacts} == {ON_CALL}


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        (a_policy((0, ("anne",)), (10, (COLLEAGUES, ON_CALL))), None),
        (a_policy((5, ("anne",))), "The first step is at 0 seconds"),
        (a_policy((0, ("anne",)), (20, ("anne",)), (10, ("anne",))), "each later one after the one before"),
        (a_policy((0, ("anne",)), (10, ("anne",)), (10, ("bruno",))), "each later one after the one before"),
        (a_policy((0, ("carole", "anne", "didier"))), "not there: carole, didier."),
        (a_policy((0, ("anne",)), contacts=("anne", "anne")), "an id of its own"),
    ],
)
def test_what_is_wrong_with_a_policy(policy: Policy, fault: str | None) -> None:
    found = policy.fault()
    assert found is None if fault is None else fault in str(found)


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.lists(st.sampled_from(["anne", "bruno", ON_CALL, "carole"]), max_size=4)),
        min_size=1,
        max_size=6,
    )
)
def test_a_policy_without_a_fault_climbs_and_knows_whom_it_reaches(steps: list[tuple[int, list[str]]]) -> None:
    policy = a_policy(*((after, tuple(reached)) for after, reached in steps))
    if policy.fault() is not None:
        return
    offsets = policy.plan.offsets
    assert offsets[0] == 0
    assert all(earlier < later for earlier, later in pairwise(offsets))
    for name in policy.contacts_of(range(len(steps))):
        assert name == ON_CALL or policy.contact(name) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": []},
        {"steps": [{"after": -1}]},
        {"contacts": [{"id": "anne", "ways": []}]},
        {"contacts": [{"id": "Anne Durand", "ways": [{"channel": "sms", "to": "+33600000000"}]}]},
        {"contacts": [{"id": "anne", "ways": [{"channel": "pigeon", "to": "+33600000000"}]}]},
        {"timers": {"repeat": 0}},
        {"timers": {"lease": 86_400}},
    ],
)
def test_bad_shapes_are_refused(changes: dict[str, Any]) -> None:
    told = {"contacts": [], "steps": [{"after": 0, "contacts": [ON_CALL]}]}
    assert msgspec.convert(told, Policy).fault() is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told | changes, Policy)
