"""The announcement file 02.00: the official samples, what is refused and where, and the trip there and back."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.connectors.announcement_file import (
    HEADER_LAYOUT,
    LINE_LAYOUT,
    Format,
    Header,
    HeaderRefused,
    LineRefused,
    decode,
    normalise_phone,
    read_header,
    read_line,
    write_header,
    write_line,
)
from chalicelib.core.clock import PARIS
from chalicelib.items.identifiers import from_edi
from chalicelib.items.schemas import Addressee, Announcement

HEADER_LINE = "BBB001;3181;999999;201207042333;201207050000;02.00;888888;NOM COMMERCIAL E-MARCHAND"
HOME = (
    "DDD001;6C;0000000061;1000;34000;0;;;;0;N;M.`PRENOM`NOM;;;;Num et libellé de voie Destinataire;;34000;"
    "Montpellier;64004504;;;;;;FR;;;;;;0400000009;EMAIL@EMAIL.COM;0611111111;;;;"
)
POST_OFFICE = (
    "DDD001;6H;0000000091;1000;11220;0;;;;0;N;MME`PRENOM`NOM;;;;Num et libellé de voie Destinataire;;75012;"
    "Paris;66067005;25A74;;;A remettre au Gardien si absent;;FR;;;;;;0400000007;EMAIL@EMAIL.COM;0644444444;"
    "113510;;;"
)
EXPERT = (
    "DDD001;9V;0000000021;1000;34000;0;;;;0;N;M.`PRENOM`NOM;;;;Num et libellé de voie Destinataire;;34000;"
    "Montpellier;64004504;;;;;;FR;;;;;;+330400000009;EMAIL@EMAIL.COM;330612341234;;;;"
)
HEADER = Header(
    deposit_slip="3181",
    client="999999",
    created_at=datetime(2012, 7, 4, 23, 33, tzinfo=PARIS),
    handed_over_on=date(2012, 7, 5),
    site="888888",
    trade_name="NOM COMMERCIAL E-MARCHAND",
)


def a_line(changes: dict[int, str] | None = None, base: str = HOME) -> str:
    values = base.split(";")
    for rank, value in (changes or {}).items():
        values[rank - 1] = value
    return ";".join(values)


def read(changes: dict[int, str] | None = None) -> Announcement:
    return read_line(a_line(changes), HEADER)


def test_the_official_header() -> None:
    assert read_header(HEADER_LINE) == HEADER
    assert HEADER.created_at.astimezone(UTC) == datetime(2012, 7, 4, 21, 33, tzinfo=UTC)


def test_the_official_line_for_the_home() -> None:
    assert read_line(HOME, HEADER) == Announcement(
        item=from_edi("6C", "0000000061"),
        client="999999",
        deposit_slip="3181",
        product="6C",
        reference="64004504",
        handed_over_on=date(2012, 7, 5),
        weight_grams=1000,
        delivery_postcode="34000",
        addressee=Addressee(
            name="M. PRENOM NOM",
            street="Num et libellé de voie Destinataire",
            postcode="34000",
            town="Montpellier",
            phone="+33400000009",
            mobile="+33611111111",
            email="EMAIL@EMAIL.COM",
        ),
    )


def test_the_official_line_for_the_post_office() -> None:
    found = read_line(POST_OFFICE, HEADER)
    assert (found.delivery_postcode, found.addressee.postcode) == ("11220", "75012")
    assert found.pickup_point == "113510"
    assert found.addressee.name == "Mme PRENOM NOM"
    assert found.addressee.door_code == "25A74"
    assert found.addressee.instructions == "A remettre au Gardien si absent"


def test_the_official_line_with_odd_phones() -> None:
    found = read_line(EXPERT, HEADER)
    assert found.item == from_edi("9V", "0000000021")
    assert (found.addressee.phone, found.addressee.mobile) == ("+33400000009", "+33612341234")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_both_ends_of_line_give_the_same_records(end: str, last: bool) -> None:
    content = (end.join((HEADER_LINE, HOME, EXPERT)) + (end if last else "")).encode("iso-8859-1")
    assert list(decode(content)) == [HEADER_LINE, HOME, EXPERT]


def test_records_keep_the_line_numbers_of_the_file() -> None:
    assert list(decode(b"a\n\nb\x0b\x85\n")) == ["a", "", "b\x0b\x85"]
    assert list(decode(b"")) == []


def test_an_end_of_line_left_on_the_record_does_not_count() -> None:
    assert read_header(HEADER_LINE + "\r\n") == HEADER
    assert read_line(HOME + "\n", HEADER) == read_line(HOME, HEADER)


def test_37_and_38_fields_are_read() -> None:
    assert HOME.count(";") == 37
    assert read_line(HOME.removesuffix(";"), HEADER) == read_line(HOME, HEADER)


@pytest.mark.parametrize(
    ("changes", "rank", "says"),
    [
        ({1: "EEE001"}, 1, "DDD001"),
        ({2: ""}, 2, "empty"),
        ({2: "999"}, 2, "1 to 2"),
        ({2: "99"}, 2, "two letters"),
        ({2: "9"}, 2, "two letters"),
        ({3: "00000000615"}, 3, "must have 10"),
        ({3: "000000006A"}, 3, "digits only"),
        ({3: "000000006²"}, 3, "digits only"),
        ({4: ""}, 4, "empty"),
        ({4: "1,5"}, 4, "digits only"),
        ({4: "12345678"}, 4, "1 to 7"),
        ({5: ""}, 5, "empty"),
        ({5: "1234567890"}, 5, "1 to 9"),
        ({6: "12.50"}, 6, "digits only"),
        ({6: "1250", 7: "USD"}, 7, "EUR"),
        ({8: "1250", 9: "CHF"}, 9, "EUR"),
        ({10: "NON"}, 10, "0 to 1"),
        ({11: "Y"}, 11, "O or N"),
        ({12: ""}, 12, "empty"),
        ({12: " ` "}, 12, "must have 1 to 35"),
        ({12: "` `"}, 12, "empty"),
        ({12: "M.`" + "A" * 20 + "`" + "B" * 14}, 12, "35"),
        ({12: "M.`A`B`C"}, 12, "two backticks"),
        ({13: "ACME", 14: "Apt 3"}, 14, "a company or a flat"),
        ({16: "A" * 36}, 16, "36 characters"),
        ({16: ""}, 16, "CEDEX"),
        ({16: "", 13: "ACME"}, 16, "CEDEX"),
        ({18: ""}, 18, "empty"),
        ({19: ""}, 19, "empty"),
        ({24: "A" * 76}, 24, "0 to 75"),
        ({26: "FRA"}, 26, "must have 2"),
        ({26: "33"}, 26, "letters only"),
        ({27: "R4"}, 27, "R1 or R2 or R3"),
        ({28: "Y"}, 28, "O or N"),
        ({29: "TG3"}, 29, "TG1"),
        ({32: "0" * 21}, 32, "0 to 20"),
        ({35: "11351"}, 35, "must have 6"),
        ({38: "X"}, 0, "38 fields"),
        ({16: "rue de l\x92Eglise"}, 16, "0x92"),
        ({20: "a\tb"}, 20, "0x09"),
    ],
)
def test_a_bad_line_is_refused_with_its_rank_and_a_sentence(changes: dict[int, str], rank: int, says: str) -> None:
    with pytest.raises(LineRefused) as refused:
        read(changes)
    assert refused.value.rank == rank
    assert says in refused.value.reason
    assert refused.value.reason.endswith(".")
    if rank:
        assert refused.value.field == LINE_LAYOUT[rank - 1].name


@pytest.mark.parametrize("line", ["", ";", "DDD001", "DDD001;6C", HOME + ";", HOME.removesuffix(";;"), HEADER_LINE])
def test_a_line_of_another_length_is_refused(line: str) -> None:
    with pytest.raises(LineRefused):
        read_line(line, HEADER)


@pytest.mark.parametrize("line", ["A" * 100_000, ";" * 100_000, ";" * 100, HOME + ";" * 70, HOME + "\x00" * 5_000_000])
def test_a_monstrous_line_is_refused_at_once(line: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(LineRefused) as refused:
        read_line(line, HEADER)
    assert refused.value.rank == 0
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize(
    ("rank", "value"),
    [
        (1, "DDD001"),
        (2, ""),
        (2, "12345678901"),
        (3, "99999"),
        (4, "201213042333"),
        (4, "2012070423"),
        (5, "201202300000"),
        (5, "000001010000"),
        (5, "201207052400"),
        (6, "03.00"),
        (7, "8888888"),
        (8, "A" * 36),
    ],
)
def test_a_bad_header_is_refused_with_its_rank(rank: int, value: str) -> None:
    with pytest.raises(HeaderRefused) as refused:
        read_header(a_line({rank: value}, base=HEADER_LINE))
    assert (refused.value.rank, refused.value.field) == (rank, HEADER_LAYOUT[rank - 1].name)


def test_a_header_saved_as_utf8_with_a_mark_is_refused() -> None:
    with pytest.raises(HeaderRefused):
        read_header(next(decode(HEADER_LINE.encode("utf-8-sig"))))


def test_a_header_without_its_optional_ends_is_read() -> None:
    found = read_header("BBB001;1;999999;201207040000;201207050000;02.00;;;")
    assert (found.site, found.trade_name) == ("", "")


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({2: "ZZ"}, "product", "ZZ"),
        ({6: "1250"}, "cash_on_delivery_cents", 1250),
        ({6: "1250", 7: "EUR"}, "cash_on_delivery_cents", 1250),
        ({6: "0", 7: "USD"}, "cash_on_delivery_cents", 0),
        ({8: "150000"}, "insured_value_cents", 150_000),
        ({20: ""}, "reference", ""),
        ({27: "R2"}, "recommendation", "R2"),
        ({28: "O"}, "acknowledgement_of_receipt", True),
    ],
)
def test_what_else_a_line_tells(changes: dict[int, str], field: str, value: object) -> None:
    assert getattr(read(changes), field) == value


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({12: "NOM"}, "name", "NOM"),
        ({12: "M.` Jean  Paul `Le Bris"}, "name", "M. Jean Paul Le Bris"),
        ({12: "M.`" + "A" * 20 + "`" + "B" * 13}, "name", "M. " + "A" * 20 + " " + "B" * 13),
        ({13: "ACME", 16: "", 19: "LYON cedex 03"}, "company", "ACME"),
        ({26: ""}, "country", "FR"),
        ({26: "be"}, "country", "BE"),
        ({32: "+32 2 123 45 67"}, "phone", "+32 2 123 45 67"),
    ],
)
def test_how_the_addressee_is_read(changes: dict[int, str], field: str, value: str) -> None:
    found = read(changes)
    assert getattr(found.addressee, field) == value
    assert msgspec.json.decode(msgspec.json.encode(found), type=Announcement) == found


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0400000009", "+33400000009"),
        ("04 00.00-00 09", "+33400000009"),
        ("33400000009", "+33400000009"),
        ("+33400000009", "+33400000009"),
        ("0033400000009", "+33400000009"),
        ("+33 (0)4 00 00 00 09", "+33400000009"),
        ("+330400000009", "+33400000009"),
        ("330612341234", "+33612341234"),
        ("+3221234567", "+3221234567"),
        ("ask the caretaker", "ask the caretaker"),
        ("", ""),
    ],
)
def test_phones(text: str, kept: str) -> None:
    assert normalise_phone(text) == kept
    assert normalise_phone(kept) == kept


def test_the_layout_tables_are_well_formed() -> None:
    for layout, ranks in ((HEADER_LAYOUT, 8), (LINE_LAYOUT, 37)):
        assert [field.rank for field in layout] == list(range(1, ranks + 1))
        assert all(Format.of(field.format).most for field in layout)
    with pytest.raises(ValueError, match="X9"):
        Format.of("X9")


# --- writing --------------------------------------------------------------------------------------------

LATIN = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters=";`\x7f", exclude_categories=["Cc"])
DIGITS = st.sampled_from("0123456789")


def text(most: int, least: int = 0) -> st.SearchStrategy[str]:
    return st.text(LATIN, min_size=least, max_size=most).map(str.strip).filter(lambda found: len(found) >= least)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=count, max_size=count)


NAMES = st.builds(
    lambda title, words: " ".join(f"{title} {words}".split()),
    st.sampled_from(["", "M.", "Mme", "MME", "Dr"]),
    text(31, least=1),
)
FRENCH_PHONES = st.one_of(st.just(""), digits(8).map(lambda rest: f"+336{rest}"))
ADDRESSEES = st.builds(
    Addressee,
    name=NAMES.filter(bool),
    company=text(35),
    building=text(35),
    street=text(35, least=1),
    hamlet=text(35),
    postcode=text(9, least=1),
    town=text(35, least=1),
    country=st.sampled_from(["FR", "BE", "MC"]),
    door_code=text(8),
    building_code=text(8),
    intercom=text(30),
    instructions=text(75),
    phone=FRENCH_PHONES,
    mobile=FRENCH_PHONES,
    email=text(80),
)
ANNOUNCEMENTS = st.builds(
    Announcement,
    item=st.builds(from_edi, st.sampled_from(["9V", "6C", "CY", "ZZ"]), digits(10)),
    client=st.just(HEADER.client),
    deposit_slip=st.just(HEADER.deposit_slip),
    product=st.just(""),
    reference=text(35),
    handed_over_on=st.just(HEADER.handed_over_on),
    weight_grams=st.integers(0, 9_999_999),
    delivery_postcode=text(9, least=1),
    addressee=ADDRESSEES,
    cash_on_delivery_cents=st.integers(0, 9_999_999),
    insured_value_cents=st.integers(0, 9_999_999),
    recommendation=st.sampled_from(["", "R1", "R2", "R3"]),
    acknowledgement_of_receipt=st.booleans(),
    pickup_point=st.one_of(st.just(""), digits(6)),
).map(lambda made: msgspec.structs.replace(made, product=made.item[:2]))


@given(announcement=ANNOUNCEMENTS)
def test_what_is_written_is_read_again(announcement: Announcement) -> None:
    line = write_line(announcement)
    assert line.count(";") == 36
    [decoded] = decode(line.encode("iso-8859-1"))
    assert read_line(decoded, HEADER) == announcement
    assert write_line(read_line(decoded, HEADER)) == line


@given(
    slip=digits(4),
    client=digits(6),
    created=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001 - Paris is added below
    name=text(35),
)
def test_a_written_header_is_read_again(slip: str, client: str, created: datetime, name: str) -> None:
    moment = created.replace(second=0, microsecond=0, tzinfo=PARIS)
    header = Header(deposit_slip=slip, client=client, created_at=moment, handed_over_on=moment.date(), trade_name=name)
    assert read_header(write_header(header)) == header


def test_the_official_samples_are_written_strictly() -> None:
    assert write_header(HEADER) == HEADER_LINE
    written = write_line(read_line(POST_OFFICE, HEADER)).split(";")
    assert len(written) == 37
    assert (written[9], written[11], written[31]) == ("O", "Mme`PRENOM`NOM", "+33400000007")


@pytest.mark.parametrize(
    ("changes", "rank"),
    [
        ({"item": "RB123456785GB"}, 3),
        ({"reference": "a;b"}, 20),
        ({"reference": "a\nDDD001"}, 20),
        ({"reference": "œuvre"}, 20),
        ({"weight_grams": 10_000_000}, 4),
        ({"addressee": Addressee(postcode="75001", town="Paris", street="1 rue X")}, 12),
        ({"addressee": Addressee(name="A B", postcode="75001", town="Paris")}, 16),
    ],
)
def test_what_the_layout_cannot_carry_is_not_written(changes: dict[str, object], rank: int) -> None:
    with pytest.raises(LineRefused) as refused:
        write_line(msgspec.structs.replace(read(), **changes))
    assert refused.value.rank == rank


# --- any text -------------------------------------------------------------------------------------------

FIELDS = st.lists(st.one_of(text(40), st.text(max_size=10), st.sampled_from(HOME.split(";"))), min_size=37, max_size=38)


def read_or_refuse(line: str) -> None:
    try:
        found = read_line(line, HEADER)
    except LineRefused:
        return
    assert msgspec.json.decode(msgspec.json.encode(found), type=Announcement) == found


@given(line=st.one_of(st.text(), FIELDS.map(lambda values: ";".join(["DDD001", *values[1:]]))))
def test_any_line_is_read_or_refused(line: str) -> None:
    read_or_refuse(line)


@given(rank=st.integers(1, 38), value=st.text())
def test_any_field_is_read_or_refused(rank: int, value: str) -> None:
    read_or_refuse(a_line({rank: value}))


@given(rank=st.integers(1, 8), value=st.one_of(st.text(), digits(12)))
def test_any_header_is_read_or_refused(rank: int, value: str) -> None:
    try:
        read_header(a_line({rank: value}, base=HEADER_LINE))
    except HeaderRefused:
        return
