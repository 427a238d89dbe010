"""The channels: what each sends, and what is known afterwards. Nothing is ever sent twice by itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.config import Config
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

from chalicelib.alerts import channels, messages, posting
from chalicelib.alerts.channels import NOT_NOW, Refused, Unknown
from chalicelib.alerts.messages import Action
from chalicelib.alerts.policies import Channel, Way
from chalicelib.alerts.schemas import Alert, Flag, Purpose, State
from chalicelib.core import aws as clients
from chalicelib.core import settings
from tests.support.clock import FakeClock
from tests.support.stored import REGION

ALERT = "019c0000-0000-7000-8000-0000abcd1234"
RAISED = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
TOPIC = f"arn:aws:sns:{REGION}:{DEFAULT_ACCOUNT_ID}:facteo-test-alerts"
SECRET = "a secret of the receiver"
PATIENCE = 0.3
"""Seconds that the tests give a webhook instead of three."""

Handler = Callable[[socketserver.StreamRequestHandler], None]


def a_message(action: Action = Action.TRIGGER, step: int = 2, **changes: Any) -> messages.Message:
    told: dict[str, Any] = {
        "id": ALERT,
        "device": "019c0000-0000-7000-8000-000000000001",
        "generation": 1,
        "carrier": "C1001",
        "depot": "75015A",
        "zone": "PARIS",
        "raised_at": RAISED,
        "received_at": RAISED,
        "heard_at": RAISED,
        "state": State.NOTIFIED,
        "flags": frozenset({Flag.DURESS}),
    }
    return messages.message_of(Alert(**(told | changes)), action, step)


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FACTEO_ALERT_TOPIC", TOPIC)
    monkeypatch.setenv("FACTEO_MAIL_FROM", "alertes@facteo.test")
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


class Server:
    """A real server on 127.0.0.1 that does with each request what the test says, and keeps what it was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.over = threading.Event()


@contextmanager
def serving(answer: Handler) -> Iterator[Server]:
    class Taking(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode("latin-1").strip()
            if not line.startswith("POST "):
                return
            headers = {}
            while header := self.rfile.readline().decode().strip():
                name, _, value = header.partition(": ")
                headers[name] = value
            server.requests.append((line, headers, self.rfile.read(int(headers.get("Content-Length", 0)))))
            answer(self)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Taking) as running:
        running.daemon_threads = True
        server = Server(f"http://127.0.0.1:{running.server_address[1]}")
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            running.shutdown()
            thread.join()


def answering(status: int, body: str = "", *headers: str) -> Handler:
    def answer(request: socketserver.StreamRequestHandler) -> None:
        told = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
        request.wfile.write("\r\n".join([*told, "", body]).encode())

    return answer


def cutting(request: socketserver.StreamRequestHandler) -> None:
    """The request was read, and the connection ends without a word."""


def hanging(request: socketserver.StreamRequestHandler) -> None:
    request.connection.settimeout(10)
    request.rfile.read(1)


def dripping(request: socketserver.StreamRequestHandler) -> None:
    """A byte now and then, so that no timeout of a socket ever ends."""
    _drip(request, b"HTTP/1.1 2")


def dripping_headers(request: socketserver.StreamRequestHandler) -> None:
    _drip(request, b"HTTP/1.1 200 OK\r\nX-Slow: ")


def _drip(request: socketserver.StreamRequestHandler, begin: bytes) -> None:
    pause = threading.Event()
    request.wfile.write(begin)
    while not pause.wait(PATIENCE / 10):
        try:
            request.wfile.write(b"0")
        except OSError:
            return


def nobodys_port() -> int:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as closed:
        return int(closed.server_address[1])


def a_webhook(url: str, secret: str = SECRET) -> Way:
    return Way(channel=Channel.WEBHOOK, to=url, secret=secret)


