"""What an item asks for at the door."""

from __future__ import annotations

import pytest

from chalicelib.items import handover, rules
from tests.support.factories import OpenSeal, an_announcement


@pytest.mark.parametrize(
    ("item", "announced", "required"),
    [
        ("9V20524752032", None, True),
        ("9L00000000031", None, False),
        ("1A00000000018", None, True),
        ("RR473124829GB", None, True),
        ("LU680211095FR", None, False),
        ("9L00000000031", {"product": "9L", "recommendation": "R1"}, True),
        ("9V20524752032", {"product": "9L"}, False),
    ],
)
def test_a_signature_is_due_by_the_announcement_or_by_the_number_itself(
    item: str, announced: dict[str, str] | None, required: bool
) -> None:
    said = rules.sealed(an_announcement(item=item, **announced), OpenSeal()) if announced else None
    assert handover.signature_required(item, said) is required
