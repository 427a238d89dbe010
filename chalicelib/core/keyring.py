"""Personal data can die: each subject's data is sealed under a key of its own, and erasing is destroying the key.

KMS wraps one key of each month; that key wraps the subjects' data keys, so that 100,000 announcements do not cost
100,000 calls of KMS. The wrapped keys live in one table without backup. After `keep_until` a key opens nothing,
whether it was destroyed already or not. Sealing is AES-256-GCM with the subject as associated data.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any, TypeVar
from zlib import crc32

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.core import aws, clock
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.core.settings import physical_name
from chalicelib.core.table import Place, Rows, Table, code_of
from chalicelib.core.transaction import UnitOfWork, transaction

SchemaT = TypeVar("SchemaT", bound=Schema)

DESTRUCTION_SHARDS = 16

_shared_keys: dict[str, DataKey] = {}

_KEY_BYTES = 32
_NONCE_BYTES = 12


class _ByDestruction(GlobalSecondaryIndex["KeyRow"]):
    class Meta:
        index_name = "by-destruction"
        projection = KeysOnlyProjection()

    destroy_bucket = UnicodeAttribute(hash_key=True)
    subject = UnicodeAttribute(range_key=True)


class KeyRow(Table):
    """A subject's wrapped data key, the key that wraps it, and the last day on which it opens anything.

    `destroy_bucket` is that day with a shard: the announcements of a morning all end on the same day.
    """

    table = "keyring"

    class Meta:
        pass

    subject = UnicodeAttribute(hash_key=True)
    wrapped = BinaryAttribute(legacy_encoding=False)
    wrapped_by = UnicodeAttribute()
    destroy_on = UnicodeAttribute(null=True)
    destroy_bucket = UnicodeAttribute(null=True)
    by_destruction = _ByDestruction()


class KeyGone(Exception):  # noqa: N818
    """The subject has no data key, or its date has passed: its personal data cannot be read by anybody."""


class DataKey:
    """The opened key of one subject. Kept for one request, or, if many share it, as long as the process lives."""

    def __init__(self, subject: str, secret: bytes, last_day: date) -> None:
        self.subject = subject
        self.last_day = last_day
        self._secret = secret
        self._cipher = AESGCM(secret)

    def seal(self, plain: Schema) -> Sealed:
        """Ciphertext of personal data, as text."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.json.encode(plain), self.subject.encode())
        return Sealed(base64.b64encode(sealed).decode())

    def fingerprint(self, content: Any) -> str:
        """HMAC-SHA-256 (hex) of a content: equal contents are told, and once the key is gone nobody tries guesses."""
        return hmac.new(self._secret, msgspec.json.encode(content, order="sorted"), hashlib.sha256).hexdigest()

    def open(self, sealed: Sealed, kind: type[SchemaT]) -> SchemaT:
        """The personal data again. Raises KeyGone if it was sealed under another key."""
        raw = base64.b64decode(sealed)
        try:
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self.subject.encode())
        except InvalidTag as error:
            raise KeyGone(self.subject) from error
        return msgspec.json.decode(plain, type=kind)


def create(work: UnitOfWork, subject: str, *, keep_until: date, instead_of: DataKey | None = None) -> DataKey:
    """A new data key for a subject, written with the unit of work. The data can be read through `keep_until`.

    It takes no place of a key that still opens something, except of `instead_of`, whose data nobody reads any more.
    """
    secret = AESGCM.generate_key(_KEY_BYTES * 8)
    month = f"{clock.today():%Y-%m}"
    row = KeyRow(
        subject=subject,
        wrapped=_wrap(_month_key(month), secret, subject),
        wrapped_by=month,
        destroy_on=keep_until.isoformat(),
        destroy_bucket=_bucket(keep_until, crc32(subject.encode()) % DESTRUCTION_SHARDS),
    )
    free = KeyRow.subject.does_not_exist() | (KeyRow.destroy_on < clock.today().isoformat())
    if instead_of is not None:
        free |= KeyRow.destroy_on == instead_of.last_day.isoformat()
    work.put(row, when=free, otherwise=ChangedMeanwhile("The subject has a key already."))
    return DataKey(subject, secret, keep_until)


