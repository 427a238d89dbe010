"""At the door without a network: what the round says of who may receive an item, and of where it goes instead.

The names are compared word for word. Whatever is not plainly the same is for the carrier to look at, or for the back
office to be asked (`POST /v1/proxy-checks`, `POST /v1/redirection-checks`), whose matcher knows more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Any

Bundle = dict[str, Any]
Contract = dict[str, Any]


def proxy_for(bundle: Bundle, item: str, last_name: str, first_name: str, at: datetime) -> Contract | None:
    """The proxy by which that person may receive the item, as the receiver of an act names it."""
    for proxy in bundle["proxies"]:
        holders = [(holder["last_name"], holder["first_name"]) for holder in proxy["holders"]]
        fits = item in proxy["items"] and at < datetime.fromisoformat(proxy["ends_at"]) and _is_for(proxy, bundle, item)
        if fits and any(_same(holder, (last_name, first_name)) for holder in holders):
            return {"id": proxy["id"], "revision": proxy["revision"]}
    return None


def redirection_for(bundle: Bundle, item: str) -> Contract | None:
    """The contract by which the item is redirected, as an event names it, if the name on it is a beneficiary's."""
    name = _addressee(_item(bundle, item))
    for contract in bundle["redirections"]:
        if item in contract["items"] and contract["new_address"] and name in _names(contract):
            return {"id": contract["id"], "revision": contract["revision"]}
    return None


def _is_for(proxy: Contract, bundle: Bundle, item: str) -> bool:
    """Whether the item is the principal's, and of a kind that the proxy is for."""
    told, whose = _item(bundle, item), proxy["principal"]
    names = {_words(f"{whose[last]} {whose['first_name']} {whose['company']}") for last in ("last_name", "birth_name")}
    signed = "registered" if told["recommendation"] else "parcel-against-signature"
    return _addressee(told) in names and (signed if told["signature_required"] else "plain-mail") in proxy["scopes"]


def _item(bundle: Bundle, item: str) -> dict[str, Any]:
    return next(one for one in bundle["items"] if one["item"] == item)


def _addressee(item: dict[str, Any]) -> frozenset[str]:
    told = item["addressee"] or {}
    return _words(told.get("name") or told.get("company") or "") - _TITLES


def _names(contract: Contract) -> Iterator[frozenset[str]]:
    for one in contract["beneficiaries"]:
        yield _words(f"{one['last_name']} {one['first_name']} {one['company']}")


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return [_words(part) for part in one] == [_words(part) for part in other]


def _words(text: str) -> frozenset[str]:
    letters = unicodedata.normalize("NFKD", text.upper())
    return frozenset(re.findall(r"[A-Z0-9]+", "".join(one for one in letters if not unicodedata.combining(one))))


_TITLES = frozenset({"M", "MR", "MME", "MLLE"})
