"""The steps of a recording as a world has them: observations as features and map, actions as ids or numbers, held to the spaces of both."""

from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.dataset.formats.recording import ACTION_MASK, EXPERT_ACTION, Recording, Tree, leaves, mapped
from headstart.worlds.api import World
from headstart.worlds.gym import GymWorld

ROWS = 100_000  # converted at once


def steps_of(recording: Recording, world: World, where: str, ours: bool) -> dict[str, Any]:
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
