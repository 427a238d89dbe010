"""The building pass as the back office gives it: asked for at the start of a shift, given back at its end.

What opens doors and what readers are brought is in the handset's wallet (`handset.passes`), network or not.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, Final

from handset import passes
from handset.client import Handset
from handset.passes import KEY_SET, STATUS_LIST, TIME
from handset.transport import NoNetwork

NEWS: Final = (
    (KEY_SET, "/v1/pass-keys", "key_set"),
    (TIME, "/v1/pass-time", "time"),
    (STATUS_LIST, "/v1/status-lists/0", "status_list"),
)
"""What readers are brought, where it is, and the member that holds it. The keys come first: the rest is by them."""


class BoundToAnother(Exception):  # noqa: N818
    """The pass is bound to a key that this handset does not have."""


class Badge:
    """The building pass of an enrolled handset."""

    def __init__(self, handset: Handset) -> None:
        self._handset, self._wallet = handset, handset.wallet

    def ask(self) -> datetime:
        """Until when the pass of today's round opens doors: without a network, the one that was given before.

        Raises Refused and BoundToAnother, and NoNetwork if there is none that is good still.
        """
        try:
            token = self._given("POST", "/v1/pass")
        except NoNetwork:
            token = self._wallet.day_pass or b""
            if not token or passes.expires_at(token) <= self._handset.now():
                raise
        else:
            self._wallet.keep(token)
        return passes.expires_at(token)

    def help(self) -> datetime:
        """Take the pass to help a colleague, to be shown next: until when it opens its one door.

        Raises NoNetwork, Refused and BoundToAnother.
        """
        token = self._given("GET", "/v1/pass/help")
        self._wallet.keep_help(token)
        return passes.expires_at(token)

    def give_back(self) -> None:
        """Give the day's pass back and forget it. Raises NoNetwork and Refused: then it stays."""
        self._handset.call("DELETE", "/v1/pass")
        self._wallet.keep(b"")

    def news(self) -> list[str]:
        """Fetch what readers do not have yet, and tell what is newer than before. Raises NoNetwork and Refused."""
        return [kind for kind, path, member in NEWS if self._fetched(kind, path, member)]

    def _given(self, method: str, path: str) -> bytes:
        token = base64.b64decode(self._handset.call(method, path).body["token"])
        if not _is_bound(token, self._handset.public_key):
            raise BoundToAnother
        return token

    def _fetched(self, kind: str, path: str, member: str) -> bool:
        tag = self._wallet.tag(kind)
        answer = self._handset.call("GET", path, headers={"If-None-Match": tag} if tag else {})
        if answer.body is None:
            return False
        return self._wallet.carry(kind, base64.b64decode(answer.body[member]), tag=answer.headers["etag"])


def _is_bound(token: bytes, jwk: dict[str, Any]) -> bool:
    """Whether a pass is bound to that key (RFC 8747): the compressed point is the key's x, and whether y is odd."""
    x, y = (base64.urlsafe_b64decode(jwk[part] + "=") for part in ("x", "y"))
    return passes.holder_of(token) == {1: 2, -1: 1, -2: x, -3: bool(y[-1] & 1)}
