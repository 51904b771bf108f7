"""What a user brings: DVC sees a change of it, judges again the experts that it concerns, and leaves all others alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.dvc_status import changed_stages
from tests.own_experts import POLE

from headstart.core.yaml import parse_yaml

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).parents[2]
OWN = """
import gymnasium as gym
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from environments.rules import FORCE

class Pole(CartPoleEnv):
    def __init__(self):
        super().__init__()
        self.force_mag = FORCE

gym.register("Pole-v0", Pole)
"""
ACT = "def act(obs, info):\n    return int(obs[2] + 0.5 * obs[3] > 0)\n"


def run(folder: Path, *command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PATH": path, "PYTHONPATH": str(folder / "src")}
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenarios with experts of their own and one with a script, judged by DVC: the stages up to `expert`."""
    root = tmp_path_factory.mktemp("own")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("stage", ".dvcignore", "params.yaml"):
        shutil.copy2(ROOT / name, root / name)
    params = yaml.safe_load((root / "params.yaml").read_text()) | {"scenarios": ["one", "two", "nav_gap_seeker"]}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    pipeline = parse_yaml((ROOT / "dvc.yaml").read_bytes(), Path("dvc.yaml"))
    stages = {name: pipeline["stages"][name] for name in ("settings", "source", "expert")}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for folder in ("scenarios", "experts", "demonstrations", "environments"):
        (root / folder).mkdir()
    (root / "constraints.txt").write_text("gymnasium==1.0\n")
    (root / "environments/own.py").write_text(OWN)
    (root / "environments/rules.py").write_text("FORCE = 10.0\n")
    shutil.copy2(ROOT / "scenarios/nav_gap_seeker.yaml", root / "scenarios")
    (root / "demonstrations/README.md").write_text("Recordings.\n")
    for name in ("one", "two"):
        expert = {"policy": "callable", "call": f"experts.{name}:act", "success_rate": 0.2, "harm_rate": 0.9}
        content = {key: value for key, value in POLE.items() if key != "name"} | {"expert": expert}
        content |= {"setup": {"id": "environments.own:Pole-v0"}} if name == "two" else {}
        (root / f"scenarios/{name}.yaml").write_text(yaml.safe_dump(content))
        (root / f"experts/{name}.py").write_text(ACT)
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    run(root, "dvc", "repro")
    return root


def test_an_edit_of_an_expert_is_seen_and_judges_that_expert_alone(project: Path) -> None:
    assert changed_stages(project) == set()
    before = (project / "models/one/expert/expert.json").read_bytes()
    (project / "experts/one.py").write_text(ACT + "# edited\n")

    assert changed_stages(project) == {f"source@{name}" for name in ("one", "two", "nav_gap_seeker")}
    said = run(project, "dvc", "repro")

    assert "Running stage 'expert@one'" in said and "approved" in said
    assert "Stage 'expert@two' didn't change, skipping" in said
    assert "Stage 'expert@nav_gap_seeker' didn't change, skipping" in said
    assert (project / "models/one/expert/expert.json").read_bytes() != before
    assert changed_stages(project) == set()


def test_an_edit_of_an_environment_is_seen_and_judges_in_that_environment_alone(project: Path) -> None:
    (project / "environments/rules.py").write_text("FORCE = 9.5\n")
    assert changed_stages(project) == {f"source@{name}" for name in ("one", "two", "nav_gap_seeker")}

    said = run(project, "dvc", "repro")

    assert "Running stage 'expert@two'" in said
    assert "Stage 'expert@one' didn't change, skipping" in said
    assert "Stage 'expert@nav_gap_seeker' didn't change, skipping" in said
    (project / "constraints.txt").write_text("gymnasium==1.1\n")  # asked for, not installed
    said = run(project, "dvc", "repro")
    assert all(f"Stage 'expert@{name}' didn't change, skipping" in said for name in ("one", "two"))


def test_a_scenario_that_brings_nothing_loads_neither_torch_nor_a_simulator(project: Path) -> None:
    source = project / "data/nav_gap_seeker/source"
    assert sorted(path.name for path in source.iterdir()) == ["contents.json", "environment.json", "source.json"]
    assert json.loads((source / "environment.json").read_bytes())["sha256"] is None
    assert json.loads((source / "source.json").read_bytes())["sha256"] is None
    code = (
        "import sys; from headstart.config.stage import run; from headstart.stages.source import source\n"
        "print(run(source, 'nav_gap_seeker').says); print(sorted({'torch', 'numba', 'gymnasium', 'h5py'} & sys.modules.keys()))"
    )
    says, loaded = run(project, sys.executable, "-c", code).splitlines()
    assert says == "source nav_gap_seeker: none, its expert is scripted"
    assert loaded == "[]"
