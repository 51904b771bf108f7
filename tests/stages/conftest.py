"""What tests of stages share: a few short recorded walks."""

from pathlib import Path

import numpy as np
import pytest

from headstart.params import Scenario, load_params, load_scenario
from headstart.records.episodes import Episodes, Header
from headstart.stages.capture import record
from headstart.stages.project import schema_of, worlds_of
from headstart.stages.teacher import teacher_of
from headstart.worlds import FIRST_WORLD

ROOT = Path(__file__).parents[2]
WALKS = 10


@pytest.fixture(scope="session")
def walks() -> tuple[Scenario, Episodes, Header]:
    """A scenario of the robot with a script, cut to 12 steps; ten episodes of it, and their header."""
    scenario = Scenario.model_validate(load_scenario("nav_gap_seeker", ROOT / "scenarios").model_dump() | {"horizon": 12})
    world, ids = worlds_of(scenario, "capture", WALKS), FIRST_WORLD["capture"] + np.arange(WALKS)
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256="e" * 64,
        seed=1,
        observation=schema_of(world),
        writer_version="test",
    )
    return scenario, record(world, teacher_of(scenario, world), ids, load_params(ROOT / "params.yaml").capture, header), header
