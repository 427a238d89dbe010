"""The handset's signature, verified without the library that made it, and by the back office."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import ECKey

from handset.signing import HandsetKey, Request, sign

AT = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
BODY = '{"name": "Zoé"}'.encode()
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"


@pytest.fixture
def key() -> HandsetKey:
    return HandsetKey.generate()


def signed(key: HandsetKey, path: str = "/v1/events", body: bytes = BODY, *query: str) -> Request:
    request = Request("POST", f"https://api.facteo.test{path}", {"Host": "api.facteo.test"}, body, query)
    sign(request, key, key_id="the-device", created=AT)
    return request


def verify(request: Request, key: HandsetKey, lines: list[str]) -> None:
    """Verify over a signature base (RFC 9421, section 2.5) made of these lines. Raises InvalidSignature."""
    parameters = request.headers["Signature-Input"].removeprefix("facteo=")
    base = "\n".join([*lines, f'"@signature-params": {parameters}']).encode()
    raw = base64.b64decode(request.headers["Signature"].removeprefix("facteo=:").removesuffix(":"))
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    assert len(raw) == 64
    public = ECKey.import_key(dict(key.public_jwk)).public_key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(encode_dss_signature(r, s), base, ec.ECDSA(hashes.SHA256()))


def covered(request: Request) -> list[str]:
    inner = re.fullmatch(r"facteo=\((.*?)\);.*", request.headers["Signature-Input"])
    assert inner
    return inner[1].split()


def test_the_signature_covers_method_name_path_and_body(key: HandsetKey) -> None:
    request = signed(key)
    base = [
        '"@method": POST',
        '"@authority": api.facteo.test',
        '"@path": /v1/events',
        f'"content-digest": {DIGEST}',
    ]
    assert request.headers["Content-Digest"] == DIGEST
    verify(request, key, base)
    with pytest.raises(InvalidSignature):
        verify(request, key, [base[0], base[1], '"@path": /v1/round', base[3]])


def test_each_query_parameter_is_covered_by_name(key: HandsetKey) -> None:
    request = signed(key, "/v1/devices?carrier=C%201&after=", b"", "carrier", "after")
    base = [
        '"@method": POST',
        '"@authority": api.facteo.test',
        '"@path": /v1/devices',
        '"@query-param";name="carrier": C%201',
        '"@query-param";name="after": ',
    ]
    verify(request, key, base)
    assert covered(request)[3:] == ['"@query-param";name="carrier"', '"@query-param";name="after"']


def test_its_parameters_say_when_by_whom_and_for_which_request(key: HandsetKey) -> None:
    first, second = signed(key), signed(key)
    found = dict(re.findall(r';(\w+)="?([^";]+)', first.headers["Signature-Input"].partition(")")[2]))
    assert found.keys() == {"created", "keyid", "nonce"}
    assert (found["created"], found["keyid"]) == (str(int(AT.timestamp())), "the-device")
    assert found["nonce"] not in second.headers["Signature-Input"]


def test_the_key_is_kept_for_its_owner_only_and_taken_up_again(key: HandsetKey, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert HandsetKey.load(path).public_jwk == key.public_jwk
    assert [found.name for found in tmp_path.iterdir()] == ["key.pem"]


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    other = Ed25519PrivateKey.generate()
    path.write_bytes(other.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()))
    with pytest.raises(TypeError, match="elliptic-curve"):
        HandsetKey.load(path)


@pytest.mark.parametrize("attempt", range(8))
def test_the_thumbprint_is_that_of_rfc_7638(attempt: int) -> None:
    """Often enough that coordinates with leading zero bits come by."""
    key = HandsetKey.generate()
    assert key.thumbprint == ECKey.import_key(dict(key.public_jwk)).thumbprint()
