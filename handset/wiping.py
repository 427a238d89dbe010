"""Wiping, whenever the handset is killed: what is to be destroyed is on the disk first, and keys go before the rest.

docs/protocol/commands.md, section 3. A wipe that the back office has accepted is kept in `wipe.json` until nothing is
left of it. Whoever opens the handset in between carries it out first (see `handset.client.Handset`). Once the handset's
last word (the report `wiping`) is on the disk, its key does not speak any more but for that report: a wipe that goes on
after that speaks to nobody.

Of what lies in a handset's folder, everything is the container's that has no other owner: `personal/` and `external/`
(the SD card) are the carrier's, `esim.json` and `frp.json` (factory-reset protection) are the handset's own.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from handset.files import read_json, remove, write_json
from handset.reports import WIPING, signed_report

if TYPE_CHECKING:
    from handset.client import Handset

INTENT: Final = "wipe.json"
WIPED: Final = "wiped.json"
PERSONAL: Final = "personal"
EXTERNAL: Final = "external"
ESIM: Final = "esim.json"
FRP: Final = "frp.json"
FULL_WIPE: Final = "full-wipe"

OUTBOX_FOR = timedelta(seconds=60)
"""How long the outbox is sent before the wipe, at most."""
LAST_WORD_SECONDS: Final = 5.0
"""How long an answer to the last word is waited for."""

_KEYS: Final = ("key-", "keystore-")


def begin(handset: Handset, order: dict[str, Any], warrant: str) -> dict[str, Any]:
    """An order that destroys is accepted, by the warrant of that id. When this returns, nothing stops the wipe; a disk
    that is full stops none in this run.
    """
    about = {name: order[name] for name in ("id", "number", "kind", "parameters", "reason", "digest")}
    accepted = {"warrant": warrant, "accepted_at": handset.now().isoformat(), "last_word": None}
    intent = {**about, **accepted}
    _keep(handset.folder, intent)
    return intent


def begun(folder: Path) -> bool:
    """Whether a wipe is to be carried out."""
    return (folder / INTENT).exists()


def carry_out(handset: Handset, intent: dict[str, Any]) -> None:
    """Send what waits for a minute at most, say the last word, and destroy. The handset is none afterwards."""
    intent["last_word"] = _last_word(handset, intent, *_sent_and_lost(handset))
    _keep(handset.folder, intent)
    body = {"report": intent["last_word"]["report"]}
    # Whatever it is answered: the wipe goes on.
    with suppress(Exception):
        handset.call("POST", f"/v1/commands/{intent['id']}/reports", body, timeout=LAST_WORD_SECONDS)
    with suppress(sqlite3.Error):
        handset.outbox.close()
    handset.commands_waiting = 0
    _destroy(handset.folder, intent)


def intended(folder: Path) -> dict[str, Any] | None:
    """The wipe that was begun and has not had its last word, if there is one."""
    intent: dict[str, Any] | None = read_json(folder / INTENT)
    return intent


def finish(folder: Path) -> None:
    """Destroy what is left of a wipe after its last word, if there is one."""
    intent = intended(folder)
    if intent and intent["last_word"]:
        _destroy(folder, intent)


def _destroy(folder: Path, intent: dict[str, Any]) -> None:
    if intent["kind"] == FULL_WIPE:
        wipe_everything(folder, **{part: intent["parameters"][part] for part in ("external_storage", "esim")})
    else:
        wipe_container(folder)
        with suppress(OSError):
            write_json(folder / WIPED, _record(intent))
    remove([folder / INTENT])


def _keep(folder: Path, intent: dict[str, Any]) -> None:
    """Have the wipe go on after a restart. If the disk is full it goes on in this run: that stops no wipe."""
    with suppress(OSError):
        write_json(folder / INTENT, intent)


def wipe_container(folder: Path) -> None:
    """Destroy what is the operator's: keys first. What has another owner stays, byte for byte."""
    _remove_all_but(folder, {PERSONAL, EXTERNAL, ESIM, FRP})


def wipe_everything(folder: Path, *, external_storage: bool, esim: bool) -> None:
    """Destroy all but factory-reset protection; the SD card and the eSIM only if that is asked for."""
    _remove_all_but(folder, {FRP, *([] if external_storage else [EXTERNAL]), *([] if esim else [ESIM])})


def _remove_all_but(folder: Path, stays: set[str]) -> None:
    """Only names in the folder itself are looked at, never what is in a folder that stays."""
    goes = [path for path in folder.iterdir() if path.name not in stays | {INTENT}]
    remove(sorted(goes, key=lambda path: (not path.name.startswith(_KEYS), path.name)))


def _sent_and_lost(handset: Handset) -> tuple[int, int | None]:
    """How many events went up now, and how many die; None if the outbox cannot be read."""
    before = 0
    # Whatever the outbox, the passes or an answer may be like: it does not stop a wipe.
    with suppress(Exception):
        handset.record_uses()
        before = handset.outbox.count()
        handset.sync(until=handset.now() + OUTBOX_FOR)
    left = handset.events_waiting
    return (0 if left is None else max(before - left, 0)), left


def _last_word(handset: Handset, intent: dict[str, Any], sent: int, lost: int | None) -> dict[str, Any]:
    detail = {"sent": sent, "lost": lost}
    report = signed_report(handset, intent, WIPING, detail=detail)
    return {"report": report, "at": handset.now().isoformat(), **detail}


def _record(intent: dict[str, Any]) -> dict[str, Any]:
    """What is left to be read of a wipe: why, by whose word, and what was lost."""
    about = {name: intent[name] for name in ("kind", "warrant", "reason", "accepted_at")}
    return {**about, "command": intent["id"], **intent["last_word"]}
