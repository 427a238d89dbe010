"""What a stranger holds against a reader is measured before it is parsed, and has one spelling."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from reader import brought, cbor, cose, proofs, tokens
from reader.cbor import Malformed
from tests.support.doors import CURRENT, NOW, a_key_set, a_list, a_time, a_token, key, seconds

PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "token": (tokens.parse, a_token()),
    "key set": (brought.key_set, a_key_set(next_roots=[b"rb", b"rc"])),
    "status list": (brought.status_list, a_list()),
    "time": (brought.signed_time, a_time(NOW)),
}
each_parser = pytest.mark.parametrize(("parse", "good"), PARSERS.values(), ids=PARSERS)


def resigned(signed: bytes, change: Callable[[Any], Any]) -> bytes:
    """Other claims in the same envelope, in deterministic CBOR. The signature does not fit: no parser looks at it."""
    protected, unprotected, payload, signature = cbor2.loads(signed).value
    claims = change(cbor2.loads(payload))
    return b"\xd2" + cbor2.dumps([protected, unprotected, cbor2.dumps(claims, canonical=True), signature])


class TestLimits:
    @each_parser
    @pytest.mark.parametrize(
        "data",
        [
            bytes(10**6),
            b"\xd2" + b"\x84" * 10**6,
            b"\xd2\x84" + b"\x81" * 200,
            b"\xd2" + b"\x9f" * 100,
            b"\xd2\x9b" + b"\xff" * 8,
            b"\xd2\x84\x5b" + b"\xff" * 8,
            b"\xd2" + b"\xc2" * 60,
            b"\xd2\xd8\x1c\x81\xd8\x1d\x00",
            b"\xd2\xf7",
            b"\xd2\xfb" + bytes(8),
            b"\xd2",
            b"",
        ],
        ids=[
            "1 MB",
            "1 MB deep",
            "deep",
            "endless",
            "huge array",
            "huge bytes",
            "tags",
            "cyclic",
            "undefined",
            "float",
            "short",
            "empty",
        ],
    )
    def test_the_library_is_not_even_asked(
        self, parse: Callable[[bytes], object], good: bytes, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[bytes] = []
        monkeypatch.setattr(cbor2, "loads", asked.append)
        with pytest.raises(Malformed):
            parse(data)
        assert asked == []

    def test_a_megabyte_behind_a_qr_prefix_is_not_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proofs, "_from_base45", None)
        with pytest.raises(Malformed):
            proofs.read_code("FP1:" + "0" * 10**6)

    def test_a_list_that_swells_is_not_unpacked_to_its_end(self) -> None:
        bomb = zlib.compress(bytes(4 * 10**6), 9)
        assert len(bomb) < 8_000
        with pytest.raises(Malformed, match="packed"):
            brought.status_list(resigned(a_list(), lambda claims: claims | {65533: {"bits": 2, "lst": bomb}}))

    @pytest.mark.parametrize("lst", [b"", b"x", zlib.compress(bytes(100)) + b"x", zlib.compress(bytes(100))[:-1]])
    def test_a_list_that_is_not_packed_well(self, lst: bytes) -> None:
        with pytest.raises(Malformed):
            brought.status_list(resigned(a_list(), lambda claims: claims | {65533: {"bits": 2, "lst": lst}}))


class TestOneSpelling:
    @each_parser
    def test_nothing_stands_behind_or_is_missing(self, parse: Callable[[bytes], object], good: bytes) -> None:
        parse(good)
        for bad in (good + b"\x00", good[:-1], good[1:], b"\xd8\x12" + good[1:], good * 2):
            with pytest.raises(Malformed):
                parse(bad)

    @pytest.mark.parametrize(
        "data",
        [
            b"\x18\x05",
            b"\x19\x00\x05",
            b"\xa2\x02\x00\x01\x00",
            b"\xa2\x01\x00\x01\x01",
            b"\xa2\x01\x00\xf5\x00",
            b"\x58\x01\x00",
            b"\x5f\x41\x00\xff",
            b"\x61\xff",
            b"\xa1\x80\x00\x00",
            b"\xf6",
            b"\xf9\x00\x00",
            b"\xf8\x14",
        ],
    )
    def test_other_spellings_are_refused(self, data: bytes) -> None:
        with pytest.raises(Malformed):
            cbor.decode(data, 100)

    def test_the_header_is_the_profiles(self) -> None:
        protected, _, payload, signature = cbor2.loads(a_token()).value
        header = cbor2.loads(protected)
        parts: list[list[Any]] = [
            [cbor2.dumps({**header, 5: b""}), {}, payload, signature],
            [cbor2.dumps({4: CURRENT}), {}, payload, signature],
            [cbor2.dumps({1: "ESP256", 4: CURRENT}), {}, payload, signature],
            [cbor2.dumps({1: -9, 4: b"abc"}), {}, payload, signature],
            [protected, {4: CURRENT}, payload, signature],
            [protected, {}, payload, signature[:-1]],
            [protected, {}, payload, signature, b""],
            [b"", {}, payload, signature],
            [protected, {}, None, signature],
        ]
        for bad in parts:
            with pytest.raises(Malformed):
                tokens.parse(b"\xd2" + cbor2.dumps(bad))

    def test_of_two_signatures_that_verify_the_lower_is_taken(self) -> None:
        signature = cose.sign(key("holder"), b"what was said")
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        higher = signature[:32] + (order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
        public = key("holder").public_key()
        assert cose.verify(public, b"what was said", signature)
        for bad in (higher, bytes(64), signature[:32] + bytes(32), b"\xff" * 64, signature + b"\x00", b""):
            assert not cose.verify(public, b"what was said", bad)


def is_on_the_curve(x: bytes) -> bool:
    """Whether P-256 has a point there."""
    try:
        return bool(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x02" + x))
    except ValueError:
        return False


NOT_ON_THE_CURVE = next(x for x in (bytes(31) + bytes([n]) for n in range(100)) if not is_on_the_curve(x))
"""An x for which there is no y."""


class TestClaims:
    @pytest.mark.parametrize(
        "change",
        [
            {1: "lq"},
            {1: b"lp"},
            {2: ""},
            {2: "c10011"},
            {2: "C" * 21},
            {2: "C1\n"},
            {2: b"C10011"},
            {4: True},
            {4: -1},
            {4: 2**32},
            {4: seconds(NOW) - 3600},
            {7: b"1234567"},
            {7: b"123456789"},
            {8: {}},
            {8: {1: {1: 2, -1: 1, -2: bytes(31), -3: True}}},
            {8: {1: {1: 2, -1: 1, -2: bytes(32), -3: 1}}},
            {8: {1: {1: 2, -1: True, -2: bytes(32), -3: True}}},
            {8: {1: {1: 2, -1: 2, -2: bytes(32), -3: True}}},
            {8: {1: {1: 2, -1: 1, -2: NOT_ON_THE_CURVE, -3: True}}},
            {8: {1: {1: 2, -1: 1, -2: b"\xff" * 32, -3: True}}},
            {-65537: [1]},
            {-65537: [1, "7511602", 0]},
            {-65537: [True, "7511602"]},
            {-65537: [24, "7511602"]},
            {-65537: [1, "75116"]},
            {-65537: [1, "75116abc"]},
            {-65537: [1, b""]},
            {-65537: [1, b"abcd"]},
            {-65537: [1, b"abcabc"]},
            {-65537: [1, b"defabc"]},
            {-65537: [1, bytes(range(63))]},
            {-65537: [1, 75116]},
            {-65538: [0]},
            {-65538: [0, True]},
            {-65538: [0, -1]},
            {-65538: [0, 2**32]},
            {3: "aud"},
        ],
        ids=repr,
    )
    def test_a_token_with_another_claim_is_none(self, change: dict[int, Any]) -> None:
        with pytest.raises(Malformed):
            tokens.parse(resigned(a_token(), lambda claims: claims | change))

    @pytest.mark.parametrize("claim", [1, 2, 4, 5, 7, 8, -65537, -65538])
    def test_a_token_without_one_is_none(self, claim: int) -> None:
        def without(claims: dict[int, Any]) -> dict[int, Any]:
            return {key: value for key, value in claims.items() if key != claim}

        with pytest.raises(Malformed):
            tokens.parse(resigned(a_token(), without))

    @pytest.mark.parametrize(
        "change",
        [
            {2: "no-number"},
            {2: "/s/24"},
            {2: "/s/00"},
            {4: seconds(NOW) - 300},
            {65534: True},
            {65533: {"bits": 1, "lst": zlib.compress(b"")}},
            {65533: {"bits": True, "lst": zlib.compress(b"")}},
            {65533: {"lst": zlib.compress(b"")}},
            {65533: {"bits": 2, "lst": ""}},
        ],
        ids=repr,
    )
    def test_a_list_with_another_claim_is_none(self, change: dict[int, Any]) -> None:
        with pytest.raises(Malformed):
            brought.status_list(resigned(a_list(), lambda claims: claims | change))

    @pytest.mark.parametrize(
        "change",
        [
            lambda claims: claims | {-65540: 0},
            lambda claims: claims | {-65540: True},
            lambda claims: claims | {-65541: []},
            lambda claims: claims | {-65541: claims[-65541] * 9},
            lambda claims: claims | {-65541: [claims[-65541][0]] * 2},
            lambda claims: claims | {-65541: [claims[-65541][0] | {-65539: [1]}]},
            lambda claims: claims | {-65541: [claims[-65541][0] | {-2: NOT_ON_THE_CURVE}]},
            lambda claims: claims | {-65541: [claims[-65541][0] | {-4: bytes(32)}]},
            lambda claims: claims | {-65542: [claims[-65542][0]]},
            lambda claims: claims | {-65542: [claims[-65542][0] | {-2: NOT_ON_THE_CURVE}, claims[-65542][1]]},
            lambda claims: claims | {4: claims[6]},
        ],
    )
    def test_a_key_set_with_another_claim_is_none(self, change: Callable[[Any], Any]) -> None:
        with pytest.raises(Malformed):
            brought.key_set(resigned(PARSERS["key set"][1], change))


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for parse, _ in PARSERS.values():
        for one in (data, b"\xd2" + data, b"\xd2\x84" + data):
            with pytest.raises(Malformed):
                parse(one)


@given(
    st.recursive(
        st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=30) | st.text(max_size=30) | st.booleans(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-9, 9), inner, max_size=4),
        max_leaves=6,
    ).filter(lambda value: depth(value) <= cbor.MAX_DEPTH)
)
def test_what_is_read_is_what_was_written(value: Any) -> None:
    """The canonical spelling is read; cut or lengthened it is not."""
    data = cbor2.dumps(value, canonical=True)
    assert cbor.decode(data, len(data)) == value
    for bad in (data[:-1], data + b"\x00"):
        with pytest.raises(Malformed):
            cbor.decode(bad, len(bad))


def depth(value: Any) -> int:
    """Containers around the innermost value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def test_the_deepest_that_is_read() -> None:
    assert cbor.decode(b"\x81" * 6 + b"\x00", 7) == [[[[[[0]]]]]]
    with pytest.raises(Malformed, match="deep"):
        cbor.decode(b"\x81" * 7 + b"\x00", 8)


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_malformed(text: str) -> None:
    for one in (text, "FP1:" + text):
        with pytest.raises(Malformed):
            proofs.read_code(one)
