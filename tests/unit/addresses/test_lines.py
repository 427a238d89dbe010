"""Addresses as they are written: the block of NF Z10-011, and the lengths of the Colissimo flat file."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.addresses.country_names import COUNTRY_NAMES, OVERSEAS
from chalicelib.addresses.lines import ABBREVIATIONS, EdiAddress, lines, to_edi
from chalicelib.addresses.rules import STREET_WORDS
from chalicelib.addresses.schemas import MAX_LINE, PostalAddress
from chalicelib.items.countries import COUNTRIES
from chalicelib.items.schemas import Addressee


def an_address(**other: str) -> PostalAddress:
    return PostalAddress(**({"street": "12 rue de la Paix", "postcode": "75002", "town": "Paris"} | other))


TEXTS = st.text(max_size=MAX_LINE)
ADDRESSES = st.builds(
    PostalAddress,
    apartment=TEXTS,
    building=TEXTS,
    street=TEXTS.map(lambda text: f"1{text[:-1]}"),
    hamlet=TEXTS,
    postcode=st.sampled_from(("75002", "1250-096", "SW1A 1AA")),
    town=st.text(min_size=1, max_size=MAX_LINE - 9),
    country=st.sampled_from(("FR", "PT", "RE", "XX")),
)


class TestLines:
    def test_a_full_address_has_six(self) -> None:
        address = an_address(apartment="Appt 12, 3e étage", building="Résidence l'Orée", hamlet="BP 12", town="Orléans")
        assert lines("Mme Hélène Lefèvre", address) == (
            "Mme Hélène Lefèvre",
            "Appt 12, 3e étage",
            "Résidence l'Orée",
            "12 RUE DE LA PAIX",
            "BP 12",
            "75002 ORLEANS",
        )

    def test_what_is_empty_is_left_out(self) -> None:
        assert lines("Jean Dupont", an_address(building="  ")) == ("Jean Dupont", "12 RUE DE LA PAIX", "75002 PARIS")
        assert lines("", an_address(street="", hamlet="Le Bourg")) == ("LE BOURG", "75002 PARIS")

    @pytest.mark.parametrize(
        ("entered", "written"),
        [
            ({"street": "12, rue d’Alésia"}, "12 RUE D ALESIA"),
            ({"street": "3  quai  Jean-Jaurès."}, "3 QUAI JEAN JAURES"),
            ({"street": "5 rue du Sacré-Cœur"}, "5 RUE DU SACRE COEUR"),
            ({"town": "L'Haÿ-les-Roses", "postcode": "94 240"}, "94240 L HAY LES ROSES"),
            ({"town": "Lyon Cedex 03"}, "75002 LYON CEDEX 03"),
        ],
    )
    def test_from_the_street_on_there_are_capitals_only(self, entered: dict[str, str], written: str) -> None:
        assert written in lines("Jean Dupont", an_address(**entered))

    @pytest.mark.parametrize(
        ("street", "written"),
        [
            ("12 avenue des Fleurs", "12 AVENUE DES FLEURS"),
            ("1 avenue du Général de Gaulle et d", "1 AVENUE DU GENERAL DE GAULLE ET D"),
            ("1 avenue du Général de Gaulle et du", "1 AV DU GENERAL DE GAULLE ET DU"),
            ("1 bis boulevard du Maréchal de Lattre", "1 BIS BOULEVARD DU MARECHAL DE LATTRE"),
            ("avenue Docteur et Professeur St Just", "AV DOCTEUR ET PROFESSEUR ST JUST"),
            ("avenue Docteur et Professeur Saint Ju", "AV DR ET PROFESSEUR SAINT JU"),
            ("rue des Abracadabrantesques et Place", "RUE DES ABRACADABRANTESQUES ET PLACE"),
        ],
    )
    def test_a_street_is_abbreviated_over_32_characters_only(self, street: str, written: str) -> None:
        assert lines("Jean Dupont", an_address(street=street))[1] == written

    def test_abroad_the_country_is_the_last_one(self) -> None:
        written = lines("Ana Sousa", an_address(postcode="1250-096", town="Lisboa", country="PT"))
        assert written == ("Ana Sousa", "12 RUE DE LA PAIX", "1250-096 LISBOA", "PORTUGAL")

    @pytest.mark.parametrize("country", ["FR", "RE", "NC"])
    def test_in_france_and_overseas_the_town_is_the_last_one(self, country: str) -> None:
        assert lines("Ana", an_address(country=country))[-1] == "75002 PARIS"

    def test_every_country_has_a_name_that_is_fit_for_a_line(self) -> None:
        assert set(COUNTRY_NAMES) | OVERSEAS | {"FR"} == set(COUNTRIES)
        assert all(re.fullmatch(r"[A-Z ]{1,38}", name) for name in COUNTRY_NAMES.values())

    def test_an_abbreviated_street_is_still_the_same_street(self) -> None:
        shared = {word: short for word, short in ABBREVIATIONS.items() if short in STREET_WORDS}
        assert len(shared) > 10
        assert {STREET_WORDS[short] for short in shared.values()} <= set(shared)

    @given(TEXTS, ADDRESSES)
    def test_any_address_fits(self, recipient: str, address: PostalAddress) -> None:
        block = lines(recipient, address)
        assert 2 <= len(block) <= (6 if address.country in {"FR", "RE"} else 7)
        assert all(0 < len(line) <= MAX_LINE for line in block)
        assert all(line == " ".join(line.split()) for line in block)


class TestFlatFile:
    def test_what_fits_is_not_cut(self) -> None:
        edi, cut = to_edi("Mme Hélène Lefèvre", an_address(apartment="Appt 12", postcode="75 002"))
        assert cut == ()
        assert edi == EdiAddress(
            name="Mme Hélène Lefèvre",
            apartment="Appt 12",
            building="",
            street="12 RUE DE LA PAIX",
            hamlet="",
            postcode="75002",
            town="PARIS",
            country="FR",
        )

    def test_what_was_cut_is_told(self) -> None:
        address = an_address(apartment="A" * 36, building="B" * 35, street="1" * 38, hamlet="H" * 38, town="T" * 32)
        edi, cut = to_edi("N" * 38, address)
        assert cut == ("name", "apartment", "street", "hamlet")
        assert (len(edi.name), len(edi.apartment), len(edi.street), len(edi.hamlet)) == (37, 35, 35, 35)

    def test_a_long_street_is_abbreviated_before_it_is_cut(self) -> None:
        street = "1 bis boulevard du Maréchal de Lattre"
        edi, cut = to_edi("Jean Dupont", an_address(street=street))
        assert (edi.street, cut) == ("1 BIS BD DU MARECHAL DE LATTRE", ())

    def test_a_cut_leaves_no_space_at_the_end(self) -> None:
        edi, cut = to_edi("Jean", an_address(apartment=f"{'A' * 34} BC"))
        assert (edi.apartment, cut) == ("A" * 34, ("apartment",))

    @given(st.text(max_size=90), ADDRESSES)
    def test_any_address_is_one_that_an_announcement_takes(self, recipient: str, address: PostalAddress) -> None:
        edi, cut = to_edi(recipient, address)
        taken = msgspec.convert(msgspec.to_builtins(edi), Addressee)
        assert ("name" in cut) == (taken.name != " ".join(recipient.split()))
        assert ("apartment" in cut) == (taken.apartment != " ".join(address.apartment.split()))
