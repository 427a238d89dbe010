"""The part of the test vectors that speaks of acts of handing over, their drawings, and what of them is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from infra.vectors_events import DEVICE, ITEM, NOW, OTHER_DEVICE, OTHER_ITEM, Event, barcode, event, made_id

Act = dict[str, Any]
Drawing = dict[str, Any]
Signer = Callable[[str, bytes], bytes]
"""From a key's name and a message to the signature, as r and s."""

HANDED_OVER: Final = "facteo.item.handed-over"
SIGNED_AT: Final = NOW - timedelta(minutes=29)
PAD: Final = {"width": 1080, "height": 420, "dpi": 420, "model": "SM-G556B"}
SHOWN: Final = ("Remise contre signature", "9V 20524 752032", "Mme Hélène LEFÈVRE")
ADDRESSEE: Final = {"last_name": "LEFÈVRE", "first_name": "Hélène", "capacity": "addressee", "proxy": None}
PROXY: Final = {"id": "019ac9a0-0000-7000-8000-0000000000a7", "revision": 2}
HOLDER: Final = {"last_name": "Nowak", "first_name": "Łukasz", "capacity": "holder", "proxy": PROXY}
EARLIER: Final = {"item": "RK123456785FR", "event": made_id(NOW - timedelta(days=7), 0xB1)}
LARGEST: Final = 2_869
"""Points of the rule's drawing that have no more than 64 KiB."""

_UNPROVEN, _MISMATCH, _DEGENERATE = "act-unproven", "act-mismatch", "signature-degenerate"
_MALFORMED, _TOO_LARGE, _REUSED = "event-malformed", "drawing-too-large", "signature-reused"


def acts(sign: Signer, public_key: dict[str, str]) -> list[dict[str, Any]]:
    """Acts with all their steps, and what becomes of the events that carry them."""
    return [*_good(sign), *_unproven(sign, public_key), *_mismatched(sign), *_no_drawings(sign), _reused(sign)]


