"""The demo's data: users, a small depot's files and an item, taken by the real importer. Loaded once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from botocore.exceptions import ClientError

from demo import alerts, approvers, staff
from infra.running import Run, session

DATA = Path(__file__).parent / "data"
KINDS = ("zones", "depots", "carriers", "clients", "sorting-plan")
"""In the order in which one refers to the other."""

ROUNDS = (("C1001", "75015A", "T12"), ("C1002", "75015A", "T13"), ("C2001", "92130B", "T01"))
SHIFT = ("00:00", "23:59")
"""The whole day: a pass opens doors during the shift, and the demo is tried at any hour."""
SECTORS = {("75015A", "T12"): "75115S12", ("75015A", "T13"): "75115S13", ("92130B", "T01"): "92040S01"}
"""Depot and route → the sector whose doors the passes of the round open."""
DUTY_DAYS = 31

ITEM = "9V00000100014"
"""An item that lies on the round of C1001 from the start."""

_SCHEDULED = {
    "version": "0",
    "id": "0",
    "detail-type": "Scheduled Event",
    "source": "demo.seed",
    "account": "000000000000",
    "time": "2026-11-27T00:00:00Z",
    "region": "eu-west-3",
    "resources": [],
    "detail": {},
}
"""What a schedule tells its function, which looks at nothing of it."""

_WAIT_SECONDS = 120
_LOOK_EVERY_SECONDS = 0.5

ResultT = TypeVar("ResultT")


def seed(running: Run) -> None:
    """Load what is not there yet: users, people and places, the sorting plan, an item, duties from today on.

    There are two approvers of wipes, whom every handset knows that is enrolled from now on. The zone also gets a policy
    that says whom an SOS calls, and each round the sector whose doors its passes open. What readers go by is published
    each minute: here at once, so that nobody has to wait for the first one.
    """
    staff.make_users(running)
    today = datetime.now(ZoneInfo("Europe/Paris")).date()
    files = [(kind, f"demo-{kind}.csv", (DATA / f"{kind}.csv").read_bytes()) for kind in KINDS]
    files.append(("duties", f"demo-duties-{today:%Y%m%d}.csv", duties(today)))
    files.append(("announcements", "demo-announcements.txt", announcement(today)))
    for kind, name, content in files:
        if not _is_there(running, f"inbox/{kind}/{name}"):
            print(f"Importing {name} ...", flush=True)
            drop(running, kind, name, content)
            wait_for_import(running, kind, name)
    alerts.seed_policy(running)
    approvers.seed(running)
    _seed_perimeters(running)
    _publish_passes(running)


def drop(running: Run, kind: str, name: str, content: bytes) -> None:
    """Put a file into the inbox, as a legacy system does."""
    _s3(running).put_object(Bucket=running.bucket, Key=f"inbox/{kind}/{name}", Body=content)


def fetch(running: Run, key: str) -> bytes:
    """A file of the bucket."""
    content: bytes = _s3(running).get_object(Bucket=running.bucket, Key=key)["Body"].read()
    return content


def wait_for_import(running: Run, kind: str, name: str) -> dict[str, Any]:
    """The import of that file, once it has ended."""
    bearer = staff.token(running, "ops")

    def ended() -> dict[str, Any] | None:
        imports = staff.call(running, "GET", "/v1/imports", bearer=bearer)["imports"]
        found = [one for one in imports if one["key"] == f"inbox/{kind}/{name}" and one["state"] != "under-way"]
        return found[0] if found else None

    return wait_for(ended, f"the import of {name}")


def wait_for(look: Callable[[], ResultT | None], what: str, seconds: float = _WAIT_SECONDS) -> ResultT:
    """What `look` finds, asked again and again. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(_LOOK_EVERY_SECONDS)
    raise TimeoutError(f"{what} did not happen within {seconds:.0f} s; see .local/cloud/cloud.log")


def duties(first: date) -> bytes:
    """The roster: each demo carrier on their round, every day of the coming month."""
    days = [first + timedelta(days=number) for number in range(DUTY_DAYS)]
    starts, ends = SHIFT
    lines = [f"{carrier};{day};{depot};{route};{starts};{ends}" for day in days for carrier, depot, route in ROUNDS]
    return "\n".join(["carrier;day;depot;route;starts;ends", *lines, ""]).encode()


def announcement(day: date) -> bytes:
    """An announcement file 02.00 with one item, handed over on that day by another client than the demo's."""
    header = f"BBB001;1;964744;{day:%Y%m%d}0700;{day:%Y%m%d}0000;02.00;;ESSAI"
    item = (
        f"DDD001;9V;{ITEM[2:12]};1000;75015;0;;0;;O;N;MME`Rose`LAMBERT;;;;12 RUE LECOURBE;;75015;PARIS;"
        "REF-1;;;;;;FR;;;;;;;;0611111111;;;;"
    )
    return "\r\n".join([header, item, ""]).encode("iso-8859-1")


def _seed_perimeters(running: Run) -> None:
    bearer = staff.token(running, "depot-manager")
    for (depot, route), sector in SECTORS.items():
        path = f"/v1/pass-perimeters/{depot}/{route}"
        if staff.find(running, path, bearer=bearer) is None:
            staff.call(running, "PUT", path, {"service": 1, "sector": sector}, bearer=bearer)


def _publish_passes(running: Run) -> None:
    client = session().client("lambda", endpoint_url=running.endpoint)
    answer = client.invoke(FunctionName="facteo-local-publish_passes", Payload=json.dumps(_SCHEDULED).encode())
    if "FunctionError" in answer:
        raise RuntimeError(answer["Payload"].read().decode())


def _is_there(running: Run, key: str) -> bool:
    try:
        _s3(running).head_object(Bucket=running.bucket, Key=key)
    except ClientError:
        return False
    return True


def _s3(running: Run) -> Any:
    return session().client("s3", endpoint_url=running.endpoint)
