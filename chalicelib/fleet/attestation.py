"""Android Key Attestation: whether a key really lives in a handset's hardware, and in which kind.

The certificate chain is checked up to a pinned root, and the extension 1.3.6.1.4.1.11129.2.1.17 of the leaf is read:
KeyDescription, versions 2 to 500. Unknown tags are passed over, since new handsets bring new ones; what we do read is
read strictly. Validity dates are not looked at: factory-made leaves often have none that mean anything, and Google's
own rule for a compromised key is its revocation list. Pure: nothing is fetched.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import Certificate

_EXTENSION: Final = "1.3.6.1.4.1.11129.2.1.17"
_DESCRIPTION_FIELDS: Final = 8
_TRUST_FIELDS: Final = 3

_FORM_BITS, _LOW_TAG_BITS, _MORE, _MAX_LENGTH_BYTES = 0xE0, 0x1F, 0x80, 4
_MAX_TAG = (1 << 28) - 1
_EXPLICIT = 0xA0
_BOOLEAN, _OCTETS, _ENUMERATED, _SEQUENCE, _SET = (0, 1), (0, 4), (0, 10), (0x20, 16), (0x20, 17)
_ROOT_OF_TRUST, _APPLICATION_ID = (_EXPLICIT, 704), (_EXPLICIT, 709)
_FALSE, _TRUE, _VERIFIED = b"\x00", b"\xff", b"\x00"

Tag = tuple[int, int]
"""The class and form bits of a DER tag, and its number."""

REASONS: Final = {
    "chain-unreadable": "A certificate of the chain cannot be read.",
    "chain-broken": "The certificates of the chain do not sign one another.",
    "root-unknown": "The chain does not end at a root of Android hardware attestation.",
    "key-differs": "The attested key is not the one that is being enrolled.",
    "extension-missing": "The key's own certificate holds no attestation.",
    "extension-misplaced": "Another certificate than the key's own holds an attestation: the chain was lengthened.",
    "extension-malformed": "The attestation cannot be read.",
    "challenge-differs": "The attestation was made for another ticket.",
    "boot-not-verified": "The handset was not started with a verified system.",
    "bootloader-unlocked": "The handset's boot loader is not locked.",
    "application-differs": "The key was made by another application than ours.",
}
"""Why a chain is refused, by its stable code."""


class Assurance(enum.StrEnum):
    """Where a handset's key lives, as far as we know."""

    NONE = "none"
    SOFTWARE = "software"
    TEE = "tee"
    STRONGBOX = "strongbox"


_LEVELS: Final = (Assurance.SOFTWARE, Assurance.TEE, Assurance.STRONGBOX)
"""By the value of SecurityLevel."""


class AttestationPolicy(msgspec.Struct, frozen=True):
    """Our application's package, the SHA-256 (hex) of its signing certificates, and of the roots' public keys."""

    package: str
    signer_digests: frozenset[str]
    roots: frozenset[str]


class AttestationRefused(Exception):  # noqa: N818 - reads as the fact it is
    """The chain proves nothing. `reason` is a key of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


class Element(NamedTuple):
    """One DER element."""

    tag: Tag
    content: bytes


class Description(NamedTuple):
    """What we read of a KeyDescription."""

    levels: tuple[int, int]
    challenge: bytes
    software: dict[Tag, bytes]
    hardware: dict[Tag, bytes]


def verify(
    chain: Sequence[bytes], *, challenge: bytes, key: ec.EllipticCurvePublicKey, policy: AttestationPolicy
) -> Assurance:
    """The assurance that a chain (DER, leaf first) gives for a key, made for this challenge.

    Raises AttestationRefused.
    """
    certificates = _read_chain(chain)
    _check_chain(certificates, policy)
    if certificates[0].public_key() != key:
        raise AttestationRefused("key-differs")
    described = _description(_extension(certificates))
    if described.challenge != challenge:
        raise AttestationRefused("challenge-differs")
    assurance = _LEVELS[min(described.levels)]
    if assurance is not Assurance.SOFTWARE:
        _check_device(described.hardware)
        _check_application(described.software, policy)
    return assurance


def _read_chain(chain: Sequence[bytes]) -> list[Certificate]:
    from cryptography import x509  # noqa: PLC0415 - 40 ms that only attested enrolments need

    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        for certificate in certificates:
            certificate.extensions, certificate.public_key()  # parsed at first use
    except Exception as error:  # the library raises many kinds for what handsets may send
        raise AttestationRefused("chain-unreadable") from error
    if not certificates:
        raise AttestationRefused("chain-unreadable")
    return certificates


def _check_chain(certificates: Sequence[Certificate], policy: AttestationPolicy) -> None:
    for certificate, issuer in zip(certificates, [*certificates[1:], certificates[-1]], strict=True):
        try:
            certificate.verify_directly_issued_by(issuer)
        except Exception as error:  # a wrong name, a wrong signature, or a kind of key that cannot sign
            raise AttestationRefused("chain-broken") from error
    if _key_hash(certificates[-1]) not in policy.roots:
        raise AttestationRefused("root-unknown")


def _key_hash(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def _extension(certificates: Sequence[Certificate]) -> bytes:
    """The leaf's attestation. One in an issuer means that somebody used an attested key to sign a leaf of their own."""
    leaf, *issuers = (
        [held.value.public_bytes() for held in one.extensions if held.oid.dotted_string == _EXTENSION]
        for one in certificates
    )
    if any(issuers):
        raise AttestationRefused("extension-misplaced")
    if not leaf:
        raise AttestationRefused("extension-missing")
    return bytes(leaf[0])


