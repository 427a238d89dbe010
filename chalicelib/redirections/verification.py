"""Verification: a code mailed to the old address, or another proof that the beneficiaries want it."""

from __future__ import annotations

import hmac

import msgspec

from chalicelib.addresses import lines
from chalicelib.core import clock
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, Conflict, RequestInvalid
from chalicelib.core.transaction import retried, transaction
from chalicelib.redirections import conditions, contracts, rules
from chalicelib.redirections.contracts import Standing
from chalicelib.redirections.rules import CodeWrong
from chalicelib.redirections.schemas import (
    CodeIssued,
    CodeLetter,
    CodeRecord,
    IdentityMethod,
    LetterRead,
    NewCode,
    Parties,
    Redirection,
    RedirectionRecord,
    RedirectionVerification,
    VerificationFailed,
)


def issue_code(redirection: str, request: NewCode, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Issue a new code, which takes the place of the one before. Asking again with the same number changes nothing.

    Raises NotFound, Conflict once it is verified or over, ChangedMeanwhile if another code was issued meanwhile.
    """
    return retried(lambda: _issue_code(contracts.standing(redirection, by, correlation_id), request))


def _issue_code(now: Standing, request: NewCode) -> Redirection:
    code = contracts.code_of(now.row)
    number = code.number if code else 0
    if now.state not in rules.WAITING:
        raise now.refused("A code is issued for what waits to be verified.")
    if number == request.replaces + 1:
        return contracts.answer(now.row, now.record)
    if number != request.replaces:
        raise Conflict(f"The last code has the number {number}. Name that one.", number=number)
    parties = now.parties()
    fresh = new_code(now.record, parties, number + 1, now.by)
    with transaction() as work:
        contracts.put(work, now.row, now.record, fresh)
        work.append(now.event("code-issued", issued(fresh)))
    return contracts.shown(now.record, fresh, parties)


def verify(redirection: str, request: RedirectionVerification, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Verify a contract by the code of the letter, or by another method. One that is verified stays as it is.

    A wrong code is counted before it is refused. Raises NotFound, Conflict, CodeWrong, CodeExpired, CodeExhausted,
    IdentityIncomplete, RequestInvalid, ChangedMeanwhile.
    """
    return retried(lambda: _verify(contracts.standing(redirection, by, correlation_id), request))


def _verify(now: Standing, request: RedirectionVerification) -> Redirection:
    if now.record.verified_at is not None:
        return contracts.answer(now.row, now.record)
    if now.state not in rules.WAITING:
        raise now.refused("Only what waits to be verified is verified.")
    if request.code:
        _check_code(now, request.code)
    else:
        _check_method(now, request)
    verified = contracts.changed(
        now.record,
        verified_at=clock.now(),
        method=request.method or IdentityMethod.CODE,
        documents=request.documents,
    )
    return contracts.write(now, verified, "verified")


def _check_code(now: Standing, given: str) -> None:
    """Raise CodeWrong, after the attempt is counted, unless it is the code of the letter."""
    code = contracts.code_of(now.row)
    if code is None:
        raise now.refused("No code was issued for it; issue one.")
    rules.check_open(code, clock.now())
    fingerprint = contracts.key_for(now.record.end).fingerprint(rules.spoken_code(given))
    if hmac.compare_digest(fingerprint, code.fingerprint):
        return
    counted = msgspec.structs.replace(code, attempts=code.attempts + 1)
    with transaction() as work:
        contracts.put(work, now.row, now.record, counted)
        failed = VerificationFailed(number=code.number, attempts=counted.attempts)
        work.append(now.event("verification-failed", failed))
    left = rules.attempts_left(counted)
    raise CodeWrong(f"Read it again from the letter. {left} attempts are left.", attempts_left=left)


def _check_method(now: Standing, request: RedirectionVerification) -> None:
    if request.method is None or not conditions.METHODS[request.method].every_adult:
        return
    named = len(now.parties().beneficiaries)
    if any(document.beneficiary >= named for document in request.documents):
        raise RequestInvalid(f"The redirection has {named} beneficiaries; they are counted from 0.")
    rules.check_documents(now.record, named, request.documents)


def letter(redirection: str, *, by: StaffMember, correlation_id: str) -> CodeLetter:
    """The letter with the code, to be printed; that it was read is an event.

    Whoever registered the contract or had the code issued never reads it. Raises NotFound, Conflict, AccessDenied.
    """
    row, record = contracts.existing(redirection)
    code = contracts.code_of(row)
    if code is None or clock.now() > code.valid_until or rules.state_of(record, clock.now()) not in rules.WAITING:
        raise Conflict("There is no letter to be printed for this redirection.")
    if by.actor in {record.requested_by, code.issued_by}:
        raise AccessDenied("Whoever registered the redirection or issued its code must not read the code.")
    found = contracts.opened(record.end, code.letter, CodeLetter)
    if found is None:
        raise Conflict("The personal data of this redirection are erased.")
    with transaction() as work:
        work.append(contracts.event("letter-read", redirection, LetterRead(number=code.number), by, correlation_id))
    return found


def new_code(record: RedirectionRecord, parties: Parties, number: int, by: StaffMember) -> CodeRecord:
    """A fresh code of a contract, with the letter that brings it to the old address, sealed."""
    now, text, key = clock.now(), rules.new_code(), contracts.key_for(record.end)
    sent = CodeLetter(
        number=number,
        lines=lines.lines(rules.label_of(parties.beneficiaries[0]), parties.old_address),
        mark=conditions.CODE_MARK,
        code=text,
        valid_until=now + conditions.CODE_VALID_FOR,
    )
    return CodeRecord(
        number=number,
        fingerprint=key.fingerprint(text),
        issued_at=now,
        issued_by=by.actor,
        valid_until=sent.valid_until,
        letter=key.seal(sent),
    )


def issued(code: CodeRecord) -> CodeIssued:
    """What the journal says of a code."""
    return CodeIssued(number=code.number, valid_until=code.valid_until)
