"""What people approved: the exact words, and the passkeys' signatures over them. And what bounds and stops them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from chalicelib.core.public_keys import PublicKey
from chalicelib.core.schemas import END, Schema

Credential = Annotated[str, Meta(min_length=1, max_length=342)]
"""At most 256 bytes."""
ClientData = Annotated[str, Meta(max_length=2731)]
"""At most 2,048 bytes."""
Actor = Annotated[str, Meta(max_length=200, pattern=rf"^staff/\S+{END}")]
Why = Annotated[str, Meta(min_length=3, max_length=200)]

FEWEST_APPROVERS, MOST_APPROVERS = 2, 20


class Approval(Schema, frozen=True):
    """That an approver confirmed a text with a passkey (WebAuthn assertion; binary members in base64url)."""

    approver: Annotated[str, Meta(max_length=200)]
    credential: Annotated[str, Meta(max_length=342)]
    authenticator_data: Annotated[str, Meta(max_length=1400)]
    client_data: ClientData
    signature: Annotated[str, Meta(max_length=200)]


class Approved(Schema, frozen=True):
    """A text (base64url), byte by byte as it was approved, with the approvals: a warrant, or a set of approvers."""

    text: str
    approvals: tuple[Approval, ...]


class Approver(Schema, frozen=True):
    """Whose passkey counts: a member of staff, the credential's id (base64url) and its public key."""

    credential: str
    id: str
    public_key: PublicKey


class ApproverSet(Schema, frozen=True):
    """Who may approve, and where their passkeys are used. `previous` is the SHA-256 (hex) of the text before; of the
    first set it is empty.
    """

    approvers: tuple[Approver, ...]
    origins: tuple[str, ...]
    previous: str
    rp_id: str
    version: int
    type: Literal["facteo.approvers"] = "facteo.approvers"


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser says of a new passkey (WebAuthn level 2, section 5.2.1): what we need of it, in base64url."""

    client_data: ClientData = msgspec.field(name="clientDataJSON")
    attestation_object: Annotated[str, Meta(max_length=20_000)] = msgspec.field(name="attestationObject")


class Asserted(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser says of a passkey that was used (section 5.2.2): what we need of it, in base64url."""

    client_data: ClientData = msgspec.field(name="clientDataJSON")
    authenticator_data: Annotated[str, Meta(max_length=1400)] = msgspec.field(name="authenticatorData")
    signature: Annotated[str, Meta(max_length=200)]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """`PublicKeyCredential.toJSON()` of `navigator.credentials.create`. Browsers add members of their own."""

    id: Credential
    response: Attested


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """`PublicKeyCredential.toJSON()` of `navigator.credentials.get`. Browsers add members of their own."""

    id: Credential
    response: Asserted


class RelyingParty(Schema, frozen=True):
    """Whose passkey it is to be."""

    id: str
    name: str


class PasskeyUser(Schema, frozen=True, rename="camel"):
    """For whom it is to be made."""

    id: str
    name: str
    display_name: str


class KeyType(Schema, frozen=True):
    """A kind of key (COSE)."""

    alg: int
    type: str = "public-key"


class AllowedCredential(Schema, frozen=True):
    """A credential that may confirm a text, as `allowCredentials` of WebAuthn wants it."""

    id: str
    type: str = "public-key"


class Selection(Schema, frozen=True, rename="camel"):
    """What kind of authenticator will do: one that verifies who uses it."""

    user_verification: str = "required"
    resident_key: str = "preferred"


class PasskeyOptions(Schema, frozen=True, rename="camel"):
    """`publicKey` of `navigator.credentials.create`, binary members in base64url. `timeout` is in milliseconds."""

    rp: RelyingParty
    user: PasskeyUser
    challenge: str
    pub_key_cred_params: tuple[KeyType, ...]
    timeout: int
    authenticator_selection: Selection = Selection()
    attestation: str = "none"


class RegisterPasskey(Schema, frozen=True):
    """A passkey that a browser made for the challenge it was given last."""

    credential: Registration


