"""Streets and addresses: one form in which they are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.addresses.rules import house_and_street, normal_form, normal_street
from tests.support.factories import an_addressee


class TestStreets:
    @pytest.mark.parametrize(
        ("written", "normal"),
        [
            ("RUE DE LA PAIX", "RUE DE LA PAIX"),
            ("  rue  de la   paix ", "RUE DE LA PAIX"),
            ("r. de la Paix", "RUE DE LA PAIX"),
            ("Av. Émile-Zola", "AVENUE EMILE ZOLA"),
            ("bd St Germain", "BOULEVARD SAINT GERMAIN"),
            ("BLD DE GRENELLE", "BOULEVARD DE GRENELLE"),
            ("PL Ste-Thérèse", "PLACE SAINTE THERESE"),
            ("rue d'Alésia", "RUE D ALESIA"),
            ("rue d’Alésia", "RUE D ALESIA"),
            ("Fg Saint–Honoré", "FAUBOURG SAINT HONORE"),
            ("Rue du Sacré-Cœur", "RUE DU SACRE COEUR"),
            ("RÉSIDENCE L'ÉGLISE", "RESIDENCE L EGLISE"),
            ("RUE DU 11 NOVEMBRE 1918", "RUE DU 11 NOVEMBRE 1918"),
            ("IMP DU HÊTRE", "IMPASSE DU HETRE"),
            ("RUE\u00a0LECOURBE", "RUE LECOURBE"),
            ("", ""),
            ("-- , --", ""),
        ],
    )
    def test_a_street_has_one_normal_name(self, written: str, normal: str) -> None:
        assert normal_street(written) == normal

    @given(st.text(max_size=38))
    def test_a_normal_name_stays_as_it_is(self, text: str) -> None:
        normal = normal_street(text)
        assert normal_street(normal) == normal
        assert normal.isascii()

    @pytest.mark.parametrize(
        ("line", "house", "street"),
        [
            ("12 RUE DE LA PAIX", 12, "RUE DE LA PAIX"),
            ("12, rue de la Paix", 12, "RUE DE LA PAIX"),
            ("12 bis r. d'Alésia", 12, "RUE D ALESIA"),
            ("12bis RUE LECOURBE", 12, "RUE LECOURBE"),
            ("12-14 RUE LECOURBE", 12, "RUE LECOURBE"),
            (" 12 / 14 bis RUE LECOURBE", 12, "RUE LECOURBE"),
            ("7 TER BD PASTEUR", 7, "BOULEVARD PASTEUR"),
            ("7 QUATER BD PASTEUR", 7, "BOULEVARD PASTEUR"),
            ("3B AV DE SUFFREN", 3, "AVENUE DE SUFFREN"),
            ("3 B AV DE SUFFREN", 3, "AVENUE DE SUFFREN"),
            ("12 BD PASTEUR", 12, "BOULEVARD PASTEUR"),
            ("12 BISSON", 12, "BISSON"),
            ("00012 RUE LECOURBE", 12, "RUE LECOURBE"),
            ("RUE DU 4 SEPTEMBRE", None, "RUE DU 4 SEPTEMBRE"),
            ("LE MOULIN NEUF", None, "LE MOULIN NEUF"),
            ("123456 RUE LECOURBE", None, "123456 RUE LECOURBE"),
            ("12", None, "12"),
            ("", None, ""),
        ],
    )
    def test_a_line_has_a_house_and_a_street(self, line: str, house: int | None, street: str) -> None:
        assert house_and_street(line) == (house, street)


class TestComparison:
    @pytest.mark.parametrize(
        "lines",
        [
            {"street": "12 bis r. de la Paix"},
            {"street": "12BIS RUE DE LA PAIX"},
            {"street": "12, BIS RUE  DE LA PAIX", "apartment": "2E ETAGE"},
            {"street": "", "hamlet": "12 BIS RUE DE LA PAIX"},
            {"street": "12 BIS RUE DE LA PAIX", "postcode": "75 015", "town": "PARIS 15"},
        ],
    )
    def test_one_house_has_one_form(self, lines: dict[str, str]) -> None:
        assert normal_form(an_addressee(**lines)) == "FR/75015/12 BIS RUE DE LA PAIX"

    @pytest.mark.parametrize(
        "lines",
        [{"street": "12 RUE DE LA PAIX"}, {"postcode": "75016"}, {"country": "BE"}, {"street": "14 RUE DE LA PAIX"}],
    )
    def test_another_house_has_another(self, lines: dict[str, str]) -> None:
        told = {"street": "12 BIS RUE DE LA PAIX"}
        assert normal_form(an_addressee(**(told | lines))) != normal_form(an_addressee(**told))
