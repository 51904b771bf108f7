"""Files that an attacker wrote are refused before any of their data is read, with an error of ours."""

import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from headstart.core.errors import HeadstartError, InputError
from headstart.dataset import hdf5_guard
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import read_episodes, write_episodes

REWARD = "steps/reward"


@pytest.fixture
def good(tmp_path: Path, episodes: Episodes, header: Header) -> Path:
    path = tmp_path / "episodes.h5"
    write_episodes(path, episodes, header)
    return path


def replaced(file: h5py.File, **how: object) -> None:
    del file[REWARD]
    file.create_dataset(REWARD, **how)


def external_link(file: h5py.File) -> None:
    del file[REWARD]
    file[REWARD] = h5py.ExternalLink("other.h5", "/secret")


def soft_link(file: h5py.File) -> None:
    del file[REWARD]
    file[REWARD] = h5py.SoftLink("/episodes/total_reward")


def external_storage(file: h5py.File) -> None:
    replaced(file, shape=(6,), dtype="<f4", external=[("/etc/passwd", 0, 24)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(6,), dtype="<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(6,))
    del file[REWARD]
    file.create_virtual_dataset(REWARD, layout)


def variable_length(file: h5py.File) -> None:
    replaced(file, shape=(6,), dtype=h5py.vlen_dtype(np.float32))


def variable_string(file: h5py.File) -> None:
    replaced(file, shape=(6,), dtype=h5py.string_dtype())


def references(file: h5py.File) -> None:
    replaced(file, shape=(6,), dtype=h5py.ref_dtype)


def compound(file: h5py.File) -> None:
    replaced(file, shape=(6,), dtype=[("a", "<f4"), ("b", "<f4")])


def opaque(file: h5py.File) -> None:
    replaced(file, shape=(6,), dtype="V4")


def wrong_dtype(file: h5py.File) -> None:
    replaced(file, data=np.zeros(6, np.float64))


def big_endian(file: h5py.File) -> None:
    replaced(file, data=np.zeros(6, ">f4"))


def wrong_rank(file: h5py.File) -> None:
    replaced(file, data=np.zeros((6, 1), np.float32))


def wrong_length(file: h5py.File) -> None:
    del file["steps/terminated"]
    file["steps/terminated"] = np.zeros(5, bool)


def petabytes_in_a_kilobyte(file: h5py.File) -> None:
    replaced(file, shape=(2**50,), dtype="<f4", chunks=(1024,), compression="gzip")


def petabytes_unallocated(file: h5py.File) -> None:
    replaced(file, shape=(2**50,), dtype="<f4")


def huge_chunk(file: h5py.File) -> None:
    replaced(file, data=np.zeros(2**23, np.float32), chunks=(2**23,), compression="gzip")


def unknown_filter(file: h5py.File) -> None:
    replaced(file, data=np.zeros(6, np.float32), chunks=(6,), compression="lzf")


def deflate_twice(file: h5py.File) -> None:
    del file[REWARD]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((6,))
    plan.set_deflate(1)
    plan.set_deflate(1)
    h5py.h5d.create(file.id, REWARD.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((6,)), plan)


def missing_column(file: h5py.File) -> None:
    del file["steps/expert_action"]


def foreign_column(file: h5py.File) -> None:
    file["steps/expert_mood"] = np.zeros(6, np.float32)


def foreign_group(file: h5py.File) -> None:
    file.create_group("steps/more")


def group_for_column(file: h5py.File) -> None:
    del file[REWARD]
    file.create_group(REWARD)


def column_for_group(file: h5py.File) -> None:
    del file["final_observation"]
    file["final_observation"] = np.zeros(3, np.float32)


def named_type(file: h5py.File) -> None:
    del file[REWARD]
    file[REWARD] = np.dtype("<f4")


def cycle(file: h5py.File) -> None:
    del file["steps/observation"]
    file["steps/observation"] = file["/"]


def upper_case_behaviour(file: h5py.File) -> None:
    file["episodes/behaviour/Naps"] = np.zeros(3, np.int32)


def no_header(file: h5py.File) -> None:
    del file.attrs["header"]


def variable_header(file: h5py.File) -> None:
    text = file.attrs["header"].decode()
    del file.attrs["header"]
    file.attrs["header"] = text


def header_array(file: h5py.File) -> None:
    del file.attrs["header"]
    file.attrs["header"] = np.array([b"a", b"b"])


def header_not_json(file: h5py.File) -> None:
    file.attrs["header"] = np.bytes_(b"{'a': 1}")


def header_of_megabytes(file: h5py.File) -> None:
    del file.attrs["header"]
    file.attrs["header"] = np.bytes_(b"x" * (2 << 20))


def header_of_other_schema(file: h5py.File) -> None:
    file.attrs["schema_id"] = np.bytes_(b"episodes/2")


def more_attributes(file: h5py.File) -> None:
    file.attrs["note"] = np.bytes_(b"x")


REFUSED: dict[Callable[[h5py.File], None], str] = {
    external_link: "/steps/reward: expected data, got a soft or external link",
    soft_link: "/steps/reward: expected data, got a soft or external link",
    external_storage: "/steps/reward: expected its data in this file, got external storage",
    virtual: "/steps/reward: expected its data in this file, got a virtual dataset",
    variable_length: "/steps/reward: expected numbers, booleans or fixed-length strings",
    variable_string: "/steps/reward: expected",
    references: "/steps/reward: expected numbers, booleans or fixed-length strings",
    compound: "/steps/reward: expected numbers, booleans or fixed-length strings",
    opaque: "/steps/reward: expected numbers, booleans or fixed-length strings",
    wrong_dtype: "/steps/reward: expected dtype <f4, got <f8",
    big_endian: "/steps/reward: expected dtype <f4, got >f4",
    wrong_rank: "/steps/reward: expected 1 dimensions, got 2",
    wrong_length: r"/steps/terminated: expected bool of shape \(6,\), got bool of shape \(5,\)",
    petabytes_in_a_kilobyte: "/steps/reward: declares 4503599627370496 bytes but stores 0",
    petabytes_unallocated: "/steps/reward: declares 4503599627370496 bytes but stores 0",
    huge_chunk: "/steps/reward: expected chunks of at most",
    unknown_filter: "/steps/reward: expected each of .* once at most, got filters",
    deflate_twice: "/steps/reward: expected each of .* once at most, got filters",
    missing_column: "expected the column /steps/expert_action, got none",
    foreign_column: "/steps/expert_mood: this path is not part of the format",
    foreign_group: "/steps/more: this path is not part of the format",
    group_for_column: "/steps/reward: expected a dataset, got something else",
    column_for_group: "/final_observation: expected a group, got something else",
    named_type: "/steps/reward: expected a dataset, got something else",
    cycle: "/steps/observation/.*: this path is not part of the format",
    upper_case_behaviour: "/episodes/behaviour/Naps: this path is not part of the format",
    no_header: "expected the root attribute 'header', got none",
    variable_header: "root attribute 'header': expected one fixed-length string",
    header_array: "root attribute 'header': expected one fixed-length string",
    header_of_megabytes: "root attribute 'header': expected at most 1048576 bytes",
    header_not_json: "header: expected strict JSON",
    header_of_other_schema: "expected schema episodes/1, got 'episodes/2'",
    more_attributes: "expected the root attributes .*, got more",
}


@pytest.mark.parametrize("harm", REFUSED, ids=lambda harm: harm.__name__)
def test_a_harmful_file_is_refused_by_name(good: Path, harm: Callable[[h5py.File], None]) -> None:
    with h5py.File(good, "r+", libver=("v110", "v110")) as file:
        harm(file)

    with pytest.raises(InputError, match=REFUSED[harm]) as error:
        read_episodes(good)
    assert str(good) in str(error.value)


def test_a_harmful_file_is_refused_before_any_data_are_read(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(good, "r+") as file:
        external_link(file)
    reads: list[str] = []
    monkeypatch.setattr("headstart.dataset.episodes_file.read_column", lambda file, path: reads.append(path))

    with pytest.raises(InputError):
        read_episodes(good)

    assert reads == []


def test_a_chunk_that_inflates_beyond_its_size_is_refused(good: Path) -> None:
    """One chunk declared as 1 MB whose stream inflates to 400 MB: HDF5 would inflate all of it."""
    chunk = 2**18
    bomb = zlib.compressobj(9)
    stream = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(400)) + bomb.flush()
    assert len(stream) > 124 << 10
    with h5py.File(good, "r+") as file:
        replaced(file, shape=(chunk,), dtype="<f4", chunks=(chunk,), compression="gzip")
        file[REWARD].id.write_direct_chunk((0,), stream)

    with pytest.raises(InputError, match="/steps/reward: a chunk of 1048576 bytes inflates to more"):
        read_episodes(good)


def test_a_chunk_that_is_stored_larger_than_it_is_is_refused(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        replaced(file, shape=(6,), dtype="<f4", chunks=(6,), compression="gzip")
        file[REWARD].id.write_direct_chunk((0,), bytes(4096))

    with pytest.raises(InputError, match="/steps/reward: a chunk of 24 bytes is stored in 4096"):
        read_episodes(good)


def test_chunks_that_claim_more_bytes_than_the_file_has_are_refused(good: Path, tmp_path: Path) -> None:
    """An index whose entries overlap makes little data count many times; the old chunk index has no checksum of its own."""
    chunk, count = 2**18, 64
    with h5py.File(good) as source, h5py.File(tmp_path / "old.h5", "w", libver="earliest") as file:
        for name in source:
            source.copy(name, file)
        for name, value in source.attrs.items():
            file.attrs[name] = value
        zeros = np.zeros(chunk * count, np.float32)
        replaced(file, data=zeros, chunks=(chunk,), compression="gzip")
        entries: list[h5py.h5d.StoreInfo] = []
        file[REWARD].id.chunk_iter(entries.append)
    data = (tmp_path / "old.h5").read_bytes()
    for entry in entries:
        key = struct.pack("<IIQ", entry.size, 0, entry.chunk_offset[0])
        data = data.replace(key, struct.pack("<IIQ", 1 << 20, 0, entry.chunk_offset[0]))
    (tmp_path / "old.h5").write_bytes(data)

    with pytest.raises(InputError, match=r"/steps/reward: expected its stored bytes within the file's \d+, got 67108864"):
        read_episodes(tmp_path / "old.h5")


def test_all_columns_together_are_capped(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_guard, "MAX_BYTES", 100)

    with pytest.raises(InputError, match="expected at most 100 bytes of columns, it declares"):
        read_episodes(good)


def test_a_boolean_that_is_neither_is_refused(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        del file["episodes/success"]
        file.create_dataset("episodes/success", data=np.array([1, 0, 1], bool))
        offset = file["episodes/success"].id.get_offset()
    data = bytearray(good.read_bytes())
    data[offset] = 7
    good.write_bytes(data)

    with pytest.raises(HeadstartError, match="/episodes/success holds a boolean that is neither 0 nor 1"):
        read_episodes(good)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(200)], ids=["empty", "text", "magic"])
def test_what_is_no_hdf5_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "e.h5"
    path.write_bytes(content)

    with pytest.raises(InputError, match="expected an HDF5 file"):
        read_episodes(path)


def test_a_missing_file_and_a_directory_are_input_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.h5", tmp_path):
        with pytest.raises(InputError, match=r"expected an? "):
            read_episodes(path)


def test_a_torn_file_gives_only_errors_of_ours(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    torn = tmp_path / "torn.h5"

    for length in range(0, len(data), max(1, len(data) // 60)):
        torn.write_bytes(data[:length])
        with pytest.raises(HeadstartError):
            read_episodes(torn)


def test_random_damage_gives_only_errors_of_ours(good: Path, tmp_path: Path) -> None:
    data, damaged = good.read_bytes(), tmp_path / "damaged.h5"
    chance = random.Random(0)

    for _ in range(int(os.environ.get("FUZZ", "200"))):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 1, 4, 64))):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        if chance.random() < 0.2:
            struct.pack_into("<Q", copy, chance.randrange(len(copy) - 8), chance.choice((0, 2**31, 2**63, 2**64 - 1)))
        damaged.write_bytes(copy)
        try:
            read_episodes(damaged)
        except HeadstartError:
            continue  # damage may also fall on bytes that carry nothing
