"""`lerobot`: a LeRobot dataset of version 3 (Hugging Face) with state vectors: parquet files and meta/, read and written with pyarrow.

Rows are frames: `observation.*` and `action` as the features of meta/info.json say, `episode_index`, `frame_index`, and where they are recorded
`next.reward`, `next.terminated`, `next.truncated`, `next.success`. `next.done` alone does not tell how an episode ended. Seeds and the
observation after the last action have no place in the format.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.files import fresh_directory, read_bytes
from headstart.core.strict_json import MAX_BYTES, parse_json
from headstart.dataset.formats.parquet_guard import package, require_declared
from headstart.dataset.formats.recording import Recording, ends_of, leaves, nested

VERSION = "v3.0"
INFO, TASKS = "meta/info.json", "meta/tasks.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
INDEX = ("timestamp", "frame_index", "episode_index", "index", "task_index")  # columns that every dataset has
PICTURES = ("image", "video")


def read(path: Path) -> Recording:
    """InputError for another version, for pictures, and for rows that do not follow each other; MissingExtra without pyarrow."""
    features, totals = _described(path)
    columns = _columns(path, ["episode_index", "frame_index", *(name for name in features if name not in INDEX)])
    episode, frame = columns.pop("episode_index"), columns.pop("frame_index")
    begins = np.flatnonzero(np.concatenate([[True], episode[1:] != episode[:-1]]))
    length = np.diff(np.append(begins, len(episode)))
    if len(np.unique(episode)) != len(begins):
        raise InputError(f"{path}: expected the frames of an episode one after the other, got some of one episode in two places")
    expected = np.arange(len(episode)) - np.repeat(begins, length)
    if (frame != expected).any():
        row = int(np.argmax(frame != expected))
        raise InputError(
            f"{path}: expected frame_index {expected[row]} in episode {episode[row]}, got {frame[row]}: a frame is missing"
        )
    for (name, total), found in zip(totals.items(), (len(length), len(episode)), strict=True):
        if total is not None and total != found:
            cure = "files are missing" if found < total else "files of another dataset are in data/"
            raise InputError(f"{path}: expected {total} {name} ({INFO}), found {found}; {cure}")
    flags = {name: columns[f"next.{name}"].ravel() for name in ("terminated", "truncated") if f"next.{name}" in columns}
    terminated, truncated = ends_of(flags, length, str(path))
    last = begins + length - 1
    success, reward = columns.get("next.success"), columns.get("next.reward")
    return Recording(
        observations=nested(_observations(columns)),
        actions=columns["action"],
        length=length.astype(np.int64),
        rewards=None if reward is None else reward.ravel(),
        terminated=terminated,
        truncated=truncated,
        infos={name.removeprefix("info."): column for name, column in columns.items() if name.startswith("info.")},
        success=None if success is None else success.ravel()[last].astype(bool),
    )


def write(path: Path, recording: Recording, fps: int = 1, task: str = "demonstrations") -> None:
    """A new folder in the documented layout. InputError if it exists, and for observations that are no state vectors."""
    pa, parquet = package()
    if path.exists():
        raise InputError(f"{path}: expected a folder that does not exist yet")
    columns = _frames(recording, path)
    length, start = recording.length, recording.start
    frame = np.arange(recording.steps) - np.repeat(start, length)
    columns |= {
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.repeat(np.arange(len(length)), length),
        "index": np.arange(recording.steps),
        "task_index": np.zeros(recording.steps, np.int64),
    }
    episodes = {
        "episode_index": np.arange(len(length)),
        "data/chunk_index": np.zeros(len(length), np.int64),
        "data/file_index": np.zeros(len(length), np.int64),
        "dataset_from_index": start,
        "dataset_to_index": start + length,
        "length": length,
        "meta/episodes/chunk_index": np.zeros(len(length), np.int64),
        "meta/episodes/file_index": np.zeros(len(length), np.int64),
    }
    described: dict[str, Any] = {name: _feature(column) for name, column in columns.items()}
    info = {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": len(length),
        "total_frames": recording.steps,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(length)}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": described,
    }
    with fresh_directory(path) as folder:
        for name in (DATA_PATH.format(chunk_index=0, file_index=0), EPISODES):
            (folder / name).parent.mkdir(parents=True)
        table = pa.table({name: _listed(pa, column) for name, column in columns.items()})
        parquet.write_table(table, folder / DATA_PATH.format(chunk_index=0, file_index=0))
        tasks = pa.array([[task]] * len(length))
        parquet.write_table(
            pa.table({name: pa.array(column) for name, column in episodes.items()} | {"tasks": tasks}), folder / EPISODES
        )
        parquet.write_table(pa.table({"task_index": pa.array([0]), "task": pa.array([task])}), folder / TASKS)
        (folder / INFO).write_text(json.dumps(info, indent=4))
        (folder / "meta/stats.json").write_text(json.dumps({name: _stats(column) for name, column in columns.items()}, indent=4))


# --- reading ------------------------------------------------------------------------------------------------------------


def _described(path: Path) -> tuple[dict[str, Any], dict[str, int | None]]:
    """The features that meta/info.json describes, without pictures, which are refused; and how many episodes and frames, where it says so."""
    if not path.is_dir():
        raise InputError(f"{path}: expected the folder of a LeRobot dataset, with {INFO} in it, got a file")
    if not (path / INFO).is_file():
        raise InputError(f"{path}: expected a LeRobot dataset with {INFO}, found none")
    info = parse_json(read_bytes(path / INFO, MAX_BYTES), str(path / INFO), infinite=True)
    try:
        version, features = str(info["codebase_version"]), dict(info["features"])
        kinds = {name: str(feature["dtype"]) for name, feature in features.items()}
        totals = {name: None if (total := info.get(f"total_{name}")) is None else int(total) for name in ("episodes", "frames")}
    except (OverflowError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a LeRobot dataset with {INFO}: {error!r}") from None
    if not version.startswith("v3."):
        raise InputError(
            f"{path}: expected a LeRobot dataset of version 3, got {version}; "
            "`python -m lerobot.datasets.v30.convert_dataset_v21_to_v30` converts one of 2.1"
        )
    if pictures := [name for name, kind in kinds.items() if kind in PICTURES]:
        raise InputError(
            f"{path}: expected state vectors, {', '.join(pictures)} are pictures, which are not read; "
            "leave them out of the dataset, or turn them into features first and write these as npz"
        )
    if "action" not in features or not any(name.startswith("observation.") for name in features):
        raise InputError(f"{path}: expected the features observation.* and action, got {', '.join(features) or 'none'}")
    return {name: feature for name, feature in features.items() if kinds[name] != "string"}, totals


def _columns(path: Path, names: list[str]) -> dict[str, Array]:
    """The columns of all data files, in order."""
    pa, parquet = package()
    files = sorted(path.glob("data/*/*.parquet"))
    if not files:
        raise InputError(f"{path}: expected files data/chunk-…/file-….parquet, found none")
    tables = []
    for file in files:
        require_declared(file)
        try:
            tables.append(parquet.read_table(file, columns=names))
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"{file}: expected a parquet file with the columns {', '.join(names)}, which is neither damaged nor truncated: {error!s:.200}"
            ) from None
    found: dict[str, Array] = {}
    for name in names:
        parts = []
        for file, table in zip(files, tables, strict=True):
            if name not in table.column_names:
                raise InputError(
                    f"{file}: expected the column {name}, which {INFO} describes; got {', '.join(table.column_names)}"
                )
            parts.append(_unlisted(table.column(name), f"{file}: {name}"))
        found[name] = np.concatenate(parts)
    return found


def _unlisted(column: Any, where: str) -> Array:
    """[N] or [N, width] numbers; InputError for missing values and for rows of different widths."""
    if column.null_count:
        raise InputError(f"{where}: expected a value in every row, {column.null_count} are missing")
    array, shape = column.combine_chunks(), [len(column)]
    while str(array.type).startswith(("list", "fixed_size_list", "large_list")):
        flat = array.flatten()
        width, rest = divmod(len(flat), max(1, len(array)))
        sizes = (
            array.value_lengths().to_numpy(zero_copy_only=False)
            if hasattr(array, "value_lengths")
            else np.full(len(array), width)
        )
        if rest or (sizes != width).any():
            raise InputError(f"{where}: expected rows of one width, row {int(np.argmax(sizes != width))} has another")
        array, shape = flat, [*shape, width]
    if array.null_count:
        raise InputError(f"{where}: expected a value in every row, {array.null_count} are missing")
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(shape)


def _observations(columns: dict[str, Array]) -> dict[str, Array]:
    """One state vector is the observation; several are the parts of a Dict."""
    found = {name.removeprefix("observation."): column for name, column in columns.items() if name.startswith("observation.")}
    return {"": next(iter(found.values()))} if len(found) == 1 else found


# --- writing ------------------------------------------------------------------------------------------------------------


def _frames(recording: Recording, path: Path) -> dict[str, Array]:
    observed = {f"observation.{name or 'state'}": column for name, column in leaves(recording.observations)}
    columns = {name: column if column.ndim > 1 else column[:, None] for name, column in observed.items()}
    if wrong := [name for name, column in columns.items() if column.ndim > 2]:
        raise InputError(
            f"{path}: expected observations of state vectors, {wrong[0]} has the shape {list(columns[wrong[0]].shape)}; use --format npz"
        )
    columns["action"] = recording.actions.reshape(recording.steps, -1)
    columns |= {f"info.{name}": column for name, column in recording.infos.items()}
    if recording.rewards is not None:
        columns["next.reward"] = np.asarray(recording.rewards, np.float32)
    last, length = np.zeros(recording.steps, bool), recording.length
    last[np.cumsum(length) - 1] = True
    columns["next.done"] = last
    for name in ("terminated", "truncated", "success"):
        if (flag := getattr(recording, name)) is not None:
            columns[f"next.{name}"] = last & np.repeat(flag, length)
    return columns


def _listed(pa: Any, column: Array) -> Any:
    if column.ndim == 1:
        return pa.array(column)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(column).ravel()), column.shape[1])


def _feature(column: Array) -> dict[str, Any]:
    return {"dtype": str(column.dtype), "shape": list(column.shape[1:]) or [1], "names": None}


def _stats(column: Array) -> dict[str, Any]:
    rows = column.reshape(len(column), -1).astype(np.float64)
    found = {"min": rows.min(axis=0), "max": rows.max(axis=0), "mean": rows.mean(axis=0), "std": rows.std(axis=0)}
    return {name: value.tolist() for name, value in found.items()} | {"count": [len(rows)]}
