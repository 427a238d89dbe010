"""Handing over in tests: `a_hand_over(handset, item)` gives the event as a handset makes it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import msgspec

from chalicelib.core import clock, ids, journal
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from chalicelib.signatures import rules
from chalicelib.signatures.schemas import Drawing, Judged
from handset import acts
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.events import an_item_event, announced, deliver, recorded
from tests.support.factories import ITEM, HeldHandset, a_handset, an_item
from tests.support.signatures import a_drawing

_seeds = itertools.count(1)

RECEIVER = {"last_name": "LEFÈVRE", "first_name": "Hélène", "capacity": "addressee", "proxy": None}
HOLDER = {"last_name": "Nowak", "first_name": "Łukasz"}


def an_act(handset: HeldHandset, *items: str, drawing: Drawing | None = None, **changes: Any) -> dict[str, Any]:
    """An act of article 4 by the addressee with an identity card. `drawing` is what it names."""
    now = clock.now()
    told = {
        "id": ids.new(now),
        "device": handset.device,
        "procedure": "signature-id",
        "version": 1,
        "items": list(items or (ITEM,)),
        "nonce": acts.nonce(),
        "shown": acts.shown(["Remise contre signature", *(items or (ITEM,))]),
        "opened_at": (now - timedelta(seconds=20)).isoformat(),
        "signed_at": now.isoformat(),
        "receiver": RECEIVER,
        "document": "identity-card",
        "drawing": acts.name_of(msgspec.to_builtins(drawing)) if drawing else None,
        "carrier_drawing": None,
    }
    return told | changes


def a_hand_over(
    handset: HeldHandset,
    item: str = ITEM,
    *,
    act: dict[str, Any] | None = None,
    drawing: Drawing | None = None,
    carrier_drawing: Drawing | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The event of a handing over. Without an act, of one for this item alone, with a drawing that no other has."""
    drawing = drawing or a_drawing(seed=next(_seeds))
    act = act or an_act(handset, item, drawing=drawing)
    data = {
        "act": acts.signed(act, handset.key, handset.device),
        "drawing": msgspec.to_builtins(drawing),
        "carrier_drawing": msgspec.to_builtins(carrier_drawing) if carrier_drawing else None,
    }
    return handset.event("facteo.item.handed-over", item=item, data=changes.pop("data", data), **changes)


CLIENT = {
    "company": "Vent d'Ouest SARL",
    "address": {"street": "3 QUAI DE LA FOSSE", "postcode": "44000", "town": "NANTES"},
    "products": [{"product": "9V", "price_cents": 654}],
}


class RegisteredPost:
    """A post with a registered item on its way, and a handset that hands it over."""

    def __init__(self, api: Api) -> None:
        self.api, self.handset = api, a_handset(api)
        assert api.as_staff("ops").put("/v1/clients/999999", CLIENT).status == 200

    def item(self, **changes: Any) -> str:
        """A registered item that was announced and taken in charge."""
        item = an_item()
        announced(item, **({"recommendation": "R1"} | changes))
        recorded(an_item_event(item=item))
        return item

    def hand_over(self, item: str, handset: HeldHandset | None = None, **changes: Any) -> Event:
        """The event in the journal, judged."""
        event = self.handed_over(item, handset, **changes)
        assert deliver(judging, [event]) == []
        return event

    def handed_over(self, item: str, handset: HeldHandset | None = None, **changes: Any) -> Event:
        """The event in the journal, which nobody has judged."""
        by = handset or self.handset
        sent = a_hand_over(by, item, **changes)
        assert by.sync(sent).body["results"][0]["result"] == "recorded"
        [event] = journal.read_many([(f"item/{item}", sent["id"])])
        return event

    def proxy(self, clock: FakeClock, **changes: Any) -> dict[str, Any]:
        """A verified proxy of Mme Lefèvre's address, in the revision that the handset knows."""
        support, proxy = self.api.as_staff("carrier-support"), ids.new()
        stated = {
            "principal": {"last_name": "Lefèvre", "first_name": "Hélène"},
            "address": {"street": "12 RUE DE LA PAIX", "postcode": "75015", "town": "PARIS"},
            "holders": [HOLDER | {"born_on": "1990-05-17"}],
            "scopes": ["registered", "parcel-against-signature"],
            "start": "2026-11-23",
            "end": "2027-11-22",
        }
        seen = {"method": "post-office", "documents": ["principal-identity", "holder-identity", "proof-of-address"]}
        assert support.put(f"/v1/proxies/{proxy}", stated | changes).status == 200
        answer = support.post(f"/v1/proxies/{proxy}/verification", seen)
        assert answer.status == 200, answer.text
        clock.advance(minutes=1)
        return {"id": proxy, "revision": answer.body["revision"]}

    def revoke(self, proxy: dict[str, Any]) -> None:
        """The principal takes the proxy back."""
        path = f"/v1/proxies/{proxy['id']}/revocation"
        assert self.api.as_staff("carrier-support").post(path, {"reason": "by-principal"}).status == 200

    def act(self, item: str, **changes: Any) -> dict[str, Any]:
        """An act with a drawing, as a keyword for `hand_over`."""
        drawing = a_drawing(seed=self.handset.sequence + 100_000)
        return {"act": an_act(self.handset, item, drawing=drawing) | changes, "drawing": drawing}


def judged(event: Event) -> Judged:
    """What was judged of a handing over, once."""
    [made] = judgements(event)
    return made


def judgements(event: Event) -> list[Judged]:
    """All that was judged of a handing over, one after the other."""
    found = [one for one in journal.read(rules.subject_of(event.id)) if one.type == "facteo.proof.judged"]
    return sorted((one.body(Judged) for one in found), key=lambda one: one.revision)
