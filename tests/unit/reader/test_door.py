"""A door without a network: whom it lets in, whom it refuses and why, and what it learns from whoever comes by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest

from chalicelib.passes import cose, key_set, tokens
from chalicelib.passes.schemas import Status
from chalicelib.passes.status_list import SLOTS
from handset.passes import KEY_SET, STATUS_LIST, TIME, Wallet, base45
from reader import apdu, proofs, receipts
from reader.door import Decision, Door, Kind, Outcome
from reader.refusals import Refusal
from tests.support.clock import FakeClock
from tests.support.doors import (
    BUILDING,
    CURRENT,
    HELP,
    NEXT,
    NOW,
    OTHER_BUILDING,
    OTHER_READER,
    OTHER_SECTOR,
    PARCELS,
    PASS_ID,
    PLACE,
    READER,
    ROOTS,
    WEEK,
    a_door,
    a_key_set,
    a_list,
    a_new_door,
    a_root,
    a_time,
    a_token,
    a_wallet,
    an_issuing_key,
    clocks,
    jwk,
    key,
    signs,
    with_news,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def door(tmp_path: Path, clock: FakeClock) -> Door:
    return a_door(tmp_path / "door", clock)


@pytest.fixture
def wallet(tmp_path: Path, clock: FakeClock) -> Wallet:
    return a_wallet(tmp_path / "handset", clock=clock)


@pytest.fixture
def asked(tmp_path: Path, door: Door) -> Callable[..., Refusal | None]:
    """What the door says to the holder of such a pass."""

    def ask(**changes: Any) -> Refusal | None:
        return door.answer(a_wallet(tmp_path / "asking", a_token(**changes)).answer(door.challenge())).refusal

    return ask


def visit(door: Door, wallet: Wallet, answered_in: float = 0.1) -> tuple[Decision, list[Outcome]]:
    """One handset at the door; answering takes so long."""
    moments: Iterator[float] = iter([0.0, answered_in])
    return apdu.visit(door, wallet, lambda: next(moments))


class TestWhoComesIn:
    def test_the_carrier_of_the_round(self, door: Door, wallet: Wallet) -> None:
        decision, _ = visit(door, wallet)
        assert decision.opened

    def test_with_every_pass_of_this_door(self, asked: Callable[..., Refusal | None]) -> None:
        good: list[dict[str, Any]] = [
            {},
            {"by": NEXT},
            {"not_before": NOW + timedelta(seconds=120)},
            {"not_before": NOW - timedelta(hours=10), "expires": NOW - timedelta(seconds=120)},
            {"not_before": NOW, "expires": NOW + timedelta(hours=12)},
            {"perimeter": tokens.marks(PASS_ID, [BUILDING])},
            {"perimeter": tokens.marks(PASS_ID, [BUILDING, *(bytes([n]) * 16 for n in range(19))])},
            {"status": (0, 0)},
            {"status": (0, SLOTS - 1)},
            {"carrier": "7"},
            {"service": HELP},
        ]
        assert [asked(**changes) for changes in good] == [None] * len(good)


REFUSED: list[tuple[Refusal, dict[str, Any]]] = [
    (Refusal.UNKNOWN_KEY, {"by": b"k9"}),
    (Refusal.UNKNOWN_KEY, {"by": ROOTS[0]}),
    (Refusal.UNKNOWN_KEY, {"not_before": NOW - timedelta(days=2), "expires": NOW - timedelta(days=2, hours=-8)}),
    (Refusal.BAD_SIGNATURE, {"signed_by": NEXT}),
    (Refusal.BAD_SIGNATURE, {"signed_by": "holder"}),
    (Refusal.NOT_YET, {"not_before": NOW + timedelta(seconds=121)}),
    (Refusal.EXPIRED, {"not_before": NOW - timedelta(hours=10), "expires": NOW - timedelta(seconds=121)}),
    (Refusal.TOO_LONG, {"not_before": NOW, "expires": NOW + timedelta(hours=12, seconds=1)}),
    (Refusal.OTHER_SERVICE, {"service": PARCELS}),
    (Refusal.OUT_OF_PERIMETER, {"perimeter": OTHER_SECTOR}),
    (Refusal.OUT_OF_PERIMETER, {"perimeter": tokens.marks(PASS_ID, [OTHER_BUILDING])}),
    (Refusal.OUT_OF_PERIMETER, {"perimeter": tokens.marks(b"anotherp", [BUILDING])}),
    (Refusal.NO_LIST, {"status": (1, 7)}),
    (Refusal.INDEX_OUT_OF_RANGE, {"status": (0, SLOTS)}),
    (Refusal.COPIED, {"holder": cose.cose_key(jwk("somebody else"))}),
]


class TestWhoStaysOutside:
    @pytest.mark.parametrize(("refusal", "changes"), REFUSED)
    def test_with_another_pass(
        self, asked: Callable[..., Refusal | None], refusal: Refusal, changes: dict[str, Any]
    ) -> None:
        assert asked(**changes) == refusal

    @pytest.mark.parametrize(
        ("at", "refusal"),
        [
            ("2026-11-23T05:59:59+01:00", Refusal.OUTSIDE_HOURS),
            ("2026-11-23T06:00:00+01:00", None),
            ("2026-11-23T23:59:59+01:00", None),
            ("2026-11-24T00:00:00+01:00", Refusal.OUTSIDE_HOURS),
            ("2026-11-29T07:30:00+01:00", Refusal.OUTSIDE_HOURS),
        ],
    )
    def test_outside_the_hours_of_paris(self, tmp_path: Path, at: str, refusal: Refusal | None) -> None:
        clock = FakeClock(NOW.fromisoformat(at))
        token = a_token(not_before=clock.at, expires=clock.at + timedelta(hours=1))
        door = a_new_door(tmp_path / "door", clock)
        door.take(Kind.KEY_SET, a_key_set(at=NOW - timedelta(days=1)))
        door.take(Kind.STATUS_LIST, a_list(at=NOW - timedelta(hours=20)))
        wallet = a_wallet(tmp_path / "handset", token)
        assert door.answer(wallet.answer(door.challenge())).refusal == refusal

    def test_with_a_copied_token(self, tmp_path: Path, door: Door, wallet: Wallet) -> None:
        thief = a_wallet(tmp_path / "thief", wallet.token, holder="thief")
        assert visit(door, thief)[0].refusal == Refusal.COPIED

    def test_with_the_answer_to_another_reader(self, door: Door, wallet: Wallet) -> None:
        nonce = door.challenge()[:16]
        assert door.answer(wallet.answer(nonce + OTHER_READER)).refusal == Refusal.COPIED

    def test_with_an_answer_recorded_before(self, door: Door, wallet: Wallet) -> None:
        recorded = wallet.answer(door.challenge())
        assert door.answer(recorded).opened
        assert door.answer(recorded).refusal == Refusal.REPLAYED
        door.challenge()
        assert door.answer(recorded).refusal == Refusal.REPLAYED

    def test_with_an_answer_to_no_question(self, door: Door, wallet: Wallet) -> None:
        assert door.answer(wallet.answer(bytes(16) + READER)).refusal == Refusal.REPLAYED

    def test_with_an_answer_that_came_from_afar(self, door: Door, wallet: Wallet) -> None:
        assert visit(door, wallet, answered_in=0.5)[0].opened
        assert visit(door, wallet, answered_in=0.501)[0].refusal == Refusal.TOO_SLOW

    def test_with_one_bit_flipped(self, door: Door, wallet: Wallet) -> None:
        """In the middle of the issuer's signature, and in the holder's."""
        token = wallet.token
        for place, refusal in ((len(token) - 20, Refusal.BAD_SIGNATURE), (len(token) + 20, Refusal.COPIED)):
            response = bytearray(wallet.answer(door.challenge()))
            response[place] ^= 1
            assert door.answer(bytes(response)).refusal == refusal

    @pytest.mark.parametrize(("status", "refusal"), [(Status.REVOKED, "revoked"), (Status.SUSPENDED, "suspended")])
    def test_with_a_pass_on_the_list(self, door: Door, wallet: Wallet, status: Status, refusal: str) -> None:
        assert door.take(Kind.STATUS_LIST, a_list({48_211: status, 48_210: Status.VALID})) == Outcome.TAKEN
        assert visit(door, wallet)[0].refusal == refusal

    def test_with_the_neighbours_of_a_listed_pass_all_is_well(self, tmp_path: Path, door: Door) -> None:
        door.take(Kind.STATUS_LIST, a_list({48_210: Status.REVOKED, 48_212: Status.SUSPENDED}))
        assert visit(door, a_wallet(tmp_path / "handset"))[0].opened

    def test_a_helper_comes_in_once(self, tmp_path: Path, clock: FakeClock) -> None:
        """The mark of the last door, the service of help: once, also after the current failed."""
        door = a_door(tmp_path / "door", clock)
        helper = a_wallet(tmp_path / "helper", a_token(service=HELP, perimeter=tokens.marks(PASS_ID, [BUILDING])))
        assert visit(door, helper)[0].opened
        assert visit(door, helper)[0].refusal == Refusal.ALREADY_USED
        again = Door(tmp_path / "door", *clocks(clock))
        assert visit(again, helper)[0].refusal == Refusal.ALREADY_USED

    @pytest.mark.parametrize("response", [b"", bytes(64), bytes(65), bytes(10**6), b"\xd2" + b"\x81" * 300])
    def test_with_something_else(self, door: Door, response: bytes) -> None:
        door.challenge()
        assert door.answer(response).refusal == Refusal.MALFORMED

    def test_at_a_door_that_knows_no_key(self, tmp_path: Path, wallet: Wallet) -> None:
        assert visit(a_new_door(tmp_path / "new"), wallet)[0].refusal == Refusal.UNKNOWN_KEY


class TestNews:
    def test_a_suspended_handset_is_refused_after_a_visit_by_any_other(self, tmp_path: Path, clock: FakeClock) -> None:
        """The reader has been offline since before; who was suspended brings nothing by which it would learn of it."""
        door = a_door(tmp_path / "door", clock)
        robbed = a_wallet(tmp_path / "robbed", clock=clock)
        other = a_wallet(
            tmp_path / "other",
            a_token(id=b"otherone", status=(0, 99), holder=cose.cose_key(jwk("other"))),
            holder="other",
            clock=clock,
        )
        assert visit(door, robbed)[0].opened
        with_news(other, {48_211: Status.SUSPENDED})
        assert visit(door, robbed)[0].opened

        decision, outcomes = visit(door, other)
        assert decision.opened
        assert outcomes == [Outcome.TAKEN, Outcome.TAKEN, Outcome.TAKEN]

        assert visit(door, robbed)[0].refusal == Refusal.SUSPENDED

    def test_even_by_one_that_does_not_come_in(self, tmp_path: Path, door: Door, wallet: Wallet) -> None:
        stranger = a_wallet(tmp_path / "other", a_token(perimeter=OTHER_SECTOR))
        with_news(stranger, {48_211: Status.SUSPENDED})
        assert visit(door, stranger)[0].refusal == Refusal.OUT_OF_PERIMETER
        assert visit(door, wallet)[0].refusal == Refusal.SUSPENDED

    def test_what_is_known_is_not_asked_for_again(self, door: Door, wallet: Wallet) -> None:
        with_news(wallet)
        assert visit(door, wallet)[1] == [Outcome.TAKEN] * 3
        assert visit(door, wallet)[1] == []

    def test_they_come_after_the_decision(self, door: Door, wallet: Wallet) -> None:
        """A handset whose own news suspends it comes in this once."""
        with_news(wallet, {48_211: Status.SUSPENDED})
        assert visit(door, wallet)[0].opened
        assert visit(door, wallet)[0].refusal == Refusal.SUSPENDED

    def test_an_older_list_changes_nothing(self, door: Door) -> None:
        assert door.take(Kind.STATUS_LIST, a_list({7: Status.REVOKED}, at=NOW)) == Outcome.TAKEN
        assert door.take(Kind.STATUS_LIST, a_list(at=NOW)) == Outcome.NOT_NEWER
        assert door.take(Kind.STATUS_LIST, a_list(at=NOW - timedelta(seconds=1))) == Outcome.NOT_NEWER

    @pytest.mark.parametrize(
        ("news", "outcome"),
        [
            ((Kind.STATUS_LIST, a_list(by=b"k9")), Outcome.UNKNOWN_KEY),
            ((Kind.STATUS_LIST, a_list(at=NOW + WEEK)), Outcome.UNKNOWN_KEY),
            ((Kind.STATUS_LIST, a_list(signed_by="thief")), Outcome.BAD_SIGNATURE),
            ((Kind.STATUS_LIST, a_time(NOW)), Outcome.MALFORMED),
            ((Kind.TIME, a_time(NOW + WEEK)), Outcome.UNKNOWN_KEY),
            ((Kind.TIME, a_time(NOW, signed_by="thief")), Outcome.BAD_SIGNATURE),
            ((Kind.TIME, a_token()), Outcome.MALFORMED),
            ((Kind.TIME, a_list()), Outcome.MALFORMED),
            ((Kind.KEY_SET, a_key_set(2, by=CURRENT)), Outcome.UNKNOWN_KEY),
            ((Kind.KEY_SET, a_key_set(2, signed_by="thief")), Outcome.BAD_SIGNATURE),
            ((Kind.KEY_SET, a_key_set(1, at=NOW + WEEK)), Outcome.NOT_NEWER),
            ((Kind.KEY_SET, a_time(NOW)), Outcome.MALFORMED),
            ((Kind.KEY_SET, bytes(10**6)), Outcome.MALFORMED),
        ],
    )
    def test_what_is_not_believed(self, door: Door, news: tuple[Kind, bytes], outcome: Outcome) -> None:
        before = [door.has(kind) for kind in Kind]
        assert door.take(*news) == outcome
        assert [door.has(kind) for kind in Kind] == before

    def test_keys_are_changed_without_a_visit_to_the_building(
        self, tmp_path: Path, door: Door, clock: FakeClock
    ) -> None:
        """A pass of a key that this reader never heard of is refused; its holder brings the key, and comes in."""
        clock.advance(days=10)
        late = {"not_before": clock.at, "expires": clock.at + timedelta(hours=8)}
        wallet = a_wallet(tmp_path / "handset", a_token(by=b"k3", **late), clock=clock)
        assert visit(door, wallet)[0].refusal == Refusal.UNKNOWN_KEY
        wallet.carry(KEY_SET, the_third_weeks_key_set(clock))
        assert visit(door, wallet)[0].refusal == Refusal.UNKNOWN_KEY
        assert visit(door, wallet)[0].opened
        assert visit(door, a_wallet(tmp_path / "old", a_token(**late)))[0].refusal == Refusal.UNKNOWN_KEY

    def test_a_list_by_a_key_that_was_dropped_holds_until_another_comes(
        self, tmp_path: Path, clock: FakeClock, door: Door, wallet: Wallet
    ) -> None:
        """Whoever stole the key dated a list as late as its window allows: no good one is ever later than that."""
        assert door.take(Kind.STATUS_LIST, a_list({99: Status.REVOKED}, at=NOW + timedelta(hours=1))) == Outcome.TAKEN
        assert door.take(Kind.STATUS_LIST, a_list(at=NOW, by=NEXT)) == Outcome.NOT_NEWER
        assert door.take(Kind.KEY_SET, a_key_set(2, keys=[NEXT])) == Outcome.TAKEN
        door = Door(tmp_path / "door", *clocks(clock))
        assert (door.has(Kind.STATUS_LIST), door.has(Kind.STATUS_LIST, 1)) == (0, 0)
        revoked = a_wallet(tmp_path / "revoked", a_token(by=NEXT, status=(0, 99)))
        assert visit(door, revoked)[0].refusal == Refusal.REVOKED

        assert door.take(Kind.STATUS_LIST, a_list(at=NOW + timedelta(hours=2))) == Outcome.UNKNOWN_KEY
        revoked.carry(STATUS_LIST, a_list({48_211: Status.SUSPENDED}, at=NOW, by=NEXT))
        assert visit(door, revoked)[1] == [Outcome.TAKEN]

        assert door.has(Kind.STATUS_LIST) == int(NOW.timestamp())
        assert visit(door, revoked)[0].opened
        assert visit(door, a_wallet(tmp_path / "other", a_token(by=NEXT)))[0].refusal == Refusal.SUSPENDED
        assert door.take(Kind.STATUS_LIST, a_list(at=NOW - timedelta(hours=1), by=NEXT)) == Outcome.NOT_NEWER

    def test_a_list_that_lies_outside_the_new_window_of_its_key_is_no_more_than_that(self, door: Door) -> None:
        assert door.take(Kind.STATUS_LIST, a_list(at=NOW + timedelta(hours=1))) == Outcome.TAKEN
        earlier = key_set.key_set(
            2,
            [an_issuing_key(CURRENT, NOW - WEEK)],
            issued=NOW,
            expires=NOW + WEEK,
            by=cose.Signer(ROOTS[0], signs(ROOTS[0])),
        )
        assert door.take(Kind.KEY_SET, earlier) == Outcome.TAKEN
        assert door.has(Kind.STATUS_LIST) == 0
        assert door.take(Kind.STATUS_LIST, a_list(at=NOW - timedelta(minutes=1))) == Outcome.TAKEN

    def test_roots_are_changed_by_a_root(self, door: Door) -> None:
        assert door.take(Kind.KEY_SET, a_key_set(2, by=b"rc")) == Outcome.UNKNOWN_KEY
        assert door.take(Kind.KEY_SET, a_key_set(2, by=ROOTS[1], next_roots=[b"rb", b"rc"])) == Outcome.TAKEN
        assert door.take(Kind.KEY_SET, a_key_set(3, by=ROOTS[0])) == Outcome.UNKNOWN_KEY
        assert door.take(Kind.KEY_SET, a_key_set(3, by=b"rc")) == Outcome.TAKEN


def the_third_weeks_key_set(clock: FakeClock) -> bytes:
    """A key set with a key that begins with that moment."""
    begins = clock.at - timedelta(days=1)
    return key_set.key_set(
        2,
        [an_issuing_key(b"k3", begins)],
        issued=clock.at,
        expires=clock.at + WEEK,
        by=cose.Signer(ROOTS[0], signs(ROOTS[0])),
    )


class TestTime:
    """`clock` is what really passes; the reader's own clock may say anything."""

    def test_a_clock_that_stands_still_is_helped_out(self, tmp_path: Path, wallet: Wallet, clock: FakeClock) -> None:
        """The reader thinks that it is 1970. From a signed time on it counts by its uptime."""
        door = a_door(tmp_path / "door", clock)
        still = Door(tmp_path / "door", lambda: 0.0, clocks(clock)[1])
        assert still.take(Kind.TIME, a_time(NOW)) == Outcome.TAKEN
        assert visit(still, wallet)[0].opened
        clock.advance(hours=8)
        assert still.now == door.now
        assert visit(still, wallet)[0].refusal == Refusal.EXPIRED

    def test_it_does_not_go_back_when_the_own_clock_does(self, tmp_path: Path, door: Door) -> None:
        door.take(Kind.TIME, a_time(NOW + timedelta(hours=1)))
        assert Door(tmp_path / "door", lambda: 0.0).now == int(NOW.timestamp()) + 3600

    def test_a_clock_that_is_put_right_is_right_again(self, tmp_path: Path, clock: FakeClock, door: Door) -> None:
        """What it lacked before is not added to it for ever."""
        own = [0.0]
        late = Door(tmp_path / "door", lambda: own[0], clocks(clock)[1])
        late.take(Kind.TIME, a_time(NOW))
        clock.advance(hours=2)
        own[0] = clock().timestamp()
        assert late.now == door.now

    @pytest.mark.parametrize("kind", [Kind.KEY_SET, Kind.STATUS_LIST])
    def test_a_list_or_a_key_set_tells_the_time_too(self, tmp_path: Path, kind: Kind) -> None:
        late = a_new_door(tmp_path / "late", FakeClock(NOW - timedelta(days=400)))
        late.take(Kind.KEY_SET, a_key_set(at=NOW if kind is Kind.KEY_SET else NOW - timedelta(days=2)))
        late.take(Kind.STATUS_LIST, a_list(at=NOW if kind is Kind.STATUS_LIST else NOW - timedelta(hours=3)))
        assert late.now == int(NOW.timestamp())

    def test_it_goes_on_between_two_signed_times(self, tmp_path: Path, clock: FakeClock, door: Door) -> None:
        """The second was signed before the reader came to that moment by itself: it is ahead already, and stays so."""
        still = Door(tmp_path / "door", lambda: 0.0, clocks(clock)[1])
        still.take(Kind.TIME, a_time(NOW))
        clock.advance(hours=2)
        assert still.take(Kind.TIME, a_time(NOW + timedelta(hours=1))) == Outcome.TAKEN
        assert still.now == door.now
        assert still.take(Kind.TIME, a_time(NOW + timedelta(hours=1))) == Outcome.NOT_NEWER
        assert still.take(Kind.TIME, a_time(NOW + timedelta(hours=3))) == Outcome.TAKEN
        clock.advance(hours=2)
        assert still.now == door.now + 3600

    def test_an_earlier_signed_time_changes_nothing(self, door: Door) -> None:
        now = door.now
        assert door.take(Kind.TIME, a_time(NOW - timedelta(hours=3))) == Outcome.NOT_NEWER
        assert door.take(Kind.TIME, a_time(NOW - timedelta(minutes=1))) == Outcome.TAKEN
        assert door.now == now


