"""Event files hold the numbers of a log over its env steps, and those of a run that goes on after a kill hold none twice."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.core.errors import MissingExtra
from headstart.telemetry.kinds import BcEpoch, Envelope, Evaluation, Update
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.tensorboard import convert, event_files, scalars
from headstart.telemetry.writer import TelemetryWriter

WriteRun = Callable[..., None]


def events_of(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Tag → (step, value, time), as TensorBoard would show them: what came after a restart replaces what was beyond its step."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for path in sorted(folder.glob("events.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size
            if event.session_log.status == SessionLog.START:
                for tag, values in found.items():
                    found[tag] = [one for one in values if one[0] < event.step]
            for value in event.summary.value:
                found[value.tag].append((event.step, value.simple_value, event.wall_time))
    return dict(found)


def test_every_number_of_an_update_is_a_scalar_under_its_group(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "log")
    (update,) = (line for line in read_telemetry(tmp_path / "log") if isinstance(line, Update))

    found = scalars(update)

    assert found["train/loss_value"] == found["schedule/learning_rate"] == found["rollout/reward_mean"] == 0.5
    assert "train/loss_policy" not in found  # null
    numbers = {name for name, value in update if isinstance(value, int | float)} - {"seed", "seq", "env_steps", "iteration"}
    assert {tag.rpartition("/")[2] for tag in found} == numbers


def test_a_finished_log_is_converted_over_env_steps_with_its_own_clock(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "log")
    lines = read_telemetry(tmp_path / "log")

    count = convert(lines, tmp_path / "events")

    found = events_of(tmp_path / "events")
    (update,) = (line for line in lines if isinstance(line, Update))
    (evaluation,) = (line for line in lines if isinstance(line, Evaluation))
    (epoch,) = (line for line in lines if isinstance(line, BcEpoch))
    assert [(step, value) for step, value, _ in found["train/loss_total"]] == [(update.env_steps, update.loss_total)]
    assert found["bc/loss_heldout"][0][0] == epoch.bc_epoch
    success = found[f"evaluation/{evaluation.policy_mode}/success_rate"][0]
    assert success[0] == evaluation.env_steps
    assert success[1] == pytest.approx(evaluation.success.k / evaluation.success.n)
    assert count == sum(len(scalars(line)) for line in lines) <= sum(map(len, found.values()))
    assert abs(found["train/loss_total"][0][2] - success[2]) < 60


def test_a_run_that_goes_on_shows_each_step_once(tmp_path: Path, envelope: Envelope) -> None:
    fields = {"iteration": 1} | dict.fromkeys(("updates", "transitions", "adv_zero_std_batches", "clip_triggered_minibatches"), 0)
    fields |= dict.fromkeys(("expert_steps", "terminations", "truncations"), 0)
    numbers = ("loss_value", "loss_total", "entropy", "entropy_std", "adv_mean", "adv_std", "adv_min_std", "grad_norm_value")
    fields |= dict.fromkeys((*numbers, "learning_rate", "reward_mean", "bc_weight", "kl_weight", "expert_share"), 0.5)
    fields |= {"open_guardrails": []}
    for keep, after in ((0, None), (2, 20)):
        with (
            event_files(tmp_path / "events", after) as mirror,
            TelemetryWriter(tmp_path / "log", envelope, keep=keep, mirror=mirror) as writer,
        ):
            for step in range(10 * keep + 10, 60, 10):
                writer.write("update", env_steps=step, **fields)

    assert [step for step, _, _ in events_of(tmp_path / "events")["train/loss_total"]] == [10, 20, 30, 40, 50]


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)

    with pytest.raises(MissingExtra, match=r"event files need tensorboardX: `pip install 'headstart\[tensorboard\]'`"):
        convert((), tmp_path / "events")
