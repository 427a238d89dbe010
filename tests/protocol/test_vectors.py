"""The test vectors for makers of handsets are what the reference handset does and what the back office answers."""

from __future__ import annotations

import enum
import json
import math
import re
import urllib.parse
from datetime import datetime
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from joserfc.jwk import ECKey

import app  # noqa: F401 - it declares the problems
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.alerts import aml, ladder, pins, policies, pushes
from chalicelib.alerts.following import NoOpenAlert
from chalicelib.alerts.pins import PinLocked, PinsAlike, PinsMissing, PinWrong
from chalicelib.alerts.pushes import PushNotConfigured
from chalicelib.alerts.raising import AlertIdTaken
from chalicelib.alerts.schemas import (
    EnterPin,
    Fix,
    HandsetAlert,
    Method,
    Purpose,
    RaiseAlert,
    ReportPositions,
    SetPins,
    Status,
    Trigger,
)
from chalicelib.core import ids
from chalicelib.core.endpoint import MIB, REGISTRY
from chalicelib.core.errors import Problem
from chalicelib.core.facts import MAX_EVENT_BYTES
from chalicelib.core.schemas import Schema
from chalicelib.fleet.rules import POLICY
from chalicelib.items import identifiers
from chalicelib.items.schemas import Addressee
from chalicelib.passes.schemas import PassTold
from chalicelib.proxies.carried import CarriedPrincipal, CarriedProxy, Kind, Scope
from chalicelib.proxies.schemas import Flag
from chalicelib.redirections.carried import (
    CarriedBeneficiary,
    CarriedRedirection,
    Reach,
    RedirectionKind,
    RedirectionScope,
)
from chalicelib.redirections.schemas import Action
from chalicelib.rounds.carried import Bundle, BundleItem
from chalicelib.signatures import drawings, evidence, procedures, rules
from chalicelib.signatures.schemas import Act, Mention, Receiver
from chalicelib.sync.drafts import ACCEPTED
from chalicelib.sync.rules import WINDOW
from handset import acts, sos
from handset import aml as handset_aml
from handset.signing import HandsetKey, Request, sign
from infra import vectors
from infra.build import ROOT
from tests.support.api import AUTHORITY, Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import a_handset

VECTORS: dict[str, Any] = json.loads(vectors.PATH.read_text())
KEYS = {key["name"]: key for key in VECTORS["keys"]}
PAGE = (ROOT / "docs" / "protocol" / "README.md").read_text()
BLOCKS = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
EXAMPLE = VECTORS["signatures"][0]
OF_THE_ACT = {
    Mention.SIGNATURE,
    Mention.DOCUMENT,
    Mention.EARLIER_PROOF,
    Mention.CARRIER_SIGNATURE,
    Mention.PRESENTATION_DATE,
}
"""What an act adds to a proof, by some procedures and not by others."""


def named(part: str) -> list[Any]:
    return [pytest.param(each, id=each["name"]) for each in VECTORS[part]]


