"""What a reader keeps in its folder, whole or not at all, whenever the current fails.

`place.json` is its line of the registry, `key.pem` the key that signs receipts, `memory.json` what it has learnt and
what it has not finished, `log` its receipts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reader import receipts

KEEP_SECONDS: Final = 92 * 86_400
"""How long the log remembers: three months."""


@dataclass
class Memory:
    """Bytes in hex, times in seconds since 1970.

    `floor` is the latest signed time; `nonce` waits for its answer, `answered` are the last ones that had one; `used`
    and `codes` are what must not open the door again, until when.
    """

    roots: list[str] = field(default_factory=list)
    key_set: str = ""
    lists: dict[str, str] = field(default_factory=dict)
    floor: int = 0
    nonce: str = ""
    answered: list[str] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Memory:
        """What `save` wrote."""
        return cls(**json.loads((folder / "memory.json").read_text()))

    def save(self, folder: Path) -> None:
        """Write it. When this returns, it is on the disk."""
        write_whole(folder / "memory.json", json.dumps(asdict(self), indent=1).encode())


class Log:
    """The receipts, oldest first. The file's first line says what the oldest follows."""

    def __init__(self, path: Path, key: ec.EllipticCurvePrivateKey) -> None:
        self._path, self._key = path, key
        if not path.exists():
            write_whole(path, _lines([receipts.BEFORE_THE_FIRST]))
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            write_whole(path, whole + b"\n")
        self._begins, *self._receipts = map(bytes.fromhex, whole.decode().split("\n"))

    @property
    def last(self) -> bytes:
        """What the next entry follows."""
        return receipts.name(self._receipts[-1]) if self._receipts else self._begins

    def add(self, receipt: bytes, now: int) -> None:
        """Append a receipt, and forget those that are older than KEEP_SECONDS."""
        self._receipts.append(receipt)
        with self._path.open("ab") as file:
            file.write(_lines([receipt]))
            file.flush()
            os.fsync(file.fileno())
        while self._at(self._receipts[0]) < now - KEEP_SECONDS:
            self._begins = receipts.name(self._receipts.pop(0))
            write_whole(self._path, _lines([self._begins, *self._receipts]))

    def entries(self) -> Iterator[receipts.Entry]:
        """All entries, each proven. Raises BrokenLog."""
        return receipts.chained(self._receipts, self._key.public_key(), self._begins)

    def _at(self, receipt: bytes) -> int:
        return receipts.read(receipt, self._key.public_key()).at


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads. When this returns, it is on the disk."""
    draft = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def make_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """A new key in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_whole(folder / "key.pem", key.private_bytes(*form))
    return key


def load_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """The key that `make_key` wrote."""
    key: Any = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / 'key.pem'} does not hold an elliptic-curve key")
    return key


def _lines(values: list[bytes]) -> bytes:
    return b"".join(value.hex().encode() + b"\n" for value in values)
