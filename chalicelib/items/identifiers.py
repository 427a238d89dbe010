"""Item identifiers: from what a barcode says to the canonical item number, or a sentence that says why not.

One barcode is recognised by its shape first, then its key is checked. What is certain refuses; what public
texts leave unconfirmed only warns, because a carrier in the street is not to be stopped by a key.

| kind | characters | key | wrong key |
|---|---|---|---|
| s10 (UPU standard S10) | 13 | weighted modulo 11 | refused |
| parcel (La Poste, colis) | 13 | modulo 10, weights 3 and 1, over the ten digits | refused |
| registered-letter (recommandé) | 13 | the same, unconfirmed | warning |
| tracked-letter (lettre suivie) | 15 | ISO 7064 Mod 37,36, unconfirmed | warning |
| taken-in-charge (prise en charge) | 24 | modulo 10 over the last fifteen before it | refused |
| routing (acheminement) | 28 | ISO 7064 Mod 37,36, or that of the number inside | refused |
| sscc (GS1) | 18 | modulo 10 | refused |
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn

from chalicelib.core.schemas import Schema
from chalicelib.items.countries import COUNTRIES
from chalicelib.items.product_codes import ACCESS_CODES, PRODUCT_CODES, Family, family_of

MAX_CHARACTERS: Final = 512
"""No barcode that is accepted carries more; longer text is refused unread."""


class Kind(enum.StrEnum):
    """What kind of barcode was read."""

    S10 = "s10"
    PARCEL = "parcel"
    REGISTERED_LETTER = "registered-letter"
    TRACKED_LETTER = "tracked-letter"
    TAKEN_IN_CHARGE = "taken-in-charge"
    ROUTING = "routing"
    SSCC = "sscc"


class Refusal(enum.StrEnum):
    """Why a barcode is not accepted."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    SHAPE_UNKNOWN = "shape-unknown"
    ARTICLE_NUMBER = "article-number"
    OPAQUE_2D = "opaque-2d"
    KEY_WRONG = "key-wrong"
    SERVICE_RESERVED = "service-reserved"
    COUNTRY_UNKNOWN = "country-unknown"
    SORT_MARKER_WRONG = "sort-marker-wrong"
    LABEL_KEY_WRONG = "label-key-wrong"
    ROUTING_KEY_WRONG = "routing-key-wrong"
    INNER_NUMBER_WRONG = "inner-number-wrong"
    NO_ITEM_NUMBER = "no-item-number"
    PRODUCT_MALFORMED = "product-malformed"
    PARCEL_NUMBER_MALFORMED = "parcel-number-malformed"


# The right key is never told: it would turn a wrong number into a wrong number that passes.
_REASONS: Final[dict[Refusal, str]] = {
    Refusal.EMPTY: "Nothing was read. Scan the barcode again or type the number.",
    Refusal.TOO_LONG: "{length} characters are more than any item barcode holds. Scan the tracking barcode.",
    Refusal.SHAPE_UNKNOWN: "No item number looks like this ({length} characters). "
    "Scan the tracking barcode, or type the number printed under it.",
    Refusal.ARTICLE_NUMBER: "Thirteen digits without a letter are the barcode of the goods (EAN-13), "
    "not an item number. Scan the tracking barcode of the label.",
    Refusal.OPAQUE_2D: "This two-dimensional code holds no item number that can be read. "
    "Scan the tracking barcode of the label.",
    Refusal.KEY_WRONG: "The check character does not fit the rest of the number, so part of it is wrong. "
    "Scan it again, or compare each character with the label.",
    Refusal.SERVICE_RESERVED: "No item may bear a number that starts with {start}: UPU S10 reserves it. "
    "Scan it again, or compare the first two letters with the label.",
    Refusal.COUNTRY_UNKNOWN: "{country} at the end of the number is not a country. "
    "Scan it again, or compare the last two letters with the label.",
    Refusal.SORT_MARKER_WRONG: "The third character of this barcode should be 1. "
    "Scan the tracking barcode of the label instead.",
    Refusal.LABEL_KEY_WRONG: "The check digit of this barcode is wrong, so its weight and options cannot be "
    "trusted. Scan the tracking barcode of the label instead.",
    Refusal.ROUTING_KEY_WRONG: "The check character of this routing barcode is wrong. "
    "Scan the tracking barcode of the label instead.",
    Refusal.INNER_NUMBER_WRONG: "The item number inside this routing barcode has a wrong check digit. "
    "Scan the tracking barcode of the label instead.",
    Refusal.NO_ITEM_NUMBER: "This barcode tells weight and options but not which item it is. "
    "Scan the tracking barcode of the label too.",
    Refusal.PRODUCT_MALFORMED: "The product code {product!r} should be a digit and a letter, or two letters.",
    Refusal.PARCEL_NUMBER_MALFORMED: "The parcel number {parcel!r} should be ten digits, without the key.",
}


