"""Whether a name on an item is a beneficiary's: deterministic, with three answers, the same on handset and server.

A score never decides. The steps, in this order of evidence: class, surname, first name, title.

| Step | What it does |
|---|---|
| N1 | capitals, no accents; titles are set apart and kept as evidence of gender |
| N2 | a company's marker makes a company; companies match companies only, on the name without legal form |
| N3 | ET, OU and & part two persons; of M ET MME X, and of a family, only the surname is known |
| N4 | particles are joined to the surname: LE GOFF is LEGOFF |
| N5 | née, épouse, veuve: several surnames of one person; two of them that are not the contract's two: REVIEW |
| R1 | surnames are equal, or one letter apart (at most REVIEW), or it is NO |
| R2 | first names are equal: MATCH |
| R3 | an initial on either side: MATCH if it fits one beneficiary only, and the gender; else REVIEW |
| R4 | first names share a part: REVIEW |
| R5 | one side has no first name: MATCH by household, else REVIEW |
| R6 | other first names, however close: MATCH by household, else NO |
| R7 | the title contradicts the gender of the beneficiary who would match: REVIEW |
| R8 | two orders of surname and first name match different beneficiaries, or the surname may be a title: REVIEW |

Of several beneficiaries the closest one speaks, so that a household never hides a doubt about one of its members.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from chalicelib.addresses.name_reading import (
    Likeness,
    Person,
    Reading,
    Words,
    another_alias,
    company_name,
    compare,
    is_company,
    normal,
    one_letter_apart,
    persons,
    readings,
    surnames,
    words_of,
)
from chalicelib.addresses.name_words import FIRST_NAMES, SENTENCES
from chalicelib.addresses.names import Beneficiary, Gender, Match, Verdict

MAX_READ: Final = 120
"""Characters of a label that are taken for a name. A longer text is not read: REVIEW."""


def match(name_on_item: str, beneficiaries: Sequence[Beneficiary], *, household: bool) -> Match:
    """Whether the item is for one of the beneficiaries. `household`: the contract is for all who live there.

    Several persons on an item (N3): all of them must match, and two who are named must be two beneficiaries, for a
    MATCH; if only some match, or may, it is a REVIEW. For M ET MME X and for a family, the surname is all that is
    known: R5, so that the household decides and titles contradict nobody.
    A text of more than `MAX_READ` characters is not read: REVIEW. A text without a name is NO. Never raises.
    """
    if len(name_on_item) > MAX_READ:
        return _answer(Verdict.REVIEW if beneficiaries else Verdict.NO, "N1", None)
    words = tuple(normal(name_on_item).split())
    if not words:
        return _answer(Verdict.NO, "N1", None)
    if is_company(words):
        return _match_company(words, beneficiaries)
    answers = [_match_person(person, beneficiaries, household=household) for person in persons(words)]
    together = _together(answers) if answers else _answer(Verdict.NO, "N1", None)
    if together.verdict is Verdict.NO:
        together = _unmarked_company(words, beneficiaries) or together
    return msgspec.structs.replace(together, rank=_rank(words, together, beneficiaries))


# N2: companies


def _match_company(words: Words, beneficiaries: Sequence[Beneficiary]) -> Match:
    name = company_name(words)
    companies = [(index, company_name(words_of(one.company))) for index, one in enumerate(beneficiaries) if one.company]
    if not companies:
        return _answer(Verdict.NO, "N2" if beneficiaries else "R1", None)
    tests = (
        (Verdict.MATCH, "N2", lambda other: name == other),
        (Verdict.REVIEW, "R1", lambda other: one_letter_apart(" ".join(name), " ".join(other))),
        (Verdict.REVIEW, "N2", lambda other: set(name) <= set(other) or set(other) <= set(name)),
    )
    for verdict, rule, is_true in tests:
        found = [index for index, other in companies if name and other and is_true(other)]
        if found:
            answer = _answer(verdict, rule, found[0])
            return msgspec.structs.replace(answer, rank=_rank(words, answer, beneficiaries))
    return _answer(Verdict.NO, "R1", None)


def _unmarked_company(words: Words, beneficiaries: Sequence[Beneficiary]) -> Match | None:
    """Neither side says that it is a company, ACME TRANSPORTS: nobody can tell it from a person, so REVIEW."""
    for index, one in enumerate(beneficiaries):
        name = words_of(one.company)
        if name == words and not is_company(name):
            return _answer(Verdict.REVIEW, "N2", index)
        if name and company_name(name) == tuple(sorted(words)):
            return _answer(Verdict.NO, "N2", None)
    return None


# R1 to R8: one person against the contract


class _Candidate(NamedTuple):
    who: int
    reading: Reading
    first: Likeness
    contradicted: bool
    """R7: the title on the item and the gender that is known."""
    unlikely: bool
    """R3: the same of the gender that a first name tells."""
    other_alias: bool


def _match_person(person: Person, beneficiaries: Sequence[Beneficiary], *, household: bool) -> Match:
    candidates = [one for index, who in enumerate(beneficiaries) for one in _candidates(person, index, who)]
    judged = [(one, *_judge(one, candidates, household=household)) for one in candidates]
    likely = [entry for entry in judged if entry[1] is not Verdict.NO] or judged
    if not likely:
        return _answer(Verdict.NO, _why_nobody(person, beneficiaries), None)
    best, verdict, rule = max(likely, key=_closeness)
    if verdict is Verdict.MATCH and _both_orders(best, [one for one, other, _ in judged if other is Verdict.MATCH]):
        verdict, rule = Verdict.REVIEW, "R8"
    return _answer(verdict, rule, None if verdict is Verdict.NO else best.who)


def _closeness(judged: tuple[_Candidate, Verdict, str]) -> tuple[bool, int, bool, int]:
    one, verdict, _ = judged
    return one.reading.exact, one.first, verdict is Verdict.MATCH, -one.who


def _candidates(person: Person, index: int, who: Beneficiary) -> Iterator[_Candidate]:
    first_name = words_of(who.first_name)
    known = who.gender or _gender_of(first_name)
    other = another_alias(person, who.last_name, who.birth_name)
    for surname in surnames(who.last_name, who.birth_name):
        for reading in readings(person, surname):
            told = person.gender or _gender_of(reading.first)
            likeness = compare(reading.first, first_name)
            contradicted, unlikely = _contradict(person.gender, known), _contradict(told, known)
            yield _Candidate(index, reading, likeness, contradicted, unlikely, other)


def _judge(one: _Candidate, candidates: Sequence[_Candidate], *, household: bool) -> tuple[Verdict, str]:
    verdict, rule = _judge_first_name(one, candidates, household=household)
    if one.contradicted and one.first not in {Likeness.OTHER, Likeness.OTHER_INITIAL, Likeness.PART}:
        verdict, rule = Verdict.REVIEW, "R7"
    elif one.reading.is_title and verdict is Verdict.MATCH:
        verdict, rule = Verdict.REVIEW, "R8"
    elif one.other_alias and rule in {"R2", "R3"}:
        verdict, rule = Verdict.REVIEW, "N5"
    if not one.reading.exact and verdict is not Verdict.NO:
        return Verdict.REVIEW, "R1"
    return verdict, rule


def _judge_first_name(one: _Candidate, candidates: Sequence[_Candidate], *, household: bool) -> tuple[Verdict, str]:
    if one.first is Likeness.SAME:
        return Verdict.MATCH, "R2"
    if one.first is Likeness.INITIAL and not one.unlikely and _is_alone(one, candidates):
        return Verdict.MATCH, "R3"
    if one.first in {Likeness.INITIAL, Likeness.OTHER_INITIAL}:
        return Verdict.REVIEW, "R3"
    if one.first is Likeness.PART:
        return Verdict.REVIEW, "R4"
    if one.first is Likeness.ABSENT:
        return (Verdict.MATCH if household else Verdict.REVIEW), "R5"
    return (Verdict.MATCH if household else Verdict.NO), "R6"


def _is_alone(one: _Candidate, candidates: Sequence[_Candidate]) -> bool:
    """R3: no other beneficiary whom the same reading may name."""
    fitting = {Likeness.ABSENT, Likeness.INITIAL, Likeness.SAME}
    others = (other for other in candidates if other.who != one.who and other.reading == one.reading)
    return not any(other.first in fitting and not other.unlikely for other in others)


def _both_orders(best: _Candidate, matches: Sequence[_Candidate]) -> bool:
    """R8: another beneficiary matches as well, if the label is read otherwise."""
    others = (one for one in matches if one.who != best.who and one.reading != best.reading)
    named = best.first >= Likeness.INITIAL
    return any(one.first >= Likeness.INITIAL if named else one.first is best.first for one in others)


def _why_nobody(person: Person, beneficiaries: Sequence[Beneficiary]) -> str:
    return "N2" if beneficiaries and all(one.company for one in beneficiaries) else "R1"


def _gender_of(first: Words) -> Gender:
    return FIRST_NAMES.get(first[0], "") if first else ""


def _contradict(one: Gender, other: Gender) -> bool:
    return bool(one and other and one != other)


# The answer


def _together(answers: Sequence[Match]) -> Match:
    """N3: several persons on one item (see `match`). The weakest rule is told."""
    verdicts = {one.verdict for one in answers}
    last = max(answers, key=lambda one: one.rule)
    if len(answers) == 1 or verdicts == {Verdict.NO}:
        return answers[0]
    named = [one.beneficiary for one in answers if one.rule in {"R2", "R3"}]
    if verdicts == {Verdict.MATCH} and len(set(named)) == len(named):
        return last
    found = next((one.beneficiary for one in answers if one.verdict is not Verdict.NO), None)
    return _answer(Verdict.REVIEW, "N3", found)


def _answer(verdict: Verdict, rule: str, beneficiary: int | None) -> Match:
    return Match(verdict=verdict, rule=rule, sentence=SENTENCES[f"{rule} {verdict}"], beneficiary=beneficiary, rank=0)


def _rank(words: Words, answer: Match, beneficiaries: Sequence[Beneficiary]) -> int:
    if answer.beneficiary is None:
        return 0
    one = beneficiaries[answer.beneficiary]
    name = words_of(f"{one.last_name} {one.first_name} {one.company}")
    return round(100 * difflib.SequenceMatcher(None, " ".join(sorted(words)), " ".join(sorted(name))).ratio())
