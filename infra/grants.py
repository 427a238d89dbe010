"""What each function may do, as a table; `python -m infra.grants` writes it as `.chalice/policy-<function>.json`.

A policy file is the whole policy of a function: chalice adds nothing to it, log and event-source rights included.
The documents land inside the CloudFormation template, so their ARNs may use its intrinsic functions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

POLICIES = Path(__file__).parent.parent / ".chalice"

READ = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
PUT = ("dynamodb:PutItem",)
WRITE = ("dynamodb:PutItem", "dynamodb:UpdateItem")
BATCH_WRITE = ("dynamodb:BatchWriteItem",)
"""A right of its own, beside those to put and delete."""
DELETE = ("dynamodb:DeleteItem",)

RECEIVE = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
SEND = ("sqs:SendMessage",)


class Grants(NamedTuple):
    """The rights of one function. Transactions are authorised by the rights of the items in them."""

    tables: Mapping[str, Sequence[str]] = {}
    queues: Mapping[str, Sequence[str]] = {}
    reads_stream: bool = False
    seals: bool = False
    opens: bool = False
    signs: bool = False
    bucket: Mapping[str, Sequence[str]] = {}
    secrets: Sequence[str] = ()


_JOURNAL = {"journal": (*READ, *PUT), "event-ids": (*READ, *PUT)}
_KEYRING = {"keyring": (*READ, *PUT)}

GRANTS: Mapping[str, Grants] = {
    "api_handler": Grants(
        tables={
            **_JOURNAL,
            **_KEYRING,
            "access": (*READ, *WRITE),
            "people": (*READ, *WRITE),
            "fleet": (*READ, *WRITE),
            "items": READ,
            "rounds": (*READ, *WRITE),
            "imports": READ,
        },
        seals=True,
        opens=True,
        signs=True,
    ),
    "relay": Grants(
        tables={"inbox": BATCH_WRITE},
        queues={"tracking": SEND, "sorting": SEND, "relay-failures": SEND},
        reads_stream=True,
    ),
    "sweep": Grants(
        tables={"journal": READ, "inbox": (*READ, *BATCH_WRITE), "progress": (*READ, *PUT)},
        queues={"tracking": SEND, "sorting": SEND},
    ),
    "erase": Grants(
        tables={"keyring": (*READ, *DELETE), "progress": (*READ, *PUT), "journal": PUT, "event-ids": PUT},
    ),
    "take_file": Grants(
        tables={**_JOURNAL, "imports": (*READ, *WRITE)},
        queues={"inbox": RECEIVE, "slices": SEND},
        bucket={"inbox/*": ("s3:GetObject", "s3:GetObjectVersion"), "rejects/*": ("s3:GetObject", "s3:PutObject")},
    ),
    "take_slice": Grants(
        tables={
            **_JOURNAL,
            **_KEYRING,
            "imports": (*READ, *WRITE),
            "items": (*READ, *PUT),
            "people": (*READ, *WRITE),
            "rounds": (*READ, *PUT),
        },
        queues={"slices": RECEIVE},
        seals=True,
        opens=True,
        bucket={"inbox/*": ("s3:GetObject", "s3:GetObjectVersion"), "rejects/*": ("s3:GetObject", "s3:PutObject")},
    ),
    "tracking": Grants(
        tables={"journal": READ, "items": READ, "inbox": (*READ, *PUT), "despatches": (*READ, *WRITE, *BATCH_WRITE)},
        queues={"tracking": RECEIVE},
    ),
    "despatch": Grants(
        tables={**_JOURNAL, "despatches": (*READ, *WRITE, *DELETE, *BATCH_WRITE)},
        secrets=("sftp",),
    ),
    "sorting": Grants(
        tables={"journal": READ, "event-ids": PUT, "keyring": READ, "rounds": (*READ, *PUT)},
        queues={"sorting": (*RECEIVE, *SEND)},
        opens=True,
    ),
}


def policy(function: str) -> dict[str, Any]:
    """The IAM policy document of a function."""
    return {"Version": "2012-10-17", "Statement": [*_logs(function), *_statements(GRANTS[function])]}


def stale() -> list[str]:
    """The names of policy files that differ from the table."""
    return [function for function in GRANTS if _text_of(_path(function)) != _text(function)]


def write() -> None:
    """Write every policy file."""
    for function in GRANTS:
        _path(function).write_text(_text(function))


def _statements(grants: Grants) -> list[dict[str, Any]]:
    statements = [_allow(actions, *_table(name)) for name, actions in grants.tables.items()]
    statements += [_allow(actions, _arn("sqs", f"facteo-${{Stage}}-{name}")) for name, actions in grants.queues.items()]
    statements += [
        _allow(actions, _sub(f"arn:${{AWS::Partition}}:s3:::facteo-${{Stage}}-inbox-${{AWS::AccountId}}/{prefix}"))
        for prefix, actions in grants.bucket.items()
    ]
    statements += [
        _allow(("secretsmanager:GetSecretValue",), _arn("secretsmanager", f"secret:facteo/${{Stage}}/{name}-??????"))
        for name in grants.secrets
    ]
    if grants.reads_stream:
        reading = (
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        )
        statements.append(_allow(reading, _arn("dynamodb", "table/facteo-${Stage}-journal/stream/*")))
    return statements + _key_statements(grants)


def _key_statements(grants: Grants) -> list[dict[str, Any]]:
    uses = {
        ("kms:Encrypt",): ("PersonalDataKey", grants.seals),
        ("kms:Decrypt",): ("PersonalDataKey", grants.opens),
        ("kms:GetPublicKey", "kms:Sign"): ("SigningKey", grants.signs),
    }
    return [_allow(actions, {"Fn::GetAtt": [key, "Arn"]}) for actions, (key, used) in uses.items() if used]


def _logs(function: str) -> list[dict[str, Any]]:
    group = f"log-group:/aws/lambda/facteo-${{Stage}}-{function}:*"
    return [_allow(("logs:CreateLogStream", "logs:PutLogEvents"), _arn("logs", group))]


def _table(name: str) -> list[dict[str, str]]:
    table = f"table/facteo-${{Stage}}-{name}"
    return [_arn("dynamodb", table), _arn("dynamodb", f"{table}/index/*")]


def _allow(actions: Sequence[str], *resources: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": sorted(set(actions)), "Resource": list(resources)}


def _arn(service: str, rest: str) -> dict[str, str]:
    return _sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}")


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def _path(function: str) -> Path:
    return POLICIES / f"policy-{function}.json"


def _text(function: str) -> str:
    return json.dumps(policy(function), indent=2) + "\n"


def _text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(f"stale policies, run 'python -m infra.grants': {', '.join(stale())}" if stale() else 0)
    write()
