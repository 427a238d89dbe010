"""Approvers with passkeys in software, handsets that may be wiped, and warrants: `approvers(post)`, `a_warrant(…)`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.core import clock, ids, signing
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.schemas import Command
from demo.passkey import Passkey
from handset.signing import base64url
from tests.support.api import Answered, Api, Caller
from tests.support.factories import HeldHandset
from tests.support.fleet import OURS, NewHandset

RP_ID, ORIGIN, OTHER_ORIGIN = "ops.facteo.test", "https://ops.facteo.test", "https://ops2.facteo.test"
ADA, BOB, EVE = "ada", "bob", "eve"
"""Those who may approve. Eve is nobody's approver unless a test says so."""
CAN_APPROVE = ("fleet-admin", "depot-manager", "security-officer")
_judges: WeakKeyDictionary[Api, list[Person]] = WeakKeyDictionary()
LOSS = "019ac9a0-0000-7000-8000-0000000000c1"


@dataclass
class Person:
    """A member of staff with a passkey of their own."""

    api: Api
    name: str
    passkey: Passkey = field(default_factory=lambda: Passkey.new(RP_ID, ORIGIN))
    roles: tuple[str, ...] = CAN_APPROVE
    scope: str = "*"

    @property
    def actor(self) -> str:
        return f"staff/{self.name}"

    @property
    def calls(self) -> Caller:
        return self.api.as_staff(*self.roles, scope=self.scope, sub=self.name)

    def registers(self) -> Answered:
        """Has a browser make the passkey for the challenge that the API gives."""
        options = self.calls.post("/v1/approver-passkeys/options")
        assert options.status == 200, options.text
        made = self.passkey.register(raw(options.body["challenge"]))
        return self.calls.post("/v1/approver-passkeys", {"credential": made})

    def approves(self, path: str, text: str, **changes: Any) -> Answered:
        """Approve a text (base64url) in the form that handsets read; keywords change the approval."""
        return self.calls.post(f"{path}/approvals", {"approval": self.approval(text) | changes})

    def approval(self, text: str) -> dict[str, str]:
        return self.passkey.approve(self.actor, raw(text))


def people(api: Api, *names: str) -> list[Person]:
    """Members of staff who have registered their passkeys."""
    found = [Person(api, name) for name in names]
    for person in found:
        answer = person.registers()
        assert answer.status == 201, answer.text
    return found


def approvers(api: Api, *names: str) -> list[Person]:
    """The first set of approvers, in force: Ada and Bob, unless others are named."""
    found = people(api, *(names or (ADA, BOB)))
    proposed = propose(found)
    for person in found[:2]:
        assert person.approves(f"/v1/approver-sets/{proposed['version']}", proposed["text"]).status == 200
    return found


def judges(api: Api) -> list[Person]:
    """Ada and Bob, who approve: made when somebody first asks for them."""
    if api not in _judges:
        remember(api, approvers(api))
    return _judges[api]


def remember(api: Api, judging: list[Person]) -> None:
    """These approve from now on."""
    _judges[api] = judging


def propose(named: list[Person], *, new: Sequence[Person] = ()) -> dict[str, Any]:
    """The next set of approvers, proposed by a security officer; those who are `new` get another passkey."""
    wanted = {"approvers": [person.actor for person in named], "new_passkeys": [person.actor for person in new]}
    answer = named[0].api.as_staff("security-officer").post("/v1/approver-sets", wanted)
    assert answer.status == 201, answer.text
    told: dict[str, Any] = answer.body
    return told


def follow(judges: list[Person], named: list[Person]) -> dict[str, Any]:
    """A set that comes in force by the approvals of the first two of those before it."""
    proposed = propose(named)
    for person in judges[:2]:
        answer = person.approves(f"/v1/approver-sets/{proposed['version']}", proposed["text"])
        assert answer.status == 200, answer.text
    return proposed