class TestCodes:
    def test_for_this_door_or_for_any(self, tmp_path: Path, door: Door, wallet: Wallet, clock: FakeClock) -> None:
        assert door.show(wallet.code(READER)).opened
        clock.advance(seconds=30)
        assert door.show(wallet.code()).opened
        assert door.show(wallet.code(OTHER_READER)).refusal == Refusal.COPIED

    def test_once(self, door: Door, wallet: Wallet) -> None:
        assert door.show(wallet.code()).opened
        assert door.show(wallet.code()).refusal == Refusal.REPLAYED
        assert door.show(wallet.code(READER)).refusal == Refusal.REPLAYED

    @pytest.mark.parametrize(("late", "refusal"), [(34, None), (35, "stale-code"), (-5, None), (-6, "stale-code")])
    def test_in_its_half_minute(
        self, door: Door, wallet: Wallet, clock: FakeClock, late: int, refusal: str | None
    ) -> None:
        code = wallet.code()
        clock.advance(seconds=late)
        assert door.show(code).refusal == refusal

    def test_not_by_a_photograph_of_the_token(self, tmp_path: Path, door: Door, wallet: Wallet) -> None:
        thief = a_wallet(tmp_path / "thief", wallet.token, holder="thief")
        assert door.show(thief.code()).refusal == Refusal.COPIED

    def test_an_answer_is_no_code_and_a_code_no_answer(self, door: Door, wallet: Wallet) -> None:
        """What was signed for one says so."""
        code = proofs.read_code(wallet.code(READER))
        door.challenge()
        assert door.answer(code.token + code.signature).refusal == Refusal.COPIED
        signed = signs("holder")(b"FPASS1" + code.challenge + hashlib.sha256(code.token).digest())
        assert door.show("FP1:" + base45(code.token + code.challenge + signed)).refusal == Refusal.COPIED

    @pytest.mark.parametrize("text", ["", "FP1:", "FP1:A", "FP1:::::", "fp1:00", "FP1:" + "0" * 10**6, "FP1:é00"])
    def test_what_is_none(self, door: Door, text: str) -> None:
        assert door.show(text).refusal == Refusal.MALFORMED

    def test_it_fits_a_qr_code_of_version_12(self, wallet: Wallet) -> None:
        """In the alphanumeric mode, level M: 419 letters (ISO/IEC 18004, table 7)."""
        code = wallet.code()
        assert set(code) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
        assert len(code) <= 419


