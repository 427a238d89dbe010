"""Key attestation: a chain proves exactly what it says, and nothing that can be sent breaks the reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.fleet.attestation import REASONS, Assurance, AttestationPolicy, AttestationRefused, verify
from tests.support.attestation import (
    PACKAGE,
    SELF_SIGNED,
    SIGNER,
    SOFTWARE,
    STRONGBOX,
    TEE,
    Authority,
    a_chain,
    a_description,
    a_root_of_trust,
    an_application,
    boolean,
    certified,
    enumerated,
    integer,
    octets,
    sequence,
    tagged,
)

ROOT = Authority()
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CHALLENGE = "a challenge"
POLICY = AttestationPolicy(
    package=PACKAGE, signer_digests=frozenset({SIGNER.hex(), "ff" * 32}), roots=frozenset({ROOT.key_hash})
)


def assurance_of(chain: list[bytes]) -> Assurance:
    return verify(chain, challenge=CHALLENGE.encode(), key=KEY.public_key(), policy=POLICY)


def reason_of(chain: list[bytes]) -> str:
    with pytest.raises(AttestationRefused) as refusal:
        assurance_of(chain)
    return refusal.value.reason


def described(challenge: str = CHALLENGE, **changes: Any) -> list[bytes]:
    """The chain of our key with this description."""
    return a_chain(ROOT, (KEY, a_description(challenge, **changes)))


def extended(extension: bytes | None) -> list[bytes]:
    return a_chain(ROOT, (KEY, extension))


def on_device(*tags: bytes, **trust: bytes) -> list[bytes]:
    return described(hardware=sequence(a_root_of_trust(**trust), *tags))


def made_by(*tags: bytes) -> list[bytes]:
    return described(software=sequence(*tags))


def without_root() -> list[bytes]:
    return described()[:-1]


def out_of_order() -> list[bytes]:
    leaf, batch, root = described()
    return [leaf, root, batch]


def signed_by_another() -> list[bytes]:
    """All names fit; the signature of the leaf is another key's."""
    leaf = certified(KEY, subject="Key 1", issuer="Key 0", by=OTHER, description=a_description(CHALLENGE))
    return [leaf, *described()[1:]]


CHAIN = described()

REFUSED: list[tuple[str, Callable[[], list[bytes]], str]] = [
    ("no certificate", list, "chain-unreadable"),
    ("no DER", lambda: [b"\x30", *described()[1:]], "chain-unreadable"),
    ("a leaf cut short", lambda: [described()[0][:-1], *described()[1:]], "chain-unreadable"),
    ("no root", without_root, "chain-broken"),
    ("out of order", out_of_order, "chain-broken"),
    ("another signature", signed_by_another, "chain-broken"),
    ("a root of the same name", lambda: [*described()[:-1], Authority().certificate], "chain-broken"),
    ("another root", lambda: a_chain(Authority(), (KEY, a_description(CHALLENGE))), "root-unknown"),
    ("the root alone", lambda: [ROOT.certificate], "key-differs"),
    ("another key", lambda: a_chain(ROOT, (OTHER, a_description(CHALLENGE))), "key-differs"),
    ("a key of another kind", lambda: a_chain(ROOT, (RSA, a_description(CHALLENGE))), "key-differs"),
    ("no attestation", lambda: extended(None), "extension-missing"),
    (
        "an attested key that attests another one itself",
        lambda: a_chain(ROOT, (OTHER, a_description("theirs")), (KEY, a_description(CHALLENGE))),
        "extension-misplaced",
    ),
    (
        "an attested key that signed another one",
        lambda: a_chain(ROOT, (OTHER, a_description(CHALLENGE)), (KEY, None)),
        "extension-misplaced",
    ),
    ("another challenge", lambda: described("another challenge"), "challenge-differs"),
    ("a challenge that only begins alike", lambda: described(CHALLENGE + "!"), "challenge-differs"),
    ("no root of trust", lambda: described(hardware=sequence()), "boot-not-verified"),
    (
        "a root of trust that only software tells",
        lambda: described(software=sequence(an_application(), a_root_of_trust()), hardware=sequence()),
        "boot-not-verified",
    ),
    ("a system of one's own", lambda: on_device(state=enumerated(SELF_SIGNED)), "boot-not-verified"),
    ("a state without a value", lambda: on_device(state=b"\x0a\x00"), "boot-not-verified"),
    ("unlocked", lambda: on_device(locked=boolean(b"\x00")), "bootloader-unlocked"),
    ("locked, but not as DER says it", lambda: on_device(locked=boolean(b"\x01")), "extension-malformed"),
    ("locked twice over", lambda: on_device(locked=boolean(b"\xff\xff")), "extension-malformed"),
    ("locked as a number", lambda: on_device(locked=integer(255)), "extension-malformed"),
    ("a root of trust given twice", lambda: on_device(a_root_of_trust()), "extension-malformed"),
    ("an unknown tag given twice", lambda: on_device(tagged(900), tagged(900)), "extension-malformed"),
    (
        "a root of trust without a state",
        lambda: described(hardware=sequence(tagged(704, sequence(octets(b""), boolean(b"\xff"))))),
        "extension-malformed",
    ),
    ("no application", made_by, "application-differs"),
    ("another application", lambda: made_by(an_application("fr.laposte.facteo.copy")), "application-differs"),
    ("ours and another", lambda: made_by(an_application(PACKAGE, "com.example")), "application-differs"),
    ("our name, not our signature", lambda: made_by(an_application(signer=b"\x01" * 32)), "application-differs"),
    ("an application not in DER", lambda: made_by(tagged(709, octets(b"\x30\x7f"))), "extension-malformed"),
    ("a level of the future", lambda: described(attested_in=enumerated(3)), "extension-malformed"),
    ("a level in two bytes", lambda: described(made_in=b"\x0a\x02\x00\x01"), "extension-malformed"),
    ("a level as a number", lambda: described(made_in=b"\x02\x01\x01"), "extension-malformed"),
    ("empty", lambda: extended(b""), "extension-malformed"),
    ("a context tag for a sequence", lambda: extended(b"\xb0" + a_description(CHALLENGE)[1:]), "extension-malformed"),
    ("a ninth field", lambda: extended(sequence(*[octets(b"")] * 9)), "extension-malformed"),
    ("something behind it", lambda: extended(a_description(CHALLENGE) + b"\x05\x00"), "extension-malformed"),
    ("a length without end", lambda: extended(b"\x30\x80\x00\x00"), "extension-malformed"),
    ("a length of gigabytes", lambda: extended(b"\x30\x84\xff\xff\xff\xff"), "extension-malformed"),
    ("a length of 127 bytes", lambda: extended(b"\x30\xff" + b"\x01" * 127), "extension-malformed"),
    ("a tag without end", lambda: extended(b"\x3f" + b"\xff" * 7000), "extension-malformed"),
    ("nested two thousand deep", lambda: extended(b"\x30\x80" * 2000), "extension-malformed"),
    ("three thousand fields", lambda: extended(sequence(b"\x05\x00" * 3000)), "extension-malformed"),
]


