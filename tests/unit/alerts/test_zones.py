"""What is set up beforehand: policies that can always be read, push endpoints and phone numbers of handsets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.alerts import numbers, pushes, zones
from chalicelib.alerts.numbers import NumberOf, RegisterNumber
from chalicelib.alerts.policies import COLLEAGUES, DEFAULT, NATIONAL, ON_CALL, Channel, Contact, Policy, Step, Way
from chalicelib.alerts.pushes import PushNotConfigured, PushTokenRefused
from chalicelib.alerts.schemas import RegisterPush
from chalicelib.alerts.tables import AlertsRow, LinesRow
from chalicelib.alerts.zones import PolicyChanged, PolicyInvalid
from chalicelib.core import aws as clients
from chalicelib.core import clock as clocks
from chalicelib.core import ids, journal, keyring, settings
from chalicelib.core.access import AccessRow, DeviceState, Handset
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, NotFound
from chalicelib.core.keyring import KeyRow
from chalicelib.people import service as people
from chalicelib.people.schemas import Address, SaveDepot, SaveZone
from tests.support import dynamodb
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.logs import logged
from tests.support.races import overtaken

ZONE, DEPOT = "PARIS-SUD", "75015A"
NUMBER = "+33612345678"
SECRET = "a secret of the receiver"

pytestmark = pytest.mark.usefixtures("registered")


def a_member(*scopes: str) -> StaffMember:
    return StaffMember(actor="staff/1", roles=frozenset({"ops"}), scopes=frozenset(scopes or {"*"}))


def a_way(channel: Channel = Channel.SMS, to: str = NUMBER, **more: Any) -> Way:
    return Way(channel=channel, to=to, **more)


def a_policy(*ways: Way, contact: str = "manager", last: tuple[str, ...] = (ON_CALL,)) -> Policy:
    reached = Contact(id=contact, ways=ways or (a_way(), a_way(Channel.WEBHOOK, "https://a.test/x", secret=SECRET)))
    return Policy(contacts=(reached,), steps=(Step(after=0, contacts=(contact,)), Step(after=10, contacts=last)))


def save(policy: Policy | None = None, zone: str = ZONE, by: StaffMember | None = None) -> None:
    zones.save_policy(zone, policy or a_policy(), by=by or a_member(), correlation_id="test")


def a_device(depot: str = DEPOT, carrier: str = "C1001") -> Handset:
    row = AccessRow(ids.new(), generation=2, state="enrolled", key="{}", carrier=carrier, depot=depot)
    row.save()
    return Handset(
        actor=f"carrier/{carrier}",
        device=row.device,
        generation=2,
        carrier=carrier,
        depot=depot,
        state=DeviceState.ENROLLED,
        row=row,
        signed_at=clocks.now(),
    )


@pytest.fixture
def registered(aws: Cloud) -> Iterator[None]:
    """Two depots in two zones, and nothing held in the process."""
    zones.forget()
    address = Address(postcode="75015", town="Paris")
    for zone, depot in ((ZONE, DEPOT), ("PARIS-NORD", "75018A")):
        people.save_zone(zone, SaveZone(name=zone), by=a_member(), correlation_id="test")
        request = SaveDepot(name=depot, zone=zone, address=address)
        people.save_depot(depot, request, by=a_member(), correlation_id="test")
    yield
    zones.forget()


def start_cold() -> None:
    """As another process, that knows nothing yet."""
    zones.forget()
    keyring.forget()


class TestZones:
    def test_an_alert_is_of_its_depots_zone(self) -> None:
        assert zones.zone_of(DEPOT, waits_no_longer=False) == ZONE

    @pytest.mark.parametrize("depot", ["99999Z", ""])
    def test_one_of_a_depot_that_nobody_knows_is_everybodys(self, depot: str) -> None:
        with logged("the depot of an alert is not known") as lines:
            assert zones.zone_of(depot, waits_no_longer=False) == NATIONAL
        assert [line["depot"] for line in lines] == [depot]

    @pytest.mark.parametrize(
        ("scope", "zone_is_theirs", "alert_is_theirs"),
        [
            ("*", True, True),
            (f"zone/{ZONE}", True, True),
            (f"depot/{DEPOT}", False, True),
            ("zone/PARIS-NORD", False, False),
            (f"depot/{ZONE}", False, False),
        ],
    )
    def test_whose_they_are(self, scope: str, zone_is_theirs: bool, alert_is_theirs: bool) -> None:
        for theirs, ask in (
            (zone_is_theirs, lambda: zones.require_zone(a_member(scope), ZONE)),
            (alert_is_theirs, lambda: zones.require_alert(a_member(scope), DEPOT, ZONE)),
        ):
            if theirs:
                ask()
            else:
                with pytest.raises(AccessDenied):
                    ask()


class TestPolicies:
    def test_what_was_saved_is_what_holds(self) -> None:
        save()
        start_cold()
        assert zones.policy_of(ZONE) == zones.read_policy(ZONE, by=a_member()) == a_policy()

    def test_a_zone_without_one_has_the_national_one_or_else_the_default(self) -> None:
        assert zones.policy_of(ZONE) == DEFAULT
        save(a_policy(contact="national"), NATIONAL)
        assert zones.policy_of(ZONE) == a_policy(contact="national")
        save(a_policy(contact="own"))
        assert zones.policy_of(ZONE) == a_policy(contact="own")
        assert zones.policy_of("PARIS-NORD") == a_policy(contact="national")

    def test_neither_a_number_nor_a_secret_is_kept_in_clear(self) -> None:
        save()
        [event] = journal.read(f"alert-policy/{ZONE}")
        for kept in (AlertsRow.get(f"policy/{ZONE}").content, bytes(event.data).decode()):
            assert NUMBER not in kept
            assert SECRET not in kept

    def test_the_journal_knows_who_made_whom_hear_of_it_and_when(self) -> None:
        save()
        [event] = journal.read(f"alert-policy/{ZONE}")
        assert (event.type, event.actor) == ("facteo.alert-policy.changed", "staff/1")
        policy = a_policy()
        assert event.body(PolicyChanged) == PolicyChanged(
            revision=1, steps=policy.steps, contacts=("manager",), timers=policy.timers
        )

    def test_said_again_nothing_changes(self) -> None:
        save()
        save()
        save(a_policy(contact="other"))
        bodies = [event.body(PolicyChanged) for event in journal.read(f"alert-policy/{ZONE}")]
        assert sorted(body.revision for body in bodies) == [1, 2]

    def test_of_two_at_once_the_later_one_holds(self) -> None:
        save()
        with overtaken(by=lambda: save(a_policy(contact="first"))):
            save(a_policy(contact="second"))
        start_cold()
        assert zones.policy_of(ZONE) == a_policy(contact="second")
        assert AlertsRow.get(f"policy/{ZONE}").revision == 3

    def test_a_process_looks_again_after_half_a_minute(self, clock: FakeClock, aws: Cloud) -> None:
        save()
        zones.policy_of(ZONE)
        with aws.counting() as calls:
            clock.advance(seconds=29)
            zones.policy_of(ZONE)
            assert not calls
            clock.advance(seconds=1)
            zones.policy_of(ZONE)
        assert calls == {"BatchGetItem": 2}

    def test_only_the_zones_own_staff_save_and_read_it(self) -> None:
        save(by=a_member(f"zone/{ZONE}"))
        for stranger in (a_member("zone/PARIS-NORD"), a_member(f"depot/{DEPOT}")):
            with pytest.raises(AccessDenied):
                save(a_policy(contact="stranger"), by=stranger)
            with pytest.raises(AccessDenied):
                zones.read_policy(ZONE, by=stranger)
        assert zones.read_policy(ZONE, by=a_member()) == a_policy()

    def test_there_is_none_of_a_zone_that_is_not_there(self) -> None:
        with pytest.raises(NotFound):
            save(zone="LYON")
        with pytest.raises(NotFound):
            zones.read_policy(ZONE, by=a_member())
        assert AlertsRow.find("policy/LYON") is None

    @pytest.mark.parametrize(
        ("policy", "told"),
        [
            (a_policy(contact=COLLEAGUES), "other ids"),
            (a_policy(last=()), "last step"),
            (a_policy(last=("nobody",)), "nobody"),
            (a_policy(a_way(to="0612345678")), "contact manager"),
            (a_policy(a_way(Channel.EMAIL, "a@b.test, c@d.test")), "contact manager"),
            (a_policy(a_way(Channel.EMAIL, "nobody")), "contact manager"),
            (a_policy(a_way(Channel.WEBHOOK, "ftp://a.test/x")), "contact manager"),
            (a_policy(a_way(Channel.WEBHOOK, "http://a.test@169.254.169.254/")), "contact manager"),
            (a_policy(a_way(Channel.WEBHOOK, "http://169.254.169.254/latest/meta-data")), "nobody may name"),
            (a_policy(a_way(Channel.WEBHOOK, "http://[fe80::1]/")), "nobody may name"),
            (a_policy(a_way(Channel.WEBHOOK, "https://a.test/x")), "contact manager is a webhook without a secret"),
            (a_policy(a_way(Channel.TOPIC, "facteo-alerts")), "contact manager"),
            (a_policy(a_way(Channel.PUSH, "arn:aws:sns:eu-west-3:123456789012:a-topic")), "contact manager"),
        ],
    )
    def test_one_that_would_reach_nobody_is_refused(self, policy: Policy, told: str) -> None:
        with pytest.raises(PolicyInvalid, match=told):
            save(policy)
        assert AlertsRow.find(f"policy/{ZONE}") is None

    def test_without_a_sender_there_is_no_way_by_email(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("FACTEO_MAIL_FROM")
        settings.load.cache_clear()
        with pytest.raises(PolicyInvalid, match="none can be sent here"):
            save(a_policy(a_way(), a_way(Channel.EMAIL, "astreinte.paris@laposte.example.fr")))
        save()

    @pytest.mark.parametrize(
        "way",
        [
            a_way(Channel.EMAIL, "astreinte.paris@laposte.example.fr"),
            a_way(Channel.WEBHOOK, "https://events.pagerduty.example/v2/enqueue?a=b#R0UT1NG", secret=SECRET),
            a_way(Channel.WEBHOOK, "http://10.1.2.3:8080", secret=SECRET),
            a_way(Channel.TOPIC, "arn:aws:sns:eu-west-3:123456789012:on-call"),
            a_way(Channel.PUSH, "arn:aws:sns:eu-west-3:123456789012:endpoint/GCM/facteo/1-2-3"),
        ],
    )
    def test_every_kind_of_way_can_be_saved(self, way: Way) -> None:
        save(a_policy(way))
        assert zones.read_policy(ZONE, by=a_member()) == a_policy(way)


class TestUnreadablePolicies:
    """Nobody may go unheard because something is away."""

    def assert_told(self, lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
        assert [line["level"] for line in lines] == ["ERROR"]
        metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "PolicyUnreadable" in line]
        assert [metric["PolicyUnreadable"] for metric in metrics] == [[1.0]]

    def test_without_kms_everybody_on_call_hears(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        save()
        start_cold()
        monkeypatch.setattr(clients.client("kms"), "decrypt", _away)
        with logged("a policy cannot be read") as lines:
            assert zones.policy_of(ZONE) == DEFAULT
        self.assert_told(lines, capsys)

    def test_without_its_key_everybody_on_call_hears(self, capsys: pytest.CaptureFixture[str]) -> None:
        save()
        KeyRow(f"alert-policy/{ZONE}/1").delete()
        with logged("a policy cannot be read") as lines:
            assert zones.policy_of(ZONE) == DEFAULT
        self.assert_told(lines, capsys)

    def test_after_five_years_it_is_forgotten_until_it_is_saved_anew(self, clock: FakeClock) -> None:
        save()
        clock.advance(days=5 * 365 + 1)
        assert zones.policy_of(ZONE) == DEFAULT
        with pytest.raises(NotFound, match="five years"):
            zones.read_policy(ZONE, by=a_member())
        save()
        assert zones.policy_of(ZONE) == a_policy()

    def test_what_was_held_is_better_than_the_default_and_it_is_tried_again(
        self, clock: FakeClock, aws: Cloud, capsys: pytest.CaptureFixture[str]
    ) -> None:
        save()
        assert zones.policy_of(ZONE) == a_policy()
        clock.advance(seconds=30)
        with logged("a policy cannot be read") as lines, dynamodb.refusing("BatchGetItem", dynamodb.error("Broken")):
            assert zones.policy_of(ZONE) == a_policy()
        self.assert_told(lines, capsys)
        save_elsewhere = a_policy(contact="newer")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(zones, "forget", lambda: None)
            save(save_elsewhere)
        with aws.counting() as calls:
            assert zones.policy_of(ZONE) == a_policy()
        assert not calls
        clock.advance(seconds=10)
        assert zones.policy_of(ZONE) == save_elsewhere


class TestPushes:
    def test_colleagues_of_the_depot_are_found_and_not_the_one_who_calls(self, aws: Cloud) -> None:
        caller, colleague, other = a_device(), a_device(carrier="C1002"), a_device("75018A")
        for number, handset in enumerate((caller, colleague, other)):
            pushes.register_push(handset, RegisterPush(token=f"token-of-{number}-handset"))
        with aws.counting() as calls:
            [(device, endpoint)] = pushes.colleagues_of(DEPOT, caller.device)
        assert device == colleague.device
        told = clients.client("sns").get_endpoint_attributes(EndpointArn=endpoint)["Attributes"]
        assert (told["Token"], told["Enabled"]) == ("token-of-1-handset", "true")
        assert calls == {"Query": 1, "BatchGetItem": 1}

    def test_registering_again_enables_what_sns_disabled(self) -> None:
        handset, request = a_device(), RegisterPush(token="token-of-a-handset")
        pushes.register_push(handset, request)
        [(_, endpoint)] = pushes.colleagues_of(DEPOT, "")
        sns = clients.client("sns")
        sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false"})
        pushes.register_push(handset, request)
        assert pushes.colleagues_of(DEPOT, "") == [(handset.device, endpoint)]
        assert sns.get_endpoint_attributes(EndpointArn=endpoint)["Attributes"]["Enabled"] == "true"

    def test_after_60_days_it_is_forgotten_though_the_row_may_still_be_there(self, clock: FakeClock) -> None:
        pushes.register_push(a_device(), RegisterPush(token="token-of-a-handset"))
        clock.advance(days=60, seconds=-1)
        assert len(pushes.colleagues_of(DEPOT, "")) == 1
        clock.advance(seconds=1)
        assert pushes.colleagues_of(DEPOT, "") == []

    def register(self, *devices: str, **kept_for: float) -> None:
        """Handsets that registered, of the depot unless somebody moved them."""
        until = clocks.now() + timedelta(**(kept_for or {"days": 1}))
        with LinesRow.batch_write() as lines, AccessRow.batch_write() as access:
            for device in devices:
                lines.save(LinesRow(f"push/{DEPOT}", device, content='{"endpoint": "arn"}', expires_at=until))
                access.save(AccessRow(device, generation=1, state="enrolled", key="{}", carrier="C1", depot=DEPOT))

    def colleagues(self) -> list[str]:
        return [device for device, _ in pushes.colleagues_of(DEPOT, "03")]

    def test_at_most_25_are_called(self) -> None:
        self.register(*(f"{number:02}" for number in range(60)))
        assert self.colleagues() == [f"{number:02}" for number in range(26) if number != 3]

    @pytest.mark.parametrize("gone", [{"state": "retired"}, {"state": "quarantined"}, {"depot": "75018A"}])
    def test_whoever_is_gone_is_not_called(self, gone: dict[str, str]) -> None:
        self.register("01", "02")
        AccessRow(
            "01", **({"generation": 2, "state": "enrolled", "key": "{}", "carrier": "C1", "depot": DEPOT} | gone)
        ).save()
        assert self.colleagues() == ["02"]
        AccessRow("02").delete()
        assert self.colleagues() == []

    def test_nobody_takes_the_place_of_a_colleague_who_can_be_called(self) -> None:
        self.register(*(f"{number:02}" for number in range(40)), seconds=-1)
        self.register("98")
        assert self.colleagues() == ["98"]

    def test_rather_one_too_many_is_called_than_nobody(self) -> None:
        self.register("01")
        told = "colleagues are called whether they are there or not"
        with logged(told) as lines, dynamodb.refusing("BatchGetItem", dynamodb.error("Broken")):
            assert self.colleagues() == ["01"]
        assert [line["depot"] for line in lines] == [DEPOT]

    def test_without_an_application_it_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("FACTEO_PUSH_APPLICATION")
        settings.load.cache_clear()
        with pytest.raises(PushNotConfigured):
            pushes.register_push(a_device(), RegisterPush(token="token-of-a-handset"))
        assert pushes.colleagues_of(DEPOT, "") == []

    def test_a_token_that_sns_refuses_is_said(self) -> None:
        sns = clients.client("sns")
        refused = sns.exceptions.InvalidParameterException({"Error": {"Code": "InvalidParameter"}}, "Create")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sns, "create_platform_endpoint", _raising(refused))
            with pytest.raises(PushTokenRefused):
                pushes.register_push(a_device(), RegisterPush(token="token-of-a-handset"))


class TestNumbers:
    def register(self, handset: Handset, *scopes: str) -> NumberOf:
        request = RegisterNumber(number=NUMBER)
        return numbers.register_number(handset.device, request, by=a_member(*scopes), correlation_id="test")

    def test_a_text_from_it_is_the_carriers(self, aws: Cloud) -> None:
        handset = a_device()
        told = self.register(handset)
        assert told == NumberOf(device=handset.device, carrier="C1001", depot=DEPOT, generation=2)
        with aws.counting() as calls:
            assert numbers.device_of_number(NUMBER) == told
        assert calls == {"GetItem": 1}
        assert numbers.device_of_number("+33600000000") is None

    def test_the_number_is_nowhere_in_clear(self) -> None:
        handset = a_device()
        self.register(handset)
        [event] = journal.read(f"device/{handset.device}")
        assert event.type == "facteo.alert-number.registered"
        told = [row.pk + row.content for row in AlertsRow.scan()] + [bytes(event.data).decode()]
        assert not [text for text in told if NUMBER.strip("+") in text]

    def test_said_again_nothing_changes(self) -> None:
        handset = a_device()
        assert self.register(handset) == self.register(handset)
        assert len(journal.read(f"device/{handset.device}")) == 1

    def test_a_number_moves_to_another_handset(self) -> None:
        self.register(a_device())
        other = a_device(carrier="C1002")
        assert self.register(other) == numbers.device_of_number(NUMBER)

    def test_a_number_is_not_taken_from_a_depot_that_is_not_theirs(self) -> None:
        before = self.register(a_device("75018A"))
        with pytest.raises(AccessDenied):
            self.register(a_device(), f"depot/{DEPOT}")
        assert numbers.device_of_number(NUMBER) == before

    def test_only_for_handsets_that_there_are_and_are_theirs(self) -> None:
        handset = a_device()
        with pytest.raises(AccessDenied):
            self.register(handset, "depot/75018A")
        with pytest.raises(NotFound):
            numbers.register_number(ids.new(), RegisterNumber(number=NUMBER), by=a_member(), correlation_id="test")
        assert numbers.device_of_number(NUMBER) is None
        self.register(handset, f"zone/{ZONE}")


def _away(**_: Any) -> Any:
    raise ConnectionError("away")


def _raising(error: Exception) -> Any:
    def raising(**_: Any) -> Any:
        raise error

    return raising
