"""Where an arm's seeds work until it is whole: the same place for the same result, another for any other."""

from pathlib import Path

import pytest
from tests.shifts import clone_run

from headstart.compare.arm_runs import CloneRun, Score
from headstart.config.params import BCParams, NetworkParams, Params, TelemetryParams, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.schedule import Arm
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


def test_clones_and_the_expert_do_not_decide_what_a_baseline_becomes(params: Params, scenario: Scenario) -> None:
    changes = {
        "bc_train": params.bc_train.model_copy(update={"epochs": 99}),
        "capture": params.capture.model_copy(update={"seed": 99}),
    }
    before = {arm: run_dir_of(params, scenario, arm, "code") for arm in ("scratch", "pretrained")}
    for part in ("bc", "expert"):
        (Path("models") / scenario.name / part).mkdir(parents=True)
        (Path("models") / scenario.name / part / "card.json").write_text("{}")
    after = {arm: run_dir_of(params.model_copy(update=changes), scenario, arm, "code") for arm in before}

    assert after["scratch"] == before["scratch"]
    assert after["pretrained"] != before["pretrained"]
    seen = params.capture.model_copy(update={"observation": "hybrid"})
    assert run_dir_of(params.model_copy(update={"capture": seen}), scenario, "scratch", "code") != before["scratch"]


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


SEED = load_params(ROOT / "params.yaml").seeds[2]


def clone_at_hand(scenario: Scenario) -> tuple[Path, CloneRun]:
    """A small clone where bc_train leaves it, without what is stored beside it."""
    world, small, folder = worlds_of(scenario, "training", 1), NetworkParams(hidden=(4,)), Path("models") / scenario.name / "bc"
    facts = {"kind": "bc", "scenario": scenario.name, "arm": "bc", "seed": SEED, "env_steps": 0, "lineage": {}}
    card = save_policy(folder / f"seed-{SEED}", new_network(world, small, 0), small, world, facts)
    return folder / f"seed-{SEED}", clone_run(SEED, weights_sha256=card.weights_sha256, outcome="PASS")


def test_a_seed_whose_sources_changed_since_its_arm_began_does_not_train(params: Params, scenario: Scenario) -> None:
    with pytest.raises(IntegrityError, match="anneal queue_conflict: its source files changed while it began"):
        train_seed(SeedJob(params, scenario, "pretrained", SEED, "anneal", "of another tree", Path("run")), lambda steps: None)
    assert not Path("run").exists()


def test_a_clone_without_its_reference_is_an_error_that_names_the_stage(params: Params, scenario: Scenario) -> None:
    _, clone = clone_at_hand(scenario)
    with pytest.raises(InputError, match=rf"{REFERENCE}.*dvc repro bc_train@queue_conflict"):
        begin(SeedJob(params, scenario, "pretrained", SEED, "anneal", "", Path("run"), clone))


def test_demonstrations_are_those_of_the_block_and_returns_have_the_discount_of_the_arm(
    params: Params, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, asked = Score(episodes=1, success=1, harm=0, return_mean=1.0, return_sd=0.0), []

    def read(scenario: Scenario, schema: object, settings: BCParams, block: int) -> None:
        asked.append((settings.gamma, block))
        raise InputError("that is all that is asked here")

    folder, clone = clone_at_hand(scenario)
    write_record(folder / REFERENCE, Reference(untrained=score, expert=score, clone=score))
    monkeypatch.setattr("headstart.runs.arm_seed.read_used", read)
    for clones in (None, 2):
        fewer = params.model_copy(update={"bc_train": params.bc_train.model_copy(update={"clones": clones})})
        with pytest.raises(InputError, match="that is all"):
            begin(SeedJob(fewer, scenario, "classic", SEED, "anneal", "", Path("run"), clone))
    gamma = params.arms["classic"].ppo.gamma
    assert asked == [(gamma, 2), (gamma, 0)]
    assert gamma != params.bc_train.gamma


@pytest.mark.parametrize(("change", "got"), [({"weights_sha256": "0" * 64}, "of queue_conflict with"), ({}, "of other with")])
def test_another_clone_than_the_one_on_record_is_refused(
    params: Params, scenario: Scenario, change: dict[str, str], got: str
) -> None:
    folder, clone = clone_at_hand(scenario)
    if not change:
        card = folder / "card.json"
        card.write_text(card.read_text().replace('"scenario": "queue_conflict"', '"scenario": "other"'))
    with pytest.raises(IntegrityError, match=rf"seed-{SEED}: expected the clone of queue_conflict with weights .*got one {got}"):
        begin(SeedJob(params, scenario, "pretrained", SEED, "anneal", "", Path("run"), clone.model_copy(update=change)))


@pytest.mark.parametrize("asked", [False, True])
def test_event_files_are_written_beside_the_work_and_change_nothing_of_the_log(
    params: Params, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cartpole = load_scenario("cartpole", ROOT / "scenarios")
    monkeypatch.setattr("headstart.runs.seed_training.require_code", lambda *of: None)
    tiny = {"worlds": 4, "rollout_ticks": 16, "num_epochs": 1, "mini_batch_size": 32}
    arm = Arm.model_validate(
        {"start": "random", "ppo": tiny, "phases": [{"name": "learn", "kind": "ppo", "env_steps": 128, "learning_rate": 0.001}]}
    )
    few = params.evaluation.model_copy(update={"worlds": 2, "exam_worlds": 2, "every": 64, "variant_worlds": 0})
    network = params.network.model_copy(update={"hidden": (4,), "normalise": False})
    changes = {"arms": {"scratch": arm}, "evaluation": few, "network": network}
    settings = params.model_copy(update=changes | {"telemetry": TelemetryParams(tensorboard=asked)})
    train_seed(SeedJob(settings, cartpole, "scratch", 3, "baseline", "", Path("run")), lambda steps: None)

    assert len(list(Path(".headstart/tensorboard/cartpole/scratch/seed-3").glob("events.*"))) == asked
    assert len({run_dir_of(one, cartpole, "scratch", "") for one in (settings, params.model_copy(update=changes))}) == 1
    other = settings.model_copy(update={"telemetry": TelemetryParams(every=2)})
    assert run_dir_of(other, cartpole, "scratch", "") != run_dir_of(settings, cartpole, "scratch", "")