class TestReceipts:
    def test_the_holder_gets_one_that_tells_what_happened(self, door: Door, wallet: Wallet) -> None:
        decision, _ = visit(door, wallet)
        [use] = wallet.uses
        assert use["receipt"] == decision.receipt.hex()
        entry = receipts.read(decision.receipt, door.public_key)
        assert (entry.reader, entry.at, entry.pass_id) == (READER, int(NOW.timestamp()), PASS_ID)
        assert (entry.result, entry.nonce.hex()) == ("opened", use["nonce"])
        assert (use["pass"], use["reader"]) == (PASS_ID.hex(), READER.hex())

    def test_also_when_the_door_stays_shut(self, door: Door, wallet: Wallet) -> None:
        door.take(Kind.STATUS_LIST, a_list({48_211: Status.SUSPENDED}))
        visit(door, wallet)
        assert [entry.result for entry in door.log()] == ["suspended"]
        assert wallet.uses[0]["receipt"]

    def test_they_fit_one_command(self, door: Door) -> None:
        longest = max(Refusal, key=len)
        entry = receipts.Entry(READER, 2**32 - 1, PASS_ID, bytes(32), longest, bytes(32))
        assert len(receipts.make(key("reader"), entry)) <= receipts.MAX_BYTES

    def test_a_use_is_kept_until_the_back_office_knows(self, tmp_path: Path, door: Door, wallet: Wallet) -> None:
        visit(door, wallet)
        visit(door, wallet)
        again = Wallet(tmp_path / "handset", signs("holder"))
        assert len(again.uses) == 2
        again.told(1)
        assert [use["nonce"] for use in again.uses] == [wallet.uses[1]["nonce"]]


