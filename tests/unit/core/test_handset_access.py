"""What a handset may do, by the state of its enrolment, and what letting it in costs."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core import access
from chalicelib.core.access import AccessRow, DeviceState, Handset
from chalicelib.core.errors import ChangedMeanwhile, DeviceBlocked, Problem
from chalicelib.core.transaction import UnitOfWork, transaction
from handset.signing import Request, sign
from tests.support import dynamodb
from tests.support.api import AUTHORITY, Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import HeldHandset, a_handset


def outcomes(handset: HeldHandset) -> tuple[tuple[int, str], tuple[int, str]]:
    """What the handset is told at `POST /v1/events` and at `GET /v1/round`."""
    sent, asked = handset.sync(handset.event()), handset.calls().get("/v1/round")
    return (sent.status, sent.problem), (asked.status, asked.problem)


LET_IN, NO_ROUND, BLOCKED = (200, ""), (404, "no-round-today"), (403, "device-blocked")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("enrolled", (LET_IN, NO_ROUND)),
        ("quarantined", (LET_IN, BLOCKED)),
        ("wiping", (LET_IN, BLOCKED)),
        ("retired", (BLOCKED, BLOCKED)),
    ],
)
def test_what_each_state_allows(api: Api, state: str, told: Any) -> None:
    assert outcomes(a_handset(api, state=state)) == told


def test_a_blocked_handset_is_told_its_state(api: Api) -> None:
    assert a_handset(api, state="wiping").calls().get("/v1/round").body["state"] == "wiping"


def test_a_handset_is_let_in_by_one_consistent_read(api: Api) -> None:
    handset = a_handset(api)

    with dynamodb.sent("GetItem") as reads:
        handset.sync(handset.event())

    assert [(read["TableName"], read["ConsistentRead"]) for read in reads] == [("facteo-test-access", True)]


@pytest.mark.parametrize("waiting", [0, 3])
def test_every_answer_says_how_many_commands_wait(api: Api, waiting: int) -> None:
    handset = a_handset(api, commands_waiting=waiting)
    answers = [
        handset.sync(handset.event()),
        handset.calls().post("/v1/events", {"nonsense": True}),
        handset.calls().get("/v1/round"),
    ]

    assert [answer.status for answer in answers] == [200, 400, 404]
    assert {answer.headers[access.COMMANDS_WAITING_HEADER] for answer in answers} == {str(waiting)}


def test_a_blocked_handset_is_told_that_commands_wait_with_its_refusal(api: Api) -> None:
    answer = a_handset(api, state="quarantined", commands_waiting=2).calls().get("/v1/round")

    assert (answer.status, answer.headers[access.COMMANDS_WAITING_HEADER]) == (403, "2")


def test_a_stranger_is_not_told_whether_commands_wait(api: Api) -> None:
    known, other = a_handset(api, commands_waiting=3), a_handset(api)

    answer = api.as_handset(other.key, known.device).get("/v1/round")

    assert answer.status == 401
    assert access.COMMANDS_WAITING_HEADER not in answer.headers


def at_the_gateway(handset: HeldHandset, clock: FakeClock, *, path: str, stage: str) -> Answered:
    """`GET /v1/round` as a REST API of API Gateway hands it over, with this path and stage in its context."""
    import app  # noqa: PLC0415 - after moto and the settings

    request = Request(method="GET", url=f"https://{AUTHORITY}/v1/round")
    sign(request, handset.key, key_id=handset.device, created=clock())
    raw = {
        "resource": "/v1/round",
        "path": "/v1/round",
        "httpMethod": "GET",
        "headers": {**request.headers, "Host": "a1b2c3.execute-api.eu-west-3.amazonaws.com"},
        "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"resourcePath": "/v1/round", "httpMethod": "GET", "path": path, "stage": stage},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = app.app(raw, None)
    return Answered(answer["statusCode"], answer["headers"], answer["body"])


@pytest.mark.parametrize(
    ("path", "stage", "told"),
    [
        ("/v1/round", "production", NO_ROUND),
        ("/production/v1/round", "production", NO_ROUND),
        ("/other/v1/round", "production", (401, "identity-required")),
        ("/production/production/v1/round", "production", (401, "identity-required")),
        ("/productionv1/round", "production", (401, "identity-required")),
    ],
)
def test_the_stage_that_a_gateway_puts_in_front_is_not_part_of_the_path(
    api: Api, clock: FakeClock, path: str, stage: str, told: tuple[int, str]
) -> None:
    answer = at_the_gateway(a_handset(api), clock, path=path, stage=stage)

    assert (answer.status, answer.problem) == told


class TestTheRow:
    """What features do with a device's row, in their own transactions."""

    def changed(self, row: AccessRow, state: DeviceState) -> None:
        with transaction() as work:
            access.set_state(work, row, state)

    def test_a_state_holds_from_the_next_request_on(self, api: Api) -> None:
        handset = a_handset(api)
        self.changed(handset.row, DeviceState.RETIRED)

        assert outcomes(handset) == (BLOCKED, BLOCKED)

    @pytest.mark.parametrize("write", ["state", "numbers", "grant"])
    def test_who_read_it_before_another_wrote_is_refused(self, api: Api, write: str) -> None:
        handset = a_handset(api)
        stale, new = handset.row, handset.row
        self.changed(handset.row, DeviceState.QUARANTINED)

        work = UnitOfWork()
        match write:
            case "state":
                access.set_state(work, stale, DeviceState.ENROLLED)
            case "numbers":
                access.acknowledge(work, stale, through=9, beyond="")
            case "grant":
                access.grant(work, new, replaces=stale)

        with pytest.raises(ChangedMeanwhile):
            work.commit()
        assert (handset.row.state, handset.row.acknowledged_through) == ("quarantined", 0)

    def test_a_new_enrolment_inherits_nothing(self, api: Api) -> None:
        handset = a_handset(api, acknowledged_through=7, beyond="9-9", commands_waiting=2)
        former = handset.row
        row = AccessRow(handset.device, generation=2, state="enrolled", key=former.key, carrier="C2", depot="75018A")

        with transaction() as work:
            access.grant(work, row, replaces=former)

        kept = handset.row
        assert (kept.generation, kept.acknowledged_through, kept.beyond, kept.commands_waiting) == (2, 0, "", 0)
        assert kept.revision == former.revision + 1

    def test_a_device_is_not_granted_twice_at_once(self, api: Api) -> None:
        handset = a_handset(api)

        with pytest.raises(ChangedMeanwhile), transaction() as work:
            access.grant(work, handset.row, replaces=None)

    @pytest.mark.parametrize(
        ("change", "refusal"), [({}, None), ({"state": "retired"}, DeviceBlocked), ({"generation": 2}, DeviceBlocked)]
    )
    def test_the_present_row_is_only_given_to_the_same_enrolment(
        self, api: Api, clock: FakeClock, change: dict[str, Any], refusal: type[Problem] | None
    ) -> None:
        row = a_handset(api).row
        who = Handset(
            actor="carrier/C1001",
            device=row.device,
            generation=1,
            carrier="C1001",
            depot="75015A",
            state=DeviceState.ENROLLED,
            signed_at=clock.at,
            row=row,
        )
        for name, value in change.items():
            setattr(row, name, value)
        row.save()

        if refusal is None:
            assert access.current(who).device == row.device
        else:
            with pytest.raises(refusal):
                access.current(who)
