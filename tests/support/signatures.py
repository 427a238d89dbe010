"""Signatures and proofs: `a_drawing(seed=3)`, `a_proof(receiver=a_receiver(first_name="…"))`."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime
from typing import Any

from chalicelib.items.schemas import Capacity, EarlierProof, ProxyUsed
from chalicelib.signatures import procedures
from chalicelib.signatures.drawings import PAD_MAX
from chalicelib.signatures.schemas import Document, Drawing, Pad, Party, Point, Proof, Receiver, SignedAct

EVENT = "019e2c5a-7b3e-7c41-9d52-3f6a8b1c2d3e"
EARLIER_EVENT = "019d1c5a-7b3e-7c41-9d52-3f6a8b1c2d3e"
REGISTERED = "RK123456785FR"
CODE = "7KQ2M6XDA4TRFB3Z"

_PAUSE_MS = 120
_STEP_MS = 12


def a_pad(**changes: Any) -> Pad:
    """Half of a phone's screen."""
    return Pad(**({"width": 1080, "height": 420, "dpi": 420, "model": "Facteo 3"} | changes))


def a_drawing(*, seed: int = 1, strokes: int = 3, points: int = 40, **changes: Any) -> Drawing:
    """A signature as a hand draws it: loops that go to the right. Each seed has its own hand."""
    hand = random.Random(seed)  # noqa: S311 - a hand, no secret
    written, t = [], 0
    for number in range(strokes):
        start, share = 0.06 + 0.88 * number / strokes, 0.88 / strokes
        loops, height, lean, line = (
            hand.uniform(1.5, 3.5),
            hand.uniform(0.12, 0.3),
            hand.uniform(0.3, 0.8),
            hand.uniform(0.4, 0.6),
        )
        stroke = []
        for point in range(points):
            along = point / max(points - 1, 1)
            turn = 2 * math.pi * loops * along
            x = start + share * (0.85 * along + 0.12 * lean * math.sin(turn))
            y = line - height * (1 - 0.5 * along) * math.cos(turn) + hand.uniform(-0.004, 0.004)
            stroke.append(Point(round(x * PAD_MAX), round(y * PAD_MAX), t, hand.randint(90, 200)))
            t += _STEP_MS
        written.append(tuple(stroke))
        t += _PAUSE_MS
    return Drawing(**({"pad": a_pad(), "strokes": tuple(written)} | changes))


def a_line(*, points: int = 12, duration: int = 400, x: int = 30_000, y: int = 0) -> Drawing:
    """A straight line over so much of the pad, in so many milliseconds."""
    steps = [number / max(points - 1, 1) for number in range(points)]
    return Drawing(
        pad=a_pad(), strokes=(tuple(Point(round(x * step), round(y * step), round(duration * step)) for step in steps),)
    )


def a_receiver(**changes: Any) -> Receiver:
    """The addressee."""
    return Receiver(**({"last_name": "LEFÈVRE", "first_name": "Hélène"} | changes))


def a_holder(**changes: Any) -> Receiver:
    """Somebody with a proxy."""
    proxy = ProxyUsed(id="PX-2026-000117", revision=2)
    return a_receiver(
        **({"last_name": "Nowak", "first_name": "Łukasz", "capacity": Capacity.HOLDER, "proxy": proxy} | changes)
    )


def a_proof(**changes: Any) -> Proof:
    """A registered letter that its addressee received against signature and identity card: nothing is missing."""
    told = {
        "id": EVENT,
        "item": REGISTERED,
        "procedure": procedures.SIGNATURE_ID,
        "version": 1,
        "delivered_at": datetime(2026, 11, 23, 9, 32, 7, tzinfo=UTC),
        "delivered_on": date(2026, 11, 23),
        "carrier": "C1001",
        "device": "dev-7f3a",
        "readable_until": date(2027, 11, 23),
        "sender": Party(name="Cabinet Cœurdoux & Associés", lines=("4 PLACE DE L'ŒUVRE", "69002 LYON")),
        "addressee": Party(name="Mme Hélène LEFÈVRE", lines=("12 RUE DE LA PAIX", "75015 PARIS")),
        "provider": Party(
            name="La Poste (LP)", lines=("9 RUE DU COLONEL PIERRE AVIA, 75015 PARIS", "3631 · contact@laposte.example")
        ),
        "deposited_on": date(2026, 11, 20),
        "guarantee_level": "R2",
        "price_cents": 540,
        "receiver": a_receiver(),
        "document": Document.IDENTITY_CARD,
        "act": SignedAct(act="e30.e30.e30", drawing=a_drawing()),
        "verification_code": CODE,
    }
    return Proof(**(told | changes))


def a_proof_of(procedure: str, **changes: Any) -> Proof:
    """A proof by one of the procedures, with what it demands."""
    carrier_drawn = SignedAct(act="e30.e30.e30", drawing=a_drawing(), carrier_drawing=a_drawing(seed=2))
    row = procedures.find(procedure, 1)
    own: dict[str, dict[str, Any]] = {
        procedures.SIGNATURE_KNOWN_PERSON: {
            "document": None,
            "earlier": EarlierProof(item="RK987654321FR", event=EARLIER_EVENT),
            "act": carrier_drawn,
        },
        procedures.WITHDRAWAL: {"presented_on": date(2026, 11, 21)},
        procedures.CARRIER_ATTESTATION: {"document": None, "act": SignedAct(act="e30.e30.e30")},
    }
    statement = row.statement if row else ""
    return a_proof(**({"procedure": procedure, "statement": statement} | own.get(procedure, {}) | changes))