# --- webhooks -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
class TestWebhook:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(posting, "SECONDS", PATIENCE)

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_an_event_is_sent_in_the_shape_of_pagerduty(self, status: int) -> None:
        with serving(answering(status)) as server:
            channels.send(a_webhook(f"{server.url}/v2/enqueue?team=a%20b&x#R0UT1NG"), a_message())

        [(line, headers, body)] = server.requests
        assert line == "POST /v2/enqueue?team=a%20b&x HTTP/1.1"
        assert headers["Content-Type"] == "application/json"
        event = json.loads(body)
        text = event["payload"]["custom_details"].pop("text")
        assert text == a_message().text
        assert event == {
            "routing_key": "R0UT1NG",
            "event_action": "trigger",
            "dedup_key": ALERT,
            "client": "Facteo",
            "payload": {
                "summary": "SOS SOUS CONTRAINTE : facteur C1001, site 75015A",
                "source": "depot/75015A",
                "severity": "critical",
                "timestamp": "2026-11-23T07:00:00Z",
                "component": "carrier/C1001",
                "group": "zone/PARIS",
                "class": "manual",
                "custom_details": {
                    "alert": ALERT,
                    "purpose": "actual",
                    "carrier": "C1001",
                    "depot": "75015A",
                    "zone": "PARIS",
                    "trigger": "manual",
                    "silent": False,
                    "flags": ["duress"],
                    "step": 2,
                },
            },
        }

    @pytest.mark.parametrize(("action", "word"), [(Action.ACKNOWLEDGE, "acknowledge"), (Action.RESOLVE, "resolve")])
    def test_what_became_of_it_has_the_same_key(self, action: Action, word: str) -> None:
        with serving(answering(202)) as server:
            channels.send(a_webhook(server.url), a_message(action))
        event = json.loads(server.requests[0][2])
        assert (event["event_action"], event["dedup_key"], "routing_key" in event) == (word, ALERT, False)

    def test_a_drill_is_not_critical(self) -> None:
        with serving(answering(202)) as server:
            channels.send(a_webhook(server.url), a_message(purpose=Purpose.EXERCISE))
        assert json.loads(server.requests[0][2])["payload"]["severity"] == "info"

    def test_the_receiver_can_tell_that_we_sent_it(self, clock: FakeClock) -> None:
        with serving(answering(200)) as server:
            channels.send(a_webhook(server.url), a_message())
        _, headers, body = server.requests[0]
        signed = dict(part.split("=", 1) for part in headers["Facteo-Signature"].split(","))
        assert int(signed["t"]) == clock.at.timestamp()
        expected = hmac.digest(SECRET.encode(), signed["t"].encode() + b"." + body, hashlib.sha256).hex()
        assert signed["v1"] == expected

    def test_the_signature_is_the_one_that_openssl_makes(self) -> None:
        """printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 's3cr3t'"""
        assert (
            channels.signature(b'{"a":1}', "s3cr3t", 1700000000)
            == "t=1700000000,v1=8dbbbbf4523b10bbb793e74d854144c45acccc2d233667b1c06b805b6ded8a84"
        )

    def test_without_a_secret_nothing_is_signed(self) -> None:
        with serving(answering(200)) as server:
            channels.send(a_webhook(server.url, secret=""), a_message())
        assert "Facteo-Signature" not in server.requests[0][1]

    @pytest.mark.parametrize(
        ("status", "again"),
        [(429, True), (503, True), (400, False), (401, False), (404, False), (410, False), (302, False)],
    )
    def test_a_refusal_is_definite(self, status: int, again: bool) -> None:
        with serving(answering(status)) as server, pytest.raises(Refused, match=str(status)) as refused:
            channels.send(a_webhook(server.url), a_message())
        assert refused.value.again is again
        assert len(server.requests) == 1

    def test_no_redirection_is_followed(self) -> None:
        with serving(answering(200)) as other:
            moved = answering(307, "", f"Location: {other.url}")
            with serving(moved) as server, pytest.raises(Refused):
                channels.send(a_webhook(server.url), a_message())
        assert other.requests == []

    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_after_a_failure_of_the_server_nobody_knows(self, status: int) -> None:
        with serving(answering(status)) as server, pytest.raises(Unknown):
            channels.send(a_webhook(server.url), a_message())

    @pytest.mark.parametrize("ending", [cutting, hanging, dripping])
    def test_without_an_answer_nobody_knows_and_it_is_not_sent_again(self, ending: Handler) -> None:
        with serving(ending) as server, pytest.raises(Unknown):
            channels.send(a_webhook(server.url), a_message())
        assert len(server.requests) == 1

    def test_what_was_said_counts_and_the_rest_is_not_waited_for(self) -> None:
        with serving(dripping_headers) as server:
            channels.send(a_webhook(server.url), a_message())
        assert len(server.requests) == 1

    def test_an_answer_that_is_none_tells_nothing(self) -> None:
        with serving(lambda request: request.wfile.write(b"SSH-2.0\r\n\r\n")) as server, pytest.raises(Unknown):
            channels.send(a_webhook(server.url), a_message())

    @pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/"])
    def test_where_nobody_listens_nothing_was_sent(self, url: str) -> None:
        with pytest.raises(Refused) as refused:
            channels.send(a_webhook(url.format(port=nobodys_port())), a_message())
        assert refused.value.again

    def test_without_tls_behind_https_nothing_was_sent(self) -> None:
        with serving(answering(200)) as server, pytest.raises(Refused) as refused:
            channels.send(a_webhook(server.url.replace("http:", "https:")), a_message())
        assert refused.value.again

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://files.test/",
            "http:///nowhere",
            "http://a.test:99999/",
            "http://[::1/",
            f"http://{'a' * 64}.test/",
            "nothing",
        ],
    )
    def test_what_is_no_url_never_works(self, url: str) -> None:
        with pytest.raises(Refused) as refused:
            channels.send(a_webhook(url), a_message())
        assert not refused.value.again

    def test_a_url_with_a_line_of_its_own_never_works(self) -> None:
        with serving(answering(200)) as server, pytest.raises(Refused) as refused:
            channels.send(a_webhook(f"{server.url}/a b"), a_message())
        assert not refused.value.again
        assert server.requests == []

    def test_the_functions_own_runtime_is_not_reached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(answering(200)) as server:
            monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", server.url.removeprefix("http://"))
            with pytest.raises(Refused, match="forbidden") as refused:
                channels.send(a_webhook(f"{server.url}/2018-06-01/runtime/init/error"), a_message())
        assert not refused.value.again
        assert server.requests == []

    def test_a_name_that_leads_to_a_forbidden_address_is_not_sent_anything(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(posting, "is_forbidden", lambda address: address == "127.0.0.1")
        with serving(answering(200)) as server, pytest.raises(Refused, match="forbidden"):
            channels.send(a_webhook(server.url.replace("127.0.0.1", "localhost")), a_message())
        assert server.requests == []

    def test_no_refusal_quotes_the_url(self) -> None:
        url = f"http://127.0.0.1:{nobodys_port()}/hooks/T0PS3CR3T"
        with pytest.raises(Refused) as refused:
            channels.send(a_webhook(url), a_message())
        assert "T0PS3CR3T" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("169.254.170.2", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1", True),
        ("fd00:ec2::254", True),
        ("0.0.0.0", True),  # noqa: S104 - nothing is bound
        ("224.0.0.1", True),
        ("10.1.2.3", False),
        ("93.184.216.34", False),
        ("2001:db8::1", False),
        ("hooks.example.fr", False),
    ],
)
def test_where_nobody_may_lead_us(address: str, forbidden: bool) -> None:
    assert posting.is_forbidden(address) is forbidden


