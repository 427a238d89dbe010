"""What a maker of handsets meets: a client in another language, and the pages that explain the API."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from chalicelib.reference import service
from demo import staff
from infra import openapi
from infra.running import Run
from tests.support.second_client import needs_node, run

ITEM = "9V00000100014"
VIEWER = Path(service.__file__).parent / "static" / "swagger-ui" / "swagger-ui-bundle.js"


def page(running: Run, path: str) -> tuple[str, str]:
    """Content-Type and text of a page that anybody may read."""
    host = {"Host": urllib.parse.urlsplit(running.url).netloc}
    request = urllib.request.Request(f"http://{running.connect_to}{path}", headers=host)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the local cloud
        return answer.headers["Content-Type"], answer.read().decode()


@needs_node
def test_a_handset_in_another_language_enrols_and_syncs(running: Run) -> None:
    ticket = staff.ticket(running, "C1002")["content"]
    told = run("day", json.dumps(ticket), ITEM, running.connect_to)
    assert (told["stated"]["carrier"], told["corrected"]) == ("C1002", 0)
    assert (told["round"]["round"]["route"], told["round"]["again"]) == ("T13", 304)
    assert [result["result"] for result in told["first"]["results"]] == ["recorded", "refused", "recorded"]
    assert [result["result"] for result in told["again"]["results"]] == ["duplicate", "refused", "duplicate"]
    assert told["again"]["acknowledged_through"] == 3
    bearer = staff.token(running, "carrier-support")
    history = staff.call(running, "GET", f"/v1/items/{ITEM}", bearer=bearer)
    assert {told["ids"][0], told["ids"][2]} <= {event["id"] for event in history["events"]}


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/v1/docs", "text/html", "swagger-ui-bundle.js"),
        ("/v1/docs/swagger-ui-bundle.js", "text/javascript", VIEWER.read_text(encoding="utf-8")),
        ("/problems/clock-skewed", "text/html", "<h1>The clock of the handset is too far from ours</h1>"),
    ],
)
def test_the_pages_come_whole_through_the_gateway(running: Run, path: str, kind: str, expected: str) -> None:
    content_type, text = page(running, path)
    assert content_type == f"{kind}; charset=utf-8"
    assert expected in text


def test_the_description_that_is_deployed_is_the_committed_one(running: Run) -> None:
    assert json.loads(page(running, "/v1/openapi.json")[1]) == json.loads(openapi.PATH.read_text())
