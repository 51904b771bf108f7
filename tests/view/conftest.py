"""A project folder with hand-made results, as the stages leave them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.arms import BASELINES, Reach, arm_runs, clones_of
from tests.experiments import clone_reports, expert_policy, scored

from headstart.compare.arm_runs import ArmRuns, arm_folder
from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.scenario import Target
from headstart.core.files import sha256_file, write_record
from headstart.core.verdict import Check, Evidence, Subject, Verdict, at_least, judge
from headstart.dataset.manifest import Block, DatasetFacts, Quality, Splits, Tally, manifest_of
from headstart.runs.clone_report import CloneReports

ROOT = Path(__file__).parents[2]
SCENARIO = """
world: town
horizon: 8
setup: {}
success: [every eats >= 1]
harm: [sum faints > 0]
expert: {policy: scripted, success_rate: 0.9, harm_rate: 0.1}
targets: {beyond: {success_rate: 0.9}}
"""
ONE = Tally(worlds=1, episodes=1, steps=15)
TARGET = Target(name="beyond", success_rate=0.9, return_mean=1.5, consecutive=2)


def arm(name: str, reach: Reach, **given: Any) -> ArmRuns:
    """As `arm_runs`, evaluated 13 times in 12,000 steps where `given` does not say otherwise."""
    good = scored(95, 1.8)
    return arm_runs(name, reach, **{"every": 1000, "points": 13, "good": good, "bad": scored(10, 0.2), "exam": good} | given)


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., Path]:
    """A function: reach of the candidate and of the baselines → the project's root. `given` is for the candidate's runs.

    A candidate of None is scratch, described by itself.
    """

    def make(
        candidate: Reach | None, scratch: Reach, others: dict[str, Reach] | None = None, continuous: bool = False, **given: Any
    ) -> Path:
        baselines = [arm(name, reach) for name, reach in {"scratch": scratch, **(others or {})}.items()]
        _compare(tmp_path, arm("pretrained", candidate, **given) if candidate else baselines[0], baselines)
        _settings(tmp_path)
        _expert(tmp_path)
        _dataset(tmp_path)
        _clones(tmp_path, continuous)
        return tmp_path

    return make


@pytest.fixture
def saved() -> None:
    """For a test that looks at PNG files: its figures are drawn to the last pixel."""


@pytest.fixture(autouse=True)
def _built_but_not_saved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """To render a figure takes a second, which a test of the report's text does not need."""
    if "saved" not in request.fixturenames:
        monkeypatch.setattr("headstart.view.report.png", lambda spec: b"not rendered")


@pytest.fixture
def make_arm() -> Callable[..., ArmRuns]:
    return arm


def _compare(root: Path, candidate: ArmRuns, baselines: list[ArmRuns]) -> None:
    files = [arm_folder("walk", runs.arm, BASELINES) / "runs.json" for runs in (*baselines, candidate)]
    for path, runs in zip(files, (*baselines, candidate), strict=True):
        write_record(root / path, runs)
    evidence = [Evidence(path=path.as_posix(), sha256=sha256_file(root / path)) for path in dict.fromkeys(files)]
    clones = None if candidate in baselines else clones_of(candidate)
    found = compare(candidate, baselines, clones, TARGET, ComparisonLimits(resamples=200), evidence)
    write_record(root / "reports/evaluate/walk/beyond.json", found)


def _settings(root: Path) -> None:
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (root / "scenarios").mkdir(exist_ok=True)
    (root / "scenarios/walk.yaml").write_text(SCENARIO)


def _verdict(kind: str, check: Check) -> Verdict:
    return judge(Subject(type=kind, id="walk", sha256="0" * 64), [check], {})


def _expert(root: Path) -> None:
    write_record(root / "models/walk/expert/expert.json", expert_policy())
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
        blocks=tuple(Block(first_world=b, last_world=b, recorded=ONE, accepted=ONE) for b in (0, 1)),
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


def _clones(root: Path, continuous: bool) -> None:
    folder, clones = root / "reports/walk/bc_train", clone_reports(continuous)
    write_record(folder / "metrics.json", CloneReports(clones=clones))
    for seed, clone in clones.items():
        gate = _verdict("bc", at_least("accuracy", clone.accuracy, 0.75, "accuracy"))
        write_record(folder / f"seed-{seed}.json", gate)
