"""`minari`: a dataset of Minari (Farama Foundation), read and written by its own package: a folder, or the id of a local dataset."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError, MissingExtra
from headstart.core.files import fresh_directory
from headstart.dataset.formats.minari_guard import METADATA, require_safe
from headstart.dataset.formats.recording import Recording, Tree, leaves, mapped


def read(path: Path) -> Recording:
    """InputError for a folder that Minari does not read, and for an episode whose columns do not fit; MissingExtra without Minari."""
    minari = _package()
    folder, episodes, total = folder_of(path), list[Any](), 0
    require_safe(folder)
    try:
        data = minari.MinariDataset(folder)
        total = int(data.total_episodes)
        episodes.extend(data.iterate_episodes())  # one by one: what was read before an error stays
        told = list(data.storage.get_episode_metadata([episode.id for episode in episodes]))
    except Exception as error:  # whatever the package, h5py or Gymnasium raise for a damaged file
        where = f"{path}: episode {len(episodes)}" if len(episodes) < total else str(path)
        raise InputError(f"{where}: expected a dataset that Minari {minari.__version__} reads: {error!r:.300}") from None
    if not episodes:
        raise InputError(f"{path}: expected at least one episode, got none")
    for episode in episodes:
        _require_aligned(episode, str(path))
    length = np.array([len(episode.rewards) for episode in episodes], np.int64)
    seeds = np.array([_seed(one) for one in told], np.int64)
    return Recording(
        observations=_joined([mapped(lambda column: np.asarray(column)[:-1], _tree(one.observations)) for one in episodes]),
        actions=np.concatenate([np.asarray(episode.actions) for episode in episodes]),
        length=length,
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        terminated=np.array([bool(episode.terminations[-1]) for episode in episodes]),
        truncated=np.array([bool(episode.truncations[-1] and not episode.terminations[-1]) for episode in episodes]),
        final_observations=_joined([mapped(lambda column: np.asarray(column)[-1:], _tree(one.observations)) for one in episodes]),
        seeds=seeds if (seeds >= 0).any() else None,
        infos=_infos(episodes),
    )


def write(path: Path, recording: Recording, spaces: tuple[Any, Any], name: str) -> None:
    """A new folder; `spaces` are the Gymnasium spaces of observations and actions, `name` the id of the dataset. InputError if it exists."""
    minari = _package()
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    if path.exists():
        raise InputError(f"{path}: expected a folder that does not exist yet")
    if recording.final_observations is None or recording.rewards is None or recording.terminated is None:
        raise InputError(
            f"{path}: Minari keeps rewards, ends and final observations, which this dataset does not have; use --format npz"
        )
    about = {"dataset_id": name, "minari_version": minari.__version__, "total_episodes": 0, "total_steps": 0}
    with fresh_directory(path.absolute()) as folder:  # the package joins a relative path twice
        storage = MinariStorage.new(folder, observation_space=spaces[0], action_space=spaces[1], jpeg_encoding=False)
        storage.update_metadata(about)
        storage.update_episodes(_buffer(EpisodeBuffer, recording, e, int(start)) for e, start in enumerate(recording.start))


def folder_of(path: Path) -> Path:
    """The folder with the files of a dataset: `path`, its folder data/, or that of the local dataset of this id. InputError without one."""
    datasets = Path(os.environ.get("MINARI_DATASETS_PATH", Path.home() / ".minari/datasets"))
    for folder in (path, path / "data", datasets / path / "data"):
        if (folder / METADATA).is_file():
            return folder
    raise InputError(
        f"{path}: expected a folder with {METADATA}, as Minari writes it, or the id of a dataset in {datasets}; found none"
    )


def _package() -> Any:
    try:
        import minari
    except ModuleNotFoundError:
        raise MissingExtra("the format minari needs its package: `pip install 'headstart[minari]'`") from None
    return minari


def _require_aligned(episode: Any, where: str) -> None:
    steps = len(episode.rewards)
    if not steps:
        raise InputError(f"{where}: expected episodes of at least one step, episode {episode.id} has none")
    columns = {"actions": _tree(episode.actions), "terminations": episode.terminations, "truncations": episode.truncations}
    columns |= {f"observations.{name}".rstrip("."): column for name, column in leaves(_tree(episode.observations))}
    for name, column in columns.items():
        if isinstance(column, dict | tuple):
            raise InputError(
                f"{where}: actions: expected one array, got a {type(column).__name__} of them; a wrapper can offer one"
            )
        wanted = steps + name.startswith("observations")
        if len(column) != wanted:
            raise InputError(
                f"{where}: episode {episode.id}: {name}: expected {wanted} rows for {steps} rewards, got {len(column)}"
            )
    ends = np.flatnonzero(np.asarray(episode.terminations, bool) | np.asarray(episode.truncations, bool))
    if ends.tolist() not in ([], [steps - 1]):
        raise InputError(
            f"{where}: episode {episode.id}: expected no end before its last row ({steps - 1}), got one in row {ends[0]}"
        )


def _seed(metadata: dict[str, Any]) -> int:
    seed = metadata.get("seed")
    try:
        return -1 if seed is None else int(seed)
    except (TypeError, ValueError):
        return -1


def _tree(value: Any) -> Tree:
    """Sequences of Text or Graph spaces stay as they are, and are refused where numbers are asked for."""
    if isinstance(value, dict):
        return {key: _tree(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_tree(part) for part in value)
    return np.asarray(value)


def _joined(parts: Sequence[Tree]) -> Tree:
    return mapped(lambda *columns: np.concatenate(columns), *parts)


def _infos(episodes: Sequence[Any]) -> dict[str, Array]:
    """The numbers that every step of every episode tells; of an info at reset the first row is left out."""
    found: dict[str, list[Array]] = {}
    for episode in episodes:
        steps = len(episode.rewards)
        for key, values in (episode.infos or {}).items():
            column = None if isinstance(values, dict | tuple) else np.asarray(values)
            if column is not None and column.dtype.kind in "biuf" and column.ndim and len(column) in (steps, steps + 1):
                found.setdefault(key, []).append(column[-steps:])
    return {key: np.concatenate(columns) for key, columns in found.items() if len(columns) == len(episodes)}


def _buffer(kind: Any, recording: Recording, e: int, start: int) -> Any:
    rows, steps = slice(start, start + int(recording.length[e])), int(recording.length[e])
    ended = np.zeros((2, steps), bool)
    ended[:, -1] = recording.terminated[e], recording.truncated[e]  # type: ignore[index]
    seed = -1 if recording.seeds is None else int(recording.seeds[e])
    return kind(
        id=e,
        seed=None if seed < 0 else seed,
        observations=mapped(
            lambda column, last: np.concatenate([column[rows], last[e : e + 1]]),
            recording.observations,
            recording.final_observations,
        ),
        actions=recording.actions[rows],
        rewards=np.asarray(recording.rewards, np.float64)[rows],
        terminations=ended[0],
        truncations=ended[1],
        infos={name: column[rows] for name, column in recording.infos.items()},
    )
