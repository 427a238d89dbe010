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

GET, BATCH_GET, QUERY = "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"
PUT, UPDATE, DELETE = "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"
CHECK = "dynamodb:ConditionCheckItem"
BATCH_WRITE = "dynamodb:BatchWriteItem"
"""A right of its own, beside those to put and delete."""

RECEIVE = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
SEND = ("sqs:SendMessage",)


class Grants(NamedTuple):
    """The rights of one function. Transactions are authorised by the rights of the items in them.

    `indexes` are queried, as `<table>/<index>`: a right on a table is none on its indexes. `notifies` are topics;
    `texts` go to any phone number, `mails` come from the stack's sender only.
    """

    tables: Mapping[str, Sequence[str]] = {}
    indexes: Sequence[str] = ()
    queues: Mapping[str, Sequence[str]] = {}
    reads_stream: bool = False
    seals: bool = False
    opens: bool = False
    signs: bool = False
    opens_pass_keys: bool = False
    makes_pass_keys: bool = False
    bucket: Mapping[str, Sequence[str]] = {}
    secrets: Sequence[str] = ()
    notifies: Sequence[str] = ()
    texts: bool = False
    mails: bool = False
    pushes: bool = False
    registers_pushes: bool = False


_APPEND = {"journal": (PUT,), "event-ids": (PUT,)}

_OF_HANDSETS = {"tracking": SEND, "sorting": SEND, "judging": SEND, "entries": SEND}
"""The queues of those who take what handsets send."""
_CONSUMERS = {**_OF_HANDSETS, "passes": SEND, "readmissions": SEND}

_PUSH_APPLICATION, _PUSH_ENDPOINTS = "app/GCM/facteo-${Stage}", "endpoint/GCM/facteo-${Stage}/*"

_TICKS = Grants(
    tables={
        **_APPEND,
        "keyring": (GET, BATCH_GET),
        "access": (BATCH_GET,),
        "people": (GET,),
        "alerts": (GET, BATCH_GET, PUT),
        "alert-lines": (QUERY, PUT, DELETE),
    },
    queues={"pages": SEND, "alert-timers": SEND},
    opens=True,
)
"""What whoever works off what is due for an alert may do."""

