"""What sender and addressee get in hand: the proof of delivery and the avis de réception, a page each, in French.

A page shows what the proof says and names what it lacks. The same proof gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from chalicelib.core.clock import PARIS
from chalicelib.items.schemas import Capacity
from chalicelib.signatures import drawings, procedures
from chalicelib.signatures.page import AMBER, GREY, HEIGHT, INK, PALE, WIDTH, Line, Page
from chalicelib.signatures.schemas import Drawing, Mention, Party, Proof

MENTIONS: Final[dict[Mention, str]] = {
    Mention.SENDER: "nom et adresse de l'expéditeur",
    Mention.ADDRESSEE: "nom et adresse du destinataire",
    Mention.DEPOSIT_DATE: "date de dépôt",
    Mention.GUARANTEE_LEVEL: "niveau de garantie",
    Mention.PRICE: "prix acquitté",
    Mention.PROVIDER: "identité du prestataire",
    Mention.ITEM: "numéro de l'envoi",
    Mention.RECEIVER_NAME: "nom et prénom de la personne qui a reçu l'envoi",
    Mention.CAPACITY: "qualité de cette personne",
    Mention.SIGNATURE: "signature de cette personne",
    Mention.DOCUMENT: "pièce d'identité présentée",
    Mention.EARLIER_PROOF: "référence de la remise antérieure",
    Mention.CARRIER_STATEMENT: "attestation du facteur",
    Mention.CARRIER_SIGNATURE: "signature du facteur",
    Mention.PRESENTATION_DATE: "date de présentation",
    Mention.DELIVERY_DATE: "date de distribution",
}

FLAGS: Final[dict[str, str]] = {
    "already-delivered": "l'envoi était déjà distribué ou retourné",
    "clamped": "l'heure annoncée par le terminal était impossible ; elle a été corrigée",
    "clock-off": "l'horloge du terminal était décalée",
    "clock-unusable": "l'horloge du terminal était inutilisable : l'heure est celle de la réception",
    "day-changed": "la correction de l'horloge a changé la date",
    "delivery-date-doubtful": "la date de distribution est incertaine",
    "hand-over-corrected": "la remise a été déclarée erronée",
    "principal-to-review": "le destinataire est à rapprocher du mandant",
    "proxy-of-another-principal": "la procuration est celle d'une autre personne",
    "receiver-is-not-addressee": "la personne n'est pas le destinataire indiqué sur l'envoi",
    "receiver-to-review": "le nom de la personne est à rapprocher de celui du destinataire",
    "signed-at-another-time": "la signature n'a pas été tracée au moment de la remise",
    "carrier-drew-for-receiver": "le même tracé tient lieu de signature de la personne et du facteur",
    "drawing-reused": "le même tracé de signature figure sur une autre remise",
    "drawn-outside-the-screen": "le tracé a duré plus longtemps que l'écran de signature",
    "earlier-proof-not-found": "la remise antérieure ne montre pas l'identité de cette personne",
    "in-person-only": "l'envoi devait être remis en main propre",
    "item-unknown": "l'envoi n'était pas annoncé",
    "mark-attested-by-carrier": "la personne ne pouvait pas signer : sa marque est attestée par le facteur",
    "other-depot": "l'envoi était attendu dans un autre établissement",
    "procedure-not-in-force": "la procédure n'était pas en vigueur ce jour-là",
    "procedure-unknown": "la procédure est inconnue",
    "holder-is-minor": "le mandataire est mineur",
    "holder-not-named": "la procuration ne désigne pas cette personne",
    "holder-to-review": "l'identité du mandataire est à rapprocher de la procuration",
    "proxy-already-used": "la procuration ponctuelle avait déjà servi",
    "proxy-invalid": "la procuration n'était pas valable",
    "proxy-not-named": "la procuration n'est pas indiquée",
    "proxy-out-of-scope": "la procuration ne couvre pas cet envoi",
    "proxy-revoked-unknown-to-device": "la procuration avait pris fin, ce que le facteur ne pouvait pas savoir",
    "proxy-unknown": "la procuration est inconnue",
    "proxy-unknown-to-device": "le facteur ne connaissait pas encore la procuration",
}
"""What needs a human's eye, in words; a flag that is not here is shown by its code."""

_ON_ACKNOWLEDGEMENT: Final = {
    *procedures.ACKNOWLEDGEMENT,
    Mention.SIGNATURE,
    Mention.DOCUMENT,
    Mention.EARLIER_PROOF,
    Mention.CARRIER_STATEMENT,
    Mention.CARRIER_SIGNATURE,
    Mention.PRESENTATION_DATE,
}
_MONTHS: Final = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_UNKNOWN: Final = "non indiqué"
_NONE: Final = "sans objet"

