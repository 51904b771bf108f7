"""Every seed has a clone of its own block; one that misses its gate ends the stage, and none is started from."""

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.canonical import canonical_sha256
from tests.cloned import SEEDS, easy, record_blocks, tiny_params
from tests.one_process import run_here

from headstart.compare.arm_runs import CloneRuns
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.errors import GateFailed, IntegrityError
from headstart.core.files import read_record
from headstart.core.verdict import Outcome, Verdict
from headstart.dataset.episodes import Episodes, Header
from headstart.runs.checkpoint import load_checkpoint
from headstart.runs.clone_report import CloneReports, Reference
from headstart.runs.worlds import design_of
from headstart.stages.bc_train import bc_train
from headstart.telemetry.reader import read_telemetry

MODELS, REPORTS = Path("models/nav_gap_seeker/bc"), Path("reports/nav_gap_seeker/bc_train")
PARAMS = tiny_params()


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.stages.bc_train.run_all", run_here)


@pytest.fixture(scope="module")
def scenario(robot_walks: tuple[Scenario, Episodes, Header]) -> Scenario:
    return easy(robot_walks[0])


@pytest.fixture(scope="module")
def recorded(
    scenario: Scenario, robot_walks: tuple[Scenario, Episodes, Header], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project with a validated dataset of two blocks."""
    root = tmp_path_factory.mktemp("recorded")
    with chdir(root):
        record_blocks(scenario, robot_walks[1], robot_walks[2], PARAMS)
    return root


@pytest.fixture(scope="module")
def cloned(scenario: Scenario, recorded: Path) -> Path:
    """The same project with the clones of both seeds."""
    with pytest.MonkeyPatch.context() as patched, chdir(recorded):
        patched.setattr("headstart.stages.bc_train.run_all", run_here)
        bc_train(PARAMS, scenario)
    return recorded


@pytest.fixture
def project(cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `cloned`, as the working directory."""
    shutil.copytree(cloned, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clones() -> CloneRuns:
    return read_record(MODELS / "clones.json", CloneRuns)


def test_a_clone_a_seed_learns_from_its_own_block(project: Path, scenario: Scenario) -> None:
    loaded = [load_checkpoint(MODELS / f"seed-{seed}") for seed in SEEDS]
    weights, cards = zip(*loaded, strict=True)

    assert [card.seed for card in cards] == list(SEEDS)
    assert weights[0].keys() == weights[1].keys()
    assert any(not np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [clone.weights_sha256 for clone in clones().clones] == [card.weights_sha256 for card in cards]
    data = [clone.data for clone in clones().clones]
    assert data[0] is not None and data[1] is not None
    assert data[0].starts != data[1].starts  # of other worlds


def test_the_record_of_the_clones_is_complete(project: Path, scenario: Scenario) -> None:
    found = clones()

    assert (found.scenario, found.design) == (scenario.name, design_of(PARAMS, scenario))
    assert found.untrained.episodes == 6  # of the exam
    for clone, seed in zip(found.clones, SEEDS, strict=True):
        assert (clone.seed, clone.outcome) == (seed, "PASS")
        assert clone.expert.episodes == 6
        assert {mode: score.episodes for mode, score in clone.exam.items()} == {"sampled": 6, "deterministic": 6}
        assert clone.demonstration_steps == 60  # five episodes of 12 steps
        assert clone.shift is not None and clone.shift.variants.keys() == {"dense"}


def test_every_clone_has_its_report_its_verdict_its_telemetry_and_what_it_is_measured_against(project: Path) -> None:
    reports = read_record(REPORTS / "metrics.json", CloneReports).clones

    assert set(reports) == set(SEEDS)
    for seed in SEEDS:
        verdict = read_record(REPORTS / f"seed-{seed}.json", Verdict)
        assert (verdict.outcome, verdict.subject.id) == (Outcome.PASS, f"nav_gap_seeker/bc/seed-{seed}")
        assert read_record(MODELS / f"seed-{seed}/reference.json", Reference).clone == reports[seed].closed_loop["sampled"]
        assert (REPORTS / f"telemetry/seed-{seed}/telemetry-0000.ndjson").exists()
    lines = Path("reports/nav_gap_seeker/bc_losses.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines[1::2]] == [str(epoch) for epoch in range(1, 21)]


def test_a_repeated_run_leaves_the_same_bytes(project: Path, scenario: Scenario) -> None:
    before = {path: path.read_bytes() for path in MODELS.rglob("*") if path.is_file()}

    bc_train(PARAMS, scenario)

    assert {path: path.read_bytes() for path in MODELS.rglob("*") if path.is_file()} == before


class Killed(BaseException):
    """A kill that a test can catch."""


def killed_after(reports: int, done: list[int]) -> Callable[..., Any]:
    """As `run_here`, with a kill at so many epochs; `done` receives all that is reported."""

    def run(function: Callable[..., Any], jobs: Sequence[Any], *rest: object) -> list[Any]:
        def report(epochs: int | str) -> None:
            if isinstance(epochs, str):
                return
            done.append(epochs)
            if len(done) == reports:
                raise Killed

        return [function(job, report) for job in jobs]

    return run


def results() -> dict[str, object]:
    paths = [path for folder in ("models", "reports") for path in Path(folder).rglob("*") if path.is_file()]
    logs = {path.as_posix(): canonical_sha256(read_telemetry(path.parent)) for path in paths if path.suffix == ".ndjson"}
    return {path.as_posix(): path.read_bytes() for path in paths} | logs


@pytest.mark.parametrize("after", [1, 2, 11, 20, 21, 30, 40])  # of 40 epochs; the first clone has 20
def test_a_training_that_is_killed_goes_on_after_its_last_epoch_and_leaves_the_same_bytes(
    after: int, project: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, done = results(), list[int]()
    monkeypatch.setattr("headstart.stages.bc_train.run_all", killed_after(after, []))
    with pytest.raises(Killed):
        bc_train(PARAMS, scenario)

    monkeypatch.setattr("headstart.stages.bc_train.run_all", killed_after(0, done))
    bc_train(PARAMS, scenario)

    assert results() == whole
    before = [20, after - 20] if after > 20 else [after]  # epochs that are not done again
    assert (sum(done), len(done)) == (40, 40 - after + len(before))
    assert list(Path(".headstart/bc").iterdir()) == []


@pytest.mark.parametrize("step", ["save_policy", "shift_facts", "clone_gate"])
def test_a_clone_that_is_killed_after_its_training_is_only_judged(
    step: str, project: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*given: object) -> None:
        raise Killed

    whole, done = results(), list[int]()
    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(f"headstart.runs.clone_seed.{step}", kill)
        bc_train(PARAMS, scenario)
    monkeypatch.setattr("headstart.stages.bc_train.run_all", killed_after(0, done))
    bc_train(PARAMS, scenario)
    assert results() == whole
    assert done[0] == 20


def test_a_state_that_is_not_the_one_that_was_kept_is_refused(
    project: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.stages.bc_train.run_all", killed_after(3, []))
    with pytest.raises(Killed):
        bc_train(PARAMS, scenario)
    (path,) = Path(".headstart/bc").rglob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"epoch-3.safetensors: expected hash"):
        bc_train(PARAMS, scenario)


@pytest.mark.parametrize(
    "change", [{"bc_train": {"value_coef": 0.25}}, {"evaluation": {"exam_worlds": 5}}, {"network": {"hidden": [9]}}]
)
def test_other_settings_do_not_go_on_from_the_work_of_these(
    change: dict[str, dict[str, Any]], project: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.stages.bc_train.run_all", killed_after(3, []))
    with pytest.raises(Killed):
        bc_train(PARAMS, scenario)
    done: list[int] = []
    monkeypatch.setattr("headstart.stages.bc_train.run_all", killed_after(0, done))
    bc_train(tiny_params(**change), scenario)
    assert len(done) == 40


def test_a_clone_that_misses_its_gate_ends_the_stage_and_is_named(
    project: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = read_record(REPORTS / "metrics.json", CloneReports).clones
    explained = {seed: report.explained_variance or 0.0 for seed, report in reports.items()}
    worse, better = sorted(explained, key=lambda seed: explained[seed])
    assert explained[worse] < explained[better]
    wanted = tiny_params(bc_train={"min_explained_variance": (explained[worse] + explained[better]) / 2})

    monkeypatch.setattr("headstart.config.stage.run", lambda *given, **how: bc_train(wanted, scenario))
    monkeypatch.setattr(sys, "argv", ["stage", scenario.name])
    with pytest.raises(SystemExit) as ended:
        main(bc_train)

    said = capsys.readouterr().err
    assert ended.value.code == GateFailed.exit_code == 6
    assert f"error: 1 of 2 clones of nav_gap_seeker miss their gate\nseed {worse} is FAIL\n" in said
    assert f"seed {better} is" not in said
    assert {clone.seed: clone.outcome for clone in clones().clones} == {worse: "FAIL", better: "PASS"}
    assert read_record(REPORTS / f"seed-{worse}.json", Verdict).outcome is Outcome.FAIL


def test_with_one_clone_for_two_seeds_there_is_one_of_the_first_block(project: Path, scenario: Scenario) -> None:
    own = {clone.seed: clone.weights_sha256 for clone in clones().clones}
    shared: Params = tiny_params(bc_train={"clones": 1})

    done: Done = bc_train(shared, scenario)

    assert done.seeds == SEEDS[:1]
    assert {clone.seed: clone.weights_sha256 for clone in clones().clones} == {SEEDS[0]: own[SEEDS[0]]}
    assert [path.name for path in sorted(MODELS.iterdir()) if path.is_dir()] == [f"seed-{SEEDS[0]}"]
