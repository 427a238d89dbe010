"""Redirection contracts: as they are registered, kept, answered, and what a look-up decides.

`Terms` is what a contract is without a word of whose it is; what is personal is sealed beside it. `RedirectionRecord`
is what a contract's row holds and what its events say.
"""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.addresses.names import Beneficiary, Name
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema, Sealed
from chalicelib.items.schemas import ItemNumber, RedirectionUsed
from chalicelib.redirections.carried import Reach, RedirectionKind, RedirectionScope

RedirectionId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Months = Annotated[int, Meta(ge=1, le=12)]
Beneficiaries = Annotated[tuple[Beneficiary, ...], Meta(min_length=1, max_length=20)]


class RedirectionState(enum.StrEnum):
    """What a contract is at a moment: worked out from its facts and dates, never written."""

    REQUESTED = "requested"
    PENDING_VERIFICATION = "pending-verification"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    ENDED_EARLY = "ended-early"
    EXPIRED = "expired"


class IdentityMethod(enum.StrEnum):
    """How it is verified that the beneficiaries want it. `renewal`: it was, for the contract that this one follows."""

    CODE = "code"
    DIGITAL_IDENTITY = "digital-identity"
    DOCUMENTS = "identity-documents"
    RENEWAL = "renewal"


class DocumentKind(enum.StrEnum):
    """A document that proves who somebody is."""

    IDENTITY_CARD = "identity-card"
    PASSPORT = "passport"
    RESIDENCE_PERMIT = "residence-permit"
    DRIVING_LICENCE = "driving-licence"
    COMPANY_REGISTER = "company-register"


class RedirectionRefusalReason(enum.StrEnum):
    """Why a contract is refused."""

    IDENTITY_NOT_PROVEN = "identity-not-proven"
    DOCUMENTS_MISSING = "documents-missing"
    FRAUD_SUSPECTED = "fraud-suspected"
    ADDRESS_NOT_SERVED = "address-not-served"


class Action(enum.StrEnum):
    """What the carrier does with an item. `ask`: look at it, and at who lives there."""

    DELIVER_HERE = "deliver-here"
    REDIRECT = "redirect"
    HOLD = "hold"
    RETURN = "return"
    ASK = "ask"


class RedirectionRequest(Schema, frozen=True):
    """A contract that a subscriber asks for. Exactly one of `months` and `end` (the last day) says how long.

    `minors` are the beneficiaries, by their place in the list, who need not prove who they are. Mail that is kept
    (hold) has no new address.
    """

    kind: RedirectionKind
    scope: RedirectionScope
    subscriber: Annotated[Name, Meta(min_length=1)]
    beneficiaries: Beneficiaries
    old_address: PostalAddress
    start: date
    new_address: PostalAddress | None = None
    minors: Annotated[tuple[Annotated[int, Meta(ge=0, lt=20)], ...], Meta(max_length=20)] = ()
    months: Months | None = None
    end: date | None = None
    by_code: bool = True
    """Whether a code is mailed to the old address; else the contract waits for documents or a digital identity."""

    def __post_init__(self) -> None:
        if (self.months is None) == (self.end is None):
            raise ValueError("say how long it lasts: months or end, one of the two")
        if (self.new_address is None) != (self.kind is RedirectionKind.HOLD):
            raise ValueError("a redirection needs a new address, and mail that is kept (hold) has none")
        companies = {bool(one.company) for one in self.beneficiaries}
        if companies != {self.scope is RedirectionScope.COMPANY}:
            raise ValueError("a contract for a company names companies only, any other one persons only")
        if any(minor >= len(self.beneficiaries) for minor in self.minors):
            raise ValueError("minors are places in the list of beneficiaries, from 0")


class IdentityDocument(Schema, frozen=True):
    """That a beneficiary (by their place in the list) showed a document; of the document only the kind is kept."""

    beneficiary: Annotated[int, Meta(ge=0, lt=20)]
    kind: DocumentKind


class RedirectionVerification(Schema, frozen=True):
    """The code of the letter, or the method by which else it was verified, with the documents seen."""

    code: Annotated[str, Meta(max_length=20)] = ""
    method: IdentityMethod | None = None
    documents: Annotated[tuple[IdentityDocument, ...], Meta(max_length=40)] = ()

    def __post_init__(self) -> None:
        if bool(self.code) == (self.method in {IdentityMethod.DIGITAL_IDENTITY, IdentityMethod.DOCUMENTS}):
            raise ValueError("give the code of the letter, or the method digital-identity or identity-documents")
        if bool(self.documents) != (self.method is IdentityMethod.DOCUMENTS):
            raise ValueError("documents are listed with the method identity-documents, and with that only")


class NewCode(Schema, frozen=True):
    """Asks for a new code. `replaces` is the number of the one that it replaces, 0 if there was none."""

    replaces: Annotated[int, Meta(ge=0)]


class RedirectionRefusal(Schema, frozen=True):
    """Why a contract is refused."""

    reason: RedirectionRefusalReason


class Cancellation(Schema, frozen=True):
    """That the subscriber takes the request back."""


class EarlyEnd(Schema, frozen=True):
    """The last day of a contract that ends earlier."""

    on: date


class Renewal(Schema, frozen=True):
    """The contract that follows without a gap: its id (made by the caller, as for the first one) and its months."""

    id: RedirectionId
    months: Months


