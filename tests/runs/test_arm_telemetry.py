"""What the records of a run say: of its code, of what it learned from, and of what the agents of the town did to each other."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.released import manifest_for
from tests.worlds.reference.town import Event
from tests.worlds.reference.towns import CROWD, WORKDAY
from tests.worlds.reference.world import make_world

from headstart.config.params import NetworkParams, load_params
from headstart.config.scenario import load_scenario
from headstart.core.arrays import Array
from headstart.dataset.manifest import stamp_bytes
from headstart.learn.networks import ActorCritic
from headstart.learn.rollout import Player
from headstart.runs.arm_telemetry import ALWAYS, COUNTS, evaluation_fields, started_fields, update_fields
from headstart.runs.progress import SeedJob
from headstart.runs.seed_training import envelope_of
from headstart.telemetry.kinds import Envelope, Evaluation, LearnedFrom, Line, RunStarted, Social, Update
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import Task, play
from headstart.worlds.town.env import Town

ROOT = Path(__file__).parents[2]
IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
STAGE = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from headstart.config.params import load_params
from headstart.config.scenario import load_scenario
from headstart.runs.arm_telemetry import started_fields
from headstart.runs.progress import SeedJob

scenario = load_scenario("cartpole")
trainer = SimpleNamespace(optimizer=SimpleNamespace(device=None), evaluation=SimpleNamespace(num_agents=1))
fields = started_fields(SeedJob(load_params(), scenario, "scratch", 0, "baseline", "", Path()), {}, trainer)
facts = {name: fields[name] for name in ("git_revision", "git_dirty", "device")} | {"folder": str(Path.cwd())}
Path(sys.argv[1]).write_text(json.dumps(facts))
"""


def run(folder: Path, *command: str) -> str:
    environment = os.environ | IDENTITY | {"PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with a pipeline of one stage, which writes `started_fields` to a file beside the repository."""
    folder = tmp_path / "project"
    (folder / "scenarios").mkdir(parents=True)
    for name in ("params.yaml", "scenarios/cartpole.yaml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "stage.py").write_text(STAGE)
    command = f"{sys.executable} stage.py {tmp_path / 'found.json'}"
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"show": {"cmd": command, "deps": ["stage.py"]}}}))
    run(folder, "git", "init", "-q")
    run(folder, sys.executable, "-m", "dvc", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "one")
    return folder


@pytest.mark.parametrize("temp", [False, True], ids=["in the project", "in a temporary workspace of DVC"])
def test_a_run_names_the_revision_of_its_checkout(project: Path, temp: bool) -> None:
    run(project, sys.executable, "-m", "dvc", *(["exp", "run", "--temp"] if temp else ["repro"]))
    found = json.loads((project.parent / "found.json").read_text())
    assert (Path(found["folder"]) != project) == temp
    assert found["git_revision"] == run(project, "git", "rev-parse", "HEAD")
    assert (found["git_dirty"], found["device"]) == (False, "cpu")


def test_a_run_says_that_tracked_files_differ_from_the_revision(project: Path) -> None:
    (project / "stage.py").write_text(STAGE + "\n")
    run(project, sys.executable, "-m", "dvc", "repro")
    assert json.loads((project.parent / "found.json").read_text())["git_dirty"] is True


# --- the log of a town against a ledger that is kept apart: the list of events of the reference town, which does the same actions -----------

SEED, WORLDS, TICKS = 11, 3, 60
FEAST = CROWD | {"setup": CROWD["setup"] | {"fridge_stock": 12, "wallet": [300, 400], "decay": {"hunger": 60, "energy": 20}}}
COUNTED = (
    "chats",
    "chat_failures",
    "shared_meals",
    "yields",
    "late",
    "absent",
    "late_help",
    "shift_takeovers",
    "blackouts",
    "outages",
)


def town_of(said: dict[str, Any]) -> Town:
    return Town(Task("town", said["setup"], said["horizon"], said["success"], said["harm"]), WORLDS)


def events(said: dict[str, Any], actions: Iterable[Array], staggered: bool) -> Iterator[list[Event]]:
    """After each step, all events since the one before, of all worlds. `actions`: [N] each."""
    worlds = [make_world(said["setup"], said["horizon"], SEED, id) for id in range(WORLDS)]
    for world in worlds:
        world.reset(staggered)
    for taken in actions:
        happened = []
        for w, row in enumerate(taken.reshape(WORLDS, -1).tolist()):
            town = worlds[w].town
            before = len(town.events)
            worlds[w].step(row)
            happened += town.events[before:]
        yield happened


