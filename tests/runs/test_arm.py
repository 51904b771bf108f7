"""Where an arm's seeds work until it is whole: the same place for the same result, another for any other."""

from pathlib import Path

import pytest

from headstart.compare.arm_runs import Score
from headstart.config.params import BCParams, NetworkParams, Params, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import InputError, IntegrityError, UsageError
from headstart.core.files import write_record
from headstart.runs.arm import run_arm, run_dir_of
from headstart.runs.arm_seed import begin, train_seed
from headstart.runs.arm_telemetry import started_fields
from headstart.runs.clone_report import REFERENCE, Reference
from headstart.runs.policy import new_network, save_policy
from headstart.runs.progress import SeedJob
from headstart.runs.worlds import worlds_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario("queue_conflict", ROOT / "scenarios")


def test_another_arm_seed_list_code_or_clone_has_another_folder(
    params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [run_dir_of(params, scenario, "pretrained", "code"), run_dir_of(params, scenario, "scratch", "code")]
    assert run_dir_of(params, scenario, "pretrained", "code") == folders[0]
    folders.append(run_dir_of(params.model_copy(update={"seeds": (7,)}), scenario, "pretrained", "code"))
    folders.append(run_dir_of(params.model_copy(update={"device": "cuda"}), scenario, "pretrained", "code"))
    clone = Path("models") / scenario.name / "bc"
    clone.mkdir(parents=True)
    (clone / "card.json").write_text("{}")
    folders.append(run_dir_of(params, scenario, "pretrained", "code"))
    folders.append(run_dir_of(params, scenario, "pretrained", "other code"))
    assert len(set(folders)) == len(folders)


def test_a_schedule_with_an_error_trains_nothing(params: Params, scenario: Scenario) -> None:
    arm = params.arms["pretrained"].model_copy(update={"start": "random"})
    broken = params.model_copy(update={"arms": params.arms | {"pretrained": arm}})
    with pytest.raises(
        InputError, match=r"arms\.pretrained: phases\.tune\.bc_weight: needs demonstrations: start: bc, got random"
    ):
        run_arm(broken, scenario, "pretrained", "anneal", Path("models/arm"), Path("reports/arm"))
    assert not Path("models").exists()


def test_a_gpu_that_is_not_there_is_an_error_before_training(
    params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    wanted = params.model_copy(update={"device": "cuda"})
    with pytest.raises(UsageError, match="device: expected a GPU that torch can use, got none"):
        begin(SeedJob(wanted, scenario, "scratch", 0, "baseline", "", Path("run")))


def test_telemetry_says_where_the_network_learned(params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    said = []
    for device in ("cpu", "auto"):
        settings = params.model_copy(update={"device": device})
        job = SeedJob(settings, scenario, "scratch", 0, "baseline", "", Path("run"))
        trainer, lineage, _ = begin(job)
        said.append(started_fields(job, lineage, trainer)["device"])
    assert said == ["cpu", "cuda"]


def clone_at_hand(scenario: Scenario) -> Path:
    """A small clone where bc_train leaves it, without what is stored beside it."""
    world, small, folder = worlds_of(scenario, "training", 1), NetworkParams(hidden=(4,)), Path("models") / scenario.name / "bc"
    facts = {"kind": "bc", "scenario": scenario.name, "arm": "bc", "seed": 0, "env_steps": 0, "lineage": {}}
    save_policy(folder, new_network(world, small, 0), small, world, facts)
    return folder


def test_a_seed_whose_sources_changed_since_its_arm_began_does_not_train(params: Params, scenario: Scenario) -> None:
    with pytest.raises(IntegrityError, match="anneal queue_conflict: its source files changed while it began"):
        train_seed(SeedJob(params, scenario, "pretrained", 0, "anneal", "of another tree", Path("run")), lambda steps: None)
    assert not Path("run").exists()


def test_a_clone_without_its_reference_is_an_error_that_names_the_stage(params: Params, scenario: Scenario) -> None:
    clone_at_hand(scenario)
    with pytest.raises(InputError, match=rf"{REFERENCE}.*dvc repro bc_train@queue_conflict"):
        begin(SeedJob(params, scenario, "pretrained", 0, "anneal", "", Path("run")))


def test_a_bc_phase_fits_its_critic_to_returns_with_the_discount_of_its_arm(
    params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, asked = Score(episodes=1, success=1, harm=0, return_mean=1.0, return_sd=0.0), []

    def read(scenario: Scenario, schema: object, settings: BCParams) -> None:
        asked.append(settings.gamma)
        raise InputError("that is all that is asked here")

    write_record(clone_at_hand(scenario) / REFERENCE, Reference(untrained=score, expert=score, clone=score))
    monkeypatch.setattr("headstart.runs.arm_seed.read_demonstrations", read)
    with pytest.raises(InputError, match="that is all"):
        begin(SeedJob(params, scenario, "classic", 0, "anneal", "", Path("run")))
    assert asked == [params.arms["classic"].ppo.gamma] != [params.bc_train.gamma]
