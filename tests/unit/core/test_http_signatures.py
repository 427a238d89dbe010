"""Signed requests: what a handset must cover, and every way in which a request is not what it signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from chalice.app import Blueprint, Chalice
from chalice.test import Client
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms
from http_message_signatures.algorithms import HTTPSignatureAlgorithm

from chalicelib.core import access, ids, journal
from chalicelib.core import clock as core_clock
from chalicelib.core import endpoint as frame
from chalicelib.core.access import Handset
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ClockSkewed
from chalicelib.core.schemas import Schema
from handset.signing import HandsetKey, Request, sign
from tests.support import dynamodb
from tests.support.api import AUTHORITY, Answered, Api, Caller
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import ITEM, HeldHandset, a_handset

COVERED = ("@method", "@authority", "@path", "content-digest")
NAMED = '"@query-param";name="word"'
ADMITTED = "no-round-today"
"""What `GET /v1/round` answers to a handset that is let in: its carrier is on no roster."""


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def signed(
    request: Request,
    handset: HeldHandset,
    covered: Sequence[str] = ("@method", "@authority", "@path"),
    *,
    algorithm: type[HTTPSignatureAlgorithm] = algorithms.ECDSA_P256_SHA256,
    key: Any = None,
    **options: Any,
) -> None:
    """Sign as the handset with the library itself, so that anything can be left out or put in."""
    private = key or handset.key.resolve_private_key("")
    told = {
        "created": core_clock.now(),
        "nonce": "n",
        "label": "facteo",
        "include_alg": False,
        "key_id": handset.device,
    }
    HTTPMessageSigner(
        signature_algorithm=algorithm,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={(told | options)["key_id"]: private}),
    ).sign(request, covered_component_ids=covered, **(told | options))


def asked(api: Api, dress: Callable[[Request], None], **query: str) -> Answered:
    return api.dressed(dress).get("/v1/round", **query)


def refused(answer: Answered) -> bool:
    return (answer.status, answer.problem) == (401, "identity-required")


class TestAdmitted:
    def test_a_signed_request_is_let_in(self, handset: HeldHandset) -> None:
        assert handset.calls().get("/v1/round").problem == ADMITTED
        assert handset.sync(handset.event()).status == 200

    def test_a_signed_query_parameter_is_let_in(self, handset: HeldHandset) -> None:
        answer = handset.calls().get("/v1/round", word="à l'été + 1 & ~2*")

        assert (answer.status, answer.problem) == (400, "request-invalid"), "it is the endpoint that does not know it"

    @pytest.mark.parametrize(
        "options", [{"include_alg": True}, {"tag": "facteo"}, {"label": "other"}, {"nonce": ""}, {"created": None}]
    )
    def test_what_does_not_matter_may_vary(self, api: Api, handset: HeldHandset, options: dict[str, Any]) -> None:
        if "created" in options:
            options = {"created": core_clock.now().astimezone(core_clock.PARIS)}

        assert asked(api, lambda request: signed(request, handset, **options)).problem == ADMITTED

    def test_more_may_be_covered_than_must_be(self, api: Api, handset: HeldHandset) -> None:
        covered = ["@path", "host", "@method", "@target-uri", "@authority", "@scheme"]

        assert asked(api, lambda request: signed(request, handset, covered)).problem == ADMITTED


class TestCoverage:
    @pytest.mark.parametrize("left_out", COVERED)
    def test_each_component_must_be_covered(self, api: Api, handset: HeldHandset, left_out: str) -> None:
        def dress(request: Request) -> None:
            sign(request, handset.key, key_id=handset.device, created=core_clock.now())
            covered = [name for name in COVERED if name != left_out]
            signed(request, handset, covered, use_existing_digest=True)

        assert refused(api.dressed(dress).post("/v1/events", handset.batch(handset.event())))
        assert journal.read(f"item/{ITEM}") == []

    def test_each_query_parameter_must_be_covered(self, api: Api, handset: HeldHandset) -> None:
        covered = ["@method", "@authority", "@path", NAMED]

        assert refused(asked(api, lambda request: signed(request, handset, covered[:3]), word="a"))
        assert refused(asked(api, lambda request: signed(request, handset, covered), word="a", more="b"))

    @pytest.mark.parametrize("name", ["é", 'a"', 'a";x="b', "a\\", "%", "a b", "", "A", "\x00"])
    def test_a_parameter_with_an_odd_name_is_refused_and_breaks_nothing(self, handset: HeldHandset, name: str) -> None:
        def dress(request: Request) -> None:
            signed(request, handset)

        answer = asked(handset.api, dress, **{name: "1"})

        assert answer.status in (400, 401)

    @pytest.mark.parametrize("missing", ["created", "nonce", "keyid"])
    def test_each_parameter_of_the_signature_must_be_there(
        self, api: Api, handset: HeldHandset, missing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build = HTTPMessageSigner._build_signature_base

        def without(self: Any, message: Any, *, signature_params: dict[str, Any], **rest: Any) -> Any:
            signature_params.pop(missing, None)
            return build(self, message, signature_params=signature_params, **rest)

        def dress(request: Request) -> None:
            with monkeypatch.context() as patched:
                patched.setattr(HTTPMessageSigner, "_build_signature_base", without)
                signed(request, handset)
            assert missing not in request.headers["Signature-Input"]

        assert refused(asked(api, dress))


class TestTampering:
    @pytest.mark.parametrize(
        "change",
        [
            {"method": "POST"},
            {"url": f"https://{AUTHORITY}/v1/rounds"},
            {"url": f"https://{AUTHORITY}/v1/round/"},
            {"url": "https://api.somebody-else.test/v1/round"},
            {"url": f"https://{AUTHORITY}:8443/v1/round"},
        ],
    )
    def test_a_signature_for_another_request_is_refused(
        self, api: Api, handset: HeldHandset, change: dict[str, str]
    ) -> None:
        def dress(request: Request) -> None:
            other = Request(**({"method": request.method, "url": request.url} | change))
            signed(other, handset)
            request.headers |= other.headers

        assert refused(asked(api, dress))

    def test_a_host_header_does_not_change_the_authority(self, api: Api, handset: HeldHandset) -> None:
        def dress(request: Request) -> None:
            other = Request(method="GET", url="https://evil.test/v1/round")
            signed(other, handset)
            request.headers |= other.headers | {"Host": "evil.test", "X-Forwarded-Host": "evil.test"}

        assert refused(asked(api, dress))

    def test_another_value_of_a_query_parameter_is_refused(self, api: Api, handset: HeldHandset) -> None:
        def dress(request: Request) -> None:
            other = Request(method="GET", url=f"https://{AUTHORITY}/v1/round?word=b")
            signed(other, handset, ["@method", "@authority", "@path", NAMED])
            request.headers |= other.headers

        assert refused(asked(api, dress, word="a"))

    @pytest.mark.parametrize("digest_too", [False, True])
    def test_another_body_is_refused(self, api: Api, handset: HeldHandset, digest_too: bool) -> None:
        wanted = json.dumps(handset.batch(handset.event())).encode()

        def dress(request: Request) -> None:
            other = Request(method="POST", url=request.url, body=wanted.replace(b"out-for-delivery", b"presented"))
            sign(other, handset.key, key_id=handset.device, created=core_clock.now())
            sign(request, handset.key, key_id=handset.device, created=core_clock.now())
            digest = request.headers["Content-Digest"]
            request.headers |= other.headers
            if digest_too:
                request.headers["Content-Digest"] = digest

        assert refused(api.dressed(dress).post("/v1/events", wanted))
        assert journal.read(f"item/{ITEM}") == []

    def test_the_key_of_another_handset_is_refused(self, api: Api, handset: HeldHandset) -> None:
        other = a_handset(api)

        assert refused(api.as_handset(other.key, handset.device).get("/v1/round"))
        assert refused(api.as_handset(HandsetKey.generate(), handset.device).get("/v1/round"))

    def test_the_device_id_of_a_signed_request_cannot_be_swapped(self, api: Api, handset: HeldHandset) -> None:
        other = a_handset(api)

        def dress(request: Request) -> None:
            signed(request, handset)
            request.headers["Signature-Input"] = request.headers["Signature-Input"].replace(
                handset.device, other.device
            )

        assert refused(asked(api, dress))

    def test_an_unknown_device_is_refused(self, api: Api, handset: HeldHandset) -> None:
        assert refused(api.as_handset(handset.key, ids.new()).get("/v1/round"))

    @pytest.mark.parametrize("key_id", ["", "x", "x" * 3000, "019AC9A0-0000-7000-8000-0000000000D1"])
    def test_what_is_no_device_id_is_not_even_looked_up(
        self, api: Api, handset: HeldHandset, aws: Cloud, key_id: str
    ) -> None:
        with aws.counting() as calls:
            assert refused(asked(api, lambda request: signed(request, handset, key_id=key_id)))
        assert calls == {}

    def test_two_signatures_are_refused(self, api: Api, handset: HeldHandset) -> None:
        other = a_handset(api)

        def dress(request: Request) -> None:
            signed(request, other, label="first")
            signed(request, handset, label="second", append_if_signature_exists=True)

        assert refused(asked(api, dress))

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Signature": "facteo=:AAAA:"},
            {"Signature-Input": 'facteo=("@method");created=1'},
            {"Signature": "garbage", "Signature-Input": "garbage"},
            {"Signature": "facteo=:AAAA:", "Signature-Input": 'facteo="@method"'},
            {"Signature": "facteo=:AAAA:", "Signature-Input": 'facteo=();created=99999999999999;nonce="n";keyid="k"'},
            {"Signature": "facteo=:AAAA:", "Signature-Input": 'facteo=();created="now";nonce="n";keyid="k"'},
            {"Signature": "facteo=:é:", "Signature-Input": 'facteo=("é")'},
        ],
    )
    def test_a_request_without_a_readable_signature_is_refused(self, api: Api, headers: dict[str, str]) -> None:
        assert refused(asked(api, lambda request: request.headers.update(headers)))


class TestAlgorithm:
    """The algorithm is ours: what the request names is at most refused."""

    def test_a_signature_with_the_public_key_as_shared_secret_is_refused(self, api: Api, handset: HeldHandset) -> None:
        public = handset.key.resolve_public_key("").public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for named in (True, False):
            assert refused(
                asked(
                    api,
                    lambda request, named=named: signed(
                        request, handset, algorithm=algorithms.HMAC_SHA256, key=public, include_alg=named
                    ),
                )
            )

    @pytest.mark.parametrize("name", ["rsa-pss-sha512", "hmac-sha256", "ecdsa-p384-sha384", "none", ""])
    def test_another_algorithm_named_in_a_good_signature_is_refused(
        self, api: Api, handset: HeldHandset, name: str
    ) -> None:
        class Misnamed(algorithms.ECDSA_P256_SHA256):  # type: ignore[misc]
            algorithm_id = name

        assert refused(asked(api, lambda request: signed(request, handset, algorithm=Misnamed, include_alg=True)))

    @pytest.mark.parametrize("algorithm", [algorithms.RSA_PSS_SHA512, algorithms.ECDSA_P384_SHA384])
    @pytest.mark.parametrize("named", [True, False])
    def test_a_signature_with_another_kind_of_key_is_refused(
        self, api: Api, handset: HeldHandset, algorithm: type[HTTPSignatureAlgorithm], named: bool
    ) -> None:
        rsa_key = algorithm is algorithms.RSA_PSS_SHA512
        key = rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP384R1())

        assert refused(
            asked(api, lambda request: signed(request, handset, algorithm=algorithm, key=key, include_alg=named))
        )


class TestClock:
    @pytest.mark.parametrize("seconds", [300, -300])
    def test_five_minutes_are_tolerated(self, handset: HeldHandset, seconds: int) -> None:
        assert handset.calls(clock_off_by=seconds).get("/v1/round").problem == ADMITTED

    @pytest.mark.parametrize("seconds", [301, -301, 86400 * 365 * 10, -86400 * 365 * 50])
    def test_beyond_them_the_handset_is_told_our_time(
        self, handset: HeldHandset, clock: FakeClock, seconds: int
    ) -> None:
        answer = handset.calls(clock_off_by=seconds).get("/v1/round")

        assert (answer.status, answer.problem) == (401, "clock-skewed")
        assert answer.body["server_time"] == core_clock.stamp(clock.at)

    def test_our_time_is_not_told_for_a_wrong_signature(self, api: Api, handset: HeldHandset) -> None:
        assert refused(api.as_handset(HandsetKey.generate(), handset.device, clock_off_by=900).get("/v1/round"))

    def test_an_expired_signature_is_refused(self, api: Api, handset: HeldHandset, clock: FakeClock) -> None:
        expired = clock.at - timedelta(seconds=1)

        assert refused(asked(api, lambda request: signed(request, handset, expires=expired)))


class Told(Schema):
    signed_at: datetime


@pytest.fixture
def whenever(handset: HeldHandset) -> Callable[[Callable[[Request], None]], Answered]:
    """Asks an endpoint of the tests' own, which takes signatures of any time and tells when it was made."""
    routes = Blueprint(__name__)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame, "REGISTRY", {})

        @endpoint(routes, "PUT /v1/whenever", allow=access.handset(any_clock=True))
        def tell(who: Handset) -> Told:
            return Told(signed_at=who.signed_at)

    app = Chalice("test")
    app.register_blueprint(routes)
    return lambda dress: Caller(Client(app), dress).put("/v1/whenever", {"a": "body"})


