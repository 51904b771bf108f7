"""Stage `capture`: the approved expert acts, and every step is written, shard by shard.

A shard is some worlds' whole episodes; it is on disk in full or not at all. Shards of an interrupted capture wait in .headstart/ under a
hash of everything that decides their bytes, and the next run goes on from there.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from headstart.config.params import CaptureParams, Params
from headstart.config.project import DATA, WORK_DIR
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.arrays import Array
from headstart.core.closure import code_sha256
from headstart.core.files import fresh_directory
from headstart.core.strict_json import sha256_json
from headstart.dataset.episodes import Episodes, EpisodeTable, Header, episode_ids, write_episodes
from headstart.runs.expert import approved_expert, expert_of
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.pool import progress_bar
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, Observations, World

BEHAVIOURS = ("eats", "showers", "cooks", "sleeps", "chats", "yields", "presses", "ghost_steps", "waited", "family")


WRITER = "0.2.0"  # of this recorder: raise it when it writes other bytes for the same episodes


def capture(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/raw/shard-0000.h5 …; refuses an expert that is not approved (exit 6)."""
    expert = approved_expert(scenario)
    settings = params.capture
    code = code_sha256(["headstart.stages.capture"])
    key = sha256_json([settings.model_dump(mode="json"), scenario.sha256, expert.policy_sha256, code])
    waiting = WORK_DIR / "capture" / f"{scenario.name}-{key[:16]}"
    starts = range(0, settings.worlds, settings.shard_worlds)
    with progress_bar(f"capture {scenario.name}") as bar:
        task = bar.add_task("worlds", total=settings.worlds)
        for number, start in enumerate(starts):
            count = min(settings.shard_worlds, settings.worlds - start)
            path = waiting / f"shard-{number:04d}.h5"
            if not path.exists():
                _write_shard(path, params, scenario, expert, start, count)
            bar.advance(task, count)
    with fresh_directory(DATA / scenario.name / "raw") as raw:
        for path in sorted(waiting.glob("shard-*.h5")):
            shutil.copy2(path, raw / path.name)
    shutil.rmtree(waiting)
    says = f"capture {scenario.name}: {settings.worlds} worlds × {scenario.horizon} ticks in {len(starts)} shards"
    return Done(says, {"worlds": settings.worlds, "shards": len(starts)}, seeds=(settings.seed,))


def _write_shard(path: Path, params: Params, scenario: Scenario, expert: ExpertPolicy, start: int, count: int) -> None:
    settings = params.capture
    world = worlds_of(scenario, "capture", count, settings.observation, skip=start)
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=expert.policy_sha256,
        seed=settings.seed,
        observation=schema_of(world),
        writer_version=WRITER,
    )
    world_ids = FIRST_WORLD["capture"] + start + np.arange(count)
    write_episodes(path, record(world, expert_of(scenario, world), world_ids, settings, header), header)


def record(world: World, expert: Act, world_ids: Array, settings: CaptureParams, header: Header) -> Episodes:
    """One episode of every world: the teacher chooses, and what is executed deviates now and then, so that it is seen recovering."""
    ticks, rows, names = world.horizon, world.num_envs, world.names
    deviate = deviations(world, world_ids, settings)
    obs, _ = world.reset(seed=settings.seed)
    columns: dict[str, Array] = {f"obs/{k}": np.empty((rows, ticks, *v.shape[1:]), v.dtype) for k, v in obs.items()}
    chosen = expert(obs)
    columns |= {name: np.empty((rows, ticks, *chosen.shape[1:]), chosen.dtype) for name in ("action", "expert_action")}
    columns["reward"] = np.empty((rows, ticks), np.float32)
    columns["reward_terms"] = np.empty((rows, ticks, len(names.reward_terms)), np.float32)
    columns |= {name: np.empty((rows, ticks), bool) for name in ("terminated", "truncated")}
    final: list[tuple[Array, int, dict[str, Array]]] = []
    stats, length = np.zeros(0), np.zeros(world.num_worlds, np.int64)  # 0: still going on
    for t in range(ticks):
        for name, value in obs.items():
            columns[f"obs/{name}"][:, t] = value
        columns["expert_action"][:, t] = chosen
        columns["action"][:, t] = deviate(t, obs, chosen)
        obs, reward, terminated, truncated, info = world.step(columns["action"][:, t])
        columns["reward"][:, t], columns["reward_terms"][:, t] = reward, info["reward_terms"]
        columns["terminated"][:, t], columns["truncated"][:, t] = terminated, truncated
        ended = np.flatnonzero((terminated | truncated) & np.repeat(length == 0, world.num_agents))
        final.append((ended, t, {name: value[ended].copy() for name, value in info["final_obs"].items()}))
        ending = (length == 0) & info["episode_end"]
        stats = stats if len(stats) else np.zeros_like(info["stats"])
        stats[ending], length[ending] = info["stats"][ending], t + 1
        if length.all():
            break
        chosen = expert(obs)
    return _episodes(world, world_ids, settings.seed, columns, np.repeat(length, world.num_agents), final, stats, header)


