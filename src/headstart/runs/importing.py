"""A user's recording as episodes: held to the spaces of the environment, judged by the scenario's predicates, and dealt to blocks."""

from pathlib import Path
from typing import Any

import numpy as np

from headstart.config.params import Params
from headstart.config.scenario import Recorded, Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.strict_json import sha256_json
from headstart.dataset.episodes import Absent, Episodes, EpisodeTable, Header, episode_ids
from headstart.dataset.formats.reading import files_of, read_recording
from headstart.dataset.formats.recording import ACTION_MASK, EXPERT_ACTION, Recording, Tree, leaves, mapped
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, World
from headstart.worlds.gym import FIRST, GATHER, OWN_STATS, GymSetup, GymWorld

WRITER = "import-1"  # increase it when other bytes are written for the same recording
ROWS = 100_000  # converted at once


def import_recording(params: Params, scenario: Scenario, source: Recorded) -> tuple[Episodes, Header, dict[str, str]]:
    """The recording that a scenario names: its episodes, their header, and path → SHA-256 of its files.

    InputError names episode and row of what is damaged or does not fit the environment.
    """
    files = files_of(Path(source.path))
    recording = read_recording(source.format, Path(source.path))
    episodes, header = converted(recording, params, scenario, sha256_json(files), source.format == "hdf5")
    return episodes, header, files


def converted(
    recording: Recording, params: Params, scenario: Scenario, sha256: str, ours: bool = False
) -> tuple[Episodes, Header]:
    """A sound recording as episodes; `ours`: its observations and actions are those of the contract of worlds already.

    Episodes are dealt to `capture.blocks` in turn, as cards are, so that a recording that changes on the way gives all blocks the same mix.
    Ids of worlds count the dealt episodes; the counter `recorded_episode` is the number of an episode in the file.
    """
    where = f"{scenario.demonstrations.path if scenario.demonstrations else 'recording'}"
    blocks, count = params.capture.blocks, len(recording.length)
    if count < 2 * blocks:
        raise InputError(
            f"{where}: expected at least two episodes for each of {blocks} blocks (capture.blocks), got {count}; record more, or set fewer "
            "seeds and blocks in the scenario's recipe"
        )
    world = worlds_of(scenario, "capture", 1, params.capture.observation)
    if (longest := int(recording.length.max())) > scenario.horizon:
        episode = int(recording.length.argmax())
        raise InputError(
            f"{where}: expected episodes of at most {scenario.horizon} steps (horizon), episode {episode} has {longest}; "
            f"set `horizon: {longest}` in the scenario file"
        )
    absent = _absent(recording)
    success, harm = (
        _outcome(recording, world, scenario, getattr(scenario, name), getattr(world, name), getattr(recording, name))
        for name in ("success", "harm")
    )
    absent += tuple(name for name, known in (("success", success), ("harm", harm)) if known is None)  # type: ignore[misc]
    order = np.argsort(np.arange(count) % blocks, kind="stable")
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=sha256,
        seed=params.capture.seed,
        observation=schema_of(world),
        writer_version=WRITER,
        absent=absent,
    )
    steps = _steps(recording, world, where, ours)
    table = _table(recording, header, order, steps["reward"], success, harm)
    rows = np.concatenate(
        [np.arange(start, start + n) for start, n in zip(recording.start[order], recording.length[order], strict=True)]
    )
    observation, final = steps.pop("observation"), steps.pop("final")
    return Episodes(
        observation={name: column[rows] for name, column in observation.items()},
        final_observation={name: column[order] for name, column in final.items()},
        action_mask=None if (mask := steps.pop("mask")) is None else mask[rows],
        table=table,
        **{name: column[rows] for name, column in steps.items()},
    ), header


def _absent(recording: Recording) -> tuple[Absent, ...]:
    there: dict[Absent, Any] = {
        "rewards": recording.rewards,
        "ends": recording.terminated,
        "final_observations": recording.final_observations,
        "seeds": recording.seeds,
    }
    return tuple(name for name, value in there.items() if value is None)


# --- steps --------------------------------------------------------------------------------------------------------------


