"""The registry of buildings over HTTP, and what a reader is installed with."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.core import ids, journal
from chalicelib.core.journal import JournalRow
from chalicelib.passes import buildings
from chalicelib.passes.readers import MAX_READERS
from chalicelib.passes.tables import PassesRow, PassLinesRow
from handset.passes import Wallet
from reader.door import Door, Kind
from reader.places import Place
from tests.support import doors
from tests.support.api import Answered, Api, Caller
from tests.support.buildings import (
    BUILDING,
    MAIL_HOURS,
    OTHER,
    READER,
    a_building,
    a_reader,
    a_reader_key,
    registered,
)
from tests.support.cloud import Cloud
from tests.support.fleet import HERE, NewHandset, everything_stored
from tests.support.passes import ROUTE, SECTOR, a_working_post, ask
from tests.support.races import contended, overtaken

HOUSE = f"/v1/buildings/{BUILDING}"
DOOR = f"{HOUSE}/readers/{READER}"
NIGHT = {"days": "12", "from": "22:00", "to": "06:00"}


def manager(api: Api, *theirs: str) -> Caller:
    """A building's manager."""
    return api.as_staff("building-manager", scope=" ".join(f"building/{one}" for one in theirs or (BUILDING,)))


def events_of(building: str = BUILDING) -> list[str]:
    """The types of a building's events, in the alphabet's order: the clock of a test stands still."""
    return sorted(event.type.removeprefix("facteo.building.") for event in journal.read(f"building/{building}"))


def secret_of(building: str = BUILDING) -> bytes:
    [secret] = buildings.secrets_of([building])
    return secret


