"""The JSON Schema of schedules takes the shipped arms and refuses what the models refuse."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from headstart.cli.schema import schema_of
from headstart.config.schedule import Arm

ROOT = Path(__file__).parents[2]
ARMS = yaml.safe_load((ROOT / "params.yaml").read_text())["arms"]


def valid(content: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(schema_of("anneal-schedule")).is_valid(content)


@pytest.mark.parametrize("name", ARMS)
def test_it_takes_every_shipped_arm(name: str) -> None:
    assert valid({"schema": "anneal-schedule/1"} | ARMS[name])


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "anneal-schedule/2"},
        {"phases": []},
        {"start": "clone"},
        {"extra": 1},
        {"guardrails": {"entropy": {"breech": 1}}},
        {"phases": [{"name": "a", "kind": "ppo", "env_steps": 1, "learning_rate": "fast"}]},
        {"phases": [{"name": "a", "kind": "ppo", "env_steps": 1, "learning_rate": {"from": 1}}]},
    ],
    ids=str,
)
def test_it_refuses_what_the_models_refuse(change: dict[str, Any]) -> None:
    assert not valid({"schema": "anneal-schedule/1"} | ARMS["pretrained"] | change)


def test_what_is_not_said_of_records_is_left_out_of_what_is_stored() -> None:
    keys = {"data", "replay_share", "temperature"}
    stored = {
        name: Arm.model_validate(ARMS[name]).model_dump(mode="json")["phases"] for name in ("pretrained", "replay", "mixed")
    }
    assert [keys & phase.keys() for phase in stored["pretrained"]] == [set(), set()]
    assert [keys & phase.keys() for phase in stored["replay"]] == [{"data"}, set(), set()]
    assert keys & stored["mixed"][1].keys() == {"data", "replay_share"}
    assert Arm.model_validate({"start": "bc", "phases": stored["mixed"]}).phases == Arm.model_validate(ARMS["mixed"]).phases


def test_it_wants_the_schema_to_be_named() -> None:
    assert not valid(ARMS["pretrained"])
