"""A scenario with recorded demonstrations, from the file to clones and a comparison: what is absent does not apply, faults are found."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from tests.one_process import run_here
from tests.poles import POLE, ROOT, TUNE, pole_project, record_poles
from typer.testing import CliRunner

from headstart.cli.main import app
from headstart.cli.tune import clones_folder
from headstart.compare.arm_runs import CloneRuns
from headstart.compare.comparison import Comparison
from headstart.config.checked import merged
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.errors import GateFailed, HeadstartError, InputError, IntegrityError
from headstart.core.files import read_record
from headstart.core.verdict import Verdict
from headstart.dataset.cures import RECORDED_CURES
from headstart.dataset.formats.reading import FORMATS, read_recording
from headstart.dataset.formats.recording import Recording
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.clone_report import CloneReports
from headstart.runs.recorded import SOURCE, Source, source_folder
from headstart.runs.targets import Measured, measure
from headstart.stages.anneal import anneal
from headstart.stages.baseline import baseline
from headstart.stages.bc_train import bc_train
from headstart.stages.capture import capture
from headstart.stages.catalogue import catalogue
from headstart.stages.curate import curate
from headstart.stages.evaluate import evaluate
from headstart.stages.expert import expert
from headstart.stages.source import source
from headstart.stages.validate import validate

TO_DATA = (source, expert, capture, curate, validate)


@pytest.fixture(autouse=True)
def one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.cli.project._typed_in", Path())
    monkeypatch.chdir(tmp_path)
    for module in ("headstart.stages.bc_train", "headstart.runs.arm"):
        monkeypatch.setattr(f"{module}.run_all", run_here)


@pytest.fixture(scope="module")
def poles() -> Recording:
    return record_poles()


def checks_of(scenario: Scenario) -> dict[str, str]:
    """Gate → PASS, HOLD, FAIL or n/a."""
    verdict = read_record(Path("reports") / scenario.name / "validate/verdict.json", Verdict)
    return {check.name: check.outcome.value if check.outcome else "n/a" for check in verdict.checks}


def run(project: tuple[Params, Scenario], *stages: Callable[..., Any]) -> list[str]:
    return [stage(*project).says for stage in stages]


def test_a_recording_becomes_clones_and_is_compared_without_an_expert(poles: Recording) -> None:
    params, scenario = project = pole_project(poles)

    says = run(project, *TO_DATA, catalogue, bc_train)

    assert says[0] == "source pole: 60 episodes, 3,600 steps of demonstrations/mine.npz; success 1.000, return 60.000"
    assert "30 episodes replayed exactly" in says[4]
    assert "success 1.000 to 1.000 (recorded 1.000)" in says[6]
    manifest = read_record(Path("data/pole/validated.json"), DatasetManifest)
    assert [block.recorded.episodes for block in manifest.blocks] == [30, 30]
    assert manifest.expert == "demonstrations"
    assert set(checks_of(scenario).values()) == {"PASS"}
    assert RECORDED_CURES.keys() <= checks_of(scenario).keys() | {"action-coverage"}  # of a scenario that asks for shares
    clones = read_record(Path("models/pole/bc/clones.json"), CloneRuns).clones
    assert [clone.expert for clone in clones] == [None, None]
    assert [clone.recorded.return_mean for clone in clones if clone.recorded] == [60.0, 60.0]
    assert [clone.demonstration_steps for clone in clones] == [1800, 1800]  # what all-in charges: the recorded steps of the block

    baseline(params, scenario, "scratch")
    anneal(params, scenario, "tiny")
    said = evaluate(params, scenario).says

    assert "left out: final-expert, not applicable (demonstrations are recorded, and no expert plays on the exam worlds)" in said
    found = read_record(Path("reports/evaluate/pole/held.json"), Comparison)
    assert found.final["expert"] == {}
    assert found.final["clone"].keys() == {"success", "harm", "return"}
    left_out = {check.name: check.text for check in found.verdict.checks if not check.applies}
    assert left_out.keys() == {"final-expert", "shift-agreement"}
    assert "no expert plays on the exam worlds" in left_out["final-expert"]


def test_a_recording_that_is_too_short_for_its_blocks_is_refused_by_the_first_stage_that_reads_it(poles: Recording) -> None:
    project = pole_project(poles, {"recipe": merged(POLE["recipe"], {"validate": {"min_episodes": 31}})})
    with pytest.raises(
        GateFailed, match=r"expected 31 episodes in each of 2 blocks .* 60 episodes make 30; set `validate: \{min_episodes: 27\}`"
    ):
        run(project, source)
    assert not source_folder(project[1]).exists()


def test_what_a_recording_lacks_is_not_applicable_and_nothing_learns_from_it(poles: Recording) -> None:
    bare = replace(poles, rewards=None, terminated=None, truncated=None, final_observations=None, seeds=None)
    params, scenario = project = pole_project(bare, {"success": ["every return >= 60"]})

    says = run(project, *TO_DATA, bc_train)

    assert says[0].endswith("absent: rewards, ends, final_observations, seeds, success, harm")
    checks = checks_of(scenario)
    absent = {name for name, outcome in checks.items() if outcome == "n/a"}
    assert absent == {
        "reward-sums", "one-end", "one-kind-of-end", "observation-repeats", "success-rate", "reward-varies",
        "replay-sample", "replay-mismatches", "seeds",
    }  # fmt: skip
    assert {checks[name] for name in checks.keys() - absent} == {"PASS"}
    manifest = read_record(Path("data/pole/validated.json"), DatasetManifest)
    assert (manifest.quality.return_mean, manifest.quality.success_rate, manifest.quality.steps_mean) == (None, None, 60)
    reports = read_record(Path("reports/pole/bc_train/metrics.json"), CloneReports).clones
    assert {one.value_error for one in reports.values()} == {None}
    verdict = read_record(Path("reports/pole/bc_train/seed-8.json"), Verdict)
    left_out = [check.name for check in verdict.checks if not check.applies]
    assert left_out == ["value-head", "closed-loop-success"]
    before = read_record(Path("models/pole/bc/clones.json"), CloneRuns)
    assert before.clones[0].recorded is None

    critic = {"name": "critic", "kind": "critic", "env_steps": 64, "learning_rate": 0.001}
    again = {"name": "again", "kind": "bc", "epochs": 1, "learning_rate": 0.001}
    recipe = merged(
        POLE["recipe"], {"arms": {"tiny": {"phases": [critic, again, TUNE]}, "scratch": {"phases": [TUNE | {"env_steps": 192}]}}}
    )
    params, scenario = pole_project(bare, {"success": ["every return >= 60"], "recipe": recipe})
    anneal(params, scenario, "tiny")  # a critic phase fits the critic, and a bc phase leaves it alone


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_recording_that_is_shifted_by_one_is_refused_by_statistics(poles: Recording, shift: int) -> None:
    actions = poles.actions.reshape(60, 60)
    wrong = replace(poles, actions=np.roll(actions, shift, axis=1).ravel(), seeds=None, final_observations=None)
    project = pole_project(wrong)
    with pytest.raises(
        GateFailed, match="lag-agreement: a recording that stores the observation from which an action was chosen"
    ):
        run(project, *TO_DATA)
    checks = checks_of(project[1])
    assert [name for name, outcome in checks.items() if outcome not in ("PASS", "n/a")] == ["lag-agreement"]


def swing(episodes: int = 30, steps: int = 60) -> Recording:
    """Pendulums that are swung up and held: continuous actions within −2 … 2, of which the environment takes more than it sees."""
    env = gym.make("Pendulum-v1")
    rows, actions, rewards, finals = [], [], [], []
    for seed in range(episodes):
        seen, _ = env.reset(seed=seed)
        for _ in range(steps):
            angle = np.arctan2(seen[1], seen[0])
            push = -10 * angle - 2 * seen[2] if abs(angle) < 1 else 2 * np.sign(seen[2])
            rows.append(seen)
            actions.append(np.clip([push], -2, 2).astype(np.float32))
            seen, reward, _, _, _ = env.step(actions[-1])
            rewards.append(float(reward))
        finals.append(seen)
    length, no = np.full(episodes, steps), np.zeros(episodes, bool)
    columns = {"rewards": np.array(rewards), "final_observations": np.array(finals), "seeds": np.arange(episodes)}
    return Recording(np.array(rows), np.array(actions), length, terminated=no, truncated=~no, **columns)


def test_continuous_actions_replay_up_to_their_rounding_and_a_shift_of_them_is_found() -> None:
    changes = {
        "setup": {"id": "Pendulum-v1"},
        "success": ["every steps >= 60"],
        "harm": ["any steps < 1"],
        "feature_range": [-10, 10],
        "constant_reward": False,
    }
    right = swing()
    project = pole_project(right, changes)
    run(project, *TO_DATA)
    assert set(checks_of(project[1]).values()) == {"PASS"}
    for by in (-1, 1):
        wrong = np.roll(right.actions.reshape(30, 60, 1), by, axis=1).reshape(-1, 1)
        project = pole_project(replace(right, actions=wrong, seeds=None), changes)
        with pytest.raises(GateFailed, match=r"1 of 2[0-9] gates\n.*lag-agreement"):
            run(project, *TO_DATA)


def test_actions_of_another_recording_do_not_replay(poles: Recording) -> None:
    actions = poles.actions.copy()
    actions[30::60] = 1 - actions[30::60]
    project = pole_project(replace(poles, actions=actions))
    with pytest.raises(GateFailed, match="30 of 30 differ from the recording"):
        run(project, *TO_DATA)


def test_duplicates_are_rejected_and_nan_is_not_imported(poles: Recording) -> None:
    twice = replace(
        poles,
        observations=np.concatenate([poles.observations, poles.observations[:60]]),
        actions=np.concatenate([poles.actions, poles.actions[:60]]),
        rewards=np.ones(3660),
        length=np.full(61, 60),
        **{
            name: np.concatenate([getattr(poles, name), getattr(poles, name)[:1]])
            for name in ("terminated", "truncated", "seeds")
        },
        final_observations=np.concatenate([poles.final_observations, poles.final_observations[:1]]),
    )
    project = pole_project(twice)
    says = run(project, *TO_DATA)
    assert "1 rejected {'duplicate': 1}" in says[3]
    broken = poles.observations.copy()
    broken[61, 2] = np.nan
    with pytest.raises(InputError, match="expected finite numbers, got nan in episode 1, row 1"):
        source(*pole_project(replace(poles, observations=broken)))


def test_a_floor_under_returns_needs_rewards(poles: Recording) -> None:
    recipe = merged(POLE["recipe"], {"curate": {"min_return": 1.0}})
    project = pole_project(replace(poles, rewards=None), {"recipe": recipe})
    with pytest.raises(InputError, match=r"curate.min_return: expected null, since the recording of pole has no rewards"):
        run(project, source, expert, capture, curate)


def test_a_scenario_with_an_expert_leaves_a_record_that_depends_on_nothing(poles: Recording) -> None:
    gate = {"policy": "ppo", "success_rate": 0.9, "harm_rate": 1.0}
    records = []
    for seed in (1, 2):
        recipe = merged(POLE["recipe"], {"capture": {"seed": seed}})
        params, scenario = pole_project(record_poles(4, seed=seed), {"demonstrations": None, "expert": gate, "recipe": recipe})
        source(params, scenario)
        records.append({path.name: path.read_bytes() for path in source_folder(scenario).iterdir()})
    assert records[0] == records[1]
    assert records[0].keys() == {"source.json", "environment.json", "contents.json"}
    assert json.loads(records[0]["source.json"])["files"] == {}


def test_capture_refuses_another_recording_than_the_one_of_the_expert_stage(poles: Recording) -> None:
    project = pole_project(poles)
    run(project, source, expert)
    Path("demonstrations/mine.npz").unlink()
    project = pole_project(record_poles(50))
    source(*project)
    with pytest.raises(IntegrityError, match="expected the recording of which the stage expert took note, got another"):
        capture(*project)
    shutil.rmtree(source_folder(project[1]))
    with pytest.raises(HeadstartError, match="dvc repro source@pole"):
        expert(*project)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_dataset_is_exported_and_imported_again(poles: Recording, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip({"minari": "minari", "lerobot": "pyarrow"}.get(kind, "numpy"))
    project = pole_project(poles)
    run(project, *TO_DATA)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    out = Path(f"demonstrations/again{'.npz' if kind == 'npz' else '.h5' if kind == 'hdf5' else ''}")
    done = CliRunner().invoke(app, ["export", "pole", "--format", kind, "--out", str(out)], catch_exceptions=False)
    assert "60 episodes, 3,600 steps" in done.output

    found = read_recording(kind, out)
    assert found.steps == 3600
    again = pole_project(poles, {"demonstrations": {"format": kind, "path": str(out)}})
    run(again, *TO_DATA)
    before = Source.model_validate_json((source_folder(project[1]) / SOURCE).read_bytes())
    assert before.score is not None
    assert before.score.return_mean == 60
    lost = {"lerobot": ("final_observations", "seeds"), "hdf5": ("seeds",)}.get(kind, ())
    assert before.absent == lost
    first, last = read_record(Path("data/pole/validated.json"), DatasetManifest).blocks
    assert (first.accepted.steps, last.accepted.steps) == (1800, 1800)
    with pytest.raises(InputError, match="expected a path where nothing is yet"):
        CliRunner().invoke(app, ["export", "pole", "--format", kind, "--out", str(out)], catch_exceptions=False)


def test_an_export_says_which_infos_it_does_not_have(poles: Recording) -> None:
    _, scenario = pole_project(poles)
    setup = {**scenario.setup, "info": {"cost": {"gather": "sum", "absent": 0}}}
    run(pole_project(poles, {"setup": setup}), *TO_DATA)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    done = CliRunner().invoke(app, ["export", "pole", "--format", "npz", "--out", "x.npz"], catch_exceptions=False)
    assert done.output.endswith("absent: infos.cost\n")


def test_a_version_that_is_not_here_is_named(poles: Recording) -> None:
    project = pole_project(poles)
    run(project, *TO_DATA, catalogue)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    with pytest.raises(
        InputError, match=r"pole@000000000000: the version that is checked out is [0-9a-f]{12}; `headstart catalogue list`"
    ):
        CliRunner().invoke(app, ["export", "pole@000000000000", "--format", "npz", "--out", "x.npz"], catch_exceptions=False)


def test_targets_come_from_the_recorded_episodes_themselves(poles: Recording) -> None:
    targets = {
        "expert_level": {"success_rate": 0.5, "return_mean": 1.0},
        "beyond_expert": {"success_rate": 0.5, "return_mean": 1.0},
    }
    params, scenario = pole_project(poles, {"targets": targets})
    source(params, scenario)
    found = measure(params, scenario, "2030-01-01T00:00:00Z", None)
    assert found.expert.return_mean == Measured(mean=60.0, standard_error=0.0)
    # 60 of 60 episodes: p = 61/62, √(p (1 − p) / 60) = 0.01626
    assert found.expert.success_rate.standard_error == pytest.approx(0.01626, abs=1e-5)
    assert (found.targets["expert_level"].success_rate, found.targets["beyond_expert"].return_mean) == (0.98, 61.5)
    params, scenario = pole_project(replace(poles, rewards=None), {"targets": targets})
    source(params, scenario)
    with pytest.raises(InputError, match="it lacks rewards; write the targets by hand"):
        measure(params, scenario, "2030-01-01T00:00:00Z", None)


def test_tuning_of_an_arm_that_starts_from_clones_is_refused(poles: Recording) -> None:
    params, scenario = pole_project(poles)
    with pytest.raises(InputError, match="clones of them would be those of the report"):
        clones_folder(params, scenario)


def test_formats_are_listed_and_the_layout_of_one_is_printed() -> None:
    listed = CliRunner().invoke(app, ["formats"], catch_exceptions=False).output
    assert [line.split()[0] for line in listed.splitlines()] == ["npz", "minari", "lerobot", "hdf5"]
    assert "np.savez(" in CliRunner().invoke(app, ["formats", "npz"], catch_exceptions=False).output
    assert "LeRobot" in CliRunner().invoke(app, ["formats", "lerobot"], catch_exceptions=False).output
