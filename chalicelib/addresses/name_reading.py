"""How the name on a label is read: steps N1 to N5 of `addresses.names`, and what its rules compare (R1 to R6)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

from chalicelib.addresses.letters import bare, plain
from chalicelib.addresses.name_words import (
    AFTER_ARTICLE,
    ALIASES,
    CARE_OF,
    FAMILY,
    FIRST_NAMES,
    JOINTS,
    LEADING_TITLES,
    LEGAL_FORMS,
    PARTICLES,
    REGISTER_WORDS,
    SAINTS,
    SHORT_PARTICLES,
    SPECIAL,
    SURNAMES_AFTER_PARTICLE,
    TITLES,
    TRADES,
)
from chalicelib.addresses.names import Gender

Words = tuple[str, ...]

_ELISION = re.compile(r"\b([DLO])['’‘`ʼ](?=[A-Z])")
_DOTTED = re.compile(r"\b(?:[A-Z]\.){2,}(?![A-Z])")
_REGISTERED = re.compile(r"\b\d{3} ?\d{3} ?\d{3}(?: ?\d{5})?\b")


def normal(text: str) -> str:
    """N1: capitals without accents or ligatures, one space between words; `&` is ET, D'ORMESSON is DORMESSON (N4)."""
    couples = bare(text).replace("&", " ET ").replace("+", " ET ")
    joined = _DOTTED.sub(_undotted, _ELISION.sub(r"\1", couples))
    return " ".join(SAINTS.get(word, word) for word in plain(joined).split())


def _undotted(found: re.Match[str]) -> str:
    form = found[0].replace(".", "")
    return f"{form} " if form in LEGAL_FORMS else found[0]


def words_of(text: str) -> Words:
    return tuple(normal(text).split())


# N2: companies


def is_company(words: Words) -> bool:
    return any(word in TRADES for word in words) or len(_without_forms(words)) < len(words)


def company_name(words: Words) -> Words:
    """What companies are compared by, in no order: without legal form, SIREN and SIRET."""
    kept = _REGISTERED.sub(" ", " ".join(_without_forms(words))).split()
    return tuple(sorted(word for word in kept if word not in REGISTER_WORDS))


def _without_forms(words: Words) -> Words:
    pairs = zip(("", *words), words, strict=False)
    return tuple(word for before, word in pairs if word not in LEGAL_FORMS or _is_surname(before, word))


def _is_surname(before: str, word: str) -> bool:
    return word in SURNAMES_AFTER_PARTICLE and before in PARTICLES


# N1, N3, N5: the persons on a label


class Person(NamedTuple):
    """One person on a label, before anyone knows which word is the surname."""

    words: Words
    alias: Words = ()
    gender: Gender = ""
    lent: Words = ()
    """The words of the other one of a couple, where this one is a first name alone: JEAN ET MARIE DUPONT."""
    surname_only: bool = False
    as_it_stands: tuple[Words, ...] = ()
    """All words, for a surname that is a title or a particle itself; empty for one of a couple."""


class _Part(NamedTuple):
    words: Words
    genders: frozenset[Gender]
    family: bool
    entitled: bool


def persons(words: Words) -> list[Person]:
    """N3. A half that is a title alone (M ET MME X) makes the others known by their surname only."""
    parts = [
        part
        for part in map(_part, _split(_before(words, CARE_OF), JOINTS))
        if part.words or part.entitled or part.family
    ]
    named = [part for part in parts if part.words]
    of_family = len(named) < len(parts) or any(part.family or len(part.genders) > 1 for part in parts)
    whole = (words, words[1:]) if words[0] in LEADING_TITLES | TITLES else (words,)
    if len(named) <= 1:
        named = named or [_Part((), frozenset(), family=False, entitled=False)]
        return [_person(named[0], (), surname_only=of_family)._replace(as_it_stands=whole)]
    lenders = [*named[1:], named[0]]
    return [
        _person(part, _without_numbers(lender.words), surname_only=of_family)
        for part, lender in zip(named, [named[-1]] * (len(named) - 1) + lenders[-1:], strict=True)
    ]


def _part(words: Words) -> _Part:
    """N1: titles off, and what they say."""
    rest, genders, entitled = _without_leading_titles(words)
    inside = [TITLES[word] for word in rest if word in TITLES]
    kept = tuple(word for word in rest if word not in TITLES and word not in FAMILY)
    known = frozenset(gender for gender in (*genders, *inside) if gender)
    family = any(word in FAMILY for word in rest)
    return _Part(_without_numbers(kept), known, family, entitled or bool(inside))


def _without_leading_titles(words: Words) -> tuple[Words, list[Gender], bool]:
    genders: list[Gender] = []
    start = 0
    while start < len(words):
        word, after = words[start], words[start + 1 : start + 2]
        if word in {"LE", "LA"} and start and after and after[0] in AFTER_ARTICLE:
            start += 1
        elif word in TITLES or (word in LEADING_TITLES and (word != "M" or start == 0)):
            genders.append(TITLES[word] if word in TITLES else LEADING_TITLES[word])
            start += 1
        else:
            break
    return words[start:], genders, start > 0


def _person(part: _Part, lender: Words, *, surname_only: bool) -> Person:
    """N5: the words before and after née or épouse. VEUVE DUPONT has none before."""
    before, *after = _split(part.words, ALIASES) or [()]
    alias = tuple(word for piece in after for word in piece)
    gender = next(iter(part.genders)) if len(part.genders) == 1 and not surname_only else ""
    lent = lender if all(word in FIRST_NAMES or _is_initial(word) for word in before) else ()
    return Person(before or alias, alias if before else (), gender, lent, surname_only)