def events_of(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that carry an act, with the strokes that the vector leaves to the rule."""
    if not vector["points_by_rule"]:
        return list(vector["events"])
    drawing = vectors.vectors_acts.by_rule(vector["points_by_rule"])
    return [{**event, "data": {**event["data"], "drawing": drawing}} for event in vector["events"]]


def problem_of(result: dict[str, Any]) -> str | None:
    """The last part of a problem's type."""
    return result["problem"] and result["problem"]["type"].removeprefix("/problems/")


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


def test_a_barcode_leads_to_the_item_or_to_the_refusal_that_it_says(api: Api) -> None:
    device, barcodes = a_handset(api, VECTORS["device"]), VECTORS["barcodes"]
    events = [
        vectors.vectors_events.event(
            place,
            subject=f"item/{vector['number']}",
            data={"barcode": {name: vector[name] for name in ("raw", "symbology")}, "step": "presented"},
        )
        for place, vector in enumerate(barcodes, start=1)
    ]
    results = device.calls().post("/v1/events", vectors.vectors_events.batch(events)).body["results"]
    for vector, result in zip(barcodes, results, strict=True):
        expected = {"type": "/problems/unknown-identifier", "code": vector["refused"]} if vector["refused"] else None
        assert result["result"] == ("refused" if expected else "recorded"), (vector["name"], result)
        assert expected is None or expected.items() <= result["problem"].items(), (vector["name"], result)


def test_every_kind_of_barcode_and_refusal_has_a_vector() -> None:
    kinds = {identifiers.parse(each["raw"]).kind for each in VECTORS["barcodes"] if each["number"]}
    assert kinds == set(identifiers.Kind) - {identifiers.Kind.TAKEN_IN_CHARGE}
    elsewhere = {"too-long", "no-item-number", "product-malformed", "parcel-number-malformed"}
    assert {each["refused"] for each in VECTORS["barcodes"]} == {
        None,
        "label-only",
        *(set(identifiers.Refusal) - elsewhere),
    }


@pytest.mark.parametrize("vector", named("batches"))
def test_a_batch_that_is_none_is_refused_whole(api: Api, vector: dict[str, Any]) -> None:
    answer = a_handset(api, VECTORS["device"]).calls().post("/v1/events", vector["body"])
    assert (answer.status, answer.problem) == (vector["status"], vector["problem"])


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


@pytest.mark.parametrize("vector", named("acts"))
def test_an_act_is_recorded_or_refused_as_it_says(api: Api, vector: dict[str, Any]) -> None:
    device = a_handset(api, VECTORS["device"], key=msgspec.json.encode(KEYS["handset"]["public"]).decode())
    device.key = HandsetKey(vectors.KEYS["handset"])
    batch = vectors.vectors_events.batch(events_of(vector))
    results = device.calls().post("/v1/events", batch).body["results"]
    assert [result["result"] for result in results] == vector["results"], results
    assert problem_of(results[-1]) == vector["problem"], results


@pytest.mark.parametrize("vector", [each for each in named("acts") if each.values[0]["canonical"]])
def test_the_reference_handset_signs_the_same_act(vector: dict[str, Any]) -> None:
    act, data = json.loads(vector["canonical"]), events_of(vector)[-1]["data"]
    signed = acts.signed(act, HandsetKey(vectors.KEYS["handset"]), VECTORS["device"])
    assert acts.canonical(act).decode() == vector["canonical"]
    assert signed.rpartition(".")[0] == data["act"].rpartition(".")[0]
    assert acts.shown(vector["shown"]) == act["shown"]
    if not vector["problem"]:
        names = [drawing and acts.name_of(drawing) for drawing in (data["drawing"], data["carrier_drawing"])]
        assert names == [act.get("drawing"), act.get("carrier_drawing")]


def test_every_problem_of_an_act_and_every_procedure_has_a_vector() -> None:
    own = {problem.slug() for problem in Problem.__subclasses__() if problem.__module__ == evidence.__name__}
    assert own <= {each["problem"] for each in VECTORS["acts"]}
    named = {json.loads(each["canonical"])["procedure"] for each in VECTORS["acts"] if each["canonical"]}
    in_force = {each.name for each in procedures.PROCEDURES if procedures.holds_on(each, vectors.NOW.date())}
    assert in_force <= named


def test_the_largest_drawing_is_as_large_as_it_may_be() -> None:
    largest = vectors.vectors_acts.by_rule(vectors.vectors_acts.LARGEST)
    point = len(",[65535,65535,28690,255]")
    assert drawings.MAX_BYTES - point <= len(acts.canonical(largest["strokes"])) <= drawings.MAX_BYTES


def test_the_pages_act_is_the_first_vector() -> None:
    first = VECTORS["acts"][0]
    data = first["events"][0]["data"]
    told = [acts.canonical(data["drawing"]["strokes"]).decode(), *json.loads(first["canonical"]).values()]
    told += [first["canonical"], *data["act"].split(".")[:1], data["act"], *first["shown"]]
    assert [text for text in told if isinstance(text, str) and text not in PAGE] == []


def test_the_page_tells_every_member_of_an_act_and_what_each_procedure_needs() -> None:
    act = next(part for part in PAGE.split("\n### ") if part.startswith("The act"))
    members = [*Act.__struct_fields__, *Receiver.__struct_fields__]
    assert [name for name in members if f"`{name}`" not in act] == []
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for procedure in procedures.PROCEDURES:
        [row] = [line for line in rows if line.startswith(f"| `{procedure.name}` | {procedure.version} |")]
        last = f" to {procedure.last_day}" if procedure.last_day else ""
        assert f"| from {procedure.first_day}{last} |" in row
        assert {mention for mention in OF_THE_ACT if f"`{mention}`" in row} == OF_THE_ACT & set(procedure.mentions)
    for document, (first_day, _, _) in procedures.DOCUMENTS.items():
        assert [line for line in rows if line.startswith(f"| `{document}` | from {first_day}")], document


@pytest.mark.parametrize("vector", named("texts"))
def test_a_text_is_the_one_that_the_back_office_reads_in_full(vector: dict[str, Any]) -> None:
    told = aml.read(vector["text"])
    given = msgspec.convert(vector["fix"], Fix | None)
    assert (told.alert, told.incomplete) == (vector["alert"], False)
    assert len(vector["text"]) <= aml.LONGEST
    assert vector["text"] == handset_aml.text_of(
        vector["alert"], datetime.fromisoformat(vector["pressed_at"]), vector["fix"]
    )
    if given is None:
        assert told.fix is None
    else:
        assert told.fix is not None
        assert (told.fix.method, told.fix.fixed_at) == (given.method, given.fixed_at)
        assert abs(told.fix.latitude - given.latitude) < 1e-5
        assert abs(told.fix.longitude - given.longitude) < 1e-5
        assert told.fix.radius == (None if given.radius is None else math.ceil(given.radius))


def test_every_method_has_a_text() -> None:
    assert {vector["fix"]["method"] for vector in VECTORS["texts"] if vector["fix"]} == {*Method}


def test_the_pages_press_is_one_that_is_taken_and_its_text_the_first_vector() -> None:
    [press] = [json.loads(block) for block in BLOCKS if '"raised_at"' in block]
    [report] = [json.loads(block) for block in BLOCKS if block.startswith('{"fixes"')]
    [told] = [json.loads(block) for block in BLOCKS if '"delay_ms"' in block]
    assert set(press) == set(RaiseAlert.__struct_fields__) - {"incomplete"}
    assert set(press["fix"]) == set(Fix.__struct_fields__)
    assert set(told) == set(HandsetAlert.__struct_fields__)
    for example, kind in ((press, RaiseAlert), (report, ReportPositions), (told, HandsetAlert)):
        msgspec.convert(example, kind)
    first = VECTORS["texts"][0]
    assert first["text"] in PAGE
    assert first["text"] == handset_aml.text_of(told["id"], datetime.fromisoformat(press["raised_at"]), press["fix"])


def test_the_page_tells_every_word_and_limit_of_the_alert_button() -> None:
    section = next(part for part in PAGE.split("\n## ") if part.startswith("13. The alert button"))
    words = [*RaiseAlert.__struct_fields__, *Fix.__struct_fields__, *Status, *Trigger, *Purpose, *Method]
    words += [name for kind in (ReportPositions, SetPins, EnterPin) for name in kind.__struct_fields__]
    assert [word for word in words if f"`{word}`" not in section and f'"{word}"' not in section] == ["incomplete"]
    paths = set(re.findall(r"`(?:GET|PUT|POST) (/v1/alert[^`]*)`", section))
    declared = {path.replace("{alert}", "{id}") for method, path in REGISTRY if path.startswith("/v1/alert")}
    assert paths <= declared
    assert len(paths) == 7
    timers = policies.Timers()
    told = (
        f"{timers.pre_alarm} s after `received_at`",
        f"{timers.contact_gap} s without a word ({timers.contact_gap_low_battery} s",
        f"{ladder.LOW_BATTERY} % of battery",
        f"({policies.FOLLOWED_AFTER_PIN.total_seconds() / 60:.0f} minutes)",
        f"{pins.TRIES_WITHIN.total_seconds() / 60:.0f} minutes",
        f"FCM token for {pushes.PUSH_KEPT_FOR.days} days",
        f"{aml.LONGEST} characters at most",
        f"within {sos.ANSWERED_WITHIN:.0f} s",
        f"after {', '.join(f'{pause:.0f}' for pause in sos.PAUSES[:-1])} and {sos.PAUSES[-1]:.0f} s",
        f"every {sos.LONGEST_PAUSE:.0f} s",
        f"the newest {sos.MOST_FIXES}",
    )
    flat = " ".join(section.split())
    assert [each for each in told if each not in flat] == []
    refusals = [AlertIdTaken, NoOpenAlert, PinWrong, PinLocked, PinsMissing, PinsAlike, PushNotConfigured]
    assert [kind.slug() for kind in refusals if f"`{kind.status}` `{kind.slug()}`" not in section] == []


def test_the_pages_example_is_the_first_vector() -> None:
    request, key = EXAMPLE["request"], KEYS["handset"]
    told = [EXAMPLE["base"], request["body"], key["canonical"], key["thumbprint"], key["d"]]
    told += [f"{name}: {value}" for name, value in request["headers"].items()]
    assert [text for text in told if text not in PAGE] == []
    assert urllib.parse.urlsplit(request["url"]).path in PAGE


def test_the_pages_round_has_every_member_and_explains_it() -> None:
    [example] = [block for block in BLOCKS if '"snapshot"' in block and '"server_time"' in block]
    told = json.loads(example)
    msgspec.json.decode(example, type=Bundle)
    [item], [proxy], [redirection] = told["items"], told["proxies"], told["redirections"]
    examples: list[tuple[dict[str, Any], type[Schema]]] = [
        (told, Bundle),
        (item, BundleItem),
        (item["addressee"], Addressee),
        (proxy, CarriedProxy),
        (proxy["principal"], CarriedPrincipal),
        (redirection, CarriedRedirection),
        (redirection["beneficiaries"][0], CarriedBeneficiary),
        (redirection["new_address"], PostalAddress),
        (told["building_pass"], PassTold),
    ]
    assert [kind for example, kind in examples if set(example) != set(kind.__struct_fields__)] == []
    named = [*item, *item["addressee"], *proxy.keys() - {"id", "revision"}, *redirection, *examples[6][0]]
    assert [name for name in named if f"`{name}`" not in PAGE] == []
    values = [*Kind, *Scope, *RedirectionKind, *RedirectionScope, *Reach, *Action]
    assert [value for value in values if f"`{value}`" not in PAGE] == []


def test_the_pages_batch_is_one_that_is_taken() -> None:
    [example] = [json.loads(block) for block in BLOCKS if block.startswith('{"clock"')]
    assert 1 <= len(example["events"]) <= POLICY.batch_events


def test_the_page_explains_every_refusal_of_a_barcode() -> None:
    refusals = {each["refused"] for each in VECTORS["barcodes"] if each["refused"]}
    assert [code for code in refusals if f"`{code}`" not in PAGE] == []


def test_the_page_names_every_type_value_limit_and_refusal() -> None:
    kinds = [fact.body for fact in ACCEPTED.values()]
    fields = {field.type for kind in kinds for field in msgspec.structs.fields(kind)}
    values = [value for kind in fields if isinstance(kind, type) and issubclass(kind, enum.Enum) for value in kind]
    limits = [POLICY.batch_events, POLICY.batch_bytes, MAX_EVENT_BYTES, MIB // 8, WINDOW]
    limits += [evidence.MAX_EVENT_BYTES, drawings.MAX_BYTES]
    own = {"chalicelib.sync.problems", "chalicelib.fleet.rules", "chalicelib.rounds.bundle", evidence.__name__}
    own.add("chalicelib.passes.evidence")
    refusals = [problem.slug() for problem in Problem.__subclasses__() if problem.__module__ in own]
    flags = [*Flag, rules.NOT_IDENTIFIED]
    told = [*ACCEPTED, *values, *refusals, *flags, *map("{:,}".format, limits)]
    assert len(values) > 15
    assert len(refusals) > 12
    assert [each for each in told if each not in PAGE] == []
