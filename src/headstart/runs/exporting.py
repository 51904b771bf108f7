"""A dataset as a recording in the environment's own observations and actions: the way back from features and ids, for other programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space, spaces

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.core.files import read_record
from headstart.dataset.catalogue import checked_out, fetched, read_entries
from headstart.dataset.episodes import Episodes, Header, concatenate
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.formats.hdf5 import recording_of
from headstart.dataset.formats.recording import EXPERT_ACTION, Recording, Tree
from headstart.dataset.manifest import HELDOUT, TRAIN, DatasetManifest, require_files
from headstart.dataset.slices import require_validated_parent, slice_at
from headstart.runs.demonstrations import validated
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_parts import channels_first
from headstart.worlds.gym_spaces import Observing


class Exported(NamedTuple):
    """A recording, and the Gymnasium spaces of its observations and actions."""

    recording: Recording
    observations: Space[Any]
    actions: Space[Any]


def dataset_at_hand(name: str) -> tuple[Episodes, Header, DatasetManifest]:
    """The accepted episodes of "<dataset>" or "<dataset>@<version>", in the order of their worlds; raises as `parts_at_hand`."""
    parts, header, manifest = parts_at_hand(name)
    return concatenate(parts), header, manifest


def parts_at_hand(name: str) -> tuple[list[Episodes], Header, DatasetManifest]:
    """The accepted episodes of "<dataset>" or "<dataset>@<version>" by block, and of each block the sides TRAIN and HELDOUT.

    InputError where it is neither checked out nor fetched, with the command that brings it; GateFailed where it is not validated;
    IntegrityError where its bytes differ.
    """
    dataset, at, version = name.partition("@")
    if not dataset or (at and not version) or "/" in dataset:
        raise UsageError(f"expected <dataset> or <dataset>@<version>, as `headstart catalogue list` shows them, got {name!r}")
    manifest, folder = _at_hand(dataset, version)
    require_files(manifest, folder)
    parts = [read_episodes(folder / side.format(b)) for b in range(len(manifest.blocks)) for side in (TRAIN, HELDOUT)]
    return [episodes for episodes, _ in parts], parts[0][1], manifest


def _at_hand(dataset: str, version: str) -> tuple[DatasetManifest, Path]:
    """The manifest and the folder of files of a version; without one, of that which is checked out."""
    if found := slice_at(Path(), f"{dataset}@{version}" if version else dataset):
        require_validated_parent(Path(), found[1])
        return found[1], found[0]
    here, folder = checked_out(dataset)
    name, there = f"{dataset}@{version}", ""
    if not version and not here.exists():
        beside = [entry.name for entry in read_entries(Path()) if entry.dataset == dataset and fetched(entry.name)[0].exists()]
        if beside:
            raise InputError(f"{here}: expected a file, found none; fetched are {', '.join(beside)}: name one of these")
    if not version or here.exists():
        manifest = validated(dataset)
        if version in ("", manifest.version):
            return manifest, folder
        there = f"the version that is checked out is {manifest.version}; "
    path, folder = fetched(name)
    if path.exists():
        return read_record(path, DatasetManifest), folder
    listed = name in [entry.name for entry in read_entries(Path())]
    cure = f"`headstart catalogue fetch {name}` brings it" if listed else "`headstart catalogue list` shows those that there are"
    raise InputError(f"{name}: {there}{cure}")


def exported(episodes: Episodes, header: Header, params: Params, scenario: Scenario) -> Exported:
    """Observations and actions as the environment has them; those of a town or a robot stay features and ids.

    SchemaMismatch, which names the first difference, for a recording of other observations or actions than the scenario has now.
    """
    found = recording_of(episodes, header)
    world = worlds_of(scenario, "capture", 1, params.capture.observation)
    schema_of(world).require_same(
        header.observation, f"{scenario.name}: recorded with other observations or actions than it has now"
    )
    seeds = None if scenario.demonstrations is None or "seeds" in header.absent else episodes.table.seed
    if not isinstance(world, GymWorld):
        own = {name: space for name, space in world.single_observation_space.items() if name != "mask"}
        observed = spaces.Dict(own) if len(own) > 1 else own["features"]
        return Exported(_with(found, seeds=seeds), observed, world.single_action_space)
    infos = dict(found.infos)
    if EXPERT_ACTION in infos:
        infos[EXPERT_ACTION] = world.acting.own(infos[EXPERT_ACTION])
    final = None if found.final_observations is None else raw(world.observing, episodes.final_observation)
    recording = _with(
        found,
        observations=raw(world.observing, episodes.observation),
        actions=world.acting.own(found.actions),
        final_observations=final,
        infos=infos,
        seeds=seeds,
    )
    return Exported(recording, world.observing.space, world.acting.space)


def _with(recording: Recording, **changes: Any) -> Recording:
    return Recording(**(vars(recording) | changes))


def raw(observing: Observing, observation: dict[str, Array]) -> Tree:
    """The inverse of `Observing.rows`, for all rows at once: a tree of arrays [N, …] in the dtypes of the space."""
    features = iter(observation["features"].T)

    def built(space: Space[Any], path: tuple[Any, ...]) -> Tree:
        match space:
            case spaces.Dict():
                return {key: built(part, (*path, key)) for key, part in space.spaces.items()}
            case spaces.Tuple():
                return tuple(built(part, (*path, index)) for index, part in enumerate(space.spaces))
            case _ if observing.picture is not None and path == observing.picture.path:
                return _picture(observing, observation["map"])
            case _:
                return _numbers(space, features)

    return built(observing.space, ())


def _picture(observing: Observing, padded: Array) -> Array:
    """[N, H, W, C], or [N, C, H, W] where the space has channels first."""
    assert observing.map_shape is not None and observing.picture is not None
    _, height, width = observing.map_shape
    picture = padded[:, :, :height, :width]
    return picture if channels_first(observing.picture.space.shape or ()) else picture.transpose(0, 2, 3, 1)


def _numbers(space: Space[Any], features: Iterator[Array]) -> Array:
    columns = np.stack([next(features) for _ in range(spaces.flatdim(space))], axis=1)
    shape = (len(columns), *(space.shape or ()))
    match space:
        case spaces.Discrete():
            return np.asarray(columns.argmax(axis=1) + int(space.start), np.int64)
        case spaces.MultiDiscrete():
            parts = np.split(columns, np.cumsum(space.nvec.ravel())[:-1], axis=1)
            chosen = np.stack([part.argmax(axis=1) for part in parts], axis=1).reshape(shape)
            return np.asarray(chosen + space.start, space.dtype)
        case _:
            whole = space.dtype is not None and space.dtype.kind in "iu"
            return np.asarray(np.rint(columns) if whole else columns, space.dtype).reshape(shape)