def test_it_is_taken_up_again_after_the_current_failed(tmp_path: Path, clock: FakeClock, wallet: Wallet) -> None:
    door = a_door(tmp_path / "door", clock)
    door.take(Kind.STATUS_LIST, a_list({48_211: Status.REVOKED}))
    recorded = wallet.answer(door.challenge())
    again = Door(tmp_path / "door", *clocks(clock))
    assert again.answer(recorded).refusal == Refusal.REVOKED
    assert again.answer(recorded).refusal == Refusal.REVOKED
    assert [again.has(kind) for kind in Kind] == [door.has(kind) for kind in Kind]
    assert [entry.result for entry in again.log()] == ["revoked", "revoked"]


def test_a_door_is_not_installed_twice(tmp_path: Path) -> None:
    a_new_door(tmp_path / "door")
    with pytest.raises(FileExistsError):
        a_new_door(tmp_path / "door")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reader": "00"}, "8 bytes"),
        ({"building": "xx"}, "hexadecimal"),
        ({"services": {"one": []}}, "invalid literal"),
    ],
)
def test_a_place_that_is_none_is_not_installed(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Door.install(tmp_path / "door", {**PLACE, **change}, [cbor2.dumps(a_root(name)) for name in ROOTS])
    assert not (tmp_path / "door").exists()


def test_the_handset_carries_the_newest_only(wallet: Wallet) -> None:
    assert wallet.carry(STATUS_LIST, a_list(at=NOW))
    assert not wallet.carry(STATUS_LIST, a_list(at=NOW - timedelta(minutes=1)))
    assert wallet.carry(TIME, a_time(NOW))
    assert not wallet.carry(TIME, a_time(NOW))
    assert wallet.carry(KEY_SET, a_key_set(5))
    assert not wallet.carry(KEY_SET, a_key_set(4))
