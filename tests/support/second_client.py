"""The second client: a handset in another language, which follows docs/protocol alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).parents[1] / "protocol" / "client.mjs"
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="there is no 'node' on this machine; the second client needs it")


def run(*arguments: str) -> Any:
    """What the client prints."""
    done = subprocess.run([str(NODE), str(CLIENT), *arguments], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
