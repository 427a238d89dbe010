"""Files put in the inbox: taken once, reported in full, whatever is delivered twice or dies in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest

from chalicelib.connectors.importer import rules, service, workers
from chalicelib.connectors.importer.kinds import KINDS, Origin, Outcome
from chalicelib.connectors.importer.tables import FileRow, SliceRow
from chalicelib.core import aws as cloud_clients
from chalicelib.core import clock, journal
from chalicelib.core.journal import JournalRow
from chalicelib.core.schemas import Schema
from chalicelib.people import legacy, lookup
from chalicelib.people.schemas import Address, Depot, Zone
from chalicelib.people.tables import PeopleRow
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import BUCKET, Cloud
from tests.support.crashes import Killed, before_step, die
from tests.support.inbox import Post, deliver
from tests.support.races import overtaken

HEADER = "carrier;first_name;last_name;depot"


def carriers(count: int, *, first: int = 1, end: str = "\n") -> str:
    """A file of carriers; every one has another name."""
    lines = (f"C{number};Zoé;Martin {number};75015A" for number in range(first, first + count))
    return end.join([HEADER, *lines, ""])


def events_of_type(event_type: str) -> list[Any]:
    subjects = [row for row in JournalRow.scan() if row.type == event_type]
    return [event for row in subjects for event in journal.read(row.subject) if event.type == event_type]


@pytest.fixture
def post(aws: Cloud) -> Post:
    """The legacy side, with a depot for its carriers."""
    register(Zone(id="PARIS-SUD", name="Paris Sud"), 1)
    address = Address(postcode="75015", town="Paris")
    register(Depot(id="75015A", name="Paris 15", zone="PARIS-SUD", address=address), 2)
    return Post(aws)


def register(record: Schema, line: int) -> None:
    legacy.import_records([record], lines=[line], at=clock.now(), actor="system/test", correlation_id="setup")


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lines a slice, so that a short file has several."""
    monkeypatch.setattr(rules.cut, "__defaults__", (3,))


