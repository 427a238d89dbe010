"""Which line an event gives, where it stands, and what names and limits files have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.connectors.return_file import file_name
from chalicelib.connectors.tracking import rules, transport
from chalicelib.connectors.tracking.schemas import Traced
from chalicelib.core import ids
from chalicelib.core.schemas import Sealed
from chalicelib.items.schemas import Announced
from tests.support.events import an_item_event
from tests.support.factories import ITEM

AT = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
FACTS = Announced(
    item=ITEM,
    client="999999",
    deposit_slip="3181",
    product="9V",
    reference="CMD-42",
    handed_over_on=date(2026, 11, 22),
    weight_grams=1000,
    delivery_postcode="75015",
    addressee=Sealed("c2VhbGVk"),
)


def test_an_event_gives_the_line_of_the_client_who_announced_its_item() -> None:
    draft = rules.draft(an_item_event("facteo.item.delivered", at=AT), FACTS, stage="test")
    assert draft is not None
    assert draft.line is not None
    assert (draft.client, draft.line.item, draft.line.reference, draft.line.at) == ("999999", ITEM, "CMD-42", AT)
    assert draft.line.code.situation + draft.line.code.justification == "LIVCFM"


def test_the_line_says_when_it_happened_by_the_corrected_clock() -> None:
    event = an_item_event("facteo.item.delivered", at=AT, correctedtime=AT - timedelta(hours=3))
    draft = rules.draft(event, FACTS, stage="test")
    assert draft is not None
    assert draft.line is not None
    assert draft.line.at == AT - timedelta(hours=3)
    assert rules.position_of(event).startswith("2026-11-23T07:30:00")


def test_an_announcement_is_told_to_the_client_who_made_it() -> None:
    event = an_item_event("facteo.item.announced", data={})
    body = msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(FACTS, client="111111", reference="FIRST")))
    draft = rules.draft(msgspec.structs.replace(event, data=body), FACTS, stage="test")
    assert draft is not None
    assert draft.line is not None
    assert (draft.client, draft.line.reference) == ("111111", "FIRST")


def test_nobody_is_told_of_an_item_that_nobody_announced() -> None:
    assert rules.draft(an_item_event(), None, stage="test") is None


@pytest.mark.parametrize(
    ("event_type", "data"),
    [("facteo.item.scanned", {"step": "out-for-delivery"}), ("facteo.item.scanned", {"step": "presented"})],
)
def test_what_the_format_has_no_code_for_gives_no_line(event_type: str, data: dict[str, str]) -> None:
    draft = rules.draft(an_item_event(event_type, data=data), FACTS, stage="test")
    assert draft is not None
    assert draft.line is None


def test_a_correction_gives_no_line() -> None:
    body = msgspec.Raw(b'{"corrects":"an-event","reason":"wrong item"}')
    event = msgspec.structs.replace(an_item_event("facteo.item.corrected"), data=body)
    draft = rules.draft(event, FACTS, stage="test")
    assert draft is not None
    assert draft.line is None


@pytest.mark.parametrize("announced", [FACTS, None])
def test_an_event_that_the_format_does_not_know_is_never_passed_over(announced: Announced | None) -> None:
    with pytest.raises(LookupError):
        rules.draft(an_item_event("facteo.item.photographed"), announced, stage="test")


@pytest.mark.parametrize(("stage", "withheld"), [("test", False), ("prod", True), ("production", True)])
def test_a_code_that_nobody_confirmed_does_not_leave_production(stage: str, withheld: bool) -> None:
    absent = rules.draft(an_item_event("facteo.item.not-delivered"), FACTS, stage=stage)
    delivered = rules.draft(an_item_event("facteo.item.delivered"), FACTS, stage=stage)
    assert absent is not None
    assert delivered is not None
    assert (absent.withheld, delivered.withheld) == (withheld, False)


@given(st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), min_size=2), st.integers(-12, 14))  # noqa: DTZ001
def test_the_order_of_positions_is_the_order_of_time(moments: list[datetime], offset: int) -> None:
    zone = timezone(timedelta(hours=offset))
    found = [an_item_event(at=moment.replace(tzinfo=zone)) for moment in moments]
    ordered = sorted(found, key=rules.position_of)
    assert ordered == sorted(found, key=lambda event: (event.happened_at, event.id))
    assert all(Traced(position=rules.position_of(event), correlation_id="").event_id == event.id for event in found)


@given(st.text("0123456789", min_size=6, max_size=6))
def test_what_is_written_is_found_again(client: str) -> None:
    assert rules.line_partition(client, ids.new(AT)) in rules.line_partitions(client)
    assert rules.due_partition(client) in rules.due_partitions()


def test_lines_and_markers_are_spread() -> None:
    assert {rules.line_partition("999999", ids.new(AT)) for _ in range(500)} == set(rules.line_partitions("999999"))
    assert {rules.due_partition(f"{client:06}") for client in range(500)} == set(rules.due_partitions())


def test_the_largest_file_fits_into_an_item_of_dynamodb() -> None:
    record = "DDD001;9V;" + "9" * 18 + ";202611231130;LIV;CFM;" + "R" * 35 + "\r\n"
    content = rules.assemble([record] * rules.MAX_LINES)
    traced = Traced(position=rules.position_of(an_item_event(at=AT)), correlation_id="c" * 64)
    trail = msgspec.json.encode([traced] * rules.MAX_LINES)
    assert len(content) + len(trail) < 400_000


def test_files_are_numbered_in_an_order_that_holds() -> None:
    assert rules.despatch_position(9) < rules.despatch_position(10) < rules.despatch_position(1_000_000)


def test_the_name_during_upload_is_another_for_each_attempt_and_never_one_that_is_read() -> None:
    names = [rules.temporary_name("999999", AT, 7, attempt) for attempt in (1, 2)]
    assert names == ["999999.20261123.113000_007.1.tmp", "999999.20261123.113000_007.2.tmp"]
    assert file_name("999999", AT, 7) == "999999.20261123.113000_007.ok"


def test_all_that_a_transport_may_take_ends_within_the_lease() -> None:
    operations = 6
    assert timedelta(seconds=operations * transport.OPERATION_SECONDS) < rules.LEASE


def test_the_connection_data_do_not_show_the_password() -> None:
    known = transport.Server(host="sftp.test", username="u", password="hunter2", host_key="k")
    assert "hunter2" not in f"{known!r} {known}"
