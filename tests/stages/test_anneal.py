"""An arm on its seeds: each starts from its own clone and pays for its own demonstrations; a kill costs nothing."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cloned import ROOT, SEEDS, TINY, easy, record_blocks, tiny_params
from tests.one_process import run_here
from tests.sealed import reseal

from headstart.cli import main as cli
from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.config.notify import OUTBOX
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.stage import run
from headstart.core.errors import GateFailed, InputError, UsageError
from headstart.core.files import read_record, write_record
from headstart.core.run_record import RunRecord
from headstart.dataset.episodes import Episodes, Header
from headstart.runs.pool import Report
from headstart.stages.anneal import anneal
from headstart.stages.baseline import baseline
from headstart.stages.bc_train import bc_train

MODELS, REPORTS = Path("models/nav_gap_seeker"), Path("reports/nav_gap_seeker")
PARAMS = tiny_params()


@pytest.fixture(scope="module")
def scenario(robot_walks: tuple[Scenario, Episodes, Header]) -> Scenario:
    return easy(robot_walks[0])


@pytest.fixture(scope="module")
def cloned(scenario: Scenario, robot_walks: tuple[Scenario, Episodes, Header], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with params.yaml, the scenario, and the clones of both seeds."""
    root = tmp_path_factory.mktemp("cloned")
    shutil.copy(ROOT / "dvc.yaml", root)
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS.model_dump(mode="json", by_alias=True)))
    (root / "scenarios").mkdir()
    described = scenario.model_dump(mode="json", exclude={"name"})
    (root / "scenarios/nav_gap_seeker.yaml").write_text(yaml.safe_dump(described))
    with pytest.MonkeyPatch.context() as patched, chdir(root):
        patched.setattr("headstart.stages.bc_train.run_all", run_here)
        record_blocks(scenario, robot_walks[1], robot_walks[2], PARAMS)
        bc_train(PARAMS, scenario)
    return root


