"""Staff and systems of the local run: a user of the local identity provider for each role, and one system."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from handset.client import Handset
from infra.running import Run, session

ROLES = (
    "auditor",
    "building-manager",
    "carrier-support",
    "depot-manager",
    "dispatcher",
    "fleet-admin",
    "ops",
    "security-officer",
    "store-manager",
)
PASSWORD = "Facteo-2026!"  # noqa: S105 - of users that exist on this machine only


def make_users(running: Run) -> None:
    """A group and a user of its name for each role, responsible for every depot."""
    provider = _provider(running)
    for role in ROLES:
        try:
            provider.create_group(UserPoolId=running.user_pool, GroupName=role)
            provider.admin_create_user(
                UserPoolId=running.user_pool,
                Username=role,
                UserAttributes=[{"Name": "custom:scope", "Value": "*"}],
                MessageAction="SUPPRESS",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"GroupExistsException", "UsernameExistsException"}:
                raise
            continue
        provider.admin_set_user_password(UserPoolId=running.user_pool, Username=role, Password=PASSWORD, Permanent=True)
        provider.admin_add_user_to_group(UserPoolId=running.user_pool, Username=role, GroupName=role)


def token(running: Run, role: str) -> str:
    """The token of the user of that role."""
    answer = _provider(running).initiate_auth(
        ClientId=running.staff_client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": role, "PASSWORD": PASSWORD},
    )
    return str(answer["AuthenticationResult"]["IdToken"])


def system_token(running: Run) -> str:
    """The token of the tracking site (OAuth 2 client credentials)."""
    client = _provider(running).describe_user_pool_client(
        UserPoolId=running.user_pool, ClientId=running.tracking_client
    )["UserPoolClient"]
    form = {
        "grant_type": "client_credentials",
        "client_id": client["ClientId"],
        "client_secret": client["ClientSecret"],
        "scope": "facteo/tracking.read",
    }
    request = urllib.request.Request(  # noqa: S310 - the local cloud
        f"{running.endpoint}/oauth2/token", urllib.parse.urlencode(form).encode()
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(json.load(answer)["access_token"])


def call(running: Run, method: str, path: str, body: Any = None, *, bearer: str) -> Any:
    """Call the API with a token and give the answer's JSON. Raises urllib.error.HTTPError."""
    return json.loads(_answer(running, method, path, body, bearer) or b"null")


def find(running: Run, path: str, *, bearer: str) -> Any:
    """Get the JSON of something with a token; None if there is none. Raises urllib.error.HTTPError."""
    try:
        return call(running, "GET", path, bearer=bearer)
    except urllib.error.HTTPError as refusal:
        if refusal.code != HTTPStatus.NOT_FOUND:
            raise
        return None


def read(running: Run, path: str, *, bearer: str) -> str:
    """Get something with a token, as text. Raises urllib.error.HTTPError."""
    return _answer(running, "GET", path, None, bearer).decode()


def _answer(running: Run, method: str, path: str, body: Any, bearer: str) -> bytes:
    host = urllib.parse.urlsplit(running.url).netloc
    request = urllib.request.Request(
        f"http://{running.connect_to}{path}",
        json.dumps(body).encode() if body is not None else None,
        {"Host": host, "Authorization": f"Bearer {bearer}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def ticket(running: Run, carrier: str) -> dict[str, Any]:
    """A ticket for a carrier's handset."""
    bearer = token(running, "fleet-admin")
    made: dict[str, Any] = call(running, "POST", "/v1/enrolment-tickets", {"carrier": carrier}, bearer=bearer)
    return made


def enrol(running: Run, carrier: str, folder: Path) -> Handset:
    """A handset of this carrier, enrolled with a ticket of its own. Its serial number is from the folder's name."""
    content = ticket(running, carrier)["content"]
    return Handset.enrol(folder, content, serial=serial(folder.name), connect_to=running.connect_to)


def retire(running: Run, name: str) -> str | None:
    """Retire the handset that was enrolled in a folder of that name. Its device id, or None if there is none."""
    bearer = token(running, "fleet-admin")
    query = urllib.parse.urlencode({"serial": serial(name), "state": "enrolled"})
    devices = call(running, "GET", f"/v1/devices?{query}", bearer=bearer)["devices"]
    for device in devices:
        path = f"/v1/devices/{device['device']}/retirement"
        call(running, "POST", path, {"reason": "retired by hand"}, bearer=bearer)
    return str(devices[0]["device"]) if devices else None


def serial(name: str) -> str:
    return f"DEMO-{name}"


def _provider(running: Run) -> boto3.client:
    return session().client("cognito-idp", endpoint_url=running.endpoint)
