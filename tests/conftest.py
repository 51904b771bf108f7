"""What all tests share."""

from pathlib import Path

import numba
import pytest
from tests.released import Project, copy_of, new_project

from headstart.release.journal import record_drill


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Worlds in tests are small: a second thread would only wait, spinning. A test about threads sets their number itself."""
    numba.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with ten seeds of both arms that PASS, committed."""
    project = new_project(tmp_path_factory.mktemp("trained"))
    project.train(range(10))
    project.commit()
    return project.root


@pytest.fixture(scope="session")
def twice_passed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two verdicts by two processes on seeds of their own, and a drill, everything committed: ready."""
    project = copy_of(trained, tmp_path_factory.mktemp("ready") / "project")
    for seeds in (range(10), range(10, 20)):
        project.train(seeds)
        project.commit()
        done = project.headstart("release", "record", "walk", "--by", "Ada")
        assert done.code == 0, done.err
    record_drill(project.root, True, 3, ["nonfinite"], "Ada", "monthly")
    project.commit()
    return project.root


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Project:
    """A copy of `trained`."""
    return copy_of(trained, tmp_path / "project")


@pytest.fixture
def ready(twice_passed: Path, tmp_path: Path) -> Project:
    """A copy of `twice_passed`."""
    return copy_of(twice_passed, tmp_path / "project")
