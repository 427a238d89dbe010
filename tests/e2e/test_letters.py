"""Registered letters against the deployed stack: five doors without a network, and the proofs that come of it."""

from __future__ import annotations

from pathlib import Path

import pypdf

from demo import letters
from infra.running import FOLDER, Run


def test_five_letters_from_the_announcement_to_the_proofs(running: Run) -> None:
    before = set(_documents())

    letters.day(running)

    proof, acknowledgement = (pypdf.PdfReader(path) for path in sorted(set(_documents()) - before, reverse=True))
    assert (len(proof.pages), len(acknowledgement.pages)) == (1, 1)
    text = proof.pages[0].extract_text()
    assert {"Preuve de distribution", "carte nationale d'identité", "Hélène"} <= set(_phrases(text))


def _documents() -> list[Path]:
    return [path for path in FOLDER.glob("*.pdf") if path.name.startswith(("preuve-", "avis-"))]


def _phrases(text: str) -> list[str]:
    return [line.removeprefix("Prénom : ").removeprefix("Pièce présentée : ") for line in text.splitlines()]
