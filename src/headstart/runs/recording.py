"""The expert acts in worlds, and every step is recorded. What is executed deviates from its choice now and then, so that the
recording shows how it recovers; the label stays the expert's choice.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from headstart.config.params import CaptureParams, Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.memory import require_memory
from headstart.dataset.episodes import Episodes, EpisodeTable, Header, episode_ids
from headstart.runs.estimates import behaviour_log_prob
from headstart.runs.expert import expert_of
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, Observations, World

# Counters of the town and the robot that stand beside every episode, where a world has them. runs/shift.py compares `family`, the kind of
# situation; the others are for people who look into a file. Another list makes other bytes: raise WRITER with it.
BEHAVIOURS = ("eats", "showers", "cooks", "sleeps", "chats", "yields", "presses", "ghost_steps", "waited", "family")


WRITER = "0.2.0"  # of the recorder: increase it when the recorder writes other bytes for the same episodes
RANDOM_STEPS = 16_000  # at most, under random actions


class Taken(NamedTuple):
    """Actions that were recorded before."""

    there: Array  # [N, T] bool: a recorded step
    action: Array  # [N, T] i64 or [N, T, D] f32


def recorded_shard(
    scenario: Scenario, task: Scenario, settings: CaptureParams, policy_sha256: str, block: int, numbers: range
) -> tuple[Episodes, Header]:
    """The worlds `numbers` of a block, in which the scenario's expert acts. `task`: the scenario, for a draft perhaps with other ticks."""
    world = worlds_of(task, "capture", len(numbers), settings.observation, skip=numbers.start)
    found = recorded(world, expert_of(scenario, world, block), settings, task, policy_sha256)
    world.close()
    return found


def recorded(
    world: World, expert: Act, settings: CaptureParams, scenario: Scenario, policy_sha256: str
) -> tuple[Episodes, Header]:
    """One episode of every world, and what they have in common."""
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=policy_sha256,
        seed=settings.seed,
        observation=schema_of(world),
        writer_version=WRITER,
        slip=settings.slip if world.names.actions and getattr(expert, "log_prob", None) else None,
    )
    return record(world, expert, np.array(world.ids), settings, header), header


def record(
    world: World, expert: Act, world_ids: Array, settings: CaptureParams, header: Header, taken: Taken | None = None
) -> Episodes:
    """One episode of every world, as whole lives, one after the other: an episode of the recording is one agent from spawn to end.

    `world_ids` [W] i64 are global. Rows [N, T] that come after the end of a world's episode, or after their agent left, are cut off. What was
    `taken` is executed in place of what the expert leads to, which is recorded nevertheless.
    """
    ticks, agents, names = world.horizon, world.num_agents, world.names
    row = (
        4 * len(names.features)
        + 9 * len(names.actions)
        + len(names.map_channels) * names.map_size**2
        + 4 * len(names.reward_terms)
        + 32
    )
    size = f"{world.num_worlds:,} worlds × {agents} agents × {ticks:,} steps × {len(names.features)} features"
    require_memory(world.num_envs * ticks * row, f"capture.shard_worlds, horizon: {size}")
    deviate = deviations(world, world_ids, settings)
    log_prob, value = getattr(expert, "log_prob", None), getattr(expert, "value", None)
    observation: dict[str, Array] = {}  # [N, T, …]
    steps: dict[str, Array] = {}  # [N, T, …]
    # of the lives that ended in each tick: their order, row · T + t, and their last observations
    final: list[tuple[Array, Observations]] = []
    there = np.zeros((world.num_envs, ticks), bool)
    stats, length = np.zeros(0), np.zeros(world.num_worlds, np.int64)  # ticks of each world's episode; 0: it goes on
    obs, _ = world.reset(seed=settings.seed)
    for t in range(ticks):
        choice = expert(obs)
        action = deviate(t, obs, choice)
        executed = action if taken is None else _executed(taken, t, action)
        _put(observation, ticks, t, obs)  # before the step: a world may use its arrays again
        _put(steps, ticks, t, {"action": action, "expert_action": choice})
        if log_prob is not None:
            _put(steps, ticks, t, {"expert_log_prob": behaviour_log_prob(log_prob(obs, executed), obs, settings.slip)})
        if value is not None:
            _put(steps, ticks, t, {"expert_value": value(obs)})
        there[:, t] = np.repeat(length == 0, agents) & ~world.gone
        obs, reward, terminated, truncated, info = world.step(executed)
        outcome = {"reward": reward, "reward_terms": info["reward_terms"], "terminated": terminated, "truncated": truncated}
        _put(steps, ticks, t, outcome)
        ended = np.flatnonzero((terminated | truncated) & there[:, t])
        final.append((ended * ticks + t, {name: value[ended] for name, value in info["final_obs"].items()}))
        ending = (length == 0) & info["episode_end"]
        stats = stats if len(stats) else np.zeros_like(info["stats"])
        stats[ending], length[ending] = info["stats"][ending], t + 1
        if length.all():
            break
    steps = {name: column[there] for name, column in steps.items()}
    observation = {name: column[there] for name, column in observation.items()}
    mask = observation.pop("mask", None)
    in_order = np.argsort(np.concatenate([at for at, _ in final]))
    last = {name: np.concatenate([of[name] for _, of in final])[in_order] for name in final[0][1]}
    return Episodes(
        **steps,
        action_mask=None if mask is None else mask.astype(bool),
        observation=observation,
        final_observation=last,
        final_value=None if value is None else value(last),
        table=_table(world, world_ids, header, np.nonzero(there)[0], steps, stats),
    )


