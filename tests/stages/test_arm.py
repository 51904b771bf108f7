"""Where an arm's seeds work until it is whole: the same place for the same result, another for any other."""

from pathlib import Path

import pytest

import headstart
from headstart.errors import InputError
from headstart.params import BCParams, NetworkParams, Params, Scenario, load_params, load_scenario
from headstart.records.files import write_record
from headstart.records.reference import REFERENCE, Reference
from headstart.records.runs import Score
from headstart.stages.arm import desk_of, run_arm
from headstart.stages.arm_seed import begin
from headstart.stages.policy import new_network, save_policy
from headstart.stages.project import schema_of, worlds_of
from headstart.stages.seed_job import SeedJob

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


def test_a_schedule_with_an_error_trains_nothing(package: Path, params: Params, scenario: Scenario) -> None:
    arm = params.arms["pretrained"].model_copy(update={"start": "random"})
    broken = params.model_copy(update={"arms": params.arms | {"pretrained": arm}})
    with pytest.raises(
        InputError, match=r"arms\.pretrained: phases\.tune\.bc_weight: needs demonstrations: start: bc, got random"
    ):
        run_arm(broken, scenario, "pretrained", "anneal", Path("models/arm"), Path("reports/arm"))
    assert not Path("models").exists()


def clone_at_hand(scenario: Scenario) -> Path:
    """A small clone where bc_train leaves it, without what is stored beside it."""
    world, small, folder = worlds_of(scenario, "training", 1), NetworkParams(hidden=(4,)), Path("models") / scenario.name / "bc"
    facts = {"kind": "bc", "scenario": scenario.name, "arm": "bc", "seed": 0, "env_steps": 0, "lineage": {}}
    save_policy(folder, new_network(world, small, 0), small, observation=schema_of(world), **facts)  # type: ignore[arg-type]
    return folder


def test_a_clone_without_its_reference_is_an_error_that_names_the_stage(
    package: Path, params: Params, scenario: Scenario
) -> None:
    clone_at_hand(scenario)
    with pytest.raises(InputError, match=rf"{REFERENCE}.*dvc repro bc_train@queue_conflict"):
        begin(SeedJob(params, scenario, "pretrained", 0, "anneal", Path("desk")))


def test_a_bc_phase_fits_its_critic_to_returns_with_the_discount_of_its_arm(
    package: Path, params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, asked = Score(episodes=1, success=1, harm=0, return_mean=1.0, return_sd=0.0), []

    def read(scenario: Scenario, schema: object, settings: BCParams) -> None:
        asked.append(settings.gamma)
        raise InputError("that is all that is asked here")

    write_record(clone_at_hand(scenario) / REFERENCE, Reference(untrained=score, expert=score, clone=score))
    monkeypatch.setattr("headstart.stages.arm_seed.read_demonstrations", read)
    with pytest.raises(InputError, match="that is all"):
        begin(SeedJob(params, scenario, "classic", 0, "anneal", Path("desk")))
    assert asked == [params.arms["classic"].ppo.gamma] != [params.bc_train.gamma]
