"""`headstart convert-sb3`: what it writes and prints, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.own_experts import pole

from headstart.core.errors import IntegrityError
from headstart.core.yaml import parse_yaml
from headstart.runs.own_models import load_sb3

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra `sb3`")
pytest.importorskip("onnxscript", reason="needs the extra `sb3`")
Command = Callable[..., tuple[int, str, str]]
PPO = ("--algorithm", "PPO", "--out", "experts/x.onnx")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the file of a model that did not learn."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("scenarios: [pole]\n")
    return saved(Path("model.zip"), 0)


def saved(path: Path, seed: int) -> Path:
    sb3.PPO("MlpPolicy", "CartPole-v1", seed=seed, device="cpu", policy_kwargs={"net_arch": [8]}).save(path)
    return path


def test_the_lines_that_it_prints_are_the_expert_of_a_scenario(model: Path, command: Command) -> None:
    code, out, err = command("convert-sb3", str(model), *PPO, "--trusted")
    assert (code, err) == (0, "")
    first, *lines = out.splitlines()
    assert first == "experts/x.onnx: written; it computes what model.zip does"
    expert = parse_yaml("\n".join(lines).encode(), Path("printed"))["expert"]
    assert pole(expert).expert.path == "experts/x.onnx"
    assert expert["training_steps"] == 0
    assert [path.name for path in Path("experts").iterdir()] == ["x.onnx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("model.zip", *PPO),
            "model.zip: loading a file of Stable-Baselines3 runs the code that is pickled in it: say --trusted",
        ),
        (("other.zip", *PPO, "--trusted"), "other.zip: expected the file of a model, found none"),
        (("params.yaml", *PPO, "--trusted"), "params.yaml: expected a model that PPO.load reads"),
        (("model.zip", "--algorithm", "PPOO", "--out", "x.onnx", "--trusted"), "algorithm: expected one of stable_baselines3"),
    ],
)
def test_a_wrong_file_or_word_is_refused_in_a_line(
    model: Path, command: Command, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = command("convert-sb3", *arguments)
    assert (code, out) == (3, "")
    assert message in err and len(err.splitlines()) == 1
    assert not Path("experts").exists() or not list(Path("experts").iterdir())


def test_a_file_that_computes_something_else_is_refused(model: Path) -> None:
    from headstart.runs import convert_sb3
    from headstart.runs.onnx_file import drawn

    convert_sb3.convert(model, "PPO", Path("first.onnx"))
    other = load_sb3(saved(Path("other.zip"), 1), "PPO", "other")
    rows = drawn(other.observation_space, convert_sb3.OBSERVATIONS, np.random.default_rng(0)).astype(np.float32)
    with pytest.raises(
        IntegrityError, match=r"expected what the model computes within 1e-05 on 256 observations, got 0\.\d+ apart"
    ):
        convert_sb3.require_same(convert_sb3.Actor(other, "other"), other, rows, Path("first.onnx"), Path("first.onnx"))
