"""The return file: a golden line for each row of the table, both offsets of Paris, names and window."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.connectors.return_file import (
    CODES,
    LAYOUT,
    ReturnCode,
    ReturnLine,
    Row,
    code_for,
    file_name,
    render_file,
    render_line,
    temporary_name,
    within_send_window,
)
from chalicelib.core.clock import PARIS
from chalicelib.core.schemas import Schema
from chalicelib.items.schemas import (
    Barcode,
    Capacity,
    Cause,
    Corrected,
    Delivered,
    Held,
    HeldAt,
    NotDelivered,
    Recipient,
    Redirected,
    Returned,
    Scanned,
    Step,
)
from tests.support.item_facts import a_handing_over, every_fact

GOLDEN = Path(__file__).parents[2] / "fixtures" / "return_file"
WINTER = datetime(2026, 1, 15, 11, 5, tzinfo=UTC)
SUMMER = datetime(2026, 7, 15, 11, 5, tzinfo=UTC)
ITEM = "9V20524752032"
BARCODE = Barcode(raw=ITEM)
LIVCFM = ReturnCode(situation="LIV", justification="CFM", confirmed=True, note="")

BODIES: list[tuple[str, Schema | None]] = [
    ("facteo.item.announced", None),
    *[("facteo.item.scanned", Scanned(barcode=BARCODE, step=step)) for step in Step],
    *[("facteo.item.delivered", Delivered(barcode=BARCODE, recipient=who)) for who in Recipient],
    *[("facteo.item.handed-over", a_handing_over(capacity)) for capacity in Capacity],
    *[("facteo.item.not-delivered", NotDelivered(barcode=BARCODE, cause=cause)) for cause in Cause],
    *[("facteo.item.held", Held(barcode=BARCODE, place=place)) for place in HeldAt],
    *[("facteo.item.returned", Returned(barcode=BARCODE, cause=cause)) for cause in Cause],
    ("facteo.item.redirected", Redirected(barcode=BARCODE)),
    ("facteo.item.corrected", Corrected(corrects="an-event", reason="wrong item")),
]


def golden_line(event_type: str, data: Schema | None, at: datetime) -> str:
    """A line of the golden file: the fact, then its record or what is said in place of one."""
    fields = ("step", "recipient", "cause", "place")
    value = next((str(getattr(data, field)) for field in fields if hasattr(data, field)), "-")
    code = code_for(event_type, data)
    if code is None:
        return f"{event_type} {value}: not reported"
    mark = "" if code.confirmed else " (unconfirmed)"
    record = render_line(ReturnLine(item=ITEM, at=at, code=code, reference="CMD-42"))
    return f"{event_type} {value}: {record}{mark}"


@pytest.mark.parametrize(("season", "at"), [("winter", WINTER), ("summer", SUMMER)])
def test_each_fact_gives_its_golden_line(season: str, at: datetime) -> None:
    lines = [golden_line(event_type, data, at) for event_type, data in BODIES]
    assert lines == (GOLDEN / f"{season}.txt").read_text(encoding="utf-8").splitlines()


def test_every_value_of_every_event_has_exactly_one_row() -> None:
    assert {(row.event_type, str(row.value)) for row in CODES} == every_fact()
    assert len(CODES) == len(every_fact())


PUBLISHED = {
    "COM": {"CFM"},
    "PCH": {"MQT", "CFM", "CEX"},
    "EXP": {"CFM"},
    "CHG": {"CFM"},
    "DCH": {"CFM", "DDT"},
    "AAR": {"CFM", "DVY"},
    "DEP": {"GUI"},
    "LIV": {"CFM", "GAR", "RTI", "REO"},
    "REN": {"NRV", "ARV", "ACP", "AIN", "CAD", "DIA", "AVA", "DIV", "SNC", "TAR", "SRB", "AVI", "LNA"},
    "QDI": {"CFM"},
    "MLV": {"ARS"},
    "RST": {"NCG", "BRT"},
    "SOL": {"REO", "REI"},
    "ENE": {"MQT"},
}


@pytest.mark.parametrize("row", CODES, ids=lambda row: f"{row.event_type}-{row.value}")
def test_no_code_is_invented(row: Row) -> None:
    assert not row.code or row.code[3:] in PUBLISHED[row.code[:3]]
    assert row.note


def test_waiting_at_the_counter_is_not_delivered() -> None:
    delivered = {row.code for row in CODES if row.code.startswith("LIV")}
    assert delivered == {"LIVCFM", "LIVGAR", "LIVRTI"}
    assert not {row.code for row in CODES if row.event_type == "facteo.item.held"} & delivered


def test_an_event_without_a_row_is_not_guessed() -> None:
    with pytest.raises(LookupError, match=r"facteo\.item\.exploded"):
        code_for("facteo.item.exploded", None)


@pytest.mark.parametrize(
    ("item", "reference", "expected"),
    [
        (ITEM, "CMD-42", "DDD001;9V;2052475203;202601151205;LIV;CFM;CMD-42"),
        (ITEM, "", "DDD001;9V;2052475203;202601151205;LIV;CFM;9V20524752032"),
        ("RB123456785GB", "", "DDD001;;RB123456785GB;202601151205;LIV;CFM;RB123456785GB"),
        ("87000634002228A", "R", "DDD001;;87000634002228A;202601151205;LIV;CFM;R"),
        ("1A12345678901", "R", "DDD001;;1A12345678901;202601151205;LIV;CFM;R"),
    ],
)
def test_how_each_kind_of_number_travels(item: str, reference: str, expected: str) -> None:
    assert render_line(ReturnLine(item=item, at=WINTER, code=LIVCFM, reference=reference)) == expected


@pytest.mark.parametrize(
    ("at", "local"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "202603290159"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "202603290300"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "202610250230"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "202610250230"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "202701010030"),
    ],
)
def test_times_are_those_of_paris(at: datetime, local: str) -> None:
    assert render_line(ReturnLine(item=ITEM, at=at, code=LIVCFM)).split(";")[3] == local


def test_a_moment_without_offset_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="offset"):
        render_line(ReturnLine(item=ITEM, at=datetime(2026, 1, 1), code=LIVCFM))  # noqa: DTZ001 - the point


def test_a_file_says_what_it_had_to_change() -> None:
    lines = [
        ReturnLine(item=ITEM, at=WINTER, code=LIVCFM, reference="Été"),
        ReturnLine(item=ITEM, at=WINTER, code=LIVCFM, reference="œ;Ł\ně"),
    ]
    rendered = render_file(lines)
    assert rendered.content == (
        b"DDD001;9V;2052475203;202601151205;LIV;CFM;\xc9t\xe9\r\nDDD001;9V;2052475203;202601151205;LIV;CFM;oe,? e\r\n"
    )
    assert [(s.line, s.rank, s.character, s.replacement) for s in rendered.substitutions] == [
        (2, 7, "œ", "oe"),
        (2, 7, ";", ","),
        (2, 7, "Ł", "?"),
        (2, 7, "\n", " "),
        (2, 7, "ě", "e"),
    ]


def test_a_reference_that_is_too_long_is_cut_and_said_so() -> None:
    rendered = render_file([ReturnLine(item=ITEM, at=WINTER, code=LIVCFM, reference="A" * 33 + "œuvre")])
    assert rendered.content.endswith(b";" + b"A" * 33 + b"oe\r\n")
    assert [(s.character, s.replacement) for s in rendered.substitutions] == [("œ", "oe"), ("uvre", "")]


def test_an_empty_file_is_empty() -> None:
    assert render_file([]).content == b""


@given(references=st.lists(st.text(), max_size=5))
def test_no_reference_breaks_the_file(references: list[str]) -> None:
    lines = [ReturnLine(item=ITEM, at=SUMMER, code=LIVCFM, reference=reference) for reference in references]
    records = render_file(lines).content.decode("iso-8859-1").split("\r\n")
    assert records.pop() == ""
    assert [record.count(";") for record in records] == [len(LAYOUT) - 1] * len(references)
    assert not any("\n" in record or "\r" in record for record in records)


def test_names_of_files() -> None:
    at = datetime(2013, 7, 4, 21, 33, 59, tzinfo=UTC)
    assert file_name("999999", at, 1) == "999999.20130704.233359_001.ok"
    assert temporary_name("999999", at, 1) == "999999.20130704.233359_001.tmp"
    assert file_name("999999", at, 999).endswith("_999.ok")
    assert file_name("999999", at, 1000).endswith("_000.ok")


@pytest.mark.parametrize(("client", "counter"), [("99999", 1), ("99999/", 1), ("٩٩٩٩٩٩", 1), ("999999", -1)])
def test_a_name_that_would_not_be_read_is_not_made(client: str, counter: int) -> None:
    with pytest.raises(ValueError, match=r"six digits|below zero"):
        file_name(client, WINTER, counter)


@pytest.mark.parametrize(
    ("local", "is_open"),
    [
        ("05:59:59", False),
        ("06:00:00", True),
        ("12:00:00", True),
        ("23:59:59", True),
        ("00:59:59", True),
        ("01:00:00", False),
    ],
)
@pytest.mark.parametrize("day", ["2026-01-15", "2026-07-15", "2026-03-29", "2026-10-25"])
def test_the_send_window(day: str, local: str, is_open: bool) -> None:
    at = datetime.fromisoformat(f"{day}T{local}").replace(tzinfo=PARIS).astimezone(UTC)
    assert within_send_window(at) is is_open
