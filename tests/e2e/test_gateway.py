"""What only the real gateway, identity provider and workers show: names, paths, headers, tokens, logs."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo import seed, staff
from handset.client import Handset
from handset.transport import Refused
from infra.running import Run

ITEM = "9V00000100014"
WORKERS = ("relay", "tracking", "sorting")


def ask(running: Run, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of a call, whatever they are."""
    host = urllib.parse.urlsplit(running.url).netloc
    told = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"http://{running.connect_to}{path}", body, told, method=method)
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the local cloud
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


@pytest.mark.parametrize("role", staff.ROLES)
def test_every_role_has_a_user_who_is_let_in_by_their_role_only(running: Run, role: str) -> None:
    status, _ = ask(running, "GET", "/v1/imports", Authorization=f"Bearer {staff.token(running, role)}")
    assert status == (200 if role == "ops" else 403)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic b3BzOm9wcw=="}])
def test_nobody_is_let_in_without_a_token(running: Run, headers: dict[str, str]) -> None:
    status, problem = ask(running, "GET", "/v1/zones", **headers)
    assert (status, problem["type"]) == (401, "/problems/identity-required")


def test_the_tracking_site_reads_tracking_and_nothing_else(running: Run) -> None:
    site, ops = staff.system_token(running), staff.token(running, "ops")
    assert ask(running, "GET", "/v1/suivi/9V20524752032", Authorization=f"Bearer {site}")[0] == 404
    assert ask(running, "GET", "/v1/zones", Authorization=f"Bearer {site}")[0] == 403
    assert ask(running, "GET", "/v1/suivi/9V20524752032", Authorization=f"Bearer {ops}")[0] == 403


@pytest.mark.parametrize(
    ("body", "kind", "problem"),
    [
        (b"{}", "text/plain", "media-type-unsupported"),
        (b"{", "application/json", "request-invalid"),
        (b" " * 70_000, "application/json", "body-too-large"),
    ],
)
def test_bad_bodies_are_told_apart(running: Run, body: bytes, kind: str, problem: str) -> None:
    bearer = f"Bearer {staff.token(running, 'fleet-admin')}"
    status, told = ask(running, "POST", "/v1/enrolment-tickets", body, Authorization=bearer, Content_Type=kind)
    assert (status, told["type"]) == (told["status"], f"/problems/{problem}")


def test_a_round_is_taken_once_and_then_not_modified(handset: Handset) -> None:
    taken = handset.take_round()
    assert taken["round"]["route"] == "T13"
    assert handset.take_round() == taken


def test_a_parameter_that_the_signature_covers_reaches_the_endpoint(handset: Handset) -> None:
    with pytest.raises(Refused) as refusal:
        handset.call("GET", "/v1/round?a=b%20c")
    assert refusal.value.problem["type"] == "/problems/request-invalid"


def test_a_clock_that_is_three_hours_off_is_put_right_by_the_answer(running: Run, handset: Handset) -> None:
    late = Handset(handset.folder, running.connect_to, now=lambda: datetime.now(UTC) - timedelta(hours=3))
    late.scan(ITEM, "at-depot")
    assert late.sync().recorded == 1
    event = _event(running, ITEM)
    assert "clock-off" in event["flags"]
    assert _moment(event["at"]) - _moment(event["device_time"]) > timedelta(hours=2, minutes=59)


def test_a_retired_handset_is_refused_at_its_next_request(running: Run, handset: Handset) -> None:
    admin = staff.token(running, "fleet-admin")
    device = handset.enrolment["device"]
    handset.take_round()
    staff.call(running, "POST", f"/v1/devices/{device}/retirement", {"reason": "test"}, bearer=admin)
    with pytest.raises(Refused) as refusal:
        handset.take_round()
    assert refusal.value.problem["type"] == "/problems/device-blocked"


def test_one_correlation_id_leads_from_the_handset_through_every_worker(running: Run, handset: Handset) -> None:
    event = handset.scan(ITEM, "at-depot")
    handset.sync()
    log = Path(running.sftp_root).with_name("cloud") / "cloud.log"

    def every_worker() -> bool | None:
        lines = [line for line in log.read_text().splitlines() if event["id"] in line]
        return all(any(f'"worker":"{worker}"' in line for line in lines) for worker in WORKERS) or None

    assert seed.wait_for(every_worker, "a log line of every worker")


def _event(running: Run, item: str) -> dict[str, Any]:
    bearer = staff.token(running, "carrier-support")
    history = staff.call(running, "GET", f"/v1/items/{item}", bearer=bearer)
    latest: dict[str, Any] = max(history["events"], key=lambda event: event["received_at"])
    return latest


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
