"""Pages: each has a row before anybody is called, and no row is called for twice.

A page is planned in the transaction that fires its step. Before the call its row says SENDING, unless somebody has
taken the alert meanwhile. A definite refusal is tried again under the same row. Where the outcome is not known the row
says so and the page is never sent again, except to a webhook, which tells repeats by their key. What did not surely
arrive is followed at once by the contact's next way, and after the last one by the next step.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from chalicelib.alerts import channels, ladder, messages, pushes, store, zones
from chalicelib.alerts.channels import ChannelSettings, Refused, Unknown
from chalicelib.alerts.messages import Action
from chalicelib.alerts.policies import COLLEAGUES, DEFAULT, ON_CALL, Channel, Policy, Way
from chalicelib.alerts.schemas import Alert
from chalicelib.alerts.tables import AlertsRow, LinesRow
from chalicelib.core import clock, queues, settings, telemetry
from chalicelib.core.errors import ChangedMeanwhile, Conflict, Unavailable
from chalicelib.core.queues import Outgoing
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork, transaction

TRIES: Final = 3
PAUSES: Final = (0.3, 1.0)
"""Seconds between the tries of a page that was definitely refused."""
STUCK_AFTER: Final = timedelta(seconds=30)
"""Longer than the function that sends may run: who called has ended without a word."""
WEBHOOK_ROUNDS: Final = 20
"""How often a webhook that does not answer is tried again, by the key that makes repeats harmless."""
KEPT_FOR: Final = timedelta(days=400)


class PageState(enum.StrEnum):
    """What became of a page. WITHDRAWN: the alert was taken before it left."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


STAGES: Final = {Action.TRIGGER: "page", Action.ACKNOWLEDGE: "taken"}
"""How far the alert may be for what is sent: see `ladder.may_go_out`. Its end is told in any case."""
IF_TAKEN: Final = {
    PageState.PLANNED: PageState.WITHDRAWN,
    PageState.SENDING: PageState.UNKNOWN,
    PageState.UNKNOWN: PageState.UNKNOWN,
    PageState.FAILED: PageState.FAILED,
}
"""What becomes of a page that was to be sent, or sent again, when somebody has taken the alert."""
NOT_ARRIVED: Final = frozenset({PageState.FAILED, PageState.UNKNOWN})


class PagingSettings(ChannelSettings, frozen=True, kw_only=True):
    """The queue of the pages, besides what the channels need."""

    pages_queue: str


class PageWanted(Schema, frozen=True):
    """The message that asks for a page: the alert and the key of the page's row."""

    alert: str
    page: str


class Page(Schema, frozen=True, omit_defaults=True):
    """A page: whom, by which of their ways in the policy of which zone, for which step, and what became of it.

    `to` stands for push only.
    """

    alert: str
    zone: str
    epoch: int
    step: int
    contact: str
    way: int
    channel: Channel
    action: Action
    planned_at: datetime
    to: str = ""
    sending_at: datetime | None = None
    done_at: datetime | None = None
    rounds: int = 0
    why: str = ""

    @property
    def key(self) -> str:
        """The sort key of its row: one for each alert, step, person and channel."""
        return f"page/{self.epoch:06}/{self.step:06}/{self.contact}/{self.way}-{self.channel}/{self.action}"


# --- planning -----------------------------------------------------------------------------------------------


def plan(work: UnitOfWork, alert: Alert, contacts: Sequence[str], policy: Policy) -> list[Page]:
    """Plan the pages of the step that the alert has just fired, one for each contact, within its transaction.

    Where none of those can be called whom it names, who is on call stands in.
    """
    step = alert.step - 1
    pages = [page for name in contacts for page in _first_pages(alert, step, name, policy)]
    if contacts and not pages:
        pages = _first_pages(alert, step, ON_CALL, policy)
    for page in pages:
        _plan(work, page)
    return pages


def _first_pages(alert: Alert, step: int, name: str, policy: Policy) -> list[Page]:
    if name == COLLEAGUES:
        return [
            _page(alert, step, f"{COLLEAGUES}-{device}", Channel.PUSH, to=to)
            for device, to in pushes.colleagues_of(alert.depot, alert.device)
        ]
    if name == ON_CALL:
        return [_page(alert, step, ON_CALL, Channel.TOPIC)]
    contact = policy.contact(name)
    return [_page(alert, step, name, contact.ways[0].channel)] if contact else []


def _page(alert: Alert, step: int, contact: str, channel: Channel, *, way: int = 0, to: str = "") -> Page:
    return Page(
        alert=alert.id,
        zone=alert.zone,
        epoch=alert.epoch,
        step=step,
        contact=contact,
        way=way,
        channel=channel,
        action=Action.TRIGGER,
        planned_at=clock.now(),
        to=to,
    )