def require_equal(log: Iterable[Social], ledger: Iterable[Event]) -> None:
    found, said = Counter[str](), list(log)
    for event in ledger:
        found[event.kind] += event.amount
    agents = WORKDAY["setup"]["agents"]
    expected = {name: found[name] // (agents if name in ("blackouts", "outages") else 1) for name in COUNTED}
    assert {name: sum(getattr(one, name) for one in said) for name in COUNTED} == expected
    lateness = sum((one.lateness_mean or 0.0) * one.late for one in said)
    assert lateness == pytest.approx(found["late_ticks"])
    assert all((one.lateness_mean is None) == (one.late == 0) for one in said)


def logged(folder: Path, records: Iterable[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Written to a log and read back."""
    envelope = Envelope(run_id="run-1", arm="scratch", world="town", scenario="workday", seed=3, stage="baseline")
    with TelemetryWriter(folder, envelope) as writer:
        for kind, fields in records:
            writer.write(kind, **fields)
        writer.write("run_ended", status="completed", censored=True)
    return [record for record in read_telemetry(folder) if isinstance(record, Update | Evaluation)]


def own_fields(kind: type[Line]) -> set[str]:
    """All fields of a kind, so that none is left that nothing writes."""
    return set(kind.model_fields) - set(Line.model_fields) - {"kind"}


@pytest.mark.parametrize(
    ("said", "seldom"),
    [(WORKDAY, {"shared_meals"}), (FEAST, {"late", "absent", "late_help", "shift_takeovers"})],
    ids=["workday", "feast"],
)
def test_the_updates_of_a_log_count_what_happened_in_the_town(said: dict[str, Any], seldom: set[str], tmp_path: Path) -> None:
    world, generator = town_of(said), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = ActorCritic(len(world.names.features), len(world.names.actions), None, NetworkParams(hidden=(4,)))
    player = Player(world, SEED, generator, lambda obs: world.expert_actions())
    # some of it the expert's, without whom few eat; past the horizon of every world, which begins at a random tick
    rollouts = [player.play(network, TICKS, share) for share in (0.3, 0.5, 0.9, 1.0)]
    weights = SimpleNamespace(learning_rate=1e-3, bc_weight=0.0, kl_weight=0.0, expert_share=0.0)
    metrics = defaultdict(float, dict.fromkeys((*ALWAYS, *COUNTS), 0.0))
    metrics |= {"reward_advantage_corr": 0.0, "explained_variance": 0.0}
    made = [
        SimpleNamespace(epoch=i, env_steps=i, metrics=metrics, weights=weights, rollout=of) for i, of in enumerate(rollouts, 1)
    ]
    fields = [update_fields(one, world, (), 1.0) for one in made]  # type: ignore[arg-type]
    assert fields[0].keys() - {"env_steps", "update_s", "env_steps_per_s"} == own_fields(Update)
    records = logged(tmp_path / "log", [("update", one) for one in fields])

    steps = np.concatenate([rollout.action.numpy() for rollout in rollouts])
    ledger = list(events(said, steps, staggered=True))
    for i, record in enumerate(records):
        here = [event for step in ledger[i * TICKS : (i + 1) * TICKS] for event in step]
        require_equal([record.social], here)
        succeeded = [event.amount for event in here if event.kind == "chat_quality"]
        assert record.social.chat_quality_mean == pytest.approx(np.mean(succeeded) / 10_000 if succeeded else None)
    require_equal([record.social for record in records], [event for step in ledger for event in step])
    happened = {name for name in COUNTED if any(getattr(record.social, name) for record in records)}
    assert happened >= set(COUNTED) - seldom  # otherwise equality would prove little


def test_an_evaluation_counts_what_happened_in_its_episodes(tmp_path: Path) -> None:
    world, taken, rng = town_of(WORKDAY), list[Array](), np.random.default_rng(0)

    def act(obs: dict[str, Array]) -> Array:
        taken.append(np.array([rng.choice(np.flatnonzero(row)) for row in obs["mask"]]))
        return taken[-1]

    event = SimpleNamespace(env_steps=0, played={"sampled": play(world, act, SEED)})
    trainer = SimpleNamespace(evaluation=world, network=torch.nn.Linear(1, 1), design=SimpleNamespace(seed=SEED))
    target = SimpleNamespace()
    curve = [SimpleNamespace(score=lambda mode: None)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.runs.arm_telemetry.meets", lambda score, target: False)
        fields = evaluation_fields(event, trainer, curve, target)  # type: ignore[arg-type]
    assert fields[0].keys() - {"env_steps"} == own_fields(Evaluation)
    (record,) = logged(tmp_path / "log", [("evaluation", one) for one in fields])
    ledger = [event for step in events(WORKDAY, taken, staggered=False) for event in step]
    require_equal([record.social], ledger)


def test_the_log_of_a_world_that_is_no_town_has_no_social_block(tmp_path: Path) -> None:
    assert Update.model_fields["social"].default is None
    fields = json.loads((ROOT / "tests/golden/telemetry_fields.json").read_text())["update"]
    logged(tmp_path / "log", [("update", fields)])
    assert b"social" not in (tmp_path / "log/telemetry-0000.ndjson").read_bytes()


# --- the dataset that a run learned from ------------------------------------------------------------------------------------------------


def test_a_run_says_what_dataset_it_learned_from_and_how_good_its_episodes_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    params = load_params(ROOT / "params.yaml")
    trainer = SimpleNamespace(optimizer=SimpleNamespace(device=None), evaluation=SimpleNamespace(num_agents=4))
    monkeypatch.chdir(tmp_path)
    manifest = manifest_for("scripted")
    (tmp_path / "data/queue_conflict").mkdir(parents=True)
    (tmp_path / "data/queue_conflict/validated.json").write_bytes(stamp_bytes(manifest))

    def dataset(arm: str) -> LearnedFrom | None:
        job = SeedJob(params, scenario, arm, 40, "anneal", "", Path())
        fields = started_fields(job, {}, trainer)  # type: ignore[arg-type]
        assert fields.keys() == own_fields(RunStarted)
        with TelemetryWriter(tmp_path / arm, envelope_of(job)) as writer:
            writer.write("run_started", **fields)
        (started,) = (record for record in read_telemetry(tmp_path / arm) if isinstance(record, RunStarted))
        return started.dataset

    assert dataset("scratch") is None
    assert b'"dataset"' not in (tmp_path / "scratch/telemetry-0000.ndjson").read_bytes()
    found, quality = dataset("pretrained"), manifest.quality
    assert found is not None
    assert found.id == f"{manifest.dataset}@{manifest.version}"
    assert (found.episodes, found.steps_mean) == (manifest.accepted.episodes, quality.steps_mean)
    assert (found.return_mean, found.success_rate, found.harm_rate) == (
        quality.return_mean,
        quality.success_rate,
        quality.harm_rate,
    )
