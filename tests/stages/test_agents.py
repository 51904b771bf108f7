"""A PettingZoo environment whose agents leave one after the other, from an own expert to a comparison."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.one_process import run_here
from tests.own_experts import linear
from tests.poles import POLE, ROOT

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.comparison import Comparison
from headstart.config.checked import merged
from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import Scenario
from headstart.core.files import read_record
from headstart.core.verdict import Verdict
from headstart.dataset.episodes import concatenate
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.formats.npz import write
from headstart.runs.check import examine
from headstart.runs.exporting import exported
from headstart.runs.replay import replay
from headstart.stages.anneal import anneal
from headstart.stages.baseline import baseline
from headstart.stages.bc_train import bc_train
from headstart.stages.capture import capture
from headstart.stages.curate import curate
from headstart.stages.evaluate import evaluate
from headstart.stages.expert import expert
from headstart.stages.source import source
from headstart.stages.validate import validate

TO_DATA = (source, expert, capture, curate, validate)
EXPERT = "def act(obs, info):\n    assert abs(obs[0]) < 4, 'it acts where it has left'\n    return 2 if obs[2] > 0.3 else 1\n"
STEERING = "def act(obs, info):\n    return obs[2:]  # rounded by the walk\n"
WALK = {key: value for key, value in POLE.items() if key not in ("demonstrations", "feature_range")} | {
    "name": "walk",
    "world": "pettingzoo",
    "horizon": 30,
    "setup": {"id": "tests.worlds.parallel_toys", "kwargs": {"agents": 3}, "info": {"fell": {"gather": "any", "absent": 0}}},
    "success": ["every return > 0"],
    "harm": ["any fell > 0"],
    "constant_reward": False,
    "expert": {"policy": "callable", "call": "experts.walk:act", "success_rate": 0.9, "harm_rate": 0.1},
    "targets": {"goal": {"success_rate": 0.9}},
}
MORE: dict[str, Any] = {
    "recipe": {
        "expert": {"worlds": 64},
        "capture": {"worlds": 30, "shard_worlds": 16, "slip": 0.1},
        "curate": {"min_steps": 2},
        "evaluation": {"variant_worlds": 0},
    }
}


@pytest.fixture(autouse=True)
def one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("headstart.stages.bc_train", "headstart.runs.arm", "headstart.runs.expert_training"):
        monkeypatch.setattr(f"{module}.run_all", run_here)


def project(text: str, **kwargs: Any) -> tuple[Params, Scenario]:
    Path("experts").mkdir()
    name = "_".join(["walk", *kwargs])  # a module is imported once
    Path(f"experts/{name}.py").write_text(text)
    mine = {"setup": {"kwargs": kwargs}, "expert": {"call": f"experts.{name}:act"}}
    scenario = Scenario.model_validate(merged(WALK, MORE | mine))
    return for_scenario(load_params(ROOT / "params.yaml"), scenario), scenario


@pytest.mark.parametrize(
    ("text", "kwargs"), [(EXPERT, {"masks": "info"}), (STEERING, {"continuous": True})], ids=["named", "continuous"]
)
def test_agents_that_leave_are_recorded_replayed_cloned_and_compared(text: str, kwargs: dict[str, Any]) -> None:
    params, scenario = project(text, **kwargs)

    says = [stage(params, scenario).says for stage in (*TO_DATA, bc_train)]

    assert "90 episodes replayed exactly" in says[4]
    episodes = [read_episodes(path)[0] for path in sorted(Path("data/walk/raw").glob("shard-*.h5"))]
    for shard in episodes:
        rows, table = shard.observation["features"], shard.table
        assert len(set(table.length.tolist())) > 3  # agents leave at different times
        assert rows[:, 1].tolist() == [t + 1 for n in table.length for t in range(n)]  # every step of an agent, and no empty row
        ends = table.start + table.length - 1
        at_goal = shard.final_observation["features"][:, 0] == 4
        assert (shard.terminated[ends] == at_goal).all()
        assert (shard.truncated[ends] == ~at_goal).all()
        np.testing.assert_array_equal(table.length[~at_goal], scenario.horizon)
    clones = read_record(Path("models/walk/bc/clones.json"), CloneRuns).clones
    assert [clone.outcome for clone in clones] == ["PASS", "PASS"]

    baseline(params, scenario, "scratch")
    anneal(params, scenario, "tiny")
    evaluate(params, scenario)

    found = read_record(Path("reports/evaluate/walk/goal.json"), Comparison)
    assert found.final["clone"].keys() == {"success", "harm", "return"}
    runs = read_record(Path("models/walk/anneal/tiny/runs.json"), ArmRuns).runs
    assert [run.clone_sha256 for run in runs] == [clone.weights_sha256 for clone in clones]


def test_a_learned_expert_acts_for_every_agent_and_the_scenario_is_sound() -> None:
    params, scenario = project("", masks="observation")
    learned = {"policy": "ppo", "success_rate": 0.9, "harm_rate": 0.1}
    train = {
        "start": "random",
        "ppo": {"worlds": 8, "rollout_ticks": 32, "num_epochs": 4, "mini_batch_size": 128},
        "phases": [{"name": "learn", "kind": "ppo", "env_steps": 12288, "learning_rate": 0.01}],
    }
    scenario = Scenario.model_validate(scenario.model_dump() | {"expert": learned})
    changes = {"expert": {"seeds": [0], "min_seeds": 1, "train": train}, "evaluation": {"every": 6144}}
    params = changed(params, changes | {"validate": {"max_majority_share": 1.0}}, "test")  # it always goes right

    says = [stage(params, scenario).says for stage in (expert, capture, curate, validate)]
    found = {one.name: one for one in examine(params, scenario)}

    assert "approved" in says[0]
    assert "replayed exactly" in says[3]
    assert not [one for one in found.values() if one.cure]
    assert found["process"].says.endswith("the same bits")


def test_episodes_of_single_agents_can_be_exported_and_brought_as_demonstrations() -> None:
    params, scenario = project(EXPERT, agents=3)
    for stage in (source, expert, capture):
        stage(params, scenario)
    parts = [read_episodes(path) for path in sorted(Path("data/walk/raw").glob("shard-*.h5"))]
    episodes, header = concatenate([part for part, _ in parts]), parts[0][1]
    write(Path("demonstrations/walks.npz"), exported(episodes, header, params, scenario).recording)
    Path("data/walk/raw/shard-0000.h5").unlink()
    content = scenario.model_dump(exclude={"expert"}) | {"demonstrations": {"format": "npz", "path": "demonstrations/walks.npz"}}
    scenario = Scenario.model_validate(content)

    says = [stage(params, scenario).says for stage in (*TO_DATA, bc_train)]

    assert says[0].startswith(f"source walk: 180 episodes, {len(episodes.reward):,} steps")
    assert says[-1].startswith("bc_train walk: PASS; 2 clones")
    verdict = read_record(Path("reports/walk/validate/verdict.json"), Verdict)
    left_out = {check.name: check.text for check in verdict.checks if not check.applies}
    assert "cannot be played again in a pettingzoo" in left_out["replay-sample"]


@pytest.mark.parametrize("policy", ["callable", "onnx"])
def test_what_an_expert_answers_for_an_agent_that_left_does_not_matter(policy: str) -> None:
    params, scenario = project(
        "import numpy as np\ndef act(obs, infos):\n    return np.full(len(obs), 2)\n", masks="info", agents=4
    )
    expert_of = {"callable": {"call": scenario.expert.call, "batched": True}, "onnx": {"path": "experts/walk.onnx"}}
    if policy == "onnx":
        pytest.importorskip("onnxruntime", reason="needs onnxruntime, which the extra `test` has")
        weights = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]])  # the number of the step is the logit of the action to the right
        linear(weights, Path("experts/walk.onnx"))
    gate = {"policy": policy, "success_rate": 0.9, "harm_rate": 0.1}
    scenario = Scenario.model_validate(scenario.model_dump() | {"expert": gate | expert_of[policy]})

    says = [stage(params, scenario).says for stage in (expert, capture)]

    assert "success 64/64" in says[0]


def test_a_step_that_differs_is_found_also_when_other_agents_have_left() -> None:
    params, scenario = project(EXPERT, agents=2, masks="info", patience=30)
    for stage in (source, expert, capture):
        stage(params, scenario)
    episodes, header = read_episodes(Path("data/walk/raw/shard-0000.h5"))
    table = episodes.table
    longest = int(table.length.argmax())
    beside = (table.world == table.world[longest]) & (table.agent != table.agent[longest])
    assert table.length[beside].item() < table.length[longest]

    assert replay(episodes, header, params, scenario) == (32, 0)
    episodes.reward[table.start[longest] + table.length[longest] - 1] += 1
    assert replay(episodes, header, params, scenario) == (32, 1)
