"""What the guards refuse because of where a warrant, a set of approvers or a person stands."""

from __future__ import annotations

from chalicelib.core.errors import Conflict


class NoApprovers(Conflict):
    title = "There are no approvers yet"


class NotRegistered(Conflict):
    title = "Somebody has no passkey yet"


class SetOver(Conflict):
    title = "This set of approvers is not the next one"


class WarrantOver(Conflict):
    title = "The warrant does not allow this any more"