class TestTaking:
    def test_a_file_of_three_hundred_lines(self, post: Post) -> None:
        post.take("inbox/carriers/staff.csv", carriers(300))

        assert post.counts("inbox/carriers/staff.csv") == (300, 0, 0)
        assert post.report("inbox/carriers/staff.csv") == []
        assert lookup.carrier("C300").depot == "75015A"
        assert len(events_of_type("facteo.carrier.registered")) == 300

    def test_the_import_is_one_event(self, post: Post) -> None:
        post.take("inbox/carriers/staff.csv", carriers(2))

        (event,) = events_of_type("facteo.file.imported")
        assert event.actor == "legacy/carriers"
        assert json.loads(bytes(event.data)) == {
            "kind": "carriers",
            "name": "staff.csv",
            "rejects": "rejects/carriers/staff.csv.rejects.csv",
            "accepted": 2,
            "duplicates": 0,
            "rejected": 0,
        }

    @pytest.mark.usefixtures("small_slices")
    def test_bad_lines_are_refused_alone_with_their_number_rank_and_reason(self, post: Post) -> None:
        content = carriers(4) + "C9;;Martin;75015A\r\n\r\nC10;Zoé;Martin;75018A\nC11;Zoé;Martin;75015A;x"
        post.take("inbox/carriers/bad.csv", content)

        assert post.counts("inbox/carriers/bad.csv") == (4, 0, 3)
        assert post.report("inbox/carriers/bad.csv") == [
            "6;2;first_name must not be empty.",
            "8;0;There is no depot/75018A. Register it first.",
            "9;0;The line has 5 fields and the header 4.",
        ]

    def test_bytes_of_another_encoding_refuse_their_line(self, post: Post) -> None:
        post.take("inbox/carriers/latin.csv", carriers(1).encode() + "C2;Zoé;Martin;75015A".encode("iso-8859-1"))

        assert post.counts("inbox/carriers/latin.csv") == (1, 0, 1)
        assert post.report("inbox/carriers/latin.csv")[0].startswith("3;0;Byte 6 of the line is not UTF-8")

    def test_crlf_and_names_with_spaces_and_accents(self, post: Post) -> None:
        post.take("inbox/carriers/équipe du matin+1.csv", carriers(3, end="\r\n"))

        assert post.counts("inbox/carriers/équipe du matin+1.csv") == (3, 0, 0)

    def test_a_header_alone_is_imported_at_once(self, post: Post) -> None:
        assert post.notify(post.put("inbox/carriers/none.csv", HEADER))

        assert post.counts("inbox/carriers/none.csv") == (0, 0, 0)
        assert post.aws.messages("slices") == []

    def test_announcements_go_to_the_items(self, post: Post) -> None:
        header = "BBB001;3181;999999;201207042333;201207050000;02.00;888888;NOM COMMERCIAL E-MARCHAND"
        line = (
            "DDD001;6C;0000000061;1000;34000;0;;;;0;N;M.`PRENOM`NOM;;;;Num et libellé de voie;;34000;Montpellier;"
            "64004504;;;;;;FR;;;;;;0400000009;EMAIL@EMAIL.COM;0611111111;;;;"
        )
        content = "\r\n".join([header, line, line.replace("1000", "kilo", 1), line, ""]).encode("iso-8859-1")
        post.take("inbox/announcements/slip.txt", content)
        post.take("inbox/announcements/again.txt", content)

        assert post.counts("inbox/announcements/slip.txt") == (1, 1, 1)
        assert post.report("inbox/announcements/slip.txt")[0].startswith("3;4;")
        assert post.counts("inbox/announcements/again.txt") == (0, 2, 1)
        (announced,) = events_of_type("facteo.item.announced")
        assert announced.actor == "legacy/announcements"

    def test_a_sorting_plan_goes_to_the_rounds(self, post: Post) -> None:
        header = "postcode;street;number_from;number_to;parity;depot;route;rank"
        content = f"{header}\n75015;LECOURBE;1;99;odd;75015A;T12;100\n75015;LECOURBE;2;98;even;75015A;T13;100\n"
        post.take("inbox/sorting-plan/plan.csv", content + "75015;LECOURBE;1;99;sometimes;75015A;T12;100\n")
        post.take("inbox/sorting-plan/again.csv", content)

        assert post.counts("inbox/sorting-plan/plan.csv") == (2, 0, 1)
        assert post.report("inbox/sorting-plan/plan.csv")[0].startswith("4;5;parity: ")
        assert post.counts("inbox/sorting-plan/again.csv") == (0, 2, 0)

    def test_a_slice_costs_few_calls(self, post: Post) -> None:
        post.take("inbox/carriers/first.csv", carriers(1))
        post.notify(post.put("inbox/carriers/staff.csv", carriers(25, first=2)))

        with post.aws.counting() as calls:
            post.take_slices()

        assert calls == {"GetItem": 2, "BatchGetItem": 3, "TransactWriteItems": 3, "Query": 1}


class TestRefusing:
    @pytest.mark.parametrize(
        ("key", "content", "line", "reason"),
        [
            ("inbox/stamps/s.csv", "x", 0, "Nothing is known of files here"),
            ("inbox/stray.csv", "x", 0, "Nothing is known of files here"),
            ("inbox/carriers/empty.csv", "", 0, "The file is empty"),
            ("inbox/carriers/header.csv", "name\nC1", 1, "The first line must name each of these columns once"),
            ("inbox/carriers/zip.csv", HEADER + "\n" + "\0" * 70_000, 2, "The line has over 65536 bytes"),
            ("inbox/announcements/a.txt", "DDD001;6C", 1, "must be BBB001"),
        ],
    )
    def test_a_file_that_cannot_be_taken_is_reported(
        self, post: Post, key: str, content: str, line: int, reason: str
    ) -> None:
        record = post.put(key, content)
        assert post.notify(record)
        assert post.notify(record)

        (report,) = post.report(key)
        assert report.startswith(f"{line};")
        assert reason in report
        (event,) = events_of_type("facteo.file.refused")
        assert json.loads(bytes(event.data))["key"] == key
        assert post.aws.messages("slices") == []

    def test_our_own_reports_and_folder_markers_are_left_alone(self, post: Post) -> None:
        assert post.notify(post.put("rejects/carriers/s.csv.rejects.csv", "x"), post.put("inbox/carriers/", ""))

        assert list(FileRow.scan()) == []

    def test_the_test_message_of_s3_is_nothing(self, post: Post) -> None:
        assert deliver(workers.take_file, json.dumps({"Event": "s3:TestEvent", "Bucket": BUCKET}))

    def test_what_is_no_notification_goes_back_to_the_queue(self, post: Post) -> None:
        assert not deliver(workers.take_file, "hello")
        assert not deliver(workers.take_slice, '{"import_id": "none", "number": 1}')

    def test_another_bucket_goes_back_to_the_queue(self, post: Post) -> None:
        record = post.put("inbox/carriers/s.csv", carriers(1))
        record["s3"]["bucket"]["name"] = "another"

        assert not post.notify(record)


