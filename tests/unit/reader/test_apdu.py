"""The exchange byte by byte, as a card reader sees it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from chalicelib.passes import tokens
from chalicelib.passes.schemas import Status
from handset.passes import STATUS_LIST, Wallet
from reader import apdu
from tests.support.doors import BUILDING, NOW, PASS_ID, READER, a_door, a_list, a_token, a_wallet, signs

SELECT = bytes.fromhex("00a4040008f046414354454f0100")
ANSWER = bytes.fromhex("8050000018") + bytes(16) + READER + b"\x00"


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    return a_wallet(tmp_path / "handset")


def a_relief(folder: Path) -> Wallet:
    """The pass of a relief round: 20 buildings."""
    buildings = [BUILDING, *(bytes([n]) * 16 for n in range(19))]
    return a_wallet(folder, a_token(perimeter=tokens.marks(PASS_ID, buildings)))


class Tapped:
    """Between reader and handset, to see what goes by."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet = wallet
        self.seen: list[tuple[bytes, bytes]] = []

    def transmit(self, command: bytes) -> bytes:
        answer = self.wallet.transmit(command)
        self.seen.append((command, answer))
        return answer


def test_a_sector_pass_is_answered_at_once(wallet: Wallet) -> None:
    assert wallet.transmit(SELECT) == b"\x90\x00"
    answer = wallet.transmit(ANSWER)
    assert answer[-2:] == b"\x90\x00"
    assert answer[:-66] == wallet.token
    assert len(answer) <= 258


def test_a_pass_for_buildings_is_answered_in_two_parts(tmp_path: Path) -> None:
    wallet = a_relief(tmp_path / "relief")
    wallet.transmit(SELECT)
    first = wallet.transmit(ANSWER)
    rest = len(wallet.token) + 64 - 256
    assert (len(first), first[-2:]) == (258, bytes([0x61, rest]))
    second = wallet.transmit(bytes([0, 0xC0, 0, 0, rest]))
    assert (len(second), second[-2:]) == (rest + 2, b"\x90\x00")


def test_a_visit_with_it_opens(tmp_path: Path) -> None:
    tapped = Tapped(a_relief(tmp_path / "relief"))
    decision, _ = apdu.visit(a_door(tmp_path / "door"), tapped, lambda: 0.0)
    assert decision.opened
    assert [command[:2].hex() for command, _ in tapped.seen][:4] == ["00a4", "8050", "00c0", "8052"]
    assert all(len(command) <= 261 and len(answer) <= 258 for command, answer in tapped.seen)


def test_a_list_goes_over_in_pieces_of_256_bytes(tmp_path: Path, wallet: Wallet) -> None:
    busy = a_list({index * 199: Status(1 + index % 2) for index in range(850)}, at=NOW)
    wallet.carry(STATUS_LIST, busy)
    door = a_door(tmp_path / "door")
    tapped = Tapped(wallet)
    assert apdu.visit(door, tapped, lambda: 0.0)[1] == ["taken"]
    pieces = [answer for command, answer in tapped.seen if command[:2] in (b"\x80\x54", b"\x00\xc0") and answer[:-2]]
    assert b"".join(piece[:-2] for piece in pieces) == busy
    assert {piece[-2:] for piece in pieces[:-2]} <= {b"\x61\x00"}


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("", "6700"),
        ("00a4", "6700"),
        ("00a4040007a000000000000100", "6a82"),
        ("80500000100000000000000000000000000000000000", "6700"),
        ("8099000000", "6d00"),
        ("80520000020102", "6985"),
        ("805401000800000000000000000000", "6a88"),
        ("805409000800000000000000000000", "6a88"),
    ],
)
def test_what_the_handset_cannot_do(wallet: Wallet, command: str, status: str) -> None:
    wallet.transmit(SELECT)
    assert wallet.transmit(bytes.fromhex(command)).hex() == status


def test_it_answers_nothing_before_it_is_selected_nor_without_a_pass(wallet: Wallet) -> None:
    assert wallet.transmit(ANSWER) == b"\x69\x85"
    wallet.transmit(SELECT)
    wallet.keep(b"")
    assert wallet.transmit(ANSWER) == b"\x69\x85"


class Other:
    """A bank card."""

    def transmit(self, _: bytes) -> bytes:
        return b"\x6a\x82"


class Endless:
    """A card that always has more."""

    def __init__(self) -> None:
        self.asked = 0

    def transmit(self, command: bytes) -> bytes:
        self.asked += 1
        return b"\x90\x00" if command[1] == 0xA4 else bytes(256) + b"\x61\x00"


def test_what_is_no_handset_is_no_visitor(tmp_path: Path) -> None:
    with pytest.raises(apdu.NoPass):
        apdu.visit(a_door(tmp_path / "door"), Other())


def test_a_card_without_end_is_left(tmp_path: Path) -> None:
    card = Endless()
    decision, outcomes = apdu.visit(a_door(tmp_path / "door"), card, lambda: 0.0)
    assert decision.refusal == "malformed"
    assert outcomes == []
    assert card.asked < 400


def test_the_proof_is_over_nonce_reader_and_token(wallet: Wallet) -> None:
    signed: list[bytes] = []

    def sign(message: bytes) -> bytes:
        signed.append(message)
        return signs("holder")(message)

    watched = Wallet(wallet._file.parent, sign)
    watched.answer(bytes(16) + READER)
    assert signed == [b"FPASS1" + bytes(16) + READER + hashlib.sha256(wallet.token).digest()]
