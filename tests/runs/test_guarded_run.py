"""A run under guard: an injected fault takes it back bit for bit, a kill costs it nothing, and a checkpoint that is not whole is passed over."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.canonical import canonical_sha256

from headstart.config.params import EvaluationParams, NetworkParams, TelemetryParams
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.schedule import Arm, Phase
from headstart.core.errors import IntegrityError
from headstart.guard.control import outcome
from headstart.guard.simulation import simulate
from headstart.guard.traces import recorded_run
from headstart.learn import anneal
from headstart.learn.anneal import Trainer, trainer_of
from headstart.learn.demonstrations import demonstrations
from headstart.learn.ppo import Metrics
from headstart.learn.rollout import Player
from headstart.learn.state import state_of, state_sha256
from headstart.runs.guarded_run import GuardedRun, RunSetup, resume, run_guarded
from headstart.runs.policy import new_network
from headstart.runs.progress import load_progress
from headstart.runs.states import state_path
from headstart.runs.worlds import score_of, worlds_of
from headstart.telemetry.kinds import AnyLine, Envelope, Finding, GuardrailLine, Minibatch, ReadingLine, RollbackLine, Update
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter

ROOT = Path(__file__).parents[2]
ROLLOUT = 8 * 16  # env steps
ROLLOUTS = 8
NOISY = ("grad_norm", "entropy", "loss_drift", "return_drop", "success_drop", "harm_rise")  # on a handful of episodes
UPDATES = 1 + ROLLOUTS
ENVELOPE = Envelope(run_id="arm-nav-0", arm="pretrained", world="nav", scenario="nav_mixed", seed=0, stage="anneal")
NETWORK = NetworkParams(hidden=(16,), normalise=True)
DESIGN = EvaluationParams(seed=1, worlds=4, every=2 * ROLLOUT, exam_seed=2, exam_worlds=4)
Change = Callable[[int, Metrics], Metrics]  # number of the update → what its metrics become


def robot() -> Scenario:
    """The robot's walks, cut short."""
    return Scenario.model_validate(load_scenario("nav_mixed", ROOT / "scenarios").model_dump() | {"horizon": 30})


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return robot()


def arm_of(**more: Any) -> Arm:
    """A critic phase and eight updates, held to nothing but what a test injects."""
    quiet = {name: {"enabled": False} for name in NOISY}
    tune = {"name": "tune", "kind": "ppo", "env_steps": ROLLOUTS * ROLLOUT, "learning_rate": {"from": 0.003, "to": 0}}
    return Arm.model_validate(
        {
            "start": "bc",
            "ppo": {"worlds": 8, "rollout_ticks": 16, "num_epochs": 2, "mini_batch_size": 64},
            "phases": [{"name": "warm", "kind": "critic", "env_steps": ROLLOUT, "learning_rate": 0.003}, tune | more],
            "guardrails": quiet,
            "accept_loosened": "a test injects its own faults",
        }
    )


def trainer(scenario: Scenario, arm: Arm) -> Trainer:
    torch.set_num_threads(1)
    training, evaluation = worlds_of(scenario, "training", 8), worlds_of(scenario, "evaluation", 4)
    return trainer_of(new_network(training, NETWORK, 0), arm, training, evaluation, DESIGN, 0)


def watched(
    run_dir: Path, scenario: Scenario, arm: Arm | None = None, report: Callable[[int | str], None] = lambda steps: None
) -> tuple[GuardedRun, TelemetryWriter]:
    """A run that has not begun, or goes on from what was kept."""
    progress = load_progress(run_dir)
    telemetry = TelemetryWriter(run_dir / "telemetry", ENVELOPE, keep=progress.telemetry_seq if progress else 0)
    setup = RunSetup(scenario, (-8.0, 2.0), run_dir, report)
    guarded = GuardedRun(trainer(scenario, arm or arm_of()), setup, telemetry)
    if progress:
        try:
            resume(guarded, progress)
        except IntegrityError:
            telemetry._close()
            raise
    return guarded, telemetry


def finish(run_dir: Path, scenario: Scenario, arm: Arm | None = None) -> GuardedRun:
    guarded, telemetry = watched(run_dir, scenario, arm)
    with telemetry:
        run_guarded(guarded)
    return guarded


def rollbacks(run_dir: Path) -> list[RollbackLine]:
    return [line for line in read_telemetry(run_dir / "telemetry") if isinstance(line, RollbackLine)]


