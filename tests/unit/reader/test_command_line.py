"""`python -m reader`: a door for those who have none."""

from __future__ import annotations

import json
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

from reader import __main__ as command_line
from reader import receipts
from reader.cose import PublicKey
from tests.support.doors import NOW, PLACE, ROOTS, a_key_set, a_list, a_root, a_token, a_wallet

AT = NOW.isoformat()


class Line:
    """The command line at one door."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def run(self, *arguments: str) -> tuple[int, str]:
        status = command_line.main(["--folder", str(self._folder / "door"), "--at", AT, *arguments])
        return status, "".join(self._capsys.readouterr()).strip()

    def install(self) -> str:
        (self._folder / "place.json").write_text(json.dumps(PLACE))
        roots = [cbor2.dumps(a_root(name)).hex() for name in ROOTS]
        status, told = self.run("install", *roots, "--place", str(self._folder / "place.json"))
        assert status == 0, told
        return told

    def take(self, kind: str, data: bytes) -> tuple[int, str]:
        (self._folder / kind).write_bytes(data)
        return self.run("take", kind, str(self._folder / kind))


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path, capsys)


def test_a_door_is_installed_taught_opened_and_asked_for_its_log(line: Line, tmp_path: Path) -> None:
    point = line.install()
    assert line.take("key-set", a_key_set()) == (0, "taken")
    assert line.take("status-list", a_list()) == (0, "taken")
    assert line.take("status-list", a_list()) == (1, "not-newer")
    wallet = a_wallet(tmp_path / "handset")

    status, told = line.run("answer", wallet.answer(bytes.fromhex(line.run("challenge")[1])).hex())
    assert (status, told.splitlines()[0]) == (0, "The door opens.")
    receipt = bytes.fromhex(told.splitlines()[1])
    assert receipts.read(receipt, key_of(point)).result == "opened"

    assert line.run("show", wallet.code())[1].startswith("The door opens.")
    line.run("challenge")
    assert line.run("answer", "no hex")[1].startswith("The door stays shut: malformed.")
    thief = a_wallet(tmp_path / "thief", a_token(), holder="thief")
    response = thief.answer(bytes.fromhex(line.run("challenge")[1])).hex()
    status, told = line.run("answer", response)
    assert (status, told.splitlines()[0]) == (1, "The door stays shut: copied.")

    status, told = line.run("log")
    assert [entry.split()[-1] for entry in told.splitlines()] == ["opened", "opened", "malformed", "copied"]


def test_a_log_that_was_changed_is_not_shown_as_if_it_were_true(line: Line, tmp_path: Path) -> None:
    line.install()
    line.run("show", "x")
    line.run("show", "y")
    path = tmp_path / "door" / "log"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    assert line.run("log") == (2, "BrokenLog: entry 1: it does not follow the one before it")


def test_a_folder_without_a_door_is_told(line: Line) -> None:
    status, told = line.run("challenge")
    assert status == 2
    assert "FileNotFoundError" in told


def key_of(point: str) -> PublicKey:
    """From what `install` prints."""
    return PublicKey.from_encoded_point(SECP256R1(), bytes.fromhex(point))
