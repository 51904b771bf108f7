"""Hostile HDF5 files and npz archives that are valid as such: other columns, dtypes, shapes, links, attributes and numbers."""

import io
from random import Random
from typing import Any

import h5py
import numpy as np
from tests.torture.hostile import VALUES

DTYPES = ("<f4", "<f8", "<i8", "<i4", "|u1", "bool", "|S16", "<f2", ">i8", "<c8", "<U3", "<M8[s]", "|V4")
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (9,), (72,), (3,), (72, 5), (72, 0), (3, 3, 3), (2, 36), (1, 1, 1, 1, 1))
NUMBERS = (0, 1, -1, 2**31, 2**62, -(2**63), 10**6)


def _array(random: Random) -> np.ndarray:
    """Of any kind and shape."""
    shape, dtype = random.choice(SHAPES), np.dtype(random.choice(DTYPES))
    return (
        np.zeros(shape, dtype) if random.random() < 0.5 else np.full(shape, random.choice((1, 7))).astype(dtype, casting="unsafe")
    )


def _altered(array: np.ndarray, random: Random) -> np.ndarray:
    """Of the same kind and shape, with other numbers."""
    out = array.copy()
    if out.size and out.dtype.kind in "iuf":
        rows = [random.randrange(out.size) for _ in range(random.choice((1, 2, out.size)))]
        values = (np.nan, np.inf, -np.inf, 1e38, -0.0) if out.dtype.kind == "f" else NUMBERS
        out.ravel()[rows] = np.array(random.choice(values)).astype(out.dtype)
    return out


def rewritten(whole: bytes, random: Random) -> bytes:
    """An episodes file with one to three changes, made through the library."""
    buffer = io.BytesIO(whole)
    with h5py.File(buffer, "r+", libver=("v110", "v110")) as file:
        columns: list[str] = []
        file.visititems(lambda name, thing: columns.append(name) if isinstance(thing, h5py.Dataset) else None)
        for _ in range(random.choice((1, 1, 2, 3))):
            _change(file, random.choice(columns), random)
    return buffer.getvalue()


def _change(file: h5py.File, name: str, random: Random) -> None:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return
    match random.randrange(9):
        case 0:
            del file[name]
        case 1:
            data = _array(random)
            del file[name]
            file.create_dataset(name, data=data if data.dtype.kind not in "UM" else data.astype("S32"))
        case 2 | 3:
            if file[name].nbytes > 1 << 20:
                return
            data = _altered(file[name][()], random)
            del file[name]
            file.create_dataset(name, data=data)
        case 4:  # petabytes of which nothing is stored
            shape, dtype = file[name].shape, file[name].dtype
            del file[name]
            file.create_dataset(
                name,
                shape=(random.choice((10**6, 10**12)), *shape[1:]),
                dtype=dtype,
                chunks=(1000, *(max(1, n) for n in shape[1:])),
            )
        case 5:
            del file[name]
            file[name] = random.choice(
                (h5py.SoftLink("/steps/reward"), h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink(f"/{name}"))
            )
        case 6:
            attribute = random.choice(("schema_id", "header", "observation_sha256", "more"))
            value = random.choice((*VALUES[10:20], b"x", np.arange(3), "{}", 1.5))
            try:
                file.attrs[attribute] = value
            except (TypeError, ValueError, OverflowError):
                del file.attrs["header"]
        case 7:
            file.create_dataset(
                f"episodes/behaviour/{random.choice(('x', 'X', 'a' * 65, 'a b'))}{random.random()}", data=np.zeros(3, "<i4")
            )
        case _:
            file.create_group(f"{name}_{random.randrange(100)}")


def archive(arrays: dict[str, np.ndarray], random: Random) -> bytes:
    """An archive with one to three changed arrays."""
    changed: dict[str, Any] = dict(arrays)
    for _ in range(random.choice((1, 1, 2, 3))):
        name = random.choice(list(arrays))
        match random.randrange(5):
            case 0:
                changed.pop(name, None)
            case 1:
                changed[name] = _array(random)
            case 2:
                changed[
                    random.choice(
                        (f"{name}.x", f"{name}.0", "infos.", "infos.a.b", "..", "observations.", "final_observations.9")
                    )
                ] = arrays[name]
            case 3:
                changed[name] = np.array([{"pickled": 1}, None], object)
            case _:
                changed[name] = _altered(arrays[name], random)
    buffer = io.BytesIO()
    np.savez(buffer, **changed)
    return buffer.getvalue()
