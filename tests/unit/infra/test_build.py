"""The package as it is deployed: whole, light, the same from the same source, refused where it would lose messages."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.build import ROOT, SERVICES, BuildError, build, check

STAGES = ("dev", "staging", "prod")
UNCHECKED_HASH = 1
"""The flags of bytecode that is never checked against its source (PEP 552)."""
UNFINISHED = ROOT / ".chalice" / "deployments" / "unfinished-python3.11.zip"
MIB = 2**20
ALERTS = ("AlertsAPI", "AlertEvents", "AlertTimers", "AlertPages", "AlertTexts", "AlertSweep")
"""The functions that alerts hang on."""
ACCOUNTS_CONCURRENCY = 1000
"""What AWS grants an account."""


def run_alone(script: str, folder: Path) -> str:
    """Run a script in a fresh interpreter that sees nothing but its standard library and this folder."""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {script}"]
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "eu-west-3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def functions(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line.partition("==")[0] for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def stages(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The other stages, built by the command, each with another seed for hashes, after a build that was killed."""
    folder = tmp_path_factory.mktemp("stages")
    UNFINISHED.write_bytes(b"PK")

    def command(number: int, stage: str) -> Path:
        options = ["--stage", stage, "--out", str(folder / stage)]
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "infra.build", *options],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        return folder / stage

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(STAGES, pool.map(command, range(len(STAGES)), STAGES), strict=True))


class TestPackage:
    def test_every_source_has_bytecode_that_is_never_checked(self, unpacked: Path) -> None:
        sources = [path for path in unpacked.rglob("*.py") if "." not in path.stem]
        assert len(sources) > 500
        for source in sources:
            bytecode = Path(importlib.util.cache_from_source(str(source))).read_bytes()
            assert int.from_bytes(bytecode[4:8], "little") == UNCHECKED_HASH, source
            assert bytecode[8:16] == importlib.util.source_hash(source.read_bytes()), source

    def test_only_the_services_in_use_are_described(self, unpacked: Path) -> None:
        data = unpacked / "botocore" / "data"
        assert {path.name for path in data.iterdir() if path.is_dir()} == set(SERVICES)
        assert {"endpoints.json", "partitions.json", "_retry.json"} <= {path.name for path in data.iterdir()}

    def test_every_client_that_the_code_asks_for_can_be_made(self, unpacked: Path) -> None:
        sources = {path: path.read_text() for path in (unpacked / "chalicelib").rglob("*.py")}
        calls = r"\.(?:client|call_once)\(\s*\"([\w-]+)\""
        asked = {name for text in sources.values() for name in re.findall(calls, text)}
        assert {"kms", "s3", "secretsmanager", "sesv2", "sns", "sqs"} <= asked <= set(SERVICES)
        makers = {path.name for path, text in sources.items() if re.search(r"create_client|import boto3", text)}
        assert makers == {"aws.py"}
        script = "from chalicelib.core import aws; [aws.client(name) for name in sys.argv[1:]]"
        run_alone(script.replace("sys.argv[1:]", repr(sorted(asked | {"dynamodb"}))), unpacked)

    def test_every_handler_is_importable_from_the_package_alone(
        self, unpacked: Path, template: Mapping[str, Any]
    ) -> None:
        handlers = [properties["Handler"].rpartition(".") for properties in functions(template).values()]
        assert len(handlers) > 3
        with ThreadPoolExecutor(2) as pool:
            checks = [f"import {module}; assert callable({module}.{name})" for module, _, name in handlers]
            list(pool.map(lambda script: run_alone(script, unpacked), checks))

    @pytest.mark.parametrize("requirement", requirements())
    def test_every_requirement_is_in_the_package(self, unpacked: Path, requirement: str) -> None:
        found = list(importlib.metadata.distributions(name=requirement, path=[str(unpacked)]))
        assert [one.version for one in found] == [importlib.metadata.version(requirement)]

    def test_compiled_libraries_load(self, unpacked: Path) -> None:
        loaded = run_alone(
            "import msgspec, _cffi_backend, cryptography.hazmat.bindings._rust, asyncssh, http_sf, segno, stdnum;"
            "print(*{m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)}, sep='\\n')",
            unpacked,
        )
        foreign = {path for path in loaded.split() if "site-packages" in path}
        assert not foreign

    def test_it_stays_small(self, built: Path) -> None:
        assert (built / "deployment.zip").stat().st_size < 20 * MIB


