"""Build what is deployed: chalice's package with the merged template, its zip made fit for a cold start.

`python -m infra.build --stage local` leaves `template.json` and `deployment.zip` in `build/local`.

Chalice packs sources only, and `/var/task` cannot be written: each cold start would compile everything. So each source
gets hash-based bytecode that is never checked against it (PEP 552), which is right because neither changes any more.
Botocore's descriptions of services that are not used are left out. Times and order are fixed: the same input gives
the same bytes.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

from infra import apart, memory, watch

ROOT = Path(__file__).parent.parent
CONFIGURATION = ROOT / ".chalice" / "config.json"
TEMPLATE = ROOT / "infra" / "resources.yaml"

SERVICES = (
    "dynamodb",
    "dynamodbstreams",
    "kms",
    "s3",
    "secretsmanager",
    "sesv2",
    "sns",
    "sqs",
    "sso",
    "sso-oidc",
    "sts",
)
"""The AWS services whose botocore descriptions are packed; sts and sso are what finding credentials may need."""

_PACKAGES = ROOT / ".chalice" / "deployments"
_BOTOCORE = Path("botocore") / "data"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o644 << 16


class BuildError(Exception):
    """The package or its template is not what may be deployed."""


def build(stage: str, out: Path) -> Path:
    """Build a stage into the folder `out`.

    Raises BuildError for a stage that is not in chalice's configuration, for which chalice would make up settings and
    rights, and for a template that would fail or lose messages.
    """
    if stage not in (stages := json.loads(CONFIGURATION.read_text())["stages"]):
        raise BuildError(f"There is no stage '{stage}' among: {', '.join(stages)}.")
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=memory.place()) as folder:
        packaged = Path(folder) / "packaged"
        _package(stage, packaged, _as_json(TEMPLATE, Path(folder)))
        template = json.loads((packaged / "sam.json").read_text())
        apart.set_apart(template, stages[stage]["lambda_functions"], CONFIGURATION.parent)
        check(template)
        template["Resources"] |= watch.watched(template)
        out.mkdir(parents=True)
        (out / "template.json").write_text(json.dumps(template, indent=1, sort_keys=True) + "\n")
        repack(packaged / "deployment.zip", out / "deployment.zip", Path(folder) / "unpacked")
    return out


def check(template: dict[str, Any]) -> None:
    """Raise BuildError for a resource or event source without a type, which is what a misspelt name becomes, or for a
    queue or stream whose failures would not be reported.
    """
    for name, resource in template["Resources"].items():
        if "Type" not in resource:
            raise BuildError(f"{name} has no Type: is its name misspelt in {TEMPLATE.name}?")
        for source, event in resource.get("Properties", {}).get("Events", {}).items():
            if "Type" not in event:
                raise BuildError(f"{source} of {name} has no Type: is its name misspelt in {TEMPLATE.name}?")
            reports = event["Properties"].get("FunctionResponseTypes") == ["ReportBatchItemFailures"]
            if event["Type"] in {"SQS", "DynamoDB"} and not reports:
                raise BuildError(f"{source} of {name} does not report failed messages: they would be deleted.")


def _as_json(template: Path, folder: Path) -> Path:
    """Chalice answers in the format of what it merges."""
    merged = folder / "resources.json"
    merged.write_text(json.dumps(yaml.safe_load(template.read_text())))
    return merged


def _package(stage: str, out: Path, merged: Path) -> None:
    """Run chalice itself: ops know what it does, and its configuration is ours.

    It writes the packages that it keeps in place: one build at a time, and what a killed one left is no package.
    """
    chalice = [str(Path(sys.executable).with_name("chalice")), "package"]
    options = ["--stage", stage, "--template-format", "json", "--merge-template", str(merged), str(out)]
    environment = {**os.environ, "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", "eu-west-3")}
    _PACKAGES.mkdir(exist_ok=True)
    with (_PACKAGES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package in _PACKAGES.glob("*.zip"):
            if not zipfile.is_zipfile(package):
                package.unlink()
        done = subprocess.run(
            [*chalice, *options], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise BuildError(f"chalice package failed:\n{done.stdout}{done.stderr}")


def repack(source: Path, target: Path, folder: Path) -> None:
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)
    _trim(folder / _BOTOCORE)
    _compile(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), _EPOCH)
            entry.external_attr, entry.compress_type = _FILE_MODE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def _trim(data: Path) -> None:
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)


def _compile(folder: Path) -> None:
    """Bytecode for every source, with paths as on Lambda.

    By a process of its own: what marshal writes hangs on which strings the process holds already.
    """
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    options = ["-qq", "-r", "20", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/var/task"]
    command = [sys.executable, "-m", "compileall", *options, str(folder)]
    subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, check=False)  # what is missing is told below
    sources = set(folder.rglob("*.py"))
    compiled = {path.parent.parent / f"{path.name.split('.')[0]}.py" for path in folder.rglob("*.pyc")}
    if missing := {path for path in sources - compiled if "." not in path.stem}:
        raise BuildError(f"no bytecode for {', '.join(sorted(str(path.relative_to(folder)) for path in missing))}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Build the package of a stage.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    try:
        out = build(arguments.stage, arguments.out or ROOT / "build" / arguments.stage)
    except BuildError as error:
        sys.exit(str(error))
    print(f"{out / 'deployment.zip'}: {(out / 'deployment.zip').stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
