"""Test vectors for makers of handsets, `docs/protocol/vectors.json`: `python -m infra.vectors` writes them.

Keys, times and nonces are fixed and the signatures are deterministic (RFC 6979), so that the same text comes out each
time. The signature bases are put together here by the letter of RFC 9421; tests hold them against the reference
handset, and everything against the back office.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import urllib.parse
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from handset.signing import HandsetKey
from infra import vectors_acts, vectors_barcodes, vectors_events, vectors_texts
from infra.build import ROOT
from infra.vectors_events import DEVICE, NOW, OTHER_DEVICE

PATH = ROOT / "docs" / "protocol" / "vectors.json"

AUTHORITY: Final = "api.facteo.test"
NONCE: Final = "x3Hc0lY3eJvC2wq1aZ5b0Q"
CREATED: Final = int(NOW.timestamp())
TOLERANCE: Final = 300

SCALARS: Final = {
    **{
        name: int.from_bytes(hashlib.sha256(f"facteo {name}".encode()).digest(), "big") for name in ("handset", "other")
    },
    "short": 43,
}
"""The private keys. A coordinate of `short` begins with a zero byte, which must not be dropped."""

KEYS: Final = {name: ec.derive_private_key(scalar, ec.SECP256R1()) for name, scalar in SCALARS.items()}

REFUSED: Final = "identity-required"
CLOCK_SKEWED: Final = "clock-skewed"
ACCEPTED: Final = "accepted"

_POINT: Final = re.compile(r"\[\n[0-9.,\s]+\]")

EVENTS_BODY: Final = json.dumps(vectors_events.batch([vectors_events.event(1)]), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What is signed and how. Every field is as it should be, unless a vector says otherwise."""

    method: str = "GET"
    target: str = "/v1/round"
    body: str = ""
    authority: str = AUTHORITY
    covered: tuple[str, ...] | None = None
    parameters: dict[str, int | str] | None = None
    without: str = ""
    key: str = "handset"
    label: str = "facteo"
    digest: str | None = None
    path: str | None = None
    ending: str = ""

    @property
    def url(self) -> str:
        """The address to which the request is sent."""
        return f"https://{self.authority}{self.target}"

    @property
    def content_digest(self) -> str:
        """The Content-Digest field, empty without a body."""
        return content_digest(self.body.encode()) if self.digest is None and self.body else self.digest or ""

    @property
    def signature_input(self) -> str:
        """The value of `@signature-params`."""
        told: dict[str, int | str] = {"created": CREATED, "keyid": DEVICE, "nonce": NONCE, **(self.parameters or {})}
        names = " ".join(map(_quoted, self._names))
        said = "".join(f";{name}={_bare(value)}" for name, value in told.items() if name != self.without)
        return f"({names}){said}"

    @property
    def base(self) -> str:
        """The signature base (RFC 9421, section 2.5)."""
        lines = [f"{_quoted(name)}: {self._value(name)}" for name in self._names]
        return "\n".join([*lines, f'"@signature-params": {self.signature_input}']) + self.ending

    @property
    def _names(self) -> tuple[str, ...]:
        if self.covered is not None:
            return self.covered
        named = (f'"@query-param";name="{name}"' for name in self._query)
        return ("@method", "@authority", "@path", *named, *(("content-digest",) if self.content_digest else ()))

    @property
    def _query(self) -> dict[str, str]:
        query = urllib.parse.urlsplit(self.target).query
        return dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    def _value(self, name: str) -> str:
        if name.startswith('"@query-param"'):
            value = self._query[name.split('name="')[1].rstrip('"')]
            return urllib.parse.quote(value, safe="*").replace("~", "%7E")
        path = urllib.parse.urlsplit(self.target).path if self.path is None else self.path
        derived = {"@method": self.method, "@authority": self.authority, "@path": path}
        return {**derived, "content-digest": self.content_digest}[name]

    @property
    def headers(self) -> dict[str, str]:
        """What is sent beside Host."""
        return {
            **({"Content-Type": "application/json"} if self.body else {}),
            **({"Content-Digest": self.content_digest} if self.content_digest else {}),
            "Signature-Input": f"{self.label}={self.signature_input}",
            "Signature": f"{self.label}=:{_base64(self.raw())}:",
        }

    def der(self) -> bytes:
        """The signature as most libraries give it: ASN.1 DER."""
        return _der(self.key, self.base.encode())

    def raw(self) -> bytes:
        """The signature as RFC 9421 wants it: r and s, 32 bytes each."""
        return signed_raw(self.key, self.base.encode())


