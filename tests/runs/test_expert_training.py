"""A learned expert whose training is killed anywhere ends with the same bytes as one that is not, and does not begin anew."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.torture.tiny import make_project

from headstart.cli.names import run_names
from headstart.cli.telemetry import _log as log_of
from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.closure import code_sha256
from headstart.core.errors import IntegrityError
from headstart.learn import anneal
from headstart.runs import expert_training, seed_training
from headstart.runs.expert_judging import judge_seeds
from headstart.runs.expert_training import job_of, train_seed
from headstart.runs.progress import SeedJob
from headstart.runs.states import copy_whole, state_path
from headstart.telemetry.check import check
from headstart.telemetry.logs import read_log
from headstart.view.explain import explain
from headstart.view.observe_runs import runs

CODE = code_sha256(["headstart.stages.expert"])
UPDATES = 8


class Killed(BaseException):
    """A kill that a test can catch."""


def killer(after: int) -> tuple[list[int], Callable[[int | str], None]]:
    """The env steps that were reported, and what reports them until the kill; 0: there is none."""
    done: list[int] = []

    def report(steps: int | str) -> None:
        if isinstance(steps, str):
            return
        done.append(steps)
        if len(done) == after:
            raise Killed

    return done, report


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    return folder


@pytest.fixture(scope="module")
def scenario(project: Path) -> Scenario:
    return load_scenario("pole", project / "scenarios")


@pytest.fixture(scope="module")
def params(project: Path, scenario: Scenario) -> Params:
    return for_scenario(load_params(project / "params.yaml"), scenario)


def job(params: Params, scenario: Scenario, work: Path) -> SeedJob:
    assert params.expert.train is not None
    return job_of(params, scenario, params.expert.train, 0, work, CODE)


@pytest.fixture(scope="module")
def whole(params: Params, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What an uninterrupted training leaves."""
    folder = tmp_path_factory.mktemp("whole")
    done, report = killer(0)
    train_seed(job(params, scenario, folder), report)
    assert len(done) == UPDATES
    return content(folder)


