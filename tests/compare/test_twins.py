"""A run under two names is found although some of its numbers were changed; what runs have in common for a reason accuses none."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.arms import arm_runs
from tests.scores import score
from tests.shifts import facts

from headstart.compare.arm_runs import CurvePoint, Score, SeedRun
from headstart.compare.twins import twins

Change = Callable[[Score], Score]
RUNS = arm_runs("scratch", [2, 5, None], points=20).runs  # evaluations that differ from the start: 18, 15, 0


def others(run: SeedRun, seed: int) -> SeedRun:
    """The run under another seed, with other weights."""
    return run.model_copy(update={"seed": seed, "checkpoint_sha256": f"{seed:064x}"})


def changed(run: SeedRun, change: Change, evaluations: slice = slice(None), exam: bool = True) -> SeedRun:
    """With a change of the scores of some evaluations, and of the exam."""
    curve = list(run.curve)
    for n in range(*evaluations.indices(len(curve))):
        curve[n] = curve[n].model_copy(update={"scores": {mode: change(of) for mode, of in curve[n].scores.items()}})
    scores = {mode: change(of) for mode, of in run.exam.items()} if exam else run.exam
    return run.model_copy(update={"curve": tuple(curve), "exam": scores})


def by(shift: float) -> Change:
    return lambda of: of.model_copy(update={"return_mean": of.return_mean + shift})


def found(*runs: SeedRun) -> list[str]:
    return list(twins((f"seed {run.seed}", run) for run in runs))


def test_runs_of_their_own_are_no_twins() -> None:
    assert found(*RUNS, *arm_runs("pretrained", [0, 1, 2, 2], points=20, seeds=[11, 12, 13, 14]).runs) == []


def test_equal_weights_are_one_run() -> None:
    assert found(RUNS[0], RUNS[1].model_copy(update={"checkpoint_sha256": RUNS[0].checkpoint_sha256})) == [
        "expected two runs, got the same weights for seed 0 and seed 1: a run counts once"
    ]


def test_a_copy_is_found() -> None:
    assert found(RUNS[0], others(RUNS[0], 7)) == [
        "expected two runs, got the same scores for seed 0 and seed 7: a run counts once"
    ]


@pytest.mark.parametrize("shift", [1e-9, -5e-8])
def test_digits_that_nobody_sees_hide_no_copy(shift: float) -> None:
    assert len(found(RUNS[0], changed(others(RUNS[0], 7), by(shift)))) == 1


@pytest.mark.parametrize(
    ("changes", "copy"),
    # 36 scores of 18 evaluations in two modes, and 2 of the exam: 3 may differ
    [(1, "except for 2 of 38,"), (2, None)],
)
def test_a_tenth_of_the_scores_may_differ_in_a_copy(changes: int, copy: str | None) -> None:
    run = changed(others(RUNS[0], 7), by(0.01), slice(10, 10 + changes), exam=False)

    messages = found(RUNS[0], run)

    assert [copy in message for message in messages] == ([True] if copy else [])


def test_an_equal_count_with_another_return_is_another_policy() -> None:
    assert found(RUNS[0], changed(others(RUNS[0], 7), by(1e-6))) == []


def test_a_start_that_two_runs_share_is_no_twin() -> None:
    """Two runs of one clone, one of which was taken back to it for most of its budget."""
    first = RUNS[1]  # four evaluations at the start, then another score
    second = changed(others(first, 7), by(0.3), slice(5, None))

    assert found(first, second) == []


def test_runs_that_a_guardrail_took_back_to_one_clone_are_no_twins() -> None:
    """They have the clone's exam and variants, and one evaluation of their own."""
    variants = {f"v{n}": facts().variants["dense"] for n in range(40)}
    back = {"status": "frozen", "outcome": "HOLD", "clone_sha256": "c" * 64, "checkpoint_sha256": "c" * 64}
    first = RUNS[0].model_copy(update={"curve": RUNS[0].curve[1:3], "shift": facts(variants=variants), **back})
    second = changed(first.model_copy(update={"seed": 7}), by(0.3), slice(1, None), exam=False)

    assert found(first, second) == []


def test_curves_that_never_leave_their_start_accuse_nobody() -> None:
    assert found(RUNS[2], others(RUNS[2], 7)) == []


def test_a_solved_world_looks_the_same_whoever_solved_it() -> None:
    """One evaluation differs; then every episode has the greatest return."""
    solved: Change = lambda of: score(of.episodes, return_mean=500.0).model_copy(update={"return_sd": 0.0})  # noqa: E731
    runs = [changed(run, solved, slice(3, None)) for run in (RUNS[0], RUNS[1])]

    assert found(*runs) == []


def test_equal_scores_on_variants_alone_are_no_copy() -> None:
    assert found(*(run.model_copy(update={"shift": facts()}) for run in RUNS)) == []


def test_good_policies_of_a_world_that_pays_for_success_alone_are_seldom_alike() -> None:
    """Returns are success rates of 0.98 to 1.00: two policies share one score in about five."""
    draw = np.random.default_rng(1)

    def played() -> Score:
        hits = int(draw.binomial(128, 0.99))
        return Score(
            episodes=128, success=hits, harm=0, return_mean=hits / 128, return_sd=float(np.sqrt(hits * (128 - hits))) / 128
        )

    def run(seed: int) -> SeedRun:
        curve = [CurvePoint(env_steps=0, scores={"sampled": score(seed, episodes=128)})]
        curve += [CurvePoint(env_steps=n, scores={"sampled": played()}) for n in range(1, 11)]
        exam = {"sampled": played(), "deterministic": played()}
        return others(RUNS[0], seed).model_copy(update={"curve": tuple(curve), "exam": exam})

    assert found(*(run(seed) for seed in range(100))) == []
