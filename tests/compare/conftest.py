"""Arms whose curves reach the target where they are told to."""

import hashlib
from collections.abc import Callable, Sequence

import pytest
from tests.scores import score

from headstart.compare.arm_runs import ArmRuns, CurvePoint, EvaluationDesign, Score, SeedRun
from headstart.config.scenario import Target
from headstart.config.schedule import Arm


@pytest.fixture
def target() -> Target:
    return Target(name="reliable", success_rate=0.9, harm_rate=0.05, consecutive=3)


def seed_run(seed: int, hits: Sequence[int], every: int = 100, exam: Score | None = None, name: str = "run") -> SeedRun:
    """A run whose i-th evaluation, at i · every steps, has `hits[i]` successes of 100; it ends at its
    budget.
    """
    last = (len(hits) - 1) * every
    curve = tuple(
        CurvePoint(env_steps=i * every, scores={"sampled": score(hit), "deterministic": score(max(hit - 10, 0))})
        for i, hit in enumerate(hits)
    )
    final = exam or score(95)
    return SeedRun(
        seed=seed,
        budget=last,
        env_steps=last,
        curve=curve,
        exam={"sampled": final, "deterministic": final},
        checkpoint_sha256=hashlib.sha256(f"{name}/{seed}".encode()).hexdigest(),
    )


def arm_runs(
    name: str,
    reach: Sequence[int | None],
    points: int = 41,
    exam: Score | None = None,
) -> ArmRuns:
    """Seed i meets the target from its `reach[i]`-th evaluation on, every 100 steps; None: never."""
    runs = tuple(
        seed_run(i, [95 if at is not None and p >= at else 10 for p in range(points)], exam=exam, name=name)
        for i, at in enumerate(reach)
    )
    design = EvaluationDesign(
        scenario_sha256="5" * 64,
        environment_sha256="e" * 64,
        evaluation_seed=1,
        evaluation_worlds=100,
        every=100,
        exam_seed=2,
        exam_worlds=100,
        variant_worlds=0,
    )
    phase = {"name": "tune", "kind": "ppo", "env_steps": (points - 1) * 100, "learning_rate": 0.001}
    recipe = Arm.model_validate({"start": "random", "phases": [phase]})
    return ArmRuns(scenario="walk", arm=name, recipe=recipe, rollout_steps=10, design=design, runs=runs)


@pytest.fixture
def make_run() -> Callable[..., SeedRun]:
    return seed_run


@pytest.fixture
def make_arm() -> Callable[..., ArmRuns]:
    return arm_runs
