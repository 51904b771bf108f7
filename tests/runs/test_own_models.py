"""Experts in ONNX files and of Stable-Baselines3: they act as their own packages say, and files that do not fit are refused in words."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from tests.own_experts import BALANCE, Masked, linear, pole, run_to_validate

from headstart.config.checked import checked
from headstart.config.scenario import ExpertGate, Scenario
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import sha256_file
from headstart.runs.expert import approved_expert
from headstart.runs.expert_record import learned_sha256
from headstart.runs.own_expert import own_act
from headstart.runs.own_source import own_sha256
from headstart.runs.worlds import worlds_of

pytest.importorskip("onnx", reason="needs the extra `test`: files are made with onnx")
pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")

FILE = Path("experts/balance.onnx")
PENDULUM: dict[str, Any] = {"horizon": 30, "setup": {"id": "Pendulum-v1"}, "success": ["every steps >= 30"]}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experts").mkdir()


def of_file(path: Path = FILE, scenario: dict[str, Any] | None = None, **keys: Any) -> Scenario:
    return pole({"policy": "onnx", "path": str(path)} | keys, **(scenario or {}))


def test_an_onnx_file_is_judged_recorded_and_replayed_and_its_bytes_are_pinned() -> None:
    scenario = of_file(linear(BALANCE), training_steps=77)

    said = run_to_validate(scenario)

    artefact = approved_expert(scenario)
    assert artefact.policy_sha256 == sha256_file(FILE) == learned_sha256(artefact, 1)
    assert (artefact.kind, artefact.training_steps(0)) == ("onnx", 77)
    assert "24 episodes replayed exactly" in said[-1]
    linear(BALANCE * 2)
    with pytest.raises(GateFailed, match=r"the expert that was judged is not the one at hand; run `dvc repro` again"):
        approved_expert(scenario)


@pytest.mark.parametrize("rows", ["rows", 1])
def test_the_best_allowed_action_is_taken(rows: int | str) -> None:
    scenario = of_file(linear(BALANCE, rows=rows))
    world = worlds_of(scenario, "capture", 6)
    act = own_act(scenario, world)
    obs, _ = world.reset(seed=0)
    for _ in range(5):
        obs, *_ = world.step(act(obs))
    expected = (obs["features"] @ BALANCE).argmax(axis=1)
    assert set(expected) == {0, 1}
    assert (act(obs) == expected).all()
    obs["mask"][:, 1] = 0
    assert (act(obs) == 0).all()


def test_a_mean_is_in_the_environments_units_and_clipped_to_its_bounds() -> None:
    scenario = of_file(linear(np.array([[1.0], [1.0], [3.0]])), PENDULUM)
    world = worlds_of(scenario, "capture", 8)
    act = own_act(scenario, world)
    obs, _ = world.reset(seed=2)
    mean = obs["features"] @ np.array([1.0, 1.0, 3.0])
    assert (np.abs(mean) > 2).any() and (np.abs(mean) < 2).any()
    np.testing.assert_allclose(act(obs)[:, 0], mean.clip(-2, 2) / 2, atol=1e-6)  # torque of ±2 is ±1 of the contract


def weights_beside(path: Path) -> None:
    """Write the model again, with its weights in a file of their own."""
    import onnx

    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)


@pytest.mark.parametrize("first", [3, 2])  # 2: as many joint actions as logits of parts
def test_logits_of_the_parts_of_a_multi_discrete_choose_the_best_joint_action(first: int) -> None:
    weights = np.concatenate([np.eye(4, first, dtype=np.float32), BALANCE], axis=1)
    scenario = of_file(linear(weights), {"setup": {"wrappers": [{"tests.own_experts:TwoParts": {"first": first}}]}})
    world = worlds_of(scenario, "capture", 32)
    obs, _ = world.reset(seed=0)
    logits = obs["features"] @ weights
    best = logits[:, :first].argmax(axis=1) * 2 + logits[:, first:].argmax(axis=1)
    assert len(set(best)) >= 4
    assert (own_act(scenario, world)(obs) == best).all()


def test_a_file_whose_input_has_the_rank_of_the_observation_gets_the_observation_itself() -> None:
    weights = np.zeros((4, 2))
    weights[1] = [1, -1]
    scenario = of_file(linear(weights, shape=(2, 2)), {"setup": {"wrappers": ["tests.own_experts:squared"]}})
    world = worlds_of(scenario, "capture", 6)
    obs, _ = world.reset(seed=0)
    assert np.shape(world.seen) == (6, 2, 2)  # type: ignore[attr-defined]
    assert (own_act(scenario, world)(obs) == (obs["features"][:, 1] < 0)).all()


@pytest.mark.parametrize(
    ("make", "keys", "message"),
    [
        (
            lambda: linear(np.zeros((5, 2))),
            {},
            r"onnx: input obs: expected numbers of the shape \[N, 4\], got tensor\(float\) \['rows', 5\]",
        ),
        (
            lambda: linear(np.zeros((4, 3))),
            {},
            r"balance\.onnx: output out: expected the logits of 2 actions, \[N, 2\], got \['N', 3\]",
        ),
        (lambda: linear(BALANCE, rows=7), {}, r"input obs: expected numbers of the shape \[N, 4\], got tensor\(float\) \[7, 4\]"),
        (lambda: linear(BALANCE), {"input": "ob"}, r"input: expected one of obs, got 'ob' \(did you mean 'obs'\?\)"),
        (lambda: linear(BALANCE), {"output": "mean"}, r"output: expected one of out, got 'mean'"),
        (lambda: linear(np.full((4, 2), np.nan)), {}, r"expected finite numbers, got \[nan, nan\]"),
        (lambda: FILE.write_bytes(b"PK no model"), {}, r"expert\.path: expected an ONNX file, experts/balance\.onnx: "),
        (lambda: None, {}, r"expert\.path: expected a file experts/balance\.onnx, found none"),
        (lambda: FILE.mkdir(), {}, r"expert\.path: expected a file experts/balance\.onnx, got a folder"),
        (lambda: weights_beside(linear(BALANCE)), {}, r"save it with its weights inside \(external_data=False\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_is_played(
    make: Callable[[], object], keys: dict[str, str], message: str
) -> None:
    make()
    scenario = of_file(**keys)
    with pytest.raises(InputError, match=message) as caught:
        own_act(scenario, worlds_of(scenario, "capture", 2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expert", "message"),
    [
        ({"policy": "onnx"}, "policy onnx needs the key path"),
        ({"policy": "sb3", "path": "experts/x.zip", "trusted": True}, "policy sb3 needs the key algorithm"),
        ({"policy": "callable"}, "policy callable needs the key call"),
        ({"policy": "callable", "call": "no_colon"}, "call: String should match pattern"),
        (
            {"policy": "onnx", "path": "models/x.onnx"},
            "path: expected a file in the folder experts, which DVC watches, got models/x.onnx",
        ),
        ({"policy": "onnx", "path": "experts/../x.onnx"}, "expected a path inside its folder"),
        (
            {"policy": "onnx", "path": "experts/x", "batched": True},
            "batched: policy onnx has no such key; it has harm_rate, input",
        ),
        ({"policy": "ppo", "training_steps": 5}, "training_steps: policy ppo has no such key"),
        (
            {"policy": "sb3", "path": "experts/x.zip", "algorithm": "PPO"},
            "runs the code that is pickled in it: say `trusted: true` if you know who made it, or make an ONNX file",
        ),
    ],
)
def test_keys_that_do_not_fit_the_policy_are_refused(expert: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        checked(ExpertGate, {"success_rate": 0.5, "harm_rate": 0.5} | expert, "expert")


# --- Stable-Baselines3 ----------------------------------------------------------------------------------------------------


def trained(algorithm: str, env: str, path: Path, steps: int = 64, **keys: Any) -> Any:
    """A model that learned for a few steps, in a zip file."""
    sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra `sb3`")
    model = getattr(sb3, algorithm)("MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [8]}, **keys)
    model.learn(steps)
    model.save(path)
    return model


def of_zip(algorithm: str, scenario: dict[str, Any] | None = None, path: str = "experts/model.zip") -> Scenario:
    expert = {"policy": "sb3", "path": path, "algorithm": algorithm, "trusted": True, "success_rate": 0.0, "harm_rate": 1.0}
    return pole(expert, **(scenario or {}))


def test_a_model_of_sb3_is_judged_recorded_and_replayed() -> None:
    trained("PPO", "CartPole-v1", Path("experts/model.zip"), n_steps=64, batch_size=32)
    lowered = {"success": ["every return >= 5"], "harm": ["any return < 1"]}
    scenario = of_zip("PPO", lowered)

    said = run_to_validate(scenario)

    assert approved_expert(scenario).policy_sha256 == sha256_file(Path("experts/model.zip"))
    assert "24 episodes replayed exactly" in said[-1]


@pytest.mark.parametrize(
    ("algorithm", "env", "keys"),
    [
        ("PPO", "CartPole-v1", {"n_steps": 64, "batch_size": 32}),
        ("A2C", "Pendulum-v1", {}),
        ("DQN", "CartPole-v1", {"learning_starts": 10}),
        ("SAC", "Pendulum-v1", {"learning_starts": 10, "buffer_size": 100}),
        ("TD3", "Pendulum-v1", {"learning_starts": 10, "buffer_size": 100}),
    ],
)
def test_a_converted_model_acts_as_the_model_itself(algorithm: str, env: str, keys: dict[str, Any]) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra `sb3`")
    from headstart.runs.convert_sb3 import convert

    trained(algorithm, env, Path("experts/model.zip"), **keys)
    assert convert(Path("experts/model.zip"), algorithm, FILE) >= 64
    changes = PENDULUM if env == "Pendulum-v1" else {}
    zipped, written = of_zip(algorithm, changes), of_file(scenario=changes)
    world = worlds_of(zipped, "capture", 16)
    one, other = own_act(zipped, world), own_act(written, world)
    obs, _ = world.reset(seed=0)
    for _ in range(10):
        np.testing.assert_allclose(one(obs), other(obs), atol=1e-5)
        obs, *_ = world.step(one(obs))


def test_what_a_model_learned_with_a_vec_normalize_is_shown_so_again_and_its_file_is_pinned() -> None:
    pytest.importorskip("onnxscript", reason="needs the extra `sb3`")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    from headstart.runs.convert_sb3 import convert

    envs = VecNormalize(make_vec_env("Pendulum-v1", 2, seed=0), clip_obs=1.5)
    model = PPO("MlpPolicy", envs, n_steps=64, batch_size=32, seed=0, device="cpu", policy_kwargs={"net_arch": [8]})
    model.learn(128)
    model.save("experts/model.zip")
    envs.save("experts/seen.pkl")
    plain = of_zip("PPO", PENDULUM)
    told = plain.model_copy(update={"expert": plain.expert.model_copy(update={"normaliser": "experts/seen.pkl"})})
    convert(Path("experts/model.zip"), "PPO", FILE, Path("experts/seen.pkl"))

    world = worlds_of(told, "capture", 16)
    act, without, written = (own_act(one, world) for one in (told, plain, of_file(scenario=PENDULUM)))
    world.reset(seed=0)
    obs, *_ = world.step(np.ones((16, 1), np.float32))
    wanted = model.predict(envs.normalize_obs(obs["features"]), deterministic=True)[0] / 2
    np.testing.assert_allclose(act(obs), wanted, atol=1e-6)
    np.testing.assert_allclose(written(obs), wanted, atol=1e-5)
    assert np.abs(without(obs) - wanted).max() > 0.003
    assert (np.abs(envs.obs_rms.mean) > 0.01).any() and envs.clip_obs == 1.5

    before = own_sha256(told)
    envs.obs_rms.mean += 1.0
    envs.save("experts/seen.pkl")
    assert own_sha256(told) != before
    Path("experts/seen.pkl").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"model\.zip: normaliser: expected what VecNormalize.save wrote: "):
        own_act(told, world)
    Path("experts/seen.pkl").unlink()
    with pytest.raises(InputError, match=r"expert\.normaliser: expected a file .*seen\.pkl, found none"):
        own_act(told, world)


def test_a_model_that_learned_with_masks_is_asked_with_the_masks_of_the_environment() -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="needs the extra `sb3`")
    model = contrib.MaskablePPO(
        "MlpPolicy", Masked(gym.make("CartPole-v1")), seed=0, device="cpu", policy_kwargs={"net_arch": [8]}
    )
    model.save("experts/model.zip")
    free, masked = (of_zip("MaskablePPO", {"setup": {"wrappers": wrappers}}) for wrappers in ([], ["tests.own_experts:Masked"]))
    acts = []
    for scenario in (free, masked):
        world = worlds_of(scenario, "capture", 64)
        obs, _ = world.reset(seed=0)
        acts.append(set(own_act(scenario, world)(obs).tolist()))
    assert acts == [{0, 1}, {0}] or acts == [{1}, {0}]


def test_a_model_for_another_space_a_wrong_algorithm_and_another_file_are_refused() -> None:
    trained("PPO", "Pendulum-v1", Path("experts/model.zip"), n_steps=64, batch_size=32)
    world = worlds_of(pole({"policy": "ppo"}), "capture", 2)
    with pytest.raises(InputError, match=r"model\.zip: expected a model that acts in Discrete\(2\), got one for Box"):
        own_act(of_zip("PPO"), world)
    with pytest.raises(InputError, match=r"algorithm: expected one of stable_baselines3 or sb3_contrib, as PPO, .*got PPOO"):
        own_act(of_zip("PPOO"), world)
    with pytest.raises(InputError, match=r"got RecurrentPPO \(its state between steps is not kept"):
        own_act(of_zip("RecurrentPPO"), world)
    Path("experts/model.zip").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"model\.zip: expected a model that PPO\.load reads: "):
        own_act(of_zip("PPO"), world)


def test_a_model_that_cannot_act_on_the_observations_is_refused_before_anything_is_played() -> None:
    trained("PPO", "CartPole-v1", Path("experts/model.zip"), n_steps=64, batch_size=32)
    scenario = of_zip("PPO", {"setup": {"wrappers": ["tests.own_experts:squared"]}})
    with pytest.raises(InputError, match=r"model\.zip: ValueError: Error: Unexpected observation shape"):
        own_act(scenario, worlds_of(scenario, "capture", 2))
