"""What is read of a body that is not as it should be: as much as can be, and never more than it says."""

from __future__ import annotations

import enum
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from chalicelib.core import salvage
from chalicelib.core.salvage import require_salvageable, salvaged
from chalicelib.core.schemas import Schema

Moment = Annotated[datetime, Meta(tz=True)]
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Spot(Schema, frozen=True):
    north: Annotated[float, Meta(ge=-90, le=90)]
    east: Annotated[float, Meta(ge=-180, le=180)]
    height: int = 0


class Call(Schema, frozen=True):
    """`with_` has another name outside."""

    at: Moment | None = None
    colour: Colour = Colour.RED
    loud: bool = False
    level: Annotated[int, Meta(ge=0, le=100)] | None = None
    spot: Spot | None = None
    with_: str = msgspec.field(default="", name="with")
    incomplete: bool = False


GOOD = {
    "at": "2026-11-23T12:00:00Z",
    "colour": "blue",
    "loud": True,
    "level": 42,
    "spot": {"north": 48.8, "east": 2.3, "height": 35},
    "with": "a dog",
}
WHOLE = Call(
    at=NOON, colour=Colour.BLUE, loud=True, level=42, spot=Spot(north=48.8, east=2.3, height=35), with_="a dog"
)
NOTHING = Call(incomplete=True)


def read(**changes: Any) -> Call:
    """What is read of the good body with some fields changed; None leaves one out."""
    told = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return salvaged(json.dumps(told).encode(), Call)


def but(**changes: Any) -> Call:
    """The good call, incomplete, with some fields changed."""
    return msgspec.structs.replace(WHOLE, incomplete=True, **changes)


def test_a_good_body_is_read_whole() -> None:
    assert read() == WHOLE


def test_what_may_be_left_out_is_not_missed() -> None:
    assert read(level=None, spot=None) == msgspec.structs.replace(WHOLE, level=None, spot=None)
    assert salvaged(b"{}", Call) == Call()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"mood": "bad"}, but()),
        ({"level": 101}, but(level=None)),
        ({"level": "much"}, but(level=None)),
        ({"level": 42.5}, but(level=None)),
        ({"level": {"per cent": 42}}, but(level=None)),
        ({"colour": "green"}, but(colour=Colour.RED)),
        ({"loud": "very"}, but(loud=False)),
        ({"at": "yesterday"}, but(at=None)),
        ({"at": "2026-11-23T12:00:00"}, but(at=None)),
        ({"at": 1e300}, but(at=None)),
        ({"with": 7}, but(with_="")),
        ({"with_": "a cat"}, but()),
        ({"incomplete": "no"}, but()),
    ],
)
def test_a_field_that_cannot_be_read_is_left_out_alone(changes: dict[str, Any], found: Call) -> None:
    assert read(**changes) == found


def test_what_is_written_as_text_is_read_all_the_same() -> None:
    assert read(level="42", loud="true") == but()


@pytest.mark.parametrize(
    ("spot", "found"),
    [
        ({"north": 48.8, "east": 2.3, "height": "high"}, Spot(north=48.8, east=2.3)),
        ({"north": 48.8, "east": 2.3, "mood": "bad"}, Spot(north=48.8, east=2.3)),
        ({"north": "48.8", "east": 2.3}, Spot(north=48.8, east=2.3)),
        ({"north": 98.8, "east": 2.3}, None),
        ({"north": 48.8}, None),
        ({"north": float("nan"), "east": 2.3}, None),
        ([48.8, 2.3], None),
        ("48.8,2.3", None),
    ],
)
def test_a_struct_within_is_kept_if_what_it_needs_can_be_read(spot: Any, found: Spot | None) -> None:
    assert read(spot=spot) == but(spot=found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"SOS",
        b"null",
        b"[]",
        b'"at"',
        b"\xff\xfe{\x00}\x00",
        json.dumps(GOOD).encode()[:-1],
        b"[" * 200_000,
        b'{"level": ' + b"9" * 10_000 + b"}",
        b'{"level": 42, "x": "' + b"x" * salvage.LONGEST + b'"}',
    ],
)
def test_of_what_is_no_object_nothing_is_read(body: bytes) -> None:
    assert salvaged(body, Call) == NOTHING


def test_bad_characters_and_numbers_cost_their_own_field_only() -> None:
    assert salvaged(b'{"level": 42, "colour": "\xff"}', Call) == Call(level=42, incomplete=True)
    assert salvaged(b'{"level": 42, "spot": {"north": NaN}}', Call) == Call(level=42, incomplete=True)
    assert salvaged(b'{"level": 42, "with": "a\nb"}', Call) == Call(level=42, with_="a\nb", incomplete=True)


@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(sorted(GOOD)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["north", "east"]), inner),
            max_leaves=5,
        ),
    ).map(lambda told: json.dumps(told).encode())
)
def test_no_body_breaks_it_and_what_comes_out_is_what_the_shape_allows(body: bytes) -> None:
    found = salvaged(body, Call)

    assert msgspec.json.decode(msgspec.json.encode(found), type=Call) == found


class Needy(Schema, frozen=True):
    name: str
    incomplete: bool = False


@pytest.mark.parametrize(("kind", "why"), [(Needy, "name must be given"), (Spot, "north"), (Schema, "incomplete")])
def test_a_struct_that_cannot_be_made_from_nothing_or_cannot_say_so_is_refused(kind: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        require_salvageable(kind)
    require_salvageable(Call)