def shared_key(subject: str, *, keep_until: date) -> DataKey:
    """The data key of a subject that many use cases share: made at its first use, read once in a process."""
    try:
        return shared_key_of(subject)
    except KeyGone:
        held = _shared_keys[subject] = _made_or_found(subject, keep_until)
        return held


def shared_key_of(subject: str) -> DataKey:
    """Such a key, for whoever only opens what others sealed: read once in a process. Raises KeyGone."""
    held = _shared_keys.get(subject)
    if held is None or held.last_day < clock.today():
        held = _shared_keys[subject] = key_of(subject)
    return held


def _made_or_found(subject: str, keep_until: date) -> DataKey:
    with suppress(ChangedMeanwhile), transaction() as work:
        return create(work, subject, keep_until=keep_until)
    return key_of(subject)


def key_of(subject: str) -> DataKey:
    """The data key of a subject: one read. Raises KeyGone."""
    try:
        return keys_of([subject])[subject]
    except KeyError:
        raise KeyGone(subject) from None


def place_of(subject: str) -> Place:
    """Where the data key of a subject stands, to be read together with other rows."""
    return KeyRow, subject


def key_among(rows: Rows, subject: str) -> DataKey:
    """The data key of a subject, of rows that were read together. Raises KeyGone."""
    row = KeyRow.among(rows, subject)
    if row is None or not _opens(row):
        raise KeyGone(subject)
    return _opened(row)


def keys_of(subjects: Iterable[str]) -> dict[str, DataKey]:
    """The data keys of those subjects that still have one: one call for each 100."""
    return {row.subject: _opened(row) for row in KeyRow.find_many(subjects) if _opens(row)}


def ending_on(day: date) -> Iterator[str]:
    """The subjects whose data keys have that last day and are still there: 16 queries or more."""
    for shard in range(DESTRUCTION_SHARDS):
        yield from (row.subject for row in KeyRow.by_destruction.query(_bucket(day, shard)))


def destroy(work: UnitOfWork, subject: str) -> None:
    """Destroy a subject's data key, whose last day is over. Raises ChangedMeanwhile if it is another one, or gone."""
    over = KeyRow.destroy_on < clock.today().isoformat()
    work.delete(KeyRow(subject), when=over, otherwise=ChangedMeanwhile("The subject's key is another one, or gone."))


def revoke(work: UnitOfWork, subject: str) -> None:
    """Destroy a subject's data key before its last day. There is no way back. Done again, it changes nothing."""
    work.delete(KeyRow(subject))


def forget() -> None:
    """Drop the opened keys that this process holds."""
    _month_key.cache_clear()
    _shared_keys.clear()


def _bucket(day: date, shard: int) -> str:
    return f"{day.isoformat()}#{shard:x}"


def _opens(row: KeyRow) -> bool:
    return bool(row.destroy_on) and row.destroy_on >= clock.today().isoformat()


def _opened(row: KeyRow) -> DataKey:
    nonce, wrapped = row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:]
    secret = AESGCM(_month_key(row.wrapped_by)).decrypt(nonce, wrapped, row.subject.encode())
    return DataKey(row.subject, secret, date.fromisoformat(row.destroy_on))


def _wrap(month_key: bytes, secret: bytes, subject: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(month_key).encrypt(nonce, secret, subject.encode())


@functools.cache
def _month_key(month: str) -> bytes:
    """The key that wraps the data keys made in a month, made at its first use and wrapped by KMS."""
    row = KeyRow.find(f"month/{month}") or _new_month_key(month)
    plain: bytes = aws.client("kms").decrypt(
        CiphertextBlob=row.wrapped, KeyId=_kms_key(), EncryptionContext={"month": month}
    )["Plaintext"]
    return plain


def _new_month_key(month: str) -> KeyRow:
    wrapped = aws.client("kms").encrypt(
        KeyId=_kms_key(), Plaintext=os.urandom(_KEY_BYTES), EncryptionContext={"month": month}
    )["CiphertextBlob"]
    row = KeyRow(subject=f"month/{month}", wrapped=wrapped, wrapped_by="kms")
    try:
        row.save(condition=KeyRow.subject.does_not_exist())
    except PutError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise
        return KeyRow.get(row.subject, consistent_read=True)
    return row


def _kms_key() -> str:
    return f"alias/{physical_name('personal-data')}"
