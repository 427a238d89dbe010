"""The keyring: sealed data can be read with its subject's key until its date, and never after."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from pynamodb.exceptions import PutError

from chalicelib.core import keyring
from chalicelib.core.errors import ChangedMeanwhile, Conflict
from chalicelib.core.keyring import DataKey, KeyGone, KeyRow
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.items.schemas import Addressee
from tests.support import dynamodb
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import after_step, die
from tests.support.factories import an_addressee
from tests.support.races import overtaken

LAST_DAY = date(2026, 12, 31)
BEFORE_MIDNIGHT = datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
"""In Paris."""


def created(subject: str = "item/1", keep_until: date = LAST_DAY) -> DataKey:
    with transaction() as work:
        return keyring.create(work, subject, keep_until=keep_until)


def rows() -> list[str]:
    return sorted(row.subject for row in KeyRow.scan())


class TestSealing:
    def test_what_was_sealed_is_opened_by_the_stored_key(self, aws: Cloud) -> None:
        sealed = created().seal(an_addressee())
        keyring.forget()

        assert keyring.key_of("item/1").open(sealed, Addressee) == an_addressee()

    def test_neither_the_ciphertext_nor_the_row_holds_a_secret_in_clear(self, aws: Cloud) -> None:
        secrets: list[bytes] = []
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(keyring, "DataKey", lambda *told: secrets.append(told[1]) or DataKey(*told))
            sealed = created().seal(an_addressee(name="LEFEVRE"))
        raw, row = base64.b64decode(sealed), KeyRow.get("item/1")

        assert b"LEFEVRE" not in raw
        assert "LEFEVRE" not in sealed
        assert len(secrets[0]) == 32
        assert secrets[0] not in row.wrapped

    def test_sealing_twice_gives_two_ciphertexts(self, aws: Cloud) -> None:
        key = created()

        assert key.seal(an_addressee()) != key.seal(an_addressee())

    def test_the_key_of_another_subject_opens_nothing(self, aws: Cloud) -> None:
        sealed = created("item/1").seal(an_addressee())

        with pytest.raises(KeyGone):
            created("item/2").open(sealed, Addressee)

    def test_a_key_moved_to_another_subject_opens_nothing(self, aws: Cloud) -> None:
        """The subject is bound to the wrapped key and to the ciphertext, so that rows cannot be exchanged."""
        created("item/1")
        row = KeyRow.get("item/1")
        row.subject = "item/2"
        row.save()

        with pytest.raises(InvalidTag):
            keyring.key_of("item/2")

    def test_a_changed_ciphertext_is_not_opened(self, aws: Cloud) -> None:
        key = created()
        raw = bytearray(base64.b64decode(key.seal(an_addressee())))
        raw[-1] ^= 1

        with pytest.raises(KeyGone):
            key.open(base64.b64encode(raw).decode(), Addressee)  # type: ignore[arg-type]


class TestErasure:
    def test_the_last_day_ends_at_midnight_in_paris_though_the_row_is_still_there(
        self, aws: Cloud, clock: FakeClock
    ) -> None:
        created()
        clock.at = BEFORE_MIDNIGHT
        assert keyring.key_of("item/1").subject == "item/1"

        clock.at = MIDNIGHT
        assert "item/1" in rows()
        with pytest.raises(KeyGone):
            keyring.key_of("item/1")
        assert keyring.keys_of(["item/1"]) == {}

    def test_a_deleted_key_is_gone_before_its_date(self, aws: Cloud) -> None:
        created()
        KeyRow.get("item/1").delete()

        with pytest.raises(KeyGone):
            keyring.key_of("item/1")

    def test_a_key_made_anew_after_the_date_does_not_open_the_old_data(self, aws: Cloud, clock: FakeClock) -> None:
        sealed = created().seal(an_addressee())
        clock.at = MIDNIGHT
        created(keep_until=date(2027, 6, 30))

        with pytest.raises(KeyGone):
            keyring.key_of("item/1").open(sealed, Addressee)

    def test_a_shared_key_ends_in_a_process_that_holds_it_too(self, aws: Cloud, clock: FakeClock) -> None:
        before = keyring.shared_key("announcements/2026-11", keep_until=LAST_DAY)
        assert keyring.shared_key("announcements/2026-11", keep_until=LAST_DAY) is before
        clock.at = MIDNIGHT

        after = keyring.shared_key("announcements/2026-11", keep_until=date(2027, 6, 30))

        assert after.fingerprint("Mme LEFEVRE") != before.fingerprint("Mme LEFEVRE")
        assert keyring.key_of("announcements/2026-11").fingerprint("x") == after.fingerprint("x")

    def test_a_month_key_is_nobodys_data_key(self, aws: Cloud) -> None:
        created()

        assert rows() == ["item/1", "month/2026-11"]
        with pytest.raises(KeyGone):
            keyring.key_of("month/2026-11")

    def test_the_index_names_what_is_to_be_destroyed_on_a_day(self, aws: Cloud) -> None:
        created("item/1")
        created("item/2", keep_until=date(2027, 1, 1))

        assert list(keyring.ending_on(LAST_DAY)) == ["item/1"]

    def test_the_keys_of_a_day_are_spread_over_the_index(self, aws: Cloud) -> None:
        for number in range(40):
            created(f"item/{number}")

        assert len({row.destroy_bucket for row in KeyRow.scan() if row.destroy_bucket}) > 10
        assert set(keyring.ending_on(LAST_DAY)) == {f"item/{number}" for number in range(40)}


class TestCreating:
    @pytest.mark.parametrize("at", [None, BEFORE_MIDNIGHT])
    def test_a_key_is_not_replaced_while_it_opens_something(
        self, aws: Cloud, clock: FakeClock, at: datetime | None
    ) -> None:
        sealed = created().seal(an_addressee())
        clock.at = at or clock.at

        with pytest.raises(ChangedMeanwhile):
            created()
        assert keyring.key_of("item/1").open(sealed, Addressee) == an_addressee()

    def test_a_key_is_replaced_by_whoever_names_it(self, aws: Cloud) -> None:
        former = created()
        with transaction() as work:
            latter = keyring.create(work, "item/1", keep_until=date(2027, 6, 30), instead_of=former)

        assert keyring.key_of("item/1").open(latter.seal(an_addressee()), Addressee) == an_addressee()
        with pytest.raises(ChangedMeanwhile), transaction() as work:
            keyring.create(work, "item/1", keep_until=date(2028, 1, 1), instead_of=former)

    def test_of_two_who_make_a_subjects_key_at_once_one_is_refused(self, aws: Cloud) -> None:
        made: list[DataKey] = []
        with pytest.raises(ChangedMeanwhile), overtaken(by=lambda: made.append(created())):
            created()

        assert keyring.key_of("item/1").open(made[0].seal(an_addressee()), Addressee) == an_addressee()

    def test_a_key_is_written_with_the_rest_or_not_at_all(self, aws: Cloud) -> None:
        work = UnitOfWork()
        keyring.create(work, "item/1", keep_until=LAST_DAY)
        work.put(KeyRow(subject="month/2026-11", wrapped=b"", wrapped_by=""), unless_exists=Conflict("taken"))

        with pytest.raises(Conflict):
            work.commit()
        assert rows() == ["month/2026-11"]

    @pytest.mark.parametrize("step", ["Encrypt", "PutItem"])
    def test_two_who_make_a_months_key_at_once_use_the_same(self, aws: Cloud, step: str) -> None:
        sealed: dict[str, Any] = {}

        def other() -> None:
            keyring.forget()
            sealed["item/2"] = created("item/2").seal(an_addressee())

        with after_step(1, other, only=step):
            sealed["item/1"] = created("item/1").seal(an_addressee())
        keyring.forget()

        assert rows() == ["item/1", "item/2", "month/2026-11"]
        keys = keyring.keys_of(sealed)
        assert [keys[subject].open(sealed[subject], Addressee) for subject in sealed] == [an_addressee()] * 2

    def test_a_month_key_that_cannot_be_written_is_not_used(self, aws: Cloud) -> None:
        with (
            dynamodb.refusing("PutItem", dynamodb.error("AccessDeniedException")),
            pytest.raises(PutError),
        ):
            created()

        assert rows() == []


class TestCost:
    def test_many_subjects_of_a_month_cost_one_call_of_kms(self, aws: Cloud) -> None:
        subjects = [f"item/{number}" for number in range(150)]
        for subject in subjects:
            created(subject)
        keyring.forget()

        with after_step(0, die) as steps:
            keys = keyring.keys_of([*subjects, *subjects, "item/unheard-of"])

        assert keys.keys() == set(subjects)
        assert sorted(steps.names) == ["BatchGetItem", "BatchGetItem", "Decrypt", "GetItem"]

    def test_the_next_subjects_cost_none(self, aws: Cloud) -> None:
        created("item/1")

        with after_step(0, die) as steps:
            created("item/2")
            keyring.key_of("item/1")

        assert steps.names == ["TransactWriteItems", "BatchGetItem"]

    def test_keys_of_an_earlier_month_are_opened_beside_the_present_ones(self, aws: Cloud, clock: FakeClock) -> None:
        created("item/1")
        clock.advance(days=10)
        created("item/2")
        keyring.forget()

        assert keyring.keys_of(["item/1", "item/2"]).keys() == {"item/1", "item/2"}
        assert rows() == ["item/1", "item/2", "month/2026-11", "month/2026-12"]
