"""Bearer tokens: which are believed, what their claims allow, and how the issuer's keys are kept."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from chalicelib.core import access, oidc, settings
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, IdentityRequired, Problem, Unavailable
from chalicelib.core.signing import base64url
from tests.support.clock import FakeClock
from tests.support.tokens import TokenIssuer

STAFF = access.staff("ops", "auditor")
CLIENT = access.client("tracking.read")


@pytest.fixture(autouse=True)
def _fresh(clock: FakeClock, issuer: TokenIssuer) -> Iterator[None]:
    """A function that has read neither settings nor keys, and an issuer whose key set was not asked for."""
    issuer.fetches = 0
    settings.load.cache_clear()
    oidc.forget()
    yield
    settings.load.cache_clear()
    oidc.forget()


def a_call(authorization: str = "") -> Call:
    return Call(
        method="GET",
        path="/",
        headers={"authorization": authorization} if authorization else {},
        query={},
        path_parameters={},
        body=b"",
        correlation_id="c",
    )


def admitted(token: str, rule: Any = STAFF) -> Any:
    return rule.admit(a_call(f"Bearer {token}"))


def segment(told: Any) -> str:
    return base64url(json.dumps(told).encode())


class TestClaims:
    def test_roles_and_scopes_come_from_the_claims(self, issuer: TokenIssuer) -> None:
        token = issuer.staff("ops", "dispatcher", "gardeners", scope="depot/75015A zone/PARIS-SUD", sub="s-7")

        assert admitted(token) == StaffMember(
            actor="staff/s-7",
            roles=frozenset({"ops", "dispatcher"}),
            scopes=frozenset({"depot/75015A", "zone/PARIS-SUD"}),
        )

    def test_groups_of_another_provider_are_roles_too(self, issuer: TokenIssuer) -> None:
        assert admitted(issuer.token(groups=["auditor"])).roles == {"auditor"}

    def test_a_token_without_scopes_reaches_nothing(self, issuer: TokenIssuer) -> None:
        assert not admitted(issuer.token(groups=["ops"])).reaches("75015A", "PARIS-SUD")

    @pytest.mark.parametrize(
        ("scope", "reached"),
        [
            ("*", True),
            ("depot/75015A", True),
            ("zone/PARIS-SUD", True),
            ("depot/75018A zone/", False),
            ("75015A", False),
        ],
    )
    def test_a_depot_is_reached_by_itself_or_by_its_zone(self, issuer: TokenIssuer, scope: str, reached: bool) -> None:
        assert admitted(issuer.staff("ops", scope=scope)).reaches("75015A", "PARIS-SUD") is reached

    @pytest.mark.parametrize("roles", [(), ("dispatcher",), ("OPS",), ("ops ",)])
    def test_another_role_is_denied(self, issuer: TokenIssuer, roles: tuple[str, ...]) -> None:
        with pytest.raises(AccessDenied):
            admitted(issuer.staff(*roles))

    def test_a_rule_names_roles_that_exist(self) -> None:
        for roles in ((), ("postmaster",)):
            with pytest.raises(ValueError, match="role"):
                access.staff(*roles)

    def test_another_system_needs_the_scope(self, issuer: TokenIssuer) -> None:
        who = admitted(issuer.client("tracking.read", "items.read"), CLIENT)

        assert (who.actor, who.scopes) == ("client/tracking-site", {"tracking.read", "items.read"})
        for scopes in ((), ("items.read",), ("tracking",)):
            with pytest.raises(AccessDenied):
                admitted(issuer.client(*scopes), CLIENT)

    def test_a_scope_of_another_resource_server_is_not_ours(self, issuer: TokenIssuer) -> None:
        with pytest.raises(AccessDenied):
            admitted(issuer.token(aud="tracking-site", scope="another-api/tracking.read"), CLIENT)

    def test_the_claim_with_depots_and_zones_is_a_setting(
        self, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FACTEO_OIDC_SCOPE_CLAIM", "depots")
        assert admitted(issuer.staff("ops", depots="depot/75015A", scope="*")).scopes == {"depot/75015A"}

    def test_an_access_token_names_its_audience_as_client_id(self, issuer: TokenIssuer) -> None:
        """Cognito puts `aud` into id tokens only."""
        assert admitted(issuer.staff("ops", aud=None, client_id="staff-web")).roles == {"ops"}
        for client_id in ("somebody-else", None):
            with pytest.raises(IdentityRequired):
                admitted(issuer.staff("ops", aud=None, client_id=client_id))

    def test_staff_are_no_client_and_clients_are_no_staff(self, issuer: TokenIssuer) -> None:
        with pytest.raises(AccessDenied):
            admitted(issuer.staff("ops"), CLIENT)
        with pytest.raises(AccessDenied):
            admitted(issuer.client("tracking.read"), STAFF)


class TestRefused:
    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer\tx", "x y z"])
    def test_a_call_without_a_token(self, header: str) -> None:
        with pytest.raises(IdentityRequired):
            STAFF.admit(a_call(header))

    def test_the_scheme_may_be_in_any_case(self, issuer: TokenIssuer) -> None:
        assert STAFF.admit(a_call(f"bearer {issuer.staff('ops')}")).roles == {"ops"}

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://evil.test"},
            {"iss": "https://login.facteo.test/"},
            {"iss": None},
            {"aud": "another-app"},
            {"aud": ["another-app", "a-third"]},
            {"aud": "staff-web tracking-site"},
            {"aud": None},
            {"exp": "tomorrow"},
            {"exp": None},
            {"nbf": "yesterday"},
            {"sub": ""},
            {"sub": None},
        ],
    )
    def test_a_token_that_has_a_wrong_claim_or_lacks_one(self, issuer: TokenIssuer, claims: dict[str, Any]) -> None:
        with pytest.raises(IdentityRequired):
            admitted(issuer.staff("ops", **claims))

    def test_one_audience_of_several_is_enough(self, issuer: TokenIssuer) -> None:
        assert admitted(issuer.staff("ops", aud=["another-app", "staff-web"])).roles == {"ops"}

    @pytest.mark.parametrize(("claim", "within", "beyond"), [("exp", -60, -61), ("nbf", 60, 61)])
    def test_a_minute_of_another_clock_is_tolerated(
        self, issuer: TokenIssuer, clock: FakeClock, claim: str, within: int, beyond: int
    ) -> None:
        now = int(clock().timestamp())

        assert admitted(issuer.staff("ops", **{claim: now + within})).roles == {"ops"}
        with pytest.raises(IdentityRequired):
            admitted(issuer.staff("ops", **{claim: now + beyond}))

    def test_a_token_signed_by_another_key_of_the_same_name(self, issuer: TokenIssuer) -> None:
        with pytest.raises(IdentityRequired):
            admitted(issuer.token(key=RSAKey.generate_key(2048), groups=["ops"]))

    def test_a_token_signed_with_the_public_key_as_shared_secret(self, issuer: TokenIssuer) -> None:
        signing_input = f"{segment({'alg': 'HS256', 'kid': 'test-1'})}.{issuer.staff('ops').split('.')[1]}"
        for public in (issuer.key.as_pem(private=False), issuer.key.as_der(private=False)):
            mac = hmac.digest(public, signing_input.encode(), "sha256")
            with pytest.raises(IdentityRequired):
                admitted(f"{signing_input}.{base64url(mac)}")

    @pytest.mark.parametrize("alg", ["none", "None", "", None, "RS512", "PS256", "ES256"])
    def test_a_token_of_another_algorithm(self, issuer: TokenIssuer, alg: str | None) -> None:
        _, claims, signature = issuer.staff("ops").split(".")
        for end in ("", signature):
            with pytest.raises(IdentityRequired):
                admitted(f"{segment({'alg': alg, 'kid': 'test-1'})}.{claims}.{end}")

    @pytest.mark.parametrize(
        "token",
        [
            "x",
            "..",
            "a.b.c",
            "é.é.é",
            "a.b.c.d.e",
            *(
                f"{segment(header)}.{segment({})}.AAAA"
                for header in ([], "x", None, 7, {}, {"alg": "RS256", "kid": []})
            ),
            f"{segment({'alg': 'RS256', 'kid': 'test-1'})}.AAAA.AAAA",
        ],
    )
    def test_garbage(self, token: str) -> None:
        with pytest.raises(IdentityRequired):
            admitted(token)

    @pytest.mark.parametrize("claims", [[], "x", None])
    def test_a_signed_token_whose_claims_are_no_object(self, issuer: TokenIssuer, claims: Any) -> None:
        token = jws.serialize_compact(
            {"alg": "RS256", "kid": "test-1"}, json.dumps(claims).encode(), issuer.key, algorithms=["RS256"]
        )
        with pytest.raises(IdentityRequired):
            admitted(token)


class TestKeySet:
    def test_it_is_read_once_an_hour(self, issuer: TokenIssuer, clock: FakeClock) -> None:
        for _ in range(3):
            admitted(issuer.staff("ops"))
        assert issuer.fetches == 1

        clock.advance(minutes=59, seconds=59)
        admitted(issuer.staff("ops"))
        assert issuer.fetches == 1

        clock.advance(seconds=1)
        admitted(issuer.staff("ops"))
        assert issuer.fetches == 2

    def test_an_unknown_key_makes_it_read_again_twice_a_minute_at_most(
        self, issuer: TokenIssuer, clock: FakeClock
    ) -> None:
        admitted(issuer.staff("ops"))
        for _ in range(60):
            with pytest.raises(IdentityRequired):
                admitted(issuer.token(kid="unheard-of", groups=["ops"]))
            clock.advance(seconds=1)

        assert issuer.fetches == 1 + 1

    def test_a_new_key_of_the_issuer_is_found(self, issuer: TokenIssuer, clock: FakeClock) -> None:
        admitted(issuer.staff("ops"))
        new = RSAKey.generate_key(2048, {"kid": "test-2"})
        clock.advance(seconds=30)

        with issuer.publishing(issuer.key_set_of(new)):
            assert admitted(issuer.token(key=new, kid="test-2", groups=["ops"])).roles == {"ops"}

    def test_keys_without_a_name_or_of_another_kind_are_passed_over(self, issuer: TokenIssuer) -> None:
        others = (RSAKey.generate_key(2048), ECKey.generate_key("P-256", {"kid": "curve"}))

        with issuer.publishing(issuer.key_set_of(*others, issuer.key)):
            assert admitted(issuer.staff("ops")).roles == {"ops"}
            with pytest.raises(IdentityRequired):
                admitted(issuer.token(kid="curve", groups=["ops"]))

    @pytest.mark.parametrize("document", [b"<html>down</html>", b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": [7]}'])
    def test_an_answer_that_is_no_key_set_is_an_outage(self, issuer: TokenIssuer, document: bytes) -> None:
        with issuer.publishing(document), pytest.raises(Unavailable):
            admitted(issuer.staff("ops"))

        assert admitted(issuer.staff("ops")).roles == {"ops"}, "what was wrong is not kept"

    def test_a_provider_that_is_down_is_a_503(self, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FACTEO_OIDC_JWKS", "http://127.0.0.1:1/jwks.json")

        with pytest.raises(Problem) as refused:
            admitted(issuer.staff("ops"))
        assert refused.value.status == 503

    @pytest.mark.parametrize("hours", [0, 2, 30])
    def test_keys_that_are_held_outlast_an_outage(self, issuer: TokenIssuer, clock: FakeClock, hours: int) -> None:
        admitted(issuer.staff("ops"))
        clock.advance(hours=hours)

        with issuer.publishing(b""):
            assert admitted(issuer.staff("ops")).roles == {"ops"}
            asked = issuer.fetches
            assert admitted(issuer.staff("ops")).roles == {"ops"}
            assert issuer.fetches == asked, "a provider that is down is not asked for each request"
        clock.advance(seconds=30)
        admitted(issuer.staff("ops"))
        assert issuer.fetches == asked + (hours > 0)