class TestStages:
    @pytest.mark.parametrize("stage", STAGES)
    def test_the_same_source_gives_the_same_bytes(self, built: Path, stages: Mapping[str, Path], stage: str) -> None:
        assert (stages[stage] / "deployment.zip").read_bytes() == (built / "deployment.zip").read_bytes()

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_stage_has_every_function_with_a_role_of_its_own(
        self, template: Mapping[str, Any], stages: Mapping[str, Path], stage: str
    ) -> None:
        found = functions(json.loads((stages[stage] / "template.json").read_text()))
        roles = {json.dumps(properties["Role"]) for properties in found.values()}
        told = {properties["Environment"]["Variables"]["FACTEO_STAGE"] for properties in found.values()}
        assert found.keys() == functions(template).keys()
        assert len(roles) == len(found)
        assert told == {stage}

    @pytest.mark.parametrize("stage", STAGES)
    def test_alerts_run_whatever_else_uses_up_the_account(self, stages: Mapping[str, Path], stage: str) -> None:
        found = functions(json.loads((stages[stage] / "template.json").read_text()))
        of_alerts = {
            name: each.get("ReservedConcurrentExecutions", 0) for name, each in found.items() if "Alert" in name
        }
        assert of_alerts.keys() == set(ALERTS)
        assert min(of_alerts.values()) > 1
        assert sum(of_alerts.values()) < ACCOUNTS_CONCURRENCY / 2
        assert "ReservedConcurrentExecutions" not in found["APIHandler"]

    @pytest.mark.parametrize("stage", STAGES)
    def test_the_template_is_one_that_cloudformation_takes(self, stages: Mapping[str, Path], stage: str) -> None:
        """By cfn-lint. It found that chalice names a log group after a function that does not exist."""
        command = [str(Path(sys.executable).with_name("cfn-lint")), str(stages[stage] / "template.json")]
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        assert (found.returncode, found.stdout) == (0, "")

    def test_a_stage_that_nobody_configured_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="no stage 'prdo' among: local, dev, staging, prod"):
            build("prdo", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_the_package_that_a_killed_build_left_unfinished_is_thrown_away(self, stages: Mapping[str, Path]) -> None:
        """Chalice would take it up as the package that it made before."""
        assert stages.keys() == set(STAGES)
        assert not UNFINISHED.exists()


class TestCheck:
    def test_what_is_built_passes(self, template: dict[str, Any]) -> None:
        check(template)

    def test_a_misspelt_resource_is_refused(self, template: dict[str, Any]) -> None:
        template["Resources"]["Relai"] = {"Properties": {"FunctionName": "relay"}}
        with pytest.raises(BuildError, match=r"Relai has no Type: is its name misspelt in resources\.yaml"):
            check(template)

    def test_a_misspelt_event_source_is_refused(self, template: dict[str, Any]) -> None:
        events = template["Resources"]["Tracking"]["Properties"]["Events"]
        events["TrakcingSqsEventSource"] = {"Properties": {"MaximumBatchingWindowInSeconds": 5}}
        with pytest.raises(BuildError, match="TrakcingSqsEventSource of Tracking has no Type"):
            check(template)

    @pytest.mark.parametrize(
        ("function", "source"),
        [("Tracking", "TrackingSqsEventSource"), ("Relay", "RelayDynamodbEventSource")],
    )
    @pytest.mark.parametrize("types", [None, [], ["ReportBatchItemFailure"]])
    def test_a_source_that_does_not_report_failures_is_refused(
        self, template: dict[str, Any], function: str, source: str, types: list[str] | None
    ) -> None:
        properties = template["Resources"][function]["Properties"]["Events"][source]["Properties"]
        properties |= {"FunctionResponseTypes": types}
        with pytest.raises(BuildError, match=f"{source} of {function} does not report failed messages"):
            check(template)