def content_digest(body: bytes) -> str:
    """The Content-Digest field (RFC 9530) of a body."""
    return f"sha-256=:{_base64(hashlib.sha256(body).digest())}:"


def signed_raw(key: str, message: bytes) -> bytes:
    """The signature of a message with the key of that name, as r and s, 32 bytes each."""
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(_der(key, message)))


def _der(key: str, message: bytes) -> bytes:
    return KEYS[key].sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def text() -> str:
    """What the file must hold: a point of a drawing on one line."""
    told = {
        "about": "Test vectors for docs/protocol/README.md. 'python -m infra.vectors' writes them.",
        "now": NOW.isoformat().replace("+00:00", "Z"),
        "authority": AUTHORITY,
        "device": DEVICE,
        "generation": 1,
        "keys": [_key(name) for name in KEYS],
        "bad_keys": _bad_keys(),
        "ticket": vectors_events.ticket(),
        "digests": [{"body": body, "content_digest": content_digest(body.encode())} for body in ("{}", '{"é": 1}\n')],
        "uuid7": _uuids(),
        "signatures": [*_good(), *_bad()],
        "barcodes": vectors_barcodes.barcodes(),
        "acts": vectors_acts.acts(signed_raw, HandsetKey(KEYS["handset"]).public_jwk),
        "texts": vectors_texts.texts(),
        "batches": vectors_events.malformed(),
        "events": vectors_events.single(),
        "sync": vectors_events.steps(),
    }
    return _POINT.sub(lambda found: "".join(found[0].split()), json.dumps(told, indent=1, ensure_ascii=False)) + "\n"


def _key(name: str) -> dict[str, Any]:
    key = HandsetKey(KEYS[name])
    canonical = json.dumps(key.public_jwk, sort_keys=True, separators=(",", ":"))
    secret = _base64url(SCALARS[name].to_bytes(32, "big"))
    return {"name": name, "public": key.public_jwk, "d": secret, "canonical": canonical, "thumbprint": key.thumbprint}


def _bad_keys() -> list[dict[str, Any]]:
    good, short = HandsetKey(KEYS["handset"]).public_jwk, HandsetKey(KEYS["short"]).public_jwk
    zero = "x" if short["x"].startswith("A") else "y"
    dropped = _base64url(base64.urlsafe_b64decode(short[zero] + "=").lstrip(b"\0"))
    return [
        {"because": "padding", "public": {**good, "x": good["x"] + "="}},
        {"because": "the leading zero byte was dropped", "public": {**short, zero: dropped}},
        {"because": "not a point of the curve", "public": {**good, "y": good["x"]}},
        {"because": "another curve", "public": {**good, "crv": "P-384"}},
        {"because": "no y", "public": {name: good[name] for name in ("crv", "kty", "x")}},
    ]


def _uuids() -> dict[str, Any]:
    made = [(CREATED * 1000 + 123, 0x2A5C9D03B1E47F60815), (0, 0), ((1 << 48) - 1, (1 << 74) - 1)]
    good = _uuid7(*made[0])
    return {
        "made": [{"unix_ms": at, "random_74_bits": f"{bits:019x}", "uuid": _uuid7(at, bits)} for at, bits in made],
        "bad": [
            {"uuid": good.upper(), "because": "capitals"},
            {"uuid": good.replace("-", ""), "because": "no hyphens"},
            {"uuid": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "because": "version 4"},
            {"uuid": good[:19] + "c" + good[20:], "because": "the variant is not binary 10"},
            {"uuid": good + "\n", "because": "a line feed at its end"},
        ],
    }


def _good() -> list[dict[str, Any]]:
    enrolment = vectors_events.enrolment_request(HandsetKey(KEYS["handset"]).public_jwk)
    thumbprint = HandsetKey(KEYS["handset"]).thumbprint
    posted = Signed(method="POST", target="/v1/events", body=EVENTS_BODY)
    return [
        _vector("a batch of events: the worked example", posted),
        _vector("a request without a body", Signed()),
        _vector(
            "an enrolment: keyid is the thumbprint",
            Signed(
                method="POST", target="/v1/enrolments", body=json.dumps(enrolment), parameters={"keyid": thumbprint}
            ),
        ),
        _vector(
            "query parameters: one component each, decoded and encoded again",
            Signed(target="/v1/round?word=%C3%A0+l%27%C3%A9t%C3%A9+%26+~1*&empty="),
        ),
        _vector("another label", Signed(label="sig1")),
        _vector("alg may be named", Signed(parameters={"alg": "ecdsa-p256-sha256"})),
        _vector("more may be covered", Signed(covered=("@path", "@method", "@authority"), parameters={"tag": "x"})),
        _vector("five minutes old", Signed(parameters={"created": CREATED - TOLERANCE})),
        _vector("five minutes ahead", Signed(parameters={"created": CREATED + TOLERANCE})),
    ]


