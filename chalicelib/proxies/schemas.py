"""Proxies: as they are registered, recorded, answered, and as a handset carries them."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Annotated, Final

from msgspec import Meta

from chalicelib.addresses.names import Gender
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema, Sealed
from chalicelib.items.schemas import ItemNumber
from chalicelib.proxies.carried import Kind, NamedHolder, Scope

ProxyId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
NameIfAny = Annotated[str, Meta(max_length=38, pattern=r"^(\S(.*\S)?)?" + END)]
Label = Annotated[str, Meta(max_length=80, pattern=r"^\S(.*\S)?" + END)]
Siret = Annotated[str, Meta(pattern=r"^([0-9]{14})?" + END)]
Rna = Annotated[str, Meta(pattern=r"^(W[0-9]{9})?" + END)]
Moment = Annotated[datetime, Meta(tz=True)]

MAX_HOLDERS: Final = 10


class State(enum.StrEnum):
    """What a proxy is at a moment: it follows from facts and dates, and is never written."""

    REQUESTED = "requested"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REFUSED = "refused"
    USED = "used"


class Method(enum.StrEnum):
    """How a proxy is verified. What must be seen for it is a table (`rules.DOCUMENTS`)."""

    POST_OFFICE = "post-office"
    ONLINE = "online"
    DELIVERY_NOTICE = "delivery-notice"
    LEGAL_REPRESENTATIVE = "legal-representative"


class Seen(enum.StrEnum):
    """A document that was seen when a proxy was verified."""

    PRINCIPAL_IDENTITY = "principal-identity"
    HOLDER_IDENTITY = "holder-identity"
    PROOF_OF_ADDRESS = "proof-of-address"
    COMPANY_REGISTRATION = "company-registration"


class RefusalReason(enum.StrEnum):
    """Why a proxy is refused. A code, because words would name people."""

    DOCUMENTS_MISSING = "documents-missing"
    PRINCIPAL_NOT_IDENTIFIED = "principal-not-identified"
    ADDRESS_NOT_PROVED = "address-not-proved"
    HOLDER_NOT_ACCEPTED = "holder-not-accepted"
    OTHER = "other"


class RevocationReason(enum.StrEnum):
    """Why a proxy is revoked. A code, because words would name people."""

    BY_PRINCIPAL = "by-principal"
    BY_HOLDER = "by-holder"
    PRINCIPAL_MOVED = "principal-moved"
    PRINCIPAL_DECEASED = "principal-deceased"
    FRAUD = "fraud"
    OTHER = "other"


def _is_siret(text: str) -> bool:
    from stdnum.fr import siret  # noqa: PLC0415 - 10 ms, and few proxies are of legal persons

    return bool(siret.is_valid(text))


class Principal(Schema, frozen=True):
    """Who gives a proxy (mandant): a person, or a company or association by its SIRET or RNA number."""

    last_name: NameIfAny = ""
    first_name: NameIfAny = ""
    gender: Gender = ""
    birth_name: NameIfAny = ""
    company: NameIfAny = ""
    siret: Siret = ""
    rna: Rna = ""

    def __post_init__(self) -> None:
        if bool(self.last_name) == bool(self.company):
            raise ValueError("a principal is a person (last_name) or a legal person (company), one of the two")
        if self.last_name and not self.first_name:
            raise ValueError("a person has a first name")
        if self.company and (self.first_name or self.gender or self.birth_name):
            raise ValueError("a legal person has no first name, no gender and no birth name")
        if bool(self.company) != bool(self.siret or self.rna):
            raise ValueError("a legal person, and only one, has a SIRET or an RNA number")
        if self.siret and not _is_siret(self.siret):
            raise ValueError("this SIRET does not exist: its check digit is another")

    @property
    def is_legal_person(self) -> bool:
        """Whether it is a company or an association."""
        return bool(self.company)


class Holder(NamedHolder, frozen=True):
    """Who may receive (mandataire)."""

    born_on: date


class People(Schema, frozen=True):
    """Who and where a proxy is about (personal data: stored sealed only)."""

    principal: Principal
    address: PostalAddress
    holders: Annotated[tuple[Holder, ...], Meta(min_length=1, max_length=MAX_HOLDERS)]


class RegisterProxy(People, frozen=True):
    """States a proxy. Its days are those of Paris, `end` included; a one-off one names its `item`."""

    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=len(Scope))]
    start: date
    end: date
    kind: Kind = Kind.PERMANENT
    item: ItemNumber | None = None

    def __post_init__(self) -> None:
        if (self.kind is Kind.ONE_OFF) != (self.item is not None):
            raise ValueError("a one-off proxy, and only one, names its item")
        if len(set(self.scopes)) < len(self.scopes):
            raise ValueError("name each scope once")


class Verification(Schema, frozen=True):
    """How a proxy was verified, and what was seen."""

    method: Method
    documents: Annotated[tuple[Seen, ...], Meta(max_length=len(Seen))]


class Refusal(Schema, frozen=True):
    """Why a proxy is refused."""

    reason: RefusalReason


class Revocation(Schema, frozen=True):
    """Why a proxy ends, and from when on (default: now)."""

    reason: RevocationReason
    effective_at: Moment | None = None


# --- as it is recorded --------------------------------------------------------------------------------------


class Registered(Schema, frozen=True):
    """`facteo.proxy.registered`. `people` are sealed under the key of the `month` to whose end they are kept.

    `revision` counts the proxy's events: this one, and each of those below, is the event of that number.
    """

    revision: int
    kind: Kind
    scopes: tuple[Scope, ...]
    start: date
    end: date
    item: str | None
    legal_person: bool
    month: str
    people: Sealed


class Verified(Verification, frozen=True):
    """`facteo.proxy.verified`: from now on it is valid on its days."""

    revision: int


class Refused(Refusal, frozen=True):
    """`facteo.proxy.refused`: it was never valid."""

    revision: int


class Revoked(Schema, frozen=True):
    """`facteo.proxy.revoked`: it is not valid any more, from `effective_at` on."""

    revision: int
    reason: RevocationReason
    effective_at: datetime


class Used(Schema, frozen=True):
    """`facteo.proxy.used`: a one-off proxy was used, as the act of handing over `proof` says."""

    revision: int
    proof: str


class Searched(Schema, frozen=True):
    """`facteo.proxy.searched`, of the member of staff who searched: at which address (its name in the index)."""

    address: str
    found: int


class VerifiedBy(Verification, frozen=True):
    """A verification, by whom and when."""

    by: str
    at: datetime


class RefusedBy(Refusal, frozen=True):
    """A refusal, by whom and when."""

    by: str
    at: datetime


class RevokedBy(Schema, frozen=True):
    """A revocation, by whom, when, and from when on it holds."""

    reason: RevocationReason
    effective_at: datetime
    by: str
    at: datetime


class Facts(Schema, frozen=True, kw_only=True):
    """What is known of a proxy that names nobody: what its state follows from.

    `used_for` is the proof of the handing over that used a one-off proxy up.
    """

    revision: int
    kind: Kind
    scopes: tuple[Scope, ...]
    start: date
    end: date
    item: str | None
    legal_person: bool
    verification: VerifiedBy | None = None
    refusal: RefusedBy | None = None
    revocation: RevokedBy | None = None
    used_for: str | None = None


class ProxyRecord(Facts, frozen=True, kw_only=True):
    """A proxy as it is kept. `place` is the fingerprint of its address, `month` names the key of `people`."""

    id: str
    month: str
    place: str
    people: Sealed


# --- as it is answered --------------------------------------------------------------------------------------


class Proxy(Facts, frozen=True, kw_only=True):
    """A proxy. Whom it names can be read until the day `readable_until`, and is null after it."""

    id: str
    state: State
    readable_until: date
    principal: Principal | None
    address: PostalAddress | None
    holders: tuple[Holder, ...] | None


class ProxySearch(Schema, frozen=True):
    """Asks for the proxies at an address. Floors and flats do not tell two addresses apart."""

    address: PostalAddress


class ProxiesFound(Schema, frozen=True):
    """The proxies at an address, those that are over too, the newest first."""

    proxies: tuple[Proxy, ...]


class ProxyCheck(Schema, frozen=True):
    """Asks whether somebody may receive: an announced `item`, or what is at an `address` for an `addressee`.

    With an address the `scopes` say what is to be handed over.
    """

    holder: NamedHolder
    item: ItemNumber | None = None
    address: PostalAddress | None = None
    addressee: Label | None = None
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=len(Scope))] = ()

    def __post_init__(self) -> None:
        by_address = (self.address is not None, self.addressee is not None, bool(self.scopes))
        if by_address != ((self.item is None),) * len(by_address):
            raise ValueError("give an item, or else an address with the addressee and the scopes")


class Verdict(enum.StrEnum):
    """What a carrier does: hand over, look closer, or not hand over."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    REFUSED = "refused"


