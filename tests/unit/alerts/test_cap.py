"""What others are told in CAP 1.2, held against the rules of the standard by a parser that did not write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from xml.dom import minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.alerts import cap, ladder
from chalicelib.alerts.policies import Plan
from chalicelib.alerts.schemas import Fix, Flag, LastPlace, Method, Purpose, Reason, Trigger
from tests.support.alert_stories import ALERT_ID, OPERATOR, Story
from tests.support.clock import MONDAY_MORNING

SENDER = cap.Sender("alerts.facteo.example", "Facteo Gironde")
FIX = Fix(latitude=44.84, longitude=-0.58, fixed_at=MONDAY_MORNING, radius=35, method=Method.WIFI)
PLACE = LastPlace(text="12 rue du Mirail, bât. B", at=MONDAY_MORNING)
OTHER_PLACE = LastPlace(text="3 rue Gambetta", at=MONDAY_MORNING)
NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"


# --- the standard: element, how often (least, most), and what it may hold -----------------------------------


class Rule(NamedTuple):
    """How often an element comes (None: without a limit), and what it holds: a pattern, or elements."""

    least: int
    most: int | None
    holds: str | dict[str, Rule]


ANY = r"[\s\S]*\S[\s\S]*"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d"
COORDINATE = r"-?\d{1,3}(\.\d+)?"
TOKEN = r"[^\s,<&]+"
PARAMETER = {"valueName": Rule(1, 1, ANY), "value": Rule(1, 1, ANY)}
AREA = {
    "areaDesc": Rule(1, 1, ANY),
    "polygon": Rule(0, None, ANY),
    "circle": Rule(0, None, rf"{COORDINATE},{COORDINATE} \d+(\.\d+)?"),
    "geocode": Rule(0, None, PARAMETER),
    "altitude": Rule(0, 1, ANY),
    "ceiling": Rule(0, 1, ANY),
}
INFO = {
    "language": Rule(0, 1, "[a-z]{2}-[A-Z]{2}"),
    "category": Rule(1, None, "Geo|Met|Safety|Security|Rescue|Fire|Health|Env|Transport|Infra|CBRNE|Other"),
    "event": Rule(1, 1, ANY),
    "responseType": Rule(0, None, "Shelter|Evacuate|Prepare|Execute|Avoid|Monitor|Assess|AllClear|None"),
    "urgency": Rule(1, 1, "Immediate|Expected|Future|Past|Unknown"),
    "severity": Rule(1, 1, "Extreme|Severe|Moderate|Minor|Unknown"),
    "certainty": Rule(1, 1, "Observed|Likely|Possible|Unlikely|Unknown"),
    "audience": Rule(0, 1, ANY),
    "eventCode": Rule(0, None, PARAMETER),
    "effective": Rule(0, 1, TIME),
    "onset": Rule(0, 1, TIME),
    "expires": Rule(0, 1, TIME),
    "senderName": Rule(0, 1, ANY),
    "headline": Rule(0, 1, ANY),
    "description": Rule(0, 1, ANY),
    "instruction": Rule(0, 1, ANY),
    "web": Rule(0, 1, ANY),
    "contact": Rule(0, 1, ANY),
    "parameter": Rule(0, None, PARAMETER),
    "resource": Rule(0, None, ANY),
    "area": Rule(0, None, AREA),
}
REFERENCE = rf"{TOKEN},{TOKEN},{TIME}"
ALERT = {
    "identifier": Rule(1, 1, TOKEN),
    "sender": Rule(1, 1, TOKEN),
    "sent": Rule(1, 1, TIME),
    "status": Rule(1, 1, "Actual|Exercise|System|Test|Draft"),
    "msgType": Rule(1, 1, "Alert|Update|Cancel|Ack|Error"),
    "source": Rule(0, 1, ANY),
    "scope": Rule(1, 1, "Public|Restricted|Private"),
    "restriction": Rule(0, 1, ANY),
    "addresses": Rule(0, 1, ANY),
    "code": Rule(0, None, ANY),
    "note": Rule(0, 1, ANY),
    "references": Rule(0, 1, rf"{REFERENCE}( {REFERENCE})*"),
    "incidents": Rule(0, 1, ANY),
    "info": Rule(0, None, INFO),
}


class Node:
    """An element as a parser of its own reads it."""

    def __init__(self, element: Any) -> None:
        self.name = element.localName
        self.namespace = element.namespaceURI
        self.children = [Node(child) for child in element.childNodes if child.nodeType == child.ELEMENT_NODE]
        self.text = "".join(child.data for child in element.childNodes if child.nodeType == child.TEXT_NODE)

    def all(self, name: str) -> list[Node]:
        return [child for child in self.children if child.name == name]

    def __getitem__(self, name: str) -> str:
        """The text of the only child of that name; nothing if there is none."""
        found = self.all(name)
        assert len(found) <= 1
        return found[0].text if found else ""

    def parameters(self) -> dict[str, str]:
        return {each["valueName"]: each["value"] for each in self.all("parameter")}


def parsed(document: str) -> Node:
    return Node(minidom.parseString(document.encode()).documentElement)  # noqa: S318 - our own


def breaches(node: Node, rules: dict[str, Rule]) -> Iterator[str]:
    """What in an element is against the standard."""
    names = [child.name for child in node.children]
    if unknown := set(names) - set(rules):
        yield f"{node.name}: {unknown}"
        return
    order = list(rules)
    if names != sorted(names, key=order.index):
        yield f"{node.name}: {names} are not in their order"
    for name, (least, most, _) in rules.items():
        if not least <= names.count(name) <= (len(names) if most is None else most):
            yield f"{node.name}: {name} comes {names.count(name)} times"
    for child in node.children:
        yield from _within(child, rules[child.name].holds)


def _within(child: Node, holds: str | dict[str, Rule]) -> Iterator[str]:
    if child.namespace != NAMESPACE:
        yield f"{child.name}: is of {child.namespace}"
    if isinstance(holds, dict):
        yield from breaches(child, holds)
    elif child.children or not re.fullmatch(holds, child.text):
        yield f"{child.name}: {child.text!r}"


def dependencies(alert: Node) -> Iterator[str]:
    """What the standard says of elements that need each other (CAP 1.2, section 3.2.1)."""
    if (alert["scope"] == "Private") != bool(alert["addresses"]):
        yield "addresses are for Private"
    if (alert["scope"] == "Restricted") != bool(alert["restriction"]):
        yield "a restriction is for Restricted"
    if (alert["msgType"] == "Alert") == bool(alert["references"]):
        yield "all but an Alert name those before"
    if alert["status"] == "Exercise" and not alert["note"]:
        yield "an Exercise has a note"


def written(told: Story, fix: Fix | None = FIX, place: LastPlace | None = PLACE, **options: Any) -> Node:
    """The document of an alert as it stands, which is against nothing in the standard."""
    document = cap.document(told.alert, told.told, fix, place, sender=SENDER, **options)
    root = parsed(document)
    assert (root.name, root.namespace) == ("alert", NAMESPACE)
    assert [*breaches(root, ALERT), *dependencies(root)] == []
    assert not re.search(r"\dZ\b", document)
    return root


def test_the_rules_find_what_is_wrong() -> None:
    def wrong(inner: str) -> list[str]:
        root = parsed(f'<alert xmlns="{NAMESPACE}">{inner}</alert>')
        return [*breaches(root, ALERT), *dependencies(root)]

    head = "<identifier>a</identifier><sender>b</sender>"
    tail = "<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>"
    assert wrong(f"{head}<sent>2026-11-23T07:00:00-00:00</sent>{tail}") == []
    assert wrong(f"{head}<sent>2026-11-23T07:00:00Z</sent>{tail}") == ["sent: '2026-11-23T07:00:00Z'"]
    assert len(wrong(f"<sent>2026-11-23T07:00:00-00:00</sent>{head}{tail}")) == 1
    assert len(wrong(f"{head}<sent>2026-11-23T07:00:00-00:00</sent>{tail.replace('Public', 'Private')}")) == 1
    assert len(wrong(f"{head}<sent>2026-11-23T07:00:00-00:00</sent>{tail.replace('>Alert', '>Cancel')}")) == 1


# --- one alert ----------------------------------------------------------------------------------------------


def test_a_raised_alert_is_an_alert() -> None:
    story = Story(battery=40, flags=frozenset({Flag.LATE}))
    document = written(story)
    assert document["identifier"] == f"{ALERT_ID}.1"
    assert document["sent"] == "2026-11-23T07:00:00-00:00"
    assert (document["status"], document["msgType"], document["scope"]) == ("Actual", "Alert", "Restricted")
    french, english = document.all("info")
    assert (french["language"], french["event"]) == ("fr-FR", "Facteur en danger")
    assert (english["language"], english["event"]) == ("en-GB", "Mail carrier in danger")
    for info in (french, english):
        assert (info["category"], info["urgency"], info["severity"]) == ("Safety", "Immediate", "Severe")
        assert (info["certainty"], info["expires"]) == ("Likely", "2026-11-24T07:00:00-00:00")
        assert info["senderName"] == "Facteo Gironde"
        assert info.all("area")[0]["circle"] == "44.840000,-0.580000 0.035"
        assert info.parameters() == {
            "state": "raised",
            "trigger": "manual",
            "raised": "2026-11-23T07:00:00-00:00",
            "carrier": "C123",
            "depot": "330440",
            "flags": "late",
            "battery-percent": "40",
            "fix-time": "2026-11-23T07:00:00-00:00",
            "fix-age-seconds": "0",
            "fix-method": "wifi",
            "fix-radius-metres": "35",
            "fix-confidence-percent": "68",
        }
    assert french.all("area")[0]["areaDesc"] == "12 rue du Mirail, bât. B (dernier flashage 23/11 08:00)"
    assert english.all("area")[0]["areaDesc"] == "12 rue du Mirail, bât. B (last scan 23/11 08:00)"


def test_messages_follow_the_stages_and_name_those_before() -> None:
    story = Story()
    story.tick(0)
    story.take(ladder.acked(story.alert, story.at(12), by=OPERATOR))
    assert written(story)["msgType"] == "Update"
    assert written(story)["references"] == f"{SENDER.id},{ALERT_ID}.1,2026-11-23T07:00:00-00:00"
    story.take(ladder.responding(story.alert, story.at(30), by=OPERATOR))
    acked = f"{SENDER.id},{ALERT_ID}.4,2026-11-23T07:00:12-00:00"
    assert written(story)["references"] == f"{SENDER.id},{ALERT_ID}.1,2026-11-23T07:00:00-00:00 {acked}"
    story.take(ladder.duress(story.alert, story.at(40)))
    assert [info["severity"] for info in written(story).all("info")] == ["Extreme", "Extreme"]
    story.take(ladder.handed_over(story.alert, "NATIONAL", Plan(), story.at(50), by=OPERATOR))
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(600), by=OPERATOR))
    document = written(story)
    assert (document["msgType"], document["incidents"]) == ("Update", ALERT_ID)
    assert len(document["references"].split()) == 5
    assert document["identifier"] not in document["references"]
    for info in document.all("info"):
        assert (info["responseType"], info["urgency"], info["certainty"]) == ("AllClear", "Past", "Observed")
        assert info.parameters()["reason"] == "rescued"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.FALSE_ALARM, "Cancel"),
        (Reason.CANCELLED, "Cancel"),
        (Reason.RESCUED, "Update"),
        (Reason.HANDED_TO_SERVICES, "Update"),
    ],
)
def test_how_it_ends_is_told_by_the_reason(reason: Reason, kind: str) -> None:
    story = Story()
    story.take(ladder.cancel_asked(story.alert, story.at(5)))
    story.take(ladder.closed(story.alert, reason, story.at(20), by=OPERATOR))
    assert written(story)["msgType"] == kind


def test_positions_are_updates_of_their_stage_and_are_named_by_none() -> None:
    story = Story()
    seen = {written(story)["identifier"]}
    for seconds in range(5, 3600, 5):
        story.heard(seconds)
        document = written(story)
        assert document["msgType"] == "Update"
        assert document["references"] == f"{SENDER.id},{ALERT_ID}.1,2026-11-23T07:00:00-00:00"
        assert document["identifier"] not in seen
        seen.add(document["identifier"])
    story.take(ladder.acked(story.alert, story.at(3601), by=OPERATOR))
    document = written(story)
    assert document["references"] == f"{SENDER.id},{ALERT_ID}.1,2026-11-23T07:00:00-00:00"
    assert document["identifier"] == f"{ALERT_ID}.3"
    assert document.all("info")[0].parameters()["fix-age-seconds"] == "3601"


def test_once_the_lease_is_over_nobody_has_it() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(12), by=OPERATOR))
    story.tick(12 + 120)
    for info in written(story).all("info"):
        assert (info["urgency"], info["responseType"]) == ("Immediate", "Assess")
        assert info.parameters()["state"] == "notified"


@pytest.mark.parametrize("fix", [FIX, None])
def test_what_changes_is_another_message_with_or_without_a_position(fix: Fix | None) -> None:
    """Whatever changes: what is told of the battery, a flag, where something was scanned last."""
    story = Story(battery=40)
    written_of = [written(story, fix, PLACE)]
    story.heard(1.2, battery=30)
    written_of.append(written(story, fix, PLACE))
    story.heard(1.4)
    written_of.append(written(story, fix, OTHER_PLACE))
    story.take(ladder.cancel_asked(story.alert, story.at(5)))
    written_of.append(written(story, fix, OTHER_PLACE))
    story.tick(60)
    written_of.append(written(story, fix, OTHER_PLACE))
    assert len({document["identifier"] for document in written_of}) == len(written_of)
    told = [document["sent"][14:19] for document in written_of]
    assert told == ["00:00", "00:01", "00:01", "00:05", "01:00"]
    assert len({document["references"] for document in written_of[1:]}) == 1
    assert written(story, fix, OTHER_PLACE)["identifier"] == written_of[-1]["identifier"]


def test_after_the_end_nothing_moves() -> None:
    story = Story()
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(20), by=OPERATOR))
    ended = written(story)["identifier"]
    story.heard(25)
    assert written(story)["identifier"] == ended


def test_a_pre_alarm_is_expected_and_cancelled_without_an_operator() -> None:
    story = Story(trigger=Trigger.FALL)
    info = written(story).all("info")[0]
    assert (info["urgency"], info["certainty"], info["event"]) == ("Expected", "Possible", "Chute d'un facteur")
    story.take(ladder.cancel_asked(story.alert, story.at(10)))
    assert written(story)["msgType"] == "Cancel"
    other = Story(trigger=Trigger.FALL)
    other.tick(30)
    assert [info["urgency"] for info in written(other).all("info")] == ["Immediate", "Immediate"]


@pytest.mark.parametrize(
    ("purpose", "status", "note"),
    [
        (Purpose.ACTUAL, "Actual", ""),
        (Purpose.EXERCISE, "Exercise", f"EXERCICE / EXERCISE {ALERT_ID}"),
        (Purpose.SELF_TEST, "Test", f"ESSAI / TEST {ALERT_ID}"),
    ],
)
def test_what_is_not_meant_says_so(purpose: Purpose, status: str, note: str) -> None:
    document = written(Story(purpose=purpose))
    assert (document["status"], document["note"]) == (status, note)
    marked = [info["headline"].startswith(note[:4]) for info in document.all("info")]
    assert marked == [True, True]


def test_whom_it_is_for() -> None:
    document = written(Story(), to=["codis33@sdis.example", "CORG 33"])
    assert (document["scope"], document["addresses"]) == ("Private", 'codis33@sdis.example "CORG 33"')


@pytest.mark.parametrize("changes", [{"silent": True}, {"flags": frozenset({Flag.DURESS})}])
def test_nobody_rings_a_carrier_who_must_not_be_found_out(changes: dict[str, Any]) -> None:
    story = Story(**changes)
    assert [bool(info["instruction"]) for info in written(story).all("info")] == [True, True]
    assert [info["instruction"] for info in written(Story()).all("info")] == ["", ""]
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(20), by=OPERATOR))
    assert [info["instruction"] for info in written(story).all("info")] == ["", ""]


def test_without_a_position_it_is_told_all_the_same() -> None:
    [french, english] = [info.all("area")[0] for info in written(Story(), None, None).all("info")]
    assert (french["areaDesc"], english["areaDesc"]) == ("Position inconnue", "Position unknown")
    assert (french["circle"], english["circle"]) == ("", "")


def test_before_the_raise_there_is_no_message() -> None:
    story = Story()
    with pytest.raises(ValueError, match="before the alert is raised"):
        cap.document(story.alert, story.told[1:], FIX, PLACE, sender=SENDER)


def test_the_order_in_which_events_come_does_not_matter() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(12), by=OPERATOR))
    there = cap.document(story.alert, story.told, FIX, PLACE, sender=SENDER)
    assert cap.document(story.alert, story.told[::-1], FIX, PLACE, sender=SENDER) == there


@pytest.mark.parametrize(
    ("radius", "text"),
    [(0, "0"), (None, "0"), (0.2, "0.001"), (35, "0.035"), (35.1, "0.036"), (1500, "1.5"), (1_000_000, "1000")],
)
def test_a_radius_is_in_kilometres(radius: float | None, text: str) -> None:
    fix = Fix(latitude=-21.1, longitude=55.5, fixed_at=MONDAY_MORNING, radius=radius)
    assert cap.circle(fix) == f"-21.100000,55.500000 {text}"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-11-23T07:00:00.999999+00:00", "2026-11-23T07:00:00-00:00"),
        ("2026-11-23T08:00:00+01:00", "2026-11-23T07:00:00-00:00"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00-00:00"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-00:00"),
    ],
)
def test_a_time_has_an_offset_in_figures(at: str, text: str) -> None:
    assert cap.moment(datetime.fromisoformat(at)) == text


def test_it_stays_small(record_property: Any) -> None:
    document = cap.document(Story(battery=40).alert, Story().told, FIX, PLACE, sender=SENDER)
    record_property("bytes", len(document.encode()))
    assert len(document.encode()) < 4096


# --- whatever is told ---------------------------------------------------------------------------------------

places = st.none() | st.builds(LastPlace, text=st.text(min_size=1), at=st.datetimes(timezones=st.timezones()))
somewhere = st.none() | st.builds(
    Fix,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    fixed_at=st.datetimes(timezones=st.timezones()),
    radius=st.none() | st.floats(0, 1_000_000),
    confidence=st.integers(0, 100),
    method=st.sampled_from(Method),
)


stories = st.builds(
    Story,
    trigger=st.sampled_from(Trigger),
    purpose=st.sampled_from(Purpose),
    flags=st.frozensets(st.sampled_from(Flag)),
    silent=st.booleans(),
    battery=st.none() | st.integers(0, 100),
)
stages = st.sampled_from(["acked", "responding", "duress", "handed-over", "noted", "closed"])


@given(stories, st.lists(stages, max_size=6), somewhere, places)
def test_whatever_happened_is_told_as_the_standard_wants(
    story: Story, happened: list[str], fix: Fix | None, place: LastPlace | None
) -> None:
    for number, what in enumerate(happened):
        story.take(ladder.say(story.alert, what, story.at(number), by=OPERATOR))
    assert written(story, fix, place)["incidents"] == ALERT_ID