# --- AWS ----------------------------------------------------------------------------------------------------


def sns() -> Any:
    return get_backend("sns")[DEFAULT_ACCOUNT_ID][REGION]


@pytest.fixture
def published(own_clients: None) -> list[dict[str, Any]]:
    """The parameters of every call of the two services, as they were sent."""
    calls: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        calls.append(params)

    for service, operation in (("sns", "Publish"), ("sesv2", "SendEmail")):
        clients.call_once(service).meta.events.register(f"provide-client-params.{service}.{operation}", note)
    return calls


def test_an_sms_goes_as_one_that_must_arrive(published: list[dict[str, Any]]) -> None:
    channels.send(Way(channel=Channel.SMS, to="+33612345678"), a_message())

    [(number, text)] = sns().sms_messages.values()
    assert (number, text) == ("+33612345678", a_message().short)
    assert published[0]["MessageAttributes"] == {
        "AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}
    }


def test_an_sms_shows_its_sender_if_there_is_one(
    published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTEO_SMS_SENDER", "Facteo")
    settings.load.cache_clear()
    channels.send(Way(channel=Channel.SMS, to="+33612345678"), a_message())
    sender = published[0]["MessageAttributes"]["AWS.SNS.SMS.SenderID"]
    assert sender == {"DataType": "String", "StringValue": "Facteo"}


def test_the_topic_gets_a_subject_that_it_takes(published: list[dict[str, Any]]) -> None:
    clients.client("sns").create_topic(Name="facteo-test-alerts")
    channels.send(Way(channel=Channel.TOPIC, to=TOPIC), a_message(carrier="É" * 200))

    [sent] = published
    assert sent["TopicArn"] == TOPIC
    assert sent["Subject"].isascii()
    assert sent["Subject"].startswith("SOS SOUS CONTRAINTE : facteur E")
    assert len(sent["Subject"]) == 99
    assert sent["Message"] == a_message(carrier="É" * 200).text


def test_a_push_wakes_the_phone_and_soon_is_forgotten(published: list[dict[str, Any]]) -> None:
    application = clients.client("sns").create_platform_application(Name="facteo", Platform="GCM", Attributes={})
    endpoint = clients.client("sns").create_platform_endpoint(
        PlatformApplicationArn=application["PlatformApplicationArn"], Token="token"
    )["EndpointArn"]
    channels.send(Way(channel=Channel.PUSH, to=endpoint), a_message())

    [sent] = published
    assert (sent["TargetArn"], sent["MessageStructure"], "Subject" in sent) == (endpoint, "json", False)
    structure = json.loads(sent["Message"])
    assert set(structure) == {"default", "GCM"}
    fcm = json.loads(structure["GCM"])["fcmV1Message"]["message"]
    assert fcm["android"] == {"priority": "high", "ttl": "300s", "collapse_key": ALERT}
    assert fcm["notification"] == {"title": a_message().colleague, "body": a_message().advice}
    assert all(isinstance(value, str) for value in fcm["data"].values())

    clients.client("sns").set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false"})
    with pytest.raises(Refused, match="EndpointDisabled") as refused:
        channels.send(Way(channel=Channel.PUSH, to=endpoint), a_message())
    assert not refused.value.again


def test_an_email_has_everything_in_it(published: list[dict[str, Any]]) -> None:
    clients.client("sesv2").create_email_identity(EmailIdentity="alertes@facteo.test")
    channels.send(Way(channel=Channel.EMAIL, to="astreinte@facteo.test"), a_message())

    assert published == [
        {
            "FromEmailAddress": "alertes@facteo.test",
            "Destination": {"ToAddresses": ["astreinte@facteo.test"]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": a_message().headline, "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": a_message().text, "Charset": "UTF-8"}},
                }
            },
        }
    ]