class TestRegistering:
    def test_a_building_is_registered_and_read(self, api: Api) -> None:
        answer = manager(api).put(HOUSE, a_building())

        assert answer.status == 200
        source = "Code de la construction et de l'habitation, article L126-12"
        more = {"id": BUILDING, "legal_source": source, "readers": [], "revision": 1}
        assert answer.body == a_building() | more
        assert manager(api).get(HOUSE).body == answer.body
        [event] = journal.read(f"building/{BUILDING}")
        assert event.type == "facteo.building.registered"
        assert json.loads(bytes(event.data)) == a_building() | {"id": BUILDING}

    def test_a_change_is_an_event_and_a_revision_and_keeps_the_secret(self, api: Api) -> None:
        registered(api)
        before = secret_of()

        answer = manager(api).put(HOUSE, a_building(services={}, legal_basis="consent", replaces=1))

        assert (answer.body["services"], answer.body["revision"]) == ({}, 2)
        assert events_of() == ["changed", "registered"]
        assert secret_of() == before
        assert len(before) == 16

    def test_each_building_has_its_own_secret_which_nobody_is_told(self, api: Api) -> None:
        secrets = {secret_of(registered(api, building)) for building in (BUILDING, OTHER)}
        answers = [manager(api).get(HOUSE), manager(api).put(HOUSE, a_building()), api.as_staff("auditor").get(HOUSE)]

        assert len(secrets) == 2
        journalled = [event.data for event in journal.read(f"building/{BUILDING}")]
        for told in [*(answer.text for answer in answers), *map(str, journalled)]:
            assert secret_of().hex() not in told
            assert base64.b64encode(secret_of()).decode() not in told

    def test_saying_the_same_again_changes_nothing(self, api: Api) -> None:
        first, again = manager(api).put(HOUSE, a_building()), manager(api).put(HOUSE, a_building(replaces=0))
        before = everything_stored()
        reordered = dict(reversed(a_building().items()))

        assert again.body == first.body == manager(api).put(HOUSE, reordered).body
        assert everything_stored() == before
        assert events_of() == ["registered"]

    @pytest.mark.parametrize("sector", ["2A00401", "2B033A1", "97105CENTRE"])
    def test_municipalities_of_corsica_and_overseas_have_sectors_too(self, api: Api, sector: str) -> None:
        assert manager(api).put(HOUSE, a_building(sector=sector)).body["sector"] == sector

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"services": {"4": [MAIL_HOURS]}}, "services"),
            ({"services": {"1": []}}, "services"),
            ({"services": {"1": [NIGHT]}}, "end on the day"),
            ({"services": {"2": [MAIL_HOURS | {"to": "06:00"}]}}, "end on the day"),
            ({"services": {"1": [MAIL_HOURS | {"days": "21"}]}}, "days"),
            ({"services": {"1": [MAIL_HOURS | {"days": "11"}]}}, "days"),
            ({"services": {"1": [MAIL_HOURS | {"days": ""}]}}, "days"),
            ({"services": {"1": [MAIL_HOURS | {"from": "24:00"}]}}, "from"),
            ({"services": {"1": [MAIL_HOURS | {"since": "06:00"}]}}, "since"),
            ({"sector": "AB00401"}, "sector"),
            ({"sector": "2C00401"}, "sector"),
            ({"sector": "75115"}, "sector"),
            ({"sector": "7511502\n"}, "sector"),
            ({"postcode": "7501"}, "postcode"),
            ({"street": " "}, "street"),
            ({"legal_basis": "energy"}, "legal_basis"),
            ({"secret": "00" * 16}, "secret"),
            ({"replaces": -1}, "replaces"),
        ],
    )
    def test_bad_input_is_a_clear_problem_and_changes_nothing(
        self, api: Api, changes: dict[str, Any], fault: str
    ) -> None:
        registered(api)
        before = everything_stored()

        answer = manager(api).put(HOUSE, a_building(**changes))

        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert fault in answer.body["detail"]
        assert everything_stored() == before

    @pytest.mark.parametrize("building", ["1", BUILDING.replace("-7", "-4"), BUILDING.upper()])
    def test_an_id_that_is_none_is_no_building(self, api: Api, building: str) -> None:
        everywhere = api.as_staff("building-manager")
        assert everywhere.put(f"/v1/buildings/{building}", a_building()).problem in {"request-invalid", "not-found"}

    def test_a_building_that_is_not_registered_is_not_found(self, api: Api) -> None:
        assert manager(api).get(HOUSE).problem == "not-found"

    def test_what_it_costs(self, api: Api, aws: Cloud) -> None:
        costs = {}
        for what, stated in {"new": a_building(), "same": a_building(), "moved": a_building(sector="7511503")}.items():
            with aws.counting() as costs[what]:
                manager(api).put(HOUSE, stated)
        with aws.counting() as reading:
            manager(api).get(HOUSE)

        assert costs["new"] == costs["moved"] == {"GetItem": 1, "TransactWriteItems": 1}
        assert costs["same"] == reading == {"GetItem": 1}


class TestWhose:
    def test_a_manager_registers_and_reads_their_own_only(self, api: Api) -> None:
        registered(api, OTHER)
        before = everything_stored()
        answers = [
            manager(api).put(f"/v1/buildings/{OTHER}", a_building(town="Lyon")),
            manager(api).get(f"/v1/buildings/{OTHER}"),
            manager(api).get(f"/v1/buildings/{OTHER}/readers/{READER}/line"),
            manager(api).put(f"/v1/buildings/{OTHER}/readers/{READER}", {"key": a_reader_key()}),
            manager(api).request("DELETE", f"/v1/buildings/{OTHER}/readers/{READER}"),
        ]

        assert [(answer.status, answer.problem) for answer in answers] == [(403, "access-denied")] * 5
        assert everything_stored() == before

    def test_whether_another_building_exists_is_not_told(self, api: Api) -> None:
        before, _ = manager(api).get(f"/v1/buildings/{OTHER}"), registered(api, OTHER)
        after = manager(api).get(f"/v1/buildings/{OTHER}")
        assert (before.status, before.body["detail"]) == (after.status, after.body["detail"])

    @pytest.mark.parametrize("scope", ["", f"depot/{HERE}", f"building/{OTHER}", BUILDING])
    def test_a_security_officer_needs_a_scope_as_well(self, api: Api, scope: str) -> None:
        assert api.as_staff("security-officer", scope=scope).put(HOUSE, a_building()).problem == "access-denied"
        assert api.as_staff("security-officer").put(HOUSE, a_building()).status == 200

    def test_an_auditor_reads_and_neither_states_nor_is_told_a_secret(self, api: Api) -> None:
        registered(api)
        auditor = api.as_staff("auditor")

        assert auditor.get(HOUSE).status == 200
        for refused in (auditor.put(HOUSE, a_building()), auditor.get(f"{DOOR}/line")):
            assert (refused.status, refused.problem) == (403, "access-denied")


