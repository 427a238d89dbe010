"""Where files belong, how they are cut, how their lines are read, and the bytes of the reports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.connectors.importer import rules
from chalicelib.connectors.importer.kinds import COLUMNS, KINDS, Origin, each_once
from chalicelib.connectors.importer.rules import FileRefusal, Line, LineRefusal, Reject, StoredObject
from chalicelib.core.intake import Taken
from chalicelib.core.schemas import Schema
from chalicelib.passes.registry_schemas import BuildingEntry
from chalicelib.people.schemas import CarrierEntry, Client, ClientProduct, Depot, Zone


def a_notification(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": list(records)})


def a_record(key: str, event: str = "ObjectCreated:Put", **changes: Any) -> dict[str, Any]:
    return {"eventName": event, "s3": {"bucket": {"name": "b"}, "object": {"key": key, "versionId": "v1"} | changes}}


class TestNotifications:
    def test_keys_come_url_encoded(self) -> None:
        records = (a_record("inbox/carriers/%C3%A9t%C3%A9+2026.csv"), a_record("inbox/zones/z%2B1.csv"))

        assert rules.objects_in(a_notification(*records)) == [
            StoredObject("b", "inbox/carriers/été 2026.csv", "v1"),
            StoredObject("b", "inbox/zones/z+1.csv", "v1"),
        ]

    def test_the_test_message_and_deletions_name_nothing(self) -> None:
        assert rules.objects_in('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}') == []
        assert rules.objects_in(a_notification(a_record("inbox/zones/z", event="ObjectRemoved:Delete"))) == []

    def test_what_is_no_notification_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            rules.objects_in("{}")

    @pytest.mark.parametrize(
        ("key", "ignored"),
        [("rejects/zones/z.rejects.csv", True), ("inbox/zones/", True), ("inbox/zones/z", False), ("stray", False)],
    )
    def test_our_own_reports_are_not_reported_on(self, key: str, ignored: bool) -> None:
        assert rules.is_ignored(key) is ignored

    @pytest.mark.parametrize("key", ["stray.csv", "inbox/z.csv", "inbox/stamps/z.csv", "outbox/zones/z.csv"])
    def test_a_file_elsewhere_is_told_where_files_go(self, key: str) -> None:
        with pytest.raises(FileRefusal, match="inbox/announcements/, inbox/buildings/, inbox/carriers/"):
            rules.place_of(key, KINDS)

    def test_a_file_in_its_place(self) -> None:
        assert rules.place_of("inbox/zones/2026/z.csv", KINDS) == ("zones", "2026/z.csv")
        assert rules.report_key("inbox/zones/z.csv") == "rejects/zones/z.csv.rejects.csv"


def chunked(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


LINES = st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line and not line.endswith(b"\r")))


class TestCutting:
    @given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.integers(1, 9), st.integers(1, 4))
    def test_slices_hold_every_line_once_whatever_the_chunks(
        self, lines: list[bytes], end: bytes, ended: bool, size: int, lines_per_slice: int
    ) -> None:
        content = b"header" + end + end.join(lines) + (end if ended else b"")

        found = rules.cut(chunked(content, size), lines_per_slice)

        assert found.header == b"header"
        cut = [line for piece in found.pieces for line in rules.lines_of(content[piece.start : piece.end], 2)]
        assert [line.raw for line in cut] == [line for line in lines if line.strip()]
        assert [piece.number for piece in found.pieces] == list(range(1, len(found.pieces) + 1))
        ends = [len(b"header" + end), *(piece.end for piece in found.pieces)]
        assert [piece.start for piece in found.pieces] == ends[:-1]
        assert ends[-1] == len(content)

    def test_a_hundred_thousand_lines_make_a_hundred_slices_with_the_right_numbers(self) -> None:
        line = b"C%06d;" + b"x" * 190 + b"\n"
        content = b"header\n" + b"".join(line % number for number in range(2, 100_002))
        assert len(content) > 19_000_000

        pieces = rules.cut(chunked(content, 1024 * 1024)).pieces

        assert len(pieces) == 100
        for piece in pieces:
            numbered = list(rules.lines_of(content[piece.start : piece.end], piece.first_line))
            assert len(numbered) == 1000
            assert all(raw.startswith(b"C%06d;" % number) for number, raw in numbered)

    def test_a_file_is_never_held_as_a_whole(self) -> None:
        def endless() -> Iterator[bytes]:
            yield b"header\n"
            for _ in range(10_000):
                yield b"a line\n" * 100

        assert len(rules.cut(endless(), 1000).pieces) == 1000

    def test_a_header_alone_makes_no_slice(self) -> None:
        assert rules.cut([b"header"]) == (b"header", [])

    def test_an_empty_file_is_refused(self) -> None:
        with pytest.raises(FileRefusal, match="empty"):
            rules.cut([])

    def test_what_is_not_made_of_lines_is_refused_before_it_is_read_through(self) -> None:
        def zeros() -> Iterator[bytes]:
            yield b"header\n"
            yield bytes(rules.MAX_LINE_BYTES + 1)
            pytest.fail("read on")

        with pytest.raises(FileRefusal) as refused:
            rules.cut(zeros())
        assert refused.value.reject.line == 2


def read(kind: str, header: str, line: str) -> Schema:
    return KINDS[kind].read_line(line, KINDS[kind].read_header(header))


class TestCsv:
    def test_a_carrier_whatever_the_order_of_the_columns(self) -> None:
        found = read("carriers", "\ufeffdepot;last_name;first_name;carrier", '75015A; "Martin" ;Zoé;C1')

        assert found == CarrierEntry(id="C1", first_name="Zoé", last_name='"Martin"', depot="75015A")

    def test_quotes_hold_separators(self) -> None:
        assert read("zones", "zone;name", 'Z1;"Paris; Sud"') == Zone(id="Z1", name="Paris; Sud")

    def test_a_depot_and_a_client_have_parts(self) -> None:
        depot = read("depots", "depot;name;zone;postcodes;postcode;town", "75015A;Paris 15;Z1;75015 75116;75015;Paris")
        client = read(
            "clients", "client;company;postcode;town;products", "999999;La Boutique;75015;Paris;8R:495 6A:350"
        )

        assert isinstance(depot, Depot)
        assert (depot.postcodes, depot.address.country, depot.subcontractor) == (("75015", "75116"), "FR", None)
        assert isinstance(client, Client)
        assert client.products[0] == ClientProduct(product="8R", price_cents=495)

    def test_a_subcontractor_has_a_name_and_a_town(self) -> None:
        header = "depot;name;zone;postcode;town;subcontractor;subcontractor_postcode;subcontractor_town"
        with pytest.raises(LineRefusal, match="address"):
            read("depots", header, "75015A;Paris 15;Z1;75015;Paris;Coursiers;;")
        with pytest.raises(LineRefusal, match="name"):
            read("depots", header, "75015A;Paris 15;Z1;75015;Paris;;69002;Lyon")

    @pytest.mark.parametrize("header", ["", "zone", "zone;name;colour", "zone;zone;name", "BBB001;3181"])
    def test_a_header_that_does_not_fit_refuses_the_file(self, header: str) -> None:
        with pytest.raises(FileRefusal, match="zone;name"):
            KINDS["zones"].read_header(header)

    @pytest.mark.parametrize(
        ("line", "rank", "reason"),
        [
            ("C1;Zoé;Martin;75015A;ring me", 5, "matching regex"),
            ("C1;;Martin;75015A;", 2, "first_name must not be empty"),
            ("C1;Zoé;Martin", 0, "3 fields and the header 5"),
            ("C1;Zoé;Martin;nowhere;", 4, "matching regex"),
            ('C1;"Zoé;Martin;75015A;', 0, "quotes"),
        ],
    )
    def test_a_bad_line_is_refused_with_rank_and_reason(self, line: str, rank: int, reason: str) -> None:
        with pytest.raises(LineRefusal, match=reason) as refused:
            read("carriers", "carrier;first_name;last_name;depot;phone", line)
        assert refused.value.rank == rank

    def test_a_price_without_a_price_is_the_products_columns_fault(self) -> None:
        with pytest.raises(LineRefusal) as refused:
            read("clients", "client;company;postcode;town;products", "999999;La Boutique;75015;Paris;8R")
        assert refused.value.rank == 5

    HOURS = "building;street;postcode;town;sector;mail;legal_basis"

    def test_hours_are_written_in_one_column(self) -> None:
        line = "019ac9a0-0000-7000-8000-0000000000b1;Rue;75015;Paris;7511502;{};press"
        found = read("buildings", self.HOURS, line.format("123456  06:00 - 24:00 ,7 08:00-12:00"))
        nobody = read("buildings", self.HOURS, line.format(""))

        assert isinstance(found, BuildingEntry)
        assert isinstance(nobody, BuildingEntry)
        week, sunday = found.services["1"]
        assert (week.days, week.since, week.to) == ("123456", "06:00", "24:00")
        assert (sunday.days, sunday.since, sunday.to) == ("7", "08:00", "12:00")
        assert nobody.services == {}

    @pytest.mark.parametrize(
        "hours",
        ["6h-12h", "06:00-24:00", "21 06:00-24:00", "8 06:00-24:00", "1 24:00-24:00", "1 6:00-12:00", "1 06:00-12:00,"],
    )
    def test_hours_that_are_none_are_their_columns_fault(self, hours: str) -> None:
        with pytest.raises(LineRefusal, match="mail: Write days, 1 for Monday") as refused:
            read("buildings", self.HOURS, f"019ac9a0-0000-7000-8000-0000000000b1;R;75015;P;7511502;{hours};press")
        assert refused.value.rank == 6

    def test_bytes_that_are_not_utf_8_refuse_their_line(self) -> None:
        with pytest.raises(LineRefusal, match="Byte 3 of the line is not UTF-8"):
            rules.decoded(Line(7, b"Zo\xe9"), "utf-8")

    @pytest.mark.parametrize("kind", sorted(COLUMNS))
    def test_a_line_with_every_column_filled_is_read(self, kind: str) -> None:
        header = ";".join(column.name for column in COLUMNS[kind])

        found = msgspec.json.encode(read(kind, header, FULL_LINES[kind])).decode()

        missing = [value for value in re.split("[;:, -]", FULL_LINES[kind]) if value not in found]
        assert not missing


FULL_LINES = {
    "zones": "Z1;Nord",
    "depots": "75015A;Lecourbe;Z1;75116;Rue;75015;Paris;BE;Coursiers;Quai;69002;Lyon",
    "carriers": "C1;Zoé;Martin;+33612345678;75015A;M1",
    "duties": "C1;2026-11-24;75015A;T12;06:30;13:00",
    "clients": "999999;Boutique;Rue;75015;Paris;BE;8R:495",
    "buildings": "019ac9a0-0000-7000-8000-0000000000b1;Rue;75015;Paris;7511502;"
    "123456 06:00-24:00, 7 08:00-12:00;12345 07:30-19:45;1234567 00:00-24:00;press",
    "sorting-plan": "75015;LECOURBE;1;99;odd;75016A;T12;100",
}


class TestAnnouncements:
    HEADER = "BBB001;3181;999999;201207042333;201207050000;02.00;888888;NOM COMMERCIAL"

    def test_the_header_and_the_lines_are_those_of_the_flat_file(self) -> None:
        with pytest.raises(FileRefusal) as refused:
            KINDS["announcements"].read_header(self.HEADER.replace("02.00", "03.00"))
        assert (refused.value.reject.line, refused.value.reject.rank) == (1, 6)
        with pytest.raises(LineRefusal) as line_refused:
            read("announcements", self.HEADER, "DDD002;6C")
        assert line_refused.value.rank == 1


class TestEachOnce:
    def test_what_stands_twice_is_taken_once(self) -> None:
        taken: list[Schema] = []

        def take(entries: Sequence[Schema], origin: Origin) -> list[Taken]:
            taken.extend(entries)
            return [Taken.REPEATED for _ in entries]

        one, other = Zone(id="Z1", name="A"), Zone(id="Z2", name="B")
        origin = Origin(datetime(2026, 11, 23, tzinfo=UTC), [], "legacy/zones", "import/1/1")

        assert each_once(take)([one, other, one], origin) == [Taken.REPEATED, Taken.REPEATED, Taken.DUPLICATE]
        assert taken == [one, other]


class TestReports:
    def test_the_same_rejects_are_the_same_bytes(self) -> None:
        rejects = [Reject(12, 0, "no; really"), Reject(3, 5, "ça ne va pas")]

        assert rules.report_head() + rules.report_lines(rejects) == (
            'line;rank;reason\n3;5;ça ne va pas\n12;0;"no; really"\n'.encode()
        )
        assert rules.report_lines(rejects) == rules.report_lines(rejects[::-1])


def test_the_workers_load_no_http() -> None:
    code = "import sys, chalicelib.connectors.importer.workers; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603

    assert not [name for name in loaded if name.endswith(".routes")]
    assert not {"joserfc", "http_message_signatures", "chalicelib.items.service", "app"} & set(loaded)
