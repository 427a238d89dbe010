"""The small interface by which a feature adds its part to the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chalicelib.core.schemas import Schema
from chalicelib.rounds.carried import BundleItem, Round


class BundlePart(Protocol):
    """One feature's part of every bundle. The bundle's struct has a field of the part's name."""

    name: str

    def collect(self, of: Round, items: Sequence[BundleItem]) -> Sequence[Schema]:
        """What the carrier of this round takes along, in a stable order: equal contents give an equal ETag.

        `items` are those that were collected before it.
        """

    def ids(self, collected: Sequence[Schema]) -> tuple[str, ...]:
        """The ids of what was collected, for the journal: no personal data."""
