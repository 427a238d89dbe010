"""Events: CloudEvents 1.0 in JSON, and the fingerprints by which contents are compared."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import events
from chalicelib.core.events import Event, fingerprint
from chalicelib.core.schemas import Schema
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.events import an_item_event

MOMENTS = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(max_size=20)
NUMBERS = st.integers(0, 2**53)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
CONTENTS = st.dictionaries(TEXTS, VALUES, max_size=5)


def an_event(data: Any, **members: Any) -> Event:
    return Event(specversion="1.0", data=msgspec.Raw(msgspec.json.encode(data)), **members)


EVENTS = st.builds(
    an_event,
    data=CONTENTS,
    **dict.fromkeys(("id", "source", "type", "subject", "actor", "correlationid", "flags", "place", "device"), TEXTS),
    **dict.fromkeys(("generation", "sequence", "snapshot"), NUMBERS),
    time=MOMENTS,
    receivedat=MOMENTS,
    correctedtime=st.none() | MOMENTS,
    timemethod=st.sampled_from(["", "monotonic", "skew"]),
    quarantined=st.booleans(),
)


def reversed_throughout(content: Any) -> Any:
    """The same content with the members of every object in the opposite order."""
    if isinstance(content, dict):
        return {name: reversed_throughout(value) for name, value in reversed(content.items())}
    return [reversed_throughout(value) for value in content] if isinstance(content, list) else content


class TestFormat:
    @given(EVENTS)
    def test_an_event_comes_back_from_its_text(self, event: Event) -> None:
        assert events.decode(events.encode(event)) == event

    @given(EVENTS)
    def test_the_text_is_a_cloudevent_with_lower_case_attributes(self, event: Event) -> None:
        told = json.loads(events.encode(event))

        assert {"specversion", "id", "source", "type", "subject", "time", "data"} <= told.keys()
        assert all(name.isalnum() and name.islower() for name in told)

    def test_attributes_that_a_later_version_adds_are_passed_over(self) -> None:
        event = an_item_event(at=MONDAY_MORNING)
        told = events.encode(event).removesuffix("}") + ',"weather":"rain"}'

        assert events.decode(told) == event

    @pytest.mark.parametrize(
        "change", [{"specversion": "0.3"}, {"specversion": 1.0}, {"time": "yesterday"}, {"id": 7}, {"sequence": "1"}]
    )
    def test_what_is_no_event_of_version_1_is_refused(self, change: dict[str, Any]) -> None:
        told = json.loads(events.encode(an_item_event())) | change

        with pytest.raises(msgspec.ValidationError):
            events.decode(json.dumps(told))

    @pytest.mark.parametrize(
        "missing", ["specversion", "id", "source", "type", "subject", "time", "data", "receivedat"]
    )
    def test_an_event_without_what_it_needs_is_refused(self, missing: str) -> None:
        told = json.loads(events.encode(an_item_event()))
        del told[missing]

        with pytest.raises(msgspec.ValidationError):
            events.decode(json.dumps(told))


class Weighed(Schema):
    grams: int


class TestMaking:
    def test_an_event_of_the_back_office_happens_and_is_received_now(self, clock: FakeClock) -> None:
        event = events.make("facteo.item.weighed", "item/1", Weighed(grams=7), actor="system/x", correlation_id="c")

        assert (event.time, event.receivedat, event.happened_at) == (clock.at, clock.at, clock.at)
        assert (event.source, event.body(Weighed)) == ("/back-office", Weighed(grams=7))

    def test_what_happened_earlier_keeps_its_moment_and_its_id(self, clock: FakeClock) -> None:
        earlier = clock.at - timedelta(hours=3)
        event = events.make("t", "s", Weighed(grams=7), actor="a", correlation_id="c", at=earlier, event_id="e-1")

        assert (event.id, event.time, event.receivedat) == ("e-1", earlier, clock.at)

    def test_a_corrected_time_is_when_it_happened(self, clock: FakeClock) -> None:
        corrected = clock.at - timedelta(hours=1)

        assert an_item_event(correctedtime=corrected).happened_at == corrected


class TestReleasing:
    def test_what_no_marker_names_does_not_count(self) -> None:
        plain, held, other = an_item_event(), an_item_event(quarantined=True), an_item_event(quarantined=True)
        marker = events.release(held, actor="staff/S1")
        freed = events.freed(held)

        assert events.counting([plain, held, other]) == [plain]
        for history in ([plain, held, other, marker], [marker, plain, held, other]):
            assert events.settled(history) == [plain, freed, other]
            assert events.counting(history) == [plain, freed]

    def test_its_marker_is_the_same_however_often_it_is_made(self, clock: FakeClock) -> None:
        held = an_item_event(quarantined=True)
        first = events.release(held, actor="staff/S1")
        clock.advance(days=1)

        assert first.id == events.release(held, actor="staff/S2").id != held.id
        assert (first.subject, first.quarantined) == (held.subject, False)


class TestFingerprint:
    @given(CONTENTS)
    def test_the_order_of_members_does_not_matter(self, content: dict[str, Any]) -> None:
        turned = reversed_throughout(content)

        assert fingerprint(content) == fingerprint(turned)
        assert fingerprint(an_event_data(content)) == fingerprint(an_event_data(turned)) == fingerprint(content)

    @given(CONTENTS, CONTENTS)
    def test_other_contents_have_other_fingerprints(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

        assert (fingerprint(one) == fingerprint(other)) is same

    def test_the_order_of_a_list_matters(self) -> None:
        assert fingerprint([1, 2]) != fingerprint([2, 1])


def an_event_data(content: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(content, ensure_ascii=False).encode())
