"""Policy: set for groups, published to everybody, taken by handsets."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from chalicelib.core import clock, signing
from chalicelib.core.transaction import transaction
from chalicelib.fleet.policies import rules, standing
from tests.support.api import Answered, Api
from tests.support.factories import HeldHandset


def sets(api: Api, group: str, settings: dict[str, Any]) -> Answered:
    return api.as_staff("fleet-admin").put(f"/v1/policies/{group}", settings)


def publishes(api: Api, version: int = 1, **told: Any) -> Answered:
    body = {"reason": "New settings"} | told
    return api.as_staff("fleet-admin").put(f"/v1/policies/rollouts/{version}", body)


def published(api: Api, version: int = 1) -> None:
    """That version has reached everybody, and this process knows."""
    assert publishes(api, version).status == 200
    at_ring(rules.LAST_RING)


def at_ring(ring: int) -> None:
    """The newest version has reached that ring just now, and this process knows."""
    kept = standing.latest()
    rollout = msgspec.structs.replace(kept.rollout, ring=ring, ring_since=clock.now())
    with transaction() as work:
        standing.save(work, rollout, instead_of=kept.revision)
    standing.forget()


def takes(handset: HeldHandset) -> dict[str, Any]:
    """What a handset's policy says."""
    answer = handset.calls().get("/v1/policy")
    assert answer.status == 200, answer.text
    return dict(json.loads(signing.payload_of(answer.body["policy"])))


def applies(handset: HeldHandset, version: int = 1, **failed: str) -> Answered:
    """The handset says that it has applied all of that version, but for what failed, and why."""
    told = {
        "version": version,
        "applied": ["apn"],
        "not_applied": [{"setting": setting, "why": why} for setting, why in failed.items()],
    }
    return handset.calls().post("/v1/policy/application", told)
