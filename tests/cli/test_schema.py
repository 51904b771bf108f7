"""Every record that is written has a JSON Schema, which says what the model says."""

import importlib
import json
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from tests.many import drawn
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


ROOT = Path(__file__).parents[2]
DOCUMENTS = {  # name of a schema → what git holds of it
    "catalogue": "data/catalogue/queue_conflict.json",
    "experiment": "reports/evidence/cartpole.json",
    "tuning": "reports/tuning/queue_conflict/scratch.json",
    "telemetry": "samples/telemetry/town_anneal.ndjson",
}
OTHER = (None, True, -1, 0, 1, 2.5, 1e300, "", "a", "7", "a" * 64, [], [1], {}, {"more": 1})


@pytest.mark.parametrize("name", DOCUMENTS)
@drawn(few=60, many=2_000)
@given(data=st.data())
def test_what_a_record_takes_its_schema_takes(name: str, data: st.DataObject) -> None:
    text = (ROOT / DOCUMENTS[name]).read_text()
    document = json.loads(data.draw(st.sampled_from(text.splitlines())) if name == "telemetry" else text)
    model = models()[name]
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    assert validator(name).is_valid(document)
    holder = document
    while True:  # down to some value, which becomes another
        key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
        if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.integers(0, 4)) == 0:
            break
        holder = holder[key]
    holder[key] = data.draw(st.sampled_from(OTHER))
    told = validator(name).is_valid(document)
    try:
        record = adapter.validate_json(json.dumps(document), strict=True)
    except ValidationError:
        return  # a model has rules that no schema can say
    assert told
    assert validator(name).is_valid(json.loads(adapter.dump_json(record, by_alias=True)))


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(name))


def test_the_command_prints_one_schema_or_all_names() -> None:
    printed: Any = json.loads(CliRunner().invoke(app, ["schema", "arm-runs"]).output)
    assert printed == schema_of("arm-runs")
    assert CliRunner().invoke(app, ["schema"]).output.split() == list(models())


def test_an_unknown_name_is_named_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match=r"no schema 'arm-run' \(did you mean 'arm-runs'\?\)"):
        schema_of("arm-run")
