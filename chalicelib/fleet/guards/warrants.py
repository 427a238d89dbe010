"""Warrants: what is to be destroyed, in the exact words that two people confirm."""

from __future__ import annotations

from chalicelib.fleet.commands.schemas import Command
from chalicelib.fleet.guards.choke import Authority


def authority_of(command: Command) -> Authority | None:
    """The authority by which a command destroys, proven again from what was approved."""
    raise NotImplementedError
