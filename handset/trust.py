"""Whom a handset believes: the approvers that it keeps, and the policy of the back office (commands.md, 4 and 5)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from handset.approvals import ApproverSet, Untrusted, read_set, successor
from handset.client import Handset
from handset.files import read_json, write_json
from handset.strict import Malformed, json_object, opened
from handset.transport import NoNetwork, Refused


def approvers(handset: Handset) -> ApproverSet | None:
    """The set that came with the enrolment, or the newest that followed it; None if there is none."""
    kept = read_json(_approvers_file(handset)) or handset.enrolment.get("approvers")
    try:
        return read_set(kept["text"]) if isinstance(kept, dict) else None
    except (KeyError, Untrusted):
        return None


def learn_approvers(handset: Handset) -> None:
    """Take the sets that follow the one that is kept, as far as each is good. Raises NoNetwork and Refused."""
    known = approvers(handset)
    if known is None:
        return
    sets = handset.call("GET", f"/v1/approver-sets?after={known.version}").body.get("sets")
    for signed in sets if isinstance(sets, list) else []:
        try:
            known = successor(signed, known)
        except Untrusted:
            return
        write_json(_approvers_file(handset), {"text": signed["text"]})


def policy_version(handset: Handset) -> int:
    """Of the policy that is applied; 0 if there is none."""
    return int((read_json(_policy_file(handset)) or {"version": 0})["version"])


def take_policy(handset: Handset) -> int:
    """Fetch the policy, apply it and say so: its version. Raises NoNetwork, Refused, and Malformed for one that is not
    ours.

    The version never goes down.
    """
    kept = read_json(_policy_file(handset))
    answer = handset.call("GET", "/v1/policy", headers={"If-None-Match": kept["etag"]} if kept else {})
    if answer.body is not None:
        policy = json_object(opened(answer.body.get("policy"), handset.enrolment["server_keys"]))
        _check_policy(policy, policy_version(handset))
        about = {name: policy[name] for name in ("version", "settings")}
        applied = {"etag": answer.headers.get("etag", ""), "applied_at": handset.now().isoformat(), "told": False}
        write_json(_policy_file(handset), {**about, **applied})
    tell_application(handset)
    return policy_version(handset)


def tell_application(handset: Handset) -> None:
    """Say what was applied of the policy, unless that was said. If nobody hears it, it stays to be said."""
    kept = read_json(_policy_file(handset))
    if not kept or not kept["version"] or kept.get("told"):
        return
    body = {"version": kept["version"], "applied": sorted(kept["settings"]), "not_applied": []}
    with suppress(NoNetwork, Refused):
        handset.call("POST", "/v1/policy/application", body)
        write_json(_policy_file(handset), {**kept, "told": True})


def _check_policy(policy: dict[str, Any], before: int) -> None:
    version, settings = policy.get("version"), policy.get("settings")
    if policy.get("type") != "facteo.policy" or type(version) is not int or not isinstance(settings, dict):
        raise Malformed("no policy")
    if version < before:
        raise Malformed("an older policy")


def _approvers_file(handset: Handset) -> Path:
    return handset.fleet / "approvers.json"


def _policy_file(handset: Handset) -> Path:
    return handset.fleet / "policy.json"
