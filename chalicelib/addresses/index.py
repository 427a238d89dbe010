"""Addresses as keys of tables: under a fingerprint, so that no key and no index says where somebody lives."""

from __future__ import annotations

from datetime import date

from chalicelib.addresses.rules import Lines, normal_form
from chalicelib.core import keyring

_FOR_EVER = date(9999, 12, 31)


def key_of(address: Lines) -> str:
    """The name under which tables keep what is known of an address: HMAC-SHA-256 (hex) of its normal form.

    Its key is one for all addresses and has no end: what must die is what is kept under the name, and that is sealed.
    """
    return keyring.shared_key("addresses", keep_until=_FOR_EVER).fingerprint(normal_form(address))