class TestListing:
    @staticmethod
    def ids(answer: Answered) -> list[str]:
        return [one["id"] for one in answer.body["buildings"]]

    def test_the_buildings_of_a_sector_are_listed_by_their_id(self, api: Api) -> None:
        registered(api, OTHER)
        registered(api)
        registered(api, ids.new(), sector="7511503")

        answer = api.as_staff("auditor").get("/v1/buildings", sector=SECTOR)

        assert answer.body["buildings"] == [
            manager(api, one).get(f"/v1/buildings/{one}").body for one in (BUILDING, OTHER)
        ]
        assert answer.body["next"] == ""
        assert self.ids(api.as_staff("security-officer").get("/v1/buildings", sector="7511504")) == []

    def test_a_building_that_is_found_in_another_sector_is_listed_there_only(self, api: Api) -> None:
        registered(api)
        registered(api, sector="7511503")
        listed = {
            sector: self.ids(api.as_staff("auditor").get("/v1/buildings", sector=sector))
            for sector in (SECTOR, "7511503")
        }

        assert listed == {SECTOR: [], "7511503": [BUILDING]}
        assert [row.pk for row in PassLinesRow.scan()] == ["sector/7511503"]

    @pytest.mark.parametrize(
        ("scope", "seen"),
        [
            ("*", [BUILDING, OTHER]),
            (f"building/{OTHER}", [OTHER]),
            (f"building/{OTHER} building/nowhere depot/{HERE}", [OTHER]),
            (f"depot/{HERE}", []),
            ("", []),
        ],
    )
    @pytest.mark.parametrize("role", ["building-manager", "security-officer", "auditor"])
    def test_others_buildings_are_left_out(self, api: Api, role: str, scope: str, seen: list[str]) -> None:
        for building in (BUILDING, OTHER):
            registered(api, building)

        answer = api.as_staff(role, scope=scope).get("/v1/buildings", sector=SECTOR)

        assert (self.ids(answer), answer.body["next"]) == (seen, "")

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_a_long_list_comes_page_by_page(self, api: Api, monkeypatch: pytest.MonkeyPatch, everywhere: bool) -> None:
        monkeypatch.setattr(buildings, "PAGE", 2)
        known = sorted(registered(api, ids.new()) for _ in range(5))
        caller = api.as_staff("building-manager") if everywhere else manager(api, *known)

        pages, after = [], ""
        while not pages or after:
            answer = caller.get("/v1/buildings", sector=SECTOR, after=after)
            pages.append(self.ids(answer))
            after = answer.body["next"]

        assert pages == [known[:2], known[2:4], known[4:]]

    def test_what_it_costs(self, api: Api, aws: Cloud) -> None:
        registered(api)
        costs = []
        for caller in (api.as_staff("auditor"), manager(api)):
            with aws.counting() as calls:
                caller.get("/v1/buildings", sector=SECTOR)
            costs.append(calls)

        assert costs == [{"Query": 1, "BatchGetItem": 1}, {"BatchGetItem": 1}]

    @pytest.mark.parametrize("query", [{}, {"sector": "75"}, {"sector": SECTOR, "page": "2"}])
    def test_a_question_that_is_none_is_refused(self, api: Api, query: dict[str, str]) -> None:
        assert api.as_staff("auditor").get("/v1/buildings", **query).problem == "request-invalid"


