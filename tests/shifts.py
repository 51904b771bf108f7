"""What arms and clones record for the checks of distribution shift, where nothing has shifted."""

from typing import Any

import numpy as np

from headstart.compare.arm_runs import Agreement, CloneShift, DataStates, Score, ShiftFacts, StateSummary, VariantScore
from headstart.compare.states import summarise

MIX = {"0": 50, "1": 50}
SCENARIO = "5" * 64  # as the arms of conftest have it


def states(seed: int, shift: float = 0.0) -> StateSummary:
    rows = np.random.default_rng(seed).normal(size=(100, 2)) + np.array([shift, 0.0])
    return summarise(rows, np.arange(100), ["speed", "light"], (-5.0, 5.0))


def facts(successes: int = 90, **changes: Any) -> ShiftFacts:
    score = Score(episodes=100, success=successes, harm=100 - successes, return_mean=1.0, return_sd=0.1)
    known: dict[str, Any] = {
        "worlds": 100,
        "starts": states(1),
        "visited": states(2),
        "mix": MIX,
        "agreement": Agreement(decisions=1000, agreed=900),
        "variants": {"dense": VariantScore(scenario_sha256="d" * 64, score=score)},
    }
    return ShiftFacts(**known | changes)


def clone_facts(clone: ShiftFacts, **changes: Any) -> CloneShift:
    data: dict[str, Any] = {"scenario_sha256": SCENARIO, "starts": states(3), "visited": states(4), "mix": MIX}
    return CloneShift(scenario="walk", data=DataStates(**data | changes), clone=clone, heldout_accuracy=0.95)
