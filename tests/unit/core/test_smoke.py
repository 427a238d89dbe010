from datetime import date

import pytest

from chalicelib.core import events, journal, keyring, signing
from chalicelib.core.errors import EventIdReused
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import transaction
from chalicelib.items.schemas import Addressee


class Thing(Schema):
    a: int


def test_it(aws):
    e = events.make("x.y", "thing/1", Thing(a=1), actor="system/t", correlation_id="c")
    with aws.counting() as calls, transaction() as work:
        work.append(e)
    assert calls == {"TransactWriteItems": 1}
    assert journal.read("thing/1") == [e]
    with pytest.raises(EventIdReused), transaction() as work:
        work.append(e)
    with transaction() as work:
        key = keyring.create(work, "item/1", keep_until=date(2027, 1, 1))
    sealed = key.seal(Addressee(name="M. X"))
    assert keyring.key_of("item/1").open(sealed, Addressee).name == "M. X"
    assert signing.sign(Thing(a=1)).count(".") == 2
    assert journal.lookup([e.id])[e.id].subject == "thing/1"
