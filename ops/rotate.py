"""`ops rotate-pass-keys`: other keys sign building passes from now on. Nobody has to visit a building for that."""

from __future__ import annotations

import getpass

from chalicelib.core.errors import NotFound
from chalicelib.passes import keys


def run(dropped: list[str]) -> None:
    """Drop issuing keys (2 bytes in hex; all of them if none is named) and put new ones in their places.

    Raises SystemExit for a key that is not there.
    """
    try:
        ring = keys.rotate(dropped or [key.kid for key in keys.kept_up().keys], by=f"ops/{getpass.getuser()}")
    except NotFound as error:
        raise SystemExit(str(error)) from None
    for key in ring.keys:
        print(f"{key.kid}  signs from {key.not_before:%Y-%m-%d} to {key.not_after:%Y-%m-%d}")
    print(f"Set {ring.sequence} is published. What other keys signed is worthless at each reader that it reaches.")