_LEFT: Final = 18.0
_ACROSS: Final = WIDTH - 2 * _LEFT
_GAP: Final = 4.0
_HALF: Final = (_ACROSS - _GAP) / 2
_VERIFICATION: Final = 244.0
"""Where the verification stands, on every page."""
_ONE_LINE: Final = 90
"""So many characters of a warning fit on one line."""
_BARCODE: Final = (84.0, 13.0)
_QR: Final = 30.0
_NARROWEST: Final = 0.38
"""The widest that a module of the barcode may be; a long number has narrower ones."""


class _Fact(NamedTuple):
    label: str
    value: str


def proof_of_delivery(proof: Proof, verification_url: str) -> bytes:
    """The proof of delivery (arrêté of 7 February 2007, articles 4, 4-1 and 5) as PDF; its QR code says the URL."""
    page = Page()
    procedure = procedures.find(proof.procedure, proof.version)
    basis = procedure.basis if procedure else f"procédure {proof.procedure}, version {proof.version}"
    was_held = procedure is None or Mention.PRESENTATION_DATE in procedure.mentions
    y = _head(page, proof, "Preuve de distribution", basis)
    y = _warnings(page, y, proof, proof.missing)
    y = _parties(page, y, (("Expéditeur", proof.sender), ("Destinataire", proof.addressee)), 29)
    y = _providers(page, y, proof)
    y = _facts(
        page,
        y,
        (
            _Fact("Niveau de garantie", proof.guarantee_level or ("" if proof.registered else _NONE)),
            _Fact("Prix acquitté", _money(proof.price_cents)),
            _Fact("Date de dépôt", _day(proof.deposited_on)),
            _Fact("Date de présentation", _day(proof.presented_on) or ("" if was_held else _NONE)),
            *_delivery(proof),
        ),
    )
    _receipt(page, y, proof)
    _verification(page, proof, verification_url)
    return page.pdf(f"Preuve de distribution {proof.item}", proof.delivered_at)


def acknowledgement(proof: Proof, verification_url: str) -> bytes:
    """The avis de réception for the sender (article 7) as PDF; its QR code says the URL."""
    page = Page()
    y = _head(page, proof, "Avis de réception", "arrêté du 7 février 2007, article 7")
    y = _warnings(page, y, proof, [mention for mention in proof.missing if mention in _ON_ACKNOWLEDGEMENT])
    y = _parties(page, y, (("À retourner à l'expéditeur", proof.sender), ("Destinataire", proof.addressee)), 29)
    y = _providers(page, y, proof)
    held = (_Fact("Date de présentation", _day(proof.presented_on)),) if proof.presented_on else ()
    y = _facts(page, y, (*held, *_delivery(proof)))
    _receipt(page, y, proof)
    _verification(page, proof, verification_url)
    return page.pdf(f"Avis de réception {proof.item}", proof.delivered_at)


# --- the parts of a page, from the top down; each gives where the next begins ---------------------------


def _head(page: Page, proof: Proof, title: str, basis: str) -> float:
    procedure = procedures.find(proof.procedure, proof.version)
    provider = proof.provider.name if proof.provider else "Prestataire non indiqué"
    page.text(_LEFT, 15, 110, Line(provider, 9, bold=True))
    page.text(_LEFT + 114, 15, _ACROSS - 114, Line(_capital(basis), 8, colour=GREY), right=True)
    page.area(_LEFT, 18, _ACROSS, 0.9, INK)
    page.text(_LEFT, 31, 84, Line(title, 19, bold=True))
    subtitle = procedure.title if procedure else "Procédure inconnue"
    page.block(_LEFT, 34.5, 80, 11, [Line(subtitle, 10.5, colour=GREY)])
    _barcode(page, proof.item)
    return 51.0


def _barcode(page: Page, item: str) -> None:
    """The item's number as Code 128 (ISO/IEC 15417), with room on both sides."""
    from barcode.codex import Code128  # noqa: PLC0415 - only documents need it

    width, height = _BARCODE
    [bars] = Code128(item).build()
    module = min(_NARROWEST, width / len(bars))
    left = _LEFT + _ACROSS - module * len(bars)
    page.modules(left, 24, [[bar == "1" for bar in bars]], module, height)
    page.text(_LEFT + _ACROSS - width, 42.5, width, Line(f"Envoi n° {_grouped(item)}", 11, bold=True), right=True)