def a_lost_handset(api: Api, carrier: str = OURS) -> HeldHandset:
    """An enrolled handset in an open loss case, quarantined."""
    handset = NewHandset(api).enrolled(carrier)
    lose(handset.device)
    return handset


def lose(device: str) -> None:
    """Open a loss case of a device."""
    change_box(device, loss=LOSS)


def change_box(device: str, **changes: Any) -> None:
    """Change what is known of a device, as if it had come about."""
    before = boxes.load(device)
    with transaction() as work:
        boxes.save(work, before, msgspec.structs.replace(before.box, **changes))


def asks_for(caller: Caller, *handsets: HeldHandset, **changes: Any) -> Answered:
    """Ask for a warrant to wipe the containers of these handsets."""
    wanted = {
        "devices": [handset.device for handset in handsets],
        "kind": "container-wipe",
        "reason": "Stolen on the round.",
    }
    return caller.post("/v1/warrants", wanted | changes)


def a_warrant(caller: Caller, *handsets: HeldHandset, **changes: Any) -> dict[str, Any]:
    """A warrant that waits for approvals."""
    answer = asks_for(caller, *handsets, **changes)
    assert answer.status == 201, answer.text
    told: dict[str, Any] = answer.body
    return told


def path_of(warrant: dict[str, Any]) -> str:
    return f"/v1/warrants/{warrant['id']}"


def approved(warrant: dict[str, Any], *approving: Person) -> Answered:
    """The answer to the last approval."""
    return [person.approves(path_of(warrant), warrant["text"]) for person in approving][-1]


def with_client(person: Person, text: str, client: bytes) -> dict[str, str]:
    """An approval of a text whose client data are these, signed by the person's passkey."""
    good = person.approval(text)
    signed = raw(good["authenticator_data"]) + hashlib.sha256(client).digest()
    signature = person.passkey.private.sign(signed, ec.ECDSA(hashes.SHA256()))
    return good | {"client_data": base64url(client), "signature": base64url(signature)}


def spoilt_spellings(person: Person, text: str) -> dict[str, dict[str, str]]:
    """Rightly signed approvals that a library may take and a handset does not: what is spoilt → the approval."""
    good = person.approval(text)
    client = raw(good["client_data"])
    challenge = json.loads(client)["challenge"].encode()
    padding = b'{"padding":"' + b"x" * 2048 + b'",'
    clients = {
        "a member twice": client.replace(b"{", b'{"type":"webauthn.create",', 1),
        "no JSON": client.replace(b"{", b'{"more":NaN,', 1),
        "UTF-16": client.decode().encode("utf-16"),
        "challenge padded": client.replace(challenge, challenge + b"="),
        "too long": client.replace(b"{", padding, 1),
        "bits": client.replace(challenge, challenge[:-1] + bytes([challenge[-1] + 1])),
    }
    members = {
        f"{member} {name}": good | {member: change(good[member])}
        for member in ("authenticator_data", "client_data", "signature")
        for name, change in _NOISE.items()
    }
    return members | {name: with_client(person, text, told) for name, told in clients.items()}


_NOISE: dict[str, Callable[[str], str]] = {
    "padded": lambda text: text + "=",
    "padded twice": lambda text: text + "==",
    "a line feed": lambda text: text + "\n",
    "a blank within": lambda text: text[:4] + " " + text[4:],
    "a star within": lambda text: text[:4] + "*" + text[4:],
}


def raw(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_text(told: dict[str, Any]) -> Any:
    """What a text says that is to be approved."""
    return json.loads(raw(told["text"]))


def signed_report(handset: HeldHandset, command: Command, what: str = "accepted") -> str:
    """What the handset signs of an order."""
    payload = {
        "id": ids.new(),
        "command": command.id,
        "order": hashlib.sha256(signing.payload_of(command.order)).hexdigest(),
        "number": command.number,
        "at": clock.now().isoformat(),
        "what": what,
    }
    header = {"alg": "ES256", "kid": handset.device}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, payload))
    return f"{signed}.{base64url(handset.key.sign_raw(signed.encode()))}"
