"""Policies as models of Stable-Baselines3: the same actions, with nothing of this package at hand, and what cannot be expressed."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from tests.deploy.made import batch, checkpoint, checkpoint_of

import headstart
from headstart.config.params import NetworkParams
from headstart.core.errors import InputError, IntegrityError
from headstart.deploy.samples import observations
from headstart.deploy.sb3_policy import export_sb3, normaliser_path

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra `sb3`")
ROOT = Path(__file__).parents[2]
NUMBERS, CHOICE = spaces.Box(-2, 2, (2, 3)), spaces.Discrete(3)
THROTTLE = spaces.Box(np.array([-2, 0], np.float32), np.array([2, 10], np.float32))
PARTS = spaces.Dict(z=spaces.Box(-1, 1, (3,)), a=spaces.Discrete(4), b=spaces.MultiBinary(2), c=spaces.MultiDiscrete([2, 3]))
OWN: dict[str, tuple[gym.Space[Any], gym.Space[Any], bool]] = {  # observed, acting, whether a VecNormalize is needed
    "numbers, choice": (NUMBERS, CHOICE, True),
    "numbers, throttle": (spaces.Box(-np.inf, np.inf, (3,)), THROTTLE, True),
    "one-hot": (spaces.Discrete(5), CHOICE, False),
    "parts": (PARTS, THROTTLE, True),
}


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize(("observed", "acting", "beside"), OWN.values(), ids=OWN)
def test_a_model_acts_as_the_policy_does_on_ten_thousand_observations(
    tmp_path: Path, observed: gym.Space[Any], acting: gym.Space[Any], beside: bool, activation: Any
) -> None:
    params = NetworkParams(hidden=(16, 8), activation=activation, normalise=True)
    policy = headstart.load(checkpoint(tmp_path / "policy", observed, acting, params))
    out = tmp_path / "model.zip"
    assert export_sb3(policy, out) is normaliser_path(out).exists() is beside
    model = sb3.PPO.load(out)
    normalise = pickle.loads(normaliser_path(out).read_bytes()).normalize_obs if beside else lambda obs: obs
    obs, _ = observations(policy, 10_000, False)
    found, expected = model.predict(normalise(obs), deterministic=True)[0], policy.predict(obs)[0]
    if acting is CHOICE:
        assert (found == expected).mean() > 0.9999 and len(set(expected.tolist())) > 1
    else:
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert ((expected > acting.low) & (expected < acting.high)).any()  # type: ignore[attr-defined]
    single, _ = batch(observed, 1)
    np.testing.assert_allclose(
        model.predict(normalise(single[0]), deterministic=True)[0], policy.predict(single[0])[0], atol=1e-4
    )
    rows, _ = policy.rows.rows(obs, None)
    values = policy.network.value({name: torch.from_numpy(part) for name, part in rows.items()})
    with torch.no_grad():
        theirs = model.policy.predict_values(model.policy.obs_to_tensor(normalise(obs))[0])[:, 0]
    torch.testing.assert_close(theirs, values, atol=1e-4, rtol=1e-4)


def test_samples_of_a_model_spread_as_those_of_the_policy(tmp_path: Path) -> None:
    policy = headstart.load(checkpoint(tmp_path / "policy", NUMBERS, THROTTLE, NetworkParams(hidden=(8,), initial_std=0.1)))
    export_sb3(policy, tmp_path / "model.zip")
    model = sb3.PPO.load(tmp_path / "model.zip")
    assert model.policy.log_std.exp().tolist() == pytest.approx([0.1 * 2, 0.1 * 5])  # halves of the ranges 4 and 10


def test_the_files_need_nothing_of_this_package(tmp_path: Path) -> None:
    policy = headstart.load(checkpoint(tmp_path / "policy", NUMBERS, CHOICE))
    export_sb3(policy, tmp_path / "model.zip")
    script = """
