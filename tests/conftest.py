"""What all tests share."""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import dvc  # noqa: F401  # its log writes to the streams of its first import; in a test these are closed afterwards
import jsonschema
import numba
import pytest
import typer.main
from playwright.sync_api import Browser
from tests.browser import chromium
from tests.made_once import made_once
from tests.recorded import record_robot
from tests.released import Project, copy_of, new_project
from tests.scores import score

from headstart.cli.schema import schema_of
from headstart.compare.arm_runs import Score
from headstart.config.scenario import Scenario
from headstart.core.progress_lines import QUIET
from headstart.core.verdict import Subject
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.observation import ObservationSchema

os.environ[QUIET] = "1"  # a line that comes by the clock is not for a test that reads stderr
typer.main.get_command = cache(typer.main.get_command)  # commands are built once, not for each call in this process

LONGEST = (  # files, which begin first: a long one that begins last keeps one core waiting
    "stages/test_smoke.py", "torture/test_kills.py", "remote/test_remotes.py", "view/test_observe_page.py",
    "worlds/test_reference.py", "view/test_inspect.py", "deploy/test_onnx_policy.py", "view/test_report.py",
    "stages/test_by_hand.py", "stages/test_planted.py", "cli/test_output.py", "view/test_player.py",
    "torture/test_mutations.py", "release/test_interrupted.py", "release/test_promote.py", "torture/test_crash_states.py",
    "runs/test_drill.py", "view/test_report_page.py", "runs/test_own_models.py", "runs/test_arm_telemetry.py",
    "runs/test_guarded_run.py", "release/test_record.py", "cli/test_convert_sb3.py", "stages/test_demonstrations.py",
    "deploy/test_examples.py", "dataset/test_hostile_formats.py", "runs/test_check.py", "dataset/test_fetch.py",
    "stages/test_agents.py", "stages/test_evaluate.py", "test_architecture.py", "compare/test_comparison.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((i for i, name in enumerate(LONGEST) if item.path.as_posix().endswith(f"tests/{name}")), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Worlds in tests are small: a second thread would only wait, spinning. A test about threads sets their number itself."""
    numba.set_num_threads(1)


@pytest.fixture(autouse=True)
def a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test looks for stands on one line, unless it sets the width itself."""
    monkeypatch.setenv("COLUMNS", "1000")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skips where it is not installed."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with ten seeds of both arms that PASS, committed."""

    def make(root: Path) -> None:
        project = new_project(root)
        project.train(range(10))
        project.commit()

    return made_once(tmp_path_factory, "trained", make)


@pytest.fixture(scope="session")
def twice_passed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two verdicts by two processes on seeds of their own, and a drill, everything committed: ready."""

    def make(root: Path) -> None:
        project = copy_of(trained, root)
        for seeds in (range(10), range(10, 20)):
            if seeds[0]:  # else they are trained
                project.train(seeds)
                project.commit()
            done = project.headstart("release", "record", "walk", "--by", "Ada")
            assert done.code == 0, done.err
        project.drill()
        project.commit()

    return made_once(tmp_path_factory, "ready", make)


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Project:
    """A copy of `trained`."""
    return copy_of(trained, tmp_path / "project")


@pytest.fixture
def ready(twice_passed: Path, tmp_path: Path) -> Project:
    """A copy of `twice_passed`."""
    return copy_of(twice_passed, tmp_path / "project")


@pytest.fixture
def require_schema() -> Callable[[bytes | str, str], None]:
    """Checks a JSON text against its JSON Schema, by an implementation that is not ours."""

    def check(text: bytes | str, schema_id: str) -> None:
        jsonschema.Draft202012Validator(schema_of(schema_id.split("/")[0])).validate(json.loads(text))

    return check


@pytest.fixture
def subject() -> Subject:
    return Subject(type="expert", id="walk", sha256="0" * 64)


@pytest.fixture(scope="session")
def robot_walks() -> tuple[Scenario, Episodes, Header]:
    """A scenario of the robot with a script, cut to 12 steps; ten episodes of it, and their header."""
    return record_robot()


@pytest.fixture
def schema() -> ObservationSchema:
    return ObservationSchema(
        world="town",
        features=("hunger", "energy", "distance", "queue", "money"),
        map_channels=("wall", "agent"),
        map_size=3,
        actions=("wait", "north", "south", "use"),
        reward_terms=("need", "conflict"),
    )


@pytest.fixture
def make_score() -> Callable[..., Score]:
    return score


@pytest.fixture
def header(schema: ObservationSchema) -> Header:
    return Header(
        scenario="queue_conflict",
        scenario_sha256="a" * 64,
        policy_sha256="b" * 64,
        seed=7,
        observation=schema,
        writer_version="0.1.0",
    )
