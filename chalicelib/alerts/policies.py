"""Who hears of a zone's alerts, when, and by which ways: configuration, and what stands in where there is none."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final

from msgspec import Meta

from chalicelib.core.schemas import END, Schema

ContactId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}" + END)]
Seconds = Annotated[int, Meta(ge=0, le=24 * 3600)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/\S*)?" + END, max_length=500)]

NATIONAL: Final = "NATIONAL"
"""The zone of alerts whose depot is not known, and the last to whom an alert is handed."""

ON_CALL: Final = "on-call"
"""The contact behind the stack's own topic: it needs no personal data, so that it is reached whatever is broken."""
COLLEAGUES: Final = "colleagues"
"""The handsets of the same depot, by push."""


class Channel(enum.StrEnum):
    """By which way a page goes. The feed is no way: it has every alert."""

    SMS = "sms"
    EMAIL = "email"
    WEBHOOK = "webhook"
    PUSH = "push"
    TOPIC = "topic"


class Way(Schema, frozen=True):
    """A channel and where it leads: a number (E.164), an address, a URL, a push endpoint.

    `secret` signs what a webhook is sent, and none is without.
    """

    channel: Channel
    to: Annotated[str, Meta(min_length=3, max_length=500)]
    secret: Annotated[str, Meta(max_length=200)] = ""


class Contact(Schema, frozen=True):
    """A person or a centre, and how to reach them: the first way first, the next if that fails."""

    id: ContactId
    ways: Annotated[tuple[Way, ...], Meta(min_length=1, max_length=5)]


class Step(Schema, frozen=True):
    """Whom a step reaches, so many seconds after the ladder began."""

    after: Seconds
    contacts: Annotated[tuple[ContactId, ...], Meta(max_length=50)] = ()


class Timers(Schema, frozen=True):
    """How long things may take, in seconds."""

    repeat: Annotated[int, Meta(ge=10, le=3600)] = 60
    lease: Annotated[int, Meta(ge=30, le=3600)] = 120
    pre_alarm: Annotated[int, Meta(ge=5, le=300)] = 30
    contact_gap: Annotated[int, Meta(ge=15, le=3600)] = 45
    contact_gap_low_battery: Annotated[int, Meta(ge=15, le=3600)] = 90


class Plan(Schema, frozen=True):
    """When things happen: an alert takes it from its zone's policy, and keeps it whatever becomes of the policy."""

    offsets: tuple[int, ...] = (0, 10, 20, 40, 90)
    timers: Timers = Timers()

    def offset(self, step: int) -> timedelta:
        """How long after the beginning of the ladder a step is fired."""
        last = len(self.offsets) - 1
        return timedelta(seconds=self.offsets[min(step, last)] + max(step - last, 0) * self.timers.repeat)


class Policy(Schema, frozen=True):
    """A zone's policy. After the last step it is repeated every `timers.repeat` seconds, without an end.

    The pages of all its contacts, and of as many colleagues as are called, fit into one transaction.
    """

    contacts: Annotated[tuple[Contact, ...], Meta(max_length=60)]
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=20)]
    timers: Timers = Timers()

    @property
    def plan(self) -> Plan:
        """Its times, without anybody's number."""
        return Plan(offsets=tuple(step.after for step in self.steps), timers=self.timers)

    def contacts_of(self, steps: Sequence[int]) -> tuple[str, ...]:
        """Whom these steps reach, each once, in their order."""
        last = len(self.steps) - 1
        return tuple(dict.fromkeys(name for step in steps for name in self.steps[min(step, last)].contacts))

    def next_with_contacts(self, step: int) -> int:
        """The first step from this one on that reaches anybody; this one if none does, or it is a repeat."""
        return next((later for later in range(step, len(self.steps)) if self.steps[later].contacts), step)

    def contact(self, name: str) -> Contact | None:
        """A contact by its id; None for one that is not in the policy any more."""
        return next((contact for contact in self.contacts if contact.id == name), None)

    def fault(self) -> str | None:
        """What is wrong with it beyond its shape, as a sentence, or None."""
        after = [step.after for step in self.steps]
        if after[0] != 0 or after != sorted(set(after)):
            return "The first step is at 0 seconds, and each later one after the one before."
        known = {contact.id for contact in self.contacts} | {ON_CALL, COLLEAGUES}
        if unknown := {name for step in self.steps for name in step.contacts} - known:
            return f"The steps name contacts that are not there: {', '.join(sorted(unknown))}."
        if len({contact.id for contact in self.contacts}) < len(self.contacts):
            return "Give each contact an id of its own."
        return None


FOLLOWED_AFTER_PIN: Final = timedelta(minutes=15)
"""How long a handset goes on sending after a PIN."""

DEFAULT: Final = Policy(
    contacts=(),
    steps=tuple(Step(after=seconds, contacts=(ON_CALL,)) for seconds in (0, 10, 20, 40, 90)),
)
"""Where a zone has no policy, or it cannot be read: everybody who subscribes to the stack's topic, from the start."""