def _description(extension: bytes) -> Description:
    [whole] = _elements(extension, exactly=1)
    fields = _elements(_content(whole, _SEQUENCE), exactly=_DESCRIPTION_FIELDS)
    _, attested_in, _, made_in, challenge, _, software, hardware = fields
    return Description(
        levels=(_level(attested_in), _level(made_in)),
        challenge=_content(challenge, _OCTETS),
        software=_authorizations(software),
        hardware=_authorizations(hardware),
    )


def _check_device(hardware: dict[Tag, bytes]) -> None:
    """RootOfTrust: a verified system on a locked boot loader. The boolean is strict DER: 00 or FF and nothing else."""
    trust = hardware.get(_ROOT_OF_TRUST)
    if trust is None:
        raise AttestationRefused("boot-not-verified")
    [sequence] = _elements(trust, exactly=1)
    fields = _elements(_content(sequence, _SEQUENCE))
    if len(fields) < _TRUST_FIELDS:
        _malformed()
    locked, state = _content(fields[1], _BOOLEAN), _content(fields[2], _ENUMERATED)
    if locked not in {_FALSE, _TRUE}:
        _malformed()
    if locked != _TRUE:
        raise AttestationRefused("bootloader-unlocked")
    if state != _VERIFIED:
        raise AttestationRefused("boot-not-verified")


def _check_application(software: dict[Tag, bytes], policy: AttestationPolicy) -> None:
    """AttestationApplicationId: our package alone, signed by one of our certificates."""
    wrapped = software.get(_APPLICATION_ID)
    if wrapped is None:
        raise AttestationRefused("application-differs")
    [octets] = _elements(wrapped, exactly=1)
    [sequence] = _elements(_content(octets, _OCTETS), exactly=1)
    packages, signers = _elements(_content(sequence, _SEQUENCE), exactly=2)
    names = {_package_name(info) for info in _elements(_content(packages, _SET))}
    digests = {_content(signer, _OCTETS).hex() for signer in _elements(_content(signers, _SET))}
    if names != {policy.package.encode()} or not digests & policy.signer_digests:
        raise AttestationRefused("application-differs")


def _package_name(info: Element) -> bytes:
    name, _ = _elements(_content(info, _SEQUENCE), exactly=2)
    return _content(name, _OCTETS)


def _authorizations(listed: Element) -> dict[Tag, bytes]:
    """An AuthorizationList: explicit tags and what they hold. A tag given twice is malformed."""
    found: dict[Tag, bytes] = {}
    for element in _elements(_content(listed, _SEQUENCE)):
        if element.tag in found:
            _malformed()
        found[element.tag] = element.content
    return found


def _level(element: Element) -> int:
    level = int.from_bytes(_content(element, _ENUMERATED), "big")
    if len(element.content) != 1 or level >= len(_LEVELS):
        _malformed()
    return level


def _content(element: Element, tag: Tag) -> bytes:
    if element.tag != tag:
        _malformed()
    return element.content


def _elements(data: bytes, *, exactly: int | None = None) -> list[Element]:
    found = list(_walk(data))
    if exactly is not None and len(found) != exactly:
        _malformed()
    return found


def _walk(data: bytes) -> Iterator[Element]:
    """The elements of DER (X.690) that stand one after the other; nothing is read beyond the end."""
    position = 0
    try:
        while position < len(data):
            tag, position = _tag(data, position)
            length, position = _length(data, position)
            if position + length > len(data):
                _malformed()
            yield Element(tag, data[position : position + length])
            position += length
    except IndexError:
        _malformed()


def _tag(data: bytes, position: int) -> tuple[Tag, int]:
    form, number = data[position] & _FORM_BITS, data[position] & _LOW_TAG_BITS
    position += 1
    if number != _LOW_TAG_BITS:
        return (form, number), position
    number = 0
    while True:
        byte = data[position]
        position += 1
        number = number << 7 | byte & ~_MORE
        if number > _MAX_TAG:
            _malformed()
        if not byte & _MORE:
            return (form, number), position


def _length(data: bytes, position: int) -> tuple[int, int]:
    first = data[position]
    if first < _MORE:
        return first, position + 1
    size = first & ~_MORE
    if not 1 <= size <= _MAX_LENGTH_BYTES:
        _malformed()
    return int.from_bytes(data[position + 1 : position + 1 + size], "big"), position + 1 + size


def _malformed() -> NoReturn:
    raise AttestationRefused("extension-malformed")