def test_without_a_sender_no_email_is_sent(published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACTEO_MAIL_FROM")
    settings.load.cache_clear()
    with pytest.raises(Refused) as refused:
        channels.send(Way(channel=Channel.EMAIL, to="astreinte@facteo.test"), a_message())
    assert not refused.value.again
    assert published == []


def test_every_channel_has_its_function() -> None:
    assert set(channels.CHANNELS) == set(Channel)


def an_error(code: str, status: int) -> Handler:
    """An error of SNS, in the query protocol of AWS."""
    told = f"<Code>{code}</Code><Message>+33612345678 is refused</Message>"
    return answering(status, f"<ErrorResponse><Error>{told}</Error></ErrorResponse>", "Content-Type: text/xml")


class TestOutcomes:
    """Against a real server in the place of SNS, through all of botocore."""

    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Iterator[None]:
        monkeypatch.setattr(clients, "_ONCE", clients._ONCE.merge(Config(read_timeout=PATIENCE)))
        clients.reset()
        yield
        clients.reset()

    def sent(self, url: str, to: str = "+33612345678") -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("AWS_ENDPOINT_URL_SNS", url)
            clients.call_once.cache_clear()
            channels.send(Way(channel=Channel.SMS, to=to), a_message())

    def test_throttling_may_be_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        codes = sorted(NOT_NOW)
        waiting = iter(codes)

        def refuse(request: socketserver.StreamRequestHandler) -> None:
            an_error(next(waiting), 400)(request)

        with serving(refuse) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", server.url)
            for code in codes:
                with pytest.raises(Refused, match=f": {code}$") as refused:
                    channels.send(Way(channel=Channel.SMS, to="+33612345678"), a_message())
                assert refused.value.again
        assert len(server.requests) == len(codes)

    @pytest.mark.parametrize("status", [429, 503])
    def test_throttling_is_told_by_its_status_or_its_code(self, status: int) -> None:
        with serving(an_error("Throttling", status)) as server, pytest.raises(Refused) as refused:
            self.sent(server.url)
        assert refused.value.again

    @pytest.mark.parametrize("code", ["InvalidParameter", "OptedOut", "EndpointDisabled", "AuthorizationError"])
    def test_what_is_wrong_stays_wrong(self, code: str) -> None:
        with serving(an_error(code, 400)) as server, pytest.raises(Refused, match=code) as refused:
            self.sent(server.url)
        assert not refused.value.again
        assert "+33612345678" not in str(refused.value)
        assert refused.value.__suppress_context__, "the error of botocore would be logged with it"

    @pytest.mark.parametrize(("code", "status"), [("InternalError", 500), ("ServiceUnavailable", 503)])
    def test_after_a_failure_of_aws_nobody_knows_and_it_is_not_sent_again(self, code: str, status: int) -> None:
        with serving(an_error(code, status)) as server, pytest.raises(Unknown, match=code):
            self.sent(server.url)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("ending", [cutting, hanging])
    def test_without_an_answer_nobody_knows_and_it_is_not_sent_again(self, ending: Handler) -> None:
        with serving(ending) as server, pytest.raises(Unknown):
            self.sent(server.url)
        assert len(server.requests) == 1

    def test_an_answer_that_cannot_be_read_tells_nothing(self) -> None:
        with serving(answering(200, "<not xml")) as server, pytest.raises(Unknown):
            self.sent(server.url)

    def test_where_nobody_listens_nothing_was_sent(self) -> None:
        with pytest.raises(Refused, match="EndpointConnectionError") as refused:
            self.sent(f"http://127.0.0.1:{nobodys_port()}")
        assert refused.value.again

    def test_what_is_no_text_was_not_sent(self) -> None:
        number: Any = 33612345678
        with serving(answering(200)) as server, pytest.raises(Refused) as refused:
            self.sent(server.url, to=number)
        assert not refused.value.again
        assert server.requests == []
