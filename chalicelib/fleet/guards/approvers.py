"""The set of approvers, by version: nobody but two approvers of a set can have another one follow it.

Each set is kept under its version, in its exact words and with its approvals, so that handsets can walk from the set
that they know to the one in force. The first has nobody before it: two of its own approve it, once for all times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

import msgspec

from chalicelib.core import clock, events, settings, signing
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, NotFound, RequestInvalid
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.guards import passkeys, refusals, spelling
from chalicelib.fleet.guards.passkeys import NEEDED, PasskeyInvalid, PasskeySettings
from chalicelib.fleet.guards.problems import NotRegistered, SetOver
from chalicelib.fleet.guards.schemas import (
    Approved,
    Approver,
    ApproverSet,
    ApproversTold,
    Candidate,
    Challenge,
    GiveApproval,
    KeptSet,
    PasskeyOptions,
    PasskeyRegistered,
    PasskeyTold,
    PersonTold,
    ProposeSet,
    RegisterPasskey,
    SetChanged,
    Sets,
    SetTold,
)
from chalicelib.fleet.records import Kept
from chalicelib.fleet.tables import CommandsRow

IN_FORCE: Final = "approvers"
AT_ONCE: Final = 20
CHALLENGE_LIVES: Final = timedelta(minutes=5)
CANDIDATES: Final = "approver-candidates"
NOBODY: Final = ApproverSet(approvers=(), origins=(), previous="", rp_id="", version=0)
"""What stands before the first set."""
NOT_TWICE: Final = "That version is in force, or was once. Nobody founds another one in its place."


def options(*, by: StaffMember) -> PasskeyOptions:
    """What a browser needs to make a passkey for the caller, within five minutes: two calls."""
    made = passkeys.options(by.actor)
    until = clock.now() + CHALLENGE_LIVES
    challenge = Challenge(challenge=made.challenge, until=until)

    def kept() -> None:
        former = records.load(_challenge_key(by.actor), Challenge)
        with transaction() as work:
            revision = former.revision if former else 0
            records.save(work, _challenge_key(by.actor), challenge, instead_of=revision, expires_at=until)

    retried(kept)
    return made


def register(wanted: RegisterPasskey, *, by: StaffMember, correlation_id: str) -> PasskeyTold:
    """Keep the caller's new passkey, in place of one that was registered before: two reads, one transaction.

    It counts once a set names it. Raises PasskeyInvalid, ChangedMeanwhile.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return _register(wanted, by, correlation_id)


def propose(wanted: ProposeSet, *, by: StaffMember, correlation_id: str) -> SetTold:
    """Propose the next set, in place of one that was proposed before: three reads, one transaction. Whoever is of the
    present set keeps the passkey that they approve with, unless `new_passkeys` names them.

    Raises NotRegistered, SetOver, RequestInvalid, ChangedMeanwhile.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return retried(lambda: _propose(wanted, by, correlation_id))


def approve(version: int, given: GiveApproval, *, by: StaffMember, correlation_id: str) -> SetTold:
    """Approve the set that is proposed: with the second approver it is in force. Approved again by the same person,
    nothing changes. Two reads (a third one with the second approver), one transaction.

    Raises NotFound, SetOver, NotAnApprover, ApprovalInvalid, RequestInvalid, ChangedMeanwhile.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return retried(lambda: _approve(version, given, by, correlation_id))


def in_force() -> Approved | None:
    """The set in force, as handsets take it, if there is one: one read."""
    kept = records.load(IN_FORCE, KeptSet)
    return kept.record.approved if kept else None


def judges() -> Kept[ApproverSet]:
    """Who may approve now; NOBODY before there is a set: one read."""
    kept = records.load(IN_FORCE, KeptSet)
    return Kept(text_of(kept.record.approved), kept.revision) if kept else Kept(NOBODY, 0)


def require_still(work: UnitOfWork, seen: int) -> None:
    """Have the work refused with ChangedMeanwhile if another set came in force since that revision was read."""
    meanwhile = ChangedMeanwhile("The approvers changed at the same time.")
    work.check(CommandsRow(IN_FORCE), CommandsRow.is_still(seen), otherwise=meanwhile)


def judges_of(versions: Iterable[int]) -> dict[int, ApproverSet]:
    """The sets with those versions that are or were in force: one read."""
    kept = records.load_many([_key(version) for version in set(versions)], KeptSet)
    return {one.record.version: text_of(one.record.approved) for one in kept.values() if one.record.in_force}


