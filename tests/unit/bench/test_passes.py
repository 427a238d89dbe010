"""What the bench of passes measures is what it says: on a few passes, whatever they cost."""

from __future__ import annotations

import pytest

from bench import passes


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"BATCH": 2 * passes.HANDSETS, "SLICES": 2, "TURNS": 2, "ISSUED": 2}.items():
        monkeypatch.setattr(passes, name, number)


@pytest.mark.usefixtures("few", "aws")
def test_every_pass_of_the_batch_is_another_one_and_kms_is_asked_once() -> None:
    issued, batch, *_ = passes.measure()
    assert (issued.each, issued.turns) == (2, 2)
    assert batch.name == "100 passes in a batch"
    assert batch.note.endswith("KMS was asked 1 x")


@pytest.mark.usefixtures("few", "aws")
def test_what_the_requirement_bounds_is_bounded_and_the_rest_stands_apart() -> None:
    bounds = {one.name.partition(",")[0]: one.bound for one in passes.measure()}
    assert bounds["an exchange verified"] == bounds["a pass issued"] == passes.BOUND
    assert bounds["all that a door does with an answer"] is None
