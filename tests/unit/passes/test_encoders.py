"""What the back office signs for doors: its sizes, its one spelling, and that a library of others verifies it too."""

from __future__ import annotations

import random
import zlib
from datetime import timedelta
from typing import Any

import cbor2
import cwt
import pytest
from cwt.enums import COSEAlgs, COSEHeaders

from chalicelib.passes import cose, key_set, status_list, tokens
from chalicelib.passes.cose import Signer
from chalicelib.passes.schemas import Status
from chalicelib.passes.status_list import SLOTS
from handset.passes import Wallet
from reader import brought, checks
from reader import tokens as read_tokens
from reader.cbor import decode
from reader.cose import sign
from reader.refusals import Refusal
from tests.support.doors import (
    BUILDING,
    CURRENT,
    NOW,
    PASS_ID,
    PLACE,
    ROOTS,
    WEEK,
    a_key_set,
    a_list,
    a_pass,
    a_time,
    a_token,
    an_issuing_key,
    jwk,
    key,
    seconds,
    signs,
)

LONGEST_CARRIER, LONGEST_SECTOR = "12345678", "2A004ABCDEF"
"""Carriers have up to 8 characters, sectors an INSEE code and up to 6."""


def twenty_marks(token_id: bytes = PASS_ID) -> bytes:
    """The perimeter of a relief round."""
    return tokens.marks(token_id, [BUILDING, *(bytes([number]) * 16 for number in range(19))])


def half_suspended(seed: int) -> dict[int, Status]:
    """850 indexes of the fleet, anywhere, every other suspended."""
    indexes = random.Random(seed).sample(range(SLOTS), 850)  # noqa: S311 - a seed that can be given again
    return {index: Status(1 + place % 2) for place, index in enumerate(indexes)}


def cwt_key(name: bytes, alg: str = "ESP256") -> Any:
    """Our public key as the other library knows it."""
    told = {**jwk(name), "kid": name.decode(), "alg": alg}
    return cwt.COSEKey.from_jwk(told)


