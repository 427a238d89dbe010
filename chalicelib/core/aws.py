"""One botocore session and one client for each service, made at first use with timeouts that fit a request."""

from __future__ import annotations

import functools
from typing import Any

import botocore.config
import botocore.session

_CONFIG = botocore.config.Config(
    connect_timeout=1, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)
_ONCE = botocore.config.Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1})


@functools.cache
def session() -> botocore.session.Session:
    """The process's only botocore session: a second one would cost its loading time again.

    botocore would work out a User-Agent anew for each call, which is a tenth of what a call costs; ours is given.
    """
    made = botocore.session.get_session()
    made.set_default_client_config(botocore.config.Config(user_agent="facteo"))
    return made


@functools.cache
def client(service: str) -> Any:
    """The process's client for a service, for example `client("sqs")`."""
    return session().create_client(service, config=_CONFIG)


@functools.cache
def call_once(service: str) -> Any:
    """The process's client for a service that tells no repeats, for example `call_once("sns")`: it never tries again.

    A call that was cut may have had its effect: only who calls can say whether a second one would be worse than none.
    """
    return session().create_client(service, config=_ONCE)


def reset() -> None:
    """Forget session and clients, so that a test starts from new ones."""
    session.cache_clear()
    client.cache_clear()
    call_once.cache_clear()
