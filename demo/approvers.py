"""The approvers of the local run: two people with a passkey in software each, and what they do with it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from demo import staff
from demo.passkey import Passkey
from infra.running import FOLDER, Run

APPROVERS = ("security-officer", "fleet-admin")
"""Users of the local identity provider: two different people."""

_PASSKEYS = FOLDER / "passkeys"


def seed(running: Run) -> None:
    """The first set of approvers, unless there is one: each handset that is enrolled from now on knows it."""
    first = APPROVERS[0]
    if _call(running, first, "GET", "/v1/approvers")["in_force"]:
        return
    people = [_register(running, role) for role in APPROVERS]
    proposed = _call(running, first, "POST", "/v1/approver-sets", {"approvers": people})
    for role in APPROVERS:
        approve(running, role, f"/v1/approver-sets/{proposed['version']}", proposed)


def approve(running: Run, role: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """One of them confirms what is asked, a warrant or a set of approvers, with their passkey."""
    passkey = Passkey.load(_file(running, role))
    assertion = passkey.get(_from_base64url(asked["challenge"]))
    passkey.save(_file(running, role))
    answer: dict[str, Any] = _call(running, role, "POST", f"{path}/approvals", {"assertion": assertion})
    return answer


def _register(running: Run, role: str) -> str:
    """The person for whom a new passkey was registered."""
    options = _call(running, role, "POST", "/v1/approver-passkeys/options")
    passkey = Passkey.new(options["rp"]["id"], f"https://{options['rp']['id']}")
    credential = passkey.register(_from_base64url(options["challenge"]))
    registered = _call(running, role, "POST", "/v1/approver-passkeys", {"credential": credential})
    _PASSKEYS.mkdir(mode=0o700, parents=True, exist_ok=True)
    passkey.save(_file(running, role))
    return str(registered["id"])


def _call(running: Run, role: str, method: str, path: str, body: Any = None) -> Any:
    return staff.call(running, method, path, body, bearer=staff.token(running, role))


def _file(running: Run, role: str) -> Path:
    """Several back offices may run at once, each on its port."""
    return _PASSKEYS / f"{running.connect_to.rpartition(':')[2]}-{role}.json"


def _from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
