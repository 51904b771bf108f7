"""What arms and their clones record for the checks of distribution shift, where nothing has shifted."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import numpy as np
from tests.scores import score

from headstart.compare.arm_runs import (
    Agreement,
    ArmRuns,
    CloneRun,
    CloneRuns,
    DataStates,
    EvaluationDesign,
    SeedRun,
    ShiftFacts,
    StateSummary,
    VariantScore,
)
from headstart.compare.states import summarise
from headstart.config.schedule import Arm

MIX = {"0": 50, "1": 50}
SCENARIO = "5" * 64
DESIGN = EvaluationDesign(
    scenario_sha256=SCENARIO,
    environment_sha256="e" * 64,
    evaluation_seed=1,
    evaluation_worlds=100,
    every=100,
    exam_seed=2,
    exam_worlds=100,
    variant_worlds=100,
)


def states(seed: int, shift: float = 0.0) -> StateSummary:
    rows = np.random.default_rng(seed).normal(size=(100, 2)) + np.array([shift, 0.0])
    return summarise(rows, np.arange(100), ["speed", "light"], (-5.0, 5.0))


def facts(successes: int = 90, harm: int = 10, episodes: int = 100, **changes: Any) -> ShiftFacts:
    """Of one policy; `successes` and `harm` are among the `episodes` of its one variant."""
    known: dict[str, Any] = {
        "worlds": 100,
        "starts": states(1),
        "visited": states(2),
        "mix": MIX,
        "agreement": Agreement(decisions=1000, agreed=900),
        "variants": {"dense": VariantScore(scenario_sha256="d" * 64, score=score(successes, harm, episodes))},
    }
    return ShiftFacts(**known | changes)


def data_states(seed: int, **changes: Any) -> DataStates:
    """Of a block of the recording."""
    known: dict[str, Any] = {"scenario_sha256": SCENARIO, "starts": states(100 + seed), "visited": states(200 + seed), "mix": MIX}
    return DataStates(**known | changes)


def clone_sha256(seed: int) -> str:
    """Of the weights of a seed's clone."""
    return sha256(f"clone/{seed}".encode()).hexdigest()


def clone_run(seed: int, shift: ShiftFacts | None = None, data: DataStates | None = None, **changes: Any) -> CloneRun:
    """The clone of a seed; without changes one that is as good as its expert."""
    known: dict[str, Any] = {
        "seed": seed,
        "weights_sha256": clone_sha256(seed),
        "outcome": "PASS",
        "demonstration_steps": 5000,
        "heldout_accuracy": 0.95,
        "expert": score(95),
        "exam": {"sampled": score(90), "deterministic": score(90)},
        "data": data or data_states(seed),
        "shift": shift or facts(),
    }
    return CloneRun(**known | changes)


def clone_runs(clones: Iterable[CloneRun], **changes: Any) -> CloneRuns:
    """Clones of one scenario, with the score of an untrained policy."""
    known = {"scenario": "walk", "design": DESIGN, "untrained": score(5, return_mean=0.0)}
    return CloneRuns(**known | changes, clones=tuple(clones))


def arm_with(name: str, shift: Callable[[int], ShiftFacts | None], seeds: Iterable[int], start: str = "bc") -> ArmRuns:
    """An arm without a curve; with `start: bc` every run begins with its seed's clone."""
    runs = [
        SeedRun(
            seed=seed,
            budget=100,
            env_steps=100,
            demonstration_steps=5000 if start == "bc" else 0,
            clone_sha256=clone_sha256(seed) if start == "bc" else None,
            curve=(),
            exam={"sampled": score(95), "deterministic": score(95)},
            checkpoint_sha256=sha256(f"{name}/{seed}".encode()).hexdigest(),
            shift=shift(seed),
        )
        for seed in seeds
    ]
    phase = {"name": "learn", "kind": "ppo", "env_steps": 100, "learning_rate": 0.001}
    recipe = Arm.model_validate({"start": start, "phases": [phase]})
    return ArmRuns(scenario="walk", arm=name, recipe=recipe, rollout_steps=10, design=DESIGN, runs=tuple(runs))
