"""`make bench-cartpole`: CartPole-v1 from nothing to a mean of 475, our PPO beside Stable-Baselines3's in the same run.

Ours: `worlds.gym` and `learn.ppo` with the recipe below, chosen on seeds 100 to 115 and 200 to 239. Theirs: PPO with the settings that
rl-baselines3-zoo tuned for CartPole-v1. One rule for both: every EVERY env steps the likeliest actions play 100 episodes in worlds of their
own; training ends when their mean return reaches 475. The clock runs while a side acts and learns and stands still while it is judged. One
torch thread each, turn by turn, seed by seed.
"""

import os
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple

import gymnasium
import stable_baselines3
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from headstart.config.params import NetworkParams
from headstart.config.schedule import PPOParams, Ramp
from headstart.core.arrays import Array
from headstart.learn.optimizer import Adam
from headstart.learn.ppo import Weights, update
from headstart.learn.rollout import Player
from headstart.runs.policy import new_network
from headstart.worlds.api import FIRST_WORLD, Task, World
from headstart.worlds.make import make

SEEDS = (10, 11, 12, 13, 14)
TARGET, EPISODES, EVERY, BUDGET = 475.0, 100, 4096, 100_000  # mean return, episodes, env steps, env steps

OURS = PPOParams(worlds=48, rollout_ticks=24, num_epochs=10, mini_batch_size=768, gamma=0.995, gae_lambda=0.95, clip_param=0.3)
OUR_RATE = Ramp.model_validate({"from": 0.03, "to": 0.0})  # over OUR_RAMP env steps
OUR_RAMP = 90_000
OUR_NETWORK = NetworkParams(hidden=(32, 32))

THEIR_WORLDS = 8
THEIRS: dict[str, Any] = {  # rl-baselines3-zoo, hyperparams/ppo.yml, CartPole-v1
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
    "learning_rate": lambda left: left * 0.001,
    "clip_range": lambda left: left * 0.2,
}

Act = Callable[[dict[str, Array]], Array]  # observations [N, …] → the likeliest actions [N]


class Run(NamedTuple):
    """One seed of one side."""

    seconds: float  # acting and learning
    env_steps: int
    mean_return: float  # of the last evaluation


def main() -> None:
    """Print every run, and how many times faster ours is."""
    torch.set_num_threads(1)
    print(
        f"cartpole: torch {torch.__version__}, gymnasium {gymnasium.__version__}, stable-baselines3 {stable_baselines3.__version__}"
    )
    print(f"{os.cpu_count()} cores, load average at the start {os.getloadavg()[0]:.2f}")
    sides = {"headstart": ours, "stable-baselines3": theirs}
    for side in sides.values():
        side(99, budget=1)  # caches and clocks warm up
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    print(f"{'side':18s} {'seed':>4s} {'seconds':>8s} {'env steps':>10s} {'steps/s':>8s} {'return':>7s} {'load':>5s}")
    for seed in SEEDS:
        for name, side in sides.items():
            run = side(seed, BUDGET)
            runs[name].append(run)
            rate = run.env_steps / run.seconds
            load = os.getloadavg()[0]
            print(f"{name:18s} {seed:4d} {run.seconds:8.2f} {run.env_steps:10,d} {rate:8,.0f} {run.mean_return:7.1f} {load:5.2f}")
    report(runs["headstart"], runs["stable-baselines3"])


def report(our_runs: list[Run], their_runs: list[Run]) -> None:
    """The ratio of total seconds, or, where a seed missed the target, that there is none."""
    missed = [run for run in our_runs + their_runs if run.mean_return < TARGET]
    if missed:
        print(
            f"no ratio: {len(missed)} of {len(our_runs + their_runs)} runs did not reach a mean of {TARGET:.0f} in {BUDGET:,} steps"
        )
        return
    mine, other = (sum(run.seconds for run in runs) for runs in (our_runs, their_runs))
    pairs = [their.seconds / our.seconds for our, their in zip(our_runs, their_runs, strict=True)]
    print(f"to a mean of {TARGET:.0f}: {other:.1f} s / {mine:.1f} s = {other / mine:.1f} times as fast")
    print(f"by seed: {min(pairs):.1f} … {max(pairs):.1f}, median {median(pairs):.1f}")


def ours(seed: int, budget: int) -> Run:
    """`learn.ppo` on `worlds.gym`."""
    network = new_network(worlds("training", 1), OUR_NETWORK, seed)

    def act(obs: dict[str, Array]) -> Array:
        return network.policy({name: torch.from_numpy(value) for name, value in obs.items()}).mode().numpy()

    def updates() -> Iterator[int]:
        generator = torch.Generator().manual_seed(seed)
        optimizer, player = Adam(network), Player(worlds("training", OURS.worlds), seed, generator)
        env_steps = 0
        while env_steps < budget:
            rollout = player.play(network, OURS.rollout_ticks)
            update(network, optimizer, rollout, OURS, Weights(OUR_RATE.at(min(1.0, env_steps / OUR_RAMP))), generator)
            env_steps += rollout.reward.size
            yield env_steps

    judge = Judge(act)
    for env_steps in updates():
        if judge.stops(env_steps):
            break
    return judge.last


def theirs(seed: int, budget: int) -> Run:
    """Stable-Baselines3's PPO on its own vector environment."""

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            # the first step after an update: the policy is the update's, and returning False ends training
            return not (
                self.n_calls % THEIRS["n_steps"] == 1 and self.n_calls > 1 and judge.stops(self.num_timesteps - THEIR_WORLDS)
            )

    judge = Judge(lambda obs: model.predict(obs["features"], deterministic=True)[0])
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", THEIR_WORLDS, seed=seed), seed=seed, device="cpu", **THEIRS)
    model.learn(budget, callback=Watch())
    return judge.last


class Judge:
    """The clock and the rule, the same for both sides."""

    def __init__(self, act: Act) -> None:
        self._act, self._worlds = act, worlds("evaluation", EPISODES)
        self.last, self._due = Run(0.0, 0, 0.0), EVERY
        self._began = time.perf_counter()

    def stops(self, env_steps: int) -> bool:
        """Whether the target is met; judges only when an evaluation is due, with the clock standing still."""
        seconds = self.last.seconds + time.perf_counter() - self._began
        self.last = self.last._replace(seconds=seconds, env_steps=env_steps)
        if env_steps >= self._due:
            self._due += EVERY
            self.last = self.last._replace(mean_return=mean_return(self._act, self._worlds))
        self._began = time.perf_counter()
        return self.last.mean_return >= TARGET


@torch.no_grad()
def mean_return(act: Act, world: World) -> float:
    """Mean return of one episode in each world."""
    obs, _ = world.reset(seed=500)
    returns, playing = world.running_stats[:, 0, 0], world.running_stats[:, 0, 0] == 0
    while playing.any():
        obs, _, _, _, info = world.step(act(obs))
        ending = playing & info["episode_end"]
        returns[ending] = info["stats"][ending, 0, 0]
        playing &= ~ending
    return float(returns.mean())


def worlds(purpose: str, num_worlds: int) -> World:
    """W copies of CartPole-v1 with its own limit of 500 steps."""
    task = Task("gym", {"id": "CartPole-v1"}, 500, [f"every return >= {TARGET:.0f}"], ["any terminated > 0"])
    return make(task, num_worlds, FIRST_WORLD[purpose])


if __name__ == "__main__":
    main()
