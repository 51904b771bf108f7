"""What the tests of comparisons share."""

from collections.abc import Callable, Sequence

import pytest
from tests.arms import EVERY, arm_runs, seed_run
from tests.scores import score

from headstart.compare.arm_runs import ArmRuns, SeedRun
from headstart.config.scenario import Target


@pytest.fixture
def target() -> Target:
    return Target(name="reliable", success_rate=0.9, harm_rate=0.05, consecutive=3)


@pytest.fixture
def make_run() -> Callable[..., SeedRun]:
    """A function: seed and successes of 100 at each evaluation → a run, whose deterministic policy succeeds ten times less."""

    def make(seed: int, hits: Sequence[int], every: int = EVERY) -> SeedRun:
        run = seed_run(seed, [score(hit) for hit in hits], score(95), every)
        greedy = [{"deterministic": score(max(hit - 10, 0))} for hit in hits]
        curve = [one.model_copy(update={"scores": one.scores | less}) for one, less in zip(run.curve, greedy, strict=True)]
        return run.model_copy(update={"curve": tuple(curve)})

    return make


@pytest.fixture
def make_arm() -> Callable[..., ArmRuns]:
    return arm_runs