def record_random(params: Params, scenario: Scenario, header: Header) -> Episodes:
    """A few episodes of the environment under random actions: how it behaves, whoever acts."""
    count = min(64, max(8, RANDOM_STEPS // scenario.horizon))
    world = worlds_of(scenario, "capture", count, params.capture.observation)
    names, random = world.names, np.random.default_rng(params.capture.seed)

    def act(obs: Observations) -> Array:
        if names.actions:
            return np.asarray(np.where(obs["mask"] > 0, random.random(obs["mask"].shape), -1.0).argmax(axis=1))
        drawn = random.uniform(names.action_low, names.action_high, (world.num_envs, len(names.action_low)))
        return np.asarray(drawn, np.float32)

    settings = params.capture.model_copy(update={"slip": 0.0, "noise": 0.0})
    return record(world, act, FIRST_WORLD["capture"] + np.arange(count), settings, header)


def deviations(world: World, world_ids: Array, settings: CaptureParams) -> Callable[[int, Observations, Array], Array]:
    """What is executed at tick t in place of the expert's choice [N] or [N, D]: a slip to a random allowed action, or noise.

    Noise shows the expert's way back from states that only a clone gets into (DART: Laskey et al. 2017). A world's deviations are a function of
    the seed and its id, whatever is recorded beside it.
    """
    random = [np.random.Generator(np.random.Philox(key=[settings.seed, world_id])) for world_id in world_ids]
    agents, ticks, names = world.num_agents, world.horizon, world.names
    if not names.actions:
        low, high = np.array(names.action_low, np.float32), np.array(names.action_high, np.float32)
        noise = np.float32(settings.noise) * np.concatenate(
            [g.standard_normal((agents, ticks, len(low)), np.float32) for g in random]
        )
        return lambda t, obs, choice: np.clip(choice + noise[:, t // settings.noise_ticks], low, high)
    slipping = np.concatenate([g.random((agents, ticks)) for g in random]) < settings.slip  # [N, T]
    preference = np.concatenate([g.random((agents, ticks, len(names.actions))) for g in random])

    def slip(t: int, obs: Observations, choice: Array) -> Array:
        other = np.where(obs["mask"] > 0, preference[:, t], -1.0).argmax(axis=1)
        return np.where(slipping[:, t], other, choice)

    return slip


def _executed(taken: Taken, t: int, action: Array) -> Array:
    there = taken.there[:, t].reshape(-1, *[1] * (action.ndim - 1))
    return np.where(there, taken.action[:, t], action)


def _put(columns: dict[str, Array], ticks: int, t: int, values: dict[str, Array]) -> None:
    """Note the values [N, …] of tick t in columns [N, T, …], which are made when the first come."""
    for name, value in values.items():
        if name not in columns:
            columns[name] = np.empty((len(value), ticks, *value.shape[1:]), value.dtype)
        columns[name][:, t] = value


def _table(
    world: World, world_ids: Array, header: Header, row_of_step: Array, steps: dict[str, Array], stats: Array
) -> EpisodeTable:
    """The table of the lives that the recorded steps hold; `row_of_step` is each step's row of the worlds, `stats` [W, A, S]."""
    last = np.flatnonzero(steps["terminated"] | steps["truncated"])
    start = np.concatenate([[0], last[:-1] + 1])
    row = row_of_step[start]
    number, agent = row // world.num_agents, row % world.num_agents
    worlds, seeds = world_ids[number], np.full(len(row), header.seed)
    life = np.arange(len(row)) - np.searchsorted(row, row)  # an agent that fainted lives again in the same row
    counters = world.names.stats
    return EpisodeTable(
        episode_id=episode_ids(header.scenario_sha256, header.policy_sha256, seeds, worlds, life, agent),
        start=start,
        length=last - start + 1,
        seed=seeds,
        world=worlds,
        episode=life,
        agent=agent,
        total_reward=np.add.reduceat(steps["reward"], start, dtype=np.float32),
        success=world.success(stats)[number],
        harm=world.harm(stats)[number],
        behaviour={name: stats[number, agent, counters.index(name)].astype(np.int32) for name in BEHAVIOURS if name in counters},
    )
