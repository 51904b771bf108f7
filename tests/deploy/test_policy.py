"""`headstart.load` and `predict`: the actions of the pipeline's own evaluation, in the spaces of the user's environment."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from tests.arms import arm_runs
from tests.deploy.made import ACTING, BOX, OBSERVED, batch, checkpoint, checkpoint_of

import headstart
from headstart.config.params import NetworkParams
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import write_record
from headstart.deploy.worlds import find_scenario
from headstart.learn.evaluation import Acting, play_episodes
from headstart.runs.checkpoint import save_checkpoint
from headstart.runs.worlds import task_of
from headstart.worlds.api import Task, play
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_spaces import Observing
from headstart.worlds.make import make

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "policies/queue_conflict/pretrained"
PAIRS = [*((name, "discrete") for name in OBSERVED), *(("box", name) for name in ACTING)]


@pytest.mark.parametrize(("observed", "acting"), PAIRS)
def test_one_observation_and_a_row_of_a_batch_lead_to_the_same_action_of_the_space(
    tmp_path: Path, observed: str, acting: str
) -> None:
    policy = headstart.load(checkpoint(tmp_path, OBSERVED[observed], ACTING[acting]))
    assert (policy.observation_space, policy.action_space) == (OBSERVED[observed], ACTING[acting])
    single, together = batch(OBSERVED[observed], 6)
    state = object()
    each = [policy.predict(obs, state=state)[0] for obs in single]
    assert all(ACTING[acting].contains(action) for action in each)
    all_at_once, kept = policy.predict(together, state=state)
    np.testing.assert_allclose(all_at_once, np.stack(each), rtol=0, atol=1e-5)
    assert kept is state


@pytest.mark.parametrize("observed", OBSERVED)
def test_a_batch_becomes_the_features_and_pictures_that_the_pipeline_makes_of_its_rows(tmp_path: Path, observed: str) -> None:
    policy = headstart.load(checkpoint(tmp_path, OBSERVED[observed], ACTING["discrete"]))
    single, together = batch(OBSERVED[observed], 5)
    found, _ = policy.rows.rows(together, None)
    expected = Observing(OBSERVED[observed], "here").rows(single)
    assert found.keys() == {*expected, "mask"}
    for name, rows in expected.items():
        np.testing.assert_array_equal(found[name], rows)


@pytest.mark.parametrize("acting", ACTING)
def test_sampled_actions_are_of_the_space_and_follow_from_the_seed(tmp_path: Path, acting: str) -> None:
    policy = headstart.load(checkpoint(tmp_path, BOX, ACTING[acting]))
    _, together = batch(BOX, 32)
    first, again = (_sampled(policy, together, seed) for seed in (3, 3))
    np.testing.assert_array_equal(first, again)
    assert all(ACTING[acting].contains(action) for action in first)
    assert (_sampled(policy, together, 4) != first).any()
    assert (policy.predict(together, deterministic=False)[0] != first).any()  # the stream goes on
    np.testing.assert_array_equal(_sampled(policy, together, np.int64(3)), first)
    for wrong in (None, -1, 1.5, True):
        with pytest.raises(InputError, match=f"seed: expected a whole number ≥ 0, got {wrong}"):
            policy.set_random_seed(wrong)  # type: ignore[arg-type]


def _sampled(policy: headstart.Policy, obs: Any, seed: Any) -> Any:
    policy.set_random_seed(seed)
    return policy.predict(obs, deterministic=False)[0]


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "Blackjack-v1", "tests.worlds.toys:Masked-v0"])
def test_actions_in_the_users_environment_are_those_of_the_evaluation(tmp_path: Path, name: str) -> None:
    """GymWorld plays with the network; the same copies, seen as a user sees them, get the actions of `predict`."""
    world = GymWorld(Task("gym", {"id": name}, 20, (), ()), 3)
    own = world.own_spaces
    policy = headstart.load(checkpoint(tmp_path, own["observation"], own["action"]))
    act = Acting(policy.network, 0, "deterministic")
    obs, _ = world.reset(seed=5)
    for _ in range(20):
        for n in range(3):
            action, _ = policy.predict(world.seen[n], action_masks=world.infos[n].get("action_mask"))
            np.testing.assert_allclose(action, world.acting.own(act(obs))[n], atol=1e-5)  # a product of rows is rounded otherwise
        obs, *_ = world.step(act(obs))


@pytest.mark.parametrize(
    ("scenario", "observation"), [("queue_conflict", "compact"), ("queue_conflict", "hybrid"), ("nav_mixed", "compact")]
)
def test_a_town_and_a_robot_are_played_as_in_the_evaluation(tmp_path: Path, scenario: str, observation: str) -> None:
    world = make(replace(task_of(find_scenario(scenario)), horizon=24), 4, hybrid=observation == "hybrid")
    policy = headstart.load(checkpoint_of(tmp_path, world))
    assert policy.observation_space == world.single_observation_space
    assert policy.action_space == world.single_action_space
    expected = play_episodes(policy.network, world, 7, "deterministic")

    def act(obs: dict[str, Any]) -> Any:
        actions = policy.predict(obs)[0]
        one_by_one = [policy.predict({name: part[n] for name, part in obs.items()})[0] for n in range(world.num_envs)]
        np.testing.assert_allclose(np.stack(one_by_one), actions, atol=1e-5)
        return actions

    found = play(world, act, 7)
    np.testing.assert_array_equal(found.stats, expected.stats)
    np.testing.assert_array_equal(found.total_reward, expected.total_reward)


def test_masks_forbid_actions_and_are_those_of_the_observation_in_a_town(tmp_path: Path) -> None:
    policy = headstart.load(SHIPPED)
    world = headstart.make("queue_conflict", 8)
    obs, _ = world.reset(seed=0)
    free, _ = policy.predict(obs)
    only = np.zeros_like(obs["mask"])
    only[:, 3] = 1
    assert set(free) != {3}
    assert set(policy.predict(obs, action_masks=only)[0]) == {3}
    assert set(policy.predict(obs["features"], action_masks=only, deterministic=False)[0]) == {3}

    own = headstart.load(checkpoint(tmp_path, BOX, spaces.MultiDiscrete([3, 2])))
    parts = np.array([False, True, False, True, False])  # sb3-contrib's form: the parts in a row
    row = np.zeros(3, np.float32)
    assert own.predict(row, action_masks=parts)[0].tolist() == [1, 0]
    assert own.predict(np.stack([row, row]), action_masks=np.stack([parts, parts]))[0].tolist() == [[1, 0], [1, 0]]
    assert own.predict({"observation": row, "action_mask": parts})[0].tolist() == [1, 0]  # as PettingZoo shows it
    for wrong in (np.array([0, 1, 0, 0.5, 0]), np.array([0, np.nan, 0, 1, 0]), ([0, 1, 0], [-1, 0])):
        with pytest.raises(InputError, match="action_masks, row 0: expected 1 for an action that is allowed"):
            own.predict(row, action_masks=wrong)
    assert own.predict(row, action_masks=([0, 1, 0], [1, 0]))[0].tolist() == [1, 0]
    nested = headstart.load(checkpoint(tmp_path / "nested", spaces.Dict(place=BOX), spaces.Discrete(3)))
    assert nested.predict({"observation": {"place": row}, "action_mask": np.array([0, 1, 0])})[0] == 1


# --- load -----------------------------------------------------------------------------------------------------------------


def test_the_folder_of_an_arm_gives_its_best_seed(tmp_path: Path) -> None:
    cards = [headstart.load(checkpoint(tmp_path / f"seed-{seed}", BOX, ACTING["box"], seed=seed)).card for seed in range(3)]
    runs = arm_runs("pretrained", [None, 3, 5])  # seeds 1 and 2 end alike: the lowest counts
    pinned = [
        run.model_copy(update={"checkpoint_sha256": card.weights_sha256}) for run, card in zip(runs.runs, cards, strict=True)
    ]
    write_record(tmp_path / "runs.json", runs.model_copy(update={"runs": tuple(pinned)}))
    assert headstart.load(tmp_path).card == cards[1]
    assert headstart.load(str(tmp_path / "seed-2")).card == cards[2]

    for file in (tmp_path / "seed-0").iterdir():
        shutil.copy(file, tmp_path / "seed-1" / file.name)
    with pytest.raises(IntegrityError, match=r"weights\.safetensors: expected hash .*, as runs\.json says, found"):
        headstart.load(tmp_path)
    (tmp_path / "runs.json").unlink()
    with pytest.raises(InputError, match=r"expected runs\.json to choose the best seed, found none; name one of seed-0, seed-1"):
        headstart.load(tmp_path)


def test_other_folders_and_changed_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a checkpoint or of an arm, found none"):
        headstart.load(tmp_path / "none")
    with pytest.raises(InputError, match=r"expected card\.json, found none"):
        headstart.load(tmp_path)
    with pytest.raises(InputError, match="folder: expected the folder of a checkpoint or of an arm, got None"):
        headstart.load(None)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"folder: expected the folder of a checkpoint or of an arm, got 'x.*: File name too long"
    ):
        headstart.load("x" * 5000)
    unknown = checkpoint(tmp_path / "unknown", BOX, ACTING["box"]) / "card.json"
    unknown.write_text(unknown.read_text().replace('"activation"', '"activation_of"'))
    with pytest.raises(InputError, match=r"card\.json: network: unknown key .activation_of."):
        headstart.load(unknown.parent)
    copy = checkpoint(tmp_path / "copy", BOX, ACTING["box"])
    data = bytearray((copy / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"weights\.safetensors: expected hash"):
        headstart.load(copy)
    card = headstart.load(checkpoint(tmp_path / "other", BOX, ACTING["box"])).card
    facts = card.model_dump(exclude={"shapes", "weights_sha256"})
    save_checkpoint(tmp_path / "other", {"actor.0.weight": np.zeros((2, 2), np.float32)}, facts)
    with pytest.raises(InputError, match=r"weights\.safetensors: expected the weights of the network that card"):
        headstart.load(tmp_path / "other")


def test_a_copied_folder_is_enough_and_neither_stages_nor_environments_are_loaded(tmp_path: Path) -> None:
    made = checkpoint(tmp_path / "here/policy", OBSERVED["dict"], ACTING["box"], NetworkParams(hidden=(8,)))
    script = """
