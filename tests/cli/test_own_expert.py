"""What follows the recording of a user's own expert: clones, training that asks it, its cost, targets, tuning, and watching it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.one_process import run_here
from tests.own_experts import BALANCE, POLE, ROOT, linear, pole, run_to_validate, settings

from headstart.cli import tune
from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import read_record
from headstart.learn.rollout import Player
from headstart.runs.expert import approved_expert
from headstart.runs.own_expert import own_act
from headstart.runs.policy import new_network
from headstart.runs.targets import measure
from headstart.runs.worlds import worlds_of
from headstart.stages.anneal import anneal
from headstart.stages.baseline import baseline
from headstart.stages.bc_train import bc_train
from headstart.stages.evaluate import evaluate
from headstart.stages.expert import expert

Command = Callable[..., tuple[int, str, str]]
WHEN = "2030-01-01T00:00:00.000Z"
ACT = "def act(obs, info):\n    return int(obs[2] + 0.5 * obs[3] > 0)\n"
COST = 3000  # env steps
PPO = {"worlds": 4, "rollout_ticks": 8, "num_epochs": 1, "mini_batch_size": 16}
LEARN = {"name": "learn", "kind": "ppo", "env_steps": 64, "learning_rate": 0.001}
ASKING = LEARN | {"name": "ask", "labels": "all", "bc_weight": 0.5, "expert_share": 0.3}
TRAINING: dict[str, Any] = {
    "candidate": "asking",
    "baselines": ["scratch"],
    "bc_train": {
        "epochs": 2,
        "batch_size": 64,
        "min_accuracy": 0.0,
        "min_macro_f1": 0.0,
        "max_value_error": 1.0,
        "success_margin": 1.0,
        "closed_loop_worlds": 4,
    },
    "anneal": {"arms": ["asking"]},
    "arms": {
        "scratch": {"start": "random", "ppo": PPO, "phases": [LEARN]},
        "asking": {"start": "bc", "ppo": PPO, "phases": [ASKING]},
    },
}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """experts/<module>.py in a new project, which is the working directory."""
    name = f"trained_{abs(hash(request.node.nodeid))}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("experts").mkdir()
    Path(f"experts/{name}.py").write_text(ACT)
    monkeypatch.setattr("headstart.stages.bc_train.run_all", run_here)
    monkeypatch.setattr("headstart.runs.arm.run_all", run_here)
    return name


def calling(module: str, **changes: Any) -> Scenario:
    return pole({"policy": "callable", "call": f"experts.{module}:act", "training_steps": COST}, **changes)


def test_training_asks_the_expert_and_every_run_is_charged_what_it_cost(module: str) -> None:
    scenario = calling(module, recipe=TRAINING)
    params = settings(scenario)
    run_to_validate(scenario)
    bc_train(params, scenario)
    anneal(params, scenario, "asking")
    baseline(params, scenario, "scratch")

    clones = read_record(Path("models/pole/bc/clones.json"), CloneRuns).clones
    assert all(clone.demonstration_steps > COST for clone in clones)
    runs = read_record(Path("models/pole/anneal/asking/runs.json"), ArmRuns).runs
    assert [run.demonstration_steps for run in runs] == [clone.demonstration_steps for clone in clones]
    assert {clone.expert_sha256 for clone in clones} == {None}
    assert evaluate(params, scenario).says.startswith("evaluate pole: ")

    Path(f"experts/{module}.py").write_text(ACT + "# edited\n")
    for stage in (
        lambda: anneal(params, scenario, "asking"),
        lambda: bc_train(params, scenario),
        lambda: evaluate(params, scenario),
    ):
        with pytest.raises(GateFailed, match=r"judged.*; run `dvc repro` again"):
            stage()


def test_the_expert_labels_every_step_of_a_rollout_and_again_after_a_snapshot(module: str) -> None:
    scenario = calling(module)
    world = worlds_of(scenario, "training", 4)
    player = Player(world, 1, torch.Generator().manual_seed(0), own_act(scenario, world), 60)
    network = new_network(world, settings(scenario).network, 0)

    first = player.play(network, 10, expert_share=1.0, label_all=True)
    kept = player.snapshot()
    then = player.play(network, 10, expert_share=1.0, label_all=True)
    player.restore(kept)
    again = player.play(network, 10, expert_share=1.0, label_all=True)

    for rollout in (first, then):
        seen = rollout.obs["features"].numpy()
        assert rollout.label is not None
        assert (rollout.label.numpy() == (seen[..., 2] + 0.5 * seen[..., 3] > 0)).all()
        assert (rollout.action == rollout.label).all()
    assert again.label is not None and then.label is not None
    assert (again.label == then.label).all()


def test_targets_are_what_the_own_expert_shows(module: str) -> None:
    scenario = calling(module, targets={"expert_level": {"success_rate": 0.5, "return_mean": 1.0}})
    with pytest.raises(InputError, match=r"models/pole/expert: expected an expert, found none; `dvc repro expert@pole` makes it"):
        measure(settings(scenario), scenario, WHEN, None)
    expert(settings(scenario), scenario)
    found = measure(settings(scenario), scenario, WHEN, None)
    assert found.policy_sha256 == approved_expert(scenario).policy_sha256
    assert found.expert.return_mean.mean > 40


def test_the_recordings_of_a_search_have_the_file_of_the_expert_beside_them(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search works in a folder of its own: the file is copied, and a module is found in the project."""
    pytest.importorskip("onnx", reason="needs the extra `test`")
    pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    linear(BALANCE, Path("experts/balance.onnx"))
    monkeypatch.setattr(tune, "CLONING", ("capture", "curate", "validate"))
    for name in ("params.yaml", "dvc.yaml"):
        Path(name).write_bytes((ROOT / name).read_bytes())
    Path("scenarios").mkdir()
    policies = {"policy": "onnx", "path": "experts/balance.onnx"}, {"policy": "callable", "call": f"experts.{module}:act"}
    for number, policy in enumerate(policies):
        gate = {"success_rate": 0.2, "harm_rate": 0.9} | policy
        name = f"searched{number}"
        Path(f"scenarios/{name}.yaml").write_text(
            yaml.safe_dump({key: POLE[key] for key in POLE if key != "name"} | {"expert": gate})
        )
        scenario = load_scenario(name)
        expert(settings(scenario), scenario)
        home = tune.clones_folder(settings(scenario), scenario)
        tune.make_clones(home, settings(scenario), scenario)
        assert (home / f"data/{name}/validated.json").exists()


