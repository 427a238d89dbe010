"""One scan and a hundred: our CPU for a signed request, beside a bare loop that makes the same calls.

DynamoDB is a process of its own that answers with canned bytes, so that neither side pays for it. The bare loop sends
the very requests that ours sent, by botocore, and verifies one P-256 signature.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any, ClassVar, NamedTuple

import botocore.session
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench import requests
from bench.logs import logging_to_nowhere
from bench.turns import Compared, Work, compared, cpu
from handset.signing import HandsetKey

AUTHORITY = "api.facteo.bench"
PATH = "/v1/events"
DEVICE = "019ac9a0-0000-7000-8000-0000000000d1"
BOUND = 1.5
TURNS = 200
"""So many requests of each, by turns: what slows the machine down meets both."""


class Scans(NamedTuple):
    """A figure: how many scans, what they cost, bytes up and calls made."""

    scans: int
    cost: Compared
    request_bytes: int
    calls: int
    dynamodb_bytes: int


class _Canned(BaseHTTPRequestHandler):
    """DynamoDB as far as a scan needs it: the device's row, no known ids, transactions that succeed."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: in two, TCP would wait 40 ms in between
    answers: ClassVar[dict[str, bytes]] = {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.answers[self.headers["X-Amz-Target"].rpartition(".")[2]]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _serve(row: dict[str, Any], told: Connection) -> None:
    tables: dict[str, list[Any]] = {"facteo-bench-event-ids": []}
    _Canned.answers = {
        "GetItem": json.dumps({"Item": row}).encode(),
        "BatchGetItem": json.dumps({"Responses": tables, "UnprocessedKeys": {}}).encode(),
        "TransactWriteItems": b"{}",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Canned)
    told.send(server.server_port)
    server.serve_forever()


@contextmanager
def _dynamodb(key: HandsetKey) -> Iterator[None]:
    """The canned DynamoDB, until the block ends; everything after it talks to it."""
    row = {
        "device": {"S": DEVICE},
        "generation": {"N": "1"},
        "state": {"S": "enrolled"},
        "key": {"S": json.dumps(key.public_jwk)},
        "carrier": {"S": "C1001"},
        "depot": {"S": "75015A"},
        "acknowledged_through": {"N": "0"},
        "beyond": {"S": ""},
        "commands_waiting": {"N": "0"},
        "revision": {"N": "1"},
    }
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(row, there), daemon=True)
    process.start()
    os.environ |= {
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{here.recv()}",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        "FACTEO_STAGE": "bench",
        "FACTEO_AUTHORITY": AUTHORITY,
        "FACTEO_PUBLIC_URL": f"https://{AUTHORITY}",
        "FACTEO_ATTESTATION_PACKAGE": "bench",
        "FACTEO_ATTESTATION_SIGNERS": "bench",
        "FACTEO_PASSKEY_RP_ID": "bench",
        "FACTEO_PASSKEY_ORIGINS": "bench",
        "FACTEO_OIDC_ISSUER": "bench",
        "FACTEO_OIDC_JWKS": "bench",
        "FACTEO_OIDC_AUDIENCE": "bench",
        "FACTEO_ALERT_TOPIC": "bench",
    }
    try:
        yield
    finally:
        process.terminate()
        process.join()


def measure() -> list[Scans]:
    """One scan and a hundred, ours and the bare loop by turns."""
    key = HandsetKey.generate()
    with _dynamodb(key), logging_to_nowhere():
        return [_measured(number, key) for number in (1, 100)]


def _measured(number: int, key: HandsetKey) -> Scans:
    event = _gateway_event(number, key)
    ours = _our_request(event)
    sent = _recorded(ours)
    bare = _bare_request(sent)
    cost = compared([(cpu(bare), cpu(ours)) for _ in range(TURNS)])
    size = sum(len(json.dumps(parameters)) for _, parameters in sent)
    return Scans(number, cost, len(event["body"]), len(sent), size)


def _our_request(event: dict[str, Any]) -> Work:
    from app import app  # noqa: PLC0415 - after the settings

    def request() -> None:
        answer = app(event, None)
        assert answer["statusCode"] == 200, answer  # noqa: S101 - a bench of refusals would be no use

    request()
    return request


def _recorded(request: Work) -> list[tuple[str, dict[str, Any]]]:
    """The calls of DynamoDB that a request makes: operation and parameters."""
    from chalicelib.core.table import shared_connection  # noqa: PLC0415

    sent: list[tuple[str, dict[str, Any]]] = []

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        sent.append((model.name, json.loads(params["body"])))

    hooks = shared_connection().client.meta.events
    hooks.register("before-call.dynamodb", note)
    request()
    hooks.unregister("before-call.dynamodb", note)
    return sent


def _bare_request(sent: list[tuple[str, dict[str, Any]]]) -> Work:
    client = botocore.session.get_session().create_client("dynamodb")
    private = ec.generate_private_key(ec.SECP256R1())
    message = os.urandom(300)
    signature, public = private.sign(message, ec.ECDSA(hashes.SHA256())), private.public_key()

    def request() -> None:
        public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        for operation, parameters in sent:
            client._make_api_call(operation, parameters)

    return request


def _gateway_event(number: int, key: HandsetKey) -> dict[str, Any]:
    """A signed `POST /v1/events` with that many scans, as API Gateway hands it over."""
    now = datetime.now(UTC)
    body = requests.batch(
        [requests.a_scan(DEVICE, one, requests.parcel(one), now) for one in range(1, number + 1)], now
    )
    request = requests.signed("POST", PATH, body, key=key, device=DEVICE, authority=AUTHORITY, now=now)
    return requests.gateway_event(request, PATH)