import json, sys
import numpy as np
import headstart

before = [name for name in ("torch", "numpy", "gymnasium", "numba") if name in sys.modules]
policy = headstart.load("policy")
obs = {"z": np.ones(3, np.float32), "a": {"goal": 1, "bits": np.array([0, 1])}, "view": np.full((36, 40, 3), 9, np.uint8)}
action = policy.predict(obs)[0].tolist()
wrong = [n for n in sys.modules if n.startswith(("headstart.stages", "headstart.cli", "headstart.worlds.gym_copies", "gymnasium.envs.classic"))]
print(json.dumps({"before": before, "action": action, "wrong": wrong}))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "here", capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    obs = {"z": np.ones(3), "a": {"goal": 1, "bits": np.array([0, 1])}, "view": np.full((36, 40, 3), 9, np.uint8)}
    assert said["before"] == ["numpy"]  # which the script itself imports
    assert said["wrong"] == []
    np.testing.assert_allclose(said["action"], headstart.load(made).predict(obs)[0], atol=1e-6)


def test_the_package_lists_its_names_and_imports_nothing_before_they_are_asked_for() -> None:
    script = "import sys, headstart; print(dir(headstart)); print([n for n in sys.modules if n.startswith('headstart.')])"
    script += "; print([n for n in ('torch', 'numpy', 'gymnasium', 'pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names, ours, others = map(json.loads, done.stdout.replace("'", '"').splitlines())
    assert names == ["Policy", "__version__", "load", "load_dataset", "make", "parallel_env"]
    assert (ours, others) == ([], [])
    assert all(getattr(headstart, name) for name in names)
    stub = (ROOT / "src/headstart/__init__.pyi").read_text()
    assert set(re.findall(r"(?:import \w+ as |^)(\w+)(?:$|: str)", stub, flags=re.MULTILINE)) == set(names)
    assert headstart.load is __import__("headstart.deploy.policy", fromlist=["load"]).load
    with pytest.raises(AttributeError, match="module 'headstart' has no attribute 'lode'"):
        headstart.lode  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("hidden", ["[1000000000]", "[16384, 16384]", "[]"])
def test_a_card_that_describes_more_than_its_weights_is_refused_before_a_network_is_made(
    tmp_path: Path, hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = checkpoint(tmp_path / "one", BOX, ACTING["box"]) / "card.json"
    text, there = card.read_text(), '"hidden": [\n      16\n    ]'
    assert there in text
    card.write_text(text.replace(there, f'"hidden": {hidden}'))
    monkeypatch.setattr("headstart.runs.policy.ActorCritic", None)  # a network that is made all the same is a TypeError

    with pytest.raises(InputError, match=r"network: hidden\.0: .*less than or equal|actor\.0\.weight of the shape"):
        headstart.load(tmp_path / "one")
