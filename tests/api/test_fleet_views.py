"""What staff see of a depot's devices: by their last check-ins, by what is found, as a sheet, in numbers."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from chalicelib.fleet.checkins import views
from chalicelib.fleet.tables import CheckInRow
from tests.support.api import Answered, Api, Caller
from tests.support.cloud import Cloud
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, OURS, THEIRS, THERE, NewHandset, retire

VIEWS = ("/v1/fleet/devices", "/v1/fleet/devices/csv", "/v1/fleet/summary")
SICK = {
    "battery": {"percent": 3, "health": "dead"},
    "storage_free_mb": 12,
    "os_patch": "2025-01-05",
    "app_version": "0.9",
}
FOUND = ["old-patch", "weak-battery", "low-storage", "old-app"]


def manager(post: Api, depot: str = HERE) -> Caller:
    return post.as_staff("depot-manager", scope=f"depot/{depot}")


def checks_in(handset: HeldHandset, **told: Any) -> HeldHandset:
    assert handset.calls().post("/v1/check-ins", {"outbox": 0} | told).status == 200
    return handset


def devices(answer: Answered) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    return list(answer.body["devices"])


def lines(answer: Answered) -> list[dict[str, str]]:
    assert answer.status == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


class TestDevices:
    def test_a_device_is_seen_by_its_last_check_in(self, post: Api) -> None:
        handset = checks_in(NewHandset(post).enrolled(), battery={"percent": 81, "health": "good"}, policy=3)
        checks_in(handset, outbox=7, app_version="1.4.0", os_patch="2026-10-05", storage_free_mb=20480)
        NewHandset(post).enrolled(THEIRS)

        assert devices(manager(post).get(VIEWS[0], depot=HERE)) == [
            {
                "device": handset.device,
                "carrier": OURS,
                "state": "enrolled",
                "last_seen": "2026-11-23T07:00:00Z",
                "battery_percent": None,
                "battery_health": None,
                "storage_free_mb": 20480,
                "os_patch": "2026-10-05",
                "app_version": "1.4.0",
                "lease_until": "2026-11-23T15:00:00Z",
                "outbox": 7,
                "policy": None,
                "findings": [],
            }
        ]

    def test_those_with_a_finding(self, post: Api) -> None:
        well, sick = checks_in(NewHandset(post).enrolled()), checks_in(NewHandset(post).enrolled(), **SICK)
        found = {
            finding: [one["device"] for one in devices(manager(post).get(VIEWS[0], depot=HERE, finding=finding))]
            for finding in ("silent", *FOUND)
        }
        assert found == {"silent": [], **{key: [sick.device] for key in FOUND}}
        post.clock.advance(days=7)
        checks_in(well)
        assert [one["device"] for one in devices(manager(post).get(VIEWS[0], depot=HERE, finding="silent"))] == [
            sick.device
        ]

    def test_a_former_enrolments_check_in_says_nothing_of_the_next(self, newcomer: NewHandset) -> None:
        former = checks_in(newcomer.enrolled(), **SICK)
        retire(newcomer.api, former.device)
        assert devices(manager(newcomer.api).get(VIEWS[0], depot=HERE)) == []
        NewHandset(newcomer.api, serial=newcomer.serial).enrolled()
        [device] = devices(manager(newcomer.api).get(VIEWS[0], depot=HERE))
        assert (device["last_seen"], device["findings"]) == (None, [])

    def test_pages_hold_each_device_once(self, post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "PAGE", 2)
        there = sorted(NewHandset(post).enrolled().device for _ in range(3))
        first = manager(post).get(VIEWS[0], depot=HERE)
        second = manager(post).get(VIEWS[0], depot=HERE, after=first.body["next"])
        assert [one["device"] for one in devices(first) + devices(second)] == there
        assert second.body["next"] == ""

    def test_a_page_costs_two_calls(self, post: Api, aws: Cloud) -> None:
        checks_in(NewHandset(post).enrolled())
        with aws.counting() as calls:
            manager(post).get(VIEWS[0], depot=HERE)
        assert calls == {"Query": 1, "BatchGetItem": 1}

    @pytest.mark.parametrize(
        "wanted", [{}, {"depot": "x"}, {"depot": HERE, "finding": "broken"}, {"depot": HERE, "after": "1"}]
    )
    def test_a_search_that_cannot_be_understood(self, post: Api, wanted: dict[str, str]) -> None:
        assert manager(post).get(VIEWS[0], **wanted).problem == "request-invalid"


class TestSheet:
    def test_it_has_a_header_and_a_line_for_each(self, post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "PAGE", 2)
        there = sorted(checks_in(NewHandset(post).enrolled(), **SICK).device for _ in range(3))
        answer = manager(post).get(VIEWS[1], depot=HERE)
        found = lines(answer)
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.text.startswith("device,carrier,state,last_seen,")
        assert answer.text.count("\r\n") == 4
        assert [one["device"] for one in found] == there
        assert (found[0]["battery_percent"], found[0]["policy"]) == ("3", "")
        assert found[0]["findings"] == " ".join(FOUND)

    def test_what_looks_like_a_formula_is_text(self, post: Api) -> None:
        checks_in(NewHandset(post).enrolled(), app_version="-1+1")
        [line] = lines(manager(post).get(VIEWS[1], depot=HERE))
        assert line["app_version"] == "'-1+1"

    def test_a_depot_without_any(self, post: Api) -> None:
        assert lines(manager(post).get(VIEWS[1], depot=HERE)) == []


class TestSummary:
    def summary(self, post: Api) -> dict[str, Any]:
        answer = manager(post).get(VIEWS[2], depot=HERE)
        assert answer.status == 200, answer.text
        return dict(answer.body)

    def test_it_counts_each_finding(self, post: Api) -> None:
        checks_in(NewHandset(post).enrolled())
        for _ in range(2):
            checks_in(NewHandset(post).enrolled(), **SICK)
        assert self.summary(post) == {
            "depot": HERE,
            "devices": 3,
            "findings": {"silent": 0, **dict.fromkeys(FOUND, 2)},
            "personal": None,
        }

    def test_personal_use_is_told_of_five_together_only(self, post: Api) -> None:
        for seconds in (10, 20, 30, 40):
            use = {"month": "2026-11", "call_seconds": seconds, "sms": 1}
            checks_in(NewHandset(post).enrolled(), personal=use)
        assert self.summary(post)["personal"] is None
        checks_in(NewHandset(post).enrolled())
        assert self.summary(post)["personal"] == {"handsets": 5, "call_seconds": 100, "sms": 4}

    def test_of_one_alone_no_personal_use_is_shown(self, post: Api) -> None:
        use = {"month": "2026-11", "call_seconds": 4711, "sms": 815}
        handset = checks_in(NewHandset(post).enrolled(), personal=use)
        assert "4711" in str(CheckInRow.get(handset.device).uses)
        told = [manager(post).get(path, depot=HERE).text for path in VIEWS]
        assert not any(number in text for text in told for number in ("4711", "815"))


@pytest.mark.parametrize("path", VIEWS)
def test_another_depots_manager_sees_nothing(path: str, post: Api) -> None:
    assert manager(post, THERE).get(path, depot=HERE).problem == "access-denied"
    assert post.as_staff("carrier-support").get(path, depot=HERE).problem == "access-denied"
