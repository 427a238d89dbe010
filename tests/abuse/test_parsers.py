"""What strangers write is read or refused as declared, in bounded time and memory: lines, events, batches, headers."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.connectors.importer import rules
from chalicelib.connectors.importer.kinds import COLUMNS, KINDS
from chalicelib.connectors.importer.rules import FileRefusal, Line, LineRefusal
from chalicelib.core import clock, events
from chalicelib.items.identifiers import IdentifierRefused, parse
from handset.signing import Request, sign
from tests.support.api import Api
from tests.support.events import an_item_event
from tests.support.factories import HeldHandset, a_handset
from tests.support.fuzzing import bounded

MIB = 1024 * 1024
HEADERS = {kind: ";".join(column.name for column in columns) for kind, columns in COLUMNS.items()} | {
    "announcements": "BBB001;3181;999999;202611221200;202611220000;0001;;"
}


HANGING_SECONDS = 30


@contextmanager
def bounds(*, mebibytes: float) -> Iterator[None]:
    """Fail if the block ever holds more than that, or hangs: half a minute of CPU is no speed, on any machine."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        yield
        taken, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < HANGING_SECONDS
    assert peak < mebibytes * MIB


TEXTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    st.text('"; \r\t\x00=0123456789ABCabc:\ufeff', max_size=200).map(str.encode),
    st.text("9;", max_size=200).map(str.encode),
)

MONSTERS = {
    "ten thousand columns": b";" * 10_000,
    "ten thousand full columns": b"9;" * 10_000,
    "a mebibyte in one column": b"9" * MIB,
    "an open quote": b'"' + b";" * MIB,
    "quotes": b'"' * MIB,
    "NUL bytes": bytes(MIB),
    "UTF-16": HEADERS["zones"].encode("utf-16"),
}


class TestFiles:
    @staticmethod
    def read(kind: str, header: bytes, raw: bytes) -> str:
        """Read a header and a line as the importer does; the reason why one is refused, if it is."""
        wanted = KINDS[kind]
        try:
            read = wanted.read_header(rules.decoded(Line(1, header), wanted.encoding))
            wanted.read_line(rules.decoded(Line(2, raw), wanted.encoding), read)
        except (FileRefusal, LineRefusal) as refusal:
            return str(refusal)
        return ""

    @pytest.mark.parametrize("kind", KINDS)
    def test_any_bytes_are_a_line_or_refused(self, kind: str) -> None:
        columns = HEADERS[kind].count(";")
        fitting = st.lists(TEXTS, min_size=columns + 1, max_size=columns + 1).map(b";".join)

        @bounded
        @given(st.one_of(TEXTS, fitting))
        def check(raw: bytes) -> None:
            assert self.read(kind, HEADERS[kind].encode(), raw)[-1:] in ("", ".")

        check()

    @pytest.mark.parametrize("kind", KINDS)
    def test_any_bytes_are_a_header_or_refuse_the_file(self, kind: str) -> None:
        @bounded
        @given(TEXTS)
        def check(raw: bytes) -> None:
            assert self.read(kind, raw, b"").endswith(".")

        check()

    @pytest.mark.parametrize("monster", MONSTERS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_monstrous_line_costs_little(self, kind: str, monster: str) -> None:
        with bounds(mebibytes=4):
            assert self.read(kind, HEADERS[kind].encode(), MONSTERS[monster])
            assert self.read(kind, MONSTERS[monster], b"")

    @pytest.mark.parametrize("content", [b"9" * MIB, b";" * MIB, b"header\n" + b"9" * MIB])
    def test_a_line_of_a_mebibyte_is_no_line(self, content: bytes) -> None:
        with bounds(mebibytes=1), pytest.raises(FileRefusal):
            rules.cut([content])


def test_a_huge_barcode_costs_little() -> None:
    for text in ("]C1" * MIB, "0" * MIB, "%" + " " * MIB):
        with bounds(mebibytes=2), pytest.raises(IdentifierRefused):
            parse(text)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)

NO_EVENT = (msgspec.DecodeError, UnicodeDecodeError)
"""What msgspec raises for what is no JSON, or nested beyond reason: whoever reads a stranger's JSON takes all three."""

HOSTILE = {
    "a deep list": "[" * 200_000 + "]" * 200_000,
    "a deep object": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "an endless list": "[" * 400_000,
    "a huge integer": "9" * 500_000,
    "a number beyond all": "1e999999",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "a lone surrogate": r'"\ud800"',
    "a reversed pair": r'"\udc00\ud800"',
    "NUL in a text": r'"\u0000"',
    "a raw NUL": '"\x00"',
    "the same name twice": '{"a":1,"a":2,"a":{"a":3}}',
    "many names": "{" + ",".join(f'"{number}":0' for number in range(50_000)) + "}",
    "a long text": '"' + "x" * 900_000 + '"',
    "escapes": '"' + r"\u00e9" * 100_000 + '"',
    "a comment": "1/**/",
    "nothing": " ",
}


class TestEvents:
    @bounded
    @given(st.one_of(st.binary(max_size=200), JSON.map(lambda told: json.dumps(told).encode())))
    def test_any_bytes_are_an_event_or_refused(self, raw: bytes) -> None:
        with pytest.raises(NO_EVENT):
            events.decode(raw)

    @pytest.mark.parametrize("field", ["id", "time", "data", "sequence", "unknown"])
    def test_any_attribute_is_read_or_refused(self, aws: Any, field: str) -> None:
        good = json.loads(events.encode(an_item_event()))

        @bounded
        @given(JSON)
        def check(value: Any) -> None:
            try:
                found = events.decode(json.dumps(good | {field: value}))
            except NO_EVENT:
                return
            assert events.decode(events.encode(found)) == found

        check()

    @pytest.mark.parametrize("hostile", HOSTILE)
    def test_hostile_json_costs_little(self, hostile: str) -> None:
        for text in (HOSTILE[hostile], f'{{"data":{HOSTILE[hostile]}}}'):
            with bounds(mebibytes=4), pytest.raises(NO_EVENT):
                events.decode(text)