class TestRepeating:
    @pytest.mark.usefixtures("small_slices")
    def test_every_message_twice_is_as_once(self, post: Post) -> None:
        record = post.put("inbox/carriers/twice.csv", carriers(7))
        post.notify(record, record)
        post.notify(record)
        post.take_slices(times=2)
        report = post.fetch(rules.report_key("inbox/carriers/twice.csv"))
        assert post.notify(record)
        post.take_slices()

        assert post.counts("inbox/carriers/twice.csv") == (7, 0, 0)
        assert post.fetch(rules.report_key("inbox/carriers/twice.csv")) == report
        assert len(events_of_type("facteo.carrier.registered")) == 7
        assert len(events_of_type("facteo.file.imported")) == 1

    def test_the_same_file_under_another_name_tells_nothing_new(self, post: Post) -> None:
        post.take("inbox/carriers/one.csv", carriers(5))
        post.take("inbox/carriers/other.csv", carriers(5))

        assert post.counts("inbox/carriers/other.csv") == (0, 5, 0)
        assert len(events_of_type("facteo.carrier.registered")) == 5

    @pytest.mark.usefixtures("small_slices")
    def test_a_line_that_stands_again_in_a_later_slice_is_a_duplicate(self, post: Post) -> None:
        post.take("inbox/carriers/again.csv", carriers(4) + carriers(1).partition("\n")[2])

        assert post.counts("inbox/carriers/again.csv") == (4, 1, 0)

    def test_a_new_version_under_the_same_name_is_a_file_of_its_own(self, post: Post) -> None:
        post.take("inbox/carriers/staff.csv", carriers(2))
        post.take("inbox/carriers/staff.csv", carriers(3))

        assert post.counts("inbox/carriers/staff.csv") == (1, 2, 0)
        assert len(events_of_type("facteo.file.imported")) == 2

    def test_a_version_that_was_replaced_meanwhile_is_still_taken(self, post: Post) -> None:
        former = post.put("inbox/carriers/fast.csv", carriers(2))
        post.notify(former)
        latter = post.put("inbox/carriers/fast.csv", carriers(1, first=50))
        post.take_slices()
        assert lookup.carrier("C2").id == "C2"
        post.notify(latter)
        post.take_slices()

        assert lookup.carrier("C50").id == "C50"

    @pytest.mark.usefixtures("small_slices")
    def test_two_workers_at_the_same_slice_count_it_once(self, post: Post) -> None:
        post.notify(post.put("inbox/carriers/race.csv", carriers(3)))
        (message,) = post.aws.messages("slices")

        with overtaken(by=lambda: deliver(workers.take_slice, message["Body"])):
            assert deliver(workers.take_slice, message["Body"])

        assert post.counts("inbox/carriers/race.csv") == (3, 0, 0)
        assert len(events_of_type("facteo.carrier.registered")) == 3
        assert len(events_of_type("facteo.file.imported")) == 1

    @pytest.mark.usefixtures("small_slices")
    def test_two_workers_at_the_same_file_leave_one_set_of_slices(self, post: Post) -> None:
        record = post.put("inbox/carriers/both.csv", carriers(5))

        with overtaken(by=lambda: post.notify(record)):
            assert not post.notify(record)

        assert post.notify(record)
        post.take_slices()
        assert post.counts("inbox/carriers/both.csv") == (5, 0, 0)
        assert len(list(SliceRow.scan(SliceRow.sk.startswith("slice/")))) == 2


