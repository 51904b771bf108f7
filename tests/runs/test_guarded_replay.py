"""A run that learns from recorded rows: guarded, logged and resumed as on rollouts, on records of the robot and of every town."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.canonical import canonical_sha256
from tests.replayed import records_from
from tests.runs.test_guarded_run import (
    DESIGN,
    ENVELOPE,
    NETWORK,
    NOISY,
    ROLLOUT,
    Killed,
    _killer,
    inject,
    rehearsed,
    robot,
    watched,
)

from headstart.config.params import CaptureParams, NetworkParams, TelemetryParams
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.schedule import Arm
from headstart.core.errors import InputError
from headstart.dataset.episodes import Header
from headstart.guard.control import outcome
from headstart.learn.anneal import trainer_of
from headstart.learn.evaluation import Acting
from headstart.learn.rollout import Player
from headstart.learn.state import state_of, state_sha256
from headstart.runs.demonstrations import records_of
from headstart.runs.estimates import of_network
from headstart.runs.guarded_run import GuardedRun, RunSetup, run_guarded
from headstart.runs.policy import new_network
from headstart.runs.recording import record
from headstart.runs.worlds import schema_of, worlds_of
from headstart.telemetry.kinds import Finding, GuardrailLine, Minibatch, ReadingLine, RollbackLine, Update
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import FIRST_WORLD

ROOT = Path(__file__).parents[2]
TOWNS = ("queue_conflict", "employment_punctuality", "kitchen_breakfast", "rivalry_decay", "observation_baseline")
EPOCHS = 3


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return robot()


def arm_of(**more: Any) -> Arm:
    """Three epochs of replay, four updates that mix, two on rollouts."""
    ppo = {"kind": "ppo", "learning_rate": 0.003, "kl_weight": 0.1}
    phases = [
        {"name": "recall", "data": "replay", "epochs": EPOCHS} | more,
        {"name": "blend", "data": "mixed", "env_steps": 4 * ROLLOUT, "replay_share": {"from": 0.5, "to": 0.0}},
        {"name": "alone", "env_steps": 2 * ROLLOUT},
    ]
    return Arm.model_validate(
        {
            "start": "bc",
            "ppo": {"worlds": 8, "rollout_ticks": 16, "num_epochs": 2, "mini_batch_size": 64},
            "phases": [ppo | phase for phase in phases],
            "guardrails": {name: {"enabled": False} for name in NOISY},
            "accept_loosened": "a test injects its own faults",
        }
    )


def begun(run_dir: Path, scenario: Scenario, arm: Arm, **more: Any) -> tuple[GuardedRun, TelemetryWriter]:
    """A run with records of its own policy, or one that goes on."""
    guarded, telemetry = watched(run_dir, scenario, arm, **more)
    world = worlds_of(scenario, "capture", 8)
    recorded = Player(world, 5, torch.Generator().manual_seed(5)).play(new_network(world, NETWORK, 0), 40)
    guarded.trainer.records = records_from(recorded, known=True)
    return guarded, telemetry


def finish(run_dir: Path, scenario: Scenario, arm: Arm) -> GuardedRun:
    guarded, telemetry = begun(run_dir, scenario, arm)
    with telemetry:
        run_guarded(guarded)
    return guarded


def updates(run_dir: Path) -> list[Update]:
    return [line for line in read_telemetry(run_dir / "telemetry") if isinstance(line, Update)]


def test_a_replay_phase_uses_no_env_steps_and_its_log_says_what_it_learned_from(tmp_path: Path, scenario: Scenario) -> None:
    guarded, telemetry = begun(tmp_path, scenario, arm_of())
    guarded.setup = replace(guarded.setup, telemetry=TelemetryParams(minibatch=True))
    with telemetry:
        run_guarded(guarded)

    found, rows = updates(tmp_path), len(guarded.trainer.records.action)  # type: ignore[union-attr]
    assert outcome(guarded.control) == ("PASS", ())
    assert [line.env_steps for line in found] == [0] * EPOCHS + [n * ROLLOUT for n in range(1, 7)]
    assert [line.data_mode for line in found] == ["replay"] * EPOCHS + ["mixed"] * 4 + [None] * 2
    assert [line.replay_objective for line in found] == ["clipped"] * (EPOCHS + 4) + [None] * 2
    shares = [0.5, 0.375, 0.25, 0.125]
    mixed = [round(ROLLOUT * share / (1 - share)) for share in shares]
    assert [line.recorded_steps for line in found] == [rows] * EPOCHS + mixed + [None] * 2
    assert [line.transitions for line in found] == [rows] * EPOCHS + [2 * (ROLLOUT + n) for n in (*mixed, 0, 0)]
    first = found[0]
    assert first.wall.env_steps_per_s is None and first.return_mean is None
    assert first.reward_mean == pytest.approx(float(guarded.trainer.records.reward.mean()))  # type: ignore[union-attr]
    assert all((line.kl_step is None) == (line.data_mode is None) for line in found)
    steps = [line for line in read_telemetry(tmp_path / "telemetry") if isinstance(line, Minibatch) and line.iteration == 1]
    assert sum(step.transitions for step in steps) == rows and {step.pass_index for step in steps} == {0}
    assert (steps[0].kl_divergence, steps[0].clip_fraction) == (pytest.approx(0, abs=1e-5), 0)  # it replays itself


def test_guardrails_see_how_far_an_update_went_and_no_entropy_of_recorded_states(tmp_path: Path, scenario: Scenario) -> None:
    finish(tmp_path, scenario, arm_of())
    lines = read_telemetry(tmp_path / "telemetry")
    readings = [line.values for line in lines if isinstance(line, ReadingLine) and line.check == "update"]
    found = updates(tmp_path)
    assert [values["kl_divergence"] for values in readings] == [
        pytest.approx(line.kl_divergence if line.kl_step is None else line.kl_step) for line in found
    ]
    assert [values["entropy"] is None for values in readings] == [True] * EPOCHS + [False] * 6


@pytest.mark.parametrize("after", range(1, EPOCHS + 3))
def test_a_run_that_is_killed_while_it_replays_ends_with_the_same_bytes(tmp_path: Path, scenario: Scenario, after: int) -> None:
    whole = finish(tmp_path / "whole", scenario, arm_of())
    guarded, telemetry = begun(tmp_path / "killed", scenario, arm_of(), report=_killer(after))
    with pytest.raises(Killed):
        run_guarded(guarded)
    telemetry._close()
    again = finish(tmp_path / "killed", scenario, arm_of())
    assert state_sha256(state_of(again.trainer)) == state_sha256(state_of(whole.trainer))
    assert again.trainer.at == whole.trainer.at
    logs = [canonical_sha256(read_telemetry(tmp_path / name / "telemetry")) for name in ("whole", "killed")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("faults", [(), (2,), (2, 4), (3, 6), (5,), (1, 2, 3)], ids=str)
def test_a_fault_while_it_replays_takes_the_run_back_and_the_simulator_has_the_same_events(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch, faults: tuple[int, ...]
) -> None:
    inject(monkeypatch, lambda number, metrics: metrics | ({"nonfinite": 1.0} if number in faults else {}))
    arm = arm_of()
    run = finish(tmp_path, scenario, arm)

    findings, backs, again = rehearsed(tmp_path, arm)

    lines = read_telemetry(tmp_path / "telemetry")
    went = [line for line in lines if isinstance(line, RollbackLine)]
    assert all(line.restored_state_sha256 == line.to_state_sha256 for line in went)
    assert len(went) == len(faults) and len(backs) == len(faults)
    own = set(Finding.model_fields)
    assert findings == [line.model_dump(include=own) for line in lines if isinstance(line, GuardrailLine)]
    assert (again.outcome, again.reasons) == outcome(run.control)
    assert (again.at.phase, again.at.env_steps) == (run.trainer.at.phase, run.trainer.at.env_steps)


# --- records of the town ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOWNS)
@pytest.mark.parametrize("objective", ["advantage_weighted", "clipped"])
def test_tiny_replay_and_mixed_phases_train_on_a_capture(name: str, objective: str, tmp_path: Path) -> None:
    """The scripted expert's records have no log-probabilities; those of a network have."""
    torch.set_num_threads(1)
    town = load_scenario(name, ROOT / "scenarios")
    town = Scenario.model_validate(town.model_dump() | {"horizon": 24})
    world, training, evaluation = worlds_of(town, "capture", 2), worlds_of(town, "training", 8), worlds_of(town, "evaluation", 2)
    small = NetworkParams(hidden=(8,))
    settings = CaptureParams(seed=1, worlds=2, blocks=1, shard_worlds=2, slip=0.1)
    header = Header(
        scenario=town.name,
        scenario_sha256=town.sha256,
        policy_sha256="0" * 64,
        seed=1,
        observation=schema_of(world),
        writer_version="test",
    )
    expert: Any = lambda obs: world.expert_actions()  # noqa: E731 - it is asked of the world in which it acts
    if objective == "clipped":
        acting = Acting(new_network(world, small, 1), 1, "sampled")
        expert = of_network(acting, acting)
    episodes = record(world, expert, FIRST_WORLD["capture"] + np.arange(2), settings, header)
    records = records_of(episodes, SimpleNamespace(has_rewards=True))  # type: ignore[arg-type]
    assert records.objective == objective and len(records.action) == world.num_envs * 24

    arm = arm_of(epochs=1)
    trainer = trainer_of(new_network(training, small, 0), arm, training, evaluation, DESIGN, 0, records=records)
    before = state_sha256(state_of(trainer))
    with TelemetryWriter(tmp_path / "telemetry", ENVELOPE.model_copy(update={"world": "town", "scenario": name})) as telemetry:
        guarded = GuardedRun(trainer, RunSetup(town, (-8.0, 2.0), tmp_path, lambda steps: None), telemetry)
        run_guarded(guarded)

    found = updates(tmp_path)
    assert [line.data_mode for line in found if line.data_mode != "mixed"][:1] == ["replay"]
    assert {line.replay_objective for line in found if line.data_mode} == {objective}
    assert all(np.isfinite(line.loss_total or 0.0) and line.loss_policy is not None for line in found)
    assert state_sha256(state_of(trainer)) != before


def test_records_without_rewards_are_refused_before_training() -> None:
    stamp = SimpleNamespace(has_rewards=False, dataset="walks", version="abc")
    with pytest.raises(InputError, match=r"walks@abc: expected recorded rewards, .*, got none; bc_weight and phases of kind bc"):
        records_of(SimpleNamespace(), stamp)  # type: ignore[arg-type]