def after(version: int) -> Sets:
    """The sets that followed the one with this version, in their order, at most 20: one call."""
    following = range(version + 1, version + 1 + AT_ONCE)
    kept = records.load_many(map(_key, following), KeptSet)
    found = sorted((one.record for one in kept.values() if one.record.in_force), key=lambda one: one.version)
    return Sets(sets=tuple(one.approved for one in found))


def read() -> ApproversTold:
    """The set in force, the proposed one, and the passkeys that wait: two reads, one query."""
    present = records.load(IN_FORCE, KeptSet)
    version = present.record.version if present else 0
    proposed = records.load(_key(version + 1), KeptSet)
    known = text_of(present.record.approved) if present else NOBODY
    candidates = records.of_group(CANDIDATES, Candidate).values()
    return ApproversTold(
        in_force=_told(present.record, known) if present else None,
        proposed=_told(proposed.record, known) if proposed else None,
        candidates=tuple(_candidate_told(one) for one in candidates if one.approver not in known.approvers),
    )


def text_of(approved: Approved) -> ApproverSet:
    """What a set's text says."""
    return msgspec.json.decode(signing.from_base64url(approved.text), type=ApproverSet)


def _register(wanted: RegisterPasskey, by: StaffMember, correlation_id: str) -> PasskeyTold:
    asked = records.load(_challenge_key(by.actor), Challenge)
    if asked is None or asked.record.until <= clock.now():
        raise PasskeyInvalid("Ask for new options first; each challenge is good once, for five minutes.")
    approver = passkeys.registered(wanted.credential, challenge=asked.record.challenge, actor=by.actor)
    candidate = Candidate(approver=approver, registered_at=clock.now())
    former = records.load(_candidate_key(by.actor), Candidate)
    used = Challenge(challenge="", until=clock.now())
    event = events.make(
        "facteo.passkey.registered",
        f"approver/{by.actor}",
        PasskeyRegistered(credential=approver.credential),
        actor=by.actor,
        correlation_id=correlation_id,
    )
    with transaction() as work:
        revision = former.revision if former else 0
        records.save(work, _challenge_key(by.actor), used, instead_of=asked.revision, expires_at=clock.now())
        records.save(work, _candidate_key(by.actor), candidate, instead_of=revision, group=CANDIDATES)
        work.append(event)
    return _candidate_told(candidate)


def _propose(wanted: ProposeSet, by: StaffMember, correlation_id: str) -> SetTold:
    present = records.load(IN_FORCE, KeptSet)
    known = text_of(present.record.approved) if present else NOBODY
    candidates = records.load_many(map(_candidate_key, set(wanted.approvers)), Candidate)
    former = records.load(_key(known.version + 1), KeptSet)
    if former and former.record.in_force:
        raise SetOver(NOT_TWICE, in_force=former.record.version)
    following = _following(known, present, _named(wanted, known, candidates))
    kept = KeptSet(version=following.version, approved=_unapproved(following), proposed_by=by.actor)
    with transaction() as work:
        records.save(work, _key(kept.version), kept, instead_of=former.revision if former else 0)
        _say(work, kept, "proposed", by, correlation_id)
    return _told(kept, known)


def _named(wanted: ProposeSet, known: ApproverSet, candidates: Mapping[str, Kept[Candidate]]) -> list[Approver]:
    """Those who are to be approvers, each with what will be their passkey. Raises NotRegistered, RequestInvalid."""
    if not set(wanted.new_passkeys) <= set(wanted.approvers):
        raise RequestInvalid("Only those who are to be approvers get a new passkey.")
    registered = {one.record.approver.id: one.record.approver for one in candidates.values() if not one.record.used}
    registered |= {one.id: one for one in known.approvers if one.id not in wanted.new_passkeys}
    for actor in wanted.approvers:
        if actor not in registered:
            raise NotRegistered("Have them register a passkey first.", approver=actor)
    return [registered[actor] for actor in sorted(set(wanted.approvers))]


def _unapproved(following: ApproverSet) -> Approved:
    """A set as it is to be approved. Raises RequestInvalid for one that handsets would not read."""
    text = passkeys.encoded(following)
    if len(signing.from_base64url(text)) > spelling.MOST_TEXT_BYTES:
        raise RequestInvalid("Name fewer people: handsets take 16,384 bytes.")
    if not all(approver.id.isprintable() for approver in following.approvers):
        raise RequestInvalid("Name people by printable characters.")
    return Approved(text=text, approvals=())


