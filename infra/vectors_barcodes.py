"""The part of the test vectors that leads from what a handset read to the number of an item."""

from __future__ import annotations

from typing import Any, Final

_READ: Final = (
    ("UPU S10", "RB123456785GB", "RB123456785GB"),
    ("UPU S10, remainder 0: the key is 5", "RR473124015FR", "RR473124015FR"),
    ("UPU S10, remainder 1: the key is 0", "RR473124090FR", "RR473124090FR"),
    ("UPU S10, first letters that name no service", "XY746876977FR", "XY746876977FR"),
    ("parcel", "9V20524752032", "9V20524752032"),
    ("parcel, a product code of two letters", "CY20524752032", "CY20524752032"),
    ("registered letter, whose key does not matter", "1A12345678901", "1A12345678901"),
    ("tracked letter of 15 characters", "87000634002228A", "87000634002228A"),
    ("tracked letter, whose key does not matter", "115111111111111", "115111111111111"),
    ("SSCC", "106141412345678908", "106141412345678908"),
    ("SSCC with its application identifier", "00106141412345678908", "106141412345678908"),
    ("SSCC as it is printed", "(00)106141412345678908", "106141412345678908"),
    ("SSCC in GS1-128, with the scanner's prefix", "]C100106141412345678908", "106141412345678908"),
    ("SSCC in GS1-128, FNC1 in front", "\x1d00106141412345678908", "106141412345678908"),
    (
        "SSCC behind other GS1 elements, FNC1 after one of variable length",
        "]d202012345678901283705\x1d00106141412345678908",
        "106141412345678908",
    ),
    ("routing label as printed: the number inside", "00101006M0000000001708492508", "6M00000000017"),
    ("routing label, a key that is a letter", "00932206M000000000480849250V", "6M00000000048"),
    ("routing label as scanned: % and no key", "%00101006M000000000170849250", "6M00000000017"),
    ("spaces", "RB 123 456 785 GB", "RB123456785GB"),
    ("spaces that do not break, and one of no width", "RB\u00a0123\u202f456\u200b785 GB", "RB123456785GB"),
    ("hyphens", "RB-123-456-785-GB", "RB123456785GB"),
    ("small letters", "rb123456785gb", "RB123456785GB"),
    ("control characters around it", "\x02RB123456785GB\r\n", "RB123456785GB"),
    ("the scanner's prefix (AIM)", "]C0RB123456785GB", "RB123456785GB"),
)
"""What it is, what was read, and the item's number."""

_REFUSED: Final = (
    ("UPU S10, wrong key", "RB123456786GB", "key-wrong"),
    ("UPU S10, no country", "RB123456785XX", "country-unknown"),
    ("UPU S10, reserved first letter", "JB123456785FR", "service-reserved"),
    ("parcel, wrong key", "9V20524752033", "key-wrong"),
    ("SSCC, wrong key", "106141412345678909", "key-wrong"),
    ("SSCC in GS1-128, wrong key", "]C100106141412345678909", "key-wrong"),
    ("routing label, wrong key", "00101006M0000000001708492509", "routing-key-wrong"),
    ("routing label, wrong key of the number inside", "%00101006M000000000180849250", "inner-number-wrong"),
    ("taken-in-charge label: it names no item", "9V1722409000010860000037", "label-only"),
    ("taken-in-charge label, wrong key", "9V1722409000010860000038", "label-key-wrong"),
    ("taken-in-charge label, the third character is not 1", "9V2722409000010860000037", "sort-marker-wrong"),
    ("the goods' own barcode (EAN-13)", "1234567891011", "article-number"),
    ("a character too few", "9V2052475203", "shape-unknown"),
    ("a digit of another script", "\u0669V20524752032", "shape-unknown"),
    ("nothing but what does not count", " - \x1d\n", "empty"),
)
"""What it is, what was read, and the `code` of the problem `unknown-identifier`."""


def barcodes() -> list[dict[str, Any]]:
    """Barcodes as they are read, and the item's number or the code of the refusal."""
    good = [_told(name, raw, number=number) for name, raw, number in _READ]
    bad = [_told(name, raw, refused=code) for name, raw, code in _REFUSED]
    unread = _told(
        "a two-dimensional code of another kind", "SMARTDATA 7", symbology="data_matrix", refused="opaque-2d"
    )
    return [*good, *bad, unread]


def _told(
    name: str, raw: str, symbology: str = "code128", *, number: str | None = None, refused: str | None = None
) -> dict[str, Any]:
    return {"name": name, "raw": raw, "symbology": symbology, "number": number, "refused": refused}