class ProxyShown(Schema, frozen=True):
    """A proxy by its name, in a revision."""

    id: str
    revision: int


class ProxyVerdict(Schema, frozen=True):
    """The answer to a check: by which rule, in a sentence for the carrier, and by which proxy."""

    verdict: Verdict
    rule: str
    sentence: str
    proxy: ProxyShown | None = None


# --- as it is judged ----------------------------------------------------------------------------------------


class Flag(enum.StrEnum):
    """What a handing over to a holder needs a human's eye for."""

    UNKNOWN = "proxy-unknown"
    UNKNOWN_TO_DEVICE = "proxy-unknown-to-device"
    REVOKED_UNKNOWN_TO_DEVICE = "proxy-revoked-unknown-to-device"
    INVALID = "proxy-invalid"
    OF_ANOTHER_PRINCIPAL = "proxy-of-another-principal"
    PRINCIPAL_TO_REVIEW = "principal-to-review"
    HOLDER_NOT_NAMED = "holder-not-named"
    HOLDER_TO_REVIEW = "holder-to-review"
    HOLDER_IS_MINOR = "holder-is-minor"
    OUT_OF_SCOPE = "proxy-out-of-scope"
    ALREADY_USED = "proxy-already-used"


class Judgement(Schema, frozen=True):
    """What is to be flagged of a handing over by proxy, the gravest first. None: all was as it should be."""

    flags: tuple[Flag, ...] = ()

    @property
    def outcome(self) -> str:
        """The first flag, or nothing."""
        return self.flags[0] if self.flags else ""
