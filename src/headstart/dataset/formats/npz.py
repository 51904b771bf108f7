"""`npz`: one file of numpy arrays, which a user writes in a few lines. `LAYOUT` describes it; `headstart formats npz` prints it."""

import math
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, nearest
from headstart.core.files import fresh_file
from headstart.dataset.formats.recording import Recording, ends_of, leaves, nested
from headstart.dataset.hdf5_guard import require_unpacked

LAYOUT = """\
A file of numpy arrays: N steps of E episodes, one after the other. Row t holds o_t and the action that was chosen from it.

    import numpy as np
    np.savez(
        "demonstrations/mine.npz",
        # [N, …], as the environment gives them
        observations=np.concatenate([e.observations[:-1] for e in episodes]),
        # [N, …], as the environment takes them
        actions=np.concatenate([e.actions for e in episodes]),
        # [E], steps; they add up to N
        lengths=np.array([len(e.actions) for e in episodes]),
    )

These may be there; what is missing is recorded as absent, and the checks that need it say so:

    rewards             [N]     reward of the step
    terminated          [E]     true where the last step ended the episode;
                                or [N], true in last steps only
    truncated           [E]     true where the episode was cut off; of the two,
                                one is enough
    final_observations  [E, …]  o_T, after the last step
    seeds               [E]     seed of the reset with which the episode began;
                                −1: not known
    success, harm       [E]     where the scenario's predicates name counters
                                that the file does not have
    infos.KEY           [N, …]  a number of the step's info that `setup.info`
                                names; infos.action_mask [N, K];
                                infos.expert_action [N, …]: the label, where
                                another action was executed

Observations of a Dict space are observations.KEY, of a Tuple space observations.0, observations.1, …; so are final_observations.
"""
ONE_ARRAY = b"\x93NUMPY"  # with which a file of np.save begins
MAX_ARRAYS = 1024
KEYS = (
    "observations", "actions", "lengths", "rewards", "terminated", "truncated", "final_observations", "seeds", "success", "harm", "infos",
)  # fmt: skip


def read(path: Path) -> Recording:
    """InputError for a file that is not of this layout; `require_sound` checks its columns."""
    arrays = _arrays(path)
    if "observations" not in {name.split(".")[0] for name in arrays} or not {"actions", "lengths"} <= arrays.keys():
        raise InputError(f"{path}: expected the arrays observations, actions and lengths, got {', '.join(arrays) or 'none'}")
    for name in arrays:
        group, dot, _ = name.partition(".")
        if group not in KEYS or (dot and group not in ("observations", "final_observations", "infos")):
            raise InputError(
                f"{path}: {name!r} is not part of the layout{nearest(group, KEYS)}; `headstart formats npz` prints it"
            )
    length = arrays["lengths"]
    if length.dtype.kind not in "iu" or length.ndim != 1:
        raise InputError(f"{path}: lengths: expected whole numbers, one an episode, got {length.dtype} {list(length.shape)}")
    length = length.astype(np.int64)
    rows = len(arrays["actions"]) if arrays["actions"].ndim else 0
    if length.sum() != rows:
        raise InputError(f"{path}: expected lengths that add up to the {rows} rows of actions, got {int(length.sum())}")
    flags: dict[str, Array] = {name: arrays[name] for name in ("terminated", "truncated") if name in arrays}
    terminated, truncated = ends_of(flags, length, str(path))
    final, seeds = _group(arrays, "final_observations"), arrays.get("seeds")
    if seeds is not None and seeds.dtype.kind not in "iu":
        raise InputError(f"{path}: seeds: expected whole numbers, got {seeds.dtype}")
    return Recording(
        observations=nested(_group(arrays, "observations")),
        actions=arrays["actions"],
        length=length,
        rewards=arrays.get("rewards"),
        terminated=terminated,
        truncated=truncated,
        final_observations=nested(final) if final else None,
        seeds=None if seeds is None else seeds.astype(np.int64),
        infos={name.removeprefix("infos."): array for name, array in arrays.items() if name.startswith("infos.")},
        success=_flags(arrays, "success", path),
        harm=_flags(arrays, "harm", path),
    )


def write(path: Path, recording: Recording) -> None:
    """Write the layout, atomically."""
    arrays = {f"observations.{name}".rstrip("."): column for name, column in leaves(recording.observations)}
    arrays |= {"actions": recording.actions, "lengths": recording.length}
    arrays |= {f"infos.{name}": column for name, column in recording.infos.items()}
    for name in ("rewards", "terminated", "truncated", "seeds", "success", "harm"):
        if (column := getattr(recording, name)) is not None:
            arrays[name] = column
    if recording.final_observations is not None:
        arrays |= {f"final_observations.{name}".rstrip("."): column for name, column in leaves(recording.final_observations)}
    with fresh_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _arrays(path: Path) -> dict[str, Array]:
    said = f"{path}: expected arrays that np.savez wrote"
    try:
        with path.open("rb") as stream:
            if not (begins := stream.read(len(ONE_ARRAY))).startswith(b"PK"):
                raise InputError(f"{said}, got {'one array (.npy)' if begins == ONE_ARRAY else 'another kind of file'}")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                _require_declared(path, file.zip)
                return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"{said}: {error}") from None
    except HeadstartError:
        raise
    except Exception as error:  # whatever numpy, zipfile and zlib raise for a damaged file
        cure = "pickled objects are not read: concatenate the episodes" if "pickle" in str(error) else "damaged or truncated"
        raise InputError(f"{said}: {error}; {cure}") from None


def _require_declared(path: Path, archive: ZipFile) -> None:
    """InputError for arrays that declare more than the archive holds of them, before any is made."""
    members = archive.infolist()
    if len(members) > MAX_ARRAYS or len({one.filename for one in members}) < len(members):
        raise InputError(f"{path}: expected at most {MAX_ARRAYS} arrays, each once, got {len(members)}")
    require_unpacked(path, sum(one.file_size for one in members))
    for one in members:
        with archive.open(one) as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
        if (declared := math.prod(shape) * dtype.itemsize) > one.file_size or min(shape, default=0) < 0:
            raise InputError(
                f"{path}: {one.filename}: declares {declared} bytes of the shape {list(shape)}, holds {one.file_size}"
            )


def _group(arrays: dict[str, Array], group: str) -> dict[str, Array]:
    found = {name.removeprefix(group).lstrip("."): array for name, array in arrays.items() if name.split(".")[0] == group}
    return found


def _flags(arrays: dict[str, Array], name: str, path: Path) -> Array | None:
    flag = arrays.get(name)
    if flag is not None and (flag.dtype.kind not in "biuf" or not np.isin(flag, (0, 1)).all()):
        raise InputError(f"{path}: {name}: expected true or false, one an episode")
    return None if flag is None else flag.astype(bool)