class TestSizes:
    def test_the_answer_with_a_sector_is_one_short_apdu(self, tmp_path: Any) -> None:
        longest = a_token(carrier=LONGEST_CARRIER, perimeter=LONGEST_SECTOR, status=(0, SLOTS - 1), service=23)
        wallet = Wallet(tmp_path, signs("holder"))
        wallet.keep(longest)
        assert len(wallet.answer(bytes(24))) == 256

    def test_with_the_usual_lengths_some_bytes_are_left(self) -> None:
        assert len(a_token(carrier="C10011", perimeter="7511602", status=(0, SLOTS - 1))) == 186
        assert len(a_token(carrier="C10011", perimeter="7511602", status=(0, 48_211))) == 184

    def test_with_twenty_buildings_it_is_two(self) -> None:
        longest = a_token(carrier="C" * 20, perimeter=twenty_marks(), status=(0, SLOTS - 1))
        assert 256 < len(longest) + 64 <= 2 * 256
        assert len(longest) <= read_tokens.MAX_BYTES

    @pytest.mark.parametrize("seed", range(20))
    def test_the_list_with_850_entries_has_no_more_than_1_8_kilobytes(self, seed: int) -> None:
        assert len(a_list(half_suspended(seed))) <= 1_800

    def test_an_empty_list_is_small(self) -> None:
        assert len(a_list()) < 260

    def test_the_worst_list_is_one_that_readers_take(self) -> None:
        """Five carriers of a hundred: more than any strike of thieves."""
        indexes = random.Random(7).sample(range(SLOTS), SLOTS // 20)  # noqa: S311 - always the same
        signed = a_list({index: Status(1 + index % 7 % 2) for index in indexes})
        assert len(signed) < brought.MAX_LIST_BYTES
        brought.status_list(signed)

    def test_sixteen_keys_fit_a_key_set(self) -> None:
        names = [bytes([65 + number, 66]) for number in range(16)]
        assert len(a_key_set(keys=names, next_roots=[b"rb", b"rc"])) < brought.MAX_KEY_SET_BYTES


class TestOneSpelling:
    @pytest.mark.parametrize(
        "signed",
        [
            a_token(),
            a_token(perimeter=twenty_marks()),
            a_list({5: Status.REVOKED}),
            a_time(NOW),
            a_key_set(next_roots=[b"rb", b"rc"]),
        ],
    )
    def test_it_is_deterministic_cbor(self, signed: bytes) -> None:
        protected, _, payload, _ = decode(signed[1:], 4096)
        for part in (protected, payload):
            assert cbor2.dumps(cbor2.loads(part), canonical=True) == part

    def test_a_reader_reads_what_was_written(self) -> None:
        told, read = a_pass(), read_tokens.parse(a_token())
        assert (read.carrier, read.id, read.service, read.perimeter) == ("C10011", PASS_ID, 1, told.perimeter)
        assert (read.not_before, read.expires) == (seconds(told.not_before), seconds(told.expires))
        assert (read.status_list, read.index) == told.status
        assert read.holder.public_numbers() == key("holder").public_key().public_numbers()

    @pytest.mark.parametrize("name", [f"key {number}" for number in range(8)])
    def test_a_key_is_the_same_when_compressed(self, name: str) -> None:
        """With an odd y and with an even one."""
        read = read_tokens.parse(a_token(holder=cose.cose_key(jwk(name))))
        assert read.holder.public_numbers() == key(name).public_key().public_numbers()

    def test_the_jwks_has_the_same_keys(self) -> None:
        issuing = [an_issuing_key(CURRENT), an_issuing_key(b"k2")]
        signer = Signer(ROOTS[0], signs(ROOTS[0]))
        read = brought.key_set(key_set.key_set(7, issuing, issued=NOW, expires=NOW + WEEK, by=signer))
        mirror = key_set.jwks(issuing)["keys"]
        assert [bytes.fromhex(each["kid"]) for each in mirror] == list(read.keys)
        for told in mirror:
            one = read.keys[bytes.fromhex(told["kid"])]
            assert (one.not_before, one.not_after) == (told["nbf"], told["exp"])
            assert cose.from_base64url(told["x"]) == one.public.public_numbers().x.to_bytes(32, "big")
        assert read.sequence == 7


class TestStatusList:
    def test_the_first_index_is_in_the_lowest_bits(self) -> None:
        """The draft's example of two bits (section 4.1): C9 44 F9."""
        told = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
        statuses: Any = dict(enumerate(told))
        assert status_list.packed(statuses)[:3].hex() == "c944f9"

    def test_every_status_is_read_again(self) -> None:
        statuses = half_suspended(3)
        read = brought.status_list(a_list(statuses))
        assert {index: read.status(index) for index in statuses} == statuses
        assert sum(read.status(index) != 0 for index in range(SLOTS)) == len(statuses)
        assert read.status(SLOTS) is None

    @pytest.mark.parametrize("index", [-1, SLOTS])
    def test_an_index_outside_is_refused(self, index: int) -> None:
        with pytest.raises(IndexError):
            status_list.packed({index: Status.REVOKED})


class TestMarks:
    def test_they_say_nothing_from_pass_to_pass(self) -> None:
        assert tokens.marks(PASS_ID, [BUILDING]) != tokens.marks(b"12345678", [BUILDING])
        assert tokens.marks(PASS_ID, [BUILDING]) == read_tokens.mark(PASS_ID, BUILDING)

    @pytest.mark.parametrize("number", [0, 21])
    def test_there_are_one_to_twenty(self, number: int) -> None:
        with pytest.raises(ValueError, match="1 to 20"):
            tokens.marks(PASS_ID, [bytes([each]) * 16 for each in range(number)])

    def test_a_key_has_a_name_of_two_bytes(self) -> None:
        with pytest.raises(ValueError, match="two bytes"):
            Signer(b"k", signs(CURRENT))


class TestAnotherLibrary:
    """`cwt`, which shares no code with us but the CBOR library."""

    @pytest.mark.parametrize("token", [a_token(), a_token(perimeter=twenty_marks())])
    def test_verifies_a_token(self, token: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cwt.cwt.datetime", _StandsAt)
        claims = cwt.decode(token, cwt_key(CURRENT))
        assert claims == read_tokens.parse(token).signed.claims

    def test_finds_that_it_has_expired(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cwt.cwt.datetime", _StandsAt)
        with pytest.raises(cwt.VerifyError):
            cwt.decode(a_token(expires=NOW - timedelta(minutes=2)), cwt_key(CURRENT))

    @pytest.mark.parametrize(
        ("signed", "by"),
        [(a_list(half_suspended(1)), CURRENT), (a_time(NOW), CURRENT), (a_key_set(next_roots=[b"rb", b"rc"]), b"ra")],
        ids=["status list", "time", "key set"],
    )
    def test_verifies_what_is_brought(self, signed: bytes, by: bytes) -> None:
        protected, _, payload = cwt.COSE.new().decode_with_headers(signed, cwt_key(by))
        assert protected[COSEHeaders.ALG] == COSEAlgs.ESP256
        assert protected[COSEHeaders.KID] == by
        assert payload == cbor2.loads(signed).value[2]
        for name in (b"k2", b"rb"):
            other = cwt.COSEKey.from_jwk({**jwk(name), "kid": by.decode(), "alg": "ESP256"})
            with pytest.raises(cwt.VerifyError):
                cwt.COSE.new().decode(signed, other)

    def test_knows_the_keys_of_a_key_set(self) -> None:
        """It wants y uncompressed; all else is as RFC 9052 says."""
        payload = cbor2.loads(cbor2.loads(a_key_set()).value[2])
        for told in payload[-65541]:
            numbers = key(told[2]).public_key().public_numbers()
            assert (told[-2], told[-3]) == (numbers.x.to_bytes(32, "big"), bool(numbers.y & 1))
            public = {label: value for label, value in told.items() if label >= -3} | {
                -3: numbers.y.to_bytes(32, "big")
            }
            assert cwt.COSEKey.new(public).kid == told[2]

    def test_unpacks_the_list_as_the_draft_says(self) -> None:
        claims = cbor2.loads(cbor2.loads(a_list({6: Status.SUSPENDED})).value[2])
        assert set(claims) == {2, 4, 6, 65533, 65534}
        assert claims[65533]["bits"] == 2
        assert zlib.decompress(claims[65533]["lst"])[1] >> 4 & 3 == 2

    @pytest.mark.parametrize(("alg", "named"), [(-7, "ES256"), (-9, "ESP256")])
    def test_takes_the_older_number_of_the_algorithm_and_we_do_not(
        self, alg: int, named: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A header -7 with a key of ESP256: the allow-list of a key is ours to hold."""
        monkeypatch.setattr("cwt.cwt.datetime", _StandsAt)
        protected, payload = cbor2.dumps({1: alg, 4: CURRENT}), cbor2.loads(a_token()).value[2]
        signature = sign(key(CURRENT), cbor2.dumps(["Signature1", protected, b"", payload]))
        token = b"\xd2" + cbor2.dumps([protected, {}, payload, signature])
        assert cwt.decode(token, cwt_key(CURRENT, named))
        assert cwt.decode(token, cwt_key(CURRENT, "ESP256"))
        assert _refusal(token) == (None if alg == cose.ESP256 else Refusal.UNKNOWN_KEY)


class _StandsAt:
    """In place of the library's clock."""

    @staticmethod
    def now(tz: Any = None) -> Any:
        return NOW


def _refusal(token: bytes) -> Refusal | None:
    keys, lists = brought.key_set(a_key_set()).keys, {0: brought.status_list(a_list())}
    place = checks.Place.of(PLACE)
    return checks.refusal(checks.Asked(read_tokens.parse(token), place, keys, lists, (), seconds(NOW)))