class TestAsking:
    def test_a_queue_that_refuses_a_slice_is_asked_again(self, post: Post) -> None:
        record = post.put("inbox/carriers/refused.csv", carriers(2))
        answer = {"Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}]}
        with patch.object(cloud_clients.client("sqs"), "send_message_batch", return_value=answer):
            assert not post.notify(record)

        assert post.notify(record)
        post.take_slices()
        assert post.counts("inbox/carriers/refused.csv") == (2, 0, 0)

    def test_a_slice_that_dies_midway_reports_what_it_had_recorded_as_accepted(self, post: Post) -> None:
        post.notify(post.put("inbox/carriers/midway.csv", carriers(60)))
        (message,) = post.aws.messages("slices")
        kind = KINDS["carriers"]

        def half(entries: Sequence[Schema], origin: Origin) -> Sequence[Outcome]:
            kind.take(entries[:30], Origin(origin.at, origin.lines[:30], origin.actor, origin.correlation_id))
            raise TimeoutError

        with patch.object(service, "KINDS", {**KINDS, "carriers": kind._replace(take=half)}):
            assert not deliver(workers.take_slice, message["Body"])
        assert len(list(PeopleRow.scan(PeopleRow.sk == "carrier"))) == 30

        assert deliver(workers.take_slice, message["Body"])
        assert post.counts("inbox/carriers/midway.csv") == (60, 0, 0)

    def test_a_notification_that_comes_again_brings_the_report_that_a_dead_slice_did_not_write(
        self, post: Post
    ) -> None:
        record = post.put("inbox/carriers/dead.csv", carriers(2) + "C9\n")
        post.notify(record)
        (message,) = post.aws.messages("slices")
        with before_step(2, die, only="PutObject"), pytest.raises(Killed):
            deliver(workers.take_slice, message["Body"])

        assert post.notify(record)
        assert post.counts("inbox/carriers/dead.csv") == (2, 0, 1)
        assert len(post.report("inbox/carriers/dead.csv")) == 1


class TestLookingAfter:
    @pytest.mark.usefixtures("small_slices")
    def test_operations_see_how_far_a_file_has_come(self, post: Post, api: Api) -> None:
        ops = api.as_staff("ops")
        post.notify(post.put("inbox/carriers/slow.csv", carriers(5)))
        (listed,) = ops.get("/v1/imports").body["imports"]
        first, second = post.aws.messages("slices")
        deliver(workers.take_slice, first["Body"])
        half = ops.get(f"/v1/imports/{listed['id']}").body
        deliver(workers.take_slice, second["Body"])
        whole = ops.get(f"/v1/imports/{listed['id']}").body

        assert (listed["key"], listed["state"], listed["slices"]) == ("inbox/carriers/slow.csv", "under-way", 2)
        assert (half["slices_done"], half["accepted"], half["rejects"]) == (1, 3, "")
        assert (whole["state"], whole["accepted"]) == ("imported", 5)
        assert whole["rejects"] == "rejects/carriers/slow.csv.rejects.csv"

    def test_the_newest_come_first_in_pages(
        self, post: Post, api: Api, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "PAGE", 2)
        for number in range(3):
            clock.advance(minutes=1)
            post.take(f"inbox/carriers/{number}.csv", HEADER)

        first = api.as_staff("ops").get("/v1/imports", month="2026-11").body
        rest = api.as_staff("ops").get("/v1/imports", month="2026-11", after=first["next"]).body

        assert [found["key"][-5] for found in first["imports"] + rest["imports"]] == ["2", "1", "0"]
        assert rest["next"] == ""
        assert api.as_staff("ops").get("/v1/imports", month="2026-10").body["imports"] == []

    def test_only_operations(self, post: Post, api: Api) -> None:
        import_id = "019ab9b0-0000-7000-8000-000000000000"

        assert api.as_staff("depot-manager", "auditor").get("/v1/imports").problem == "access-denied"
        assert api.as_nobody().get(f"/v1/imports/{import_id}").status == 401
        assert api.as_staff("ops").get(f"/v1/imports/{import_id}").problem == "not-found"
        assert api.as_staff("ops").get("/v1/imports/none").problem == "not-found"
        assert api.as_staff("ops").get("/v1/imports", month="now").problem == "request-invalid"
