"""What goes wrong outside of the commands, in a sentence."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from botocore.exceptions import BotoCoreError, ClientError

from handset.transport import NoNetwork, Refused


@contextmanager
def told() -> Iterator[None]:
    """End the program with a sentence and exit status 1 if it is refused, or finds no file or no back office."""
    try:
        yield
    except urllib.error.HTTPError as refusal:
        raise SystemExit(f"{refusal.code} {_problem(refusal.read())}") from None
    except (Refused, ClientError) as refusal:
        raise SystemExit(str(refusal)) from None
    except TimeoutError as late:
        raise SystemExit(str(late)) from None
    except (urllib.error.URLError, ConnectionError, HTTPException, NoNetwork, BotoCoreError) as error:
        raise SystemExit(f"The back office cannot be reached ({error}). Is 'make run' still up?") from None
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


def _problem(body: bytes) -> str:
    try:
        problem = json.loads(body)
        return f"{problem['title']}: {problem['detail']}"
    except (ValueError, TypeError, KeyError):
        return body.decode(errors="replace")
