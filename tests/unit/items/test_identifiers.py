"""Every published vector with its verdict, and the laws that hold for any text."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from stdnum import ean
from stdnum.iso7064 import mod_37_36

from chalicelib.items.countries import COUNTRIES
from chalicelib.items.identifiers import (
    Identifier,
    IdentifierRefused,
    Kind,
    LabelDetails,
    RoutingDetails,
    S10Details,
    from_edi,
    letter_key,
    links,
    normalise,
    parcel_key,
    parse,
    s10_key,
    to_edi,
)
from chalicelib.items.product_codes import PRODUCT_CODES, Family

DIGIT = st.sampled_from("0123456789")
EIGHT_DIGITS = st.text(DIGIT, min_size=8, max_size=8)
TEN_DIGITS = st.text(DIGIT, min_size=10, max_size=10)
LABEL = "9V1722409000010860000037"


def codes(found: Identifier) -> list[str]:
    return [caution.code.value for caution in found.warnings]


S10_VALID = [
    "RB123456785GB",
    "RB123456785US",
    "RB123456785CV",
    "RB123456785CF",
    "EB000717595HK",
    "EE471108151FR",
    "RR473124829GB",
    "LU680211095FR",
    "CB662173705US",
    "RB658828494MQ",
    "RR473124015FR",
    "RR000000005FR",
    "RR473124090FR",
]

PARCELS_VALID = [
    "9V20524752032",
    "9V00000100014",
    "9V00000150002",
    "9L00000100014",
    "9L00000150002",
    "8Q00000000017",
    "8Q00000050005",
    "7Q53894390160",
    "7Q53894440155",
    "8L20524752032",
    "6M17554710224",
    "6P01007508742",
    "8R11111111110",
    "6T11111111110",
    "5S11111111110",
    "4G11111111110",
    "3P11111111110",
    "7Q53894000021",
    "9L00000000031",
    "9V00000000024",
    "6M00000000048",
    "9V41392078260",
]


@pytest.mark.parametrize("number", S10_VALID)
def test_a_valid_s10_number_is_taken_as_it_is(number: str) -> None:
    found = parse(number)
    assert (found.kind, found.number, found.warnings) == (Kind.S10, number, ())


@pytest.mark.parametrize("number", PARCELS_VALID)
def test_a_valid_parcel_number_is_taken_as_it_is(number: str) -> None:
    found = parse(number)
    assert (found.kind, found.number, found.warnings) == (Kind.PARCEL, number, ())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("RB123456786US", "key-wrong"),
        ("EB000717594HK", "key-wrong"),
        ("EB000717535HK", "key-wrong"),
        ("RB123456785XX", "country-unknown"),
        ("JB123456785FR", "service-reserved"),
        ("KB123456785FR", "service-reserved"),
        ("SB123456785FR", "service-reserved"),
        ("TB123456785FR", "service-reserved"),
        ("WB123456785FR", "service-reserved"),
        ("1234567891011", "article-number"),
        ("1847176155123", "article-number"),
        ("9V20524752033", "key-wrong"),
        ("6M17554710225", "key-wrong"),
        ("9V2052475203", "shape-unknown"),
        ("6A123456789", "shape-unknown"),
        ("9X20524752033", "key-wrong"),
        ("9V1722409000010860000038", "label-key-wrong"),
        ("9V2722409000010860000037", "sort-marker-wrong"),
        ("9V172240900001086000003", "shape-unknown"),
        ("9V17224090000108600000377", "shape-unknown"),
        ("00101006M0000000001708492509", "routing-key-wrong"),
        ("%00101006M000000000180849250", "inner-number-wrong"),
        ("00932206M000000000490849250" + letter_key("00932206M000000000490849250"), "inner-number-wrong"),
        ("00101006M000000000170849250", "shape-unknown"),
        ("106141412345678909", "key-wrong"),
        ("]C100106141412345678909", "key-wrong"),
        ("]C1803012345", "shape-unknown"),
        ("]d2010950600013435210ABC", "shape-unknown"),
        ("", "empty"),
        (" - \x1d\n", "empty"),
        ("٩V20524752032", "shape-unknown"),
        ("ıA123456789", "shape-unknown"),
        ("A" * 100_000, "too-long"),
    ],
)
def test_what_is_certainly_wrong_is_refused_with_a_sentence(text: str, code: str) -> None:
    with pytest.raises(IdentifierRefused) as refused:
        parse(text)
    assert refused.value.code == code
    assert refused.value.reason.endswith(".")
    assert "{" not in refused.value.reason


@pytest.mark.parametrize(
    ("text", "kind", "doubts"),
    [
        ("XY746876977FR", Kind.S10, ["service-unknown"]),
        ("AA123456785FR", Kind.S10, ["service-unknown"]),
        ("QZ123456785FR", Kind.S10, ["service-unknown"]),
        ("GB123456785FR", Kind.S10, ["service-unknown"]),
        ("GA123456785FR", Kind.S10, ["service-domestic"]),
        ("BB123456785FR", Kind.S10, ["service-domestic"]),
        ("9X20524752032", Kind.PARCEL, ["product-unknown"]),
        ("CY20524752032", Kind.PARCEL, []),
        ("1A12345678901", Kind.REGISTERED_LETTER, ["key-unconfirmed"]),
        ("1A" + "1234567890" + parcel_key("1234567890"), Kind.REGISTERED_LETTER, []),
        ("2D12345678901", Kind.REGISTERED_LETTER, ["product-unknown", "key-unconfirmed"]),
        ("115111111111111", Kind.TRACKED_LETTER, ["key-unconfirmed"]),
        ("114111111111111", Kind.TRACKED_LETTER, ["key-unconfirmed"]),
        ("87000634002228A", Kind.TRACKED_LETTER, []),
        ("106141412345678908", Kind.SSCC, []),
        ("00106141412345678908", Kind.SSCC, []),
        ("(00)106141412345678908", Kind.SSCC, []),
        ("]C100106141412345678908", Kind.SSCC, []),
        ("\x1d00106141412345678908", Kind.SSCC, []),
        ("]d202012345678901283705\x1d00106141412345678908", Kind.SSCC, []),
    ],
)
def test_what_is_only_unconfirmed_warns(text: str, kind: Kind, doubts: list[str]) -> None:
    found = parse(text)
    assert found.kind is kind
    assert codes(found) == doubts
    assert all(caution.sentence.endswith(".") for caution in found.warnings)


@pytest.mark.parametrize(
    "text",
    [
        "RB 123 456 785 GB",
        "rb123456785gb",
        "RB-123-456-785-GB",
        "\x02RB123456785GB\r\n",
        "RB\u00a0123\u202f456\u200b785 GB",
        "]C0RB123456785GB",
        "\x1dRB123456785GB",
    ],
)
def test_spaces_hyphens_case_and_scanner_marks_do_not_count(text: str) -> None:
    found = parse(text, symbology="code128")
    assert (found.number, found.raw, found.symbology) == ("RB123456785GB", text, "code128")


@pytest.mark.parametrize(
    ("digits", "key"),
    [("00071758", "1"), ("96633102", "0"), ("76129403", "8"), ("47312482", "9"), ("12345678", "5"), ("9" * 8, "5")],
)
def test_s10_keys(digits: str, key: str) -> None:
    assert s10_key(digits) == key


def test_s10_tells_service_and_country() -> None:
    assert parse("EE471108151FR").details == S10Details(service="EE", service_class="EMS", country="FR")


@pytest.mark.parametrize(
    ("text", "postcode", "client", "grams"),
    [
        ("9V1 72240 900001 0860 000037", "72240", "900001", 8600),
        ("9L1 13001 964744 0130 001030", "13001", "964744", 1300),
        ("8Q1 97120 806951 0890 001012", "97120", "806951", 8900),
    ],
)
def test_the_taken_in_charge_barcode_tells_weight_and_place_but_no_item(
    text: str, postcode: str, client: str, grams: int
) -> None:
    found = parse(text)
    details = found.details
    assert isinstance(details, LabelDetails)
    assert (found.kind, found.number, found.warnings) == (Kind.TAKEN_IN_CHARGE, None, ())
    assert (details.postcode, details.client, details.weight_grams) == (postcode, client, grams)
    with pytest.raises(IdentifierRefused, match="which item") as refused:
        found.whole_number()
    assert refused.value.code == "no-item-number"


def label(recommendation: str = "00", machinable: str = "0", cash: str = "0", product: str = "9V") -> str:
    covered = f"9647440150{recommendation}{machinable}{cash}6"
    return f"{product}1AD100{covered}{parcel_key(covered)}"


@pytest.mark.parametrize(
    ("text", "insured", "recommendation", "cash", "doubts"),
    [
        (label(), 0, "", False, []),
        (label("01"), 150_00, "", False, []),
        (label("10"), 1500_00, "", False, []),
        (label("11"), 0, "", False, ["recommendation-unknown"]),
        (label("21"), 0, "R1", False, []),
        (label("22"), 0, "R2", False, []),
        (label("23", cash="1"), 0, "R3", True, []),
        (label(machinable="2"), 0, "", False, ["flag-unknown"]),
        (label(cash="1", product="9L"), 0, "", True, ["access-with-options"]),
        (label(product="9X"), 0, "", False, ["product-unknown"]),
    ],
)
def test_the_options_of_a_label(text: str, insured: int, recommendation: str, cash: bool, doubts: list[str]) -> None:
    found = parse(text)
    details = found.details
    assert isinstance(details, LabelDetails)
    assert details.postcode == "AD100"
    assert (details.insured_value_cents, details.recommendation) == (insured, recommendation)
    assert details.cash_on_delivery is cash
    assert codes(found) == doubts


@pytest.mark.parametrize(
    ("text", "number", "postcode"),
    [
        ("00101006M0000000001708492508", "6M00000000017", "10100"),
        ("%00101006M000000000170849250", "6M00000000017", "10100"),
        ("00932206M000000000480849250V", "6M00000000048", "93220"),
        ("%00932206M000000000480849250", "6M00000000048", "93220"),
    ],
)
def test_both_forms_of_a_routing_barcode_give_the_number_inside(text: str, number: str, postcode: str) -> None:
    found = parse(text)
    assert (found.kind, found.number, found.warnings) == (Kind.ROUTING, number, ())
    assert found.details == RoutingDetails(product="6M", postcode=postcode, service="849", country_numeric="250")


@pytest.mark.parametrize(
    ("parcel", "taken", "doubts"),
    [
        ("9V20524752032", LABEL, []),
        ("9V41392078260", "9V1750159647440150001164", []),
        ("9V41392078260", LABEL, ["link-digit-differs"]),
        ("8L20524752032", LABEL, ["product-differs"]),
        ("8Q00000000017", LABEL, ["product-differs", "link-digit-differs"]),
        ("RB123456785GB", LABEL, ["not-a-pair"]),
        ("9V20524752032", "9V20524752032", ["not-a-pair"]),
    ],
)
def test_two_barcodes_of_one_label_link_in_either_order(parcel: str, taken: str, doubts: list[str]) -> None:
    for link in (links(parse(parcel), parse(taken)), links(parse(taken), parse(parcel))):
        assert link.linked is (not doubts)
        assert [caution.code.value for caution in link.warnings] == doubts


def test_a_parcel_that_travels_without_its_key_gets_it_back() -> None:
    assert from_edi("9V", "2052475203") == "9V20524752032"
    assert from_edi("ZZ", "2052475203") == "ZZ20524752032"
    assert to_edi("9V20524752032") == ("9V", "2052475203")


@pytest.mark.parametrize("number", ["RB123456785GB", "1A12345678901", "115111111111111", "106141412345678908", ""])
def test_what_an_edi_line_could_not_give_back_has_no_edi_parts(number: str) -> None:
    assert to_edi(number) is None


@pytest.mark.parametrize(
    ("product", "number", "code"),
    [
        ("9", "2052475203", "product-malformed"),
        ("", "2052475203", "product-malformed"),
        ("99", "2052475203", "product-malformed"),
        ("9V", "205247520", "parcel-number-malformed"),
        ("9V", "205247520²", "parcel-number-malformed"),
    ],
)
def test_edi_parts_that_make_no_number_are_refused(product: str, number: str, code: str) -> None:
    with pytest.raises(IdentifierRefused) as refused:
        from_edi(product, number)
    assert refused.value.code == code


def test_an_unreadable_two_dimensional_code_says_so() -> None:
    with pytest.raises(IdentifierRefused) as refused:
        parse("some payload of Smartdata", symbology="data_matrix")
    assert refused.value.code == "opaque-2d"


def test_the_tables_are_well_formed() -> None:
    assert {"CV", "CF", "MQ", "FR", "RE", "YT"} <= COUNTRIES.keys()
    assert "XX" not in COUNTRIES
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES)
    assert len(COUNTRIES) == 249
    assert {"6C", "9V", "1A"} <= PRODUCT_CODES.keys()
    assert PRODUCT_CODES["6C"].signature_required
    assert PRODUCT_CODES["2C"].family is Family.REGISTERED_LETTER


# --- laws -----------------------------------------------------------------------------------------------

LOOKS_LIKE = st.one_of(
    st.text(max_size=600),
    st.text(alphabet="0123456789ABRVFRGBM%]Cd1()\x1d -", max_size=40),
    st.from_regex(r"[\x1d\]C1d2]{0,3}[0-9]{0,40}", fullmatch=True),
    st.from_regex(r"\]C1(00|10|11|310|433|803|80)[0-9\x1d]{0,40}", fullmatch=True),
    st.sampled_from([*S10_VALID, *PARCELS_VALID, LABEL, "%00101006M000000000170849250", "00106141412345678908"]),
)


@given(raw=LOOKS_LIKE, symbology=st.text(max_size=40))
def test_any_text_is_recognised_or_refused(raw: str, symbology: str) -> None:
    try:
        found = parse(raw, symbology=symbology)
    except IdentifierRefused:
        return
    assert found.raw == raw
    assert msgspec.json.decode(msgspec.json.encode(found), type=Identifier) == found
    if found.number is not None:
        assert parse(found.number).number == found.number


@given(raw=st.one_of(LOOKS_LIKE, st.from_regex(r"(\][A-Za-z][0-9]){0,4}[A-Za-z0-9 -]*", fullmatch=True)))
@example("]]C0X")
@example("]C0]C0X")
def test_normalisation_is_idempotent(raw: str) -> None:
    assert normalise(normalise(raw)) == normalise(raw)


@pytest.mark.parametrize("text", ["]C1" * 40_000, "0" * 100_000, "\x1d" * 100_000, "%" + " " * 100_000])
def test_a_huge_text_is_refused_at_once(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(IdentifierRefused):
        parse(text)
    assert time.perf_counter() - begun < 0.5


@given(digits=EIGHT_DIGITS)
def test_an_s10_number_made_with_its_key_is_accepted(digits: str) -> None:
    assert parse(f"RR{digits}{s10_key(digits)}FR").number == f"RR{digits}{s10_key(digits)}FR"


@given(digits=EIGHT_DIGITS, place=st.integers(0, 7), other=DIGIT)
def test_one_wrong_digit_in_s10_is_refused(digits: str, place: int, other: str) -> None:
    """But for one hole in the standard: remainders 0 and 6 both give the key 5."""
    assume(digits[place] != other)
    wrong = digits[:place] + other + digits[place + 1 :]
    number = f"RR{wrong}{s10_key(digits)}FR"
    if {remainder(digits), remainder(wrong)} == {0, 6}:
        assert parse(number).number == number
        return
    with pytest.raises(IdentifierRefused) as refused:
        parse(number)
    assert refused.value.code == "key-wrong"


def remainder(digits: str) -> int:
    return sum(w * int(d) for w, d in zip((8, 6, 4, 2, 3, 5, 9, 7), digits, strict=True)) % 11


@given(digits=EIGHT_DIGITS, key=DIGIT)
def test_a_wrong_key_in_s10_is_refused(digits: str, key: str) -> None:
    assume(key != s10_key(digits))
    with pytest.raises(IdentifierRefused):
        parse(f"RR{digits}{key}FR")


@given(product=st.sampled_from(sorted(PRODUCT_CODES)), digits=TEN_DIGITS)
def test_edi_parts_make_the_trip_there_and_back(product: str, digits: str) -> None:
    number = from_edi(product, digits)
    assert to_edi(number) == (product, digits)
    assert parse(number).number == number


@given(digits=TEN_DIGITS, place=st.integers(0, 9), other=DIGIT)
def test_one_wrong_digit_in_a_parcel_number_is_refused(digits: str, place: int, other: str) -> None:
    assume(digits[place] != other)
    wrong = digits[:place] + other + digits[place + 1 :]
    with pytest.raises(IdentifierRefused):
        parse(f"9V{wrong}{parcel_key(digits)}")


@given(payload=st.from_regex(r"[0-9]{3}[A-Z0-9][0-9]{10}", fullmatch=True))
def test_a_tracked_letter_with_its_key_has_no_warning(payload: str) -> None:
    assert parse(payload + letter_key(payload)).warnings == ()


@given(digits=st.text("0123456789", min_size=1, max_size=17))
def test_the_key_of_a_parcel_is_that_of_an_independent_library(digits: str) -> None:
    assert parcel_key(digits) == ean.calc_check_digit(digits)


@given(text=st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=27))
def test_the_key_of_a_letter_is_that_of_an_independent_library(text: str) -> None:
    assert letter_key(text) == mod_37_36.calc_check_digit(text)
