"""A door on the command line: `python -m reader --folder FOLDER install|challenge|answer|show|take|log`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reader.cbor import Malformed
from reader.cose import PublicKey
from reader.door import Decision, Door, Kind, Outcome
from reader.receipts import BrokenLog


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 1 if the door stays shut or nothing is taken, or 2 if the folder holds no door."""
    given = _parser().parse_args(arguments)
    try:
        return _ACTIONS[given.action](given)
    except (OSError, ValueError, KeyError, Malformed, BrokenLog) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _install(given: argparse.Namespace) -> int:
    roots = [bytes.fromhex(root) for root in given.roots]
    door = Door.install(given.folder, json.loads(given.place.read()), roots, _clock(given))
    print(_point(door.public_key).hex())
    return 0


def _challenge(given: argparse.Namespace) -> int:
    print(_door(given).challenge().hex())
    return 0


def _answer(given: argparse.Namespace) -> int:
    return _told(_door(given).answer(_bytes(given.response), given.seconds))


def _show(given: argparse.Namespace) -> int:
    return _told(_door(given).show(given.code))


def _take(given: argparse.Namespace) -> int:
    outcome = _door(given).take(Kind(given.kind), given.file.read_bytes())
    print(outcome)
    return 0 if outcome is Outcome.TAKEN else 1


def _log(given: argparse.Namespace) -> int:
    for entry in _door(given).log():
        at = datetime.fromtimestamp(entry.at, UTC).isoformat()
        print(f"{at}  {entry.pass_id.hex() or '-':16}  {entry.result}")
    return 0


def _told(decision: Decision) -> int:
    print("The door opens." if decision.opened else f"The door stays shut: {decision.refusal}.")
    print(decision.receipt.hex())
    return 0 if decision.opened else 1


def _door(given: argparse.Namespace) -> Door:
    return Door(given.folder, _clock(given))


def _clock(given: argparse.Namespace) -> Callable[[], float]:
    return time.time if given.at is None else datetime.fromisoformat(given.at).timestamp


def _bytes(told: str) -> bytes:
    """Bytes from hex; what is none is an answer too, and a bad one."""
    try:
        return bytes.fromhex(told)
    except ValueError:
        return b""


def _point(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reader", description="The reference door verifier.")
    parser.add_argument("--folder", type=Path, required=True, help="the reader's memory")
    parser.add_argument("--at", help="what the reader's own clock says (RFC 3339), if not the time")
    commands = parser.add_subparsers(dest="action", required=True)
    install = commands.add_parser("install", help="a new reader; prints the public key of its receipts")
    install.add_argument("roots", nargs=2, help="the two root keys as COSE_Keys in hex")
    install.add_argument("--place", type=argparse.FileType(), default=sys.stdin, help="its line of the registry (JSON)")
    commands.add_parser("challenge", help="print a nonce and the reader's id, in hex")
    answer = commands.add_parser("answer", help="judge the answer to the last challenge, and print the receipt")
    answer.add_argument("response", help="token and proof, in hex")
    answer.add_argument("--seconds", type=float, default=0.0, help="how long the answer took")
    commands.add_parser("show", help="judge a QR code, and print the receipt").add_argument("code")
    take = commands.add_parser("take", help="take what a handset brings")
    take.add_argument("kind", choices=list(map(str, Kind)))
    take.add_argument("file", type=Path)
    commands.add_parser("log", help="print the log, each entry proven")
    return parser


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "install": _install,
    "challenge": _challenge,
    "answer": _answer,
    "show": _show,
    "take": _take,
    "log": _log,
}


if __name__ == "__main__":
    sys.exit(main())
