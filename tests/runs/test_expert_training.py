"""A learned expert whose training is killed anywhere ends with the same bytes as one that is not, and does not begin anew."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.torture.tiny import make_project

from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.closure import code_sha256
from headstart.core.errors import IntegrityError
from headstart.runs import expert_training
from headstart.runs.expert_training import train_seed
from headstart.runs.states import state_path

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


@pytest.fixture(scope="module")
def whole(params: Params, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an uninterrupted training leaves."""
    folder = tmp_path_factory.mktemp("whole")
    done, report = killer(0)
    train_seed(params, scenario, CODE, folder, 0, report)
    assert len(done) == UPDATES
    return content(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("after", range(1, UPDATES + 1))
def test_it_goes_on_from_its_last_evaluation(
    after: int, tmp_path: Path, params: Params, scenario: Scenario, whole: dict[str, bytes]
) -> None:
    with pytest.raises(Killed):
        train_seed(params, scenario, CODE, tmp_path, 0, killer(after)[1])

    done, report = killer(0)
    train_seed(params, scenario, CODE, tmp_path, 0, report)

    assert content(tmp_path) == whole
    assert sum(done) == 512  # all steps were reported, those of before at once
    assert len(done) == UPDATES - (after - 1) + (after > 1)  # an evaluation follows every update; the killed update is done again


@pytest.mark.parametrize("step", ["save_policy", "judge_seed", "write_record"])
def test_a_training_that_is_killed_after_its_last_update_is_only_judged(
    step: str, tmp_path: Path, params: Params, scenario: Scenario, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*given: object) -> None:
        raise Killed

    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(expert_training, step, kill)
        train_seed(params, scenario, CODE, tmp_path, 0, lambda steps: None)
    done, report = killer(0)
    train_seed(params, scenario, CODE, tmp_path, 0, report)
    assert (content(tmp_path), done) == (whole, [512])


def test_a_seed_that_is_complete_is_not_trained_again(
    tmp_path: Path, params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_seed(params, scenario, CODE, tmp_path, 0, lambda steps: None)
    monkeypatch.setattr(expert_training, "trainer_of", lambda *given, **how: pytest.fail("trained again"))
    assert train_seed(params, scenario, CODE, tmp_path, 0, lambda steps: None) == first


def test_one_that_had_settled_when_it_was_killed_does_not_go_on(
    tmp_path: Path, params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expert_training, "has_settled", lambda curve, *rest: len(curve) >= 3)  # before training, and twice in it
    first = train_seed(params, scenario, CODE, tmp_path / "whole", 0, lambda steps: None)
    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(expert_training, "_table", killer(1)[1])
        train_seed(params, scenario, CODE, tmp_path / "killed", 0, lambda steps: None)
    done, report = killer(0)
    assert train_seed(params, scenario, CODE, tmp_path / "killed", 0, report) == first
    assert (first.stopped, done) == ("plateau", [128])


def test_a_state_that_is_not_the_one_that_was_kept_is_refused(tmp_path: Path, params: Params, scenario: Scenario) -> None:
    with pytest.raises(Killed):
        train_seed(params, scenario, CODE, tmp_path, 0, killer(3)[1])
    path = state_path(tmp_path / "seed-0", "at-128")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="state at-128: expected hash"):
        train_seed(params, scenario, CODE, tmp_path, 0, lambda steps: None)


def test_code_that_changed_since_the_stage_began_trains_nothing(tmp_path: Path, params: Params, scenario: Scenario) -> None:
    with pytest.raises(IntegrityError, match="expert pole: its source files changed while it began"):
        train_seed(params, scenario, "of another tree", tmp_path, 0, lambda steps: None)
    assert list(tmp_path.iterdir()) == []
