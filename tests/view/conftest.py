"""A project folder with hand-made results, as the stages leave them."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from headstart.compare.arm_runs import ArmRuns, CurvePoint, EvaluationDesign, Score, SeedRun
from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.scenario import Target
from headstart.core.files import sha256_file, write_record
from headstart.core.verdict import Check, Evidence, Subject, Verdict, at_least, judge
from headstart.dataset.manifest import DatasetFacts, Quality, Splits, Tally, manifest_of
from headstart.runs.clone_report import ActionRow, CloneReport
from headstart.runs.expert_record import ExpertPolicy

EVERY, POINTS = 1000, 13
TARGET = Target(name="beyond", success_rate=0.9, return_mean=1.5, consecutive=2)
Reach = Sequence[int | None]


def score(success: int, return_mean: float, episodes: int = 100) -> Score:
    return Score(episodes=episodes, success=success, harm=4, return_mean=return_mean, return_sd=0.1)


def arm_runs(arm: str, reach: Reach, demonstrations: int = 0, exam_worlds: int = 100) -> ArmRuns:
    """Seed i meets the target from its `reach[i]`-th evaluation on; None: never."""
    good, bad = score(95, 1.8), score(10, 0.2)
    runs = []
    for seed, at in enumerate(reach):
        scores = [good if at is not None and point >= at else bad for point in range(POINTS)]
        run = SeedRun(
            seed=seed,
            budget=(POINTS - 1) * EVERY,
            env_steps=(POINTS - 1) * EVERY,
            curve=tuple(CurvePoint(env_steps=i * EVERY, scores={"sampled": s, "deterministic": s}) for i, s in enumerate(scores)),
            exam={"sampled": scores[-1], "deterministic": scores[-1]},
            checkpoint_sha256=hashlib.sha256(f"{arm}/{seed}".encode()).hexdigest(),
        )
        runs.append(run)
    design = EvaluationDesign(
        scenario_sha256="5" * 64, evaluation_seed=1, evaluation_worlds=100, every=EVERY, exam_seed=2, exam_worlds=exam_worlds
    )
    return ArmRuns(scenario="walk", arm=arm, design=design, demonstration_steps=demonstrations, runs=tuple(runs))


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., Path]:
    """A function: reach of the candidate and of scratch → the project's root."""

    def make(candidate: Reach, scratch: Reach, continuous: bool = False, against_itself: bool = False) -> Path:
        _arms(tmp_path, candidate, scratch, against_itself)
        _expert(tmp_path)
        _dataset(tmp_path)
        _clone(tmp_path, continuous)
        return tmp_path

    return make


@pytest.fixture
def make_arm() -> Callable[..., ArmRuns]:
    return arm_runs


def _arms(root: Path, candidate: Reach, scratch: Reach, against_itself: bool) -> None:
    arms = {
        "models/walk/anneal/pretrained": arm_runs("pretrained", candidate, 5000),
        "models/walk/baseline": arm_runs("scratch", scratch),
    }
    for folder, runs in arms.items():
        write_record(root / folder / "runs.json", runs)
    evidence = [Evidence(path=f"{folder}/runs.json", sha256=sha256_file(root / folder / "runs.json")) for folder in arms]
    ours, theirs = arms.values()
    found = compare(theirs if against_itself else ours, theirs, TARGET, ComparisonLimits(resamples=200), evidence)
    write_record(root / "reports/evaluate/walk/beyond.json", found)


def _verdict(kind: str, check: Check) -> Verdict:
    return judge(Subject(type=kind, id="walk", sha256="0" * 64), [check], {})


def _expert(root: Path) -> None:
    expert = ExpertPolicy(
        kind="scripted",
        world="town",
        scenario="walk",
        scenario_sha256="5" * 64,
        policy_sha256="6" * 64,
        seed=1,
        score=score(98, 1.45),
        state="approved",
        diagnostics=(),
    )
    write_record(root / "models/walk/expert/expert.json", expert)
    write_record(root / "reports/walk/expert/verdict.json", _verdict("expert", at_least("success", 0.98, 0.9, "success rate")))


def _dataset(root: Path) -> None:
    facts = DatasetFacts(
        dataset="walk",
        scenario="walk",
        scenario_sha256="5" * 64,
        expert="scripted",
        policy_sha256="6" * 64,
        seed=7,
        accepted=Tally(worlds=1, episodes=2, steps=30),
        rejected=Tally(worlds=1, episodes=1, steps=3),
        rejection_reasons={"too-short": 1},
        quality=Quality(success_rate=0.9, harm_rate=0.1, return_mean=1.5, steps_mean=10.0),
        files={},
        splits=Splits(
            rule="by hash of world",
            seed=0,
            heldout_share=0.5,
            train=Tally(worlds=1, episodes=1, steps=20),
            heldout=Tally(worlds=1, episodes=1, steps=10),
        ),
    )
    write_record(root / "data/walk/validated.json", manifest_of(facts, "validated"))
    write_record(root / "reports/walk/validate/verdict.json", _verdict("dataset", at_least("episodes", 2, 1, "episodes")))


def _clone(root: Path, continuous: bool) -> None:
    rows = {
        "wait": ActionRow(n=8, recall=1.0, precision=0.8, f1=0.89),
        "use": ActionRow(n=2, recall=0.0, precision=None, f1=0.0),
    }
    report = CloneReport(
        accuracy=0.8,
        macro_f1=None if continuous else 0.44,
        constant_accuracy=0.7,
        least_recall=None,
        train_accuracy=0.9,
        heldout_steps=10,
        value_error=None,
        untrained_value_error=1.0,
        value_explained_variance=None,
        per_action={} if continuous else rows,
        confusion={} if continuous else {"wait": {"wait": 8}, "use": {"wait": 2}},
        closed_loop={"sampled": score(90, 1.4), "deterministic": score(91, 1.4)},
        expert=score(98, 1.45),
    )
    write_record(root / "reports/walk/bc_train/metrics.json", report)
    write_record(root / "reports/walk/bc_train/verdict.json", _verdict("bc", at_least("accuracy", 0.8, 0.9, "accuracy")))
