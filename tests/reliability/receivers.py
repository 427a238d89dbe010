"""Whoever is paged: telephones, mailboxes, handsets, a topic and webhooks. None of them tells repeats but the webhooks.

What reached them is kept with the page that the sender said it worked on (the message of its queue), so that a judge
can hold the one against the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

TRIGGER, ACKNOWLEDGE, RESOLVE = "trigger", "acknowledge", "resolve"


class Receipt(NamedTuple):
    """Something that arrived: when, by which channel, whereto, what it said, and on which page its sender worked."""

    at: datetime
    channel: str
    to: str
    text: str
    message: str
    action: str = TRIGGER


@dataclass
class Incident:
    """What a receiver of events keeps under a dedup key (PagerDuty's Events API v2): what had an effect."""

    state: str = ""
    effects: list[str] = field(default_factory=list)

    def take(self, action: str) -> None:
        """An event. What changes nothing has no effect; a trigger after the end opens it anew."""
        had_effect = {
            TRIGGER: self.state in {"", RESOLVE},
            ACKNOWLEDGE: self.state == TRIGGER,
            RESOLVE: self.state in {TRIGGER, ACKNOWLEDGE},
        }[action]
        if had_effect:
            self.state = action
            self.effects.append(action)


@dataclass
class Receivers:
    """All of them."""

    receipts: list[Receipt] = field(default_factory=list)
    incidents: dict[tuple[str, str], Incident] = field(default_factory=dict)

    def published(self, request: Mapping[str, Any], at: datetime, message: str) -> None:
        """SNS passes something on."""
        by = {"PhoneNumber": "sms", "TopicArn": "topic", "TargetArn": "push"}
        ((name, channel),) = [(name, channel) for name, channel in by.items() if name in request]
        self.receipts.append(Receipt(at, channel, request[name], request["Message"], message))

    def mailed(self, request: Mapping[str, Any], at: datetime, message: str) -> None:
        """SES passes something on."""
        (to,) = request["Destination"]["ToAddresses"]
        text = request["Content"]["Simple"]["Body"]["Text"]["Data"]
        self.receipts.append(Receipt(at, "email", to, text, message))

    def posted(self, url: str, body: bytes, at: datetime, message: str) -> None:
        """A webhook is called."""
        told = json.loads(body)
        action = told["event_action"]
        self.receipts.append(Receipt(at, "webhook", url, body.decode(), message, action))
        self.incidents.setdefault((url, told["dedup_key"]), Incident()).take(action)
