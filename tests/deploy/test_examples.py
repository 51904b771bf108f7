"""The scripts in docs/examples run from an empty folder, and docs/api.md tells of every public name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
from tests.deploy.made import checkpoint

import headstart

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"


def run(folder: Path, name: str, *arguments: str) -> str:
    """What a script prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_run_here() -> None:
    here = Path(__file__).read_text()
    assert {file.name for file in EXAMPLES.glob("*.py")} == set(re.findall(r'run\(tmp_path, "(\w+\.py)"', here))


def test_a_policy_plays_in_a_loop_of_gymnasium(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    checkpoint(tmp_path / "policy", env.observation_space, env.action_space)
    assert re.fullmatch(r"mine, seed 0: return \d+\n", run(tmp_path, "gymnasium_loop.py", "policy"))


def test_a_town_is_played_by_pettingzoo(tmp_path: Path) -> None:
    pytest.importorskip("pettingzoo", reason="needs the extra `pettingzoo`")
    said = run(tmp_path, "town_pettingzoo.py")
    returns = [float(line.split()[-1]) for line in said.splitlines()]
    assert len(returns) == 4 and sum(returns) / 4 > 1.0  # an untrained policy stays below 0


def test_robots_drive_by_gymnasium(tmp_path: Path) -> None:
    first, second = run(tmp_path, "nav_gym.py").splitlines()
    assert re.fullmatch(r"one robot: return -?\d+\.\d\d, success (True|False), harm (True|False)", first)
    assert second.startswith("64 robots that stand still for 100 steps: reward -")


def test_a_policy_answers_in_onnxruntime_and_a_changed_file_does_not(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra `sb3`: onnxscript writes the file")
    from headstart.deploy.onnx_policy import export_onnx

    policy = headstart.load(ROOT / "policies/queue_conflict/pretrained")
    export_onnx(policy, tmp_path / "policy.onnx")
    said = run(tmp_path, "onnx_policy.py", "policy.onnx")
    best = policy.predict({"features": [0.0] * 180, "mask": [1] * 15})[0]
    assert said == f"queue_conflict answers zeros with {[policy.card.observation.actions[best]] * 2}\n"
    with (tmp_path / "policy.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(AssertionError, match="not the file that the contract beside it describes"):
        run(tmp_path, "onnx_policy.py", "policy.onnx")


def test_the_page_tells_of_every_public_name_and_its_lines_are_python() -> None:
    page = (ROOT / "docs/api.md").read_text()
    for name in headstart.__all__:
        assert f"headstart.{name}" in page, name
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        compile(block, "docs/api.md", "exec")
        for name in re.findall(r"headstart\.(\w+)", block):
            assert name in headstart.__all__ or name == "envs", name
