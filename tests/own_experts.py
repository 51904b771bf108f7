"""A small project on CartPole whose expert is the user's own, and its stages up to `validate`."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from headstart.config.checked import merged
from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import Scenario
from headstart.stages.capture import capture
from headstart.stages.curate import curate
from headstart.stages.expert import expert
from headstart.stages.validate import validate

ROOT = Path(__file__).parents[1]
FILE = Path("experts/balance.onnx")
BALANCE = np.array([[0, 0], [0, 0], [-1, 1], [-0.5, 0.5]], np.float32)  # logits: falls to the right → push right
POLE: dict[str, Any] = {
    "name": "pole",
    "world": "gym",
    "horizon": 60,
    "setup": {"id": "CartPole-v1"},
    "success": ["every return >= 40"],
    "harm": ["any return < 10"],
    "targets": {"held": {"success_rate": 0.9}},
    "constant_reward": True,
    "feature_range": [-10.0, 10.0],
    "recipe": {
        "seeds": [10, 11],
        "expert": {"worlds": 64},
        "capture": {"worlds": 24, "blocks": 2, "shard_worlds": 16, "slip": 0.02},
        "curate": {"require_success": False, "reject_harm": False},
        "validate": {"min_episodes": 10, "replay_worlds": 24, "min_success_rate": 0.1},
        "network": {"hidden": [8]},
        "evaluation": {"worlds": 8, "every": 32, "exam_worlds": 8, "variant_worlds": 0},
    },
}


def pole(expert: dict[str, Any], **changes: Any) -> Scenario:
    """The scenario with this expert; its gate is low."""
    gate = {"success_rate": 0.2, "harm_rate": 0.9}
    return Scenario.model_validate(merged(POLE, {"expert": gate | expert} | changes))


def settings(scenario: Scenario) -> Params:
    return for_scenario(load_params(ROOT / "params.yaml"), scenario)


def run_to_validate(scenario: Scenario) -> list[str]:
    """What the stages expert, capture, curate and validate say, run in the working directory."""
    params = settings(scenario)
    return [stage(params, scenario).says for stage in (expert, capture, curate, validate)]


class TwoParts(gym.ActionWrapper):  # type: ignore[type-arg]
    """Pushes of two parts, of which the second counts."""

    def __init__(self, env: Any, first: int = 3) -> None:
        super().__init__(env)
        self.action_space = gym.spaces.MultiDiscrete([first, 2])

    def action(self, action: Any) -> int:
        return int(action[1])


def squared(env: Any) -> Any:
    """CartPole's four numbers as [2, 2]."""
    return gym.wrappers.ReshapeObservation(env, (2, 2))


class Masked(gym.Wrapper):  # type: ignore[type-arg]
    """CartPole in which only the push to the left is allowed."""

    def action_masks(self) -> Any:
        return np.array([True, False])


def linear(weights: np.ndarray, path: Path = FILE, rows: int | str = "rows", shape: tuple[int, ...] | None = None) -> Path:
    """An ONNX file with obs [rows, F] → flatten → obs @ weights [rows, K]."""
    import onnx

    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["obs"], ["flat"]), helper.make_node("MatMul", ["flat", "weights"], ["out"])],
        "policy",
        [helper.make_tensor_value_info("obs", number, [rows, *(shape or (len(weights),))])],
        [helper.make_tensor_value_info("out", number, [rows, weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path