class Candidate(Schema, frozen=True):
    """A passkey that a member of staff registered. `used`: a set that came in force has named it, no other one will."""

    approver: Approver
    registered_at: datetime
    used: bool = False


class PasskeyTold(Schema, frozen=True):
    """A passkey that was registered. It counts once a set of approvers that names it is in force."""

    id: str
    credential: str
    registered_at: datetime


class Challenge(Schema, frozen=True):
    """What a new passkey is to sign, in base64url, and until when."""

    challenge: str
    until: datetime


class ProposeSet(Schema, frozen=True):
    """Who is to be an approver: all of them, those who are already too. These keep the passkey that they approve with,
    unless `new_passkeys` names them: then it is the one that they registered since.
    """

    approvers: Annotated[tuple[Actor, ...], Meta(min_length=FEWEST_APPROVERS, max_length=MOST_APPROVERS)]
    new_passkeys: Annotated[tuple[Actor, ...], Meta(max_length=MOST_APPROVERS)] = ()


class GiveApproval(Schema, frozen=True):
    """An approval of a text: as handsets read it (`approval`), or as a browser gives it (`assertion`)."""

    approval: Approval | None = None
    assertion: Assertion | None = None


class KeptSet(Schema, frozen=True):
    """A set of approvers as it is kept: proposed, or in force."""

    version: int
    approved: Approved
    proposed_by: str
    in_force: bool = False


class PersonTold(Schema, frozen=True):
    """An approver of a set. `is_new`: the set in force does not know that person with that passkey."""

    id: str
    credential: str
    is_new: bool


class SetTold(Schema, frozen=True):
    """A set of approvers as staff see it: the text to be approved, its SHA-256 (`challenge`, base64url), by whose
    passkeys (`credentials`), and how many approvals are missing. `people` are its `approvers`, each with their passkey.
    """

    version: int
    in_force: bool
    approvers: tuple[str, ...]
    people: tuple[PersonTold, ...]
    proposed_by: str
    text: str
    challenge: str
    rp_id: str
    credentials: tuple[AllowedCredential, ...]
    approved_by: tuple[str, ...]
    missing: int


class ApproversTold(Schema, frozen=True):
    """The set in force and the one that was proposed, if there are any, and the passkeys that wait for a set."""

    in_force: SetTold | None
    proposed: SetTold | None
    candidates: tuple[PasskeyTold, ...]


class SetsAfter(Schema, frozen=True):
    """Asks for the sets of approvers that followed the one with this version."""

    after: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Sets(Schema, frozen=True):
    """Sets of approvers, in their order."""

    sets: tuple[Approved, ...]


class Tripped(Schema, frozen=True):
    """That the breaker opened: when, over which limit, and by whose doing. None of these may close it."""

    since: datetime
    why: str
    by: tuple[str, ...]


class BreakerRecord(Schema, frozen=True):
    """The breaker as it is kept: `tripped` while it is open."""

    tripped: Tripped | None = None


class BreakerTold(Schema, frozen=True):
    """Whether the breaker is open, and why. `closes` are the roles that may close it."""

    open: bool
    tripped: Tripped | None
    closes: tuple[str, ...]


class CloseBreaker(Schema, frozen=True):
    """Why it may be closed: kept as it is, it names nobody."""

    reason: Why


class BucketRecord(Schema, frozen=True):
    """When something was taken from a bucket lately: seconds of Unix."""

    taken: tuple[int, ...]


class PasskeyRegistered(Schema, frozen=True):
    """`facteo.passkey.registered`."""

    credential: str


class SetChanged(Schema, frozen=True):
    """`facteo.approvers.proposed`, `.approved` (by one), `.in-force`. `text` is the SHA-256 (hex) of the set's."""

    version: int
    approvers: tuple[str, ...]
    text: str


class BreakerChanged(Schema, frozen=True):
    """`facteo.breaker.opened`, `.closed`."""

    why: str
    by: tuple[str, ...] = ()


class GuardRefused(Schema, frozen=True):
    """`facteo.guard.refused`: what somebody wanted and did not get, by the problem's slug."""

    problem: str
    detail: str