def _warnings(page: Page, y: float, proof: Proof, missing: Sequence[Mention]) -> float:
    flags = [FLAGS.get(flag, flag) for flag in proof.flags]
    for title, told in (("Mentions manquantes", [MENTIONS[mention] for mention in missing]), ("À vérifier", flags)):
        if told:
            words = " · ".join(told)
            height = 11.5 if len(words) < _ONE_LINE else 16.0
            page.area(_LEFT, y, _ACROSS, height, AMBER)
            page.area(_LEFT, y, 1.2, height, (0.85, 0.55, 0.1))
            lines = [Line(title, 8.5, bold=True), Line(f"{_capital(words)}.", 8.5)]
            page.block(_LEFT + 4, y + 1.6, _ACROSS - 8, height - 2.4, lines)
            y += height + _GAP
    return y


def _parties(page: Page, y: float, parties: Sequence[tuple[str, Party | None]], height: float) -> float:
    for number, (label, party) in enumerate(parties):
        _party(page, (_LEFT + number * (_HALF + _GAP), y, _HALF, height), label, party)
    return y + height + _GAP


def _providers(page: Page, y: float, proof: Proof) -> float:
    if proof.subcontractor:
        parties = (("Prestataire", proof.provider), ("Distribué pour son compte par", proof.subcontractor))
        return _parties(page, y, parties, 24)
    _party(page, (_LEFT, y, _ACROSS, 24), "Prestataire", proof.provider)
    return y + 24 + _GAP


def _party(page: Page, place: tuple[float, float, float, float], label: str, party: Party | None) -> None:
    x, y, width, height = place
    name = Line(party.name, 10, bold=True) if party else Line(_UNKNOWN, 10, colour=GREY)
    page.area(x, y, width, height, PALE)
    page.text(x + 3, y + 4.8, width - 6, Line(label, 7.5, colour=GREY))
    lines = [Line(line, 9) for line in party.lines] if party else []
    page.block(x + 3, y + 6.5, width - 6, height - 8, [name, *lines])


def _delivery(proof: Proof) -> Sequence[_Fact]:
    moment = proof.delivered_at.astimezone(PARIS)
    other_day = "" if moment.date() == proof.delivered_on else f"{moment:%d/%m/%Y} "
    return (
        _Fact("Date de distribution", _day(proof.delivered_on)),
        _Fact("Heure de remise (Paris)", other_day + _time(moment)),
        _Fact("Facteur", proof.carrier),
        _Fact("Terminal", proof.device),
    )


