"""Stage `capture`: the approved expert acts, and every step is written, shard by shard.

A shard is some worlds' whole episodes; it is on disk in full or not at all. Shards of an interrupted capture wait in .headstart/ under a
hash of everything that decides their bytes, and the next run goes on from there.
"""

import shutil
from pathlib import Path

import numpy as np

import headstart
from headstart.errors import GateFailed
from headstart.launch.pool import progress_bar
from headstart.params import Params, Scenario
from headstart.records.episodes import Array, Episodes, EpisodeTable, Header, episode_ids, write_episodes
from headstart.records.expert import ExpertPolicy
from headstart.records.files import fresh_directory, read_record
from headstart.stages.project import DATA, MODELS, SCRATCH, hash_of, main, schema_of, worlds_of
from headstart.worlds import FIRST_WORLD, World, source_sha256

BEHAVIOURS = ("eats", "showers", "cooks", "sleeps", "chats", "yields", "presses", "ghost_steps", "waited")


def capture(params: Params, scenario: Scenario) -> str:
    """Writes data/<scenario>/raw/shard-0000.h5 …; refuses an expert that is not approved (exit 6)."""
    expert = approved_expert(scenario)
    settings = params.capture
    key = hash_of(settings.model_dump(), scenario.sha256, expert.policy_sha256, headstart.__version__)[:16]
    waiting = SCRATCH / "capture" / f"{scenario.name}-{key}"
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
    return f"capture {scenario.name}: {settings.worlds} worlds × {scenario.horizon} ticks in {len(starts)} shards"


def approved_expert(scenario: Scenario) -> ExpertPolicy:
    """The scenario's expert; GateFailed unless it is approved and is still the one that was judged."""
    path = MODELS / scenario.name / "expert" / "expert.json"
    expert = read_record(path, ExpertPolicy, made_by=f"dvc repro expert@{scenario.name}")
    now = source_sha256(scenario.world)
    if expert.state != "approved":
        raise GateFailed(f"{path}: expected an approved expert, got a {expert.state}: {'; '.join(expert.diagnostics)}")
    if (expert.policy_sha256, expert.scenario_sha256) != (now, scenario.sha256):
        raise GateFailed(f"{path}: the expert that was judged is not the one at hand; run `dvc repro expert` again")
    return expert


def _write_shard(path: Path, params: Params, scenario: Scenario, expert: ExpertPolicy, start: int, count: int) -> None:
    settings = params.capture
    world = worlds_of(scenario, "capture", count, settings.observation, skip=start)
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=expert.policy_sha256,
        seed=settings.seed,
        observation=schema_of(world),
        writer_version=headstart.__version__,
    )
    world_ids = FIRST_WORLD["capture"] + start + np.arange(count)
    write_episodes(path, record(world, world_ids, settings.seed, settings.slip, header), header)


def record(world: World, world_ids: Array, seed: int, slip: float, header: Header) -> Episodes:
    """One episode of every world: the expert chooses, now and then a random allowed action is executed instead."""
    ticks, rows = world.horizon, world.num_envs
    slips = [np.random.Generator(np.random.Philox(key=[seed, world_id])) for world_id in world_ids]
    slipping = np.concatenate([g.random((world.num_agents, ticks)) for g in slips]) < slip  # [N, T]
    preference = np.concatenate([g.random((world.num_agents, ticks, len(world.names.actions))) for g in slips])
    seen, _ = world.reset(seed=seed)
    columns: dict[str, Array] = {f"obs/{k}": np.empty((rows, ticks, *v.shape[1:]), v.dtype) for k, v in seen.items()}
    columns |= {name: np.empty((rows, ticks), np.int64) for name in ("action", "expert_action")}
    columns["reward"] = np.empty((rows, ticks), np.float32)
    columns["reward_terms"] = np.empty((rows, ticks, len(world.names.reward_terms)), np.float32)
    columns |= {name: np.empty((rows, ticks), bool) for name in ("terminated", "truncated")}
    final: list[tuple[Array, int, dict[str, Array]]] = []
    for t in range(ticks):
        for name, value in seen.items():
            columns[f"obs/{name}"][:, t] = value
        chosen = world.expert_actions()
        other = np.where(seen["mask"] > 0, preference[:, t], -1.0).argmax(axis=1)
        columns["expert_action"][:, t] = chosen
        columns["action"][:, t] = np.where(slipping[:, t], other, chosen)
        seen, reward, terminated, truncated, info = world.step(columns["action"][:, t])
        columns["reward"][:, t], columns["reward_terms"][:, t] = reward, info["reward_terms"]
        columns["terminated"][:, t], columns["truncated"][:, t] = terminated, truncated
        ended = np.flatnonzero(terminated | truncated)
        final.append((ended, t, {name: value[ended].copy() for name, value in info["final_obs"].items()}))
    return _episodes(world, world_ids, seed, columns, final, info["stats"], header)


def _episodes(
    world: World,
    world_ids: Array,
    seed: int,
    columns: dict[str, Array],
    final: list[tuple[Array, int, dict[str, Array]]],
    stats: Array,
    header: Header,
) -> Episodes:
    """Columns [N, T, …] of whole lives, one after the other: an episode is one agent from its spawn to its end."""
    rows, ticks = columns["reward"].shape
    flat = {name: value.reshape(rows * ticks, *value.shape[2:]) for name, value in columns.items()}
    last = np.flatnonzero(flat["terminated"] | flat["truncated"])
    start = np.concatenate([[0], last[:-1] + 1])
    row = start // ticks
    in_order = np.argsort(np.concatenate([ended * ticks + t for ended, t, _ in final]))
    final_observation = {name: np.concatenate([seen[name] for _, _, seen in final])[in_order] for name in final[0][2]}
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
        behaviour={name: stats[row // agents, agent, names.index(name)].astype(np.int32) for name in BEHAVIOURS},
    )
    observation = {name.removeprefix("obs/"): value for name, value in flat.items() if name.startswith("obs/")}
    mask = observation.pop("mask").astype(bool)
    rest = {name: flat[name] for name in ("action", "expert_action", "reward", "reward_terms", "terminated", "truncated")}
    return Episodes(observation=observation, action_mask=mask, final_observation=final_observation, table=table, **rest)


if __name__ == "__main__":
    main(capture)
