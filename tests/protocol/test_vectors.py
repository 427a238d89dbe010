"""The test vectors for makers of handsets are what the reference handset does and what the back office answers."""

from __future__ import annotations

import enum
import json
import re
import urllib.parse
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from joserfc.jwk import ECKey

import app  # noqa: F401 - it declares the problems
from chalicelib.core import ids
from chalicelib.core.endpoint import MIB
from chalicelib.core.errors import Problem
from chalicelib.fleet.rules import POLICY
from chalicelib.sync.drafts import ACCEPTED, MAX_EVENT_BYTES
from chalicelib.sync.rules import WINDOW
from handset.signing import HandsetKey, Request, sign
from infra import vectors
from infra.build import ROOT
from tests.support.api import AUTHORITY, Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import a_handset

VECTORS: dict[str, Any] = json.loads(vectors.PATH.read_text())
KEYS = {key["name"]: key for key in VECTORS["keys"]}
PAGE = (ROOT / "docs" / "protocol" / "README.md").read_text()
EXAMPLE = VECTORS["signatures"][0]


def named(part: str) -> list[Any]:
    return [pytest.param(each, id=each["name"]) for each in VECTORS[part]]


def sent(api: Api, request: dict[str, Any]) -> Answered:
    """The request exactly as the vector has it."""
    target = request["url"].removeprefix(f"https://{AUTHORITY}")
    return api.as_nobody().request(request["method"], target, request["body"].encode(), **request["headers"])


def test_the_committed_vectors_are_what_the_script_gives() -> None:
    assert vectors.PATH.read_text() == vectors.text(), "run 'python -m infra.vectors'"


def test_they_are_for_the_name_and_the_time_of_these_tests(clock: FakeClock) -> None:
    assert VECTORS["authority"] == AUTHORITY
    assert VECTORS["now"] == clock.at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("key", named("keys"))
def test_a_key_has_the_thumbprint_that_others_compute(key: dict[str, Any]) -> None:
    assert ECKey.import_key({**key["public"], "d": key["d"]}).thumbprint() == key["thumbprint"]


@pytest.mark.parametrize("key", [pytest.param(each, id=each["because"]) for each in VECTORS["bad_keys"]])
def test_a_key_in_another_form_is_refused(api: Api, key: dict[str, Any]) -> None:
    body = vectors.vectors_events.enrolment_request(key["public"])
    assert api.as_nobody().post("/v1/enrolments", body).problem == "request-invalid"


@pytest.mark.parametrize("vector", named("signatures"))
def test_a_signature_is_taken_or_refused_as_it_says(api: Api, vector: dict[str, Any]) -> None:
    a_handset(api, VECTORS["device"], key=msgspec.json.encode(KEYS["handset"]["public"]).decode())
    answer = sent(api, vector["request"])
    refused_as = answer.problem if answer.problem in {"identity-required", "clock-skewed"} else "accepted"
    assert refused_as == vector["result"], answer.text


@pytest.mark.parametrize("index", range(3))
def test_the_reference_handset_signs_the_same(index: int) -> None:
    vector = VECTORS["signatures"][index]
    signed = vector["request"]
    [(key_id, nonce)] = re.findall(r'keyid="(.*?)";nonce="(.*?)"', signed["headers"]["Signature-Input"])
    request = Request(signed["method"], signed["url"], {"Host": AUTHORITY}, signed["body"].encode())
    with patch("secrets.token_urlsafe", lambda _: nonce):
        sign(request, HandsetKey(vectors.KEYS["handset"]), key_id=key_id, created=vectors.NOW)
    for name in ("Content-Digest", "Signature-Input"):
        assert request.headers.get(name) == signed["headers"].get(name)


def test_the_digests_are_those_of_the_reference_handset() -> None:
    for vector in VECTORS["digests"]:
        request = Request("POST", f"https://{AUTHORITY}/", {}, vector["body"].encode())
        sign(request, HandsetKey.generate(), key_id="x", created=vectors.NOW)
        assert request.headers["Content-Digest"] == vector["content_digest"]


def test_the_uuids_are_ours() -> None:
    for made in VECTORS["uuid7"]["made"]:
        found = int(made["uuid"].replace("-", ""), 16)
        assert ids.is_uuid7(made["uuid"])
        assert found >> 80 == made["unix_ms"]
        assert (found >> 64 & 0xFFF) << 62 | found & ((1 << 62) - 1) == int(made["random_74_bits"], 16)
    for bad in VECTORS["uuid7"]["bad"]:
        assert not ids.is_uuid7(bad["uuid"]), bad["because"]


@pytest.mark.parametrize("vector", named("events"))
def test_an_event_is_recorded_or_refused_as_it_says(api: Api, vector: dict[str, Any]) -> None:
    device = a_handset(api, VECTORS["device"])
    [result] = device.calls().post("/v1/events", vectors.vectors_events.batch([vector["event"]])).body["results"]
    problem = (result["problem"] or {}).get("type")
    assert (result["result"], problem) == (vector["result"], vector["problem"] and f"/problems/{vector['problem']}")


def test_a_sync_goes_as_it_says(api: Api) -> None:
    device = a_handset(api, VECTORS["device"])
    for step in VECTORS["sync"]:
        answer = device.calls().post("/v1/events", vectors.vectors_events.batch(step["events"])).body
        assert [result["result"] for result in answer["results"]] == step["results"], step["name"]
        assert answer["acknowledged_through"] == step["acknowledged_through"], step["name"]
        if step["problem"]:
            assert answer["results"][0]["problem"]["type"] == f"/problems/{step['problem']}", step["name"]


def test_the_pages_example_is_the_first_vector() -> None:
    request, key = EXAMPLE["request"], KEYS["handset"]
    told = [EXAMPLE["base"], request["body"], key["canonical"], key["thumbprint"], key["d"]]
    told += [f"{name}: {value}" for name, value in request["headers"].items()]
    assert [text for text in told if text not in PAGE] == []
    assert urllib.parse.urlsplit(request["url"]).path in PAGE


def test_the_page_names_every_type_value_limit_and_refusal() -> None:
    kinds = [fact.body for fact in ACCEPTED.values()]
    fields = {field.type for kind in kinds for field in msgspec.structs.fields(kind)}
    values = [value for kind in fields if isinstance(kind, type) and issubclass(kind, enum.Enum) for value in kind]
    limits = [POLICY.batch_events, POLICY.batch_bytes, MAX_EVENT_BYTES, MIB // 8, WINDOW]
    own = {"chalicelib.sync.problems", "chalicelib.fleet.rules", "chalicelib.rounds.bundle"}
    refusals = [problem.slug() for problem in Problem.__subclasses__() if problem.__module__ in own]
    told = [*ACCEPTED, *values, *refusals, *map("{:,}".format, limits)]
    assert len(values) > 15
    assert len(refusals) > 12
    assert [each for each in told if each not in PAGE] == []