GRANTS: Mapping[str, Grants] = {
    "api_handler": Grants(
        tables={
            "journal": (BATCH_GET, QUERY, PUT),
            "event-ids": (BATCH_GET, PUT),
            "keyring": (GET, BATCH_GET, PUT),
            "access": (GET, BATCH_GET, PUT, UPDATE),
            "people": (GET, BATCH_GET, QUERY, PUT, UPDATE),
            "rounds": (GET, QUERY, PUT),
            "imports": (GET, QUERY),
            "items": (BATCH_GET,),
            "loss-lines": (PUT,),
            "proxies": (GET, BATCH_GET, PUT),
            "redirections": (GET, BATCH_GET, PUT, CHECK),
            "proofs": (GET, BATCH_GET),
            "attention": (GET, QUERY, DELETE),
            "passes": (GET,),
        },
        indexes=("imports/by-month", "people/by-group", "rounds/by-route"),
        seals=True,
        opens=True,
    ),
    "alerts_api": Grants(
        tables={
            **_APPEND,
            "journal": (QUERY, PUT),
            "keyring": (GET, BATCH_GET, PUT),
            "access": (GET, BATCH_GET),
            "people": (GET,),
            "alerts": (GET, BATCH_GET, PUT, DELETE),
            "alert-lines": (QUERY, PUT, DELETE),
        },
        seals=True,
        opens=True,
        registers_pushes=True,
    ),
    "passes_api": Grants(
        tables={
            **_APPEND,
            "access": (GET, BATCH_GET, CHECK),
            "alerts": (GET,),
            "fleet": (GET,),
            "journal": (QUERY, PUT),
            "keyring": (GET, BATCH_GET),
            "passes": (GET, BATCH_GET, PUT, DELETE),
            "pass-lines": (QUERY, PUT, DELETE),
            "people": (GET, CHECK),
        },
        opens=True,
        opens_pass_keys=True,
    ),
    "fleet_api": Grants(
        tables={
            "journal": (QUERY, PUT),
            "event-ids": (BATCH_GET, PUT),
            "access": (GET, BATCH_GET, PUT, UPDATE, CHECK),
            "attention": (PUT,),
            "check-ins": (BATCH_GET, UPDATE),
            "commands": (GET, BATCH_GET, PUT, CHECK),
            "fleet": (GET, BATCH_GET, QUERY, PUT, UPDATE),
            "keyring": (GET, BATCH_GET, PUT, DELETE),
            "loss-lines": (GET, QUERY, PUT),
            "people": (GET,),
            "policies": (GET, QUERY, PUT, UPDATE, DELETE, CHECK),
        },
        indexes=("commands/by-group", "fleet/by-group"),
        seals=True,
        opens=True,
        signs=True,
    ),
    "settle_fleet": Grants(
        tables={
            **_APPEND,
            "access": (BATCH_GET, UPDATE),
            "attention": (PUT,),
            "commands": (GET, BATCH_GET, PUT),
            "policies": (QUERY, PUT),
        },
        indexes=("commands/by-due",),
    ),
    "pass_events": Grants(
        tables={
            **_APPEND,
            "access": (GET,),
            "alerts": (GET,),
            "fleet": (QUERY,),
            "passes": (GET, PUT),
            "pass-lines": (QUERY, PUT, DELETE),
            "people": (GET,),
        },
        queues={"passes": RECEIVE},
        opens_pass_keys=True,
    ),
    "pass_entries": Grants(
        tables={
            "attention": (GET, PUT, DELETE),
            "journal": (BATCH_GET,),
            "keyring": (GET, BATCH_GET),
            "passes": (GET, PUT),
            "pass-lines": (QUERY, PUT, DELETE),
        },
        queues={"entries": RECEIVE},
        opens=True,
    ),
    "publish_passes": Grants(
        tables={**_APPEND, "passes": (GET, PUT), "pass-lines": (QUERY,)},
        opens_pass_keys=True,
        makes_pass_keys=True,
    ),
    "pair_entries": Grants(
        tables={
            "attention": (PUT,),
            "journal": (BATCH_GET,),
            "keyring": (GET, BATCH_GET),
            "passes": (GET, PUT),
            "pass-lines": (QUERY, DELETE),
        },
        opens=True,
    ),
    "alert_events": _TICKS._replace(queues={**_TICKS.queues, "alert-failures": SEND}, reads_stream=True),
    "alert_timers": _TICKS._replace(queues={**_TICKS.queues, "alert-timers": (*RECEIVE, *SEND)}),
    "alert_sweep": _TICKS._replace(indexes=("alerts/by-due",)),
    "alert_pages": _TICKS._replace(
        tables={
            **_APPEND,
            "keyring": (GET, BATCH_GET),
            "access": (BATCH_GET,),
            "alerts": (GET, BATCH_GET, PUT, CHECK),
            "alert-lines": (GET, QUERY, PUT),
        },
        queues={**_TICKS.queues, "pages": (*RECEIVE, *SEND)},
        notifies=("alerts",),
        texts=True,
        mails=True,
        pushes=True,
    ),
    "alert_texts": Grants(
        tables={
            **_APPEND,
            "keyring": (GET, BATCH_GET, PUT),
            "access": (GET,),
            "alerts": (GET, PUT),
        },
        queues={"alert-texts": RECEIVE},
        seals=True,
        opens=True,
    ),
    "relay": Grants(
        tables={"inbox": (BATCH_WRITE,)},
        queues={**_CONSUMERS, "relay-failures": SEND},
        reads_stream=True,
    ),
    "readmit": Grants(
        tables={
            "journal": (BATCH_GET, PUT),
            "event-ids": (BATCH_GET, PUT),
            "loss-lines": (QUERY, BATCH_WRITE),
        },
        queues={**_OF_HANDSETS, "readmissions": RECEIVE},
    ),
    "sweep": Grants(
        tables={"inbox": (BATCH_GET, BATCH_WRITE), "journal": (BATCH_GET,), "progress": (GET, PUT)},
        indexes=("journal/by-time",),
        queues=_CONSUMERS,
    ),
    "erase": Grants(
        tables={**_APPEND, "keyring": (DELETE,), "progress": (GET, PUT)},
        indexes=("keyring/by-destruction",),
    ),
    "take_file": Grants(
        tables={**_APPEND, "imports": (GET, QUERY, PUT, UPDATE)},
        queues={"inbox": RECEIVE, "slices": SEND},
        bucket={"inbox/*": ("s3:GetObjectVersion",), "rejects/*": ("s3:GetObject", "s3:PutObject")},
    ),
    "take_slice": Grants(
        tables={
            "journal": (BATCH_GET, PUT),
            "event-ids": (BATCH_GET, PUT),
            "keyring": (GET, BATCH_GET, PUT),
            "imports": (GET, QUERY, UPDATE),
            "items": (BATCH_GET, PUT),
            "passes": (BATCH_GET, PUT),
            "pass-lines": (PUT, DELETE),
            "people": (BATCH_GET, PUT, UPDATE),
            "rounds": (BATCH_GET, PUT),
        },
        queues={"slices": RECEIVE},
        seals=True,
        opens=True,
        bucket={"inbox/*": ("s3:GetObjectVersion",), "rejects/*": ("s3:GetObject", "s3:PutObject")},
    ),
    "tracking": Grants(
        tables={
            "journal": (QUERY,),
            "items": (BATCH_GET,),
            "inbox": (BATCH_GET, PUT),
            "despatches": (PUT, BATCH_WRITE),
        },
        queues={"tracking": RECEIVE},
    ),
    "despatch": Grants(
        tables={**_APPEND, "despatches": (GET, QUERY, PUT, UPDATE, DELETE, BATCH_WRITE)},
        secrets=("sftp",),
    ),
    "sorting": Grants(
        tables={"journal": (QUERY,), "keyring": (GET, BATCH_GET), "rounds": (GET, QUERY, PUT)},
        indexes=("rounds/by-route",),
        queues={"sorting": (*RECEIVE, *SEND)},
        opens=True,
    ),
    "judging": Grants(
        tables={
            **_APPEND,
            "journal": (QUERY, PUT),
            "keyring": (GET, BATCH_GET),
            "items": (BATCH_GET,),
            "people": (GET,),
            "inbox": (BATCH_GET, PUT),
            "proofs": (GET, PUT),
            "proxies": (GET, PUT),
            "attention": (GET, PUT, DELETE),
        },
        queues={"judging": RECEIVE},
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
    statements = [_allow(actions, _table(name)) for name, actions in grants.tables.items()]
    statements += [_allow((QUERY,), _table(name.replace("/", "/index/"))) for name in grants.indexes]
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
    return statements + _key_statements(grants) + _channel_statements(grants)


def _key_statements(grants: Grants) -> list[dict[str, Any]]:
    signing = ("kms:GetPublicKey", "kms:Sign")
    uses = (
        (("kms:Encrypt",), "PersonalDataKey", grants.seals),
        (("kms:Decrypt",), "PersonalDataKey", grants.opens),
        (signing, "SigningKey", grants.signs),
        (("kms:Decrypt",), "PassKeysKey", grants.opens_pass_keys),
        (("kms:Encrypt",), "PassKeysKey", grants.makes_pass_keys),
        (signing, "PassRootA", grants.makes_pass_keys),
        (("kms:GetPublicKey",), "PassRootB", grants.makes_pass_keys),
    )
    return [_allow(actions, {"Fn::GetAtt": [key, "Arn"]}) for actions, key, used in uses if used]


def _channel_statements(grants: Grants) -> list[dict[str, Any]]:
    """By which people are called. A phone number has no ARN: whatever is no topic or endpoint of SNS is one."""
    topics = [_arn("sns", f"facteo-${{Stage}}-{name}") for name in grants.notifies]
    statements = [_allow(("sns:Publish",), topic) for topic in topics]
    if grants.pushes:
        statements.append(_allow(("sns:Publish",), _arn("sns", _PUSH_ENDPOINTS)))
    if grants.texts:
        others = [_sub("arn:${AWS::Partition}:sns:*:*:*")]
        statements.append({"Effect": "Allow", "Action": ["sns:Publish"], "NotResource": others})
    if grants.mails:
        ours = {"Condition": {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}}
        statements.append({**_allow(("ses:SendEmail",), _arn("ses", "identity/*")), **ours})
    if grants.registers_pushes:
        statements.append(_allow(("sns:CreatePlatformEndpoint",), _arn("sns", _PUSH_APPLICATION)))
        statements.append(_allow(("sns:SetEndpointAttributes",), _arn("sns", _PUSH_ENDPOINTS)))
    return statements


def _logs(function: str) -> list[dict[str, Any]]:
    group = f"log-group:/aws/lambda/facteo-${{Stage}}-{function}:*"
    return [_allow(("logs:CreateLogStream", "logs:PutLogEvents"), _arn("logs", group))]


def _table(name: str) -> dict[str, str]:
    return _arn("dynamodb", f"table/facteo-${{Stage}}-{name}")


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