def test_play_shows_the_own_expert(module: str, command: Command) -> None:
    Path(f"experts/{module}.py").write_text("def act(obs, info):\n    raise RuntimeError('it was asked')\n")
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path("scenarios").mkdir()
    town = yaml.safe_load((ROOT / "scenarios/queue_conflict.yaml").read_text())
    town["expert"] = {"policy": "callable", "call": f"experts.{module}:act", "success_rate": 0, "harm_rate": 1}
    Path("scenarios/mine.yaml").write_text(yaml.safe_dump(town))
    code, _, err = command("play", "mine", "--ticks", "2")
    assert (code, err) == (3, f"error: scenarios/mine.yaml: expert: experts/{module}.py:2: RuntimeError: it was asked\n")


def test_rows_act_alone(module: str) -> None:
    """What a row does is the same among other rows: a world alone replays as it was recorded."""
    scenario = calling(module)
    together, alone = worlds_of(scenario, "capture", 3), worlds_of(scenario, "capture", 1, skip=2)
    acts = []
    for world in (together, alone):
        act = own_act(scenario, world)
        obs, _ = world.reset(seed=5)
        taken = []
        for _ in range(15):
            taken.append(act(obs)[-1])
            obs, *_ = world.step(act(obs))
        acts.append(taken)
    np.testing.assert_array_equal(*acts)
