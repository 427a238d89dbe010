"""How documents of groups merge, whom a ring reaches, and when a rollout is halted."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import ids
from chalicelib.core.errors import NotFound
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.policies import rules
from chalicelib.fleet.policies.rules import RingTooYoung, RolloutStands, RolloutUnderWay, Tally
from chalicelib.fleet.policies.schemas import Group, GroupKind, GroupPolicy, Rollout
from tests.support.clock import MONDAY_MORNING

APPS = st.sampled_from(["com.mail", "com.maps", "com.game", "com.chat"])
REQUIRED = st.fixed_dictionaries({"package": APPS, "minimum_version": st.integers(0, 9)})
HOSTS = st.sampled_from(["a.example", "b.example"])
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "required_apps": st.lists(REQUIRED, max_size=4),
        "blocked_apps": st.lists(APPS, max_size=3),
        "mail": st.fixed_dictionaries({"server": HOSTS, "domain": HOSTS}),
        "proxy": st.fixed_dictionaries({"host": HOSTS, "port": st.integers(1, 99)}),
        "apn": HOSTS,
        "telephony": st.fixed_dictionaries({}, optional={"call_seconds": st.integers(0, 9), "sms": st.integers(0, 9)}),
        "container": st.fixed_dictionaries(
            {},
            optional={"lock_minutes": st.integers(1, 60), "copy_paste": st.booleans(), "camera": st.booleans()},
        ),
        "check_in": st.fixed_dictionaries(dict.fromkeys(("normal", "low", "lowest"), st.integers(60, 99))),
    },
).map(lambda told: msgspec.convert(told, GroupPolicy))


def a_policy(**told: Any) -> GroupPolicy:
    return msgspec.convert(told, GroupPolicy)


def a_rollout(**changes: Any) -> Rollout:
    told = {
        "version": 2,
        "base": 1,
        "reason": "New mail",
        "published_by": "staff/1",
        "published_at": MONDAY_MORNING,
        "ring_since": MONDAY_MORNING,
    }
    return Rollout(**(told | changes))


class TestMerging:
    def test_every_setting_has_a_rule(self) -> None:
        assert set(rules.MERGE) == {field.name for field in msgspec.structs.fields(GroupPolicy)}

    @given(st.lists(DOCUMENTS, max_size=4))
    def test_what_was_merged_merges_to_itself(self, documents: list[GroupPolicy]) -> None:
        once = rules.merged(documents)
        assert rules.merged([once]) == rules.merged([once, once]) == once

    @given(st.lists(DOCUMENTS, max_size=4))
    def test_a_blocked_app_is_never_required(self, documents: list[GroupPolicy]) -> None:
        found = rules.merged(documents)
        assert not {app.package for app in found.required_apps or ()} & set(found.blocked_apps or ())
        assert set(found.blocked_apps or ()) == {app for one in documents for app in one.blocked_apps or ()}

    @given(st.lists(DOCUMENTS, min_size=1, max_size=4), st.randoms())
    def test_of_what_is_added_up_or_the_strictest_the_order_does_not_matter(
        self, documents: list[GroupPolicy], random: Any
    ) -> None:
        shuffled = random.sample(documents, len(documents))
        one, other = rules.merged(documents), rules.merged(shuffled)
        for name in ("required_apps", "blocked_apps", "container"):
            assert getattr(one, name) == getattr(other, name)

    @given(st.lists(DOCUMENTS, min_size=1, max_size=4))
    def test_the_most_specific_says_where_and_how_much(self, documents: list[GroupPolicy]) -> None:
        found = rules.merged(documents)
        for name in ("mail", "proxy", "apn", "telephony", "check_in"):
            given_ = [value for one in documents if (value := getattr(one, name)) is not None]
            assert getattr(found, name) == (given_[-1] if given_ else None)

    @given(st.lists(DOCUMENTS, max_size=4))
    def test_no_group_makes_the_container_less_strict(self, documents: list[GroupPolicy]) -> None:
        found = rules.merged(documents).container
        for container in (one.container for one in documents if one.container):
            assert found is not None
            assert container.lock_minutes is None or (found.lock_minutes or 99) <= container.lock_minutes
            assert container.camera is not False or found.camera is False
            assert container.copy_paste is not False or found.copy_paste is False

    def test_of_two_that_require_an_app_the_newer_version_holds(self) -> None:
        documents = [
            a_policy(required_apps=[{"package": "com.mail", "minimum_version": version}]) for version in (3, 7, 5)
        ]
        assert rules.merged(documents) == documents[1]

    def test_nothing_is_nothing(self) -> None:
        assert rules.merged([]) == GroupPolicy()


class TestGroups:
    def test_a_handset_is_in_four_the_least_specific_first(self) -> None:
        found = rules.groups_of(Assurance.TEE, "75015A")
        assert [group.key for group in found] == ["fleet/all", "tier/tee", "role/carrier", "depot/75015A"]
        for group in found:
            rules.check_name(group)

    @pytest.mark.parametrize(("kind", "name"), [("fleet", "some"), ("tier", "gold"), ("role", "king")])
    def test_there_is_no_other(self, kind: str, name: str) -> None:
        with pytest.raises(NotFound, match=name):
            rules.check_name(Group(GroupKind(kind), name))


class TestRings:
    DEVICES = tuple(ids.new(MONDAY_MORNING) for _ in range(3000))

    def reached(self, **changes: Any) -> set[str]:
        return {device for device in self.DEVICES if rules.is_reached(a_rollout(**changes), device)}

    def test_each_ring_reaches_its_part_and_whom_the_one_before_reached(self) -> None:
        rings = [self.reached(ring=ring, referents=self.DEVICES[:5]) for ring in range(4)]
        assert rings[0] == set(self.DEVICES[:5])
        assert all(inner <= outer for inner, outer in itertools.pairwise(rings))
        assert 10 < len(rings[1]) < 70
        assert 220 < len(rings[2]) < 390
        assert rings[3] == set(self.DEVICES)

    def test_another_version_is_tried_by_others(self) -> None:
        assert self.reached(ring=2) != self.reached(ring=2, version=3)

    def test_who_is_not_reached_has_the_version_before(self) -> None:
        rollout = a_rollout(referents=("a",))
        assert (rules.version_for(rollout, "a"), rules.version_for(rollout, "b")) == (2, 1)

    def test_the_next_version_begins_where_everybody_is(self) -> None:
        assert rules.begins(a_rollout(ring=3)) == rules.begins(a_rollout(ring=3, halted="it broke")) == (2, ())
        with pytest.raises(RolloutUnderWay):
            rules.begins(a_rollout(ring=2))

    def test_no_version_ever_goes_down(self) -> None:
        """Three versions are halted in different rings, and a fourth comes."""
        had, rollout = dict.fromkeys(self.DEVICES, 0), a_rollout(version=1, base=0, ring=3)
        for version, ring in ((2, 2), (3, 1), (4, 0), (5, 2)):
            base, mends = rules.begins(rollout)
            rollout = a_rollout(version=version, base=base, mends=mends, referents=self.DEVICES[version : version + 2])
            for reached in range(ring + 1):
                rollout = msgspec.structs.replace(rollout, ring=reached, halted="")
                has = {device: rules.version_for(rollout, device) for device in self.DEVICES}
                assert all(has[device] >= had[device] for device in self.DEVICES)
                had = has
            rollout = msgspec.structs.replace(rollout, halted="it broke")
        assert {2, 3, 4}.isdisjoint(had.values())

    def test_a_ring_has_its_time(self) -> None:
        rules.check_tried(a_rollout(), MONDAY_MORNING + timedelta(hours=1), timedelta(hours=1))
        with pytest.raises(RingTooYoung):
            rules.check_tried(a_rollout(), MONDAY_MORNING + timedelta(minutes=59), timedelta(hours=1))

    @pytest.mark.parametrize("changes", [{"halted": "it broke"}, {"ring": 3}])
    def test_what_does_not_move(self, changes: dict[str, Any]) -> None:
        with pytest.raises(RolloutStands):
            rules.check_moves(a_rollout(**changes))

    @pytest.mark.parametrize(
        ("reported", "failed", "excused", "fails"),
        [(3, 3, 0, True), (2, 2, 0, False), (60, 3, 0, False), (59, 3, 0, True), (9, 5, 3, False), (9, 6, 3, True)],
    )
    def test_too_many_failed(self, reported: int, failed: int, excused: int, fails: bool) -> None:
        assert rules.fails(a_rollout(excused=excused), Tally(reported, failed)) == fails
