"""Key attestations as handsets make them: KeyDescriptions written in DER by hand, chains under roots of the tests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PACKAGE = "fr.laposte.facteo"
SIGNER = bytes(32)
SOFTWARE, TEE, STRONGBOX = 0, 1, 2
VERIFIED, SELF_SIGNED = 0, 1

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.1.17")
_BOOLEAN, _INTEGER, _OCTETS, _ENUMERATED, _SEQUENCE, _SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31
_LONG_FORM, _CONTEXT, _HIGH = 0x80, 0xA0, 0xBF


def der(tag: bytes | int, *contents: bytes) -> bytes:
    """One DER element."""
    content, head = b"".join(contents), bytes([tag]) if isinstance(tag, int) else tag
    size = len(content)
    if size < _LONG_FORM:
        return head + bytes([size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return head + bytes([_LONG_FORM | len(length)]) + length + content


def tagged(number: int, *contents: bytes) -> bytes:
    """An explicit tag of an AuthorizationList."""
    if number < 0x1F:
        return der(_CONTEXT | number, *contents)
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.insert(0, _LONG_FORM | number & 0x7F)
    return der(bytes([_HIGH, *groups]), *contents)


def boolean(content: bytes) -> bytes:
    return der(_BOOLEAN, content)


def enumerated(value: int) -> bytes:
    return der(_ENUMERATED, bytes([value]))


def integer(value: int) -> bytes:
    return der(_INTEGER, value.to_bytes(4, "big"))


def octets(content: bytes) -> bytes:
    return der(_OCTETS, content)


def sequence(*contents: bytes) -> bytes:
    return der(_SEQUENCE, *contents)


def a_root_of_trust(*, locked: bytes = boolean(b"\xff"), state: bytes = enumerated(VERIFIED)) -> bytes:
    """How the handset was started, as tag 704."""
    return tagged(704, sequence(octets(bytes(32)), locked, state, octets(bytes(32))))


def an_application(*packages: str, signer: bytes = SIGNER) -> bytes:
    """Which application made the key, as tag 709."""
    infos = [sequence(octets(name.encode()), integer(7)) for name in packages or (PACKAGE,)]
    return tagged(709, octets(sequence(der(_SET, *infos), der(_SET, octets(signer)))))


def a_description(
    challenge: str,
    *,
    attested_in: bytes = enumerated(TEE),
    made_in: bytes = enumerated(TEE),
    software: bytes = sequence(an_application()),
    hardware: bytes = sequence(a_root_of_trust()),
) -> bytes:
    """A KeyDescription of KeyMint 300."""
    head = (integer(300), attested_in, integer(300), made_in)
    return sequence(*head, octets(challenge.encode()), octets(b""), software, hardware)


class Authority:
    """A root of attestation."""

    def __init__(self, name: str = "Root") -> None:
        self.name, self.key = name, ec.generate_private_key(ec.SECP384R1())
        self.certificate = certified(self.key, subject=name, issuer=name, by=self.key)

    @property
    def key_hash(self) -> str:
        """What a policy pins."""
        public = self.key.public_key()
        return hashlib.sha256(
            public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()


def certified(key: Key, *, subject: str, issuer: str, by: Key, description: bytes | None = None) -> bytes:
    """A certificate (DER) of a key, with this attestation if there is one."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(1970, 1, 2, tzinfo=UTC))
    )
    if description is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(_EXTENSION, description), critical=False)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def a_chain(root: Authority, *attested: tuple[Key, bytes | None]) -> list[bytes]:
    """The chain, leaf first, in which the root signs a batch key, and that the keys, each the next one."""
    chain, issuer, signer = [root.certificate], root.name, root.key
    for number, (key, description) in enumerate([(ec.generate_private_key(ec.SECP256R1()), None), *attested]):
        subject = f"Key {number}"
        chain.insert(0, certified(key, subject=subject, issuer=issuer, by=signer, description=description))
        issuer, signer = subject, key
    return chain


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