import sys, pickle
sys.modules["headstart"] = None
import numpy as np
from stable_baselines3 import PPO
obs = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
normalise = pickle.load(open("model.vecnormalize.pkl", "rb")).normalize_obs
print(int(PPO.load("model.zip").predict(normalise(obs), deterministic=True)[0]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == policy.predict(np.linspace(-1, 1, 6).reshape(2, 3))[0]


def test_a_town_becomes_a_model_with_masks_and_a_robot_one_without(tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="needs the extra `sb3`")
    town = headstart.make("queue_conflict", 4)
    policy = headstart.load(ROOT / "policies/queue_conflict/pretrained")
    assert export_sb3(policy, tmp_path / "town.zip") is False
    model = contrib.MaskablePPO.load(tmp_path / "town.zip")
    obs, _ = town.reset(seed=0)
    for _ in range(40):
        expected = policy.predict(obs)[0]
        assert (model.predict(obs["features"], action_masks=obs["mask"], deterministic=True)[0] == expected).all()
        obs, *_ = town.step(expected)
    assert model.num_timesteps == policy.card.env_steps

    nav = headstart.make("nav_mixed", 4)
    robot = headstart.load(checkpoint_of(tmp_path / "robot", nav, NetworkParams(hidden=(16,), normalise=True)))
    export_sb3(robot, tmp_path / "robot.zip")
    normalise = pickle.loads((tmp_path / "robot.vecnormalize.pkl").read_bytes()).normalize_obs
    obs, _ = nav.reset(seed=0)
    found = sb3.PPO.load(tmp_path / "robot.zip").predict(normalise(obs["features"]), deterministic=True)[0]
    np.testing.assert_allclose(found, robot.predict(obs)[0], atol=1e-5)


def test_masks_of_an_own_environment_make_a_model_that_takes_them(tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="needs the extra `sb3`")
    policy = headstart.load(checkpoint(tmp_path / "policy", spaces.MultiBinary(4), CHOICE))
    export_sb3(policy, tmp_path / "model.zip", masks=True)
    model = contrib.MaskablePPO.load(tmp_path / "model.zip")
    obs, masks = observations(policy, 500, True)
    found = model.predict(obs, action_masks=masks, deterministic=True)[0]
    np.testing.assert_array_equal(found, policy.predict(obs, action_masks=masks)[0])
    assert (found != policy.predict(obs)[0]).any()


VIEW = spaces.Box(0, 255, (40, 40, 3), np.uint8)


@pytest.mark.parametrize(
    ("observed", "acting", "message"),
    [
        (VIEW, CHOICE, "expected a policy of numbers, this one sees a picture or a map"),
        (spaces.Box(0, 255, (7, 7, 3), np.uint8), CHOICE, "the observation has the shape of a picture"),
        (
            spaces.Tuple([CHOICE, NUMBERS]),
            CHOICE,
            "the observation is none of Box, Discrete, MultiDiscrete and MultiBinary: Tuple",
        ),
        (spaces.Dict(a=spaces.Dict(b=CHOICE)), CHOICE, "a is none of Box, Discrete, MultiDiscrete and MultiBinary: Dict"),
        (spaces.Discrete(3, start=1), CHOICE, "the observation does not begin at 0"),
        (spaces.Box(-1, 1, ()), CHOICE, "the observation is a single number"),
        (NUMBERS, spaces.Discrete(3, start=1), "the action does not begin at 0"),
        (NUMBERS, spaces.MultiDiscrete([2, 2]), r"joint actions of MultiDiscrete\(\[2 2\]\), SB3 chooses each part by itself"),
        (NUMBERS, spaces.Box(0, 9, (2,), np.int64), "SB3 has no whole numbers as actions"),
    ],
)
def test_what_sb3_cannot_express_is_refused_in_words(
    tmp_path: Path, observed: gym.Space[Any], acting: gym.Space[Any], message: str
) -> None:
    policy = headstart.load(checkpoint(tmp_path / "policy", observed, acting))
    with pytest.raises(InputError, match=message):
        export_sb3(policy, tmp_path / "model.zip")
    assert not list(tmp_path.glob("model*"))


def test_a_model_that_acts_otherwise_is_refused_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = headstart.load(checkpoint(tmp_path / "policy", NUMBERS, CHOICE))
    monkeypatch.setattr("headstart.deploy.sb3_policy.CLIP", 5.0)
    with pytest.raises(IntegrityError, match=r"expected the actions of the policy, got others in \d+ of 10000 observations"):
        export_sb3(policy, tmp_path / "model.zip")
    assert not list(tmp_path.glob("model*"))
