"""What everybody may read and handsets carry: the key set, the status list and the time."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cbor2
import cwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cwt.enums import COSEHeaders

from chalicelib.core import signing
from chalicelib.core.errors import NotFound
from chalicelib.passes import keys, rules, store
from chalicelib.passes.keys import Ring
from chalicelib.passes.schemas import Mark, Status
from chalicelib.passes.status_list import SLOTS
from chalicelib.passes.tables import PassesRow, PassLinesRow
from chalicelib.passes.workers import publish_passes
from reader import apdu, brought
from reader.door import Kind
from tests.support.alerts import kms_away
from tests.support.api import Api
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud, start_cold
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset
from tests.support.fleet import NewHandset, everything_stored
from tests.support.passes import (
    a_bearer,
    a_reader,
    a_wallet_of,
    a_working_post,
    ask,
    follow,
    held,
    listed,
    news,
    publish,
    status,
    suspend,
    updated,
)
from tests.support.races import overtaken

WEEK = timedelta(days=7)
PUBLIC = ("/v1/pass-keys", "/v1/pass-keys/jwks", "/v1/pass-time", "/v1/status-lists/0")


@pytest.fixture
def post(api: Api) -> Api:
    return a_working_post(api)


@pytest.fixture
def bearer(post: Api) -> HeldHandset:
    return a_bearer(post)


def ring() -> Ring:
    return PassesRow.get("ring").holds(Ring)


def key_set(api: Api) -> brought.KeySet:
    """The published set, as a reader reads it."""
    return brought.key_set(base64.b64decode(api.as_nobody().get("/v1/pass-keys").body["key_set"]))


def the_list(api: Api) -> brought.StatusList:
    """The published list, as a reader reads it."""
    return brought.status_list(base64.b64decode(api.as_nobody().get("/v1/status-lists/0").body["status_list"]))


def marked(mark: Mapping[int, Status], until: datetime) -> None:
    """The next list says this of these places, whose passes end then."""
    over = until + rules.SKEW
    with PassLinesRow.batch_write() as batch:
        for slot, told in mark.items():
            content = msgspec.json.encode(Mark(status=told, until=over)).decode()
            batch.save(PassLinesRow(store.MARKED, f"{slot:06}", content=content, expires_at=over))


class TestAnybody:
    @pytest.mark.parametrize("path", PUBLIC)
    def test_reads_it_without_a_name_and_only_when_it_changed(self, post: Api, path: str) -> None:
        first = post.as_nobody().get(path)
        assert first.status == 200
        assert first.headers["Cache-Control"] == "public, max-age=30"

        again = post.as_nobody().request("GET", path, If_None_Match=first.headers["ETag"])

        assert (again.status, again.text) == (304, "")

    @pytest.mark.parametrize("path", PUBLIC)
    def test_costs_one_read(self, post: Api, aws: Cloud, path: str) -> None:
        with aws.counting() as calls:
            post.as_nobody().get(path)

        assert calls == {"GetItem": 1}

    @pytest.mark.parametrize("path", PUBLIC)
    def test_before_the_first_minute_it_can_be_had_later(self, api: Api, path: str) -> None:
        assert api.as_nobody().get(path).problem == "unavailable"


class TestKeys:
    def test_those_of_this_week_and_the_next_are_published(self, post: Api) -> None:
        monday = datetime(2026, 11, 23, tzinfo=UTC)

        windows = [(key.not_before, key.not_after) for key in key_set(post).keys.values()]

        weeks = [monday, monday + WEEK, monday + 2 * WEEK]
        assert windows == [(int(weeks[n].timestamp()), int(weeks[n + 1].timestamp())) for n in (0, 1)]

    def test_a_week_later_the_next_signs_and_one_more_is_ahead(self, post: Api, clock: FakeClock) -> None:
        before = ring()
        clock.at = MONDAY_MORNING + WEEK
        publish()

        after = ring()

        assert [key.kid for key in after.keys[:2]] == [key.kid for key in before.keys]
        assert after.sequence == before.sequence + 1
        assert after.key_for(clock.at).kid == before.keys[1].kid

    def test_a_key_stays_as_long_as_its_last_pass(self, post: Api, clock: FakeClock) -> None:
        first = ring().keys[0]
        clock.at = first.not_after + timedelta(hours=12)
        publish()
        assert ring().has(first.kid)

        clock.advance(minutes=3)
        publish()

        assert not ring().has(first.kid)
        assert first.kid not in {kid.hex() for kid in key_set(post).keys}

    def test_publishing_again_changes_nothing(self, post: Api) -> None:
        before = ring()
        publish()

        assert ring() == before

    def test_two_at_once_make_one_ring(self, api: Api) -> None:
        with overtaken(by=publish):
            publish()

        assert (ring().sequence, len(ring().keys)) == (1, 2)
        assert set(key_set(api).keys) == {bytes.fromhex(key.kid) for key in ring().keys}

    def test_a_private_key_is_nowhere_in_clear(self, post: Api) -> None:
        sealed = [key.sealed for key in ring().keys]

        assert all(len(one) > 32 for one in sealed)
        assert '"d"' not in everything_stored()

    def test_kms_is_asked_for_a_key_once_in_a_process(self, post: Api) -> None:
        first, second = (NewHandset(post).enrolled() for _ in range(2))
        start_cold()
        assert ask(first).status == 200
        with kms_away(cold=False):
            assert ask(second).status == 200

    def test_without_kms_a_cold_process_gives_no_pass_and_nothing_is_written(self, post: Api) -> None:
        handset = NewHandset(post).enrolled()
        start_cold()
        with kms_away():
            assert ask(handset).status == 500
        assert store.load(handset.device).revision == 0
        assert ask(handset).status == 200

    def test_the_jwks_says_the_same(self, post: Api) -> None:
        told = post.as_nobody().get("/v1/pass-keys/jwks").body["keys"]

        assert [key["kid"] for key in told] == [kid.hex() for kid in key_set(post).keys]
        assert {(key["alg"], key["use"], key["crv"]) for key in told} == {("ESP256", "sig", "P-256")}


class TestRotation:
    def test_what_a_dropped_key_signed_is_worthless_once_a_reader_is_brought_the_set(
        self, bearer: HeldHandset, tmp_path: Path, clock: FakeClock
    ) -> None:
        api, stolen = bearer.api, held(bearer).kid
        door = a_reader(api, tmp_path / "door", clock)
        wallet = a_wallet_of(bearer, tmp_path / "handset", clock)
        assert door.answer(wallet.answer(door.challenge())).opened

        keys.rotate([stolen], by="ops/anne")
        publish()
        assert door.take(Kind.KEY_SET, news(api)["key-set"]) == "taken"

        assert door.answer(wallet.answer(door.challenge())).refusal == "unknown-key"

    def test_who_asks_again_gets_a_pass_by_the_new_key(
        self, bearer: HeldHandset, tmp_path: Path, clock: FakeClock
    ) -> None:
        api, stolen = bearer.api, held(bearer).kid
        door = a_reader(api, tmp_path / "door", clock)
        keys.rotate([stolen], by="ops/anne")
        clock.advance(seconds=1)
        publish()

        assert ask(bearer).status == 200
        assert held(bearer).kid != stolen
        wallet = a_wallet_of(bearer, tmp_path / "handset", clock)
        for kind, data in news(api).items():
            door.take(Kind(kind), data)
        assert door.answer(wallet.answer(door.challenge())).opened

    def test_the_list_is_signed_by_a_key_that_is_left(self, bearer: HeldHandset) -> None:
        keys.rotate([ring().keys[0].kid], by="ops/anne")
        publish()

        assert the_list(bearer.api).signed.kid in key_set(bearer.api).keys

    def test_a_key_that_is_not_there_cannot_be_dropped(self, post: Api) -> None:
        before = ring()
        with pytest.raises(NotFound):
            keys.rotate(["ffff"], by="ops/anne")

        assert ring() == before


class TestList:
    def test_it_is_signed_anew_only_if_it_says_something_else(self, post: Api, clock: FakeClock) -> None:
        first = the_list(post).issued
        clock.advance(hours=5)
        publish()
        assert the_list(post).issued == first

        marked({7: Status.SUSPENDED}, clock.at + timedelta(hours=2))
        publish()

        assert the_list(post).issued == int(clock.at.timestamp())
        assert listed(post, 7) is Status.SUSPENDED

    def test_after_six_hours_it_is_signed_anew_all_the_same(self, post: Api, clock: FakeClock) -> None:
        clock.advance(hours=6)
        publish()

        assert the_list(post).issued == int(clock.at.timestamp())

    def test_a_second_one_within_a_second_waits_for_the_next_minute(self, post: Api, clock: FakeClock) -> None:
        """Its date may not run ahead of the clock: readers would follow it."""
        first = the_list(post).issued
        marked({7: Status.SUSPENDED}, clock.at + timedelta(hours=2))
        invoke(publish_passes, SCHEDULED)
        assert the_list(post).issued == first
        clock.advance(minutes=1)
        invoke(publish_passes, SCHEDULED)

        assert the_list(post).issued == int(clock.at.timestamp())
        assert listed(post, 7) is Status.SUSPENDED

    def test_without_a_root_it_is_published_by_the_keys_that_are_there(self, post: Api, clock: FakeClock) -> None:
        """In the next week, too: its key was made a week ahead."""
        clock.advance(days=7)
        marked({7: Status.SUSPENDED}, clock.at + timedelta(hours=2))
        with (
            patch.object(signing, "signature", side_effect=OSError("the root is away")),
            pytest.raises(OSError, match="root"),
        ):
            invoke(publish_passes, SCHEDULED)

        assert listed(post, 7) is Status.SUSPENDED
        assert brought.signed_time(news(post)["time"]).issued == int(clock.at.timestamp())

    def test_a_pass_that_no_reader_takes_any_more_is_not_listed(self, post: Api, clock: FakeClock) -> None:
        ends = clock.at + timedelta(hours=1)
        marked({7: Status.REVOKED}, ends)
        clock.at = ends + timedelta(seconds=119)
        publish()
        assert listed(post, 7) is Status.REVOKED
        clock.at = ends + timedelta(seconds=120)
        publish()

        assert listed(post, 7) is Status.VALID

    def test_with_850_of_which_half_are_suspended_it_has_1800_bytes_at_most(self, post: Api, clock: FakeClock) -> None:
        slots = random.Random(6).sample(range(SLOTS), 850)  # noqa: S311 - the same ones each time
        marked({slot: Status(1 + rank % 2) for rank, slot in enumerate(slots)}, clock.at + timedelta(hours=2))
        publish()

        assert len(news(post)["status-list"]) <= 1800
        told = the_list(post)
        assert sum(told.status(slot) != 0 for slot in range(SLOTS)) == 850

    def test_two_who_publish_at_once_publish_one(self, post: Api, clock: FakeClock) -> None:
        marked({7: Status.SUSPENDED}, clock.at + timedelta(hours=2))
        with overtaken(by=publish):
            publish()

        assert listed(post, 7) is Status.SUSPENDED


class TestTime:
    def test_it_is_that_of_the_last_minute(self, post: Api, clock: FakeClock) -> None:
        clock.advance(minutes=1)
        publish()

        assert brought.signed_time(news(post)["time"]).issued == int(clock.at.timestamp())

    def test_it_never_goes_back(self, post: Api, clock: FakeClock) -> None:
        clock.advance(minutes=2)
        publish()
        latest = int(clock.at.timestamp())
        clock.advance(minutes=-1)
        invoke(publish_passes, SCHEDULED)

        assert brought.signed_time(news(post)["time"]).issued == latest


def y_of(root: Mapping[int, Any]) -> bytes:
    """The second coordinate of a compressed point, which the library wants as well."""
    point = bytes([2 + root[-3]]) + root[-2]
    numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_numbers()
    return numbers.y.to_bytes(32, "big")


class TestAnotherLibrary:
    """`cwt` verifies all that the running back office signs, and nothing else."""

    @pytest.fixture(autouse=True)
    def _now(self, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
        class Standing(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return clock.at.astimezone(tz)

        monkeypatch.setattr("cwt.cwt.datetime", Standing)

    def issuing_keys(self, api: Api) -> list[Any]:
        told = api.as_nobody().get("/v1/pass-keys/jwks").body["keys"]
        return [cwt.COSEKey.from_jwk({**key, "kid": bytes.fromhex(key["kid"])}) for key in told]

    def roots(self, api: Api) -> list[Any]:
        told = [cbor2.loads(base64.b64decode(root)) for root in api.as_nobody().get("/v1/pass-keys").body["roots"]]
        return [cwt.COSEKey.new({**root, 3: -9, -3: y_of(root)}) for root in told]

    def test_a_token(self, bearer: HeldHandset) -> None:
        claims = cwt.decode(held(bearer).token, self.issuing_keys(bearer.api))

        assert claims[2] == "C1"

    @pytest.mark.parametrize("kind", ["status-list", "time"])
    def test_what_an_issuing_key_signs(self, post: Api, kind: str) -> None:
        assert cwt.COSE.new().decode(news(post)[kind], self.issuing_keys(post))

    def test_the_key_set_by_a_root(self, post: Api) -> None:
        signed = news(post)["key-set"]
        protected, _, _ = cwt.COSE.new().decode_with_headers(signed, self.roots(post))

        assert protected[COSEHeaders.KID] == self.roots(post)[0].kid
        with pytest.raises(cwt.VerifyError):
            cwt.COSE.new().decode(signed[:-1] + bytes([signed[-1] ^ 1]), self.roots(post))


class TestAtTheDoor:
    def test_a_suspended_handset_is_refused_by_a_reader_without_a_network_once_another_one_came_by(
        self, bearer: HeldHandset, tmp_path: Path, clock: FakeClock
    ) -> None:
        api = bearer.api
        door = a_reader(api, tmp_path / "door", clock)
        stolen = a_wallet_of(bearer, tmp_path / "stolen", clock)
        other = a_wallet_of(a_bearer(api), tmp_path / "other", clock)
        suspend(api, bearer)
        clock.advance(seconds=1)
        follow()
        assert status(api, bearer) is Status.SUSPENDED
        assert door.answer(stolen.answer(door.challenge())).opened, "the reader knows nothing yet"

        decision, _ = apdu.visit(door, updated(other, api))
        assert decision.opened

        assert door.answer(stolen.answer(door.challenge())).refusal == "suspended"
