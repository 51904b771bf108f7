"""Recordings that declare more than they hold, or whose reading would run code, are refused before anything is made of them."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from tests.dataset.test_formats import recording

from headstart.core.errors import InputError
from headstart.dataset.formats import lerobot, minari, npz
from headstart.dataset.formats.reading import files_of, read_recording

MEMORY = 512 << 20
READ = """
import resource, sys
from pathlib import Path
import h5py, numpy
import headstart.dataset.formats.reading as reading
try:
    import minari, minari.dataset._storages, pyarrow.parquet
except ImportError:
    pass
from headstart.core.errors import HeadstartError
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + {memory}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    reading.read_recording(sys.argv[1], Path(sys.argv[2]))
except HeadstartError as error:
    sys.exit(f"error: {{error}}")
"""


def refused(kind: str, path: Path) -> str:
    """What a process says that may take 512 MiB; it must end with an error of headstart."""
    script = READ.format(memory=MEMORY)
    done = subprocess.run([sys.executable, "-c", script, kind, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr[-2000:]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


# --- npz ----------------------------------------------------------------------------------------------------------------


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.mark.parametrize("shape", [(10**15,), (10**5, 10**5, 10**5), (1 << 62, 8), (-5,)])
def test_an_array_that_declares_petabytes_is_refused_before_it_is_made(tmp_path: Path, shape: tuple[int, ...]) -> None:
    npz.write(tmp_path / "x.npz", recording())
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("infos.more.npy", header(shape) + bytes(64))

    assert "infos.more.npy: declares" in refused("npz", tmp_path / "x.npz")


def test_a_bomb_is_refused_by_what_it_would_take(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("actions.npy", "w") as member:
        member.write(header((1 << 30,), "|u1"))
        for _ in range(1 << 10):
            member.write(bytes(1 << 20))

    assert (tmp_path / "x.npz").stat().st_size < 2 << 20
    assert "expected at most" in (said := refused("npz", tmp_path / "x.npz")) and "it declares 1073741" in said


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("actions.npy", header((0,)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("actions.npy", header((0,)))

    with pytest.raises(InputError, match="each once"):
        read_recording("npz", tmp_path / "x.npz")


# --- minari -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    pytest.importorskip("minari", reason="minari is not installed; `pip install 'headstart[minari]'`")
    spaces = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32), gym.spaces.Discrete(3)
    minari.write(tmp_path / "data", recording(), spaces, "headstart/test-v0")
    return tmp_path / "data"


def edited(dataset: Path, change: Callable[[dict[str, Any]], None]) -> None:
    metadata = json.loads((dataset / "metadata.json").read_text())
    change(metadata)
    (dataset / "metadata.json").write_text(json.dumps(metadata))


def test_a_minari_dataset_cannot_run_the_function_that_its_metadata_name(dataset: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    spec = {
        "id": "Evil-v0",
        "entry_point": "os:mkdir",
        "kwargs": {"path": str(ran)},
        "reward_threshold": None,
        "nondeterministic": False,
        "max_episode_steps": None,
        "order_enforce": False,
        "disable_env_checker": True,
        "additional_wrappers": [],
        "vector_entry_point": None,
    }

    def without_spaces(metadata: dict[str, Any]) -> None:
        del metadata["observation_space"], metadata["action_space"]
        metadata["env_spec"] = json.dumps(spec)

    edited(dataset, without_spaces)

    with pytest.raises(
        InputError, match=r"expected observation_space and action_space; without them the environment .* would be made"
    ):
        read_recording("minari", dataset)
    assert not ran.exists()
    import minari as package

    with pytest.raises(Exception, match=r".*"):  # the package alone does run it: the guard is what keeps it from that
        package.MinariDataset(dataset)
    assert ran.exists()


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("total_episodes", 10**10, "total_episodes: expected at most the 3"),
        ("total_episodes", -1, "total_episodes: expected at most the 3"),
        ("total_episodes", "many", "total_episodes: expected at most the 3"),
        ("observation_space", '{"type": "MultiBinary", "n": 10000000000}', "observation_space: expected at most"),
        (
            "action_space",
            '{"type": "Box", "shape": [100000, 100000], "low": 0, "high": 1, "dtype": "float32"}',
            "action_space: expected",
        ),
        ("action_space", "[" * 1000, "action_space: expected JSON nested at most 32 deep"),
    ],
)
def test_metadata_of_minari_that_declare_more_than_there_is_are_refused(
    dataset: Path, key: str, value: Any, problem: str
) -> None:
    edited(dataset, lambda metadata: metadata.update({key: value}))

    assert problem in refused("minari", dataset)


def test_a_column_of_minari_that_declares_petabytes_is_refused(dataset: Path) -> None:
    with h5py.File(dataset / "main_data.hdf5", "r+") as file:
        del file["episode_0/rewards"]
        file.create_dataset("episode_0/rewards", shape=(10**15,), dtype="f8", chunks=(1000,))

    assert "episode_0/rewards: declares" in refused("minari", dataset)


@pytest.mark.parametrize(
    "link", [h5py.ExternalLink("/etc/passwd", "/x"), h5py.SoftLink("/episode_1"), h5py.ExternalLink("other.h5", "/")]
)
def test_a_link_in_a_file_of_minari_is_refused(dataset: Path, link: Any) -> None:
    with h5py.File(dataset / "main_data.hdf5", "r+") as file:
        del file["episode_0"]
        file["episode_0"] = link

    with pytest.raises(InputError, match=r"episode_0: expected .* no links"):
        read_recording("minari", dataset)


# --- lerobot ------------------------------------------------------------------------------------------------------------


def test_a_parquet_file_of_a_few_kilobytes_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed; `pip install 'headstart[lerobot]'`")
    import pyarrow as pa

    lerobot.write(tmp_path / "set", recording())
    path = tmp_path / "set" / lerobot.DATA_PATH.format(chunk_index=0, file_index=0)
    table = parquet.read_table(path)
    part = table.take(pa.array([0] * 1_000_000))
    with parquet.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(20):
            writer.write_table(part)

    assert path.stat().st_size < 4 << 20
    assert "it declares" in refused("lerobot", tmp_path / "set")


# --- links --------------------------------------------------------------------------------------------------------------


def test_a_recording_cannot_be_a_link_out_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.npz").write_bytes(b"x")
    project = tmp_path / "project"
    (project / "demonstrations/set").mkdir(parents=True)
    (project / "demonstrations/one.npz").symlink_to(tmp_path / "secret.npz")
    (project / "demonstrations/set/x.h5").symlink_to(tmp_path / "secret.npz")
    monkeypatch.chdir(project)

    for path in ("demonstrations/one.npz", "demonstrations/set"):
        with pytest.raises(InputError, match="expected a path inside"):
            files_of(Path(path))
