"""torch is optional: without it everything works but what trains a network or lets one act, and that says what brings it, before any work."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import headstart
from headstart.core.errors import MissingExtra

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/headstart"
NEED_TORCH = {  # modules that train a network or let one act; nothing else may need torch to be imported
    *(f"headstart.deploy.{name}" for name in ("onnx_policy", "policy", "samples", "sb3_policy")),
    *(f"headstart.runs.{name}" for name in ("arm_seed", "arm_telemetry", "clone_seed", "convert_sb3", "drill", "drill_run")),
    *(
        f"headstart.runs.{name}"
        for name in ("expert_training", "guarded_run", "onnx_file", "policy", "seed_training", "shift", "trainer_states")
    ),
}
WORKS = [
    "./stage settings walk", "./stage source walk", "./stage expert walk", "./stage capture walk", "./stage curate walk",
    "./stage validate walk", "headstart expert walk --worlds 30", "headstart play walk --ticks 2 --ticks-per-second 1000",
    "headstart play walk 0 --ticks-per-second 1000", "headstart inspect walk", "headstart targets walk --worlds 4",
    "headstart schedule check scratch", "headstart schedule simulate scratch --trace improve", "headstart telemetry summary log.ndjson",
    "headstart catalogue list", "headstart release list", "headstart formats", "headstart schema clone-progress",
    "headstart --help",
]  # fmt: skip
NETWORK = "because the expert is a network"
REFUSED = {  # → who needs it, and why; the extra
    "headstart bc-train walk": ("stage bc_train of walk needs torch, to train networks", "train"),
    "./stage bc_train walk": ("stage bc_train of walk needs torch, to train networks", "train"),
    "headstart baseline walk scratch": ("stage baseline of walk needs torch, to train networks", "train"),
    "headstart anneal walk pretrained": ("stage anneal of walk needs torch, to train networks", "train"),
    "./stage expert learned": ("stage expert of learned needs torch, to train networks", "train"),
    "headstart capture learned": (f"stage capture of learned needs torch, {NETWORK}", "train"),
    "headstart validate learned": (f"stage validate of learned needs torch, {NETWORK}", "train"),
    "headstart play learned --ticks 2": ("the expert of learned needs torch, because it is a network", "train"),
    "headstart play walk --policy untrained": ("play --policy needs torch, because a network acts", "train"),
    "headstart drill rollback --scenario walk": ("drill rollback needs torch, to train networks", "train"),
    "headstart export-policy policy --onnx out.onnx": ("export-policy needs torch, to compute the policy", "sb3"),
    "headstart convert-sb3 model.zip --algorithm PPO --out out.onnx --trusted": ("convert-sb3 needs torch", "sb3"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenarios of a small town: `walk`, with the script as its expert, and `learned`, whose expert is a network."""
    root = tmp_path_factory.mktemp("project")
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"scenarios": ["walk", "learned"], "seeds": [40, 41]}
    params["expert"]["worlds"] = 30
    params["capture"] |= {"worlds": 6, "blocks": 2, "shard_worlds": 6}
    params["validate"] |= {"min_episodes": 4, "replay_worlds": 4}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    town = yaml.safe_load((ROOT / "scenarios/queue_conflict.yaml").read_text()) | {"min_action_share": {}}
    town["targets"]["expert_level"] |= {"success_rate": 0.5, "return_mean": 1.0}
    easy = {"success_rate": 0.5, "harm_rate": 0.5}
    (root / "scenarios").mkdir()
    for name, policy in (("walk", "scripted"), ("learned", "ppo")):
        (root / f"scenarios/{name}.yaml").write_text(yaml.safe_dump(town | {"expert": {"policy": policy, **easy}}))
    shutil.copy(ROOT / "dvc.yaml", root)
    log = next((ROOT / "samples/telemetry").rglob("*.ndjson"))
    shutil.copy(log, root / "log.ndjson")
    (root / "data/learned").mkdir(parents=True)
    (root / "data/learned/validated.json").write_text("of a run with torch")
    (root / "model.zip").write_bytes(b"")
    return root


def files_of(root: Path) -> Mapping[str, bytes]:
    """Path → content, without the locks, which a stage takes to say who works."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and ".headstart" not in path.parts}


def run(root: Path, commands: list[str]) -> dict[str, tuple[int, str, str]]:
    """All in one process without torch."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "COLUMNS": "300"}
    given = json.dumps([command.split() for command in commands])
    script = [sys.executable, str(ROOT / "tests/without_torch.py")]
    done = subprocess.run(script, input=given, capture_output=True, text=True, cwd=root, env=environment)
    assert done.returncode == 0, done.stderr
    return {command: tuple(of) for command, of in zip(commands, json.loads(done.stdout), strict=True)}


@pytest.fixture(scope="module")
def ended(project: Path) -> dict[str, Any]:
    return run(project, WORKS)


@pytest.mark.parametrize("command", WORKS)
def test_a_command_that_needs_no_network_works(command: str, ended: dict[str, Any]) -> None:
    code, out, err = ended[command]
    assert code == 0, err or out
    assert "torch" not in out + err or command == "headstart --help"


def test_what_needs_a_network_names_itself_and_the_extra_and_changes_nothing(project: Path, ended: dict[str, Any]) -> None:
    before = files_of(project)
    found = run(project, list(REFUSED))
    assert {command: of[::2] for command, of in found.items()} == {
        command: (9, f"error: {who}: `pip install 'headstart[{extra}]'`\n") for command, (who, extra) in REFUSED.items()
    }
    assert files_of(project) == before


def test_every_module_but_those_of_networks_imports() -> None:
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))]
    names = [name.removesuffix(".__init__") for name in names if not name.startswith("headstart.learn.")]
    script = (
        "import importlib, sys; from tests.without_torch import forget_torch; forget_torch()\n"
        "for name in sys.stdin.read().split():\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error: print(name, error.name)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, input=" ".join(names), capture_output=True, text=True, check=True, env=environment)
    missing = dict(line.split() for line in done.stdout.splitlines())
    assert {name for name, package in missing.items() if package == "torch"} == NEED_TORCH


def test_the_public_names_that_hold_a_network_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.core.extras.find_spec", lambda package: None)
    with pytest.raises(
        MissingExtra, match=r"headstart\.load needs torch, because a network acts: `pip install 'headstart\[train\]'`"
    ):
        headstart.load("policy")
    assert headstart.load_dataset is not None and headstart.make is not None