def inject(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Change what updates report, by their number, counted over the whole run."""
    update, made = anneal.update, []

    def changed(*arguments: Any) -> Metrics:
        made.append(None)
        return change(len(made), update(*arguments))

    monkeypatch.setattr(anneal, "update", changed)


def broken(*numbers: int) -> Change:
    return lambda number, metrics: metrics | ({"nonfinite": 1.0, "loss_total": float("nan")} if number in numbers else {})


def test_a_quiet_run_completes_and_passes(tmp_path: Path, scenario: Scenario) -> None:
    guarded = finish(tmp_path, scenario)
    assert (guarded.control.status, guarded.rollbacks, rollbacks(tmp_path)) == ("completed", 0, [])
    assert outcome(guarded.control) == ("PASS", ())
    assert guarded.trainer.at.env_steps == guarded.trainer.arm.budget == UPDATES * ROLLOUT


def test_a_number_that_is_none_takes_the_run_back_exactly_and_it_goes_on_within_its_budget(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(6))
    guarded = finish(tmp_path, scenario)
    (line,) = rollbacks(tmp_path)
    assert line.restored_state_sha256 == line.to_state_sha256 != line.from_state_sha256
    assert (line.next, line.attempt, line.env_steps_discarded > 0) == ("retry", 1, True)
    assert (guarded.control.status, guarded.rollbacks) == ("completed", 1)
    assert guarded.trainer.at.env_steps == guarded.trainer.arm.budget  # what was thrown away stays charged
    assert guarded.trainer.at.attempt == 1


def test_the_state_that_is_gone_back_to_is_the_one_that_was_kept(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(6))
    guarded, telemetry = watched(tmp_path, scenario)
    obs = []
    monkeypatch.setattr(
        "headstart.runs.guarded_run.begin_retry", lambda trainer, *rest: obs.append(state_sha256(state_of(trainer)))
    )
    with telemetry:
        run_guarded(guarded)
    (line,) = rollbacks(tmp_path)
    kept = {r.checkpoint_id: r.state_sha256 for r in read_telemetry(tmp_path / "telemetry") if r.kind == "checkpoint"}
    assert obs == [kept[line.to_checkpoint_id]]


def test_after_the_last_retry_the_run_stops_with_the_weights_of_its_safe_state(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(*range(3, 99)))
    guarded = finish(tmp_path, scenario)
    lines = rollbacks(tmp_path)
    assert [line.next for line in lines] == ["retry", "retry", "stop"]
    assert guarded.control.status == "stopped" and outcome(guarded.control)[0] == "FAIL"
    assert state_sha256(state_of(guarded.trainer)) == lines[-1].to_state_sha256


def test_a_freeze_ends_the_learning_and_holds(tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(monkeypatch, lambda number, metrics: metrics | {"grad_norm": 9.0 if number > 4 else 0.1})
    arm = arm_of(guardrails={"grad_norm": {"enabled": True}})
    guarded = finish(tmp_path, scenario, arm)
    assert guarded.control.status == "frozen" and outcome(guarded.control)[0] == "HOLD"
    assert guarded.trainer.at.env_steps < guarded.trainer.arm.budget
    assert [line.next for line in rollbacks(tmp_path)] == ["hold"]


def test_rollouts_of_the_expert_alone_say_nothing_of_the_policys_entropy(tmp_path: Path, scenario: Scenario) -> None:
    first = {"expert_share": {"from": 1.0, "to": 0.0, "shape": "step", "over": 0.5}, "blend": "step"}
    guarded, telemetry = watched(tmp_path, scenario, arm_of(guardrails={"entropy": {"enabled": True}}, **first))
    player = guarded.trainer.player
    guarded.trainer.player = Player(player.world, 0, player.generator, lambda obs: np.zeros((8, 2), np.float32), 30)
    with telemetry:
        run_guarded(guarded)
    readings = [line.values for line in read_telemetry(tmp_path / "telemetry") if isinstance(line, ReadingLine)]
    warm, *tune = [values["entropy"] for values in readings if "entropy" in values]
    assert tune[:4] == [None] * 4
    assert all(isinstance(value, float) for value in (warm, *tune[4:]))
    assert guarded.control.status == "completed"


def test_demonstrations_that_are_not_finite_stop_the_run(tmp_path: Path, scenario: Scenario) -> None:
    clone = Phase.model_validate({"name": "clone", "kind": "bc", "epochs": 3, "learning_rate": 0.01})
    guarded, telemetry = watched(tmp_path, scenario, arm_of().model_copy(update={"phases": (clone, *arm_of().phases)}))
    obs = {"features": np.zeros((64, len(guarded.trainer.player.world.names.features)), np.float32)}
    broken_data = demonstrations(obs, np.zeros((64, 2), np.float32), np.full(64, np.nan), np.array([64]), 0.99)
    guarded.trainer.demonstrations = broken_data, broken_data
    with telemetry:
        run_guarded(guarded)
    assert (guarded.control.status, outcome(guarded.control)[0]) == ("stopped", "FAIL")
    assert "bc_accuracy nan" in outcome(guarded.control)[1][0]
    assert all(torch.isfinite(weight).all() for weight in guarded.trainer.network.state_dict().values())


def test_an_expert_no_better_than_an_untrained_policy_gives_no_scale(tmp_path: Path, scenario: Scenario) -> None:
    guarded, telemetry = watched(tmp_path, scenario)
    guarded.setup = replace(guarded.setup, returns=(1.0, 1.0))
    with telemetry:
        run_guarded(guarded)
    assert guarded.control.status == "completed" and "return_normalised" not in guarded.reference


def test_a_measure_that_halves_is_a_kpi_lost_and_freezes(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = iter([7000.0, 7000.0] * 2 + [3500.0] * 99)  # sampled and likeliest actions of each evaluation
    monkeypatch.setattr(
        "headstart.runs.guarded_run.score_of",
        lambda *of: score_of(*of).model_copy(update={"measures": {"stl_bp": next(means)}}),
    )
    guarded = finish(tmp_path, scenario)
    assert guarded.control.status == "frozen" and outcome(guarded.control)[0] == "HOLD"
    lines = [line for line in read_telemetry(tmp_path / "telemetry") if isinstance(line, GuardrailLine)]
    found = [(line.value, line.baseline, line.decision) for line in lines if line.guardrail == "kpi_drop"]
    assert found == [(0.5, 1.0, "freeze")]


def test_a_checkpoint_that_is_not_whole_is_passed_over_and_named(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(9))
    guarded, telemetry = watched(tmp_path, scenario)
    damaged = []

    def damage(steps: int | str) -> None:
        """When the fault is about to be seen, the newest safe state has lost a byte."""
        if guarded.trainer.at.updates == 9 and not damaged:
            damaged.append(guarded.control.safe[-1])
            path = state_path(tmp_path, damaged[0])
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(data)

    guarded.setup = RunSetup(scenario, guarded.setup.returns, tmp_path, damage)
    with telemetry:
        run_guarded(guarded)
    (line,) = rollbacks(tmp_path)
    assert [skipped.id for skipped in line.skipped_checkpoints] == damaged
    assert line.to_checkpoint_id not in damaged and line.restored_state_sha256 == line.to_state_sha256


def test_without_a_whole_checkpoint_the_run_ends_with_an_error(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(4))
    guarded, telemetry = watched(tmp_path, scenario)

    def remove(steps: int | str) -> None:
        for path in (tmp_path / "states").glob("*"):
            path.unlink()

    guarded.setup = RunSetup(scenario, guarded.setup.returns, tmp_path, remove)
    with pytest.raises(IntegrityError, match="no checkpoint can be gone back to"), telemetry:
        run_guarded(guarded)


class Killed(BaseException):
    """A kill that a test can catch."""


def kill(run_dir: Path, scenario: Scenario, after: int) -> None:
    """Run until so many updates are done; the log keeps what was written after the last state, and a line that was torn."""
    guarded, telemetry = watched(run_dir, scenario, report=_killer(after))
    with pytest.raises(Killed):
        run_guarded(guarded)
    telemetry._close()
    with (run_dir / "telemetry/telemetry-0000.ndjson").open("ab") as log:
        log.write(b'{"torn')


@pytest.mark.parametrize("after", range(1, UPDATES))
def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, scenario: Scenario, after: int) -> None:
    whole = finish(tmp_path / "whole", scenario)
    kill(tmp_path / "killed", scenario, after)
    again = finish(tmp_path / "killed", scenario)
    assert state_sha256(state_of(again.trainer)) == state_sha256(state_of(whole.trainer))
    assert again.trainer.at == whole.trainer.at
    assert again.curve == whole.curve
    logs = [canonical_sha256(read_telemetry(tmp_path / name / "telemetry")) for name in ("whole", "killed")]
    assert logs[0] == logs[1]


def _killer(after: int) -> Callable[[int | str], None]:
    done: list[int] = []

    def report(steps: int | str) -> None:
        if isinstance(steps, str):
            return
        done.append(steps)
        if len(done) == after:
            raise Killed

    return report


def test_a_run_that_is_killed_after_a_rollback_ends_with_the_same_bytes(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = anneal.update

    def changed(network: Any, optimizer: Any, rollout: Any, *rest: Any) -> Metrics:
        """The fault lies in the data: it is there again when the same steps are."""
        metrics = update(network, optimizer, rollout, *rest)
        return metrics | ({"nonfinite": 1.0} if float(rollout.log_prob.sum()) in faulty else {})

    sums = []
    monkeypatch.setattr(anneal, "update", lambda *a: (sums.append(float(a[2].log_prob.sum())), update(*a))[1])
    finish(tmp_path / "before", scenario)
    faulty = {sums[4]}
    monkeypatch.setattr(anneal, "update", changed)
    whole = finish(tmp_path / "whole", scenario)
    kill(tmp_path / "killed", scenario, after=8)
    again = finish(tmp_path / "killed", scenario)
    assert whole.rollbacks == again.rollbacks == 1
    assert state_sha256(state_of(again.trainer)) == state_sha256(state_of(whole.trainer))


def test_a_state_that_was_changed_is_not_gone_on_from(tmp_path: Path, scenario: Scenario) -> None:
    kill(tmp_path, scenario, after=6)
    progress = load_progress(tmp_path)
    assert progress is not None
    path = state_path(tmp_path, progress.latest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="expected hash"):
        watched(tmp_path, scenario)


FAULTS: dict[str, dict[int, Metrics]] = {  # number of the update → what its metrics become
    "none": {},
    "one that is not finite": {6: {"nonfinite": 1.0, "loss_total": float("nan")}},
    "the first of a phase": {2: {"nonfinite": 1.0}},
    "the last": {9: {"nonfinite": 2.0}},
    "in every attempt": {n: {"nonfinite": 1.0} for n in range(3, 99)},
    "steep": {n: {"grad_norm": 9.0} for n in (5, 6, 7)},
    "far from the clone": {n: {"kl_to_reference": 3.0} for n in (4, 5, 6)},
    "a loss that grows": {n: {"loss_total": 10.0 * n} for n in range(4, 9)},
}
SOME = {"grad_norm": {"enabled": True}, "loss_drift": {"enabled": True}}
ALL = {name: {"enabled": True, "hits": 2} for name in NOISY}


def rehearsed(run_dir: Path, arm: Arm) -> tuple[list[dict[str, Any]], list[tuple[int, int]], Any]:
    """The findings, the rollbacks (from and to, env steps) and the end of the run's own trace in the simulator."""
    readings, reference = recorded_run(run_dir / "telemetry")
    again = simulate(arm, readings, DESIGN.every, reference, own_reference=True)
    findings = [event.finding.model_dump() for event in again.events if event.finding]
    backs = [(event.env_steps, int(event.checkpoint.split("@")[1])) for event in again.events if event.checkpoint]
    return findings, backs, again


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("watching", [SOME, ALL], ids=["for what is injected", "everything"])
def test_the_trace_of_a_run_gives_its_own_events_in_the_simulator(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch, faults: dict[int, Metrics], watching: dict[str, Any]
) -> None:
    inject(monkeypatch, lambda number, metrics: metrics | faults.get(number, {}))
    arm = arm_of(guardrails=watching)
    run = finish(tmp_path, scenario, arm)

    findings, backs, again = rehearsed(tmp_path, arm)

    lines = read_telemetry(tmp_path / "telemetry")
    kept = {state.checkpoint_id: state.env_steps for state in lines if state.kind == "checkpoint"}
    own = set(Finding.model_fields)
    assert findings == [line.model_dump(include=own) for line in lines if isinstance(line, GuardrailLine)]
    went = [(line.env_steps, kept[line.to_checkpoint_id]) for line in rollbacks(tmp_path) if line.next != "hold"]
    assert backs == went
    assert (again.outcome, again.reasons) == outcome(run.control)
    spent = ("phase", "env_steps", "phase_from", "attempt_from", "attempt")
    assert [getattr(again.at, name) for name in spent] == [getattr(run.trainer.at, name) for name in spent]
    same = ("status", "hits", "open", "applied", "not_applicable", "loosened")
    assert [getattr(again.control, name) for name in same] == [getattr(run.control, name) for name in same]


def test_a_first_update_that_is_not_finite_is_nothing_to_compare_with(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(2))  # the first of its phase
    run = finish(tmp_path, scenario)
    assert run.rollbacks == 1 and math.isfinite(run.reference["loss_total"])


# --- what the log holds of its updates ----------------------------------------------------------------------------------


def sampled(run_dir: Path, scenario: Scenario, log_bytes: int = 1 << 28, **settings: Any) -> tuple[AnyLine, ...]:
    """The log of a run with such `telemetry`."""
    guarded, telemetry = watched(run_dir, scenario)
    telemetry._max_total_bytes = log_bytes
    guarded.setup = replace(guarded.setup, telemetry=TelemetryParams(**settings))
    with telemetry:
        run_guarded(guarded)
    return read_telemetry(run_dir / "telemetry")


def updates(lines: tuple[AnyLine, ...]) -> list[int]:
    return [line.iteration for line in lines if isinstance(line, Update)]


def test_every_third_update_is_written_beside_the_first_and_last_of_each_phase(tmp_path: Path, scenario: Scenario) -> None:
    whole, part = sampled(tmp_path / "whole", scenario), sampled(tmp_path / "part", scenario, every=3)

    assert updates(whole) == list(range(1, 10))
    assert updates(part) == [1, 2, 3, 6, 9]  # warm: 1; tune: 2 … 9
    others = [[line.kind for line in log if line.kind != "update"] for log in (whole, part)]
    assert others[0] == others[1]


def test_an_update_at_which_a_guardrail_speaks_is_written_before_its_reading(
    tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch, broken(5))
    lines = sampled(tmp_path, scenario, every=100)

    assert 5 in updates(lines)
    at = next(place for place, line in enumerate(lines) if isinstance(line, Update) and line.iteration == 5)
    assert [line.kind for line in lines[at : at + 4]] == ["update", "reading", "guardrail", "rollback"]
    assert updates(lines) == [1, 2, 5, 6, 9]  # 6: the first after the rollback


def test_minibatches_average_to_their_update(tmp_path: Path, scenario: Scenario) -> None:
    lines = sampled(tmp_path, scenario, minibatch=True)

    for update in (line for line in lines if isinstance(line, Update)):
        steps = [line for line in lines if isinstance(line, Minibatch) and line.iteration == update.iteration]
        assert [(step.pass_index, step.minibatch) for step in steps] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert sum(step.transitions for step in steps) == update.transitions
        assert np.mean([step.loss_value for step in steps]) == pytest.approx(update.loss_value, rel=1e-6)
        if update.phase == "warm":
            assert {step.loss_policy for step in steps} == {None} == {update.loss_policy}
        else:
            assert max(step.kl_divergence for step in steps) == update.kl_divergence_max
            assert np.mean([step.grad_norm for step in steps]) == pytest.approx(update.grad_norm, rel=1e-6)
        assert {step.loss_kl for step in steps} == {None}  # the schedule has no such term


def test_a_log_that_fills_says_so_and_holds_fewer_updates(tmp_path: Path, scenario: Scenario) -> None:
    whole = sampled(tmp_path / "whole", scenario)
    full = sampled(tmp_path / "full", scenario, log_bytes=12_000)

    said = [line for line in full if isinstance(line, GuardrailLine) and line.guardrail == "telemetry_backlog"]
    assert (said[0].severity, said[0].decision) == ("warn", "continue")
    assert "of its updates, one in 2 is written" in said[0].reason
    assert "none but the first and last" in said[-1].reason
    assert updates(full)[-1] == updates(whole)[-1]
    assert len(updates(full)) < len(updates(whole))
    assert {line.kind for line in full} == {line.kind for line in whole}


@pytest.mark.parametrize("after", (3, 6))
def test_a_log_that_fills_does_so_alike_after_a_kill(tmp_path: Path, scenario: Scenario, after: int) -> None:
    sampled(tmp_path / "whole", scenario, log_bytes=14_000)
    guarded, telemetry = watched(tmp_path / "killed", scenario, report=_killer(after))
    telemetry._max_total_bytes = 14_000
    with pytest.raises(Killed):
        run_guarded(guarded)
    telemetry._close()
    sampled(tmp_path / "killed", scenario, log_bytes=14_000)

    logs = [canonical_sha256(read_telemetry(tmp_path / name / "telemetry")) for name in ("whole", "killed")]
    assert logs[0] == logs[1]