def _bad() -> list[dict[str, Any]]:
    posted = {"method": "POST", "target": "/v1/events", "body": EVENTS_BODY}
    every = ("@method", "@authority", "@path", "content-digest")
    changed = EVENTS_BODY.replace("out-for-delivery", "presented")
    plain, event = Signed(), Signed(**posted)  # type: ignore[arg-type]
    return [
        *(
            _vector(f"{name} is not covered", replace(event, covered=tuple(n for n in every if n != name)), REFUSED)
            for name in every
        ),
        _vector(
            "a query parameter is not covered",
            Signed(target="/v1/round?a=1", covered=("@method", "@authority", "@path")),
            REFUSED,
        ),
        _vector("no created", replace(plain, without="created"), REFUSED),
        _vector("no nonce", replace(plain, without="nonce"), REFUSED),
        _vector("no keyid", replace(plain, without="keyid"), REFUSED),
        _vector("created too old", replace(plain, parameters={"created": CREATED - TOLERANCE - 1}), CLOCK_SKEWED),
        _vector("created in the future", replace(plain, parameters={"created": CREATED + TOLERANCE + 1}), CLOCK_SKEWED),
        _vector("expired", replace(plain, parameters={"expires": CREATED - 1}), REFUSED),
        _vector("another algorithm is named", replace(plain, parameters={"alg": "hmac-sha256"}), REFUSED),
        _vector("a device that is not enrolled", replace(plain, parameters={"keyid": OTHER_DEVICE}), REFUSED),
        _vector(
            "the thumbprint after enrolment",
            replace(plain, parameters={"keyid": HandsetKey(KEYS["handset"]).thumbprint}),
            REFUSED,
        ),
        _vector("another key", replace(plain, key="other"), REFUSED),
        _vector("a line feed at the end of the base", replace(plain, ending="\n"), REFUSED),
        _vector("the query in @path", Signed(target="/v1/round?a=1", path="/v1/round?a=1"), REFUSED),
        _vector("signed for another path", replace(plain, target="/v1/rounds"), REFUSED, sent=plain),
        _vector("signed for another method", replace(plain, method="POST"), REFUSED, sent=plain),
        _vector("signed for another host", replace(plain, authority="api.facteo.test:8443"), REFUSED, sent=plain),
        _vector("the body was changed", event, REFUSED, sent=replace(event, body=changed)),
        _vector(
            "the body and its digest were changed",
            event,
            REFUSED,
            sent=replace(event, body=changed),
            headers={"Content-Digest": content_digest(changed.encode())},
        ),
        _vector(
            "a digest algorithm that is not allowed", replace(event, digest="md5=:Xr4ilOzQ4PCOq3aQ0qbuaQ==:"), REFUSED
        ),
        _vector("the signature as DER", plain, REFUSED, headers={"Signature": f"facteo=:{_base64(plain.der())}:"}),
        _vector(
            "the signature in base64url", event, REFUSED, headers={"Signature": f"facteo=:{_base64url(event.raw())}:"}
        ),
        _vector("no signature", plain, REFUSED, headers={"Signature": "", "Signature-Input": ""}),
        _vector("two signatures", plain, REFUSED, headers=_twice(plain, replace(plain, label="second"))),
    ]


def _vector(
    name: str,
    signed: Signed,
    result: str = ACCEPTED,
    *,
    sent: Signed | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What is signed and what is sent: the same, unless `sent` or `headers` say otherwise. An empty header is none."""
    request = sent or signed
    told = {**signed.headers, **(headers or {})}
    return {
        "name": name,
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": {field: value for field, value in told.items() if value},
            "body": request.body,
        },
        "base": signed.base,
        "result": result,
    }


def _twice(one: Signed, other: Signed) -> dict[str, str]:
    return {name: f"{one.headers[name]}, {other.headers[name]}" for name in ("Signature-Input", "Signature")}


def _quoted(name: str) -> str:
    return name if name.startswith('"') else f'"{name}"'


def _bare(value: int | str) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def _uuid7(milliseconds: int, bits: int) -> str:
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    PATH.write_text(text())