class Terms(Schema, frozen=True):
    """A contract without a word of whose it is. `revision` grows by one with each change of it."""

    id: str
    revision: int
    kind: RedirectionKind
    scope: RedirectionScope
    reach: Reach
    start: date
    end: date
    verified_at: datetime | None = None
    refused_at: datetime | None = None
    cancelled_at: datetime | None = None
    ended_on: date | None = None

    @property
    def last_day(self) -> date:
        """The last day, inclusive, on which it counts."""
        return self.ended_on or self.end


class Parties(Schema, frozen=True):
    """Who a contract is of and for (personal data: stored sealed only)."""

    subscriber: str
    beneficiaries: tuple[Beneficiary, ...]
    old_address: PostalAddress
    new_address: PostalAddress | None = None


class Destination(Schema, frozen=True):
    """What a look-up needs of a contract (personal data: stored sealed only)."""

    beneficiaries: tuple[Beneficiary, ...]
    apartment: str = ""
    new_address: PostalAddress | None = None


class RedirectionRecord(Terms, frozen=True, kw_only=True):
    """`facteo.redirection.requested`, `.verified`, `.refused`, `.cancelled`, `.ended`, `.renewed`: as it is from then.

    `address` names the old address (`addresses.index`), `content` is the fingerprint of the request, `parties` are
    sealed under the key of the month in which they must be forgotten.
    """

    address: str
    content: str
    parties: Sealed
    requested_at: datetime
    requested_by: str
    minors: tuple[int, ...] = ()
    method: IdentityMethod | None = None
    documents: tuple[IdentityDocument, ...] = ()
    reason: RedirectionRefusalReason | None = None
    renews: str = ""
    renewed_by: str = ""


class ContractAtAddress(Terms, frozen=True, kw_only=True):
    """A contract as it stands with the others at its old address."""

    destination: Sealed


class CodeRecord(Schema, frozen=True):
    """A code that was issued: its HMAC to compare with, and the letter, sealed, for whoever prints it."""

    number: int
    fingerprint: str
    issued_at: datetime
    issued_by: str
    valid_until: datetime
    letter: Sealed
    attempts: int = 0


class CodeIssued(Schema, frozen=True):
    """`facteo.redirection.code-issued`: a letter with a code is to be mailed to the old address."""

    number: int
    valid_until: datetime


class VerificationFailed(Schema, frozen=True):
    """`facteo.redirection.verification-failed`: a wrong code was given."""

    number: int
    attempts: int


class LetterRead(Schema, frozen=True):
    """`facteo.redirection.letter-read`: somebody has seen the code."""

    number: int


class CodeLetter(Schema, frozen=True):
    """The letter with the code: its address block (NF Z10-011), the mark to print on it, and the code."""

    number: int
    lines: tuple[str, ...]
    mark: str
    code: str
    valid_until: datetime


class CodeStatus(Schema, frozen=True):
    """How it stands with the code, without the code."""

    number: int
    valid_until: datetime
    attempts_left: int


class Redirection(Schema, frozen=True):
    """A contract. `parties` is null once their retention has ended; `remind_on` is when its end is announced."""

    id: str
    revision: int
    state: RedirectionState
    kind: RedirectionKind
    scope: RedirectionScope
    reach: Reach
    start: date
    end: date
    last_day: date
    remind_on: date
    requested_at: datetime
    verified_at: datetime | None
    method: IdentityMethod | None
    code: CodeStatus | None
    parties: Parties | None
    reason: RedirectionRefusalReason | None = None
    renews: str = ""
    renewed_by: str = ""


class RedirectionSearch(Schema, frozen=True):
    """Asks for the contracts at an old address."""

    address: PostalAddress


class RedirectionsSearched(Schema, frozen=True):
    """`facteo.redirection.searched`, of the member of staff who searched: at which address (its name in the index)."""

    address: str
    found: int


class RedirectionFound(Schema, frozen=True):
    """A contract at an address. `destination` is null once its retention has ended."""

    id: str
    revision: int
    state: RedirectionState
    kind: RedirectionKind
    scope: RedirectionScope
    start: date
    last_day: date
    destination: Destination | None


class RedirectionsFound(Schema, frozen=True):
    """The contracts at an address, by their first day."""

    redirections: tuple[RedirectionFound, ...]


class RedirectionCheck(Schema, frozen=True):
    """Asks what to do with an item: by its number if it was announced, or by the address and the name on it.

    `do_not_forward`: the sender's mark "ne pas réexpédier" is on it.
    """

    item: ItemNumber | None = None
    address: PostalAddress | None = None
    name: Annotated[str, Meta(max_length=80)] = ""
    product: Annotated[str, Meta(pattern=r"^([0-9A-Z]{2})?" + END)] = ""
    weight_grams: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    registered: bool = False
    do_not_forward: bool = False

    def __post_init__(self) -> None:
        if (self.item is None) == (self.address is None):
            raise ValueError("give the item, or the address and the name on it")
        if self.address is not None and not self.name.strip():
            raise ValueError("give the name on the item with its address")


class RedirectionNamed(Schema, frozen=True):
    """A contract in a revision, as an event of the item quotes it."""

    id: str
    revision: int


class RedirectionDecision(Schema, frozen=True):
    """What to do with an item, by which rule, in a sentence for the carrier (French, 120 characters at most)."""

    action: Action
    rule: str
    sentence: str
    redirection: RedirectionNamed | None = None
    new_address: PostalAddress | None = None
    flags: tuple[str, ...] = ()


class RedirectionJudged(Schema, frozen=True):
    """`facteo.redirection.judged`, of the item: what is to be flagged of the event that redirected it."""

    event: str
    redirection: RedirectionUsed | None
    flags: tuple[str, ...]
