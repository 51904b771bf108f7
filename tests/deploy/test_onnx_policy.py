"""Policies as ONNX files: the same outputs in onnxruntime, the contract beside them, and files that differ."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from tests.deploy.made import batch, checkpoint, checkpoint_of
from tests.own_experts import pole

import headstart
from headstart.config.params import NetworkParams
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import sha256_file
from headstart.deploy.onnx_policy import Graph, contract_path, export_onnx, inputs_of, require_same
from headstart.deploy.samples import observations
from headstart.runs.own_expert import own_act
from headstart.runs.worlds import worlds_of

pytest.importorskip("onnxscript", reason="needs the extra `sb3`: onnxscript writes the files")
ort = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
VIEW = spaces.Box(0, 255, (36, 40, 3), np.uint8)
OWN: dict[str, tuple[gym.Space[Any], gym.Space[Any], list[str]]] = {
    "numbers, choices": (spaces.Box(-2, 2, (2, 3)), spaces.MultiDiscrete([3, 2]), ["obs"]),
    "a number, choices": (spaces.Box(-1, 1, ()), spaces.Discrete(3), ["obs"]),
    "picture, choices": (VIEW, spaces.Discrete(4, start=1), ["obs"]),
    "numbers, numbers": (
        spaces.Box(-np.inf, np.inf, (3,)),
        spaces.Box(np.array([-2, 0], np.float32), np.array([2, 10], np.float32)),
        ["obs"],
    ),
    "parts, whole numbers": (
        spaces.Dict(z=spaces.Box(-1, 1, (3,)), a=spaces.Discrete(2), view=VIEW),
        spaces.Box(0, 9, (2,), np.int64),
        ["features", "map"],
    ),
}


def session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("observed", "acting", "inputs"), OWN.values(), ids=OWN)
def test_a_policy_of_an_own_environment_acts_in_onnxruntime_as_predict_does(
    tmp_path: Path,
    observed: gym.Space[Any],
    acting: gym.Space[Any],
    inputs: list[str],
    require_schema: Callable[[bytes, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    any_pictures = VIEW in (observed, *getattr(observed, "values", tuple)())
    if any_pictures:  # ten thousand take seconds
        monkeypatch.setattr("headstart.deploy.onnx_policy.OBSERVATIONS", 500)
    policy = headstart.load(checkpoint(tmp_path / "policy", observed, acting))
    contract = export_onnx(policy, tmp_path / "policy.onnx")
    require_schema(contract_path(tmp_path / "policy.onnx").read_bytes(), contract.schema_id)
    assert (contract.onnx_sha256, contract.compared_rows) == (
        sha256_file(tmp_path / "policy.onnx"),
        500 if any_pictures else 10_000,
    )
    assert 0 <= contract.largest_difference <= 1e-5
    assert [port.name for port in contract.inputs] == inputs

    run = session(tmp_path / "policy.onnx")
    for n in (1, 7):
        _, together = batch(observed, n, seed=n)
        given = inputs_of(policy, together, policy.rows.rows(together, None)[0], False)
        for port in contract.inputs:
            assert given[port.name].dtype == port.dtype and given[port.name].shape == (n, *port.shape[1:])
        (found,) = run.run(None, given)
        assert found.shape == (n, *contract.output.shape[1:])
        actions = policy.rows.actions(found.argmax(axis=1)) if contract.output.name == "logits" else found
        np.testing.assert_allclose(actions, policy.predict(together)[0], atol=1e-4)


@pytest.mark.parametrize(("scenario", "observation"), [("queue_conflict", "hybrid"), ("nav_mixed", "compact")])
def test_a_policy_of_a_town_or_a_robot_plays_alike(tmp_path: Path, scenario: str, observation: Any) -> None:
    world = headstart.make(scenario, 4, observation=observation)
    policy = headstart.load(
        checkpoint_of(tmp_path / "policy", world, NetworkParams(hidden=(16,), activation="relu", normalise=True))
    )
    contract = export_onnx(policy, tmp_path / "policy.onnx")
    assert {port.name for port in contract.inputs} == set(world.single_observation_space.spaces)
    run = session(tmp_path / "policy.onnx")
    obs, _ = world.reset(seed=2)
    for _ in range(20):
        (found,) = run.run(None, obs)
        actions = found.argmax(axis=1) if contract.output.name == "logits" else found
        np.testing.assert_allclose(actions, policy.predict(obs)[0], atol=1e-5)
        if contract.output.name == "logits":
            assert (found[obs["mask"] == 0] == -60).all()
        obs, *_ = world.step(policy.predict(obs)[0])


def test_masks_of_an_own_environment_are_an_input_if_they_are_asked_for(tmp_path: Path) -> None:
    observed = spaces.Box(-2, 2, (3,))
    policy = headstart.load(checkpoint(tmp_path / "policy", observed, spaces.MultiDiscrete([3, 2])))
    contract = export_onnx(policy, tmp_path / "policy.onnx", masks=True)
    assert [(port.name, port.shape, port.dtype) for port in contract.inputs] == [
        ("obs", ("N", 3), "float32"),
        ("mask", ("N", 6), "uint8"),
    ]
    _, obs = batch(observed, 64)
    mask = np.tile(np.array([0, 1, 1, 0, 0, 1], np.uint8), (64, 1))  # joint actions
    (found,) = session(tmp_path / "policy.onnx").run(None, {"obs": obs, "mask": mask})
    assert (found[mask == 0] == -60).all() and set(found.argmax(axis=1)) <= {1, 2, 5}
    np.testing.assert_array_equal(policy.rows.actions(found.argmax(axis=1)), policy.predict(obs, action_masks=mask)[0])
    numbers = headstart.load(checkpoint(tmp_path / "numbers", observed, spaces.Box(-1, 1, (1,))))
    with pytest.raises(InputError, match=r"--masks: expected a policy that chooses among actions, got Box"):
        export_onnx(numbers, tmp_path / "numbers.onnx", masks=True)


def test_the_file_of_a_policy_of_numbers_is_an_expert_of_a_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experts").mkdir()
    own = gym.make("CartPole-v1")
    policy = headstart.load(checkpoint(Path("policy"), own.observation_space, own.action_space))
    export_onnx(policy, Path("experts/mine.onnx"))
    scenario = pole({"policy": "onnx", "path": "experts/mine.onnx"})
    world = worlds_of(scenario, "capture", 8)
    act = own_act(scenario, world)
    obs, _ = world.reset(seed=0)
    for _ in range(30):
        actions = policy.predict(np.asarray(world.seen))[0]  # type: ignore[attr-defined]
        assert (act(obs) == actions).all()
        obs, *_ = world.step(actions)


def test_a_file_that_computes_something_else_is_refused_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, acting = spaces.Box(-1, 1, (3,)), spaces.Discrete(3)
    policy, other = (headstart.load(checkpoint(tmp_path / str(seed), space, acting, seed=seed)) for seed in (0, 1))
    written = tmp_path / "other.onnx"
    export_onnx(other, written)
    obs, masks = observations(policy, 500, False)
    rows, _ = policy.rows.rows(obs, masks)
    with pytest.raises(
        IntegrityError,
        match=r"expected what the policy computes within 1e-05 on 500 observations, got \d.* apart and other actions in \d",
    ):
        require_same(policy, written, written, inputs_of(policy, obs, rows, False), rows)

    monkeypatch.setattr("headstart.deploy.onnx_policy.Graph", lambda _: Graph(other))
    with pytest.raises(IntegrityError):
        export_onnx(policy, tmp_path / "mine.onnx")
    assert not list(tmp_path.glob("*mine.onnx*"))


def test_an_error_of_torch_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise IndexError("first line\nsecond line")

    policy = headstart.load(checkpoint(tmp_path / "policy", spaces.Box(-1, 1, (3,)), spaces.Discrete(3)))
    monkeypatch.setattr("headstart.deploy.onnx_policy.write_onnx", failing)
    with pytest.raises(
        InputError, match=r"mine\.onnx: expected a network that torch can write as ONNX: IndexError: first line second line$"
    ):
        export_onnx(policy, tmp_path / "mine.onnx")
    assert not list(tmp_path.glob("*mine.onnx*"))


def test_half_of_the_observations_lie_where_the_policy_has_seen_some(tmp_path: Path) -> None:
    """The normaliser knows numbers around 0.3 ± 0.2; CartPole's bounds are thousands of times wider."""
    policy = headstart.load(checkpoint(tmp_path, spaces.Box(-4.8, 4.8, (4,)), spaces.Discrete(2)))
    rows, _ = observations(policy, 1000, False)
    normaliser = policy.network.normaliser
    assert normaliser is not None
    inside = np.abs(rows - normaliser.mean.numpy()) <= 6 * normaliser.variance.sqrt().numpy()
    assert inside[1::2].mean() > 0.99 > 0.5 > inside[::2].mean()
