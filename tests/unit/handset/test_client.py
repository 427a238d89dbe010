"""The handset against the API over real HTTP: offline first, every event once, whatever breaks on the way."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core import clock as clocks
from chalicelib.core import journal
from chalicelib.core.access import AccessRow
from handset.client import GivenUp, Handset, NotEnrolled, Synced
from handset.outbox import Outbox
from handset.transport import NoNetwork, Refused
from tests.support.api import Answered
from tests.support.bridge import NO_NETWORK, Bridge, lost
from tests.support.clock import FakeClock
from tests.support.events import announced
from tests.support.factories import CARRIER, DEPOT, ITEM, ROUTE, an_item
from tests.support.fleet import retire

HTML = Answered(200, {"Content-Type": "text/html"}, "<html>Wi-Fi of the café: please log in</html>")


def unavailable(status: int, **headers: str) -> Answered:
    """What API Gateway says by itself."""
    return Answered(status, {"Content-Type": "application/json", **headers}, '{"message": "Too Many Requests"}')


def on_the_round(bridge: Bridge, *items: str) -> None:
    """The carrier is on the route today, and these items lie on it."""
    manager = bridge.api.as_staff("depot-manager")
    duty = {"depot": DEPOT, "route": ROUTE, "starts": "06:30", "ends": "13:00"}
    assert manager.put(f"/v1/carriers/{CARRIER}/duties/{clocks.today()}", duty).status == 200
    for rank, item in enumerate(items):
        announced(item)
        placement = {"depot": DEPOT, "route": ROUTE, "rank": rank}
        assert manager.put(f"/v1/items/{item}/placement", placement).status == 200


def scans(item: str = ITEM) -> list[int]:
    """The numbers of the item's scans that the journal keeps, in the order of the numbers."""
    return sorted(event.sequence for event in journal.read(f"item/{item}") if event.type == "facteo.item.scanned")


def jumped(handset: Handset, last: int) -> None:
    """The handset's next number is beyond `last`: those between are lost for ever."""
    handset.outbox.close()
    with sqlite3.connect(handset.outbox_file) as database:
        database.execute("UPDATE numbers SET last = ?", (last,))


