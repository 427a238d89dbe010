"""Receipts as the back office reads them, held against the reference reader."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.public_keys import PublicKey
from chalicelib.passes import receipts
from reader import receipts as reference
from reader.cbor import Malformed
from reader.receipts import BEFORE_THE_FIRST, Entry
from tests.support import doors
from tests.support.doors import PASS_ID, READER

KEY = doors.key(READER)
PUBLIC = PublicKey(**doors.jwk(READER))
WIDTHS = [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1]
"""Moments at which the spelling of a number changes."""

entries = st.builds(
    Entry,
    reader=st.just(READER),
    at=st.one_of(st.sampled_from(WIDTHS), st.integers(0, 2**32 - 1)),
    pass_id=st.one_of(st.just(b""), st.binary(min_size=8, max_size=8)),
    nonce=st.binary(min_size=32, max_size=32),
    result=st.from_regex(r"[a-z-]{1,20}", fullmatch=True),
    previous=st.binary(min_size=32, max_size=32),
)


def an_entry(at: int = 1_795_417_200, result: str = "opened", pass_id: bytes = PASS_ID) -> Entry:
    return Entry(READER, at, pass_id, bytes(32), result, BEFORE_THE_FIRST)


def taken(raw: bytes) -> bool:
    """Whether the back office believes a receipt."""
    told = receipts.parse(raw)
    return told is not None and PUBLIC.verifies(told.message, told.signature)


def taken_by_reference(raw: bytes) -> bool:
    try:
        reference.read(raw, KEY.public_key())
    except Malformed:
        return False
    return True


@given(entry=entries)
def test_says_what_the_reader_wrote(entry: Entry) -> None:
    raw = reference.make(KEY, entry)
    told = receipts.parse(raw)

    assert told is not None
    assert (told.reader, told.id, told.challenge) == (READER.hex(), entry.pass_id.hex(), entry.nonce.hex())
    assert (int(told.at.timestamp()), told.result) == (entry.at, entry.result)
    assert taken(raw)
    assert receipts.pass_of(raw) == (entry.pass_id.hex() or receipts.UNREAD)


@pytest.mark.parametrize("at", WIDTHS)
def test_whatever_byte_is_another_it_is_taken_by_both_or_by_none(at: int) -> None:
    raw = reference.make(KEY, an_entry(at))
    assert taken(raw)
    for place, change in itertools.product(range(len(raw)), (1, 0x20, 0x80)):
        altered = raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :]
        assert taken(altered) is taken_by_reference(altered) is False, (place, change)


@pytest.mark.parametrize("cut", range(0, 190, 7))
def test_what_is_too_short_or_too_long_is_none(cut: int) -> None:
    raw = reference.make(KEY, an_entry())
    assert receipts.parse(raw[:cut]) is None
    assert receipts.parse(raw + bytes(cut + 1)) is None


@given(raw=st.binary(max_size=300))
def test_anything_else_is_none(raw: bytes) -> None:
    assert receipts.parse(raw) is None
    assert receipts.pass_of(raw) is None or raw[:3] == b"\xd2\x84\x4d"


@pytest.mark.parametrize(
    "result",
    ["", "Opened", "opened ", "x" * 21, "öffnet"],
)
def test_a_result_that_is_none(result: str) -> None:
    assert receipts.parse(reference.make(KEY, an_entry(result=result))) is None


def test_a_number_that_is_spelled_longer_is_none() -> None:
    raw = reference.make(KEY, an_entry(255))
    longer = raw.replace(b"\x06\x18\xff", b"\x06\x19\x00\xff").replace(b"\x58\x6e", b"\x58\x6f")
    assert receipts.parse(raw) is not None
    assert receipts.parse(longer) is None


def test_a_signature_of_zeros_is_none() -> None:
    assert not PUBLIC.verifies(b"", bytes(64))