class TestReaders:
    def test_a_reader_is_registered_once_it_has_a_key(self, api: Api) -> None:
        registered(api)

        answer = manager(api).put(DOOR, {"key": a_reader_key()})

        assert (answer.status, answer.body) == (200, {"reader": READER, "building": BUILDING, "key": a_reader_key()})
        assert manager(api).get(HOUSE).body["readers"] == [READER]
        found = buildings.reader(READER)
        assert found is not None
        assert (found.building, found.key) == (BUILDING, doors.jwk(READER))
        assert events_of() == ["reader-registered", "registered"]

    def test_the_same_again_changes_nothing(self, api: Api) -> None:
        registered(api)
        first = manager(api).put(DOOR, {"key": a_reader_key()})
        before = everything_stored()

        assert manager(api).put(DOOR, {"key": a_reader_key()}).body == first.body
        assert everything_stored() == before

    def test_a_reader_belongs_to_one_building_and_has_one_key(self, api: Api) -> None:
        registered(api)
        registered(api, OTHER)
        a_reader(api)
        before, everywhere = everything_stored(), api.as_staff("building-manager")
        elsewhere = f"/v1/buildings/{OTHER}/readers/{READER}"
        answers = [
            everywhere.put(DOOR, {"key": a_reader_key("another")}),
            everywhere.put(elsewhere, {"key": a_reader_key()}),
            everywhere.get(f"{elsewhere}/line"),
        ]

        assert [(answer.status, answer.problem) for answer in answers] == [(409, "reader-taken")] * 3
        assert everywhere.request("DELETE", elsewhere).problem == "not-found"
        assert everything_stored() == before

    def test_one_that_is_removed_is_unknown_and_may_be_registered_elsewhere(self, api: Api) -> None:
        registered(api)
        registered(api, OTHER)
        a_reader(api, "00000000000000d2")
        a_reader(api)

        assert manager(api).request("DELETE", DOOR).status == 204

        assert buildings.reader(READER) is None
        assert manager(api).get(HOUSE).body["readers"] == ["00000000000000d2"]
        assert events_of() == ["reader-registered", "reader-registered", "reader-removed", "registered"]
        before = everything_stored()
        assert manager(api).request("DELETE", DOOR).problem == "not-found"
        assert everything_stored() == before
        assert a_reader(api, building=OTHER)

    @pytest.mark.parametrize(
        "key",
        ["", "02", a_reader_key()[2:], "04" + a_reader_key()[2:], a_reader_key().upper(), "02" + "ff" * 32, None, {}],
    )
    def test_what_is_no_key_is_refused_and_changes_nothing(self, api: Api, key: Any) -> None:
        registered(api)
        before = everything_stored()

        assert manager(api).put(DOOR, {"key": key}).problem == "request-invalid"
        assert everything_stored() == before

    @pytest.mark.parametrize("reader", ["d1", "0" * 16, "00000000000000D1", f"{READER}00"])
    def test_what_is_no_readers_id_is_refused(self, api: Api, reader: str) -> None:
        registered(api)
        for path in (f"{HOUSE}/readers/{reader}", f"{HOUSE}/readers/{reader}/line"):
            method, body = ("GET", None) if path.endswith("line") else ("PUT", {"key": a_reader_key()})
            assert manager(api).request(method, path, body).problem in {"request-invalid", "not-found"}

    def test_a_building_that_is_not_registered_has_no_readers(self, api: Api) -> None:
        answers = [
            manager(api).put(DOOR, {"key": a_reader_key()}),
            manager(api).get(f"{DOOR}/line"),
            manager(api).request("DELETE", DOOR),
        ]
        assert [answer.problem for answer in answers] == ["not-found"] * 3
        assert list(PassesRow.scan()) == list(JournalRow.scan()) == []

    def test_a_building_has_so_many_readers_and_no_more(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        registered(api)
        monkeypatch.setattr("chalicelib.passes.readers.MAX_READERS", 1)
        a_reader(api)

        answer = manager(api).put(f"{HOUSE}/readers/00000000000000d2", {"key": a_reader_key("d2")})

        assert (MAX_READERS, answer.status, answer.problem) == (100, 409, "too-many-readers")
        assert manager(api).get(HOUSE).body["readers"] == [READER]

    def test_what_it_costs(self, api: Api, aws: Cloud) -> None:
        registered(api)
        with aws.counting() as registering:
            a_reader(api)
        with aws.counting() as again:
            a_reader(api)
        with aws.counting() as telling:
            manager(api).get(f"{DOOR}/line")
        with aws.counting() as removing:
            manager(api).request("DELETE", DOOR)

        assert again == {"BatchGetItem": 1}
        assert registering == telling == removing == {"BatchGetItem": 1, "TransactWriteItems": 1}


class TestTwoAtOnce:
    def test_the_second_of_two_who_register_a_building_is_refused(self, api: Api) -> None:
        with overtaken(by=lambda: registered(api)):
            answer = manager(api).put(HOUSE, a_building(town="Lyon"))

        assert (answer.status, answer.problem) == (409, "changed-meanwhile")
        assert manager(api).get(HOUSE).body["town"] == "Paris"
        assert events_of() == ["registered"]

    def test_who_looked_at_an_older_revision_is_told(self, api: Api) -> None:
        registered(api)
        registered(api, town="Lyon")

        answer = manager(api).put(HOUSE, a_building(town="Lille", replaces=1))

        assert (answer.status, answer.problem, answer.body["revision"]) == (409, "changed-meanwhile", 2)
        assert manager(api).get(HOUSE).body["town"] == "Lyon"

    @pytest.mark.parametrize("together", [overtaken, contended])
    def test_a_reader_and_new_hours_at_once_are_both_there_or_one_is_told(self, api: Api, together: Any) -> None:
        registered(api)

        with together(by=lambda: a_reader(api)):
            answer = manager(api).put(HOUSE, a_building(services={}))

        found = manager(api).get(HOUSE).body
        assert found["readers"] == [READER]
        assert (found["services"] == {}) is (answer.status == 200)

    def test_a_reader_is_registered_though_hours_change_at_once(self, api: Api) -> None:
        registered(api)

        with overtaken(by=lambda: registered(api, services={})):
            a_reader(api)

        found = manager(api).get(HOUSE).body
        assert (found["readers"], found["services"], found["revision"]) == ([READER], {}, 3)

    def test_of_two_buildings_that_want_the_same_reader_one_gets_it(self, api: Api) -> None:
        registered(api)
        registered(api, OTHER)

        with overtaken(by=lambda: a_reader(api, building=OTHER)):
            answer = manager(api).put(DOOR, {"key": a_reader_key()})

        assert answer.problem == "reader-taken"
        assert manager(api).get(HOUSE).body["readers"] == []
        found = buildings.reader(READER)
        assert found is not None
        assert found.building == OTHER


def roots(api: Api) -> list[bytes]:
    """The two root keys, as everybody may read them."""
    return [base64.b64decode(root) for root in api.as_nobody().get("/v1/pass-keys").body["roots"]]


def bring_news(api: Api, door: Door) -> None:
    """What the first handset brings to a new reader."""
    key_set = api.as_nobody().get("/v1/pass-keys").body["key_set"]
    listed = api.as_nobody().get("/v1/status-lists/0").body["status_list"]
    assert door.take(Kind.KEY_SET, base64.b64decode(key_set)) == "taken"
    assert door.take(Kind.STATUS_LIST, base64.b64decode(listed)) == "taken"


def a_relief_carrier(api: Api, folder: Path) -> Wallet:
    """A handset with a pass for the building alone."""
    relief = {"service": 1, "buildings": [BUILDING]}
    assert api.as_staff("depot-manager").put(f"/v1/pass-perimeters/{HERE}/{ROUTE}", relief).status == 200
    handset = NewHandset(api).enrolled()
    wallet = Wallet(folder, handset.key.sign_raw, api.clock)
    wallet.keep(base64.b64decode(ask(handset).body["token"]))
    return wallet


class TestLine:
    def test_it_is_what_a_reader_is_installed_with(self, api: Api, tmp_path: Path) -> None:
        """An installer's day, after which a pass of a relief round opens the door, in the hours of its line."""
        a_working_post(api)
        registered(api)
        line = manager(api).get(f"{DOOR}/line")

        door = Door.install(tmp_path / "door", line.body, roots(api), *doors.clocks(api.clock))

        point = door.public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        assert manager(api).put(DOOR, {"key": point.hex()}).status == 200
        bring_news(api, door)
        wallet = a_relief_carrier(api, tmp_path)
        assert door.answer(wallet.answer(door.challenge())).refusal is None
        registered(api, services={"1": [{"days": "7", "from": "08:00", "to": "12:00"}]})
        assert door.answer(wallet.answer(door.challenge())).refusal is None
        (tmp_path / "door" / "place.json").write_text(manager(api).get(f"{DOOR}/line").text)
        again = Door(tmp_path / "door", *doors.clocks(api.clock))
        assert again.answer(wallet.answer(again.challenge())).refusal == "outside-hours"
        assert again.public_key == door.public_key

    def test_it_says_what_the_building_admits_now_and_changes_nothing_else(self, api: Api) -> None:
        registered(api)
        first = manager(api).get(f"{DOOR}/line").body
        registered(api, services={"2": [MAIL_HOURS]})
        a_reader(api)

        again = manager(api).get(f"{DOOR}/line").body

        place = {"reader": READER, "sector": SECTOR, "building": secret_of().hex()}
        assert first == place | {"services": {"1": [MAIL_HOURS]}}
        assert again == place | {"services": {"2": [MAIL_HOURS]}}
        assert manager(api).get(HOUSE).body["readers"] == [READER]

    def test_each_reading_is_journalled(self, api: Api) -> None:
        registered(api)
        for role in ("building-manager", "security-officer"):
            answer = api.as_staff(role, sub=role).get(f"{DOOR}/line")
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")

        told = [event for event in journal.read(f"building/{BUILDING}") if event.type.endswith("line-told")]
        assert sorted(event.actor for event in told) == ["staff/building-manager", "staff/security-officer"]
        assert {bytes(event.data) for event in told} == {b'{"reader":"%s"}' % READER.encode()}

    def test_a_reader_with_any_line_is_a_reader(self, api: Api) -> None:
        registered(
            api, services={"1": [MAIL_HOURS, {"days": "7", "from": "08:00", "to": "12:00"}], "3": [doors.ALWAYS]}
        )
        place = Place.of(manager(api).get(f"{DOOR}/line").body)

        assert (place.reader.hex(), place.sector, place.building) == (READER, SECTOR, secret_of())
        assert sorted(place.services) == [1, 3]


def test_a_perimeter_names_registered_buildings_only(api: Api) -> None:
    a_working_post(api)
    depot_manager, perimeter = api.as_staff("depot-manager"), f"/v1/pass-perimeters/{HERE}/{ROUTE}"
    registered(api)
    before = everything_stored()

    answer = depot_manager.put(perimeter, {"service": 1, "buildings": [BUILDING, OTHER]})

    assert (answer.status, answer.problem) == (404, "not-found")
    assert OTHER in answer.body["detail"]
    assert everything_stored() == before
    registered(api, OTHER)
    assert depot_manager.put(perimeter, {"service": 1, "buildings": [BUILDING, OTHER]}).status == 200


def test_what_other_parts_ask_of_the_registry(api: Api, aws: Cloud) -> None:
    registered(api)
    registered(api, OTHER, town="Lyon")
    a_reader(api)

    with aws.counting() as calls:
        record, reader = buildings.record(OTHER), buildings.reader(READER)
        secrets = buildings.secrets_of([OTHER, BUILDING, OTHER])

    assert calls == {"GetItem": 2, "BatchGetItem": 1}
    assert record is not None
    assert reader is not None
    assert (record.town, reader.building) == ("Lyon", BUILDING)
    assert secrets == [secret_of(OTHER), secret_of(), secret_of(OTHER)]
    assert (buildings.record(ids.new()), buildings.reader("00000000000000ff")) == (None, None)
