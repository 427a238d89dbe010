"""What is deployed, as the repository says it: the template, chalice's configuration and the functions' policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

TABLE, QUEUE, BUCKET = "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket"


def template() -> dict[str, Any]:
    """The template that is merged into chalice's."""
    return dict(yaml.safe_load((ROOT / "infra" / "resources.yaml").read_text()))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by logical name."""
    found = template()["Resources"].items()
    return {name: resource["Properties"] for name, resource in found if resource.get("Type") == kind}


def short_name(given: Mapping[str, str]) -> str:
    """`journal` of the physical name `facteo-${Stage}-journal`."""
    return given["Fn::Sub"].removeprefix("facteo-${Stage}-")


def functions() -> dict[str, dict[str, Any]]:
    """What the template adds to each function, by the function's name: `api_handler`, `take_file`…"""
    added = [resource["Properties"] for resource in template()["Resources"].values() if "Type" not in resource]
    return {short_name(properties["FunctionName"]): properties for properties in added if "FunctionName" in properties}


def stages() -> dict[str, dict[str, Any]]:
    """Chalice's stages."""
    return dict(json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"])


def policy(function: str) -> list[dict[str, Any]]:
    """The statements of a function's policy."""
    return list(json.loads((ROOT / ".chalice" / f"policy-{function}.json").read_text())["Statement"])
