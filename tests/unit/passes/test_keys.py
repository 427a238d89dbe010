"""KMS is asked for keys, and never for a pass."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chalicelib.core.aws import client
from chalicelib.passes import keys, tokens
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.doors import NOW, a_pass


def test_a_thousand_passes_cost_one_call_of_kms(aws: Cloud, clock: FakeClock) -> None:
    ring, calls = keys.kept_up(), Counter[str]()
    keys.forget()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    hooks = client("kms").meta.events
    hooks.register("before-call.kms", count)
    try:
        issued = {tokens.token(a_pass(status=(0, slot)), ring.signer(NOW)[1]) for slot in range(1_000)}
    finally:
        hooks.unregister("before-call.kms", count)

    assert len(issued) == 1_000
    assert calls == {"Decrypt": 1}
