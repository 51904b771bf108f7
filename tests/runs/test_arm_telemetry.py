"""What the first record of a run says about its code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
