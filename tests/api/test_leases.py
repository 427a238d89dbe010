"""The lease key: the same as long as an enrolment lasts, for whoever is not blocked."""

from __future__ import annotations

import base64
from datetime import datetime

import pytest

from chalicelib.core import access, clock, keyring
from chalicelib.core.access import DeviceState
from chalicelib.core.transaction import transaction
from chalicelib.fleet.guards import choke
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import NewHandset, everything_stored, retire
from tests.support.races import contended, overtaken


def asks(handset: HeldHandset) -> Answered:
    return handset.calls().post("/v1/lease")


def key_of(handset: HeldHandset) -> bytes:
    answer = asks(handset)
    assert answer.status == 200, answer.text
    return base64.b64decode(answer.body["key"], validate=True)


def set_state(handset: HeldHandset, state: DeviceState) -> None:
    with transaction() as work:
        access.set_state(work, handset.row, state)


def destroy_escrow(device: str) -> None:
    with transaction() as work:
        keyring.revoke(work, choke.escrow_of(device))


def enrolled_again(newcomer: NewHandset, former: HeldHandset) -> HeldHandset:
    assert retire(newcomer.api, former.device).status == 200
    return NewHandset(newcomer.api, serial=newcomer.serial).enrolled()


class TestTheKey:
    def test_it_is_32_bytes_until_the_next_lease_ends(self, api: Api) -> None:
        handset = a_handset(api, assurance="tee")
        assert len(key_of(handset)) == 32
        assert asks(handset).body["until"] == handset.calls().post("/v1/check-ins", {"outbox": 0}).body["lease_until"]

    def test_it_is_the_same_as_long_as_the_enrolment_lasts(self, api: Api) -> None:
        handset = a_handset(api)
        first = key_of(handset)
        api.clock.advance(days=300)
        assert key_of(handset) == first

    def test_each_handset_has_its_own(self, api: Api) -> None:
        assert key_of(a_handset(api)) != key_of(a_handset(api))

    def test_a_new_enrolment_has_another(self, newcomer: NewHandset) -> None:
        former = newcomer.enrolled()
        key = key_of(former)
        again = enrolled_again(newcomer, former)
        assert again.device == former.device
        assert key_of(again) != key

    def test_it_is_stored_nowhere(self, api: Api) -> None:
        key = key_of(a_handset(api))
        stored = everything_stored()
        for text in (base64.b64encode(key).decode(), key.hex(), str(key)):
            assert text not in stored

    def test_a_handset_that_is_not_attested_may_keep_it_for_eight_hours(self, api: Api) -> None:
        until = datetime.fromisoformat(asks(a_handset(api)).body["until"])
        assert (until - clock.now()).total_seconds() == 8 * 3600

    def test_it_costs_one_call_and_a_transaction_at_the_first_ask(self, api: Api, aws: Cloud) -> None:
        key_of(a_handset(api))
        handset, costs = a_handset(api), []
        for _ in range(2):
            with aws.counting() as calls:
                key_of(handset)
            costs.append(dict(calls))
        assert costs == [{"BatchGetItem": 1, "TransactWriteItems": 1}, {"BatchGetItem": 1}]


class TestTwoAtOnce:
    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_they_get_the_same_key(self, api: Api, race: object) -> None:
        handset, keys = a_handset(api), []

        with race(by=lambda: keys.append(key_of(handset))):  # type: ignore[operator]
            keys.append(key_of(handset))

        assert len(keys) == 2
        assert keys[0] == keys[1] == key_of(handset)

    def test_no_key_is_made_for_who_is_blocked_at_the_same_time(self, newcomer: NewHandset) -> None:
        handset = newcomer.enrolled()
        with overtaken(by=lambda: set_state(handset, DeviceState.QUARANTINED)):
            assert asks(handset).problem == "device-blocked"
        with pytest.raises(keyring.KeyGone):
            keyring.key_of(choke.escrow_of(handset.device))


class TestWhoIsBlocked:
    @pytest.mark.parametrize("state", ["quarantined", "wiping", "retired"])
    def test_gets_none(self, api: Api, state: str) -> None:
        answer = asks(a_handset(api, state=state))
        assert (answer.status, answer.problem) == (403, "device-blocked")

    def test_gets_the_same_again_once_it_is_found(self, newcomer: NewHandset) -> None:
        handset = newcomer.enrolled()
        key = key_of(handset)
        set_state(handset, DeviceState.QUARANTINED)
        assert asks(handset).status == 403
        set_state(handset, DeviceState.ENROLLED)
        assert key_of(handset) == key

    def test_after_its_escrow_was_destroyed_nobody_gets_the_old_one(self, newcomer: NewHandset) -> None:
        former = newcomer.enrolled()
        key = key_of(former)
        destroy_escrow(former.device)
        again = enrolled_again(newcomer, former)
        assert key_of(again) != key
        with pytest.raises(keyring.KeyGone):
            keyring.key_of(choke.escrow_of("another"))
