"""Whatever is changed in a valid exchange, the door stays shut: with a reason, and never with an error."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.passes import tokens as office
from handset.passes import base45
from reader import brought, checks, cose, proofs, tokens
from reader.cbor import Malformed
from reader.places import Place
from tests.support.doors import (
    BUILDING,
    CURRENT,
    NOW,
    PASS_ID,
    PLACE,
    ROOTS,
    a_key_set,
    a_list,
    a_time,
    a_token,
    key,
    seconds,
    signs,
)

AT = Place.of(PLACE)
CHALLENGE = bytes(range(16)) + AT.reader
KEYS = brought.key_set(a_key_set()).keys
LISTS = {0: brought.status_list(a_list())}

mutations = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 10_000), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.integers(0, 10_000), st.integers(1, 40)),
    st.tuples(st.just("insert"), st.integers(0, 10_000), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("swap"), st.integers(0, 10_000), st.integers(0, 10_000)),
    st.tuples(st.just("write"), st.integers(0, 10_000), st.binary(min_size=1, max_size=8)),
)


def mutated(data: bytes, mutation: tuple[str, Any, Any]) -> bytes:
    """The data with a bit flipped, some of it cut out, put in, overwritten, or two bytes swapped."""
    kind, place, how = mutation
    at, changed = place % len(data), bytearray(data)
    if kind == "flip":
        changed[at] ^= 1 << how
    elif kind == "cut":
        del changed[at : at + how]
    elif kind == "insert":
        changed[at:at] = how
    elif kind == "write":
        changed[at : at + len(how)] = how
    else:
        other = how % len(data)
        changed[at], changed[other] = changed[other], changed[at]
    return bytes(changed)


def answered(token: bytes) -> bytes:
    """The holder's answer to CHALLENGE."""
    return token + cose.sign(key("holder"), b"FPASS1" + CHALLENGE + sha256(token).digest())


def opens(response: bytes, challenge: bytes = CHALLENGE) -> bool:
    """Whether such an answer to a challenge opens the door."""
    try:
        told, signature = proofs.split(response)
        token = tokens.parse(told)
    except Malformed:
        return False
    asked = checks.Asked(token, AT, KEYS, LISTS, (), seconds(NOW))
    return checks.refusal(asked) is None and proofs.of_nonce(token.holder, challenge, told, signature)


SECTOR_ANSWER = answered(a_token())
BUILDING_ANSWER = answered(a_token(perimeter=office.marks(PASS_ID, [BUILDING, bytes(16), bytes([1]) * 16])))


@pytest.mark.parametrize("response", [SECTOR_ANSWER, BUILDING_ANSWER])
def test_unchanged_it_opens(response: bytes) -> None:
    assert opens(response)


@pytest.mark.parametrize("response", [SECTOR_ANSWER, BUILDING_ANSWER])
def test_every_single_bit_counts(response: bytes) -> None:
    for place in range(len(response)):
        for bit in range(8):
            assert not opens(mutated(response, ("flip", place, bit))), (place, bit)


@pytest.mark.parametrize("response", [SECTOR_ANSWER, BUILDING_ANSWER])
@given(changes=st.lists(mutations, min_size=1, max_size=3))
def test_no_change_of_the_answer_opens(response: bytes, changes: list[tuple[str, Any, Any]]) -> None:
    changed = response
    for change in changes:
        changed = mutated(changed, change) if changed else changed
    assume(changed != response)
    assert not opens(changed)


@given(mutations)
def test_no_other_challenge_is_answered(change: tuple[str, Any, Any]) -> None:
    challenge = mutated(CHALLENGE, change)
    assume(challenge != CHALLENGE)
    assert not opens(SECTOR_ANSWER, challenge)


@given(st.integers(0, len(SECTOR_ANSWER)), st.integers(0, len(BUILDING_ANSWER)))
def test_parts_of_two_answers_make_none(head: int, tail: int) -> None:
    for one, other in ((SECTOR_ANSWER, BUILDING_ANSWER), (BUILDING_ANSWER, SECTOR_ANSWER)):
        spliced = one[:head] + other[tail:]
        assume(spliced not in (one, other))
        assert not opens(spliced)


BROUGHT: dict[str, tuple[Callable[[bytes], Any], bytes, cose.PublicKey]] = {
    "key set": (brought.key_set, a_key_set(), key(ROOTS[0]).public_key()),
    "list": (brought.status_list, a_list(), key(CURRENT).public_key()),
    "time": (brought.signed_time, a_time(NOW), key(CURRENT).public_key()),
}


@pytest.mark.parametrize(("parse", "good", "public"), BROUGHT.values(), ids=BROUGHT)
@given(change=mutations)
def test_no_change_of_what_is_brought_is_believed(
    parse: Callable[[bytes], Any], good: bytes, public: cose.PublicKey, change: tuple[str, Any, Any]
) -> None:
    assert cose.verified(parse(good).signed, public)
    changed = mutated(good, change)
    assume(changed != good)
    try:
        told = parse(changed)
    except Malformed:
        return
    assert not cose.verified(told.signed, public)


@given(mutations)
def test_no_change_of_a_code_opens(change: tuple[str, Any, Any]) -> None:
    token = a_token()
    challenge = (seconds(NOW) // 30).to_bytes(4, "big") + AT.reader
    content = token + challenge + cose.sign(key("holder"), b"FPASSQ1" + challenge + sha256(token).digest())
    changed = mutated(content, change)
    assume(changed != content)

    def shown(content: bytes) -> bool:
        try:
            code = proofs.read_code("FP1:" + base45(content))
            token = tokens.parse(code.token)
        except Malformed:
            return False
        asked = checks.Asked(token, AT, KEYS, LISTS, (), seconds(NOW))
        return checks.refusal(asked) is None and proofs.of_code(token.holder, code)

    assert shown(content)
    assert not shown(changed)


@given(st.binary(max_size=100))
def test_whatever_the_keystore_gives_is_sent_in_one_spelling(message: bytes) -> None:
    """Half of all signatures come out with the higher s."""
    signer = office.Signer(CURRENT, signs(CURRENT))
    signed = cose.parse(signer.sign1({7: message}), 320)
    assert cose.verified(signed, key(CURRENT).public_key())
