"""Names on items: the table of pairs (name_pairs.csv), and what holds for any name."""

from __future__ import annotations

import csv
from pathlib import Path
from time import process_time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.addresses.matcher import MAX_READ
from chalicelib.addresses.name_reading import normal
from chalicelib.addresses.name_words import SENTENCES
from chalicelib.addresses.names import Beneficiary, Verdict, match

PAIRS = list(csv.DictReader(Path(__file__).with_name("name_pairs.csv").open(encoding="utf-8", newline="")))

FIELDS = ("last_name", "first_name", "gender", "birth_name", "company")


def named(text: str) -> Beneficiary:
    """A beneficiary as the table writes it: `surname;first name;gender;birth name;company`."""
    return msgspec.convert(dict(zip(FIELDS, text.strip().split(";"), strict=False)), Beneficiary)


def all_named(text: str) -> list[Beneficiary]:
    return [named(one) for one in text.split(" / ") if one]


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{pair['item']} - {pair['why']}" for pair in PAIRS])
def test_a_pair_has_its_answer(pair: dict[str, str]) -> None:
    found = match(pair["item"], all_named(pair["beneficiaries"]), household=pair["household"] == "yes")
    assert (found.verdict, found.rule) == (pair["verdict"], pair["rule"])


def test_the_table_is_large_and_has_every_rule() -> None:
    assert len(PAIRS) >= 160
    assert {f"{pair['rule']} {pair['verdict']}" for pair in PAIRS} == set(SENTENCES) - {"N1 review"}


class TestAnswer:
    def test_names_the_beneficiary_that_matched(self) -> None:
        contract = all_named("Martin;Claire / Dupont;Jean / ;;;;SARL Dupont")
        assert match("JEAN DUPONT", contract, household=False).beneficiary == 1
        assert match("SARL DUPONT", contract, household=False).beneficiary == 2
        assert match("JEAN DURAND", contract, household=False).beneficiary is None

    def test_puts_the_closer_review_first(self) -> None:
        near, far = all_named("Dupond;Jean / Dupont;Jean-Pierre-Marie")
        ranks = [match("DUPONT JEAN", [one], household=False).rank for one in (near, far)]
        assert 100 > ranks[0] > ranks[1] > 0

    @pytest.mark.parametrize("sentence", SENTENCES.values())
    def test_is_a_sentence_that_fits_a_handset(self, sentence: str) -> None:
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert len(sentence) <= 120

    def test_a_text_that_is_too_long_is_for_the_carrier(self) -> None:
        longest = "DUPONT JEAN".ljust(MAX_READ)
        assert match(longest, all_named("Dupont;Jean"), household=False).verdict is Verdict.MATCH
        found = match(f"{longest} ", all_named("Dupont;Jean"), household=False)
        assert (found.verdict, found.rule) == (Verdict.REVIEW, "N1")

    @pytest.mark.parametrize("text", ["D " * 60, "NEE A " * 20, "ET A " * 24, "DE " * 40, "'" * 120, "M ET " * 24])
    def test_hostile_names_take_no_time(self, text: str) -> None:
        contract = all_named(" / ".join(["D D D D D;D;;A A A A;"] * 10))
        before = process_time()
        match(text[:MAX_READ], contract, household=True)
        assert process_time() - before < 1


class TestBeneficiary:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"last_name": " "},
            {"first_name": "Jean"},
            {"last_name": "Dupont", "company": "SARL Dupont"},
            {"company": "SARL Dupont", "first_name": "Jean"},
            {"company": "SARL Dupont", "gender": "m"},
            {"last_name": "D" * 39},
            {"last_name": "Dupont", "gender": "x"},
        ],
    )
    def test_is_a_person_or_a_company(self, fields: dict[str, str]) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(fields, Beneficiary)


FIRST_NAMES = ("JEAN", "MARIE", "JEAN-PIERRE", "ÉLODIE", "CLAUDE", "DUPONT", "MARTIN", "J", "M", "P")
ODD_WORDS = (
    "GOFF",
    "DUPOND",
    "ME",
    "MAITRE",
    "LE",
    "DE",
    "D'",
    "SA",
    "OU",
    "ET",
    "NEE",
    "EPOUSE",
    "FAMILLE",
    "CHEZ",
    "ST",
)
WORDS = st.sampled_from((*FIRST_NAMES, *ODD_WORDS))
SINGLE_WORDS = WORDS.filter(lambda word: "-" not in word)
PEOPLE = st.builds(
    Beneficiary,
    last_name=WORDS,
    first_name=st.sampled_from((*FIRST_NAMES, "")),
    gender=st.sampled_from(("", "f", "m")),
    birth_name=WORDS | st.just(""),
)
COMPANIES = st.builds(Beneficiary, company=st.tuples(WORDS, WORDS).map(lambda words: f"SARL {' '.join(words)}"))
CONTRACTS = st.lists(PEOPLE | COMPANIES, max_size=3)
NAMES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
TITLES = st.sampled_from(("M", "M.", "MR", "MME", "Mlle", "DR", "ME", "Monsieur"))


class TestLaws:
    @given(st.text(max_size=150))
    def test_normalising_twice_changes_nothing(self, text: str) -> None:
        assert normal(normal(text)) == normal(text)

    @given(st.text(max_size=150) | NAMES, CONTRACTS, st.booleans())
    def test_any_text_has_an_answer(self, text: str, contract: list[Beneficiary], household: bool) -> None:
        found = match(text, contract, household=household)
        assert (found.beneficiary is None) or found.verdict is not Verdict.NO
        assert 0 <= found.rank <= 100

    @given(SINGLE_WORDS, SINGLE_WORDS, CONTRACTS, st.booleans())
    def test_swapping_two_words_makes_no_match_a_no(
        self, one: str, other: str, contract: list[Beneficiary], household: bool
    ) -> None:
        if match(f"{one} {other}", contract, household=household).verdict is Verdict.MATCH:
            assert match(f"{other} {one}", contract, household=household).verdict is not Verdict.NO

    @given(NAMES, CONTRACTS, PEOPLE | COMPANIES, st.booleans())
    def test_one_beneficiary_more_makes_no_match_for_another(
        self, name: str, contract: list[Beneficiary], more: Beneficiary, household: bool
    ) -> None:
        if match(name, contract, household=household).verdict is Verdict.NO:
            found = match(name, [*contract, more], household=household)
            assert found.verdict is not Verdict.MATCH or found.beneficiary == len(contract)

    @given(TITLES, NAMES, CONTRACTS, st.booleans())
    def test_a_title_makes_no_match_of_a_no(
        self, title: str, name: str, contract: list[Beneficiary], household: bool
    ) -> None:
        if match(name, contract, household=household).verdict is Verdict.NO:
            assert match(f"{title} {name}", contract, household=household).verdict is not Verdict.MATCH

    @given(NAMES, st.lists(PEOPLE, max_size=3), st.lists(COMPANIES, max_size=3), st.booleans())
    def test_a_company_never_matches_a_person(
        self, name: str, people: list[Beneficiary], companies: list[Beneficiary], household: bool
    ) -> None:
        assert match(f"SARL {name}", people, household=household).verdict is Verdict.NO
        if "SA" not in name.split():
            assert match(name, companies, household=household).verdict is Verdict.NO
