"""A carrier's duty is taken back: what is left of it, who may do it, and what can come in between."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chalicelib.core import journal
from chalicelib.core.journal import JournalRow
from chalicelib.people import lookup
from chalicelib.people.schemas import Duty
from tests.support.api import Api, Caller
from tests.support.cloud import Cloud
from tests.support.crashes import Everywhere, Scenario
from tests.support.factories import a_handset
from tests.support.fleet import HERE, OURS, THERE, a_post
from tests.support.races import overtaken

TODAY = "2026-11-23"
PATH = f"/v1/carriers/{OURS}/duties/{TODAY}"


def a_duty(**changes: Any) -> dict[str, Any]:
    return {"depot": HERE, "route": "T12", "starts": "06:30", "ends": "13:00"} | changes


def manager_of(api: Api, scope: str = f"depot/{HERE}") -> Caller:
    return api.as_staff("depot-manager", scope=scope)


def events_of_duty() -> list[str]:
    """The types of the carrier's duty events, in the alphabet's order: the clock of a test stands still."""
    return sorted(event.type for event in journal.read(f"carrier/{OURS}") if event.type.startswith("facteo.duty."))


@pytest.fixture
def assigned(api: Api) -> Api:
    """The API of a post whose carrier has a round today."""
    assert manager_of(a_post(api)).put(PATH, a_duty()).status == 200
    return api


def test_whose_duty_is_withdrawn_has_no_round_today(assigned: Api, aws: Cloud) -> None:
    handset = a_handset(assigned, carrier=OURS)
    assert handset.calls().get("/v1/round").status == 200

    with aws.counting() as calls:
        answer = manager_of(assigned).request("DELETE", PATH)

    assert (answer.status, answer.text) == (204, "")
    assert calls == {"BatchGetItem": 1, "TransactWriteItems": 1}
    assert handset.calls().get("/v1/round").problem == "no-round-today"
    assert manager_of(assigned).get(f"/v1/carriers/{OURS}/duties").body == {"duties": []}
    assert lookup.duties_on_round(HERE, "T12", date(2026, 11, 23)) == []
    [event] = [event for event in journal.read(f"carrier/{OURS}") if event.type == "facteo.duty.withdrawn"]
    assert (event.body(Duty).route, event.place, event.actor[:6]) == ("T12", HERE, "staff/")


@pytest.mark.parametrize(
    "path", [PATH, f"/v1/carriers/{OURS}/duties/2026-11-25", f"/v1/carriers/C404/duties/{TODAY}", f"{PATH}x"]
)
def test_what_is_not_there_is_not_found(assigned: Api, path: str) -> None:
    assert manager_of(assigned).request("DELETE", PATH).status == 204
    before = len(list(JournalRow.scan()))

    assert manager_of(assigned).request("DELETE", path).problem == "not-found"
    assert len(list(JournalRow.scan())) == before


def test_only_who_could_assign_it_may_withdraw_it(assigned: Api) -> None:
    roles = {"fleet-admin", "auditor", "ops", "dispatcher", "store-manager"}
    assert {assigned.as_staff(role).request("DELETE", PATH).status for role in roles} == {403}
    assert assigned.as_nobody().request("DELETE", PATH).status == 401
    for scope in (f"depot/{THERE}", "zone/PARIS-NORD", ""):
        assert manager_of(assigned, scope).request("DELETE", PATH).problem == "access-denied"

    assert manager_of(assigned, "*").put(PATH, a_duty(depot=THERE)).status == 200
    assert manager_of(assigned).request("DELETE", PATH).problem == "access-denied"
    assert events_of_duty() == ["facteo.duty.assigned", "facteo.duty.changed"]
    assert manager_of(assigned, f"depot/{HERE} zone/PARIS-NORD").request("DELETE", PATH).status == 204


def test_two_who_withdraw_it_at_once_leave_one_event(assigned: Api) -> None:
    one, other = manager_of(assigned), manager_of(assigned)

    with overtaken(by=lambda: other.request("DELETE", PATH)):
        assert one.request("DELETE", PATH).problem == "changed-meanwhile"

    assert one.request("DELETE", PATH).problem == "not-found"
    assert events_of_duty() == ["facteo.duty.assigned", "facteo.duty.withdrawn"]


def test_a_duty_that_was_changed_in_between_is_not_withdrawn(assigned: Api) -> None:
    one, other = manager_of(assigned), manager_of(assigned)

    with overtaken(by=lambda: other.put(PATH, a_duty(route="T13"))):
        assert one.request("DELETE", PATH).problem == "changed-meanwhile"

    [duty] = one.get(f"/v1/carriers/{OURS}/duties").body["duties"]
    assert (duty["route"], duty["revision"]) == ("T13", 2)


def test_it_can_be_assigned_again_by_who_knows_that_it_was_withdrawn(assigned: Api) -> None:
    manager = manager_of(assigned)
    manager.request("DELETE", PATH)

    assert manager.put(PATH, a_duty(replaces=1)).problem == "changed-meanwhile"
    answer = manager.put(PATH, a_duty(replaces=0))

    assert (answer.status, answer.body["revision"]) == (200, 3)
    assert events_of_duty() == ["facteo.duty.assigned", "facteo.duty.assigned", "facteo.duty.withdrawn"]
    assert lookup.duty_of(OURS, date(2026, 11, 23)) is not None


def test_a_withdrawal_killed_everywhere(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> None:
        assert manager_of(a_post(api)).put(PATH, a_duty()).status == 200

    def withdraw(_: None) -> None:
        assert manager_of(api).request("DELETE", PATH).status in {204, 404}

    everywhere(Scenario("withdrawn duty", arrange, withdraw))