class IdentifierRefused(Exception):  # noqa: N818 - reads as the fact it is
    """A barcode that is not accepted. `code` is stable, in kebab-case; `reason` says what to do."""

    def __init__(self, code: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.code = code.value
        self.reason = reason


def _refuse(code: Refusal, **found: object) -> NoReturn:
    raise IdentifierRefused(code, _REASONS[code].format(**found))


class Doubt(enum.StrEnum):
    """What is odd about a barcode that is accepted all the same."""

    SERVICE_UNKNOWN = "service-unknown"
    SERVICE_DOMESTIC = "service-domestic"
    PRODUCT_UNKNOWN = "product-unknown"
    KEY_UNCONFIRMED = "key-unconfirmed"
    RECOMMENDATION_UNKNOWN = "recommendation-unknown"
    FLAG_UNKNOWN = "flag-unknown"
    ACCESS_WITH_OPTIONS = "access-with-options"
    LINK_DIGIT_DIFFERS = "link-digit-differs"
    PRODUCT_DIFFERS = "product-differs"
    NOT_A_PAIR = "not-a-pair"


_DOUBTS: Final[dict[Doubt, str]] = {
    Doubt.SERVICE_UNKNOWN: "The first two letters name no service of UPU S10.",
    Doubt.SERVICE_DOMESTIC: "The first two letters are for domestic or bilateral use.",
    Doubt.PRODUCT_UNKNOWN: "The product code is not in our table.",
    Doubt.KEY_UNCONFIRMED: "The check character is not the one we compute; the rule for it is unconfirmed.",
    Doubt.RECOMMENDATION_UNKNOWN: "The insurance or recommendation field has a value that is not published.",
    Doubt.FLAG_UNKNOWN: "The non-machinable or cash-on-delivery field is neither 0 nor 1.",
    Doubt.ACCESS_WITH_OPTIONS: "An Access product cannot have insurance, recommendation or cash on delivery.",
    Doubt.LINK_DIGIT_DIFFERS: "The link digit differs: the parcel was relabelled, or two labels were mixed.",
    Doubt.PRODUCT_DIFFERS: "The product codes differ: the parcel was relabelled, or two labels were mixed.",
    Doubt.NOT_A_PAIR: "These are not the two barcodes of one parcel label.",
}


class Caution(Schema, frozen=True):
    """A doubt and the sentence that explains it."""

    code: Doubt
    sentence: str


def _caution(doubt: Doubt) -> Caution:
    return Caution(code=doubt, sentence=_DOUBTS[doubt])


class S10Details(Schema, frozen=True, tag="s10"):
    """`service`: the two letters; `service_class`: what they stand for; `country`: ISO 3166-1 alpha-2."""

    service: str
    service_class: str
    country: str


class ProductDetails(Schema, frozen=True, tag="product"):
    """Of a thirteen-character La Poste number: its product code and its link digit (the twelfth character)."""

    product: str
    link_digit: str


class LabelDetails(Schema, frozen=True, tag="label"):
    """What the taken-in-charge barcode says, offline. Weight in grams, insured value in cents of euro.

    `recommendation` is "", R1, R2 or R3. A flag with an unpublished value reads as not set, with a warning.
    """

    product: str
    postcode: str
    client: str
    weight_grams: int
    insured_value_cents: int
    recommendation: str
    non_machinable: bool
    cash_on_delivery: bool
    link_digit: str


class RoutingDetails(Schema, frozen=True, tag="routing"):
    """What the routing barcode says. `country_numeric` is ISO 3166-1 numeric (250 = France)."""

    product: str
    postcode: str
    service: str
    country_numeric: str


Details = S10Details | ProductDetails | LabelDetails | RoutingDetails


class Identifier(Schema, frozen=True):
    """One barcode, recognised.

    `number` is the canonical item number, by which items are looked up: 13 characters (s10, parcel,
    registered-letter; for routing the number inside), 15 (tracked-letter) or 18 (sscc). It is `None` for
    taken-in-charge, which holds one digit of it only: use `links` to put it next to its parcel, or
    `whole_number()` where an item number is a must. `raw` and `symbology` are kept as they came.
    """

    kind: Kind
    number: str | None
    raw: str
    symbology: str = "unknown"
    warnings: tuple[Caution, ...] = ()
    details: Details | None = None

    def whole_number(self) -> str:
        """The item number. Raises `IdentifierRefused` (no-item-number) for a taken-in-charge barcode."""
        if self.number is None:
            _refuse(Refusal.NO_ITEM_NUMBER)
        return self.number


class Link(Schema, frozen=True):
    """Whether a label belongs to a parcel; if not, why not. Both scans are kept either way."""

    linked: bool
    warnings: tuple[Caution, ...] = ()


# --- keys -----------------------------------------------------------------------------------------------

_S10_WEIGHTS: Final = (8, 6, 4, 2, 3, 5, 9, 7)
_S10_KEYS_BEYOND_9: Final = {10: 0, 11: 5}


_CHARACTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_M: Final = len(_CHARACTERS)


def s10_key(digits: str) -> str:
    """The key of a UPU S10 number over its eight digits."""
    total = sum(weight * int(digit) for weight, digit in zip(_S10_WEIGHTS, digits, strict=True))
    key = 11 - total % 11
    return str(_S10_KEYS_BEYOND_9.get(key, key))


def parcel_key(digits: str) -> str:
    """The key of a La Poste parcel over its ten digits, of an SSCC over 17, of a label over 15: weights 3, 1 from the
    right, what is missing to the next ten."""
    return str(-sum((3, 1)[place % 2] * int(digit) for place, digit in enumerate(reversed(digits))) % 10)


def letter_key(payload: str) -> str:
    """ISO 7064 Mod 37,36 over 0-9 and A-Z: tracked letters over 14 characters, routing over 27."""
    check = _M
    for character in payload:
        check = (check + _CHARACTERS.index(character)) % _M or _M
        check = check * 2 % (_M + 1)
    return _CHARACTERS[(1 - check) % _M]


# --- UPU S10 services -----------------------------------------------------------------------------------

_ALL: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Use(enum.StrEnum):
    """How a service may be used."""

    INTERNATIONAL = "international"
    DOMESTIC = "domestic"
    RESERVED = "reserved"


class Service(NamedTuple):
    """One row: first letter, second letters, name and use."""

    first: str
    seconds: str
    name: str
    use: Use = Use.INTERNATIONAL


_DOMESTIC_NAME: Final = "domestic or bilateral"

SERVICES: Final = (
    Service("E", _ALL, "EMS"),
    Service("L", _ALL, "letter, express or tracked"),
    Service("R", _ALL, "registered"),
    Service("V", _ALL, "insured"),
    Service("C", _ALL, "parcel"),
    Service("H", _ALL, "e-commerce parcel"),
    Service("U", _ALL, "other letter"),
    Service("M", _ALL, "M-bag"),
    Service("Q", "ABCDEFGHIJKLM", "IBRS"),
    Service("A", "VWXYZ", _DOMESTIC_NAME, Use.DOMESTIC),
    Service("G", "AD", _DOMESTIC_NAME, Use.DOMESTIC),
    Service("B", _ALL, _DOMESTIC_NAME, Use.DOMESTIC),
    Service("D", _ALL, _DOMESTIC_NAME, Use.DOMESTIC),
    Service("N", _ALL, _DOMESTIC_NAME, Use.DOMESTIC),
    Service("P", _ALL, _DOMESTIC_NAME, Use.DOMESTIC),
    Service("Z", _ALL, _DOMESTIC_NAME, Use.DOMESTIC),
    Service("J", _ALL, "reserved", Use.RESERVED),
    Service("K", _ALL, "reserved", Use.RESERVED),
    Service("S", _ALL, "reserved", Use.RESERVED),
    Service("T", _ALL, "reserved", Use.RESERVED),
    Service("W", _ALL, "reserved", Use.RESERVED),
)

_SERVICE_OF: Final = {row.first + second: row for row in SERVICES for second in row.seconds}
_SERVICE_DOUBTS: Final = {Use.DOMESTIC: (_caution(Doubt.SERVICE_DOMESTIC),)}


# --- the taken-in-charge label --------------------------------------------------------------------------

_INSURANCE_STEP_CENTS: Final = 150_00
_INSURANCE: Final = {f"{n:02}": n * _INSURANCE_STEP_CENTS for n in range(11)}
_RECOMMENDATION: Final = {"21": "R1", "22": "R2", "23": "R3"}
_FLAGS: Final = {"0": False, "1": True}
_GRAMS_PER_DECAGRAM: Final = 10


# --- recognition ----------------------------------------------------------------------------------------

_AIM_PREFIX: Final = re.compile(r"\A(?:\][A-Z][0-9A-Z])+")
_GS1_MARKS: Final = ("\x1d", "]C1", "]D2", "]Q3", "]E0", "(00)")
_FNC1: Final = "\x1d"
_NOT_CARRIED: Final = {"Cc", "Cf", "Zs", "Zl", "Zp", "Pd"}
_TWO_DIMENSIONAL: Final = re.compile(r"data.?matrix|qr|aztec|pdf.?417", re.IGNORECASE)


def normalise(raw: str) -> str:
    """The text without spaces, hyphens, control characters and scanner prefix (AIM `]C0`), in capitals.

    Capitals are made of a-z only: no other letter may turn into one that a number can hold.
    """
    kept = "".join(c.upper() if c.isascii() else c for c in raw if unicodedata.category(c) not in _NOT_CARRIED)
    return _AIM_PREFIX.sub("", kept)


def _s10(text: str) -> Identifier:
    service = _SERVICE_OF.get(text[:2])
    country = text[11:]
    if service is not None and service.use is Use.RESERVED:
        _refuse(Refusal.SERVICE_RESERVED, start=text[:1])
    if country not in COUNTRIES:
        _refuse(Refusal.COUNTRY_UNKNOWN, country=country)
    if s10_key(text[2:10]) != text[10]:
        _refuse(Refusal.KEY_WRONG)
    doubts = (_caution(Doubt.SERVICE_UNKNOWN),) if service is None else _SERVICE_DOUBTS.get(service.use, ())
    name = "unknown" if service is None else service.name
    details = S10Details(service=text[:2], service_class=name, country=country)
    return Identifier(kind=Kind.S10, number=text, raw=text, warnings=doubts, details=details)


def _thirteen(text: str) -> Identifier:
    product = text[:2]
    doubts = [] if product in PRODUCT_CODES else [_caution(Doubt.PRODUCT_UNKNOWN)]
    kind = Kind.REGISTERED_LETTER if family_of(product) is Family.REGISTERED_LETTER else Kind.PARCEL
    if parcel_key(text[2:12]) != text[12]:
        if kind is Kind.PARCEL:
            _refuse(Refusal.KEY_WRONG)
        doubts.append(_caution(Doubt.KEY_UNCONFIRMED))
    details = ProductDetails(product=product, link_digit=text[11])
    return Identifier(kind=kind, number=text, raw=text, warnings=tuple(doubts), details=details)


def _tracked_letter(text: str) -> Identifier:
    doubts = () if letter_key(text[:14]) == text[14] else (_caution(Doubt.KEY_UNCONFIRMED),)
    return Identifier(kind=Kind.TRACKED_LETTER, number=text, raw=text, warnings=doubts)


def _label_doubts(text: str) -> tuple[Caution, ...]:
    product, recommendation, non_machinable, cash = text[:2], text[18:20], text[20], text[21]
    found = {
        Doubt.PRODUCT_UNKNOWN: product not in PRODUCT_CODES,
        Doubt.RECOMMENDATION_UNKNOWN: recommendation not in _INSURANCE and recommendation not in _RECOMMENDATION,
        Doubt.FLAG_UNKNOWN: non_machinable not in _FLAGS or cash not in _FLAGS,
        Doubt.ACCESS_WITH_OPTIONS: product in ACCESS_CODES and recommendation + cash != "000",
    }
    return tuple(_caution(doubt) for doubt, seen in found.items() if seen)


def _taken_in_charge(text: str) -> Identifier:
    if text[2] != "1":
        _refuse(Refusal.SORT_MARKER_WRONG)
    if parcel_key(text[8:23]) != text[23]:
        _refuse(Refusal.LABEL_KEY_WRONG)
    details = LabelDetails(
        product=text[:2],
        postcode=text[3:8],
        client=text[8:14],
        weight_grams=int(text[14:18]) * _GRAMS_PER_DECAGRAM,
        insured_value_cents=_INSURANCE.get(text[18:20], 0),
        recommendation=_RECOMMENDATION.get(text[18:20], ""),
        non_machinable=_FLAGS.get(text[20], False),
        cash_on_delivery=_FLAGS.get(text[21], False),
        link_digit=text[22],
    )
    doubts = _label_doubts(text)
    return Identifier(kind=Kind.TAKEN_IN_CHARGE, number=None, raw=text, warnings=doubts, details=details)


def _routing(body: str) -> Identifier:
    number = body[7:20]
    try:
        inner = _thirteen(number)
    except IdentifierRefused:
        _refuse(Refusal.INNER_NUMBER_WRONG)
    details = RoutingDetails(product=number[:2], postcode=body[2:7], service=body[21:24], country_numeric=body[24:27])
    return Identifier(kind=Kind.ROUTING, number=number, raw=body, warnings=inner.warnings, details=details)


def _routing_scanned(text: str) -> Identifier:
    return _routing(text[1:])


def _routing_printed(text: str) -> Identifier:
    if letter_key(text[:27]) != text[27]:
        _refuse(Refusal.ROUTING_KEY_WRONG)
    return _routing(text[:27])


def _sscc(text: str) -> Identifier:
    number = text[-18:]
    if parcel_key(number[:17]) != number[17]:
        _refuse(Refusal.KEY_WRONG)
    return Identifier(kind=Kind.SSCC, number=number, raw=text)


def _article(text: str) -> NoReturn:
    _refuse(Refusal.ARTICLE_NUMBER)


class Shape(NamedTuple):
    """One row: what the normalised text looks like, and who reads it."""

    pattern: re.Pattern[str]
    read: Callable[[str], Identifier]


_PRODUCT: Final = r"(?:[0-9][A-Z]|[A-Z]{2})"
_ROUTING_BODY: Final = rf"00[0-9A-Z]{{5}}{_PRODUCT}[0-9]{{11}}0[0-9]{{6}}"

SHAPES: Final = (
    Shape(re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}"), _s10),
    Shape(re.compile(rf"{_PRODUCT}[0-9]{{11}}"), _thirteen),
    Shape(re.compile(r"[0-9]{3}[A-Z0-9][0-9]{10}[A-Z0-9]"), _tracked_letter),
    Shape(re.compile(rf"{_PRODUCT}[0-9A-Z]{{6}}[0-9]{{16}}"), _taken_in_charge),
    Shape(re.compile(rf"%{_ROUTING_BODY}"), _routing_scanned),
    Shape(re.compile(rf"{_ROUTING_BODY}[0-9A-Z]"), _routing_printed),
    Shape(re.compile(r"(?:00)?[0-9]{18}"), _sscc),
    Shape(re.compile(r"[0-9]{13}"), _article),
)


def _sscc_in_elements(raw: str) -> str | None:
    """The SSCC among the GS1 elements of a barcode that is marked as GS1, if there is one."""
    marked = raw.strip(" ").upper()
    if not marked.startswith(_GS1_MARKS):
        return None
    from stdnum import gs1_128  # noqa: PLC0415 - reads its table when imported, and few barcodes need it

    try:
        found = gs1_128.info(_AIM_PREFIX.sub("", marked), separator=_FNC1).get("00")
    except (ValueError, ArithmeticError, LookupError, AttributeError):  # the last one: formats it cannot read itself
        return None
    return None if found is None else str(found)


def _recognise(text: str, symbology: str) -> Identifier:
    for shape in SHAPES:
        if shape.pattern.fullmatch(text):
            return shape.read(text)
    if _TWO_DIMENSIONAL.search(symbology[:32]):
        _refuse(Refusal.OPAQUE_2D)
    _refuse(Refusal.SHAPE_UNKNOWN, length=len(text))


def parse(raw: str, *, symbology: str = "unknown") -> Identifier:
    """Recognise one barcode, scanned or typed, and give the item number it carries.

    Raises `IdentifierRefused` and nothing else, whatever the text. Sources: UPU S10; La Poste's label
    specification of July 2013; GS1 General Specifications for SSCC.
    """
    if len(raw) > MAX_CHARACTERS:
        _refuse(Refusal.TOO_LONG, length=len(raw))
    text = normalise(raw)
    if not text:
        _refuse(Refusal.EMPTY)
    found = _recognise(_sscc_in_elements(raw) or text, symbology)
    return Identifier(
        kind=found.kind,
        number=found.number,
        raw=raw,
        symbology=symbology,
        warnings=found.warnings,
        details=found.details,
    )


def _pair(one: Identifier, other: Identifier) -> tuple[ProductDetails, LabelDetails] | None:
    match one.details, other.details:
        case (ProductDetails() as parcel, LabelDetails() as label):
            return parcel, label
        case (LabelDetails() as label, ProductDetails() as parcel):
            return parcel, label
        case _:
            return None


def links(parcel: Identifier, label: Identifier) -> Link:
    """Whether a tracking barcode and a taken-in-charge barcode belong to one parcel, in either order.

    They do when the product code and the link digit (twelfth character of the tracking number) agree. A
    difference is a warning, never a refusal: both scans are kept.
    """
    pair = _pair(parcel, label)
    if pair is None:
        return Link(linked=False, warnings=(_caution(Doubt.NOT_A_PAIR),))
    tracking, taken = pair
    found = {
        Doubt.PRODUCT_DIFFERS: tracking.product != taken.product,
        Doubt.LINK_DIGIT_DIFFERS: tracking.link_digit != taken.link_digit,
    }
    doubts = tuple(_caution(doubt) for doubt, seen in found.items() if seen)
    return Link(linked=not doubts, warnings=doubts)


_PRODUCT_PATTERN: Final = re.compile(_PRODUCT)
_TEN_DIGITS: Final = re.compile(r"[0-9]{10}")


def from_edi(product: str, number10: str) -> str:
    """The thirteen characters of a parcel that travels as product code and ten digits without the key.

    An unknown product code of the right shape is accepted. Raises `IdentifierRefused` (product-malformed,
    parcel-number-malformed).
    """
    code = normalise(product)
    if not _PRODUCT_PATTERN.fullmatch(code):
        _refuse(Refusal.PRODUCT_MALFORMED, product=product[:20])
    if not _TEN_DIGITS.fullmatch(number10):
        _refuse(Refusal.PARCEL_NUMBER_MALFORMED, parcel=number10[:20])
    return code + number10 + parcel_key(number10)


def to_edi(number: str) -> tuple[str, str] | None:
    """Product code and ten digits of a canonical number, or `None` where `from_edi` would not give it back:
    any number but a La Poste one of thirteen characters, and a registered letter with another key."""
    product, digits = number[:2], number[2:12]
    if not (_PRODUCT_PATTERN.fullmatch(product) and _TEN_DIGITS.fullmatch(digits)):
        return None
    return (product, digits) if from_edi(product, digits) == number else None