def _steps(recording: Recording, world: World, where: str, ours: bool) -> dict[str, Any]:
    """Every column of the steps, in the order of the file."""
    n, last = recording.steps, np.zeros(recording.steps, bool)
    last[np.cumsum(recording.length) - 1] = True
    observation = _observed(recording, recording.observations, n, world, f"{where}: observations", ours)
    if recording.final_observations is None:
        final = {name: column[last] for name, column in observation.items()}
    else:
        final = _observed(
            recording, recording.final_observations, len(recording.length), world, f"{where}: final_observations", ours
        )
    action = _acted(recording.actions, recording, world, f"{where}: actions", ours)
    label = recording.infos.get(EXPERT_ACTION)
    reward = np.zeros(n) if recording.rewards is None else np.asarray(recording.rewards, np.float64).reshape(n)
    truncated = np.ones(len(recording.length), bool) if recording.truncated is None else recording.truncated
    terms = np.zeros((n, len(world.names.reward_terms)), np.float32)
    terms[:, :1] = reward[:, None]
    return {
        "observation": observation,
        "final": final,
        "action": action,
        "expert_action": action if label is None else _acted(label, recording, world, f"{where}: infos.{EXPERT_ACTION}", ours),
        "mask": _masks(recording, world, where) if world.names.actions else None,
        "reward": reward.astype(np.float32),
        "reward_terms": terms,
        "terminated": last & np.repeat(~truncated, recording.length),
        "truncated": last & np.repeat(truncated, recording.length),
    }


def _observed(recording: Recording, tree: Tree, count: int, world: World, where: str, ours: bool) -> dict[str, Array]:
    """Features and map of `count` observations. InputError for parts, shapes or values that are not of the space."""
    if ours or not isinstance(world, GymWorld):
        tree = tree if isinstance(tree, dict) else {"features": tree}
        wanted = {name: space.shape for name, space in world.single_observation_space.items() if name != "mask"}
        if {name: column.shape[1:] for name, column in tree.items()} != wanted:
            raise InputError(
                f"{where}: expected {wanted} of each step, got { {name: column.shape[1:] for name, column in tree.items()} }"
            )
        return {name: np.asarray(column, np.uint8 if name == "map" else np.float32) for name, column in tree.items()}
    observing, parts = world.observing, []
    tree = _fitted(tree, world.observing.space, count, where)
    for begin in range(0, count, ROWS):
        rows = mapped(lambda column: column[begin : begin + ROWS], tree)  # noqa: B023
        parts.append(observing.rows(_each(rows)))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    outside = (found["features"] < _rounded(observing.low, -1)) | (found["features"] > _rounded(observing.high, 1))
    if outside.any():
        row, f = (int(index[0]) for index in np.nonzero(outside))
        place = recording.place(row) if count == recording.steps else f"episode {row}"
        raise InputError(
            f"{where}: expected numbers of {observing.space}, {observing.features[f]} is {found['features'][row, f]:g} in {place}; "
            f"{int(outside.any(axis=1).sum())} of {count} rows lie outside"
        )
    return found


def _rounded(bound: Array, side: int) -> Array:
    """A bound as float32 with room for its rounding."""
    return (bound + side * 1e-6 * np.maximum(1.0, np.where(np.isfinite(bound), np.abs(bound), 1.0))).astype(np.float32)


def _fitted(tree: Tree, space: Any, count: int, where: str) -> Tree:
    """The tree with every array in the shape of its space; a row of one number stands for a number."""
    wanted = dict(leaves(_shapes(space)))
    got = dict(leaves(tree))
    if wanted.keys() != got.keys():
        names = (", ".join(sorted(map(repr, keys))) for keys in (wanted, got))
        raise InputError(f"{where}: expected the parts {next(names)} of {space}, got {next(names)}")
    for name, column in got.items():
        shape, own = tuple(wanted[name].tolist()), column.shape[1:]
        if own != shape and (column.size != count * int(np.prod(shape)) or column.ndim > 2):
            part = f" in {name}" if name else ""
            raise InputError(f"{where}: expected rows of the shape {list(shape)} of {space}{part}, got {list(own)}")

    def shaped(column: Array, shape: Array) -> Array:
        return column.reshape(count, *shape.tolist())

    return mapped(shaped, tree, _shapes(space))


def _shapes(space: Any) -> Tree:
    """A tree like the space with the shape of each part."""
    parts = getattr(space, "spaces", None)
    if isinstance(parts, dict):
        return {key: _shapes(part) for key, part in parts.items()}
    if isinstance(parts, tuple | list):
        return tuple(_shapes(part) for part in parts)
    return np.array(space.shape or (), np.int64)