def _following(known: ApproverSet, present: Kept[KeptSet] | None, named: list[Approver]) -> ApproverSet:
    for different in ("id", "credential", "public_key"):
        if len({getattr(approver, different) for approver in named}) < max(NEEDED, len(named)):
            raise RequestInvalid("Name at least two different people, each with a passkey of their own.")
    config = settings.load(PasskeySettings)
    return ApproverSet(
        approvers=tuple(named),
        origins=tuple(config.passkey_origins.split()),
        previous=passkeys.digest_of(present.record.approved.text) if present else "",
        rp_id=config.passkey_rp_id,
        version=known.version + 1,
    )


def _approve(version: int, given: GiveApproval, by: StaffMember, correlation_id: str) -> SetTold:
    present = records.load(IN_FORCE, KeptSet)
    known = text_of(present.record.approved) if present else NOBODY
    kept = records.load(_key(version), KeptSet)
    if kept is None:
        raise NotFound(f"No set of approvers with the version {version} was proposed.")
    before = _before(kept.record, known)
    approval = passkeys.approval_of(given, by.actor)
    if kept.record.in_force or by.actor in _approved_by(kept.record):
        return _same_again(kept.record, known, by)
    if version != known.version + 1:
        raise SetOver("Another set is in force by now. Propose the next one.", in_force=known.version)
    passkeys.require_approval(kept.record.approved.text, approval, before)
    approved = msgspec.structs.replace(kept.record.approved, approvals=(*kept.record.approved.approvals, approval))
    complete = passkeys.is_approved(approved, before)
    changed = msgspec.structs.replace(kept.record, approved=approved, in_force=complete)
    with transaction() as work:
        records.save(work, _key(version), changed, instead_of=kept.revision)
        seen = present.revision if present else 0
        if complete:
            records.save(work, IN_FORCE, changed, instead_of=seen)
            _use_up(work, text_of(approved))
        else:
            require_still(work, seen)
        _say(work, changed, "in-force" if complete else "approved", by, correlation_id)
    return _told(changed, known)


def _use_up(work: UnitOfWork, following: ApproverSet) -> None:
    """Candidates whose passkey a set has that comes in force are none any more: one read."""
    candidates = records.load_many((_candidate_key(one.id) for one in following.approvers), Candidate)
    for key, kept in candidates.items():
        if kept.record.approver in following.approvers:
            used = msgspec.structs.replace(kept.record, used=True)
            records.save(work, key, used, instead_of=kept.revision)


def _same_again(kept: KeptSet, known: ApproverSet, by: StaffMember) -> SetTold:
    if by.actor not in _approved_by(kept):
        raise SetOver("It is in force already.", in_force=kept.version)
    return _told(kept, known)


def _before(kept: KeptSet, known: ApproverSet) -> ApproverSet:
    """Who judges a set: the one before it. The first is judged by itself, and only as long as there is no other."""
    return known if known is not NOBODY else text_of(kept.approved)


def _approved_by(kept: KeptSet) -> tuple[str, ...]:
    return tuple(approval.approver for approval in kept.approved.approvals)


def _say(work: UnitOfWork, kept: KeptSet, what: str, by: StaffMember, correlation_id: str) -> None:
    named = tuple(approver.id for approver in text_of(kept.approved).approvers)
    changed = SetChanged(version=kept.version, approvers=named, text=passkeys.digest_of(kept.approved.text))
    work.append(_event(f"facteo.approvers.{what}", kept, changed, by, correlation_id))


def _event(what: str, kept: KeptSet, body: Schema, by: StaffMember, correlation_id: str) -> events.Event:
    return events.make(what, _key(kept.version), body, actor=by.actor, correlation_id=correlation_id)


def _told(kept: KeptSet, known: ApproverSet) -> SetTold:
    """A set as staff see it, beside the one in force."""
    before, approved_by = _before(kept, known), _approved_by(kept)
    people = text_of(kept.approved).approvers
    return SetTold(
        version=kept.version,
        in_force=kept.in_force,
        approvers=tuple(one.id for one in people),
        people=tuple(
            PersonTold(id=one.id, credential=one.credential, is_new=one not in known.approvers) for one in people
        ),
        proposed_by=kept.proposed_by,
        text=kept.approved.text,
        challenge=passkeys.challenge_of(kept.approved.text),
        rp_id=before.rp_id,
        credentials=passkeys.allowed(before),
        approved_by=approved_by,
        missing=NEEDED - len(approved_by),
    )


def _candidate_told(candidate: Candidate) -> PasskeyTold:
    approver = candidate.approver
    return PasskeyTold(id=approver.id, credential=approver.credential, registered_at=candidate.registered_at)


def _key(version: int) -> str:
    return f"approvers/{version}"


def _challenge_key(actor: str) -> str:
    return f"passkey-challenge/{actor}"


def _candidate_key(actor: str) -> str:
    return f"approver-candidate/{actor}"