class TestBatches:
    @pytest.fixture
    def handset(self, api: Api) -> HeldHandset:
        return a_handset(api)

    @staticmethod
    def send(handset: HeldHandset, raw: str | bytes) -> Any:
        """Send a body; the answer, which must be one that is declared."""
        body = raw if isinstance(raw, bytes) else raw.encode()
        answer = handset.calls().post("/v1/events", body)
        assert answer.status == 200 or (answer.status, answer.problem) == (400, "request-invalid"), answer.text
        return answer

    @classmethod
    def spots(cls, handset: HeldHandset) -> dict[str, str]:
        """A good batch with a hole in it, for each place where there may be one."""
        event = handset.event()
        told = {
            "the batch": "HOLE",
            "the clock": handset.batch(event) | {"clock": "HOLE"},
            "the events": handset.batch() | {"events": "HOLE"},
            "an event": handset.batch("HOLE"),
            "an event's data": handset.batch(event | {"data": "HOLE"}),
            "a barcode": handset.batch(event | {"data": event["data"] | {"barcode": "HOLE"}}),
            "what we do not know": handset.batch(event | {"unknown": "HOLE"}),
            **{name: handset.batch(event | {name: "HOLE"}) for name in ("id", "sequence", "subject", "time", "source")},
        }
        return {spot: json.dumps(body) for spot, body in told.items()}

    @pytest.mark.parametrize("hostile", HOSTILE)
    def test_hostile_json_is_refused_wherever_it_stands(self, handset: HeldHandset, hostile: str) -> None:
        for spot, body in self.spots(handset).items():
            raw = body.replace('"HOLE"', HOSTILE[hostile])
            with bounds(mebibytes=24):
                answer = self.send(handset, raw)
            if answer.status == 200:
                told = [result["result"] for result in answer.body["results"]]
                assert told in (["refused"], ["recorded"], ["postponed"], ["duplicate"]), spot
        assert handset.sync(handset.event(sequence=500)).body["results"][0]["result"] == "recorded"

    def test_any_json_is_answered_wherever_it_stands(self, handset: HeldHandset) -> None:
        spots = self.spots(handset)

        @bounded
        @given(st.sampled_from(sorted(spots)), JSON)
        def check(spot: str, value: Any) -> None:
            self.send(handset, spots[spot].replace('"HOLE"', json.dumps(value)))

        check()

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "iso-8859-1", "utf-7"])
    def test_another_encoding_is_refused(self, handset: HeldHandset, encoding: str) -> None:
        event = handset.event(deviceboot="é")
        answer = self.send(handset, json.dumps(handset.batch(event), ensure_ascii=False).encode(encoding))
        assert answer.status == 400 or [each["result"] for each in answer.body["results"]] == ["refused"]


NAMES = ("Signature-Input", "Signature", "Content-Digest")
WORDS = r"""
    facteo= sig1= ( ) " : ; , @ ? %00 é \ "@method" "@path" "@authority" "@query-param" "content-digest" ;name= ;sf ;bs
    ;req ;created=1 ;created=-1 ;created=1e9 ;created=99999999999999999999 ;created=?1 ;expires=@1 ;keyid= ;nonce="n"
    ;alg="none" ;alg="hmac-sha256" :AAAA: :==: sha-256= sha-512=::
"""
SENTENCES = st.lists(st.sampled_from(WORDS.split()), max_size=24).map("".join)
VALUES = st.one_of(SENTENCES, st.text(max_size=60), SENTENCES.map(lambda words: f"facteo=({words}"))


class TestSignatures:
    @pytest.mark.parametrize("name", NAMES)
    def test_any_signature_header_is_refused(self, api: Api, name: str) -> None:
        handset = a_handset(api)
        body = json.dumps(handset.batch(handset.event())).encode()

        @bounded
        @given(VALUES)
        def check(value: str) -> None:
            def dress(request: Request) -> None:
                sign(request, handset.key, key_id=handset.device, created=clock.now())
                request.headers[name] = value

            answer = api.dressed(dress).post("/v1/events", body)
            assert (answer.status, answer.problem) == (401, "identity-required")

        check()

    def test_any_three_headers_are_refused(self, api: Api) -> None:
        @bounded
        @given(st.tuples(VALUES, VALUES, VALUES))
        def check(values: tuple[str, str, str]) -> None:
            def dress(request: Request) -> None:
                request.headers |= dict(zip(NAMES, values, strict=True))

            answer = api.dressed(dress).post("/v1/events", {})
            assert (answer.status, answer.problem) == (401, "identity-required")

        check()

    @pytest.mark.parametrize(
        "grown",
        [
            "facteo=(" + '"@path" ' * 20_000 + ")",
            "facteo=(" + "(" * 100_000,
            "facteo=()" + ";created=1" * 20_000,
            ",".join(f"s{number}=()" for number in range(20_000)),
            "facteo=:" + "A" * 200_000 + ":",
            'facteo="' + "\\" * 200_000,
        ],
        ids=range(6),
    )
    def test_a_huge_header_costs_little(self, api: Api, grown: str) -> None:
        headers = dict.fromkeys(NAMES, grown)
        with bounds(mebibytes=24):
            answer = api.dressed(lambda request: request.headers.update(headers)).post("/v1/events", {})
        assert (answer.status, answer.problem) == (401, "identity-required")