class TestAnyClock:
    """What must never be refused for the time: all else of the signature is checked as ever."""

    @pytest.mark.parametrize("seconds", [0, 301, -301, 86400 * 365 * 10, 86400 * 365 * 100, -86400 * 365 * 40])
    def test_whenever_it_was_signed_it_is_let_in_and_the_moment_told(
        self, handset: HeldHandset, whenever: Any, clock: FakeClock, seconds: int
    ) -> None:
        signed_at = clock.at + timedelta(seconds=seconds)

        answer = whenever(lambda request: sign(request, handset.key, key_id=handset.device, created=signed_at))

        assert (answer.status, answer.body) == (200, {"signed_at": signed_at.isoformat().replace("+00:00", "Z")})

    @pytest.mark.parametrize(
        ("created", "told"), [(10**14, "9999-01-01T00:00:00Z"), (-(10**14), "1970-01-01T00:00:00Z")]
    )
    def test_a_clock_beyond_the_calendar_is_none_either(
        self, handset: HeldHandset, whenever: Any, created: int, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Moment(datetime):
            def timestamp(self) -> float:
                return created

        answer = whenever(
            lambda request: sign(request, handset.key, key_id=handset.device, created=Moment.now(core_clock.PARIS))
        )

        assert (answer.status, answer.body) == (200, {"signed_at": told})

    def test_it_may_even_have_expired(self, handset: HeldHandset, whenever: Any, clock: FakeClock) -> None:
        expired = clock.at - timedelta(days=1)

        answer = whenever(lambda request: _whole(request, handset, expires=expired))

        assert answer.status == 200

    def test_another_key_is_refused(self, handset: HeldHandset, whenever: Any, clock: FakeClock) -> None:
        other = HandsetKey.generate()

        assert refused(whenever(lambda request: sign(request, other, key_id=handset.device, created=clock.at)))

    @pytest.mark.parametrize("left_out", COVERED)
    def test_each_component_must_be_covered(self, handset: HeldHandset, whenever: Any, left_out: str) -> None:
        covered = [name for name in COVERED if name != left_out]

        assert refused(whenever(lambda request: _whole(request, handset, covered)))

    def test_another_body_is_refused(self, handset: HeldHandset, whenever: Any) -> None:
        def dress(request: Request) -> None:
            other = Request(method=request.method, url=request.url, body=b"another")
            _whole(other, handset)
            request.headers |= other.headers

        assert refused(whenever(dress))

    def test_a_retired_handset_is_refused(self, api: Api, whenever: Any, clock: FakeClock) -> None:
        retired = a_handset(api, state="retired")

        answer = whenever(lambda request: sign(request, retired.key, key_id=retired.device, created=clock.at))

        assert (answer.status, answer.problem) == (403, "device-blocked")

    def test_it_is_described_so(self) -> None:
        rule = access.handset(any_clock=True, blocked_too=True)

        assert ClockSkewed not in rule.problems
        assert rule.told == "For handsets, blocked ones too. Whatever their clock says."
        assert ClockSkewed in access.handset().problems


def _whole(request: Request, handset: HeldHandset, covered: Sequence[str] = COVERED, **options: Any) -> None:
    """Sign a request whose digest is there, whether it is covered or not."""
    sign(request, handset.key, key_id=handset.device, created=core_clock.now())
    signed(request, handset, covered, use_existing_digest=True, **options)


def test_an_outage_is_not_told_as_a_wrong_signature(handset: HeldHandset) -> None:
    """A handset that is told that its identity is wrong would give up; it shall come again."""
    with dynamodb.refusing("GetItem", dynamodb.error("InternalServerError")):
        assert handset.calls().get("/v1/round").status >= 500