def _each(tree: Tree) -> Any:
    """A plain array as it is; else one nested observation a row."""
    if isinstance(tree, dict):
        columns = {key: _each(part) for key, part in tree.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if isinstance(tree, tuple):
        return list(zip(*(_each(part) for part in tree), strict=True))
    return tree


def _acted(actions: Array, recording: Recording, world: World, where: str, ours: bool) -> Array:
    """[N] i64 ids or [N, D] f32 of the contract. InputError for an action outside of the space, which names episode and row."""
    if ours or not isinstance(world, GymWorld):
        wanted = (len(actions), *(world.single_action_space.shape or ()))
        if actions.shape != wanted:
            raise InputError(f"{where}: expected the shape {list(wanted)}, got {list(actions.shape)}")
        return np.asarray(actions, np.int64 if world.names.actions else np.float32)
    actions = _fitted(actions, world.acting.space, recording.steps, where)
    try:
        return world.acting.ids(actions)
    except InputError as error:
        bad = _first_bad(world, actions)
        raise InputError(f"{where}: {str(error).removeprefix('actions: ')}: {recording.place(bad)}") from None


def _first_bad(world: GymWorld, actions: Array) -> int:
    """The first row that is no action, by halves."""
    low, high = 0, len(actions)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            world.acting.ids(actions[low:middle])
            low = middle
        except InputError:
            high = middle
    return low


def _masks(recording: Recording, world: World, where: str) -> Array:
    """[N, K] bool, all true where the recording has none."""
    masks, shape = recording.infos.get(ACTION_MASK), (recording.steps, len(world.names.actions))
    if masks is None:
        return np.ones(shape, bool)
    if masks.shape != shape:
        raise InputError(f"{where}: infos.{ACTION_MASK}: expected the shape {list(shape)}, got {list(masks.shape)}")
    return masks.astype(bool)


# --- episodes -----------------------------------------------------------------------------------------------------------


def _outcome(
    recording: Recording, world: World, scenario: Scenario, sentences: tuple[str, ...], predicate: Any, said: Array | None
) -> Array | None:
    """[E] bool of a predicate: by its counters, else as the recording says; None where neither is there."""
    counters = counters_of(recording, scenario) if isinstance(world, GymWorld) else {}
    if all(sentence.split()[1] in counters for sentence in sentences):
        stats = np.zeros((len(recording.length), 1, len(world.names.stats)))
        for name, values in counters.items():
            stats[:, 0, world.names.stats.index(name)] = values
        return np.asarray(predicate(stats), bool)
    return said


def counters_of(recording: Recording, scenario: Scenario) -> dict[str, Array]:
    """Counter of a Gymnasium scenario → its value at the end of each episode [E], of those that the recording tells."""
    start = recording.start
    found: dict[str, Array | None] = {
        "return": None if recording.rewards is None else np.add.reduceat(np.asarray(recording.rewards, np.float64), start),
        "steps": recording.length,
        "terminated": recording.terminated,
    }
    assert set(found) == set(OWN_STATS)
    for key, how in GymSetup.model_validate(dict(scenario.setup)).info.items():
        column = recording.infos.get(key)
        found[key] = (
            None
            if column is None
            else _gathered(np.asarray(column, np.float64).reshape(recording.steps), start, recording.length, how.gather)
        )
    return {name: values for name, values in found.items() if values is not None}


def _gathered(column: Array, start: Array, length: Array, how: str) -> Array:
    """[E] from one value a step, as `GATHER` does it step by step."""
    assert how in GATHER and set(FIRST) == {"any", "sum"}
    match how:
        case "last":
            return np.asarray(column[start + length - 1])
        case "any":
            return np.logical_or.reduceat(column != 0, start).astype(np.float64)
        case _:
            ufunc: np.ufunc = {"sum": np.add, "max": np.maximum, "min": np.minimum}[how]
            return np.asarray(ufunc.reduceat(column, start))


def _table(
    recording: Recording, header: Header, order: Array, reward: Array, success: Array | None, harm: Array | None
) -> EpisodeTable:
    length, count = recording.length[order], len(order)
    worlds = FIRST_WORLD["capture"] + np.arange(count)
    seeds = np.full(count, header.seed) if recording.seeds is None else recording.seeds[order]
    zero = np.zeros(count, np.int64)
    return EpisodeTable(
        episode_id=episode_ids(header.scenario_sha256, header.policy_sha256, seeds, worlds, zero, zero),
        start=np.cumsum(length) - length,
        length=length,
        seed=seeds,
        world=worlds,
        episode=zero,
        agent=zero,
        total_reward=np.add.reduceat(reward, recording.start, dtype=np.float32)[order],
        success=np.ones(count, bool) if success is None else success[order],
        harm=np.zeros(count, bool) if harm is None else harm[order],
        behaviour={"recorded_episode": order.astype(np.int32)},
    )
