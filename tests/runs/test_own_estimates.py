"""An ONNX file that tells log-probabilities and values beside its actions: both are recorded where the scenario names the outputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.own_experts import BALANCE, pole, settings

from headstart.core.errors import InputError
from headstart.runs.own_expert import own_act
from headstart.runs.recording import recorded
from headstart.runs.worlds import worlds_of

onnx = pytest.importorskip("onnx", reason="needs the extra `test`: files are made with onnx")
pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")

FILE = Path("experts/both.onnx")
WORTH = np.array([[0.5], [-1.0], [2.0], [0.25]], np.float32)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """obs [rows, 4] → logits [rows, 2], worth [rows, 1]."""
    monkeypatch.chdir(tmp_path)
    FILE.parent.mkdir()
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    outputs = {"logits": BALANCE.astype(np.float32), "worth": WORTH}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", f"{name} weights"], [name]) for name in outputs],
        "policy",
        [helper.make_tensor_value_info("obs", number, ["rows", 4])],
        [helper.make_tensor_value_info(name, number, ["rows", weights.shape[1]]) for name, weights in outputs.items()],
        [onnx.numpy_helper.from_array(weights, f"{name} weights") for name, weights in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    FILE.write_bytes(model.SerializeToString())


def record(slip: float, **keys: Any) -> Any:
    scenario = pole({"policy": "onnx", "path": str(FILE), "output": "logits"} | keys)
    world = worlds_of(scenario, "capture", 3)
    capture = settings(scenario).capture.model_copy(update={"slip": slip})
    return recorded(world, own_act(scenario, world), capture, scenario, "e" * 64)


def test_both_are_those_of_the_file() -> None:
    episodes, header = record(0.25, log_prob="logits", value="worth")

    logits = episodes.observation["features"].astype(np.float64) @ BALANCE
    policy = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    chosen = np.take_along_axis(policy, episodes.action[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(episodes.expert_log_prob, np.log(0.75 * chosen + 0.25 / 2), atol=1e-5)
    np.testing.assert_allclose(episodes.expert_value, (episodes.observation["features"] @ WORTH)[:, 0], atol=1e-5)
    np.testing.assert_allclose(episodes.final_value, (episodes.final_observation["features"] @ WORTH)[:, 0], atol=1e-5)
    assert header.slip == 0.25
    assert (episodes.action != episodes.expert_action).any()


def test_what_is_not_named_is_not_recorded() -> None:
    episodes, header = record(0.25)
    assert (episodes.expert_log_prob, episodes.expert_value, episodes.final_value, header.slip) == (None, None, None, None)
    episodes, header = record(0.25, value="worth")
    assert (episodes.expert_log_prob, header.slip) == (None, None)
    assert episodes.expert_value is not None


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"value": "wroth"}, r"value: expected one of logits, worth, got 'wroth' \(did you mean 'worth'\?\)"),
        ({"value": "logits"}, r"output logits: expected a finite number a row, \[N\] or \[N, 1\], got \['N', 2\]"),
        ({"log_prob": "worth"}, r"output worth: expected the logits of 2 actions, \[N, 2\], got \['N', 1\]"),
    ],
)
def test_outputs_that_do_not_fit_are_told_before_anything_is_played(keys: dict[str, str], text: str) -> None:
    with pytest.raises(InputError, match=text):
        record(0.0, **keys)
