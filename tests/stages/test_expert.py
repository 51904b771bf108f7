"""The learned expert: when it stops, what it leaves, and what it says when it is not good enough."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.one_process import run_here

from headstart.compare.arm_runs import CurvePoint, Score
from headstart.config.checked import merged
from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import Scenario, Target, load_scenario
from headstart.core.errors import GateFailed, InputError, IntegrityError
from headstart.core.files import read_record
from headstart.core.strict_json import sha256_json
from headstart.learn.evaluation import Acting
from headstart.runs.expert import approved_expert, expert_folder, expert_of
from headstart.runs.expert_judging import judge_seeds
from headstart.runs.expert_record import ExpertPolicy, pooled
from headstart.runs.expert_training import has_settled
from headstart.runs.policy import load_policy
from headstart.runs.worlds import worlds_of
from headstart.stages.expert import expert

ROOT = Path(__file__).parents[2]
POLE = {
    "world": "gym",
    "horizon": 60,
    "setup": {"id": "CartPole-v1"},
    "success": ["every return >= 40"],
    "harm": ["any terminated > 0"],
    "expert": {"policy": "ppo", "success_rate": 0.3, "harm_rate": 1.0},
    "targets": {"held": {"success_rate": 0.9}},
    "recipe": {
        "expert": {
            "worlds": 64,
            "seeds": [0, 1],
            "min_seeds": 2,
            "train": {
                "start": "random",
                "ppo": {"worlds": 16, "rollout_ticks": 64, "num_epochs": 4, "mini_batch_size": 256},
                "phases": [{"name": "learn", "kind": "ppo", "env_steps": 16384, "learning_rate": 0.002}],
            },
        },
        "network": {"hidden": [32]},
        "evaluation": {"worlds": 16, "every": 8192},
        "capture": {"observation": "compact"},
    },
}


def point(success: int, total: float, steps: int) -> CurvePoint:
    score = Score(episodes=10, success=success, harm=0, return_mean=total, return_sd=0.0)
    return CurvePoint(env_steps=steps, scores={"sampled": score, "deterministic": score})


def test_training_stops_on_a_plateau_above_the_gate_and_nowhere_else() -> None:
    gate = Target(name="gate", success_rate=0.9)
    rising = [point(9, 0.1 * k, k) for k in range(5)]
    flat = [point(9, 1.0 + 0.001 * k, k) for k in range(5)]
    low = [point(5, 1.0, k) for k in range(5)]
    assert has_settled(flat, gate, 3, 0.01)
    assert not has_settled(rising, gate, 3, 0.01)
    assert not has_settled(low, gate, 3, 0.01)
    assert not has_settled(flat[:2], gate, 3, 0.01)
    assert not has_settled(flat, gate, 0, 0.01)


@pytest.fixture
def pole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.runs.expert_training.run_all", run_here)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/pole.yaml").write_text(yaml.safe_dump(POLE))
    return load_scenario("pole")


def settings(scenario: Scenario) -> Params:
    return for_scenario(load_params(ROOT / "params.yaml"), scenario)


def test_a_world_that_cannot_be_made_is_named_before_any_process_starts(pole: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.runs.expert_training.run_all", lambda *_: pytest.fail("a process was started"))
    with pytest.raises(InputError, match="CartPole-v99"):
        expert(settings(pole), pole.model_copy(update={"setup": {"id": "CartPole-v99"}}))


def test_every_seed_is_trained_and_judged_and_the_best_one_teaches(pole: Scenario) -> None:
    line = expert(settings(pole), pole).says
    artefact = read_record(Path("models/pole/expert/expert.json"), ExpertPolicy)

    assert line.startswith("expert pole: approved over 2 seeds")
    assert [seed.seed for seed in artefact.seeds] == [0, 1]
    assert artefact.seeds[0].weights_sha256 != artefact.seeds[1].weights_sha256
    assert artefact.policy_sha256 in {seed.weights_sha256 for seed in artefact.seeds}
    assert approved_expert(pole) == artefact
    world = worlds_of(pole, "capture", 3)
    assert expert_of(pole, world)(world.reset(seed=0)[0]).shape == (3,)


def test_one_that_stagnates_stays_a_draft_and_says_what_to_do(pole: Scenario) -> None:
    hopeless = pole.model_copy(update={"success": ("every return >= 61",)})  # more than an episode can pay
    params = settings(pole)
    train = params.expert.train
    assert train is not None
    short = train.model_copy(update={"phases": (train.phases[0].model_copy(update={"env_steps": 2048}),)})
    params = params.model_copy(update={"expert": params.expert.model_copy(update={"train": short})})

    line = expert(params, hopeless).says
    artefact = read_record(Path("models/pole/expert/expert.json"), ExpertPolicy)

    assert "draft" in line
    assert artefact.state == "draft"
    assert any("seed-1-success: 0 of 64 episodes succeed" in text for text in artefact.diagnostics)
    assert sum(text.startswith("next: ") for text in artefact.diagnostics) >= 3
    with pytest.raises(GateFailed, match="expected an approved expert, got a draft"):
        approved_expert(hopeless)


def test_with_an_expert_for_each_block_every_seed_acts_in_its_own(pole: Scenario) -> None:
    params = changed(settings(pole), {"expert": {"per_block": True}, "seeds": [40, 41], "capture": {"blocks": 2}}, "test")

    expert(params, pole)

    artefact, world = approved_expert(pole), worlds_of(pole, "capture", 3)
    assert artefact.recorded == (0, 1)
    assert artefact.score.episodes == 2 * params.expert.worlds
    assert artefact.policy_sha256 == sha256_json([seed.weights_sha256 for seed in artefact.seeds])
    assert [artefact.training_steps(block) for block in (0, 1)] == [seed.env_steps for seed in artefact.seeds]
    obs, _ = world.reset(seed=0)
    for block in (0, 1):
        network = load_policy(expert_folder(pole) / f"seed-{block}", world)[0]
        assert (expert_of(pole, world, block)(obs) == Acting(network, 0, "deterministic")(obs)).all()
    one = changed(params, {"expert": {"per_block": False}}, "test")
    assert judge_seeds(one, pole, artefact.seeds)[0].training_steps(1) == sum(seed.env_steps for seed in artefact.seeds)


def test_weights_that_nobody_approved_do_not_act(pole: Scenario) -> None:
    expert(settings(pole), pole)
    (acts,), folder = approved_expert(pole).recorded, expert_folder(pole)
    shutil.rmtree(folder / f"seed-{acts}")
    shutil.copytree(folder / f"seed-{1 - acts}", folder / f"seed-{acts}")

    with pytest.raises(IntegrityError, match=rf"seed-{acts}: expected the weights [0-9a-f]+ that were approved, got "):
        expert_of(pole, worlds_of(pole, "capture", 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expert": {"policy": "scripted"}}, "expert.per_block: expected a learned expert, got a scripted one"),
        ({}, "expert.seeds: expected one for each of 10 blocks, since expert.per_block is true, got 2"),
    ],
)
def test_an_expert_for_each_block_needs_learned_ones_and_enough_seeds(changes: dict[str, Any], message: str) -> None:
    content = merged(POLE, {"recipe": {"expert": {"per_block": True}}} | changes)
    with pytest.raises(InputError, match=message):
        settings(Scenario.model_validate(content | {"name": "pole"}))


def test_scores_are_pooled_as_if_one_policy_had_played_all_episodes() -> None:
    returns = np.random.default_rng(0).normal([[0.0], [3.0]], size=(2, 50))
    parts = [
        Score(episodes=50, success=40 + i, harm=i, return_mean=of.mean(), return_sd=of.std(), measures={"m": float(i)})
        for i, of in enumerate(returns)
    ]

    found = pooled(parts)

    assert (found.episodes, found.success, found.harm, found.measures) == (100, 81, 1, {"m": 0.5})
    assert found.return_mean == pytest.approx(returns.mean())
    assert found.return_sd == pytest.approx(returns.std())


def test_a_learned_expert_cannot_start_from_a_clone_of_itself() -> None:
    train = POLE["recipe"]["expert"]["train"] | {"start": "bc"}
    content = merged(POLE, {"recipe": {"expert": {"train": train}}})
    with pytest.raises(InputError, match="expected start: random, since there is no expert yet that a clone could be of, got bc"):
        settings(Scenario.model_validate(content | {"name": "pole"}))