class TestEnrolment:
    def test_an_enrolled_handset_is_taken_up_again_from_its_folder(self, bridge: Bridge, handset: Handset) -> None:
        again = Handset(handset.folder, bridge.connect_to)
        assert again.enrolment == handset.enrolment
        device = bridge.api.as_staff("fleet-admin").get(f"/v1/devices/{again.enrolment['device']}").body
        assert (device["carrier"], device["model"], device["generation"]) == (CARRIER, "reference handset", 1)

    def test_the_folder_is_its_owners_only(self, handset: Handset) -> None:
        kept = [handset.folder, *handset.folder.glob("key-*.pem"), handset.folder / "enrolment.json"]
        assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in kept] == [0, 0, 0]

    def test_when_the_answer_was_lost_it_enrols_again_as_the_same_device(
        self, bridge: Bridge, tmp_path: Path, clock: FakeClock
    ) -> None:
        content, folder = bridge.ticket(), tmp_path / "handset"
        bridge.changes.append(lost)
        with pytest.raises(NoNetwork):
            Handset.enrol(folder, content, serial="S-1", connect_to=bridge.connect_to, now=clock)
        with pytest.raises(NotEnrolled):
            Handset(folder)
        handset = Handset.enrol(folder, content, serial="S-1", connect_to=bridge.connect_to, now=clock)
        [device] = bridge.api.as_staff("fleet-admin").get("/v1/devices", carrier=CARRIER).body["devices"]
        assert (device["device"], device["generation"]) == (handset.enrolment["device"], 1)

    def test_a_refusal_says_why_and_leaves_no_enrolment(
        self, bridge: Bridge, handset: Handset, tmp_path: Path, clock: FakeClock
    ) -> None:
        with pytest.raises(Refused, match="enrolled already") as refused:
            bridge.enrol(tmp_path / "other", clock)
        assert (refused.value.status, refused.value.problem["type"]) == (409, "/problems/already-enrolled")
        with pytest.raises(NotEnrolled):
            Handset(tmp_path / "other")

    def test_asked_again_with_the_same_ticket_it_keeps_what_it_has_done(
        self, bridge: Bridge, tmp_path: Path, clock: FakeClock
    ) -> None:
        content, folder = bridge.ticket(), tmp_path / "handset"
        Handset.enrol(folder, content, serial="S-1", connect_to=bridge.connect_to, now=clock).scan(ITEM, "at-depot")
        again = Handset.enrol(folder, content, serial="S-1", connect_to=bridge.connect_to, now=clock)
        assert (again.given_up, again.outbox.count()) == (None, 1)
        assert again.sync() == Synced(recorded=1)

    def test_after_its_retirement_it_begins_anew_and_says_what_is_given_up(
        self, bridge: Bridge, handset: Handset, clock: FakeClock
    ) -> None:
        on_the_round(bridge, ITEM)
        handset.take_round()
        for _ in range(3):
            handset.scan(ITEM, "out-for-delivery")
        assert retire(bridge.api, handset.enrolment["device"]).status == 200

        again = bridge.enrol(handset.folder, clock)

        assert again.enrolment["generation"] == 2
        assert again.given_up == GivenUp(3, handset.outbox_file)
        assert len(Outbox(handset.outbox_file).all()) == 3
        assert again.round is None
        assert again.scan(ITEM, "presented")["sequence"] == 1
        assert again.sync() == Synced(recorded=1)
        assert again.take_round()["snapshot"] >= 1

    @pytest.mark.parametrize("same_ticket", [True, False])
    def test_when_the_answer_to_a_new_enrolment_was_lost_the_next_one_succeeds(
        self, bridge: Bridge, handset: Handset, clock: FakeClock, same_ticket: bool
    ) -> None:
        def enrol(content: dict[str, str]) -> Handset:
            return Handset.enrol(handset.folder, content, serial="S-1", connect_to=bridge.connect_to, now=clock)

        handset.scan(ITEM, "presented")
        assert retire(bridge.api, handset.enrolment["device"]).status == 200
        content = bridge.ticket()
        bridge.changes.append(lost)
        with pytest.raises(NoNetwork):
            enrol(content)
        assert Handset(handset.folder).outbox.count() == 1, "the former enrolment stands until there is another"
        if not same_ticket:
            assert retire(bridge.api, handset.enrolment["device"]).status == 200
            content = bridge.ticket()
        again = enrol(content)
        assert again.enrolment["generation"] == (2 if same_ticket else 3)
        again.scan(ITEM, "presented")
        assert again.sync() == Synced(recorded=1)


class TestRound:
    def test_it_is_taken_once_and_kept(self, bridge: Bridge, handset: Handset, clock: FakeClock) -> None:
        on_the_round(bridge, ITEM)
        first = handset.take_round()
        again = Handset(handset.folder, bridge.connect_to, clock).take_round()
        assert [item["item"] for item in first["items"]] == [ITEM]
        assert again == first
        taken = [request for request in bridge.received if request.path == "/v1/round"]
        assert [request.status for request in taken if request.status != 401] == [200, 304]

    def test_a_change_is_a_new_snapshot(self, bridge: Bridge, handset: Handset) -> None:
        on_the_round(bridge, ITEM)
        first = handset.take_round()
        on_the_round(bridge, an_item())
        assert (first["snapshot"], handset.take_round()["snapshot"]) == (1, 2)

    @pytest.mark.parametrize("instead", [unavailable(503), unavailable(429), HTML])
    def test_the_one_taken_before_serves_while_there_is_no_other(
        self, bridge: Bridge, handset: Handset, clock: FakeClock, instead: Answered
    ) -> None:
        on_the_round(bridge, ITEM)
        taken = handset.take_round()
        bridge.instead.append(instead)
        assert handset.take_round() == taken
        assert Handset(handset.folder, NO_NETWORK, clock).take_round() == taken

    def test_without_one_and_without_network_there_is_none(self, handset: Handset) -> None:
        with pytest.raises(NoNetwork):
            Handset(handset.folder, NO_NETWORK).take_round()

    def test_who_has_no_round_is_told_so(self, handset: Handset) -> None:
        with pytest.raises(Refused, match="You have no round today"):
            handset.take_round()


