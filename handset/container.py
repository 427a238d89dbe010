"""The container: what names a customer is sealed, and readable only as long as the back office's lease lasts.

docs/protocol/commands.md, section 1. The container's key is made here and kept only wrapped twice: by the *lease key*,
then by a key of the hardware keystore. A handset that does not come back loses the lease key when its time is over, and
with it what it can read; the same lease key, given again, opens the container as it was. All seals are AES-256-GCM.

In the folder of a handset `vault/` holds what is sealed. `keystore-container.key` and `keystore-lease.json` stand for
what the keystore of a real handset keeps. The round is sealed. Outbox and passes are not, in this simulation: a real
handset keeps them in the container too.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handset.files import read_json, remove, write_json, write_whole

KEY_BYTES: Final = 32

_NONCE_BYTES: Final = 12
_SUFFIX: Final = ".sealed"


class ContainerClosed(Exception):  # noqa: N818
    """The container cannot be read: there is no lease, or it is over, or the container was locked by order."""


class Container:
    """The container in a handset's folder. `now` is the handset's clock."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._vault, self._wrapped, self._lock = folder / "vault", folder / "vault" / "key", folder / "vault" / "locked"
        self._hardware, self._lease = folder / "keystore-container.key", folder / "keystore-lease.json"

    @property
    def made(self) -> bool:
        """Whether there is one: it is made when the first lease is taken."""
        return self._wrapped.exists()

    @property
    def until(self) -> datetime | None:
        """Until when it can be read; None if it cannot be. A lease that is over is destroyed when this is asked."""
        kept = read_json(self._lease)
        if kept is None:
            return None
        until = datetime.fromisoformat(kept["until"])
        if until <= self._now():
            remove([self._lease])
            return None
        return until

    @property
    def locked(self) -> bool:
        """Whether it was locked by order."""
        return self._lock.exists()

    def take_lease(self, key: bytes, until: datetime) -> None:
        """Keep the lease key (32 bytes) until that moment; the first one makes the container.

        Raises ContainerClosed if it is locked, or was made with another lease key.
        """
        if self.locked:
            raise ContainerClosed("locked by order")
        self._vault.mkdir(mode=0o700, exist_ok=True)
        if not self.made:
            self._make(key)
        self._unwrapped(key)
        write_json(self._lease, {"key": base64.b64encode(key).decode(), "until": until.isoformat()})

    def put_off(self, until: datetime) -> None:
        """The lease is good until another moment, if there is one still."""
        if self.until is not None:
            write_json(self._lease, {**read_json(self._lease), "until": until.isoformat()})

    def close(self) -> None:
        """Destroy the lease key: it cannot be read until a lease is taken again."""
        remove([self._lease])

    def lock(self) -> None:
        """Close it until `unlock`: no lease is kept meanwhile."""
        self._vault.mkdir(mode=0o700, exist_ok=True)
        write_whole(self._lock, b"")
        self.close()

    def unlock(self) -> None:
        """It may have a lease again."""
        if self.locked:
            remove([self._lock])

    def write(self, name: str, content: bytes) -> None:
        """Seal a content under a name. When this returns, it is on the disk. Raises ContainerClosed."""
        write_whole(self._file(name), _sealed(self._key(), content, name))

    def read(self, name: str) -> bytes | None:
        """What is sealed under that name; None if there is nothing. Raises ContainerClosed."""
        key = self._key()
        return _unsealed(key, self._file(name).read_bytes(), name) if self._file(name).exists() else None

    def names(self) -> list[str]:
        """Of what is sealed: they can be seen without a key."""
        return sorted(path.stem for path in self._vault.glob(f"*{_SUFFIX}"))

    def destroy(self) -> None:
        """Destroy the keys, then what they sealed."""
        remove([self._lease, self._hardware, self._vault])

    def _make(self, lease_key: bytes) -> None:
        write_whole(self._hardware, secrets.token_bytes(KEY_BYTES))
        inner = _sealed(lease_key, secrets.token_bytes(KEY_BYTES), "lease")
        write_whole(self._wrapped, _sealed(self._hardware.read_bytes(), inner, "hardware"))

    def _key(self) -> bytes:
        if self.until is None:
            raise ContainerClosed("there is no lease")
        return self._unwrapped(base64.b64decode(read_json(self._lease)["key"]))

    def _unwrapped(self, lease_key: bytes) -> bytes:
        inner = _unsealed(self._hardware.read_bytes(), self._wrapped.read_bytes(), "hardware")
        return _unsealed(lease_key, inner, "lease")

    def _file(self, name: str) -> Path:
        return self._vault / f"{name}{_SUFFIX}"


def _sealed(key: bytes, content: bytes, name: str) -> bytes:
    """A content bound to its name: the nonce, then what AES-256-GCM gives."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, name.encode())


def _unsealed(key: bytes, sealed: bytes, name: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
    except InvalidTag as error:
        raise ContainerClosed(f"{name} is sealed with another key") from error
