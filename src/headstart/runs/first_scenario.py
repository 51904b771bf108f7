"""A scenario for a Gymnasium environment that nobody described yet, from its registration, random play and, if there is one, a recording."""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from headstart.core.arrays import Array
from headstart.runs.check import SEED, _random_actions
from headstart.worlds.api import Task, World
from headstart.worlds.make import make

COPIES, EPISODES, SECONDS = 8, 40, 5.0  # of random play: worlds, and the limits that end it
MOST_LETTERS = 40  # of a name: ids of runs hold it beside that of a stage and of an arm
MOST_STEPS = 1_000_000  # that a scenario takes
USUAL_HORIZON = 1000  # of an environment that is registered without a limit
TRAIN = """\
  expert:
    train:  # raise env_steps until the expert passes its gate; training ends before, where it does
      start: random
      ppo: {worlds: 32, rollout_ticks: 32, num_epochs: 8, mini_batch_size: 256, gamma: 0.99, gae_lambda: 0.95}
      phases: [{name: learn, kind: ppo, env_steps: 98304, learning_rate: {from: 0.002, to: 0.0}, entropy_coef: 0.0}]"""


class Seen(NamedTuple):
    """What an environment shows before anything is trained."""

    features: int
    actions: str  # how many, and of which kind
    limit: int | None  # max_episode_steps of its registration
    threshold: float | None  # reward_threshold of its registration
    returns: Array  # [E] of random episodes; of the unfinished ones where none ended in time
    reward: float | None  # what every step paid, if all paid the same


class Brought(NamedTuple):
    """What a recording that a user brings says of its scenario."""

    kind: str  # its format
    path: str  # in the project
    longest: int  # steps of an episode
    episodes: int
    returns: Array | None  # [E]; None: without rewards


def look_at(env: str, kwargs: Mapping[str, Any], least: int = 1) -> Seen:
    """What `env` shows; its episodes are as long as its registration says, `least` steps at least. InputError where it cannot be adapted."""
    setup = {"id": env, "kwargs": dict(kwargs)}
    make(Task("gym", setup, 1, (), ()), 1).close()  # imports what registers it
    spec = gym.registry.get(env.rpartition(":")[2])
    limit = spec.max_episode_steps if spec else None
    world = make(Task("gym", setup, _horizon(limit, least), (), ()), COPIES)
    try:
        returns, paid = _played(world)
    finally:
        world.close()
    names = world.names
    return Seen(
        features=len(names.features),
        actions=f"{len(names.actions)} actions" if names.actions else f"{len(names.action_low)} continuous actions",
        limit=limit,
        threshold=spec.reward_threshold if spec else None,
        returns=returns,
        reward=paid.pop() if len(paid) == 1 else None,
    )


def _played(world: World) -> tuple[Array, set[float]]:
    """Returns of random episodes [E], and the rewards that steps paid."""
    draws = [np.random.default_rng([SEED, w]) for w in range(world.num_worlds)]
    obs, _ = world.reset(seed=SEED)
    returns, paid, ends = list[float](), set[float](), time.perf_counter() + SECONDS
    while len(returns) < EPISODES and time.perf_counter() < ends:
        obs, reward, _, _, info = world.step(_random_actions(world, obs, draws))
        returns += info["stats"][info["episode_end"], 0, 0].tolist()
        paid |= set(reward.tolist()) if len(paid) < 2 else set()
    return np.array(returns or world.running_stats[:, 0, 0]), paid


def name_of(env: str) -> str:
    """The name of a scenario, from the id of its environment: `module:Space/CartPole-v1` → cartpole. It begins with a letter."""
    last = re.sub(r"-v\d+$", "", re.split(r"[:/]", env)[-1])
    name = re.sub(r"[^a-z0-9]+", "_", last.lower()).strip("_")[:MOST_LETTERS]
    plain = name[:1].isalpha() and name not in ("null", "true", "false")  # which YAML would read as something else
    return name if plain else f"env_{name}".rstrip("_")


def words_of(env: str, kwargs: Mapping[str, Any], seen: Seen, brought: Brought | None) -> dict[str, str]:
    """What stands in the places of the template `scenario.yaml`."""
    horizon = _horizon(seen.limit, brought.longest if brought else 1)
    registered = "as the environment is registered" if horizon == seen.limit else "the environment is registered without a limit"
    goal, sign, why = _goal(seen, brought)
    median = float(np.median(seen.returns))
    harm = min(median, goal)
    return_mean = f", return_mean: {number(goal)}" if goal == seen.threshold else ""
    expert = (
        f"demonstrations: {{format: {brought.kind}, path: {_yaml(brought.path)}}}  # {brought.episodes} episodes, dealt to ten blocks"
        if brought
        else "expert: {policy: ppo, success_rate: 0.8, harm_rate: 0.1}  # PPO on three seeds; its gate: bounds of the rates"
    )
    # of each block; a tenth may be rejected
    least = f"  validate: {{min_episodes: {max(1, brought.episodes // 10 * 9 // 10)}}}" if brought else ""
    return {
        "env": env,
        "shows": f"{seen.features} features, {seen.actions}",
        "horizon": str(horizon),
        "horizon_why": registered if horizon == (seen.limit or USUAL_HORIZON) else "the longest recorded episode",
        "kwargs": "{" + ", ".join(f"{key}: {_yaml(value)}" for key, value in kwargs.items()) + "}",
        "success": f"every return {sign} {number(goal)}",
        "success_why": why,
        "harm": f"any return < {number(harm)}",
        "harm_why": _harm_why(harm, seen),
        "expert": expert,
        "target": f"{{success_rate: {0.7 if brought and brought.returns is not None else 0.9}{return_mean}}}",
        "constant_reward": "true" if seen.reward else "false",  # where random play is paid nothing, a success may be paid
        "reward_why": "steps paid differently"
        if seen.reward is None
        else f"every step of random play paid {number(seen.reward)}",
        "first": least if brought else TRAIN,
    }


def _horizon(limit: int | None, longest: int) -> int:
    """Steps of an episode: as registered, and as long as the longest recorded one at least."""
    return min(max(limit or USUAL_HORIZON, longest), MOST_STEPS)


def _harm_why(harm: float, seen: Seen) -> str:
    if harm <= seen.returns.min():
        return "no random episode is as bad"
    return "worse than the median of random play" if harm == float(np.median(seen.returns)) else "worse than a success"


def _goal(seen: Seen, brought: Brought | None) -> tuple[float, str, str]:
    """The return that counts as a success, the sign before it, and why."""
    if brought and brought.returns is not None:
        return (
            float(np.quantile(brought.returns, 0.25, method="lower")),
            ">=",
            "DECIDE: at least three of four recorded episodes reach it",
        )
    if seen.threshold is not None:
        return (
            float(seen.threshold),
            ">=",
            "DECIDE: the environment is registered with this threshold, for the mean over episodes",
        )
    low, best = float(seen.returns.min()), float(seen.returns.max())
    why = f"DECIDE: the environment does not say; random episodes returned {number(low)} to {number(best)}"
    return best, ">=" if best > low else ">", why


def number(value: float) -> str:
    """As a predicate takes it: six digits, without an exponent."""
    return np.format_float_positional(value, precision=6, fractional=False, trim="-")


def _yaml(value: Any) -> str:
    """A value as JSON, which is YAML; plain words without quotes."""
    from headstart.core.strict_json import canonical_json

    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) else canonical_json(value).decode()
