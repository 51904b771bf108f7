"""`headstart.load_dataset`: the accepted episodes of a dataset, from any folder of its project or by its path."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.own_experts import ROOT
from tests.poles import pole_project, record_poles

import headstart
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import read_record
from headstart.dataset.manifest import DatasetManifest
from headstart.stages.capture import capture
from headstart.stages.catalogue import catalogue
from headstart.stages.curate import curate
from headstart.stages.expert import expert
from headstart.stages.source import source
from headstart.stages.validate import validate


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with 60 episodes of 60 steps at most, in two blocks."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        project = pole_project(record_poles())
        for stage in (source, expert, capture, curate, validate, catalogue):
            stage(*project)
        shutil.copy(ROOT / "params.yaml", "params.yaml")
    return root


def test_the_episodes_are_those_that_were_recorded_in_the_environments_own_spaces(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = headstart.load_dataset(recorded / "data/pole")
    version = read_record(recorded / "data/pole/validated.json", DatasetManifest).version
    assert found.name == f"pole@{version}"
    assert (len(found), found.observations.shape, found.actions.shape) == (60, (3600, 4), (3600,))
    assert found.observation_space.contains(found.observations[0]) and found.action_space.contains(found.actions[0])
    assert found.returns.tolist() == found.length.tolist() == [60] * 60  # one a step
    assert found.start.tolist() == list(range(0, 3600, 60))
    assert [found.rewards[rows].sum() for rows in found.episodes()] == found.returns.tolist()
    assert list(found.episodes())[-1] == slice(3540, 3600)
    ends = found.terminated | found.truncated
    assert np.flatnonzero(ends).tolist() == (found.start + found.length - 1).tolist()
    assert np.bincount(found.block).tolist() == [30, 30] and found.success.all() and not found.harm.any()
    assert 0 < found.heldout.sum() < 30

    poles = record_poles()
    theirs = {poles.observations[first].tobytes(): n for n, first in enumerate(poles.start)}
    order = [theirs[found.observations[first].tobytes()] for first in found.start]
    assert sorted(order) == list(range(60))
    rows = np.concatenate([np.arange(poles.start[e], poles.start[e] + 60) for e in order])
    np.testing.assert_array_equal(found.actions, poles.actions[rows])
    np.testing.assert_array_equal(found.observations, poles.observations[rows])


def test_a_name_is_looked_for_in_the_project_above_the_working_directory(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recorded / "notebooks").mkdir(exist_ok=True)
    monkeypatch.chdir(recorded / "notebooks")
    found = headstart.load_dataset("pole")
    assert headstart.load_dataset(found.name).name == found.name
    assert Path.cwd() == recorded / "notebooks"
    with pytest.raises(InputError, match="pole@000000000000: the version that is checked out is"):
        headstart.load_dataset("pole@000000000000")
    for wrong in ("poel", "poel@000000000000"):
        with pytest.raises(InputError, match=r"no dataset 'poel' \(did you mean 'pole'\?\); there are pole$"):
            headstart.load_dataset(wrong)
    (recorded / "data/begun").mkdir(exist_ok=True)
    with pytest.raises(InputError, match=r"data/begun/validated\.json: expected a file, found none"):
        headstart.load_dataset("begun")
    with pytest.raises(InputError, match=r"dataset: expected <dataset>, <dataset>@<version> or a folder, got None"):
        headstart.load_dataset(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"expected <dataset>, <dataset>@<version> or the folder data/<dataset> of a project"):
        headstart.load_dataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"expected a project, with params\.yaml here or above, found none"):
        headstart.load_dataset("pole")


def test_a_changed_file_is_refused(recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(recorded, copy)
    file = next((copy / "data/pole/curated").rglob("heldout.h5"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"heldout\.h5: expected \d+ bytes with hash"):
        headstart.load_dataset(copy / "data/pole")


def test_a_recording_without_rewards_has_no_returns(recorded: Path) -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match=r"pole@.*: expected rewards, the recording has none"):
        _ = replace(headstart.load_dataset(recorded / "data/pole"), rewards=None).returns