def _facts(page: Page, y: float, facts: Sequence[_Fact]) -> float:
    """Facts in a grid of four columns."""
    columns = 4
    width = _ACROSS / columns
    for number, fact in enumerate(facts):
        row, column = divmod(number, columns)
        x, top = _LEFT + column * width, y + row * 13
        if not column:
            page.rule(_LEFT, top, _ACROSS)
        value = Line(fact.value, 9.5, bold=True) if fact.value else Line(_UNKNOWN, 9.5, colour=GREY)
        page.text(x, top + 4.6, width - 3, Line(fact.label, 7.5, colour=GREY))
        page.block(x, top + 6, width - 3, 6.5, [value])
    y += 13 * -(-len(facts) // columns)
    page.rule(_LEFT, y, _ACROSS)
    return y + _GAP


def _receipt(page: Page, y: float, proof: Proof) -> None:
    """Who received, how they were known, and what was drawn."""
    page.text(_LEFT, y + 3, _HALF, Line("Reçu par", 7.5, colour=GREY))
    page.block(_LEFT, y + 4.5, _HALF, 20, _receiver(proof))
    right = _LEFT + _HALF + _GAP
    page.text(right, y + 3, _HALF, Line("Identité", 7.5, colour=GREY))
    page.block(right, y + 4.5, _HALF, 20, _identity(proof))
    y += 27
    act, procedure = proof.act, procedures.find(proof.procedure, proof.version)
    demanded = procedure.mentions if procedure else ()
    frames = [("Signature de la personne qui a reçu l'envoi", act.drawing if act else None)]
    carrier = act.carrier_drawing if act else None
    if carrier or Mention.CARRIER_SIGNATURE in demanded:
        frames.append(("Signature du facteur", carrier))
    width = (_ACROSS - _GAP * (len(frames) - 1)) / len(frames)
    height = min(_VERIFICATION - 11 - y, 52.0)
    for number, (label, drawing) in enumerate(frames):
        _signature(page, (_LEFT + number * (width + _GAP), y, width, height), label, drawing)
    page.text(_LEFT, y + height + 6, _ACROSS, Line(_covers(proof), 8, colour=GREY))


def _covers(proof: Proof) -> str:
    """How many items were handed over by the one act, unless it was this one alone."""
    if len(proof.items) <= 1:
        return ""
    what = "signature" if proof.act and (proof.act.drawing or proof.act.carrier_drawing) else "attestation"
    return f"Une même {what} pour {len(proof.items)} envois remis ensemble."


def _receiver(proof: Proof) -> Sequence[Line]:
    who = proof.receiver
    if who is None:
        return [Line(_UNKNOWN, 10, colour=GREY)]
    lines = [Line(f"Nom : {who.last_name}", 10, bold=True), Line(f"Prénom : {who.first_name}", 10, bold=True)]
    if who.capacity is Capacity.ADDRESSEE:
        return [*lines, Line("Qualité : destinataire", 9)]
    proxy = f"procuration {who.proxy.id}, révision {who.proxy.revision}" if who.proxy else "procuration non indiquée"
    return [*lines, Line(f"Qualité : mandataire ({proxy})", 9)]


def _identity(proof: Proof) -> Sequence[Line]:
    lines = []
    if proof.document:
        lines.append(Line(f"Pièce présentée : {procedures.DOCUMENTS[proof.document][2]}", 9.5, bold=True))
    if proof.statement:
        lines.append(Line(proof.statement, 9))
    if proof.earlier:
        lines.append(Line(f"Remise antérieure : envoi {_grouped(proof.earlier.item)}, {proof.earlier.event}", 8))
    return lines or [Line("Pièce présentée : non indiquée", 9.5, colour=GREY)]


def _signature(page: Page, place: tuple[float, float, float, float], label: str, drawing: Drawing | None) -> None:
    """The strokes in a frame, in the proportions of the pad on which they were drawn."""
    x, y, width, height = place
    page.text(x, y, width, Line(label, 7.5, colour=GREY))
    page.frame(x, y + 2, width, height)
    if drawing is None:
        page.text(x + 4, y + 2 + height / 2, width - 8, Line("Sans signature", 9, colour=GREY))
        return
    room = (width - 6, height - 6)
    scale = min(room[0] / drawing.pad.width, room[1] / drawing.pad.height)
    drawn = (drawing.pad.width * scale, drawing.pad.height * scale)
    corner = (x + (width - drawn[0]) / 2, y + 2 + (height - drawn[1]) / 2)
    page.pen(*corner, drawings.paths(drawing, *drawn))


def _verification(page: Page, proof: Proof, url: str) -> None:
    import segno  # noqa: PLC0415 - only documents and tickets need it

    page.rule(_LEFT, _VERIFICATION - 3, _ACROSS)
    rows = list(segno.make(url or proof.verification_code or proof.id, error="m", micro=False).matrix_iter(border=0))
    page.modules(_LEFT, _VERIFICATION + 2, rows, _QR / len(rows), _QR / len(rows))
    x, width = _LEFT + _QR + 6, _ACROSS - _QR - 6
    page.text(x, _VERIFICATION + 5, width, Line("Vérifier ce document", 10, bold=True))
    page.text(x, _VERIFICATION + 10, width, Line("Code de vérification", 7.5, colour=GREY))
    code = Line(proof.verification_code, 12, bold=True) if proof.verification_code else Line(_UNKNOWN, 9, colour=GREY)
    page.text(x, _VERIFICATION + 15.5, width, code)
    page.text(x, _VERIFICATION + 21, width, Line(url, 8))
    kept = f"Cette preuve est lisible jusqu'au {_day(proof.readable_until)} inclus, puis effacée."
    page.text(x, _VERIFICATION + 25.5, width, Line(kept, 8))
    page.text(_LEFT, HEIGHT - 11, _ACROSS, Line(f"Preuve {proof.id}", 7, colour=GREY))


# --- how things are written in French -------------------------------------------------------------------


def _day(day: date | None) -> str:
    if day is None:
        return ""
    return f"{'1er' if day.day == 1 else day.day} {_MONTHS[day.month - 1]} {day.year}"


def _time(moment: datetime) -> str:
    """`10 h 32 (UTC+1)`: an hour that comes twice, in October, is told apart."""
    offset = moment.utcoffset()
    hours = int(offset.total_seconds()) // 3600 if offset else 0
    return f"{moment.hour}\u00a0h\u00a0{moment:%M} (UTC+{hours})"


def _money(cents: int | None) -> str:
    """`1 234,50 €`."""
    if cents is None:
        return ""
    return f"{cents // 100:,}".replace(",", "\u202f") + f",{cents % 100:02}\u00a0€"


def _grouped(item: str) -> str:
    """The number as labels show it: two characters, then groups of four."""
    return " ".join([item[:2], *(item[start : start + 4] for start in range(2, len(item), 4))])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