def _plan(work: UnitOfWork, page: Page) -> None:
    work.put(_row(page, PageState.PLANNED), unless_exists=ChangedMeanwhile("The page is planned already."))


def ask(pages: Iterable[Page]) -> None:
    """Ask for pages to be sent. If the queue takes them not, they are found again: see `look_again`."""
    wanted = [Outgoing(msgspec.json.encode(PageWanted(alert=page.alert, page=page.key)).decode()) for page in pages]
    try:
        queues.send(settings.load(PagingSettings).pages_queue, wanted)
    except Exception:  # the alert is looked at again in some seconds
        telemetry.logger.exception("pages were not queued", extra={"pages": len(wanted)})


def look_again(alert: Alert) -> bool:
    """Ask again for pages that are not done. One query. Whether there are any."""
    rows = LinesRow.query(f"alert/{alert.id}", LinesRow.sk.startswith("page/"), consistent_read=True)
    undone = [row for row in rows if _is_undone(row) and _is_to_be_looked_at(alert, row)]
    ask(row.holds(Page) for row in undone if not _is_under_way(row))
    return bool(undone)


def _is_undone(row: LinesRow) -> bool:
    page, state = row.holds(Page), PageState(row.state)
    again = page.channel is Channel.WEBHOOK and state in NOT_ARRIVED and page.rounds < WEBHOOK_ROUNDS
    return again or state in {PageState.PLANNED, PageState.SENDING}


def _is_under_way(row: LinesRow) -> bool:
    """Whether somebody may be sending it just now."""
    sending_at = row.holds(Page).sending_at if row.state == PageState.SENDING else None
    return sending_at is not None and clock.now() < sending_at + STUCK_AFTER


def _is_to_be_looked_at(alert: Alert, row: LinesRow) -> bool:
    """Whether it is still wanted, or somebody began to send it and has not said what became of it."""
    return row.state == PageState.SENDING or _is_wanted(alert, row.holds(Page))


def _is_wanted(alert: Alert, page: Page) -> bool:
    return page.action not in STAGES or ladder.may_go_out(alert) == f"{STAGES[page.action]}/{page.epoch}"


# --- sending ------------------------------------------------------------------------------------------------


def deliver(wanted: PageWanted) -> bool:
    """Send a page, once: its row says SENDING first, and what became of it afterwards.

    True if it reached nobody for sure and its contact has no other way, so that the ladder is to go on at once.
    """
    row = LinesRow.find(f"alert/{wanted.alert}", wanted.page)
    held = store.find(wanted.alert)
    if row is None or held is None or not _is_undone(row) or _is_under_way(row):
        return False
    page, state = row.holds(Page), PageState(row.state)
    if state is PageState.SENDING and page.channel is not Channel.WEBHOOK:
        return _done(held.alert, page, PageState.UNKNOWN, "whoever sent it ended in the middle")
    return _send(held.alert, page, state)


def _send(alert: Alert, page: Page, state: PageState) -> bool:
    policy = zones.policy_of(page.zone)
    if policy is DEFAULT and not (page.to or page.contact == ON_CALL):
        raise Unavailable("The policy that names the contact cannot be read now.")
    begun = _begun(alert, page, state)
    if begun is None:
        return False
    way = _way(begun, policy)
    if way is None:
        return _done(alert, begun, PageState.FAILED, "the contact is not in the policy any more")
    try:
        _call(way, alert, begun)
    except Refused as refused:
        return _done(alert, begun, PageState.FAILED, str(refused))
    except Unknown as unknown:
        return _done(alert, begun, PageState.UNKNOWN, str(unknown))
    return _done(alert, begun, PageState.SENT)


def _begun(alert: Alert, page: Page, state: PageState) -> Page | None:
    """The page as it is about to be sent; None if it is not wanted any more, or somebody else sends it."""
    begun = msgspec.structs.replace(page, sending_at=clock.now(), rounds=page.rounds + 1)
    taken = Conflict("Nobody needs to be paged any more.")
    try:
        with transaction() as work:
            _set(work, begun, PageState.SENDING, before=state)
            if page.action in STAGES:
                wanted = AlertsRow.may_go_out == f"{STAGES[page.action]}/{page.epoch}"
                work.check(AlertsRow(pk=store.key_of(alert.id)), wanted, otherwise=taken)
    except Conflict:
        with suppress(ChangedMeanwhile), transaction() as work:
            _set(work, page, IF_TAKEN[state], before=state)
        return None
    except ChangedMeanwhile:
        return None
    return begun


def _way(page: Page, policy: Policy) -> Way | None:
    if page.to:
        return Way(channel=page.channel, to=page.to)
    if page.contact == ON_CALL:
        return Way(channel=Channel.TOPIC, to=settings.load(PagingSettings).alert_topic)
    contact = policy.contact(page.contact)
    found = contact.ways[page.way] if contact and page.way < len(contact.ways) else None
    return found if found and found.channel is page.channel else None


