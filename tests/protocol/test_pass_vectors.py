"""The test vectors for makers of readers are what the back office makes, the handset answers and the reader says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from chalicelib.passes import cose, status_list, tokens
from chalicelib.passes.cose import Signer
from chalicelib.passes.tokens import Pass
from handset.passes import Wallet
from infra import vectors_passes as vectors
from reader import brought, checks, receipts
from reader import tokens as read_tokens
from reader.cbor import Malformed
from reader.cose import verified
from reader.door import Door, Kind, Outcome
from reader.places import Place
from reader.refusals import Refusal
from tests.support.clock import FakeClock
from tests.support.doors import clocks

VECTORS: dict[str, Any] = json.loads(vectors.PATH.read_text())
NOW = datetime.fromisoformat(VECTORS["now"])


def named(part: str) -> list[Any]:
    return [pytest.param(each, id=each["name"]) for each in VECTORS[part]]


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def listed(signed: bytes) -> Any:
    """The claims of a list that its key signed, unpacked: who packs it decides how."""
    read = brought.status_list(signed)
    assert verified(read.signed, vectors.KEYS["issuing"].public_key())
    return {**read.signed.claims, 65533: read.packed}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def door(tmp_path: Path, clock: FakeClock) -> Door:
    """A reader that knows what the vectors say that it does."""
    roots = [bytes.fromhex(root) for root in VECTORS["roots"]]
    door = Door.install(tmp_path / "door", VECTORS["place"], roots, *clocks(clock))
    assert door.take(Kind.KEY_SET, bytes.fromhex(VECTORS["key_set"])) is Outcome.TAKEN
    assert door.take(Kind.STATUS_LIST, bytes.fromhex(VECTORS["status_list"])) is Outcome.TAKEN
    return door


def test_the_committed_vectors_are_what_the_script_gives() -> None:
    assert vectors.PATH.read_text() == vectors.text(), "run 'python -m infra.vectors_passes'"


@pytest.mark.parametrize("vector", named("tokens"))
def test_the_back_office_makes_the_same_token(vector: dict[str, Any]) -> None:
    read = read_tokens.parse(bytes.fromhex(vector["token"]))
    claims = read.signed.claims
    told = Pass(
        carrier=read.carrier,
        not_before=moment(read.not_before),
        expires=moment(read.expires),
        id=read.id,
        holder=claims[8][1],
        service=read.service,
        perimeter=read.perimeter,
        status=(read.status_list, read.index),
    )
    signer = Signer(vectors.ISSUING, lambda message: vectors.sign("issuing", message, high=True))
    assert tokens.token(told, signer).hex() == vector["token"]
    assert vector["claims"]["2"] == read.carrier


def test_the_back_office_makes_the_same_list_and_time() -> None:
    at = vectors.AT - 2 * vectors.HOUR
    signer = status_list.signer(vectors.ISSUING, lambda message: vectors.sign("issuing", message))
    statuses: Any = vectors.LISTED
    made = status_list.status_list(
        "https://api.facteo.test/v1/status-lists/0",
        statuses,
        issued=moment(at),
        expires=moment(at + 24 * vectors.HOUR),
        ttl=60,
        by=signer,
    )
    assert listed(made) == listed(bytes.fromhex(VECTORS["status_list"]))
    plain = Signer(vectors.ISSUING, lambda message: vectors.sign("issuing", message))
    assert tokens.signed_time(NOW, plain) == vectors.signed_time(vectors.AT)


def test_a_building_has_the_mark_that_is_told() -> None:
    for told in VECTORS["marks"]:
        token_id, building = bytes.fromhex(told["pass"]), bytes.fromhex(told["building"])
        assert tokens.marks(token_id, [building]).hex() == told["mark"]


@pytest.mark.parametrize("vector", named("malformed"))
def test_a_token_that_is_none_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_tokens.parse(bytes.fromhex(vector["token"]))


@pytest.mark.parametrize("vector", named("exchanges"))
def test_an_exchange_ends_as_it_says(door: Door, clock: FakeClock, vector: dict[str, Any]) -> None:
    for step in vector["steps"]:
        clock.at = datetime.fromisoformat(step["at"])
        if step["nonce"]:
            with patch("secrets.token_bytes", lambda _, step=step: bytes.fromhex(step["nonce"])):
                door.challenge()
        response = bytes.fromhex(step["response"]) + bytes(step.get("zeros", 0))
        assert door.answer(response, step["seconds"]).refusal == step["result"]


@pytest.mark.parametrize("vector", named("codes"))
def test_a_code_is_taken_or_refused_as_it_says(door: Door, clock: FakeClock, vector: dict[str, Any]) -> None:
    clock.at = datetime.fromisoformat(vector["at"])
    assert door.show(vector["code"]).refusal == vector["result"]


@pytest.mark.parametrize("vector", named("news"))
def test_news_is_taken_or_not_as_it_says(door: Door, vector: dict[str, Any]) -> None:
    for earlier in vector.get("before", ()):
        assert door.take(Kind(earlier["kind"]), bytes.fromhex(earlier["data"])) is Outcome.TAKEN
    assert door.take(Kind(vector["kind"]), bytes.fromhex(vector["data"])) == vector["outcome"]


def test_the_list_says_what_is_told_of_it() -> None:
    read = brought.status_list(bytes.fromhex(VECTORS["status_list"]))
    found = {str(index): read.status(index) for index in range(vectors.SLOTS) if read.status(index)}
    assert found == VECTORS["listed"]


def test_the_receipts_are_a_log() -> None:
    log = [bytes.fromhex(each["receipt"]) for each in VECTORS["receipts"]]
    entries = list(receipts.chained(log, vectors.KEYS["reader"].public_key()))
    assert [entry.result for entry in entries] == [each["claims"]["-65544"] for each in VECTORS["receipts"]]


def test_the_reference_handset_answers_and_shows_the_same(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path, lambda message: vectors.sign("holder", message, high=True), FakeClock(NOW))
    wallet.keep(bytes.fromhex(VECTORS["tokens"][0]["token"]))
    exchange, code = VECTORS["exchanges"][0], VECTORS["codes"][0]
    assert wallet.answer(vectors.NONCE + vectors.READER).hex() == exchange["steps"][0]["response"]
    assert wallet.code() == code["code"]


def test_every_refusal_and_outcome_has_a_vector() -> None:
    refusals = {step["result"] for each in VECTORS["exchanges"] for step in each["steps"]}
    refusals |= {each["result"] for each in VECTORS["codes"]}
    assert refusals == {None, *Refusal}
    assert {each["outcome"] for each in VECTORS["news"]} == set(Outcome)


def test_the_key_set_has_the_keys_of_the_vectors() -> None:
    read = brought.key_set(bytes.fromhex(VECTORS["key_set"]))
    told = {bytes.fromhex(each["kid"]): each["public"] for each in VECTORS["keys"] if each["kid"]}
    for name, key in read.keys.items():
        assert cose.from_base64url(told[name]["x"]) == key.public.public_numbers().x.to_bytes(32, "big")


PAGE = (vectors.ROOT / "docs" / "protocol" / "pass.md").read_text()


def test_the_page_names_every_refusal_outcome_label_and_limit() -> None:
    limits = [
        read_tokens.MAX_BYTES,
        brought.MAX_KEY_SET_BYTES,
        brought.MAX_TIME_BYTES,
        brought.MAX_LIST_BYTES,
        brought.MAX_UNPACKED_BYTES,
        receipts.MAX_BYTES,
        checks.LONGEST,
        status_list.SLOTS,
    ]
    labels = [f"−{label}" for label in range(65537, 65546)]
    told = [*(f"`{each}`" for each in (*Refusal, *Outcome)), *labels, *map("{:,}".format, limits)]
    assert [each for each in told if each not in PAGE] == []


def test_the_page_lists_the_refusals_in_the_order_of_the_checks() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE.partition("## 4.")[2].partition("## 5.")[0], re.MULTILINE)
    assert rows == list(Refusal)


def test_the_page_explains_every_part_of_the_vectors() -> None:
    assert [part for part in VECTORS if f"`{part}`" not in PAGE and part != "about"] == []


def test_the_pages_place_is_one() -> None:
    [example] = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert set(json.loads(example)) == set(VECTORS["place"])
    Place.of(json.loads(example))