def content(folder: Path) -> dict[str, object]:
    """All files; of a log what two equal runs share."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: _shared(path) if path.suffix == ".ndjson" else path.read_bytes() for name, path in files.items()}


def _shared(log: Path) -> list[object]:
    return [{**json.loads(line), "wall": None} for line in log.read_text().splitlines()]


@pytest.mark.parametrize("after", range(1, UPDATES + 1))
def test_it_goes_on_from_its_last_evaluation(
    after: int, tmp_path: Path, params: Params, scenario: Scenario, whole: dict[str, object]
) -> None:
    with pytest.raises(Killed):
        train_seed(job(params, scenario, tmp_path), killer(after)[1])

    done, report = killer(0)
    train_seed(job(params, scenario, tmp_path), report)

    assert content(tmp_path) == whole
    assert sum(done) == 512  # all steps were reported, those of before at once
    assert len(done) == UPDATES - (after - 1) + 1  # an evaluation follows every update; the killed update is done again


@pytest.mark.parametrize(
    ("room", "step"), [(seed_training, "save_policy"), (expert_training, "judge_seed"), (expert_training, "write_record")]
)
def test_a_training_that_is_killed_after_its_last_update_is_only_judged(
    room: ModuleType,
    step: str,
    tmp_path: Path,
    params: Params,
    scenario: Scenario,
    whole: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kill(*given: object) -> None:
        raise Killed

    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(room, step, kill)
        train_seed(job(params, scenario, tmp_path), lambda steps: None)
    done, report = killer(0)
    train_seed(job(params, scenario, tmp_path), report)
    assert (content(tmp_path), done) == (whole, [512])


def test_a_seed_that_is_complete_is_not_trained_again(
    tmp_path: Path, params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_seed(job(params, scenario, tmp_path), lambda steps: None)
    monkeypatch.setattr(expert_training, "trainer_of", lambda *given, **how: pytest.fail("trained again"))
    assert train_seed(job(params, scenario, tmp_path), lambda steps: None) == first


def test_one_that_had_settled_when_it_was_killed_does_not_go_on(
    tmp_path: Path, params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expert_training, "has_settled", lambda curve, **rest: len(curve) >= 3)  # before training, and twice in it
    first = train_seed(job(params, scenario, tmp_path / "whole"), lambda steps: None)
    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(expert_training, "_table", killer(1)[1])
        train_seed(job(params, scenario, tmp_path / "killed"), lambda steps: None)
    done, report = killer(0)
    assert train_seed(job(params, scenario, tmp_path / "killed"), report) == first
    assert (first.stopped, done) == ("plateau", [128])


def test_a_state_that_is_not_the_one_that_was_kept_is_refused(tmp_path: Path, params: Params, scenario: Scenario) -> None:
    with pytest.raises(Killed):
        train_seed(job(params, scenario, tmp_path), killer(3)[1])
    path = state_path(tmp_path / "seed-0", "at-128")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="state at-128: expected hash"):
        train_seed(job(params, scenario, tmp_path), lambda steps: None)


def test_code_that_changed_since_the_stage_began_trains_nothing(tmp_path: Path, params: Params, scenario: Scenario) -> None:
    with pytest.raises(IntegrityError, match="expert pole: its source files changed while it began"):
        train_seed(replace(job(params, scenario, tmp_path), code_sha256="of another tree"), lambda steps: None)
    assert list(tmp_path.iterdir()) == []


def test_its_log_is_that_of_an_arm_and_tells_how_it_went(
    tmp_path: Path, params: Params, scenario: Scenario, whole: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [line["kind"] for line in whole["seed-0/telemetry/telemetry-0000.ndjson"]]  # type: ignore[attr-defined]
    assert (kinds[0], kinds.count("update"), kinds.count("evaluation"), kinds[-1]) == (
        "run_started",
        UPDATES,
        UPDATES + 1,
        "run_ended",
    )
    assert kinds.count("phase_started") == kinds.count("phase_ended") == 1
    log = Path("reports/pole/expert/telemetry/seed-0")  # where the stage leaves it
    monkeypatch.chdir(tmp_path)
    train_seed(job(params, scenario, tmp_path), lambda steps: None)
    copy_whole(tmp_path / "seed-0/telemetry", log)

    told = explain(tmp_path, "pole/expert/seed-0").text

    assert log_of("pole/expert/seed-0") == log
    assert list(runs(tmp_path)) == run_names("pole/e") == ["pole/expert/seed-0"]
    assert not check(read_log(log), strict=True)
    assert told.startswith(
        "Seed 0 of expert on pole starts from random weights and was trained for 512 env steps: learn (ppo, 512 steps"
    )
    assert "success 4 of 4" in told and "It met gate before training." in told


@pytest.mark.parametrize(("broken", "stopped"), [({3}, "budget"), (set(range(1, 100)), "guardrail")])
def test_an_update_that_is_not_finite_is_taken_back_and_ends_a_training_that_cannot_do_without(
    broken: set[int], stopped: str, tmp_path: Path, params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    update, made = anneal.update, []

    def spoiled(*given: Any) -> Any:
        made.append(None)
        return update(*given) | ({"nonfinite": 1.0} if len(made) in broken else {})

    monkeypatch.setattr(anneal, "update", spoiled)
    found = train_seed(job(params, scenario, tmp_path), lambda steps: None)

    assert found.stopped == stopped
    assert bool(found.reasons) == (stopped == "guardrail")
    kinds = [line["kind"] for line in _shared(tmp_path / "seed-0/telemetry/telemetry-0000.ndjson")]  # type: ignore[index]
    assert "rollback" in kinds
    least = params.model_copy(update={"expert": params.expert.model_copy(update={"min_seeds": 1})})
    seeds = judge_seeds(least, scenario, [found])[1].checks[0]
    assert seeds.passed == (stopped == "budget")  # a seed that was not trained to its end is none of those that the gate asks for
