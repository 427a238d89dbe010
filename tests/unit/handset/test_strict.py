"""Reading what may be forged: one spelling only, and nothing odd gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handset import acts
from handset.signing import HandsetKey, base64url
from handset.strict import Malformed, json_object, moment, opened, public_key, unbase64url

KEY = HandsetKey.generate()
KEYS = [{**HandsetKey.generate().public_jwk, "kid": "old"}, {**KEY.public_jwk, "kid": "new"}]


@given(st.binary(max_size=64))
def test_bytes_have_one_spelling(raw: bytes) -> None:
    assert unbase64url(base64url(raw), 64) == raw


@given(st.text(alphabet="AQgw_-+/=\n é", max_size=8))
def test_no_other_spelling_is_read(text: str) -> None:
    try:
        raw = unbase64url(text, 64)
    except Malformed:
        return
    assert base64url(raw) == text


@pytest.mark.parametrize("text", [None, 1, b"AA", ["AA"], "A", "AB", "AA==", "A A", "AA\n", "A+/A", "é", "A" * 200])
def test_what_is_no_base64url_of_that_length(text: Any) -> None:
    with pytest.raises(Malformed):
        unbase64url(text, 64)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[]", b"1", b"null", b"{", b"\xff", b"\xef\xbb\xbf{}"),
        *(b'{"a":1,"a":1}', b'{"b":{"a":1,"a":2}}', b'{"a":NaN}', b'{"a":Infinity}'),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"1" * 5000 + b"}"),
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_is_no_object(raw: bytes) -> None:
    with pytest.raises(Malformed):
        json_object(raw)


@pytest.mark.parametrize("text", [None, 1, "", "soon", "2026-11-27", "2026-11-27T09:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment(text: Any) -> None:
    with pytest.raises(Malformed):
        moment(text)


@pytest.mark.parametrize(
    "jwk",
    [
        *(None, [], {}, {"kty": "EC", "crv": "P-256"}),
        *({**KEY.public_jwk, "crv": "P-384"}, {**KEY.public_jwk, "kty": "OKP"}),
        *({**KEY.public_jwk, "x": base64url(bytes(32))}, {**KEY.public_jwk, "y": base64url(bytes(31))}),
    ],
)
def test_what_is_no_key(jwk: Any) -> None:
    with pytest.raises(Malformed):
        public_key(jwk)


def jws(header: dict[str, Any]) -> str:
    signing_input = f"{base64url(json.dumps(header).encode())}.{base64url(b'{}')}"
    return f"{signing_input}.{base64url(KEY.sign_raw(signing_input.encode()))}"


def test_a_jws_is_read_by_the_key_that_it_names() -> None:
    assert opened(acts.signed({"a": 1}, KEY, "new"), KEYS) == b'{"a":1}'
    assert opened(jws({"alg": "ES256", "kid": "new"}), KEYS) == b"{}"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES256", "kid": "old"},
        {"alg": "ES256", "kid": "another"},
        {"alg": "ES256"},
        {"alg": "none", "kid": "new"},
        {"alg": "HS256", "kid": "new"},
        {"alg": "ES256", "kid": "new", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "kid": None},
    ],
)
def test_another_header_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        opened(jws(header), KEYS)


@given(st.data())
def test_no_letter_of_a_jws_can_be_another(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_."))
    changed = TOKEN[:at] + letter + TOKEN[at + 1 :]
    if changed != TOKEN:
        with pytest.raises(Malformed):
            opened(changed, KEYS)


TOKEN = acts.signed({"type": "facteo.order"}, KEY, "new")
