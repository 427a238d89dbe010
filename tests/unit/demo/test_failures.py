"""What goes wrong outside of the commands is a sentence, not a traceback."""

from __future__ import annotations

import io
import re
import urllib.error
from email.message import Message
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from demo import failures
from handset.transport import NoNetwork, Refused

PROBLEM = b'{"title": "There is no such thing", "detail": "There is no carrier/C9."}'


def answered(body: bytes) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("http://api.facteo.test", 404, "Not Found", Message(), io.BytesIO(body))


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (answered(PROBLEM), "404 There is no such thing: There is no carrier/C9."),
        (answered(b"<html>"), "404 <html>"),
        (Refused(409, {"title": "No", "detail": "Not now."}), "409 No: Not now."),
        (ClientError({"Error": {"Code": "NoSuchBucket", "Message": "m"}}, "PutObject"), "NoSuchBucket"),
        (TimeoutError("the import did not happen"), "the import did not happen"),
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "Is 'make run' still up?"),
        (ConnectionResetError(104, "Connection reset by peer"), "Is 'make run' still up?"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "Is 'make run' still up?"),
        (NoNetwork("the back office answered 503"), "the back office answered 503"),
    ],
)
def test_it_is_told_in_a_sentence(failure: Exception, told: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(told)), failures.told():
        raise failure


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nothing\.csv: No such file or directory"), failures.told():
        (tmp_path / "nothing.csv").read_bytes()
