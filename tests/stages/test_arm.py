"""Where an arm's seeds work until it is whole: the same place for the same result, another for any other."""

from pathlib import Path

import pytest

import headstart
from headstart.params import Params, Scenario, load_params, load_scenario
from headstart.stages.arm import desk_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and sources of its own."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("one = 1\n")
    monkeypatch.setattr(headstart, "__file__", str(folder / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario("queue_conflict", ROOT / "scenarios")


def test_what_python_compiles_on_the_way_does_not_begin_an_arm_anew(package: Path, params: Params, scenario: Scenario) -> None:
    before = desk_of(params, scenario, "pretrained")
    (package / "__pycache__").mkdir()
    (package / "__pycache__/one.cpython-311.pyc").write_bytes(b"compiled")
    assert desk_of(params, scenario, "pretrained") == before


def test_another_source_arm_seed_list_or_clone_has_another_desk(package: Path, params: Params, scenario: Scenario) -> None:
    desks = [desk_of(params, scenario, "pretrained"), desk_of(params, scenario, "scratch")]
    desks.append(desk_of(params.model_copy(update={"seeds": (7,)}), scenario, "pretrained"))
    (package / "__init__.py").write_text("one = 2\n")
    desks.append(desk_of(params, scenario, "pretrained"))
    clone = Path("models") / scenario.name / "bc"
    clone.mkdir(parents=True)
    (clone / "card.json").write_text("{}")
    desks.append(desk_of(params, scenario, "pretrained"))
    assert len(set(desks)) == len(desks)
