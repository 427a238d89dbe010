"""Domain errors. Each says what was wrong and what to do, and is shown as RFC 9457 problem details."""

from __future__ import annotations

import re
from typing import Any, ClassVar

PROBLEM_BASE = "/problems/"


class Problem(Exception):  # noqa: N818 - the field's word (RFC 9457) is "problem"
    """An error that the caller can understand. Subclasses give the HTTP status and a title.

    `detail` is for a person and says what to do; `members` are extension members for a program.
    The stable `type` is the class name in kebab-case under `/problems/`.
    """

    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request cannot be carried out"

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}
        self.members = members

    @classmethod
    def slug(cls) -> str:
        """The last part of the problem's type, for example `holder-is-minor`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    def to_dict(self) -> dict[str, Any]:
        """The problem details object (RFC 9457, section 3)."""
        return {
            "type": PROBLEM_BASE + self.slug(),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }


class RequestInvalid(Problem):
    title = "The request does not have the expected shape"


class IdentityRequired(Problem):
    status = 401
    title = "Say who you are"


class ClockSkewed(Problem):
    status = 401
    title = "The clock of the handset is too far from ours"


class AccessDenied(Problem):
    status = 403
    title = "You may not do this"


class DeviceBlocked(Problem):
    status = 403
    title = "This handset may not do this in its present state"


class NotFound(Problem):
    status = 404
    title = "There is no such thing"


class Conflict(Problem):
    status = 409
    title = "The state of the thing does not allow this"


class ChangedMeanwhile(Problem):
    status = 409
    title = "Somebody changed this at the same time"


class EventIdReused(Problem):
    status = 409
    title = "This event id already belongs to another event"


class BodyTooLarge(Problem):
    status = 413
    title = "The body is too large"


class MediaTypeUnsupported(Problem):
    status = 415
    title = "Send application/json"


class Unavailable(Problem):
    status = 503
    title = "Try again in a moment"


class InternalError(Problem):
    status = 500
    title = "Something broke on our side"
