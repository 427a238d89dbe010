"""What the back office signs, verified with an independent library."""

from __future__ import annotations

import base64
import json

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey

from chalicelib.core import signing
from chalicelib.core.schemas import Schema
from handset.signing import HandsetKey
from tests.support.cloud import Cloud
from tests.support.crashes import after_step, die


class Order(Schema):
    what: str


def verified(token: str) -> jws.CompactSignature:
    [key] = signing.public_keys()
    return jws.deserialize_compact(token, ECKey.import_key(key), algorithms=["ES256"])


def test_a_signature_is_a_jws_that_others_verify(aws: Cloud) -> None:
    for number in range(5):
        signed = verified(signing.sign(Order(what=f"wipé {number}")))

        assert json.loads(signed.payload) == {"what": f"wipé {number}"}
        assert signed.headers() == {"alg": "ES256", "kid": signing.public_keys()[0]["kid"]}


@pytest.mark.parametrize("part", [0, 1])
def test_a_changed_header_or_payload_is_noticed(aws: Cloud, part: int) -> None:
    parts = signing.sign(Order(what="wipe")).split(".")
    changed = json.loads(base64.urlsafe_b64decode(parts[part] + "==")) | {("kid", "what")[part]: "another"}
    parts[part] = signing.base64url(json.dumps(changed).encode())

    with pytest.raises(BadSignatureError):
        verified(".".join(parts))


def test_the_key_id_is_the_thumbprint_of_the_public_key(aws: Cloud) -> None:
    [key] = signing.public_keys()

    assert key["kid"] == ECKey.import_key(key).thumbprint()
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_a_thumbprint_does_not_depend_on_order_or_other_members() -> None:
    jwk = HandsetKey.generate().public_jwk
    dressed = dict(reversed(jwk.items())) | {"use": "sig", "kid": "k"}

    assert signing.thumbprint(jwk) == signing.thumbprint(dressed) == ECKey.import_key(jwk).thumbprint()


def test_a_signature_costs_one_call_of_kms(aws: Cloud) -> None:
    signing.public_keys()

    with after_step(0, die) as steps:
        signing.sign(Order(what="wipe"))

    assert steps.names == ["Sign"]
