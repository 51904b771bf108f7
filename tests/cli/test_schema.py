"""Every record that is written has a JSON Schema, which says what the model says."""

import importlib
import json
import pkgutil
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

import headstart
from headstart.cli.main import app
from headstart.cli.schema import models, schema_of
from headstart.core.errors import UsageError
from headstart.core.record import Record
from headstart.dataset.episodes import Header


@pytest.mark.parametrize("name", models())
def test_a_schema_is_a_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


def every_record(model: type[BaseModel] = Record) -> set[type[BaseModel]]:
    return {model}.union(*(every_record(child) for child in model.__subclasses__()))


def test_every_record_with_a_schema_id_has_a_schema() -> None:
    for module in pkgutil.walk_packages(headstart.__path__, "headstart."):
        importlib.import_module(module.name)
    fields = [model.model_fields for model in every_record() if model.__module__.startswith("headstart.")]
    named = {of[key].default.split("/")[0] for of in fields for key in ("schema_id", "schema_") if key in of}
    assert named == models().keys()


def test_a_header_is_valid_by_its_schema_and_a_changed_one_is_not(header: Header) -> None:
    value = header.model_dump(mode="json")
    jsonschema.validate(value, schema_of("episodes"))
    for change in ({"seed": "7"}, {"policy_sha256": "b" * 63}, {"more": 1}, {"schema_id": "episodes/2"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value | change, schema_of("episodes"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: value[key] for key in value if key != "schema_id"}, schema_of("episodes"))


def test_the_command_prints_one_schema_or_all_names() -> None:
    printed: Any = json.loads(CliRunner().invoke(app, ["schema", "arm-runs"]).output)
    assert printed == schema_of("arm-runs")
    assert CliRunner().invoke(app, ["schema"]).output.split() == list(models())


def test_an_unknown_name_is_named_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match=r"no schema 'arm-run' \(did you mean 'arm-runs'\?\)"):
        schema_of("arm-run")