@pytest.fixture(autouse=True)
def project(cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `cloned`, as the working directory; seeds are trained in this process."""
    shutil.copytree(cloned, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.runs.arm.run_all", run_here)
    return tmp_path


def clones() -> CloneRuns:
    return read_record(MODELS / "bc/clones.json", CloneRuns)


def change_clones(**changes: Any) -> None:
    """Change the record of the clone of the last seed."""
    found = clones()
    last = found.clones[-1].model_copy(update=changes)
    write_record(MODELS / "bc/clones.json", found.model_copy(update={"clones": (*found.clones[:-1], last)}))
    reseal(MODELS / "bc")


def arm_runs() -> ArmRuns:
    return read_record(MODELS / "anneal/tiny/runs.json", ArmRuns)


def test_every_seed_starts_from_its_own_clone(scenario: Scenario) -> None:
    anneal(PARAMS, scenario, "tiny")

    runs, weights = arm_runs(), {clone.seed: clone.weights_sha256 for clone in clones().clones}
    assert {run.seed: run.clone_sha256 for run in runs.runs} == weights
    assert len(set(weights.values())) == len(SEEDS)
    assert (runs.recipe, runs.rollout_steps, runs.design) == (PARAMS.arms["tiny"], 32, clones().design)
    assert [run.demonstration_steps for run in runs.runs] == [60, 60]  # five episodes of 12 steps; a script is not trained


def test_a_run_that_a_guardrail_held_is_told_to_a_person(scenario: Scenario) -> None:
    strict = TINY["arms"]["tiny"] | {"guardrails": {"reference_kl": {"flag": 1e-12}}}
    anneal(tiny_params(arms={"tiny": strict}), scenario, "tiny")
    runs = read_record(MODELS / "anneal/tiny/runs.json", ArmRuns).runs
    assert {run.outcome for run in runs} == {"HOLD"}
    told = [json.loads(line) for line in OUTBOX.read_text().splitlines()]
    assert {(one["stage"], one["arm"], one["outcome"]) for one in told} == {("anneal", "tiny", "HOLD")}
    assert {one["seed"]: tuple(one["reasons"]) for one in told} == {run.seed: run.reasons for run in runs}


def test_with_one_clone_both_seeds_start_from_it(scenario: Scenario) -> None:
    anneal(tiny_params(bc_train={"clones": 1}), scenario, "tiny")

    assert {run.clone_sha256 for run in arm_runs().runs} == {clones().clones[0].weights_sha256}


def test_a_run_is_charged_what_the_demonstrations_of_its_clone_cost(scenario: Scenario) -> None:
    change_clones(demonstration_steps=77)

    anneal(PARAMS, scenario, "tiny")

    assert [run.demonstration_steps for run in arm_runs().runs] == [60, 77]


def test_a_baseline_needs_neither_clones_nor_data_and_pays_for_neither(scenario: Scenario) -> None:
    for path in ("data", "models"):
        shutil.rmtree(path)

    baseline(PARAMS, scenario, "scratch")

    found = read_record(MODELS / "baseline/scratch/runs.json", ArmRuns)
    assert [(run.seed, run.clone_sha256, run.demonstration_steps) for run in found.runs] == [(seed, None, 0) for seed in SEEDS]
    assert len({run.checkpoint_sha256 for run in found.runs}) == 2


@pytest.mark.parametrize(("stage", "arm"), [(anneal, "scratch"), (baseline, "tiny")])
def test_an_arm_is_trained_by_its_own_stage_only(scenario: Scenario, stage: Callable[..., Any], arm: str) -> None:
    with pytest.raises(UsageError, match=f"no arm '{arm}' under "):
        run(stage, scenario.name, arm)


def test_a_stage_reads_only_what_the_pipeline_names_for_it(scenario: Scenario, project: Path) -> None:
    """A fault in dvc.yaml, after which an edit of the network would train nothing anew."""
    pipeline = (project / "dvc.yaml").read_text()
    before, entry = pipeline[: pipeline.index("  anneal:\n")], pipeline[pipeline.index("  anneal:\n") :]
    (project / "dvc.yaml").write_text(before + entry.replace("          - settings.network\n", "", 1))
    with pytest.raises(InputError, match=r"expected all settings that anneal reads .*, Params\.network is not"):
        run(anneal, scenario.name, "tiny")

    (project / "dvc.yaml").write_text(pipeline)
    run(anneal, scenario.name, "tiny")
    record = read_record(REPORTS / "anneal/tiny/run.json", RunRecord)
    assert list(record.parameters["arms.tiny"]) and record.parameters["scenario.targets"]


def test_a_clone_that_missed_its_gate_is_not_trained_on_by_a_command_that_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_clones(outcome="HOLD")
    monkeypatch.setattr(sys, "argv", ["headstart", "anneal", "nav_gap_seeker", "tiny"])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == GateFailed.exit_code == 6
    said = capsys.readouterr().err
    assert f"expected clones that passed their gate, those of seeds [{SEEDS[1]}] did not; " in said
    assert "`dvc exp run -S 'scenarios=[nav_gap_seeker]'` says why" in said
    assert not (MODELS / "anneal").exists()


def test_a_seed_without_a_clone_is_named(scenario: Scenario) -> None:
    more: Params = PARAMS.model_copy(update={"seeds": (*SEEDS, 11)})

    with pytest.raises(
        InputError, match=r"expected clones of seeds \[3, 8, 11\], \[11\] are missing; `dvc exp run -S 'scenarios"
    ):
        anneal(more, scenario, "tiny")


def test_an_arm_that_was_killed_ends_as_if_it_had_not_been(
    scenario: Scenario, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outputs() -> dict[str, bytes]:
        return {path.as_posix(): path.read_bytes() for path in sorted((MODELS / "anneal").rglob("*")) if path.is_file()}

    def killed(function: Callable[[Any, Report], Any], jobs: Sequence[Any], *rest: Any) -> list[Any]:
        """The first seed ends, the second is killed after half of its steps."""
        done = [0]

        def report(steps: int | str) -> None:
            done[0] += steps if isinstance(steps, int) else 0
            if done[0] == 128 + 64:
                raise KeyboardInterrupt

        return [function(job, report) for job in jobs]

    anneal(PARAMS, scenario, "tiny")
    whole = outputs()
    shutil.rmtree(MODELS / "anneal")
    with monkeypatch.context() as patched:
        patched.setattr("headstart.runs.arm.run_all", killed)
        with pytest.raises(KeyboardInterrupt):
            anneal(PARAMS, scenario, "tiny")
    assert outputs() == {}
    (kept,) = (project / ".headstart/arms").iterdir()
    assert {path.name for path in kept.iterdir()} == {f"seed-{seed}" for seed in SEEDS}

    anneal(PARAMS, scenario, "tiny")

    assert outputs() == whole
    assert not kept.exists()
