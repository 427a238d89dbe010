"""What sender and addressee get in hand, read back by libraries that did not write it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pypdf
import pypdfium2
import pytest
import zxingcpp
from PIL import Image, ImageFont

from chalicelib.signatures import documents, fonts, procedures
from chalicelib.signatures.fonts import REPLACEMENT
from chalicelib.signatures.schemas import Document, Drawing, Mention, Party, Point, Proof, SignedAct
from tests.support.signatures import (
    CODE,
    EARLIER_EVENT,
    EVENT,
    REGISTERED,
    a_drawing,
    a_holder,
    a_pad,
    a_proof,
    a_proof_of,
    a_receiver,
)

URL = f"https://preuve.facteo.example/v1/proofs/{EVENT}/verifications/{CODE}"
DPI = 200
MARGIN_MM = 17
PROCEDURES = [row.name for row in procedures.PROCEDURES]

Write = Callable[[Proof, str], bytes]
BOTH = pytest.mark.parametrize("write", [documents.proof_of_delivery, documents.acknowledgement])


def text_of(pdf: bytes) -> str:
    """All that the only page says, with single spaces."""
    [page] = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return " ".join(page.extract_text().split())


def said(write: Write = documents.proof_of_delivery, **changes: Any) -> str:
    return text_of(write(a_proof(**changes), URL))


def picture(pdf: bytes) -> Image.Image:
    """The only page as it looks on paper."""
    [page] = pypdfium2.PdfDocument(pdf)
    assert [round(side * 25.4 / 72) for side in page.get_size()] == [210, 297]
    return page.render(scale=DPI / 72).to_pil().convert("L")  # type: ignore[no-any-return]


def codes(pdf: bytes) -> dict[str, str]:
    return {code.format.name: code.text for code in zxingcpp.read_barcodes(picture(pdf))}


def margins_are_white(pdf: bytes) -> bool:
    page, margin = picture(pdf), round(MARGIN_MM * DPI / 25.4)
    sides = [(0, 0, margin, page.height), (page.width - margin, 0, page.width, page.height)]
    return all(page.crop(side).getextrema() == (255, 255) for side in sides)


def drawn(drawing: Drawing | None) -> SignedAct:
    return SignedAct(act="e30.e30.e30", drawing=drawing)


class TestProof:
    def test_it_says_all_that_the_law_wants(self) -> None:
        told = said()
        for words in (
            "Preuve de distribution",
            "Remise contre signature",
            "Arrêté du 7 février 2007, article 4",
            "Expéditeur Cabinet Cœurdoux & Associés 4 PLACE DE L'ŒUVRE 69002 LYON",
            "Destinataire Mme Hélène LEFÈVRE 12 RUE DE LA PAIX 75015 PARIS",
            "Prestataire La Poste (LP) 9 RUE DU COLONEL PIERRE AVIA, 75015 PARIS",
            "Envoi n° RK 1234 5678 5FR",
            "Niveau de garantie R2",
            "Prix acquitté 5,40 €",
            "Date de dépôt 20 novembre 2026",
            "Date de présentation sans objet",
            "Date de distribution 23 novembre 2026",
            "Heure de remise (Paris) 10 h 32 (UTC+1)",
            "Facteur C1001",
            "Nom : LEFÈVRE Prénom : Hélène Qualité : destinataire",
            "Pièce présentée : carte nationale d'identité",
            f"Code de vérification {CODE} {URL}",
            "Cette preuve est lisible jusqu'au 23 novembre 2027 inclus",
            f"Preuve {EVENT}",
        ):
            assert words in told
        assert "Mentions manquantes" not in told
        assert "À vérifier" not in told

    @BOTH
    @pytest.mark.parametrize("procedure", PROCEDURES)
    def test_every_procedure_has_its_words_on_one_page_with_codes_that_scan(self, write: Write, procedure: str) -> None:
        pdf = write(a_proof_of(procedure), URL)
        row = procedures.find(procedure, 1)
        assert row is not None
        assert row.title in text_of(pdf)
        assert row.statement in text_of(pdf)
        assert codes(pdf) == {"Code128": REGISTERED, "QRCode": URL}

    @BOTH
    def test_of_a_known_person_the_earlier_delivery_and_the_carriers_signature_are_shown(self, write: Write) -> None:
        told = text_of(write(a_proof_of(procedures.SIGNATURE_KNOWN_PERSON), URL))
        assert f"Remise antérieure : envoi RK 9876 5432 1FR, {EARLIER_EVENT}" in told
        assert "Signature du facteur" in told
        assert "Pièce présentée" not in told

    def test_a_holder_is_named_with_the_proxy(self) -> None:
        told = said(receiver=a_holder())
        assert "Nom : Nowak Prénom : Łukasz Qualité : mandataire (procuration PX-2026-000117, révision 2)" in told
        assert "mandataire (procuration non indiquée)" in said(receiver=a_holder(proxy=None))

    @pytest.mark.parametrize("document", list(Document))
    def test_every_document_has_a_name(self, document: Document) -> None:
        assert procedures.DOCUMENTS[document][2] in said(document=document)

    def test_who_delivers_for_the_provider_is_named(self) -> None:
        told = said(subcontractor=Party(name="Coursiers du Rhône", lines=("3 QUAI CLAUDE BERNARD",)))
        assert "Distribué pour son compte par Coursiers du Rhône 3 QUAI CLAUDE BERNARD" in told

    @BOTH
    def test_of_several_items_on_one_act_it_says_how_many(self, write: Write) -> None:
        several = (REGISTERED, "RK987654321FR", "9V20524752032")
        assert "Une même signature pour 3 envois remis ensemble." in said(write, items=several)
        assert "RK 9876" not in said(write, items=several), "the others may be another sender's"
        attested = a_proof_of(procedures.CARRIER_ATTESTATION, items=several[:2])
        assert "Une même attestation pour 2 envois remis ensemble." in text_of(write(attested, URL))
        assert "remis ensemble" not in said(write, items=(REGISTERED,))

    def test_a_withdrawal_says_when_it_was_presented(self) -> None:
        held = a_proof_of(procedures.WITHDRAWAL)
        assert "Date de présentation 21 novembre 2026" in text_of(documents.proof_of_delivery(held, URL))
        unknown = a_proof_of(procedures.WITHDRAWAL, presented_on=None)
        assert "Date de présentation non indiqué" in text_of(documents.proof_of_delivery(unknown, URL))

    def test_a_parcel_has_no_level_of_guarantee(self) -> None:
        assert "Niveau de garantie sans objet" in said(guarantee_level="", registered=False)

    def test_what_is_not_known_is_said_to_be_so(self) -> None:
        nothing = dict.fromkeys(
            ["sender", "addressee", "provider", "deposited_on", "price_cents", "receiver", "document", "act"]
        )
        told = said(**nothing, guarantee_level="", procedure="other", version=7)
        assert told.count("non indiqué") == 10
        assert "Procédure inconnue" in told
        assert "Procédure other, version 7" in told
        assert "Sans signature" in told


class TestAcknowledgement:
    def test_it_says_what_article_7_wants_and_not_what_the_sender_paid(self) -> None:
        told = said(documents.acknowledgement, presented_on=date(2026, 11, 21))
        for words in (
            "Avis de réception",
            "Arrêté du 7 février 2007, article 7",
            "Date de présentation 21 novembre 2026 Date de distribution 23 novembre 2026",
            "Nom : LEFÈVRE Prénom : Hélène Qualité : destinataire",
            "Pièce présentée : carte nationale d'identité",
        ):
            assert words in told
        assert "5,40" not in told

    def test_it_names_only_the_missing_mentions_that_are_its_own(self) -> None:
        told = said(documents.acknowledgement, missing=(Mention.PRICE, Mention.SIGNATURE))
        assert "Mentions manquantes Signature de cette personne." in told
        assert "Mentions manquantes" not in said(documents.acknowledgement, missing=(Mention.PRICE,))


class TestWarnings:
    @pytest.mark.parametrize("mention", list(Mention))
    def test_every_missing_mention_has_words(self, mention: Mention) -> None:
        words = documents.MENTIONS[mention]
        assert f"Mentions manquantes {words[0].upper()}{words[1:]}." in said(missing=(mention,))

    def test_flags_are_told_in_words_where_there_are_any(self) -> None:
        told = said(flags=("drawing-reused", "some-new-flag"))
        assert "À vérifier Le même tracé de signature figure sur une autre remise · some-new-flag." in told


class TestFrench:
    @pytest.mark.parametrize(
        ("cents", "price"), [(540, "5,40 €"), (0, "0,00 €"), (5, "0,05 €"), (123_456_789, "1 234 567,89 €")]
    )
    def test_prices(self, cents: int, price: str) -> None:
        assert f"Prix acquitté {price} Date" in said(price_cents=cents)

    @pytest.mark.parametrize(
        ("utc", "shown"),
        [
            (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2 h 30 (UTC+2)"),
            (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2 h 30 (UTC+1)"),
            (datetime(2026, 10, 23, 22, 5, tzinfo=UTC), "24/10/2026 0 h 05 (UTC+2)"),
        ],
    )
    def test_the_hour_is_that_of_paris_with_its_day_if_that_is_another(self, utc: datetime, shown: str) -> None:
        told = said(delivered_at=utc, delivered_on=date(2026, 10, 25))
        assert f"Heure de remise (Paris) {shown} Facteur" in told

    def test_the_first_of_a_month(self) -> None:
        assert "Date de dépôt 1er août 2026" in said(deposited_on=date(2026, 8, 1))

    @pytest.mark.parametrize(
        "name", ["Łukasz", "Ștefan Ţepeş", "Cœur-Ÿves", "Nguyễn Thị Hằng", "Ægir Þór", "Σωκράτης", "Ольга Ґ", "D’Aÿ ſ"]
    )
    def test_names_of_all_europe_are_written_right(self, name: str) -> None:
        assert f"Nom : {name} Prénom" in said(receiver=a_receiver(last_name=name))

    def test_an_accent_that_comes_apart_from_its_letter_is_put_on_it(self) -> None:
        assert "Nom : Hélène Prénom" in said(receiver=a_receiver(last_name="He\u0301le\u0300ne"))


@pytest.mark.parametrize("name", ["DejaVuSans", "DejaVuSans-Bold"])
def test_every_character_has_the_glyph_and_the_width_that_freetype_finds(name: str) -> None:
    """What a page says when it is copied comes from our own table: a wrong glyph would not be heard."""
    font = fonts.load(name)
    other = ImageFont.truetype(io.BytesIO(font.file), 1000, layout_engine=ImageFont.Layout.BASIC)
    widths = {char: (font.width(char), other.getlength(char)) for char in map(chr, font.glyphs)}
    assert len(widths) > 1_300
    assert {char: pair for char, pair in widths.items() if abs(pair[0] - pair[1]) > 2} == {}


class TestHostileText:
    @pytest.mark.parametrize("char", ["\x00", "\u202e", "\u200b", "\U0001f4e6", "\u0635", "\u5f20", "\ud800", "\ufeff"])
    def test_a_character_that_cannot_be_shown_leaves_a_visible_sign(self, char: str) -> None:
        assert f"Nom : a{REPLACEMENT}b Prénom" in said(receiver=a_receiver(last_name=f"a{char}b"))

    @pytest.mark.parametrize("text", [") Tj ET (", "<</JS (x)>>", "\\", "a\n\tb", "<script>", "%%EOF", "{0} %s"])
    def test_a_text_is_only_a_text(self, text: str) -> None:
        pdf = documents.proof_of_delivery(a_proof(sender=Party(name=text, lines=(text,))), URL)
        shown = " ".join(text.split())
        assert f"Expéditeur {shown} {shown} Destinataire" in text_of(pdf)
        assert b"/JS" not in pdf


class TestRoom:
    @BOTH
    def test_whatever_is_long_stays_within_the_page(self, write: Write) -> None:
        name, endless = "W" * 80, "W" * 100_000
        party = Party(name="Compagnie Générale " * 40, lines=("Bâtiment des Œuvres " * 20, endless) * 500)
        pdf = write(
            a_proof_of(
                procedures.SIGNATURE_KNOWN_PERSON,
                sender=party,
                addressee=Party(name=endless),
                provider=party,
                subcontractor=party,
                receiver=a_holder(last_name=name, first_name=name),
                items=(REGISTERED,) * 50,
                missing=tuple(Mention),
                flags=(endless, *documents.FLAGS),
                carrier=endless,
                device=endless,
                statement=endless,
                verification_code=endless,
            ),
            URL,
        )
        assert text_of(pdf).replace(" ", "").count(name) >= 2
        assert "Qualité : mandataire (procuration PX-2026-000117, révision 2)" in text_of(pdf)
        assert margins_are_white(pdf)
        assert codes(pdf) == {"Code128": REGISTERED, "QRCode": URL}

    @pytest.mark.parametrize(
        "item", ["9V20524752032", "87001234567890W", "376012345600000013", "0" * 11, "9V75015" + "0A" * 10 + "Z"]
    )
    def test_numbers_of_every_length_scan(self, item: str) -> None:
        pdf = documents.proof_of_delivery(a_proof(item=item), URL)
        assert codes(pdf)["Code128"] == item
        assert margins_are_white(pdf)


class TestSignature:
    def frame(self, drawing: Drawing | None) -> Image.Image:
        """The page where the signature stands, and little else."""
        page = picture(documents.proof_of_delivery(a_proof(act=drawn(drawing)), URL))
        return page.crop(
            (round(0.1 * page.width), round(0.58 * page.height), round(0.9 * page.width), round(0.745 * page.height))
        )

    def ink(self, drawing: Drawing) -> tuple[int, int, int, int]:
        box = self.frame(drawing).point(lambda grey: 255 if grey < 128 else 0).getbbox()
        assert box is not None
        return box

    def test_it_is_drawn_in_the_proportions_of_the_pad(self) -> None:
        cross = ((Point(0, 0, 0), Point(65_535, 65_535, 400)), (Point(65_535, 0, 500), Point(0, 65_535, 900)))
        for width, height in ((400, 400), (800, 400), (400, 800)):
            drawing = Drawing(pad=a_pad(width=width, height=height), strokes=cross)
            left, top, right, bottom = self.ink(drawing)
            assert 0 < top < bottom < self.frame(drawing).height
            assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.05)

    def test_a_dot_is_seen(self) -> None:
        left, top, right, bottom = self.ink(Drawing(pad=a_pad(), strokes=((Point(30_000, 30_000, 0),), ())))
        assert 1 < right - left < 8
        assert 1 < bottom - top < 8

    @pytest.mark.parametrize("pad", [a_pad(width=1, height=20_000), a_pad(width=20_000, height=1)])
    def test_an_odd_pad_and_a_wild_hand_stay_within_the_page(self, pad: Any) -> None:
        wild = a_drawing(strokes=160, points=30)
        pdf = documents.proof_of_delivery(a_proof(act=drawn(Drawing(pad=pad, strokes=wild.strokes))), URL)
        assert margins_are_white(pdf)

    def test_one_hundred_and_sixty_strokes_are_all_drawn(self) -> None:
        many = a_drawing(strokes=160, points=30)
        pdf = documents.proof_of_delivery(a_proof(act=drawn(many)), URL)
        [page] = pypdf.PdfReader(io.BytesIO(pdf)).pages
        content = page.get_contents()
        assert content is not None
        assert content.get_data().count(b" m\n") == 160
        assert len(pdf) < 200_000


class TestFile:
    @BOTH
    def test_the_same_proof_gives_the_same_bytes(self, write: Write) -> None:
        first = write(a_proof(), URL)
        write(a_proof(receiver=a_holder()), URL)
        assert write(a_proof(), URL) == first
        assert write(a_proof(), f"{URL}0") != first

    def test_it_says_what_it_is(self) -> None:
        elsewhere = a_proof().delivered_at.astimezone(timezone(timedelta(hours=-4)))
        pdf = documents.proof_of_delivery(a_proof(delivered_at=elsewhere), URL)
        reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
        assert reader.metadata is not None
        assert reader.metadata.title == f"Preuve de distribution {REGISTERED}"
        assert reader.metadata.creation_date == a_proof().delivered_at
        assert reader.root_object["/Lang"] == "fr-FR"

    def test_the_libraries_are_loaded_at_first_use(self) -> None:
        script = "import sys, chalicelib.signatures.documents; print({'pydyf', 'barcode', 'segno'} & {*sys.modules})"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
        assert done.stdout == "set()\n"
