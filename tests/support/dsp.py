"""The official JSON Schemas and examples of the Dataspace Protocol 2025-1, offline."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from tests.support.shared import shared

PREFIX: Final = "https://w3id.org/dspace/2025/1/"
FEATURES: Final = ("catalog", "common", "negotiation", "transfer")
# Spec issue 265: three schemas point to an anchor that does not exist.
DEFECT: Final = ("schema.json#definitions/", "schema.json#/definitions/")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return all schemas by their id, with the known defect corrected."""
    folder = shared("standards", "dsp-2025-1")
    texts = [
        path.read_text(encoding="utf-8").replace(*DEFECT)
        for feature in FEATURES
        for path in sorted((folder / feature).glob("*-schema.json"))
    ]
    return {schema["$id"]: schema for schema in map(json.loads, texts)}


@cache
def validator(schema_id: str) -> jsonschema_rs.Draft201909Validator:
    known = schemas()
    return jsonschema_rs.Draft201909Validator(
        known[schema_id], registry=jsonschema_rs.Registry(list(known.items())), offline=True
    )


@cache
def schema_ids() -> dict[str, str]:
    """Return the id of the schema of each ``@type``: the file is named after the type."""
    names = {
        "".join(
            part.capitalize() for part in Path(i).name.removesuffix("-schema.json").split("-")
        ): i
        for i in schemas()
    }
    return {name: i for name, i in names.items() if not i.startswith(PREFIX + "common/")}


def errors(message: dict[str, Any], kind: str | None = None) -> list[str]:
    """Return what the official schema of the message's type says against it."""
    found = validator(schema_ids()[kind or message["@type"]]).iter_errors(message)
    return [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in found]


def examples(feature: str) -> dict[str, dict[str, Any]]:
    """Return the official examples of a feature by file name."""
    folder = shared("standards", "dsp-2025-1", feature, "example")
    return {path.name: read(path) for path in sorted(folder.glob("*.json"))}