@pytest.mark.parametrize(
    ("attested_in", "made_in", "assurance"),
    [
        (STRONGBOX, STRONGBOX, Assurance.STRONGBOX),
        (STRONGBOX, TEE, Assurance.TEE),
        (TEE, STRONGBOX, Assurance.TEE),
        (TEE, TEE, Assurance.TEE),
        (TEE, SOFTWARE, Assurance.SOFTWARE),
        (SOFTWARE, STRONGBOX, Assurance.SOFTWARE),
    ],
)
def test_a_key_is_as_safe_as_the_weaker_of_its_two_levels(attested_in: int, made_in: int, assurance: Assurance) -> None:
    assert assurance_of(described(attested_in=enumerated(attested_in), made_in=enumerated(made_in))) is assurance


def test_software_says_nothing_of_the_device_and_is_asked_nothing() -> None:
    chain = described(attested_in=enumerated(SOFTWARE), software=sequence(), hardware=sequence())
    assert assurance_of(chain) is Assurance.SOFTWARE


def test_tags_that_came_later_are_passed_over() -> None:
    later = [tagged(number, integer(1)) for number in (1, 30, 31, 127, 128, 724, 16_384)]
    assert assurance_of(on_device(*later)) is Assurance.TEE
    assert assurance_of(made_by(*later, an_application())) is Assurance.TEE


@pytest.mark.parametrize(("chain", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_proves_nothing_is_refused_with_the_reason(chain: Callable[[], list[bytes]], reason: str) -> None:
    assert reason_of(chain()) == reason


def test_every_reason_has_a_chain_above() -> None:
    assert {reason for _, _, reason in REFUSED} == set(REASONS)


def test_an_attestation_cut_anywhere_is_malformed() -> None:
    whole = a_description(CHALLENGE)
    assert {reason_of(extended(whole[:end])) for end in range(len(whole))} == {"extension-malformed"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_malformed(extension: bytes) -> None:
    assert reason_of(extended(extension)) == "extension-malformed"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_attestation_is_read_or_refused(data: st.DataObject) -> None:
    extension = bytearray(a_description(CHALLENGE))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(extension) - 1))
        extension[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    read_or_refused(extended(bytes(extension)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_certificate_is_read_or_refused(data: st.DataObject) -> None:
    chain = list(CHAIN)
    number = data.draw(st.integers(0, len(chain) - 1))
    changed = bytearray(chain[number])
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    chain[number] = bytes(changed)
    read_or_refused(chain)


def read_or_refused(chain: list[bytes]) -> None:
    """Any other exception fails the test."""
    try:
        result: str = assurance_of(chain)
    except AttestationRefused as refusal:
        result = refusal.reason
    assert result in {*Assurance, *REASONS}
