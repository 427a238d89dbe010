"""The test vectors of warrants and sets of approvers are what the reference handset believes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from handset.approvals import Untrusted, check_warrant, read_set, successor
from infra import vectors_warrants as vectors

VECTORS: dict[str, Any] = json.loads(vectors.PATH.read_text())
KNOWN = read_set(VECTORS["approvers"]["text"])


def named(part: str) -> Any:
    return pytest.mark.parametrize("vector", [pytest.param(one, id=one["name"]) for one in VECTORS[part]])


def test_the_committed_vectors_are_what_the_script_gives() -> None:
    assert vectors.PATH.read_text() == vectors.text(), "run 'python -m infra.vectors_warrants'"


@named("warrants")
def test_warrants(vector: dict[str, Any]) -> None:
    code = ""
    try:
        now = datetime.fromisoformat(VECTORS["now"])
        check_warrant(vector["warrant"], VECTORS["order"], KNOWN, now, vector["voided"])
    except Untrusted as refusal:
        code = refusal.code
    assert code == vector["code"]


@named("sets")
def test_sets(vector: dict[str, Any]) -> None:
    try:
        taken = successor(vector["set"], KNOWN).version == KNOWN.version + 1
    except Untrusted:
        taken = False
    assert taken == vector["taken"]
