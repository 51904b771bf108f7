"""Whole arms made by hand: runs that reach the target where they are told to, and the clones that they start from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.scores import score
from tests.shifts import DESIGN, clone_run, clone_runs, clone_sha256

from headstart.compare.arm_runs import ArmRuns, CloneRuns, CurvePoint, EvaluationDesign, Score, SeedRun
from headstart.config.schedule import Arm

BASELINES = ("scratch", "matched", "tuned")  # arms of these names start from random weights, all others from clones
EVERY, POINTS = 100, 41
GOOD, BAD = score(95), score(10)
Reach = Sequence[int | None]


@dataclass(frozen=True)
class Kind:
    """What the runs of an arm have in common."""

    every: int = EVERY  # env steps between two evaluations
    points: int = POINTS  # evaluations, the one before training included
    good: Score = GOOD
    bad: Score = BAD
    exam: Score = GOOD
    seeds: Sequence[int] | None = None  # None: 0, 1, 2, …
    clones: int | None = None  # seed i starts from clone i modulo this; None: a clone for each seed
    demonstration_steps: int = 5000  # of a run, where it starts from a clone
    learning_rate: float = 0.001
    ppo: dict[str, Any] = field(default_factory=dict)
    design: dict[str, Any] = field(default_factory=dict)  # what is not as in `design_for`


def design_for(every: int = EVERY, exam: Score | None = None, **changes: Any) -> EvaluationDesign:
    """Without variants; as many exam worlds as the exam has episodes."""
    known = {"every": every, "variant_worlds": 0, "exam_worlds": exam.episodes if exam else 100}
    return DESIGN.model_copy(update=known | changes)


def recipe(start: str, budget: int, learning_rate: float = 0.001, **ppo: Any) -> Arm:
    """One phase of PPO; `ppo` has the worlds and ticks of a rollout."""
    phase = {"name": "learn", "kind": "ppo", "env_steps": budget, "learning_rate": learning_rate}
    return Arm.model_validate({"start": start, "ppo": ppo, "phases": [phase]})


def arm_runs(name: str, reach: Reach, **given: Any) -> ArmRuns:
    """Run i meets the target from its `reach[i]`-th evaluation on; None: never. `given` are fields of Kind."""
    kind = Kind(**given)
    seeds = kind.seeds or range(len(reach))
    from_clone, budget = name not in BASELINES, (kind.points - 1) * kind.every
    rollout = kind.every // 10  # env steps, of one agent
    runs = []
    for i, (seed, at) in enumerate(zip(seeds, reach, strict=True)):
        curve = [kind.good if at is not None and point >= at else kind.bad for point in range(kind.points)]
        start = {
            "demonstration_steps": kind.demonstration_steps,
            "clone_sha256": clone_sha256(seeds[i % (kind.clones or len(seeds))]),
        }
        runs.append(seed_run(seed, curve, kind.exam, kind.every, name).model_copy(update=start if from_clone else {}))
    return ArmRuns(
        scenario="walk",
        arm=name,
        recipe=recipe(
            "bc" if from_clone else "random", budget, kind.learning_rate, **{"worlds": 1, "rollout_ticks": rollout} | kind.ppo
        ),
        rollout_steps=rollout,
        design=design_for(kind.every, kind.exam, **kind.design),
        runs=tuple(runs),
    )


def seed_run(seed: int, curve: Sequence[Score], exam: Score, every: int = EVERY, name: str = "run") -> SeedRun:
    """A run whose i-th evaluation, after i · `every` steps, has the i-th score; it ends at its budget."""
    budget = (len(curve) - 1) * every
    return SeedRun(
        seed=seed,
        budget=budget,
        env_steps=budget,
        curve=tuple(CurvePoint(env_steps=i * every, scores=_both(_nudged(one, seed, name))) for i, one in enumerate(curve)),
        exam=_both(_nudged(exam, seed, name)),
        checkpoint_sha256=sha256(f"{name}/{seed}".encode()).hexdigest(),
    )


def with_exams(arm: ArmRuns, exams: Sequence[Score]) -> ArmRuns:
    """The arm with another exam for every run."""
    runs = [run.model_copy(update={"exam": _both(exam)}) for run, exam in zip(arm.runs, exams, strict=True)]
    return arm.model_copy(update={"runs": tuple(runs)})


def clones_of(arm: ArmRuns, exam: Score | None = None, expert: Score | None = None, untrained: Score | None = None) -> CloneRuns:
    """The clones that the arm starts from. Without scores they and the expert are as good as the arm's first run at its exam."""
    known = exam or arm.runs[0].exam["sampled"]
    firsts = {run.clone_sha256: run for run in reversed(arm.runs)}  # the first run of a clone has its seed
    clones = [
        clone_run(
            run.seed,
            weights_sha256=sha,
            demonstration_steps=run.demonstration_steps,
            expert=expert or known,
            exam=_both(_nudged(known, run.seed, arm.arm)),
        )
        for sha, run in reversed(firsts.items())
    ]
    if not arm.design.variant_worlds:
        clones = [one.model_copy(update={"data": None, "shift": None}) for one in clones]
    worst = score(0, episodes=known.episodes, return_mean=0.0)
    worst = worst.model_copy(update={"measures": dict.fromkeys(known.measures, 0.0)})
    return clone_runs(clones, design=arm.design, untrained=untrained or worst)


def _both(one: Score) -> dict[str, Score]:
    return {"sampled": one, "deterministic": one}


def _nudged(one: Score, seed: int, arm: str) -> Score:
    """No two runs have equal curves; the lowest seed has the best one."""
    of_arm = 2e-7 * (1 + BASELINES.index(arm)) if arm in BASELINES else 0.0
    return one.model_copy(update={"return_mean": one.return_mean - 1e-4 * seed - of_arm})
