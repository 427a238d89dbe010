"""Personal data can die: each subject's data is sealed under a key of its own, and erasing is destroying the key.

KMS wraps one key of each month; that key wraps the subjects' data keys, so that 100,000 announcements do not cost
100,000 calls of KMS. The wrapped keys live in one table without backup. After `keep_until` a key opens nothing,
whether it was destroyed already or not. Sealing is AES-256-GCM with the subject as associated data.
"""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Iterable
from datetime import date
from typing import TypeVar

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
from chalicelib.core.table import Table
from chalicelib.core.transaction import UnitOfWork

SchemaT = TypeVar("SchemaT", bound=Schema)

_KEY_BYTES = 32
_NONCE_BYTES = 12


class _ByDestruction(GlobalSecondaryIndex["KeyRow"]):
    class Meta:
        index_name = "by-destruction"
        projection = KeysOnlyProjection()

    destroy_bucket = UnicodeAttribute(hash_key=True)
    subject = UnicodeAttribute(range_key=True)


class KeyRow(Table):
    """A subject's wrapped data key, the key that wraps it, and the first day on which it is gone."""

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
    """The opened key of one subject. Kept for one request only."""

    def __init__(self, subject: str, secret: bytes) -> None:
        self.subject = subject
        self._cipher = AESGCM(secret)

    def seal(self, plain: Schema) -> Sealed:
        """Ciphertext of personal data, as text."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.json.encode(plain), self.subject.encode())
        return Sealed(base64.b64encode(sealed).decode())

    def open(self, sealed: Sealed, kind: type[SchemaT]) -> SchemaT:
        """The personal data again. Raises KeyGone if it was sealed under another key."""
        raw = base64.b64decode(sealed)
        try:
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self.subject.encode())
        except InvalidTag as error:
            raise KeyGone(self.subject) from error
        return msgspec.json.decode(plain, type=kind)


def create(work: UnitOfWork, subject: str, *, keep_until: date) -> DataKey:
    """A new data key for a subject, written with the unit of work. The data can be read through `keep_until`."""
    secret = AESGCM.generate_key(_KEY_BYTES * 8)
    month = f"{clock.today():%Y-%m}"
    row = KeyRow(
        subject=subject,
        wrapped=_wrap(_month_key(month), secret, subject),
        wrapped_by=month,
        destroy_on=keep_until.isoformat(),
        destroy_bucket=keep_until.isoformat(),
    )
    free = KeyRow.subject.does_not_exist() | (KeyRow.destroy_on < clock.today().isoformat())
    work.put(row, when=free, otherwise=ChangedMeanwhile("The subject has a key already."))
    return DataKey(subject, secret)


def key_of(subject: str) -> DataKey:
    """The data key of a subject: one read. Raises KeyGone."""
    try:
        return keys_of([subject])[subject]
    except KeyError:
        raise KeyGone(subject) from None


def keys_of(subjects: Iterable[str]) -> dict[str, DataKey]:
    """The data keys of those subjects that still have one: one call for each 100."""
    today = clock.today().isoformat()
    rows = KeyRow.find_many(subjects)
    return {row.subject: _opened(row) for row in rows if row.destroy_on and row.destroy_on >= today}


def forget() -> None:
    """Drop the opened month keys of this process."""
    _month_key.cache_clear()


def _opened(row: KeyRow) -> DataKey:
    nonce, wrapped = row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:]
    secret = AESGCM(_month_key(row.wrapped_by)).decrypt(nonce, wrapped, row.subject.encode())
    return DataKey(row.subject, secret)


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
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return KeyRow.get(row.subject, consistent_read=True)
    return row


def _kms_key() -> str:
    return f"alias/{physical_name('personal-data')}"
