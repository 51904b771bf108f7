"""A project with recorded demonstrations of CartPole, which a linear controller balances for up to 60 steps."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.dataset.formats.npz import write
from headstart.dataset.formats.recording import Recording

ROOT = Path(__file__).parents[1]
PPO = {"worlds": 4, "rollout_ticks": 16, "num_epochs": 1, "mini_batch_size": 32}
TUNE = {"name": "tune", "kind": "ppo", "env_steps": 128, "learning_rate": 0.001}
POLE: dict[str, Any] = {
    "world": "gym",
    "horizon": 60,
    "setup": {"id": "CartPole-v1"},
    "success": ["every steps >= 60"],
    "harm": ["any terminated > 0"],
    "demonstrations": {"format": "npz", "path": "demonstrations/mine.npz"},
    "targets": {"held": {"success_rate": 0.9}},
    "constant_reward": True,
    "feature_range": [-5, 5],
    "recipe": {
        "seeds": [8, 3],
        "candidate": "tiny",
        "baselines": ["scratch"],
        "capture": {"blocks": 2},
        "curate": {"require_success": False, "reject_harm": False},
        "validate": {"min_episodes": 10, "min_success_rate": 0.1, "replay_worlds": 30},
        "network": {"hidden": [16], "normalise": True},
        "bc_train": {
            "epochs": 30,
            "patience": 30,
            "batch_size": 64,
            "learning_rate": 0.01,
            "min_accuracy": 0.6,
            "min_macro_f1": 0.5,
            "success_margin": 1.0,
            "max_value_error": 1.0,
            "closed_loop_worlds": 8,
        },
        "evaluation": {"worlds": 4, "every": 64, "exam_worlds": 6, "variant_worlds": 4},
        "anneal": {"arms": ["tiny"]},
        "arms": {
            "scratch": {"start": "random", "ppo": PPO, "phases": [TUNE]},
            "tiny": {"start": "bc", "ppo": PPO, "phases": [TUNE | {"bc_weight": 0.1}]},
        },
    },
}


def record_poles(episodes: int = 60, longest: int = 60, seed: int = 0) -> Recording:
    """Episodes of a controller that leans against angle and speed and now and then acts at random."""
    env, random = gym.make("CartPole-v1"), np.random.default_rng(seed)
    rows: list[Any] = []
    actions: list[int] = []
    final, length, terminations = [], [], []
    for episode in range(episodes):
        seen, _ = env.reset(seed=episode)
        for _ in range(longest):
            act = int(0.2 * seen[0] + 0.4 * seen[1] + 4.0 * seen[2] + 1.2 * seen[3] > 0)
            act = int(random.integers(2)) if random.random() < 0.05 else act
            rows.append(seen)
            actions.append(act)
            seen, _, terminated, _, _ = env.step(act)
            if terminated:
                break
        final.append(seen)
        length.append(len(actions) - sum(length))
        terminations.append(terminated)
    env.close()
    ends = np.array(terminations)
    return Recording(
        observations=np.array(rows),
        actions=np.array(actions),
        length=np.array(length),
        rewards=np.ones(len(actions)),
        terminated=ends,
        truncated=~ends,
        final_observations=np.array(final),
        seeds=np.arange(episodes),
    )


def pole_project(recording: Recording, changes: dict[str, Any] | None = None) -> tuple[Params, Scenario]:
    """Write the recording and the scenario into the working directory; settings and scenario."""
    write(Path("demonstrations/mine.npz"), recording)
    Path("scenarios").mkdir(exist_ok=True)
    Path("scenarios/pole.yaml").write_text(json.dumps(POLE | (changes or {})))
    scenario = load_scenario("pole")
    return for_scenario(load_params(ROOT / "params.yaml"), scenario), scenario


__all__ = ["POLE", "changed", "pole_project", "record_poles"]