def drawn(number: int = 0, *, points: int = 12, every: int = 30, width: int = 40_000) -> Drawing:
    """A drawing of two strokes, a hundred milliseconds between them. Each number has its own."""
    made = [
        [3_000 + width * place // points, 30_000 + (place * 7_919 + number * 977) % 9_000, place * every, 90 + place]
        for place in range(points)
    ]
    half = points // 2
    return {"pad": PAD, "strokes": [made[:half], [[x, y, t + 100, p] for x, y, t, p in made[half:]]]}


def by_rule(points: int) -> Drawing:
    """One stroke whose point `n`, from 0, is `[7919 n mod 65536, 104729 n mod 65536, 10 n, n mod 256]`."""
    stroke = [[n * 7_919 % 65_536, n * 104_729 % 65_536, n * 10, n % 256] for n in range(points)]
    return {"pad": PAD, "strokes": [stroke]}


def canonical(content: Any) -> str:
    """Canonical JSON (RFC 8785) of what has no fractions."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def name_of(drawing: Drawing) -> str:
    """SHA-256 (hex) of the strokes in canonical JSON, four numbers for each point."""
    strokes = [[point if point[3:] else [*point, 0] for point in stroke] for stroke in drawing["strokes"]]
    return _sha256(canonical(strokes))


def act_of(
    drawing: Drawing | None, carrier_drawing: Drawing | None = None, without: Sequence[str] = (), **changes: Any
) -> Act:
    """An act of article 4 by the addressee, signed at the time of the first event."""
    told = {
        "id": made_id(SIGNED_AT, 0xC1),
        "device": DEVICE,
        "procedure": "signature-id",
        "version": 1,
        "items": [ITEM],
        "nonce": "Qm9ueXhVd2pLdGVzdA",
        "shown": _sha256("\n".join(SHOWN)),
        "opened_at": (SIGNED_AT - timedelta(seconds=20)).isoformat(),
        "signed_at": SIGNED_AT.isoformat(),
        "receiver": ADDRESSEE,
        "document": "identity-card",
        "drawing": name_of(drawing) if drawing else None,
        "carrier_drawing": name_of(carrier_drawing) if carrier_drawing else None,
    }
    return {name: value for name, value in (told | changes).items() if name not in without}


def _good(sign: Signer) -> list[dict[str, Any]]:
    mine, carriers, mark = drawn(1), drawn(2), drawn(3, points=4)
    known: dict[str, Any] = {"procedure": "signature-known-person", "document": None, "earlier": EARLIER}
    withdrawn: dict[str, Any] = {"procedure": "withdrawal", "presented_on": "2026-11-21"}
    optional = ("receiver", "document", "drawing", "carrier_drawing")
    three = {**drawn(4), "strokes": [[point[:3] for point in stroke] for stroke in drawn(4)["strokes"]]}
    several, items = drawn(5), [ITEM, OTHER_ITEM]
    quick: dict[str, Any] = {"opened_at": (SIGNED_AT - timedelta(milliseconds=50)).isoformat()}
    told = {
        "article 4: the addressee, by an identity card": (act_of(mine), mine, None),
        "a holder, by a proxy of the round": (act_of(mine, receiver=HOLDER), mine, None),
        "a holder who names no proxy": (act_of(mine, receiver={**HOLDER, "proxy": None}), mine, None),
        "article 4-1: known to the carrier, who signs too": (act_of(mine, carriers, **known), mine, carriers),
        "article 5: withdrawn, with the day on which it was presented": (act_of(mine, **withdrawn), mine, None),
        "a mark that the carrier attests": (act_of(mark, unable_to_sign=True), mark, None),
        "points of three numbers: the fourth is 0": (act_of(three), three, None),
        "a procedure that we do not know": (act_of(mine, procedure="by-heart", version=9), mine, None),
        "drawn in less time than the screen was open for": (act_of(mine, **quick), mine, None),
        "nothing but what an act must have": (act_of(None, without=optional), None, None),
    }
    largest = by_rule(LARGEST)
    return [
        *(_vector(name, sign, act, drawing, carrier) for name, (act, drawing, carrier) in told.items()),
        _vector("one signature for several items", sign, act_of(several, items=items), several, items=items),
        _vector("a drawing of 64 KiB, by the rule", sign, act_of(largest), largest, by_rule=LARGEST),
    ]


def _unproven(sign: Signer, public_key: dict[str, str]) -> list[dict[str, Any]]:
    drawing = drawn(6)
    act = act_of(drawing)
    text = canonical(act)
    backwards = json.dumps(dict(sorted(act.items(), reverse=True)), separators=(",", ":"), ensure_ascii=False)
    good = _jws(text, sign)
    unsigned = f"{_base64url(canonical({'alg': 'none'}).encode())}.{_base64url(text.encode())}"
    head, _, rest = good.partition(".")
    short = f"{head}.{rest[: -len(_base64url(bytes(64)))]}{_base64url(bytes(32))}"
    told = {
        "another key": _jws(text, sign, key="other"),
        "alg none": f"{unsigned}.",
        "alg HS256, with the public key as the secret": _hs256(text, canonical(public_key).encode()),
        "alg ES256 is not named": f"{_base64url(canonical({'kid': DEVICE}).encode())}.{rest}",
        "the act was changed behind the signature": _changed(good, text.replace("Hélène", "Helene")),
        "half a signature": short,
        "spaces between the members": _jws(json.dumps(act, sort_keys=True, ensure_ascii=False), sign),
        "members out of order": _jws(backwards, sign),
        "letters escaped without need": _jws(json.dumps(act, sort_keys=True, separators=(",", ":")), sign),
        "no nonce": _jws(canonical(act_of(drawing, without=["nonce"])), sign),
        "a member that an act does not have": _jws(canonical(act | {"mood": "good"}), sign),
        "a document that does not exist": _jws(canonical(act | {"document": "library-card"}), sign),
        "no item": _jws(canonical(act | {"items": []}), sign),
        "a time without an offset": _jws(canonical(act | {"signed_at": "2026-11-23T07:31:00"}), sign),
        "nothing": "",
    }
    return [
        {**_vector(name, sign, act, drawing, jws=jws, problem=_UNPROVEN), "canonical": None}
        for name, jws in told.items()
    ]


def _mismatched(sign: Signer) -> list[dict[str, Any]]:
    drawing, other = drawn(7), drawn(8)
    told = {
        "another handset": (act_of(drawing, device=OTHER_DEVICE), drawing, None),
        "the event's item is not among the act's": (act_of(drawing, items=[OTHER_ITEM]), drawing, None),
        "the strokes are others": (act_of(drawing), other, None),
        "the act names a drawing, and none is sent": (act_of(drawing), None, None),
        "a drawing is sent that the act does not name": (act_of(None), drawing, None),
        "the carrier's strokes are others": (act_of(drawing, other), drawing, drawing),
    }
    return [_vector(name, sign, act, sent, carrier, problem=_MISMATCH) for name, (act, sent, carrier) in told.items()]


def _no_drawings(sign: Signer) -> list[dict[str, Any]]:
    good, tap = drawn(10), drawn(11, points=4)
    backwards = {"pad": PAD, "strokes": drawn(9)["strokes"][::-1]}
    small = {"pad": PAD, "strokes": [[[30_000 + n * 100, 30_000 + n * n, n * 30, 128] for n in range(12)]]}
    degenerate = {
        "fewer than 10 points": drawn(13, points=9),
        "less than 200 ms": drawn(14, every=5),
        "smaller than 3 % of the pad": small,
        "its time runs backwards": backwards,
    }
    image = {"pad": PAD, "svg": "<svg/>"}
    fraction = {"pad": PAD, "strokes": [[[0.5, 1, 2, 3]]]}
    malformed = {
        "an image": "data:image/png;base64,iVBORw0KGgo=",
        "an image instead of strokes": image,
        "a fraction of a point": fraction,
        "a point of five numbers": {"pad": PAD, "strokes": [[[0, 1, 2, 3, 4]]]},
        "no stroke": {"pad": PAD, "strokes": []},
    }
    marked = act_of(good, tap, unable_to_sign=True)
    larger = by_rule(LARGEST + 1)
    return [
        *(_vector(name, sign, act_of(one), one, problem=_DEGENERATE) for name, one in degenerate.items()),
        _vector("the carrier attests no mark of their own", sign, marked, good, tap, problem=_DEGENERATE),
        *(_vector(name, sign, act_of(good), one, problem=_MALFORMED) for name, one in malformed.items()),
        _vector("one point more than 64 KiB", sign, act_of(larger), larger, problem=_TOO_LARGE, by_rule=LARGEST + 1),
    ]


def _reused(sign: Signer) -> dict[str, Any]:
    drawing = drawn(15)
    first, again = act_of(drawing), act_of(drawing, items=[OTHER_ITEM], id=made_id(SIGNED_AT, 0xC2))
    events = [_event(1, ITEM, _jws(canonical(first), sign), drawing)]
    vector = _vector("the strokes of another act", sign, again, drawing, items=[OTHER_ITEM], problem=_REUSED, number=2)
    return {**vector, "events": [*events, *vector["events"]], "results": ["recorded", "refused"]}


def _vector(
    name: str,
    sign: Signer,
    act: Act,
    drawing: Any,
    carrier_drawing: Drawing | None = None,
    *,
    items: list[str] | None = None,
    jws: str | None = None,
    problem: str | None = None,
    by_rule: int | None = None,
    number: int = 1,
) -> dict[str, Any]:
    """An act and the events that carry it, one for each item. With `by_rule`, the strokes are left out of them."""
    compact = _jws(canonical(act), sign) if jws is None else jws
    sent = {**drawing, "strokes": []} if by_rule else drawing
    events = [
        _event(place, item, compact, sent, carrier_drawing) for place, item in enumerate(items or [ITEM], start=number)
    ]
    return {
        "name": name,
        "shown": list(SHOWN),
        "canonical": canonical(act),
        "points_by_rule": by_rule,
        "events": events,
        "results": ["refused" if problem else "recorded"] * len(events),
        "problem": problem,
    }


def _event(number: int, item: str, act: str, drawing: Any, carrier_drawing: Drawing | None = None) -> Event:
    data = {"barcode": barcode(item), "act": act, "drawing": drawing, "carrier_drawing": carrier_drawing}
    return event(number, event_type=HANDED_OVER, subject=f"item/{item}", data=data)


def _jws(text: str, sign: Signer, key: str = "handset") -> str:
    signing_input = f"{_base64url(canonical({'alg': 'ES256', 'kid': DEVICE}).encode())}.{_base64url(text.encode())}"
    return f"{signing_input}.{_base64url(sign(key, signing_input.encode()))}"


def _hs256(text: str, secret: bytes) -> str:
    signing_input = f"{_base64url(canonical({'alg': 'HS256', 'kid': DEVICE}).encode())}.{_base64url(text.encode())}"
    return f"{signing_input}.{_base64url(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def _changed(jws: str, text: str) -> str:
    head, _, signature = jws.split(".")
    return f"{head}.{_base64url(text.encode())}.{signature}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
