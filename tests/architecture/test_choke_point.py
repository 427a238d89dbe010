"""Nothing that destroys goes around the choke point: `fleet.guards.choke` alone says that something may."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.core.access import AccessRow
from chalicelib.core.errors import Problem
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.commands import requesting
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.requesting import Wanted
from chalicelib.fleet.commands.schemas import Box, Parameters
from chalicelib.fleet.guards.choke import ApprovalsRequired, Authority, Target, require
from chalicelib.fleet.guards.schemas import Approved
from tests.architecture import layers

ROOT = Path(__file__).parents[2]
CHOKE = "fleet.guards.choke"

WORDS = {
    "Authority": {CHOKE},
    "authorize": {"fleet.guards.warrants"},
    "proven": {CHOKE, "fleet.guards.warrants"},
    "Order": {"fleet.commands.requesting"},
    "keyring.revoke": {CHOKE, "fleet.losses.positions"},
}
"""What only these modules call: who makes an authority, asks for one, orders something or destroys a key: that of a
container, or that of a case's positions, which end with it."""
DESTROYING = [kind for kind, traits in KINDS.items() if traits.destroys]
TARGET = Target("019ac9a0-0000-7000-8000-0000000000d1", 1)


def callers(tree: ast.Module, word: str) -> Iterator[ast.Call]:
    """The calls of a word in a module, by itself or of something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and f".{ast.unparse(node.func)}".endswith(f".{word}"):
            yield node


@pytest.mark.parametrize("word", WORDS)
def test_only_these_modules_call_it(word: str) -> None:
    found = {module.name for module in layers.read(ROOT) if any(callers(module.tree, word))}
    assert found == WORDS[word]


def test_an_authority_that_is_made_elsewhere_is_found() -> None:
    assert any(callers(ast.parse("x = choke.Authority('w', kind, approved, targets)"), "Authority"))
    assert any(callers(ast.parse("def f():\n    return Authority(*parts)"), "Authority"))


@pytest.mark.parametrize("kind", DESTROYING)
def test_no_box_takes_what_destroys_without_an_authority_for_just_that(kind: Kind) -> None:
    other = next(one for one in DESTROYING if one is not kind)
    for authority in (
        None,
        _authority(other, TARGET),
        _authority(kind, Target(TARGET.device, 2)),
        _authority(kind, Target("019ac9a0-0000-7000-8000-0000000000d2", 1)),
        _authority(kind),
    ):
        with pytest.raises(ApprovalsRequired):
            require(kind, TARGET, authority)
        with pytest.raises(ApprovalsRequired):
            _add(Wanted(kind, Parameters(), "Because.", "staff/s-1", authority))
    require(kind, TARGET, _authority(kind, TARGET))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in DESTROYING])
def test_what_destroys_nothing_needs_none(kind: Kind) -> None:
    require(kind, TARGET, None)


def test_every_kind_says_whether_it_destroys() -> None:
    """A new kind is looked at here: whoever adds one says by its name that it destroys nothing."""
    harmless = {
        "ring",
        "message",
        "lock",
        "lost-mode",
        "container-lock",
        "stand-down",
        "policy-refresh",
        "diagnostics",
    }
    assert {kind.value for kind in Kind} - harmless == {kind.value for kind in DESTROYING}
    assert {kind.value for kind in DESTROYING} == {"container-wipe", "release", "full-wipe"}


def _authority(kind: Kind, *targets: Target) -> Authority:
    return Authority("019ac9a0-0000-7000-8000-0000000000e1", kind, Approved(text="", approvals=()), frozenset(targets))


def _add(wanted: Wanted) -> None:
    """What any route comes to that orders something of a device."""
    entry = AccessRow(TARGET.device, generation=1, state="enrolled", key="", carrier="C1", depot="75015A")
    box = Box(device=TARGET.device, generation=1, carrier="C1", depot="75015A", loss="a case")
    work = UnitOfWork()
    try:
        requesting.add(work, Held(entry, box, 1), box, wanted, correlation_id="")
    except Problem:
        assert not any(work._items.values()), "what is refused leaves nothing"
        raise
