"""What people approved: the exact words, and the passkeys' signatures over them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chalicelib.core.schemas import Schema


class Approval(Schema, frozen=True):
    """That an approver confirmed a text with a passkey (WebAuthn assertion; binary members in base64url)."""

    approver: Annotated[str, Meta(max_length=200)]
    credential: Annotated[str, Meta(max_length=1400)]
    authenticator_data: Annotated[str, Meta(max_length=1400)]
    client_data: Annotated[str, Meta(max_length=2800)]
    signature: Annotated[str, Meta(max_length=200)]


class Approved(Schema, frozen=True):
    """A text (base64url), byte by byte as it was approved, with the approvals: a warrant, or a set of approvers."""

    text: str
    approvals: tuple[Approval, ...]
