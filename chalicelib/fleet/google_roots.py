"""The roots of Android hardware attestation, by the SHA-256 of their public keys (SubjectPublicKeyInfo, DER).

Google has issued several certificates for the RSA key, the last one valid to 2042; the key is what counts.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Root(NamedTuple):
    """One root key: what its certificate says, and the hash of the key."""

    subject: str
    key: str
    valid: str
    spki_sha256: str


ROOTS: Final = (
    Root(
        "serialNumber=f92009e853b6b045",
        "RSA 4096",
        "to 2042-03-15",
        "feb2ea7551ee316ed4bb443c8293b884dbfdea40b603ee3e4f4a897e4580fbae",
    ),
    Root(
        "CN=Key Attestation CA1, OU=Android, O=Google LLC, C=US",
        "ECDSA P-384",
        "2025-07-17 to 2035-07-15",
        "3ee44512a1af2beb39c889490c60ea3f82e43f5d5a5532f5ab9419f676cd07ec",
    ),
)

TRUSTED_ROOTS: Final = frozenset(root.spki_sha256 for root in ROOTS)
