"""The first stage: what it writes, and what it refuses before anything is recorded or trained."""

import json
from pathlib import Path

import pytest
from tests.cloned import ROOT

from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.config.settings import resolved
from headstart.config.stage import run
from headstart.core.errors import GateFailed, InputError
from headstart.stages.settings import settings

WRITTEN = Path("data/nav_gap_seeker/settings.json")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scenarios").mkdir()
    for name in ("params.yaml", "dvc.yaml", "scenarios/nav_gap_seeker.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_says_what_params_and_scenario_say() -> None:
    assert run(settings, "nav_gap_seeker").look == WRITTEN.as_posix()
    scenario = load_scenario("nav_gap_seeker")
    assert json.loads(WRITTEN.read_bytes()) == {"settings": resolved(for_scenario(load_params(), scenario), scenario)}


def test_a_gate_that_cannot_be_met_is_refused(project: Path) -> None:
    scenario = project / "scenarios/nav_gap_seeker.yaml"
    scenario.write_text(scenario.read_text().replace("capture: {worlds: 4000,", "capture: {worlds: 1,"))
    with pytest.raises(
        GateFailed, match=r"capture\.worlds 1: a block has no world to hold out\n    cure: set capture\.worlds to 2 or more"
    ):
        run(settings, "nav_gap_seeker")
    assert not WRITTEN.exists()


def test_a_key_that_a_scenario_does_not_have_is_named_with_its_neighbour(project: Path) -> None:
    with (project / "scenarios/nav_gap_seeker.yaml").open("a") as file:
        file.write("measure: [stl_bp]\n")
    with pytest.raises(InputError, match=r"unknown key 'measure'.*measures"):
        run(settings, "nav_gap_seeker")