def _call(way: Way, alert: Alert, page: Page) -> None:
    """Call the channel; again, if it surely took nothing, may do so now, and the page is still wanted."""
    message = messages.message_of(alert, page.action, page.step)
    for pause in PAUSES:
        try:
            return channels.send(way, message)
        except Refused as refused:
            if not refused.again:
                raise
            clock.pause(pause)
            if not _is_wanted(store.own(alert.id).alert, page):
                raise
    return channels.send(way, message)


def _done(alert: Alert, page: Page, state: PageState, why: str = "") -> bool:
    """Note what became of a page, and let another follow at once if it did not surely arrive: see `deliver`."""
    telemetry.count("Pages", channel=page.channel.value, became=state.value)
    if state is PageState.FAILED:
        telemetry.count("PagesFailed")
    if state is PageState.UNKNOWN:
        telemetry.count("PagesUnknown")
    done = msgspec.structs.replace(page, done_at=clock.now(), why=why)
    following = _following(alert, page) if state in NOT_ARRIVED and page.action is Action.TRIGGER else None
    try:
        with transaction() as work:
            _set(work, done, state, before=PageState.SENDING)
            if following:
                _plan(work, following)
    except ChangedMeanwhile:  # a repeat was faster, or the following page is planned already
        with transaction() as work:
            _set(work, done, state, before=PageState.SENDING)
    if following:
        ask([following])
        return False
    return state in NOT_ARRIVED and page.action is Action.TRIGGER and _hurried(alert, page)


def _following(alert: Alert, page: Page) -> Page | None:
    """The page by the contact's next way, if there is one."""
    contact = None if page.to else zones.policy_of(page.zone).contact(page.contact)
    if contact is None or page.way + 1 >= len(contact.ways):
        return None
    return _page(alert, page.step, page.contact, contact.ways[page.way + 1].channel, way=page.way + 1)


def _hurried(alert: Alert, page: Page) -> bool:
    """Nobody may have been reached by this contact: the next step is due at once, unless it was fired already.

    A repeat of the last one waits for its time if it reached somebody else.
    """
    now, step = clock.now(), page.step + 1
    if step >= len(alert.plan.offsets) and _reached_somebody(page):
        return False
    up_to = zones.policy_of(page.zone).next_with_contacts(step)
    hurry = partial(ladder.hurried, epoch=page.epoch, step=step, now=now, up_to=up_to)
    after = store.change(alert.id, hurry, correlation_id=alert.id)
    return ladder.wants_pages(after) and (after.epoch, after.step) == (page.epoch, step)


def _reached_somebody(page: Page) -> bool:
    """Whether another page of the same step arrived, or may still do so: one query."""
    step = LinesRow.sk.startswith(f"page/{page.epoch:06}/{page.step:06}/")
    rows = LinesRow.query(f"alert/{page.alert}", step, consistent_read=True)
    return any(PageState(row.state) not in {*NOT_ARRIVED, PageState.WITHDRAWN} for row in rows)


# --- telling webhooks that it was taken or is over ---------------------------------------------------------


def settle(alert: Alert, told: Action) -> list[Page]:
    """The pages that tell every webhook that was paged what became of the alert: one query."""
    rows = LinesRow.query(f"alert/{alert.id}", LinesRow.sk.startswith("page/"), consistent_read=True)
    paged = [row.holds(Page) for row in rows if PageState(row.state) not in {PageState.PLANNED, PageState.WITHDRAWN}]
    first = {(page.contact, page.way): page for page in reversed(paged) if page.channel is Channel.WEBHOOK}
    return [_again(page, alert, told) for page in first.values()]


def _again(page: Page, alert: Alert, told: Action) -> Page:
    fresh = _page(alert, alert.step, page.contact, page.channel, way=page.way)
    return msgspec.structs.replace(fresh, action=told, zone=page.zone)


def plan_settled(work: UnitOfWork, pages: Iterable[Page]) -> None:
    """Plan them within the work that notes that they were told."""
    for page in pages:
        _plan(work, page)


def _set(work: UnitOfWork, page: Page, state: PageState, *, before: PageState) -> None:
    otherwise = ChangedMeanwhile("Somebody else deals with the page.")
    work.put(_row(page, state), when=LinesRow.state == before.value, otherwise=otherwise)


def _row(page: Page, state: PageState) -> LinesRow:
    return LinesRow(
        f"alert/{page.alert}",
        page.key,
        content=msgspec.json.encode(page).decode(),
        state=state.value,
        expires_at=page.planned_at + KEPT_FOR,
    )
