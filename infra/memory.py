"""A place in memory for what is unpacked and thrown away again.

The package has 3,000 small files, and every function of the local cloud unpacks them for itself: that can take a disk
two seconds each time, and takes memory a third of one.
"""

from __future__ import annotations

import os
from pathlib import Path

_PLACE = Path("/dev/shm")  # noqa: S108 - whoever uses it makes a folder of their own in it
_ROOM = 4 * 2**30
"""Bytes. A local cloud takes a quarter to a third of them."""


def place(wanted: Path = _PLACE) -> Path | None:
    """The place, if this machine has it, with room, and lets programs run from it, which containers often do not.

    Linux has it by default and lets it grow to half of the memory, so only a machine with 8 GB or more is asked for it.
    """
    try:
        told = os.statvfs(wanted)
    except OSError:
        return None
    usable = not told.f_flag & os.ST_NOEXEC and told.f_bavail * told.f_frsize >= _ROOM
    return wanted if usable and os.access(wanted, os.W_OK) else None