def _split(words: Words, at: frozenset[str]) -> list[Words]:
    pieces: list[list[str]] = [[]]
    for word in words:
        if word in at:
            pieces.append([])
        else:
            pieces[-1].append(word)
    return [tuple(piece) for piece in pieces if piece]


def _before(words: Words, stop: frozenset[str]) -> Words:
    """The words before the first of `stop`, or all if there are none before it."""
    until = next((index for index, word in enumerate(words) if index and word in stop), len(words))
    return words[:until]


def _without_numbers(words: Words) -> Words:
    return tuple(word for word in words if word.isalpha())


# N4, N5, R1: surnames


class Reading(NamedTuple):
    """A way to read a label against a surname of the contract. `exact`: equal, else one letter apart."""

    exact: bool
    surname: Words
    first: Words
    is_title: bool = False
    """The surname may as well be a title: ME JEAN."""


def readings(person: Person, surname: Words) -> Iterator[Reading]:
    """R1 in both orders (R8): every way in which the person may have that surname, and the first name then."""
    if SPECIAL.intersection(surname):
        for words in person.as_it_stands:
            yield from (one._replace(is_title=_may_be_title(words, one)) for one in _orders(words, surname))
    if person.surname_only:
        yield from (one._replace(first=()) for one in _orders(person.words, surname))
        return
    for one in _orders(person.words, surname):
        if one.first or not person.alias:
            yield one
        else:
            yield from (one._replace(first=first) for first in _first_names(person.alias))
    for one in _orders(person.alias, surname):
        if one.first:
            yield one
        else:
            yield from (one._replace(first=first) for first in (*_first_names(person.words), person.words))
    yield from (one._replace(first=person.words) for one in _orders(person.lent, surname))


def _may_be_title(words: Words, one: Reading) -> bool:
    return words[0] in LEADING_TITLES | TITLES and one.surname == words[: len(one.surname)]


def _orders(words: Words, surname: Words) -> Iterator[Reading]:
    """The surname stands first or last; the other words are the first name."""
    wanted = _joined(surname, short=True)
    for short in (True, False):
        whole = _joined(words, short=short) if not SPECIAL.intersection(wanted) else words
        for at in range(1, len(whole) + 1):
            for found, first in {(whole[:at], whole[at:]), (whole[-at:], whole[:-at])}:
                if found == wanted or one_letter_apart(" ".join(found), " ".join(wanted)):
                    yield Reading(found == wanted, found, first)


def _first_names(words: Words) -> set[Words]:
    """What may be the first name among words with another surname: `()` only if there is one word."""
    if len(words) == 1:
        return {()}
    return {part for at in range(1, len(words)) for part in (words[:at], words[at:])}


def _joined(words: Words, *, short: bool) -> Words:
    """N4: particles joined to the word after them, at the end to the one before: GOFF (LE).

    D, L and O, which may be initials, are joined only if `short`.
    """
    particles = PARTICLES | SHORT_PARTICLES if short else PARTICLES
    result: list[str] = []
    waiting: list[str] = []
    for word in words:
        waiting.append(word)
        if word not in particles:
            result.append("".join(waiting))
            waiting = []
    return (*result[:-1], "".join((*waiting, *result[-1:]))) if waiting else tuple(result)


def surnames(last_name: str, birth_name: str) -> set[Words]:
    """N5: each surname, and both together: DUPONT, MARTIN, DUPONT-MARTIN, MARTIN-DUPONT."""
    last, birth = _without_numbers(words_of(last_name)), _without_numbers(words_of(birth_name))
    return {words for words in (last, birth, last + birth, birth + last) if words}


def another_alias(person: Person, last_name: str, birth_name: str) -> bool:
    """N5: label and contract both give two surnames, and they are not the same two."""
    given, wanted = (*person.words, *person.alias), (*words_of(last_name), *words_of(birth_name))
    if not (person.alias and birth_name):
        return False
    return not set(_joined(wanted, short=True)) <= set(_joined(given, short=True))


def one_letter_apart(one: str, other: str) -> bool:
    """R1: one letter more, less or other, or two neighbours exchanged."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


# R2 to R6: first names


class Likeness(enum.IntEnum):
    """How close two first names are; the closest evidence speaks."""

    OTHER = 0
    OTHER_INITIAL = 1
    ABSENT = 2
    PART = 3
    INITIAL = 4
    SAME = 5


def compare(item: Words, contract: Words) -> Likeness:
    if not item or not contract:
        return Likeness.ABSENT
    initials = any(map(_is_initial, item)) or any(map(_is_initial, contract))
    if "".join(item) == "".join(contract):
        return Likeness.INITIAL if all(map(_is_initial, item)) else Likeness.SAME
    if _abbreviates(item, contract) or _abbreviates(contract, item):
        return Likeness.INITIAL
    if set(item) & set(contract) or (initials and _agree(item[0], contract[0])):
        return Likeness.PART
    return Likeness.OTHER_INITIAL if all(map(_is_initial, item)) or all(map(_is_initial, contract)) else Likeness.OTHER


def _is_initial(word: str) -> bool:
    """J, and the PH or CHR of Philippe and Christophe."""
    return len(word) == 1 or (len(word) <= 3 and not set(word) & set("AEIOUY"))  # noqa: PLR2004


def _agree(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return one == other or (_is_initial(short) and long.startswith(short))


def _abbreviates(short: Words, long: Words) -> bool:
    """J and J PIERRE for JEAN PIERRE, JP too; not JEAN."""
    if len(short) == 1 and len(long) > 1 and short[0] == "".join(word[0] for word in long):
        return True
    pairs = list(zip(short, long, strict=False))
    return (
        (len(short) == len(long) or (len(short) < len(long) and all(map(_is_initial, short))))
        and any(a != b or _is_initial(a) for a, b in pairs)
        and all(_agree(a, b) for a, b in pairs)
    )
