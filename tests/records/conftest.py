"""What the tests of the room share: a recording of 3 episodes (2, 3 and 1 steps, every column with values of its own) and a log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from headstart.records.episodes import Episodes, EpisodeTable, Header, episode_ids
from headstart.records.export import DIRECTORY
from headstart.records.observation import ObservationSchema
from headstart.records.telemetry import TelemetryWriter
from headstart.records.telemetry_line import Envelope

LENGTHS = np.array([2, 3, 1], np.int64)


@pytest.fixture
def require_schema() -> Callable[[bytes | str, str], None]:
    """Checks a JSON text against a committed schema, by an implementation that is not ours."""

    def check(text: bytes | str, schema_id: str) -> None:
        name, major = schema_id.split("/")
        schema: Any = json.loads((DIRECTORY / f"{name}.v{major}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))

    return check


@pytest.fixture
def schema() -> ObservationSchema:
    return ObservationSchema(
        world="town",
        features=("hunger", "energy", "distance", "queue", "money"),
        map_channels=("wall", "agent"),
        map_size=3,
        actions=("wait", "north", "south", "use"),
        reward_terms=("need", "conflict"),
    )


@pytest.fixture
def header(schema: ObservationSchema) -> Header:
    return Header(
        scenario="queue_conflict",
        scenario_sha256="a" * 64,
        policy_sha256="b" * 64,
        seed=7,
        observation=schema,
        writer_version="0.1.0",
    )


@pytest.fixture
def episodes() -> Episodes:
    steps, count = int(LENGTHS.sum()), len(LENGTHS)
    number = np.arange(count, dtype=np.int64)
    seed, world, zero = np.full(count, 7, np.int64), 100 + number, np.zeros(count, np.int64)
    reward = (np.arange(steps) / 8).astype(np.float32)
    return Episodes(
        observation={
            "features": (np.arange(steps * 5) / 4).reshape(steps, 5).astype(np.float32),
            "map": (np.arange(steps * 18) % 2).reshape(steps, 2, 3, 3).astype(np.uint8),
        },
        action=np.arange(steps, dtype=np.int64) % 4,
        expert_action=(np.arange(steps, dtype=np.int64) + 1) % 4,
        action_mask=np.ones((steps, 4), bool),
        reward=reward,
        reward_terms=np.stack([reward, -reward], axis=1),
        terminated=np.array([0, 0, 0, 0, 1, 0], bool),
        truncated=np.array([0, 1, 0, 0, 0, 1], bool),
        final_observation={
            "features": np.full((count, 5), 9, np.float32),
            "map": np.ones((count, 2, 3, 3), np.uint8),
        },
        table=EpisodeTable(
            episode_id=episode_ids("a" * 64, "b" * 64, seed, world, zero, zero),
            start=np.array([0, 2, 5], np.int64),
            length=LENGTHS,
            seed=seed,
            world=world,
            episode=zero,
            agent=zero,
            total_reward=np.array([0.125, 1.125, 0.625], np.float32),
            success=np.array([True, False, True]),
            harm=np.array([False, True, False]),
            behaviour={"showers": np.array([1, 0, 2], np.int32)},
        ),
    )


@pytest.fixture
def envelope() -> Envelope:
    return Envelope(run_id="run-1", arm="scratch", world="town", scenario="queue_conflict", seed=3, stage="baseline")


@pytest.fixture
def write_run(envelope: Envelope) -> Callable[..., None]:
    """Writes a log with one record of each kind, in an order that a run could have."""
    fields = json.loads((Path(__file__).parents[1] / "golden" / "telemetry_fields.json").read_text())

    def write(directory: Path, **options: Any) -> None:
        with TelemetryWriter(directory, envelope, **options) as writer:
            for step, kind in enumerate(fields):
                writer.write(kind, env_steps=10 * step, **fields[kind])

    return write
