"""The act that a handset signs: canonical, named by its strokes, and proved by its key alone."""

from __future__ import annotations

import hashlib

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey

from handset import acts
from handset.signing import HandsetKey

DEVICE = "019ac9a0-0000-7000-8000-0000000000d1"
ACT = {"version": 1, "receiver": {"last_name": "LEFÈVRE", "first_name": 'H "Léa"\n'}, "items": ["B", "A"]}
CANONICAL = '{"items":["B","A"],"receiver":{"first_name":"H \\"Léa\\"\\n","last_name":"LEFÈVRE"},"version":1}'


def test_canonical_json_has_its_members_in_order_and_its_letters_as_they_are() -> None:
    assert acts.canonical(ACT).decode() == CANONICAL


def test_an_act_is_proved_by_the_handsets_key_and_by_no_other() -> None:
    key, other = HandsetKey.generate(), HandsetKey.generate()
    signed = acts.signed(ACT, key, DEVICE)

    proved = jws.deserialize_compact(signed, ECKey.import_key(key.public_jwk), algorithms=["ES256"])
    assert (proved.headers(), proved.payload.decode()) == ({"alg": "ES256", "kid": DEVICE}, CANONICAL)
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(signed, ECKey.import_key(other.public_jwk), algorithms=["ES256"])


@pytest.mark.parametrize("strokes", [[[[1, 2, 3]]], [[[1, 2, 3, 0]]]])
def test_a_pressure_that_was_left_out_is_zero(strokes: list[list[list[int]]]) -> None:
    assert acts.name_of({"strokes": strokes}) == hashlib.sha256(b"[[[1,2,3,0]]]").hexdigest()


def test_a_drawing_is_named_by_its_strokes_and_not_by_its_pad() -> None:
    one = {"pad": {"width": 1}, "strokes": [[[1, 2, 3, 4]]]}

    assert acts.name_of(one) == acts.name_of({**one, "pad": {"width": 2}})
    assert acts.name_of(one) != acts.name_of({**one, "strokes": [[[1, 2, 3, 5]]]})
    assert acts.name_of(one) != acts.name_of({**one, "strokes": [[[1, 2, 3, 4]], []]})


def test_what_was_shown_is_told_line_by_line() -> None:
    assert acts.shown(["Remise", "é"]) == hashlib.sha256("Remise\né".encode()).hexdigest()
