"""What one process needs to train one seed of an arm, and the names of what it leaves."""

from dataclasses import dataclass
from pathlib import Path

from headstart.config.params import Params
from headstart.config.scenario import Scenario

RESULT, POLICY, TELEMETRY = "result.json", "policy", "telemetry"


@dataclass(frozen=True)
class SeedJob:
    params: Params
    scenario: Scenario
    arm: str
    seed: int
    stage: str
    run_dir: Path  # where the seed works; what is whole is taken from there