def deviations(world: World, world_ids: Array, settings: CaptureParams) -> Callable[[int, Observations, Array], Array]:
    """What is executed at tick t in place of the teacher's choice [N] or [N, D]: a slip to a random allowed action, or noise.

    Noise shows the teacher's way back from states that only a clone gets into (DART: Laskey et al. 2017). A world's deviations are a function of
    the seed and its id, whatever is recorded beside it.
    """
    random = [np.random.Generator(np.random.Philox(key=[settings.seed, world_id])) for world_id in world_ids]
    agents, ticks, names = world.num_agents, world.horizon, world.names
    if not names.actions:
        low, high = np.array(names.action_low, np.float32), np.array(names.action_high, np.float32)
        noise = np.float32(settings.noise) * np.concatenate(
            [g.standard_normal((agents, ticks, len(low)), np.float32) for g in random]
        )
        return lambda t, obs, chosen: np.clip(chosen + noise[:, t // settings.noise_ticks], low, high)
    slipping = np.concatenate([g.random((agents, ticks)) for g in random]) < settings.slip  # [N, T]
    preference = np.concatenate([g.random((agents, ticks, len(names.actions))) for g in random])

    def slip(t: int, obs: Observations, chosen: Array) -> Array:
        other = np.where(obs["mask"] > 0, preference[:, t], -1.0).argmax(axis=1)
        return np.where(slipping[:, t], other, chosen)

    return slip


def _episodes(
    world: World,
    world_ids: Array,
    seed: int,
    columns: dict[str, Array],
    length: Array,
    final: list[tuple[Array, int, dict[str, Array]]],
    stats: Array,
    header: Header,
) -> Episodes:
    """Columns [N, T, …], of which row n counts for `length[n]` ticks, as whole lives, one after the other.

    An episode is one agent from its spawn to its end.
    """
    rows, ticks = columns["reward"].shape
    counts = (np.arange(ticks) < length[:, None]).ravel()
    flat = {name: value.reshape(rows * ticks, *value.shape[2:])[counts] for name, value in columns.items()}
    last = np.flatnonzero(flat["terminated"] | flat["truncated"])
    start = np.concatenate([[0], last[:-1] + 1])
    row = np.repeat(np.arange(rows), length)[start]
    in_order = np.argsort(np.concatenate([ended * ticks + t for ended, t, _ in final]))
    final_observation = {name: np.concatenate([obs[name] for _, _, obs in final])[in_order] for name in final[0][2]}
    agents = world.num_agents
    worlds, agent = world_ids[row // agents], row % agents
    life = np.arange(len(row)) - np.searchsorted(row, row)  # an agent that fainted lives again in the same slot
    seeds = np.full(len(row), seed)
    names = world.names.stats
    table = EpisodeTable(
        episode_id=episode_ids(header.scenario_sha256, header.policy_sha256, seeds, worlds, life, agent),
        start=start,
        length=last - start + 1,
        seed=seeds,
        world=worlds,
        episode=life,
        agent=agent,
        total_reward=np.add.reduceat(flat["reward"], start, dtype=np.float32),
        success=world.success(stats)[row // agents],
        harm=world.harm(stats)[row // agents],
        behaviour={name: stats[row // agents, agent, names.index(name)].astype(np.int32) for name in BEHAVIOURS if name in names},
    )
    observation = {name.removeprefix("obs/"): value for name, value in flat.items() if name.startswith("obs/")}
    mask = observation.pop("mask").astype(bool) if "mask" in observation else None
    rest = {name: flat[name] for name in ("action", "expert_action", "reward", "reward_terms", "terminated", "truncated")}
    return Episodes(observation=observation, action_mask=mask, final_observation=final_observation, table=table, **rest)


if __name__ == "__main__":
    main(capture)
