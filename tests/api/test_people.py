"""Carriers, depots, zones, duties and clients over HTTP."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from chalicelib.core import journal
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound
from chalicelib.core.intake import Taken
from chalicelib.core.journal import JournalRow
from chalicelib.people import legacy, lookup, service
from chalicelib.people.schemas import CarrierEntry
from chalicelib.people.tables import PeopleRow
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.races import overtaken

ADDRESS = {"street": "12 rue Lecourbe", "postcode": "75015", "town": "Paris"}
DAY = "2026-11-24"


def a_zone(**changes: Any) -> dict[str, Any]:
    return {"name": "Paris Sud"} | changes


def a_depot(**changes: Any) -> dict[str, Any]:
    return {"name": "Paris 15", "zone": "PARIS-SUD", "postcodes": ["75015"], "address": ADDRESS} | changes


def a_carrier(**changes: Any) -> dict[str, Any]:
    return {"first_name": "Zoé", "last_name": "Martin", "phone": "+33612345678", "depot": "75015A"} | changes


def a_duty(**changes: Any) -> dict[str, Any]:
    return {"depot": "75015A", "route": "T12", "starts": "06:30", "ends": "13:00"} | changes


def a_client(**changes: Any) -> dict[str, Any]:
    products = [{"product": "8R", "price_cents": 495}]
    return {"company": "La Boutique", "address": ADDRESS, "products": products} | changes


@pytest.fixture
def registered(api: Api) -> Api:
    """Two depots in two zones, and a carrier in the first."""
    ops, manager = api.as_staff("ops"), api.as_staff("depot-manager")
    for zone, depot in (("PARIS-SUD", "75015A"), ("PARIS-NORD", "75018A")):
        assert ops.put(f"/v1/zones/{zone}", a_zone()).status == 200
        assert ops.put(f"/v1/depots/{depot}", a_depot(zone=zone)).status == 200
    assert manager.put("/v1/carriers/C1", a_carrier()).status == 200
    return api


def manager_of(api: Api, scope: str = "depot/75015A") -> Any:
    return api.as_staff("depot-manager", scope=scope)


def events_of(subject: str) -> list[str]:
    """The types of the subject's events, in the alphabet's order: the clock of a test stands still."""
    return sorted(event.type for event in journal.read(subject))


def journal_size() -> int:
    return len(list(JournalRow.scan()))


class TestStating:
    def test_a_carrier_is_registered_and_read_with_their_name(self, registered: Api) -> None:
        answer = manager_of(registered).get("/v1/carriers/C1")

        assert answer.body == {
            "id": "C1",
            "depot": "75015A",
            "manager": "",
            "person": {"first_name": "Zoé", "last_name": "Martin", "phone": "+33612345678"},
            "revision": 1,
        }
        assert events_of("carrier/C1") == ["facteo.carrier.registered"]

    def test_names_and_phones_are_stored_and_journalled_sealed_only(self, registered: Api) -> None:
        rows = [row.record for row in PeopleRow.scan()] + [row.event for row in JournalRow.scan()]

        assert not [row for row in rows if "Martin" in row or "612345678" in row]

    def test_a_change_is_an_event_and_a_revision(self, registered: Api) -> None:
        answer = manager_of(registered).put("/v1/carriers/C1", a_carrier(phone="+33699999999"))

        assert (answer.status, answer.body["revision"]) == (200, 2)
        assert events_of("carrier/C1") == ["facteo.carrier.changed", "facteo.carrier.registered"]
        assert manager_of(registered).get("/v1/carriers/C1").body["person"]["phone"] == "+33699999999"

    @pytest.mark.parametrize(
        ("path", "role", "body"),
        [
            ("/v1/zones/Z9", "ops", a_zone()),
            ("/v1/depots/92100A", "ops", a_depot()),
            ("/v1/clients/999999", "ops", a_client()),
            ("/v1/carriers/C9", "depot-manager", a_carrier()),
            (f"/v1/carriers/C1/duties/{DAY}", "depot-manager", a_duty()),
        ],
    )
    def test_saying_the_same_again_writes_nothing(
        self, registered: Api, path: str, role: str, body: dict[str, Any]
    ) -> None:
        caller = registered.as_staff(role)
        first = caller.put(path, body)
        before = journal_size()

        again = caller.put(path, body)

        assert (first.status, first.body["revision"]) == (200, 1)
        assert (again.status, again.body) == (200, first.body)
        assert journal_size() == before

    def test_a_row_and_its_event_are_written_together(self, registered: Api, aws: Cloud) -> None:
        with aws.counting() as calls:
            registered.as_staff("ops").put("/v1/clients/999999", a_client())

        assert calls == {"BatchGetItem": 1, "TransactWriteItems": 1}
        assert events_of("client/999999") == ["facteo.client.registered"]

    def test_everything_stated_comes_back(self, registered: Api) -> None:
        ops = registered.as_staff("ops")
        ops.put("/v1/clients/999999", a_client())

        assert ops.get("/v1/zones/PARIS-SUD").body == {"id": "PARIS-SUD", "revision": 1} | a_zone()
        assert ops.get("/v1/depots/75015A").body["postcodes"] == ["75015"]
        assert ops.get("/v1/clients/999999").body["products"] == [{"product": "8R", "price_cents": 495}]

    def test_a_depot_may_be_run_by_a_subcontractor_for_a_time(self, registered: Api) -> None:
        ops, company = registered.as_staff("ops"), {"name": "Coursiers du Rhône", "address": ADDRESS}
        assert ops.get("/v1/depots/75015A").body["subcontractor"] is None

        ops.put("/v1/depots/75015A", a_depot(subcontractor=company))
        found = lookup.subcontractor_of("75015A")
        assert found is not None
        assert (found.name, found.address.town) == (company["name"], ADDRESS["town"])
        assert ops.put("/v1/depots/75015A", a_depot()).body["subcontractor"] is None
        assert lookup.subcontractor_of("75015A") is lookup.subcontractor_of("NOWHERE") is None


class TestBadInput:
    @pytest.mark.parametrize(
        ("path", "body", "status", "problem"),
        [
            ("/v1/carriers/C9", a_carrier(depot="NOWHERE"), 422, "unknown-reference"),
            ("/v1/carriers/C9", a_carrier(last_name=""), 400, "request-invalid"),
            ("/v1/carriers/C9", a_carrier(phone="ring me"), 400, "request-invalid"),
            ("/v1/carriers/C9", a_carrier(badge="7"), 400, "request-invalid"),
            ("/v1/carriers/c%209", a_carrier(), 404, "not-found"),
            ("/v1/depots/92100A", a_depot(zone="NOWHERE"), 422, "unknown-reference"),
            ("/v1/depots/92100A", a_depot(postcodes=["?"]), 400, "request-invalid"),
            ("/v1/depots/92100A", a_depot(subcontractor={"name": "Coursiers"}), 400, "request-invalid"),
            ("/v1/clients/12", a_client(), 404, "not-found"),
            ("/v1/clients/999999", a_client(products=[{"product": "8R", "price_cents": -1}]), 400, "request-invalid"),
            (f"/v1/carriers/C404/duties/{DAY}", a_duty(), 404, "not-found"),
            ("/v1/carriers/C1/duties/someday", a_duty(), 404, "not-found"),
            (f"/v1/carriers/C1/duties/{DAY}", a_duty(depot="NOWHERE"), 422, "unknown-reference"),
            (f"/v1/carriers/C1/duties/{DAY}", a_duty(ends="06:30"), 400, "request-invalid"),
            (f"/v1/carriers/C1/duties/{DAY}", a_duty(starts="24:00"), 400, "request-invalid"),
            ("/v1/zones/Z9", {"name": "Nord\n"}, 400, "request-invalid"),
        ],
    )
    def test_is_a_clear_problem_and_changes_nothing(
        self, registered: Api, path: str, body: dict[str, Any], status: int, problem: str
    ) -> None:
        before = journal_size()

        answer = registered.as_staff("ops", "depot-manager").put(path, body)

        assert (answer.status, answer.problem) == (status, problem)
        assert journal_size() == before

    def test_an_unknown_reference_is_named(self, registered: Api) -> None:
        answer = manager_of(registered, "*").put("/v1/carriers/C9", a_carrier(depot="NOWHERE"))

        assert answer.body["missing"] == ["depot/NOWHERE"]


class TestAccess:
    @pytest.mark.parametrize(
        ("method", "path", "body", "allowed"),
        [
            ("PUT", "/v1/carriers/C1", a_carrier(), {"depot-manager"}),
            ("GET", "/v1/carriers/C1", None, {"depot-manager", "fleet-admin", "auditor"}),
            ("GET", "/v1/carriers?depot=75015A", None, {"depot-manager", "fleet-admin", "auditor"}),
            ("PUT", f"/v1/carriers/C1/duties/{DAY}", a_duty(), {"depot-manager"}),
            ("GET", "/v1/carriers/C1/duties", None, {"depot-manager", "auditor"}),
            ("PUT", "/v1/depots/75015A", a_depot(), {"ops"}),
            ("PUT", "/v1/zones/PARIS-SUD", a_zone(), {"ops"}),
            ("PUT", "/v1/clients/999999", a_client(), {"ops"}),
            ("GET", "/v1/clients/999999", None, {"ops", "auditor"}),
        ],
    )
    def test_only_the_named_roles(self, registered: Api, method: str, path: str, body: Any, allowed: set[str]) -> None:
        roles = {"depot-manager", "fleet-admin", "auditor", "ops", "dispatcher", "store-manager"}
        path, _, query = path.partition("?")
        asked = dict([query.split("=")]) if query else None

        refused = {
            role for role in roles if registered.as_staff(role).request(method, path, body, query=asked).status == 403
        }

        assert refused == roles - allowed
        assert registered.as_nobody().request(method, path, body, query=asked).status == 401

    @pytest.mark.parametrize("scope", ["depot/75018A", "zone/PARIS-NORD", ""])
    def test_another_depots_carriers_and_duties_are_refused(self, registered: Api, scope: str) -> None:
        manager, before = manager_of(registered, scope), journal_size()

        answers = [
            manager.get("/v1/carriers/C1"),
            manager.get("/v1/carriers", depot="75015A"),
            manager.put("/v1/carriers/C1", a_carrier(phone="")),
            manager.put("/v1/carriers/C2", a_carrier()),
            manager.get("/v1/carriers/C1/duties"),
            manager.put(f"/v1/carriers/C1/duties/{DAY}", a_duty()),
        ]

        assert {answer.problem for answer in answers} == {"access-denied"}
        assert journal_size() == before

    def test_the_manager_of_a_zone_reaches_its_depots(self, registered: Api) -> None:
        manager = manager_of(registered, "zone/PARIS-SUD")

        assert manager.get("/v1/carriers/C1").status == 200
        assert manager.put(f"/v1/carriers/C1/duties/{DAY}", a_duty()).status == 200

    def test_moving_or_lending_a_carrier_takes_both_depots(self, registered: Api) -> None:
        moved, lent = a_carrier(depot="75018A"), a_duty(depot="75018A")
        one, both = manager_of(registered), manager_of(registered, "depot/75015A zone/PARIS-NORD")

        assert one.put("/v1/carriers/C1", moved).problem == "access-denied"
        assert one.put(f"/v1/carriers/C1/duties/{DAY}", lent).problem == "access-denied"
        assert both.put(f"/v1/carriers/C1/duties/{DAY}", lent).status == 200
        assert both.put("/v1/carriers/C1", moved).status == 200
        assert manager_of(registered, "depot/75018A").get("/v1/carriers/C1").status == 200


class TestReading:
    @pytest.mark.parametrize(
        ("path", "query", "cost"),
        [
            ("/v1/carriers/C1", {}, {"GetItem": 1, "BatchGetItem": 1}),
            ("/v1/carriers", {"depot": "75015A"}, {"Query": 1, "BatchGetItem": 1}),
            ("/v1/carriers/C1/duties", {}, {"GetItem": 1, "Query": 1}),
            ("/v1/depots/75015A", {}, {"GetItem": 1}),
            ("/v1/depots", {"zone": "PARIS-SUD"}, {"Query": 1}),
            ("/v1/zones/PARIS-SUD", {}, {"GetItem": 1}),
            ("/v1/zones", {}, {"Query": 1}),
        ],
    )
    def test_costs_two_calls_at_most(
        self, registered: Api, aws: Cloud, path: str, query: dict[str, str], cost: dict[str, int]
    ) -> None:
        with aws.counting() as calls:
            answer = manager_of(registered).get(path, **query)

        assert answer.status == 200
        assert calls == cost

    def test_a_zone_scope_costs_one_read_more(self, registered: Api, aws: Cloud) -> None:
        with aws.counting() as calls:
            manager_of(registered, "zone/PARIS-SUD").get("/v1/carriers/C1")

        assert calls == {"GetItem": 2, "BatchGetItem": 1}

    def test_lists_come_in_pages(self, registered: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "PAGE", 2)
        for number in range(2, 6):
            manager_of(registered).put(f"/v1/carriers/C{number}", a_carrier(last_name=f"N{number}"))

        pages, after = [], ""
        while True:
            page = manager_of(registered).get("/v1/carriers", depot="75015A", after=after).body
            pages.append([carrier["id"] for carrier in page["carriers"]])
            after = page["next"]
            if not after:
                break

        assert pages == [["C1", "C2"], ["C3", "C4"], ["C5"]]

    def test_depots_and_zones_are_listed(self, registered: Api) -> None:
        ops = registered.as_staff("ops")

        assert [zone["id"] for zone in ops.get("/v1/zones").body["zones"]] == ["PARIS-NORD", "PARIS-SUD"]
        assert [depot["id"] for depot in ops.get("/v1/depots", zone="PARIS-SUD").body["depots"]] == ["75015A"]

    def test_duties_of_the_coming_week_or_of_a_period(self, registered: Api) -> None:
        manager = manager_of(registered)
        for day in ("2026-11-22", "2026-11-23", "2026-11-29", "2026-11-30"):
            manager.put(f"/v1/carriers/C1/duties/{day}", a_duty())

        def days(answer: Answered) -> list[str]:
            return [duty["day"] for duty in answer.body["duties"]]

        assert days(manager.get("/v1/carriers/C1/duties")) == ["2026-11-23", "2026-11-29"]
        period = {"from": "2026-11-22", "to": "2026-11-22"}
        assert days(manager.get("/v1/carriers/C1/duties", **period)) == ["2026-11-22"]
        backwards = {"from": "2026-11-22", "to": "2026-11-21"}
        assert manager.get("/v1/carriers/C1/duties", **backwards).problem == "request-invalid"
        assert manager.get("/v1/carriers/C1/duties", **{"from": "9999-12-31"}).status == 200

    def test_what_is_not_there_is_not_found(self, registered: Api) -> None:
        ops, manager = registered.as_staff("ops"), manager_of(registered)

        paths = ("/v1/depots/NOWHERE", "/v1/zones/NOWHERE", "/v1/clients/000000")
        assert {ops.get(path).problem for path in paths} == {"not-found"}
        assert manager.get("/v1/carriers/C404").problem == "not-found"


class TestRetention:
    def test_after_five_years_nobody_reads_the_name(self, registered: Api, clock: FakeClock) -> None:
        clock.advance(days=5 * 365 + 1)

        answer = manager_of(registered).get("/v1/carriers/C1")

        assert (answer.status, answer.body["person"]) == (200, None)

    def test_a_carrier_who_still_works_is_sealed_anew(self, registered: Api, clock: FakeClock) -> None:
        clock.advance(days=5 * 365 + 1)

        answer = manager_of(registered).put("/v1/carriers/C1", a_carrier())

        assert (answer.status, answer.body["revision"]) == (200, 2)
        assert manager_of(registered).get("/v1/carriers/C1").body["person"]["last_name"] == "Martin"


class TestTwoAtOnce:
    def test_the_second_of_two_changes_is_refused(self, registered: Api) -> None:
        one, other = manager_of(registered), manager_of(registered)

        with overtaken(by=lambda: other.put("/v1/carriers/C1", a_carrier(phone="+33600000002"))):
            answer = one.put("/v1/carriers/C1", a_carrier(phone="+33600000001"))

        assert (answer.status, answer.problem) == (409, "changed-meanwhile")
        assert one.get("/v1/carriers/C1").body["person"]["phone"] == "+33600000002"
        assert events_of("carrier/C1") == ["facteo.carrier.changed", "facteo.carrier.registered"]

    def test_two_who_register_the_same_thing_leave_one(self, registered: Api) -> None:
        one, other = registered.as_staff("ops"), registered.as_staff("ops")

        with overtaken(by=lambda: other.put("/v1/clients/999999", a_client(company="Other"))):
            answer = one.put("/v1/clients/999999", a_client())

        assert answer.problem == "changed-meanwhile"
        assert one.get("/v1/clients/999999").body["company"] == "Other"

    def test_who_looked_at_an_older_revision_is_told(self, registered: Api) -> None:
        ops = registered.as_staff("ops")
        ops.put("/v1/zones/PARIS-SUD", a_zone(name="Paris Sud-Ouest", replaces=1))

        answer = ops.put("/v1/zones/PARIS-SUD", a_zone(name="Paris Sud-Est", replaces=1))

        assert (answer.problem, answer.body["revision"]) == ("changed-meanwhile", 2)

    def test_a_request_repeated_after_its_answer_was_lost_is_answered_again(self, registered: Api) -> None:
        ops = registered.as_staff("ops")
        first = ops.put("/v1/zones/PARIS-SUD", a_zone(name="Sud", replaces=1))

        assert ops.put("/v1/zones/PARIS-SUD", a_zone(name="Sud", replaces=1)).body == first.body


class TestWhatOthersAsk:
    def test_carrier_and_depot(self, registered: Api) -> None:
        assert lookup.carrier("C1").depot == "75015A"
        assert lookup.depot("75015A").zone == "PARIS-SUD"
        with pytest.raises(NotFound):
            lookup.carrier("C404")
        with pytest.raises(NotFound):
            lookup.depot("NOWHERE")

    def test_duty_in_one_read(self, registered: Api, aws: Cloud) -> None:
        manager_of(registered).put(f"/v1/carriers/C1/duties/{DAY}", a_duty())

        with aws.counting() as calls:
            duty = lookup.duty_of("C1", date(2026, 11, 24))

        assert duty is not None
        assert duty.route == "T12"
        assert calls == {"GetItem": 1}
        assert lookup.duty_of("C1", date(2026, 11, 25)) is None
        assert lookup.duties_on_round("75015A", "T12", date(2026, 11, 24)) == [duty]

    def test_client(self, registered: Api) -> None:
        registered.as_staff("ops").put("/v1/clients/999999", a_client())

        found = lookup.client_of("999999")
        assert found is not None
        assert found.company == "La Boutique"
        assert lookup.client_of("000000") is None

    @pytest.mark.parametrize(
        ("scopes", "allowed", "reads"),
        [
            ({"*"}, True, {}),
            ({"depot/75015A"}, True, {}),
            ({"depot/75018A"}, False, {}),
            ({"zone/PARIS-SUD"}, True, {"GetItem": 1}),
            ({"zone/PARIS-NORD"}, False, {"GetItem": 1}),
        ],
    )
    def test_may_work_for_reads_the_depot_only_if_zones_matter(
        self, registered: Api, aws: Cloud, scopes: set[str], allowed: bool, reads: dict[str, int]
    ) -> None:
        who = StaffMember(actor="staff/s-1", roles=frozenset({"depot-manager"}), scopes=frozenset(scopes))

        with aws.counting() as calls:
            assert lookup.may_work_for(who, "75015A") is allowed

        assert calls == reads


class TestImport:
    AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)

    def take(self, *entries: CarrierEntry, correlation_id: str = "import/1/1", first_line: int = 2) -> list[Any]:
        lines = range(first_line, first_line + len(entries))
        return legacy.import_records(
            entries, lines=lines, at=self.AT, actor="legacy/carriers", correlation_id=correlation_id
        )

    def entry(self, number: int = 7, **changes: Any) -> CarrierEntry:
        return CarrierEntry(**({"id": f"C{number}", **a_carrier()} | changes))

    def test_records_once_and_knows_its_own_again(self, registered: Api) -> None:
        assert self.take(self.entry()) == [Taken.RECORDED]
        assert self.take(self.entry()) == [Taken.REPEATED]
        assert self.take(self.entry(), correlation_id="import/2/1") == [Taken.DUPLICATE]
        assert events_of("carrier/C7") == ["facteo.carrier.registered"]

    def test_a_repeat_does_not_undo_what_somebody_changed_since(self, registered: Api) -> None:
        self.take(self.entry())
        manager_of(registered).put("/v1/carriers/C7", a_carrier(phone="+33600000009"))

        assert self.take(self.entry()) == [Taken.REPEATED]
        assert manager_of(registered).get("/v1/carriers/C7").body["person"]["phone"] == "+33600000009"

    def test_of_several_lines_about_one_carrier_the_last_counts_each_time(self, registered: Api) -> None:
        entries = (self.entry(manager="A"), self.entry(manager="B"), self.entry(manager="B"))

        first, again = self.take(*entries), self.take(*entries)

        assert (first[0].detail, again[0].detail) == ("Line 4 says otherwise, and counts.",) * 2
        assert first[1:] == [Taken.DUPLICATE, Taken.RECORDED]
        assert again[1:] == [Taken.DUPLICATE, Taken.REPEATED]
        assert lookup.carrier("C7").manager == "B"
        assert events_of("carrier/C7") == ["facteo.carrier.registered"]

    def test_one_that_cannot_be_taken_does_not_hold_back_the_others(self, registered: Api) -> None:
        first, second = self.take(self.entry(depot="NOWHERE"), self.entry(8))

        assert first.detail == "There is no depot/NOWHERE. Register it first."
        assert second is Taken.RECORDED

    def test_two_imports_at_once_leave_one_event(self, registered: Api) -> None:
        with overtaken(by=lambda: self.take(self.entry(), correlation_id="import/2/1")):
            assert self.take(self.entry()) == [Taken.DUPLICATE]

        assert events_of("carrier/C7") == ["facteo.carrier.registered"]

    def test_many_in_few_calls(self, registered: Api, aws: Cloud) -> None:
        with aws.counting() as calls:
            outcomes = self.take(*(self.entry(number) for number in range(100, 150)))

        assert set(outcomes) == {Taken.RECORDED}
        assert calls == {"BatchGetItem": 6, "TransactWriteItems": 2}
