"""A few short recorded walks of the robot."""

from pathlib import Path

import numpy as np

from headstart.config.params import load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.dataset.episodes import Episodes, Header
from headstart.runs.expert import expert_of
from headstart.runs.recording import record
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD

ROOT = Path(__file__).parents[1]
WALKS = 10


def record_robot() -> tuple[Scenario, Episodes, Header]:
    """A scenario of the robot with a script, cut to 12 steps; ten episodes of it, and their header."""
    scenario = Scenario.model_validate(load_scenario("nav_gap_seeker", ROOT / "scenarios").model_dump() | {"horizon": 12})
    settings = load_params(ROOT / "params.yaml").capture
    world, ids = worlds_of(scenario, "capture", WALKS), FIRST_WORLD["capture"] + np.arange(WALKS)
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256="e" * 64,
        seed=settings.seed,
        observation=schema_of(world),
        writer_version="test",
    )
    return scenario, record(world, expert_of(scenario, world), ids, settings, header), header
