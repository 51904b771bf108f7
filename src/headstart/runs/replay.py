"""Record worlds again: the same seeds must give the same episodes, in every column."""

from collections.abc import Iterator

import numpy as np

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.user_code import called
from headstart.dataset.episodes import Episodes, EpisodeTable, Header, columns_of, episodes_from, is_whole, select
from headstart.dataset.episodes_file import ESTIMATED
from headstart.runs.expert import expert_of
from headstart.runs.recording import Taken, record
from headstart.runs.worlds import worlds_of
from headstart.worlds.api import FIRST_WORLD
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_setup import Env, GymSetup

ROUNDED_STEPS = (
    20  # of an episode with continuous actions: these are kept as float32, and an environment may blow up its rounding
)
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


def replay(episodes: Episodes, header: Header, params: Params, scenario: Scenario) -> tuple[int, int]:
    """Record the worlds again: (episodes compared, episodes that differ in any column).

    All worlds of the town and the robot, shard by shard; of an environment that a user brings a sample of `validate.replay_worlds`. A script
    acts again as it did. The choices of other experts are compared and the recorded actions executed, because a network rounds differently
    beside another number of rows: so only worlds all of whose agents were accepted can be played.
    """
    settings, asked = params.capture, header.model_copy(update={"seed": params.capture.seed})
    table, scripted = episodes.table, scenario.expert.policy == "scripted"
    agents = worlds_of(scenario, "capture", 1, settings.observation).num_agents
    numbers = table.world - FIRST_WORLD["capture"]
    whole = np.unique(numbers) if scripted else _whole(table, numbers, agents, leave=scenario.is_foreign)
    known = (numbers >= 0) & (numbers < settings.all_worlds)
    compared, differing = int((~known).sum()), int((~known).sum())  # nothing records these again
    for block, part in _batches(whole, params, scenario):
        mine = np.isin(numbers, np.intersect1d(np.array(part), whole))
        if not mine.any():
            continue
        world = worlds_of(scenario, "capture", len(part), settings.observation, skip=part.start)
        stored = _in_order(select(episodes, mine))
        taken = None if scripted else _taken(stored, np.array(part) + FIRST_WORLD["capture"], agents, world.horizon)
        ids = FIRST_WORLD["capture"] + np.array(part)
        again = record(world, expert_of(scenario, world, block), ids, settings, asked, taken)
        compared += int(mine.sum())
        differing += int((~same_episodes(stored, again, 0.0 if scripted else ROUNDING)).sum())
        world.close()
    return compared, differing


def same_episodes(stored: Episodes, again: Episodes, rounding: float = 0.0) -> Array:
    """[E] bool: the episode of the same world, agent and life has the same bits in every column, but for what comes before it in the file.

    Real actions may differ by `rounding`.
    """
    theirs = {key: e for e, key in enumerate(_keys(again.table))}
    found = np.array([theirs.pop(key, -1) for key in _keys(stored.table)])  # a second one of the same name has no partner
    same = found >= 0
    same[same] = stored.table.length[same] == again.table.length[found[same]]
    columns, others = columns_of(stored), columns_of(again)
    if columns.keys() != others.keys():
        return np.zeros(len(same), bool)
    mine, partner = np.flatnonzero(same), found[same]
    if not len(mine):
        return same
    rows, other_rows = (_rows(of.table, chosen) for of, chosen in ((stored, mine), (again, partner)))
    starts = np.cumsum(stored.table.length[mine]) - stored.table.length[mine]
    for name in columns.keys() - {"/episodes/start"}:
        is_steps = name.startswith("/steps/")
        a, b = (columns[name][rows], others[name][other_rows]) if is_steps else (columns[name][mine], others[name][partner])
        alike = _alike(
            a, b, rounding if name in ("/steps/action", "/steps/expert_action", *ESTIMATED) else 0.0, name in ESTIMATED
        )
        same[mine] &= np.logical_and.reduceat(alike, starts) if is_steps else alike
    return same


def _alike(a: Array, b: Array, rounding: float, unbounded: bool = False) -> Array:
    """[n] bool from [n, …]: the same bits, or real numbers within `rounding`; of `unbounded` ones within ten times that share of 1 + |a|."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return np.zeros(len(a), bool)
    if rounding and a.dtype.kind == "f":
        same = np.abs(a - b) <= (rounding * 10 * (1 + np.abs(a)) if unbounded else rounding)
    else:
        same = a.view(f"u{a.itemsize}") == b.view(f"u{b.itemsize}") if a.dtype.kind == "f" else a == b
    return np.asarray(same.reshape(len(a), -1).all(axis=1))


def _keys(table: EpisodeTable) -> list[tuple[int, int, int]]:
    return list(zip(table.world.tolist(), table.agent.tolist(), table.episode.tolist(), strict=True))


def _rows(table: EpisodeTable, chosen: Array) -> Array:
    """The rows of the chosen episodes, one episode after the other."""
    length = table.length[chosen]
    return np.repeat(table.start[chosen] - (np.cumsum(length) - length), length) + np.arange(length.sum())


def _batches(whole: Array, params: Params, scenario: Scenario) -> Iterator[tuple[int, range]]:
    """Block and worlds of what is recorded again in one go."""
    if not scenario.is_foreign:
        yield from params.capture.parts
        return
    chosen = np.random.default_rng(params.capture.seed).permutation(whole)[: params.validate_.replay_worlds]
    for number in np.sort(chosen).tolist():
        yield number // params.capture.worlds, range(number, number + 1)


def _whole(table: EpisodeTable, numbers: Array, agents: int, leave: bool) -> Array:
    ids = np.unique(numbers)
    return ids[[is_whole(table, numbers == number, agents, leave) for number in ids]]


def _in_order(episodes: Episodes) -> Episodes:
    """By world, agent and life, as they are recorded."""
    table = episodes.table
    order = np.lexsort((table.episode, table.agent, table.world))
    rows = _rows(table, order)
    columns = {
        name: column[rows] if name.startswith("/steps/") else column[order] for name, column in columns_of(episodes).items()
    }
    return episodes_from(columns | {"/episodes/start": np.cumsum(table.length[order]) - table.length[order]})


def _taken(episodes: Episodes, ids: Array, agents: int, ticks: int) -> Taken:
    """The actions of episodes in order, which are whole, by row of the worlds `ids` and tick."""
    table = episodes.table
    row = np.searchsorted(ids, table.world) * agents + table.agent  # of each episode
    of_step = np.repeat(row, table.length)
    first = np.searchsorted(of_step, of_step)  # of the row's first step
    tick = np.minimum(np.arange(len(of_step)) - first, ticks - 1)
    there = np.zeros((len(ids) * agents, ticks), bool)
    action = np.zeros((*there.shape, *episodes.action.shape[1:]), episodes.action.dtype)
    there[of_step, tick], action[of_step, tick] = True, episodes.action
    return Taken(there, action)
