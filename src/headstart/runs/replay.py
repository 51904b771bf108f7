"""Simulate recorded worlds again, from seed and recorded actions: the recording must come out the same."""

import numpy as np

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.user_code import called
from headstart.dataset.episodes import Episodes, EpisodeTable
from headstart.runs.expert import expert_of
from headstart.runs.worlds import worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, World
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_setup import Env, GymSetup
from headstart.worlds.make import ENVIRONMENTS

ROUNDED_STEPS = (
    20  # of an episode with continuous actions: these are kept as float32, and an environment may blow up its rounding
)
NONE = -1  # no row: the agent has left, and its actions are ignored
ROUNDING = 1e-4  # of a network's actions in [−1, 1]: its matrix products round differently beside another number of rows


def replay_recorded(episodes: Episodes, params: Params, scenario: Scenario, absent: tuple[str, ...]) -> tuple[int, int] | str:
    """Reset the environment to recorded seeds and take the recorded actions: as `replay`, or why nothing can be replayed.

    A sample of the episodes that have a seed (≥ 0). Observations must be the same up to the rounding of float32, as must
    rewards and ends where they are recorded.
    """
    table = episodes.table
    world = worlds_of(scenario, "capture", 1, params.capture.observation)
    seeded = np.zeros(0, np.int64) if "seeds" in absent else np.flatnonzero(table.seed >= 0)
    if not isinstance(world, GymWorld) or scenario.world != "gym":
        return f"a recording of another program cannot be played again in a {scenario.world}"
    if not len(seeded):
        return "seeds are not recorded"
    chosen = np.random.default_rng(params.capture.seed).permutation(seeded)[: params.validate_.replay_worlds]
    recipe = GymSetup.model_validate(dict(scenario.setup)).recipe
    env = recipe.make()

    def differing() -> int:
        return sum(not _recurs(env, world, episodes, e, absent) for e in np.sort(chosen))

    try:
        return len(chosen), called(f"setup.id: {recipe.id}", differing)
    finally:
        env.close()


def _recurs(env: Env, world: GymWorld, episodes: Episodes, e: int, absent: tuple[str, ...]) -> bool:
    """Whether an episode comes out the same; with continuous actions, its first ROUNDED_STEPS."""
    start, whole = int(episodes.table.start[e]), int(episodes.table.length[e])
    length = whole if world.names.actions else min(whole, ROUNDED_STEPS)
    seen, _ = env.reset(seed=int(episodes.table.seed[e]))
    rows, rewards = [seen], []
    acts = world.acting.own(episodes.action[start : start + length])
    for t, act in enumerate(acts if acts.ndim > 1 else acts.tolist()):
        seen, reward, terminated, _, _ = env.step(act)
        rewards.append(float(reward))
        rows.append(seen)
        if "ends" not in absent and bool(terminated) != bool(episodes.terminated[start + t]):
            return False
    now = world.observing.rows(rows)
    for name, column in now.items():
        recorded = [episodes.observation[name][start : start + length]]
        recorded += [] if "final_observations" in absent or length < whole else [episodes.final_observation[name][e : e + 1]]
        recorded_rows = np.concatenate(recorded)
        if not np.allclose(column[: len(recorded_rows)], recorded_rows, rtol=1e-4, atol=1e-5):
            return False
    return "rewards" in absent or np.allclose(rewards, episodes.reward[start : start + length], rtol=1e-4, atol=1e-5)


def replay(episodes: Episodes, params: Params, scenario: Scenario) -> tuple[int, int]:
    """Replay a sample of `validate.replay_worlds` worlds: (episodes compared, episodes that differ).

    Only worlds all of whose agents were accepted can be replayed; actions, observations, rewards and ends must be the same bits.
    """
    table, observation = episodes.table, params.capture.observation
    agents = worlds_of(scenario, "capture", 1, observation).num_agents
    ids = np.unique(table.world)
    whole = ids[[_is_whole(table, world, agents, leave=scenario.world in ENVIRONMENTS) for world in ids]]
    chosen = np.random.default_rng(params.capture.seed).permutation(whole)[: params.validate_.replay_worlds]
    compared = differing = 0
    for world_id in np.sort(chosen):
        number = int(world_id) - FIRST_WORLD["capture"]
        world = worlds_of(scenario, "capture", 1, observation, skip=number)
        expert = expert_of(scenario, world, number // params.capture.worlds)
        mine = np.flatnonzero(table.world == world_id)
        mine = mine[np.lexsort((table.episode[mine], table.agent[mine]))]
        lives = [np.arange(table.start[e], table.start[e] + table.length[e]) for e in mine]
        steps = [
            np.concatenate([life for life, e in zip(lives, mine, strict=True) if table.agent[e] == a]) for a in range(agents)
        ]
        rows = np.full((agents, max(map(len, steps))), NONE)
        for a, of in enumerate(steps):
            rows[a, : len(of)] = of
        same = _same(world, expert, episodes, rows, int(table.seed[mine[0]]))
        compared += len(mine)
        differing += int((~same[table.agent[mine]]).sum())
    return compared, differing


def _is_whole(table: EpisodeTable, world: int, agents: int, leave: bool) -> bool:
    """Whether the recording of a world has no gap: of every agent all lives from the first on, over the same ticks.

    Agents that `leave` have one life, which may end before those of others.
    """
    mine = table.world == world
    lives = [np.sort(table.episode[mine & (table.agent == a)]) for a in range(agents)]
    ticks = {int(table.length[mine & (table.agent == a)].sum()) for a in range(agents)}
    return (leave or len(ticks) == 1) and all(len(of) > 0 and (of == np.arange(len(of))).all() for of in lives)


def _same(world: World, expert: Act, episodes: Episodes, rows: Array, seed: int) -> Array:
    """[A] bool: every recorded step of each agent is what the world does again; rows [A, T] index the step columns, NONE after an agent left."""
    same = np.ones(len(rows), bool)
    obs, _ = world.reset(seed=seed)
    for now in rows.T:
        left = now == NONE
        for name, column in episodes.observation.items():
            same &= left | (obs[name] == column[now]).reshape(len(now), -1).all(axis=1)
        if episodes.action_mask is not None:
            same &= left | (obs["mask"] == episodes.action_mask[now]).all(axis=1)
        choice, recorded = expert(obs), episodes.expert_action[now]
        alike = choice == recorded if choice.dtype.kind == "i" else np.abs(choice - recorded) <= ROUNDING
        same &= left | alike.reshape(len(now), -1).all(axis=1)
        obs, reward, terminated, truncated, _ = world.step(episodes.action[now])
        same &= left | (reward == episodes.reward[now]) & (terminated == episodes.terminated[now])
        same &= left | (truncated == episodes.truncated[now])
    return same
