"""The package as others get it: what it holds, and a project of a user's own, made and run by the wheel in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest
import yaml

import headstart

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).parents[1]
BUILT_FROM = (
    "src",
    "scenarios",
    ".dvc/plots",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "constraints.txt",
)
MOST = 2_000_000  # bytes
PPO = {"worlds": 4, "rollout_ticks": 32, "num_epochs": 1, "mini_batch_size": 32}
PHASE = {"name": "learn", "kind": "ppo", "env_steps": 256}
TRAIN = {"start": "random", "ppo": PPO, "phases": [PHASE | {"learning_rate": 0.001}]}
TINY: dict[str, dict[str, Any]] = {
    "expert": {"worlds": 16, "seeds": [101], "min_seeds": 1, "train": TRAIN},
    "capture": {"worlds": 30, "blocks": 2},
    "validate": {"min_episodes": 10, "min_success_rate": 0.0, "max_majority_share": 1.0},
    "bc_train": {"epochs": 2, "min_accuracy": 0.0, "min_macro_f1": 0.0, "success_margin": 1.0, "closed_loop_worlds": 4},
    "evaluation": {"worlds": 4, "every": 128, "exam_worlds": 6},
    "arms": {
        "scratch": {"ppo": PPO, "phases": [PHASE | {"learning_rate": 0.002}]},
        "pretrained": {"ppo": PPO, "phases": [PHASE | {"learning_rate": 0.001, "bc_weight": 0.5}]},
    },
}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source distribution of a copy of this tree, and the wheel that is built from it, without a network."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in BUILT_FROM:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree / name)
    run(tree, sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), ".")
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return {"wheel": wheel, "source": source}


@pytest.fixture(scope="session")
def environment(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel. All else is that of the tests, by its folder alone: links to editable packages there do not count."""
    folder = tmp_path_factory.mktemp("environment")
    run(folder, sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = folder / "bin/python"
    run(folder, sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(built["wheel"]))
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture(scope="session")
def project(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`headstart init`, made tiny, and run."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    here(environment, home, "headstart", "init", "demo", "--env", "CartPole-v1")
    demo = home / "demo"
    params = yaml.safe_load((demo / "params.yaml").read_text())
    (demo / "params.yaml").write_text(
        yaml.safe_dump(params | {"seeds": [0, 1], "baselines": ["scratch"], "processes": 1}, sort_keys=False)
    )
    path = demo / "scenarios/cartpole.yaml"
    scenario = yaml.safe_load(path.read_text())
    easy = {
        "success": ["every return >= 1"],
        "harm": ["any return < 1"],
        "targets": {"solved": {"success_rate": 0.5}},
        "horizon": 40,
    }
    scenario |= easy | {"expert": {"policy": "ppo", "success_rate": 0.5, "harm_rate": 0.5}, "recipe": TINY}
    path.write_text(json.dumps(scenario))
    here(environment, demo, "dvc", "repro")
    return demo


def run(folder: Path, *command: str, **environment: str) -> str:
    """stdout of a command, which must succeed; nothing of this tree is on its path."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=inherited | environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def here(environment: Path, folder: Path, *command: str) -> str:
    """The same in the environment with the wheel, with a git that knows who commits."""
    home = next(above for above in (folder, *folder.parents) if (above / "gitconfig").is_file())
    path = os.pathsep.join([str(environment / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return run(folder, *command, PATH=path, GIT_CONFIG_GLOBAL=str(home / "gitconfig"), GIT_CONFIG_NOSYSTEM="1")


# --- what it holds ------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_modules_the_templates_and_the_scenarios_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = ROOT / "src/headstart"
    data = [
        *package.glob("cli/template/*"),
        *package.glob("cli/template/plots/*"),
        *package.glob("view/pages/*"),
        *package.glob("scenarios/*.yaml"),
    ]
    expected = {path for path in [*package.rglob("*.py"), *package.glob("*.pyi"), package / "py.typed", *data] if path.is_file()}
    assert names == {path.relative_to(ROOT / "src").as_posix() for path in expected}
    assert {"headstart/cli/template/pipeline.yaml", "headstart/scenarios/queue_conflict.yaml"} <= names


def test_the_source_distribution_holds_what_the_wheel_is_built_from_and_neither_tests_nor_pictures(
    built: dict[str, Path],
) -> None:
    with tarfile.open(built["source"]) as source:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in source.getnames()}
    assert {name.split("/")[0] for name in names} == {
        ".", "src", "pyproject.toml", "setup.cfg", "PKG-INFO", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md", "constraints.txt",
    }  # fmt: skip
    assert {"src/headstart/scenarios/cartpole.yaml", "src/headstart/cli/template/plots/curves.json"} <= names


def test_both_are_small_and_an_index_would_take_them(built: dict[str, Path]) -> None:
    assert all(path.stat().st_size <= MOST for path in built.values())
    assert (
        run(ROOT, sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, built.values())).count("PASSED")
        == 2
    )


def test_its_metadata_names_version_licence_pythons_and_extras(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        found = HeaderParser().parsestr(wheel.read(name).decode())
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("headstart", headstart.__version__, "Apache-2.0")
    classifiers = found.get_all("Classifier") or []
    assert [one for one in classifiers if "Python :: 3." in one] == ["Programming Language :: Python :: 3.11"]  # that of CI
    required = found.get_all("Requires-Dist") or []
    extras = found.get_all("Provides-Extra") or []
    assert {"train", "s3", "ssh", "view", "minari", "lerobot", "onnx", "sb3", "tune"} <= set(extras)
    assert all(any(f'extra == "{extra}"' in line for line in required) for extra in extras)  # none is empty
    assert not any(line.startswith("torch") and "extra ==" not in line for line in required)  # it is optional


# --- a project of a user's own -------------------------------------------------------------------------------------------


def test_the_code_that_runs_is_that_of_the_wheel(environment: Path, project: Path) -> None:
    found = here(environment, project, "python", "-c", "import headstart; print(headstart.__file__)")
    assert Path(found.strip()).is_relative_to(environment)


def test_a_run_ends_with_a_verdict_that_dvc_shows_from_a_folder_below(environment: Path, project: Path) -> None:
    shown = json.loads(here(environment, project / "scenarios", "dvc", "exp", "show", "--json"))
    assert "verdict" in json.dumps(shown)
    assert json.loads((project / "reports/metrics/cartpole.json").read_text())["verdict"] in (
        "HOLD",
        "FAIL",
    )  # two seeds prove nothing
    assert "cartpole@" in here(environment, project / "scenarios", "headstart", "catalogue", "list")


def test_a_second_run_has_nothing_to_do_and_every_hash_is_as_recorded(environment: Path, project: Path) -> None:
    assert "up to date" in here(environment, project, "dvc", "status")
    assert "Running stage" not in here(environment, project, "dvc", "repro")
    assert "MISS" not in here(environment, project / "scenarios", "headstart", "verify")


def test_another_version_in_params_yaml_is_refused_in_one_line(environment: Path, project: Path) -> None:
    params = (project / "params.yaml").read_text()
    try:
        (project / "params.yaml").write_text(params.replace(f"headstart: {headstart.__version__}", "headstart: 99.0.0"))
        with pytest.raises(
            AssertionError, match=r"error: params\.yaml: headstart: expected the version that runs, .*, got 99\.0\.0"
        ):
            here(environment, project, "dvc", "repro")
    finally:
        (project / "params.yaml").write_text(params)


def test_a_second_init_refuses_and_changes_nothing(environment: Path, project: Path) -> None:
    before = here(environment, project, "git", "status", "--porcelain")
    with pytest.raises(AssertionError, match=r"expected a folder without dvc\.yaml, params\.yaml, scenarios/cartpole\.yaml"):
        here(environment, project, "headstart", "init")
    assert here(environment, project, "git", "status", "--porcelain") == before
