"""The JSON Schemas in the tree are those of the models, and say what the models say."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

import headstart.records
from headstart.records import export
from headstart.records.episodes import Header
from headstart.records.model import Record


def schema_of(schema_id: str) -> Any:
    name, major = schema_id.split("/")
    return json.loads((export.DIRECTORY / f"{name}.v{major}.json").read_text())


def test_the_exported_schemas_are_the_committed_ones(tmp_path: Path) -> None:
    paths = export.export_schemas(tmp_path)

    committed = {path.name: path.read_bytes() for path in export.DIRECTORY.glob("*.json")}
    assert {path.name: path.read_bytes() for path in paths} == committed


@pytest.mark.parametrize("schema_id", export.RECORDS)
def test_an_exported_schema_is_a_json_schema(schema_id: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(schema_id))


def import_all() -> None:
    for module in pkgutil.iter_modules(headstart.records.__path__, "headstart.records."):
        importlib.import_module(module.name)


def every_record(model: type[BaseModel] = Record) -> set[type[BaseModel]]:
    return {model}.union(*(every_record(child) for child in model.__subclasses__()))


def test_every_record_of_this_room_with_a_schema_id_is_exported() -> None:
    import_all()

    named = {
        model.model_fields["schema_id"].default
        for model in every_record()
        if "schema_id" in model.model_fields and model.__module__.startswith("headstart.records.")
    }

    assert named - {"telemetry/2"} == set(export.RECORDS) - {"telemetry/2", "episode-index/1"}


def test_a_header_is_valid_by_its_schema_and_a_changed_one_is_not(header: Header) -> None:
    value = header.model_dump(mode="json")

    jsonschema.validate(value, schema_of("episodes/1"))

    for change in ({"seed": "7"}, {"policy_sha256": "b" * 63}, {"more": 1}, {"schema_id": "episodes/2"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value | change, schema_of("episodes/1"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: value[key] for key in value if key != "schema_id"}, schema_of("episodes/1"))
