"""What is set for groups, and the signed policy that a handset gets."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from chalicelib.core import aws as cloud
from chalicelib.core import journal, signing
from chalicelib.core.settings import physical_name
from chalicelib.fleet.policies.schemas import GroupSet
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud, start_cold
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import HERE, OURS, THERE, a_post
from tests.support.policies import published, sets, takes
from tests.support.races import overtaken

DEFAULTS = {
    "telephony": {"call_seconds": 7200},
    "check_in": {"normal": 900, "low": 1800, "lowest": 3600},
}
GOOD = {
    "fleet/all": {"apn": "facteo.post", "container": {"lock_minutes": 10, "camera": True}},
    "tier/none": {"container": {"lock_minutes": 2}, "blocked_apps": ["com.game"]},
    "role/carrier": {"required_apps": [{"package": "com.game"}, {"package": "com.mail", "minimum_version": 7}]},
    f"depot/{HERE}": {"apn": "here.post", "mail": {"server": "mail.example", "domain": "post.example"}},
}
MERGED = DEFAULTS | {
    "required_apps": [{"package": "com.mail", "minimum_version": 7}],
    "blocked_apps": ["com.game"],
    "mail": {"server": "mail.example", "domain": "post.example"},
    "apn": "here.post",
    "container": {"lock_minutes": 2, "camera": True},
}


@pytest.fixture
def handset(post: Api) -> HeldHandset:
    """An enrolled handset of our carrier, whose key is not attested."""
    return a_handset(post, carrier=OURS, depot=HERE)


def set_all(api: Api) -> None:
    for group, settings in GOOD.items():
        assert sets(api, group, settings).status == 200


def signed_rows() -> int:
    rows = cloud.client("dynamodb").scan(TableName=physical_name("policies"))["Items"]
    return sum(row["pk"]["S"].startswith("signed/") for row in rows)


class TestGroups:
    def test_what_is_set_is_read_again_and_holds_from_the_next_version_on(self, post: Api) -> None:
        told = sets(post, "fleet/all", GOOD["fleet/all"]).body
        assert told == {
            "kind": "fleet",
            "name": "all",
            "version": 1,
            "published": False,
            "settings": GOOD["fleet/all"],
        }
        assert post.as_staff("auditor").get("/v1/policies/fleet/all").body == told
        published(post)
        assert post.as_staff("auditor").get("/v1/policies/fleet/all").body == told | {"published": True}
        assert sets(post, "fleet/all", {}).body["version"] == 2

    def test_the_same_again_changes_nothing_and_is_told_once(self, post: Api) -> None:
        answers = [sets(post, "fleet/all", GOOD["fleet/all"]).body for _ in range(2)]
        assert answers[0] == answers[1]
        post.clock.advance(seconds=1)
        assert sets(post, "fleet/all", {"apn": "other"}).body["version"] == 1
        told = journal.read("policy-group/fleet/all")
        assert {event.body(GroupSet).settings.apn for event in told} == {"facteo.post", "other"}
        assert len(told) == 2

    def test_nothing_is_set_yet(self, post: Api) -> None:
        told = post.as_staff("auditor").get(f"/v1/policies/depot/{HERE}").body
        assert (told["version"], told["settings"]) == (0, {})

    @pytest.mark.parametrize("group", ["fleet/some", "tier/gold", "role/king", "depot/99999A", "land/FR"])
    def test_a_group_that_there_is_not(self, post: Api, group: str) -> None:
        assert sets(post, group, {}).problem == "not-found"

    @pytest.mark.parametrize(
        "settings",
        [
            {"approvers": []},
            {"apn": "a b"},
            {"blocked_apps": ["game"]},
            {"required_apps": [{"package": "com.mail", "minimum_version": -1}]},
            {"proxy": {"host": "proxy.example", "port": 0}},
            {"container": {"lock_minutes": 0}},
            {"check_in": {"normal": 59, "low": 60, "lowest": 60}},
            {"check_in": {"normal": 900, "low": 900, "lowest": 4 * 3600 + 1}},
            {"blocked_apps": ["com.example.game", "fr.laposte.facteo"]},
            {"telephony": {"call_seconds": "much"}},
            {"mail": {"server": "mail.example"}},
        ],
    )
    def test_what_cannot_be_understood(self, post: Api, settings: dict[str, Any]) -> None:
        assert sets(post, "fleet/all", settings).problem == "request-invalid"
        assert post.as_staff("auditor").get("/v1/policies/fleet/all").body["version"] == 0

    @pytest.mark.parametrize("group", ["fleet/all", "tier/none", "role/carrier", f"depot/{THERE}"])
    def test_who_has_one_depot_sets_nothing_for_others(self, post: Api, group: str) -> None:
        answer = post.as_staff("fleet-admin", scope=f"depot/{HERE}").put(f"/v1/policies/{group}", {})
        assert answer.problem == "access-denied"

    def test_two_at_once_the_later_one_holds_for_the_version_that_is_next_then(self, post: Api) -> None:
        with overtaken(by=lambda: published(post)):
            told = sets(post, "fleet/all", {"apn": "late"}).body
        assert (told["version"], told["published"]) == (2, False)

    def test_two_set_the_same_group_at_once(self, post: Api) -> None:
        with overtaken(by=lambda: sets(post, "fleet/all", {"apn": "first"})):
            sets(post, "fleet/all", {"apn": "second"})
        assert post.as_staff("auditor").get("/v1/policies/fleet/all").body["settings"] == {"apn": "second"}


class TestThePolicy:
    def test_before_anything_is_published_it_is_what_holds_everywhere(self, handset: HeldHandset) -> None:
        set_all(handset.api)
        assert takes(handset) == {"version": 0, "settings": DEFAULTS, "type": "facteo.policy"}

    def test_it_is_that_of_the_handsets_groups(self, handset: HeldHandset) -> None:
        set_all(handset.api)
        published(handset.api)
        assert takes(handset) == {"version": 1, "settings": MERGED, "type": "facteo.policy"}

    def test_another_depots_is_another(self, handset: HeldHandset) -> None:
        set_all(handset.api)
        published(handset.api)
        found = takes(a_handset(handset.api, depot=THERE, assurance="tee"))["settings"]
        assert (found["apn"], found["container"]) == ("facteo.post", {"lock_minutes": 10, "camera": True})

    def test_the_order_in_which_it_was_set_does_not_matter(self, api: Api) -> None:
        found = []
        for order in itertools.islice(itertools.permutations(GOOD), 0, 24, 7):
            version = len(found) + 1
            if version == 1:
                a_post(api)
            for group in order:
                sets(api, group, {})
                assert sets(api, group, GOOD[group]).status == 200
            published(api, version)
            found.append(takes(a_handset(api, depot=HERE))["settings"])
        assert found == [MERGED] * len(found)

    def test_it_is_signed_by_the_back_office(self, handset: HeldHandset) -> None:
        answer = handset.calls().get("/v1/policy")
        header, payload, signature = answer.body["policy"].split(".")
        assert (bool(header), bool(payload), len(signature)) == (True, True, 86)
        assert signing.payload_of(answer.body["policy"]) == json.dumps(takes(handset), separators=(",", ":")).encode()

    def test_who_has_it_is_told_so(self, handset: HeldHandset) -> None:
        etag = handset.calls().get("/v1/policy").headers["ETag"]
        again = handset.calls().request("GET", "/v1/policy", If_None_Match=etag)
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", etag)
        published(handset.api)
        assert handset.calls().request("GET", "/v1/policy", If_None_Match=etag).status == 200

    def test_it_is_signed_once_for_all_who_have_the_same(self, handset: HeldHandset) -> None:
        published(handset.api)
        same = [a_handset(handset.api, depot=HERE).calls().get("/v1/policy").body["policy"] for _ in range(3)]
        assert len(set(same)) == 1
        assert signed_rows() == 1

    def test_it_costs_three_calls(self, handset: HeldHandset, aws: Cloud) -> None:
        set_all(handset.api)
        published(handset.api)
        takes(handset)
        with aws.counting() as calls:
            etag = handset.calls().get("/v1/policy").headers["ETag"]
        assert calls == {"GetItem": 2, "Query": 1}
        with aws.counting() as calls:
            handset.calls().request("GET", "/v1/policy", If_None_Match=etag)
        assert calls == {"GetItem": 1, "Query": 1}

    def test_a_process_reads_the_documents_of_groups_once(self, handset: HeldHandset, aws: Cloud) -> None:
        published(handset.api)
        takes(handset)
        start_cold()
        counted = []
        for _ in range(2):
            with aws.counting() as calls:
                takes(a_handset(handset.api, depot=HERE))
            counted.append(calls["Query"])
        assert counted == [5, 1]

    @pytest.mark.parametrize("state", ["quarantined", "wiping", "retired"])
    def test_a_blocked_handset_gets_none(self, post: Api, state: str) -> None:
        assert a_handset(post, state=state).calls().get("/v1/policy").problem == "device-blocked"

    def test_a_check_in_follows_the_pace_and_names_the_version(self, handset: HeldHandset) -> None:
        sets(handset.api, f"depot/{HERE}", {"check_in": {"normal": 300, "low": 400, "lowest": 500}})
        published(handset.api)
        answer: Answered = handset.calls().post("/v1/check-ins", {"outbox": 0})
        assert (answer.body["policy"], answer.body["next_check_in_seconds"]) == (1, 300)

    def test_the_allowance_is_that_of_the_policy(self, handset: HeldHandset) -> None:
        sets(handset.api, "role/carrier", {"telephony": {"call_seconds": 60, "sms": 10}})
        published(handset.api)
        found = handset.calls().get("/v1/policy/usage").body
        assert (found["allowed_call_seconds"], found["this_month"]["sms_left"]) == (60, 10)
