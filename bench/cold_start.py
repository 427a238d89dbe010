"""Cold starts: module import and first client, in a fresh interpreter that sees nothing but the unpacked package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.turns import Compared, compared
from infra import apart, build
from infra.build import ROOT

BARE = ROOT / "bench" / "bare"
TURNS = 25
API_BOUND, WORKER_BOUND = 1.6, 1.3

MODULES: Mapping[str, str] = {
    apart.API_HANDLER: "app",
    **{own.name: own.module for own in apart.APART},
    "alert_events": "chalicelib.alerts.workers",
    "alert_timers": "chalicelib.alerts.workers",
    "alert_pages": "chalicelib.alerts.workers",
    "alert_texts": "chalicelib.alerts.workers",
    "alert_sweep": "chalicelib.alerts.workers",
    "relay": "chalicelib.connectors.relay.workers",
    "readmit": "chalicelib.connectors.relay.workers",
    "sweep": "chalicelib.connectors.relay.workers",
    "take_file": "chalicelib.connectors.importer.workers",
    "take_slice": "chalicelib.connectors.importer.workers",
    "tracking": "chalicelib.connectors.tracking.workers",
    "despatch": "chalicelib.connectors.tracking.workers",
    "sorting": "chalicelib.rounds.workers",
    "judging": "chalicelib.judging.workers",
    "pass_events": "chalicelib.passes.workers",
    "pass_entries": "chalicelib.passes.workers",
    "publish_passes": "chalicelib.passes.workers",
    "pair_entries": "chalicelib.passes.workers",
    "settle_fleet": "chalicelib.fleet.workers",
    "erase": "chalicelib.erasure.workers",
}
"""Function → the module that Lambda imports for it."""

APIS = frozenset({"app", *(own.module for own in apart.APART)})
"""Of these modules, those that serve HTTP."""

RARE: Mapping[str, str] = {
    "judging, first handing over": "chalicelib.judging.workers;chalicelib.signatures.judging",
    "despatch, first file (SFTP)": "chalicelib.connectors.tracking.workers;asyncssh",
    "api_handler, first staff token": "app;joserfc.jwt",
    "fleet_api, first ticket": "chalicelib.fleet.entry;segno",
    "fleet_api, first approval": "chalicelib.fleet.entry;webauthn",
}
"""What is loaded at its first use, and by whom."""

SCRIPT = """
import sys, time
sys.path = [sys.argv[1], *[path for path in sys.path if "site-packages" not in path]]
begun = time.process_time()
import importlib
for name in sys.argv[2].split(";"):
    module = importlib.import_module(name)
{client}
print(time.process_time() - begun)
"""
OURS = SCRIPT.format(client="from chalicelib.core.table import shared_connection; shared_connection().client")
THEIRS = SCRIPT.format(client="module.client()")


class Ratio(NamedTuple):
    """A figure: the functions measured, and what the module that they share costs."""

    name: str
    cost: Compared
    bound: float | None


def measure(folder: Path) -> list[Ratio]:
    """Each module beside the bare function, by turns."""
    bare, ours = _unpacked_bare(folder), _unpacked(build.build("local", folder / "ours") / "deployment.zip", folder)

    def compare(modules: str) -> Compared:
        return compared([(_seconds(THEIRS, bare, "app"), _seconds(OURS, ours, modules)) for _ in range(TURNS)])

    bounded = [
        Ratio(", ".join(functions), compare(module), API_BOUND if module in APIS else WORKER_BOUND)
        for module, functions in _by_module().items()
    ]
    return [*bounded, *(Ratio(name, compare(modules), None) for name, modules in RARE.items())]


def _by_module() -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for function, module in MODULES.items():
        found.setdefault(module, []).append(function)
    return found


def _seconds(script: str, root: Path, modules: str) -> float:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "FACTEO_STAGE": "bench",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
    }
    command = [sys.executable, "-I", "-S", "-c", script, str(root), modules]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _unpacked(package: Path, folder: Path) -> Path:
    root = folder / f"unpacked-{package.parent.name}"
    with zipfile.ZipFile(package) as archive:
        archive.extractall(root)
    return root


def _unpacked_bare(folder: Path) -> Path:
    """The bare function, packaged by chalice and by the same step as ours."""
    project, packaged = folder / "project", folder / "packaged"
    shutil.copytree(BARE, project)
    pinned = (ROOT / "requirements.txt").read_text().splitlines()
    needed = ("botocore", "jmespath", "python-dateutil", "six", "urllib3")
    (project / "requirements.txt").write_text("\n".join(line for line in pinned if line.startswith(needed)) + "\n")
    command = [str(Path(sys.executable).with_name("chalice")), "package", "--stage", "bare", str(packaged)]
    environment = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-3"}
    subprocess.run(command, cwd=project, env=environment, capture_output=True, check=True)
    target = folder / "bare" / "deployment.zip"
    target.parent.mkdir()
    build.repack(packaged / "deployment.zip", target, folder / "repacked")
    return _unpacked(target, folder)