class TestSync:
    def test_what_was_done_offline_arrives_once(self, bridge: Bridge, handset: Handset, clock: FakeClock) -> None:
        on_the_round(bridge, ITEM)
        handset.take_round()
        offline = Handset(handset.folder, NO_NETWORK, clock)
        offline.scan(ITEM, "out-for-delivery")
        offline.record("facteo.item.delivered", ITEM, recipient="addressee")
        with pytest.raises(NoNetwork):
            offline.sync()
        assert offline.outbox.count() == 2

        assert handset.sync() == Synced(recorded=2)
        assert handset.sync() == Synced()

        delivered = [event for event in journal.read(f"item/{ITEM}") if event.type == "facteo.item.delivered"]
        assert [(event.sequence, event.snapshot, event.actor) for event in delivered] == [(2, 1, f"carrier/{CARRIER}")]
        assert handset.outbox.all() == []
        assert len(bridge.batches()) == 1

    def test_when_the_answer_was_lost_they_are_duplicates(self, bridge: Bridge, handset: Handset) -> None:
        handset.scan(ITEM, "out-for-delivery")
        bridge.changes.append(lost)
        with pytest.raises(NoNetwork):
            handset.sync()
        handset.scan(ITEM, "presented")
        assert handset.sync() == Synced(recorded=1, duplicate=1)
        assert scans() == [1, 2]

    def test_killed_between_the_answer_and_its_settling_it_carries_on(self, bridge: Bridge, handset: Handset) -> None:
        handset.scan(ITEM, "out-for-delivery")
        command = [sys.executable, "-m", "handset", "--folder", str(handset.folder), "--connect-to", bridge.connect_to]
        with subprocess.Popen([*command, "sync"]) as process:  # noqa: S603

            def kill(answer: Answered) -> Answered | None:
                if answer.status == 401:
                    bridge.changes.append(kill)
                    return answer
                process.kill()
                process.wait()
                return None

            bridge.changes.append(kill)
        assert process.returncode == -signal.SIGKILL
        assert scans() == [1]
        assert Handset(handset.folder, bridge.connect_to).sync() == Synced(duplicate=1)
        assert scans() == [1]

    def test_a_refused_event_is_told_and_not_sent_again(self, bridge: Bridge, handset: Handset) -> None:
        handset.scan(ITEM, "out-for-delivery")
        bad = handset.scan("1234567891011", "presented")
        handset.scan(ITEM, "presented")
        synced = handset.sync()
        assert (synced.recorded, synced.refused, synced.postponed) == (2, 1, 0)
        [(event, problem)] = synced.problems
        assert (event, problem["type"]) == (bad, "/problems/unknown-identifier")
        assert handset.outbox.all() == []
        assert handset.sync() == Synced()

    def test_many_events_go_oldest_first_in_batches(self, bridge: Bridge, handset: Handset) -> None:
        for _ in range(230):
            handset.scan(an_item(), "out-for-delivery")
        assert handset.sync() == Synced(recorded=230)
        assert [len(batch.events) for batch in bridge.batches()] == [100, 100, 30]
        sent = [event["sequence"] for batch in bridge.batches() for event in batch.events]
        assert sent == list(range(1, 231))

    def test_a_batch_is_no_larger_than_the_policy_allows(self, bridge: Bridge, handset: Handset) -> None:
        handset.enrolment["policy"] |= {"batch_bytes": 4096}
        for _ in range(20):
            handset.scan(an_item(), "presented")
        assert handset.sync() == Synced(recorded=20)
        assert len(bridge.batches()) > 1
        assert max(len(batch.body) for batch in bridge.batches()) <= 4096

    @pytest.mark.parametrize("hours", [3, -3])
    def test_a_wrong_clock_is_corrected_once(
        self, bridge: Bridge, tmp_path: Path, clock: FakeClock, hours: int
    ) -> None:
        wrong = FakeClock(clock.at + timedelta(hours=hours))
        handset = bridge.enrol(tmp_path / "handset", wrong)
        for _ in range(2):
            event = handset.scan(ITEM, "presented")
            handset.sync()
        assert [request.status for request in bridge.batches()] == [401, 200, 200]
        assert event["time"] == wrong.at.isoformat(), "what the carrier saw is kept"
        assert scans() == [1, 2]

    def test_a_clock_that_stays_wrong_is_not_asked_about_for_ever(self, bridge: Bridge, handset: Handset) -> None:
        told = {"type": "/problems/clock-skewed", "title": "t", "detail": "d", "server_time": "2020-01-01T00:00:00Z"}
        skewed = Answered(401, {"Content-Type": "application/problem+json"}, json.dumps(told))
        bridge.instead += [skewed, skewed]
        handset.scan(ITEM, "presented")
        with pytest.raises(Refused):
            handset.sync()
        assert len(bridge.batches()) == 2
        assert handset.outbox.count() == 1

    @pytest.mark.parametrize(
        ("instead", "retry_after"),
        [
            (unavailable(429, **{"Retry-After": "30"}), 30),
            (unavailable(503, **{"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}), 0),
            (unavailable(500), 0),
            (Answered(502, {}, ""), 0),
            (HTML, 0),
            (Answered(302, {"Location": "http://wifi.example/"}, ""), 0),
            (Answered(403, {"Content-Type": "text/html"}, "<html>"), None),
        ],
    )
    def test_whoever_answers_something_else_nothing_is_lost(
        self, bridge: Bridge, handset: Handset, instead: Answered, retry_after: int | None
    ) -> None:
        handset.scan(ITEM, "presented")
        bridge.instead.append(instead)
        with pytest.raises((NoNetwork, Refused)) as told:
            handset.sync()
        assert getattr(told.value, "retry_after", None) == retry_after
        assert handset.outbox.count() == 1
        assert handset.sync() == Synced(recorded=1)

    def test_what_came_through_before_a_failure_stays_sent(self, bridge: Bridge, handset: Handset) -> None:
        for _ in range(101):
            handset.scan(an_item(), "presented")
        bridge.changes += [lambda answer: answer, lost]
        with pytest.raises(NoNetwork):
            handset.sync()
        assert [event["sequence"] for event in handset.outbox.all()] == [101]

    def test_an_answer_for_fewer_events_settles_none(self, bridge: Bridge, handset: Handset) -> None:
        def shortened(answer: Answered) -> Answered:
            body = answer.body
            return Answered(answer.status, answer.headers, json.dumps(body | {"results": body["results"][:1]}))

        handset.scan(ITEM, "out-for-delivery")
        handset.scan(ITEM, "presented")
        bridge.changes.append(shortened)
        with pytest.raises(NoNetwork, match="speaks of 1 events"):
            handset.sync()
        assert handset.sync() == Synced(duplicate=2)

    def test_an_event_that_comes_too_early_waits_and_the_sync_ends(self, bridge: Bridge, handset: Handset) -> None:
        """The back office has not recorded it, so it must not be given up."""
        jumped(handset, 20_000)
        again = Handset(handset.folder, bridge.connect_to)
        again.scan(ITEM, "presented")
        synced = again.sync()
        assert (synced.recorded, synced.refused, synced.postponed) == (0, 0, 1)
        assert synced.problems[0][1]["type"] == "/problems/sequence-too-far-ahead"
        assert again.outbox.count() == 1

    def test_beyond_a_hole_events_are_recorded_kept_and_sent_once_a_sync(
        self, bridge: Bridge, handset: Handset
    ) -> None:
        jumped(handset, 1)
        again = Handset(handset.folder, bridge.connect_to)
        again.scan(ITEM, "presented")
        assert again.sync() == Synced(recorded=1)
        assert again.outbox.count() == 1
        assert again.sync() == Synced(duplicate=1)
        assert scans() == [2]

    def test_a_retired_handset_keeps_what_it_could_not_send(self, bridge: Bridge, handset: Handset) -> None:
        handset.scan(ITEM, "presented")
        assert retire(bridge.api, handset.enrolment["device"]).status == 200
        with pytest.raises(Refused, match="retired") as refused:
            handset.sync()
        assert refused.value.status == 403
        assert handset.outbox.count() == 1

    def test_it_knows_how_many_commands_wait(self, handset: Handset) -> None:
        row = AccessRow.get(handset.enrolment["device"])
        row.commands_waiting = 2
        row.save()
        handset.scan(ITEM, "presented")
        handset.sync()
        assert handset.commands_waiting == 2


def test_an_event_is_a_cloudevent_as_the_protocol_wants_it(handset: Handset, clock: FakeClock) -> None:
    event: dict[str, Any] = handset.scan(ITEM, "presented")
    milliseconds = int(event["id"].replace("-", "")[:12], 16)
    assert milliseconds == int(clock.at.timestamp() * 1000)
    assert event["source"] == f"/handsets/{handset.enrolment['device']}/1"
    assert (event["sequence"], event["snapshot"], event["subject"]) == (1, 0, f"item/{ITEM}")
