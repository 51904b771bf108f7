"""A shell completes the names of a project, by the protocol that shells use, and without what takes long to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.cli.names import arm_names, dataset_names, run_names, scenario_names

SLOW = {"torch", "numba", "scipy", "matplotlib", "dvc", "h5py", "rich.console"}
SCRIPT = f"""
import atexit, sys
atexit.register(lambda: print(sorted({SLOW!r} & set(sys.modules)), file=sys.stderr))
from headstart.cli.main import main
main()
"""


def completed(root: Path, typed: str) -> list[str]:
    """What a shell in a folder of the project offers for the last word."""
    words = typed.split(" ")
    asked = {"_HEADSTART_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    folder = root / "scenarios"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("headstart explain w", ["walk", "walk/pretrained", "walk/scratch"]),
        ("headstart capture w", ["walk"]),
        ("headstart capture x", []),
        ("headstart anneal walk pre", ["pretrained"]),
        ("headstart tune walk s", ["scratch"]),
        ("headstart schedule check ma", ["matched"]),
        ("headstart release record w", ["walk"]),
        ("headstart drill rollback --scenario w", ["walk"]),
        ("headstart stor", ["storage"]),
    ],
)
def test_names_are_completed(trained: Path, typed: str, offered: list[str]) -> None:
    found = [name for name in completed(trained, typed) if "seed-" not in name]
    assert found == offered


def test_datasets_and_seeds_are_completed(trained: Path) -> None:
    (dataset,) = completed(trained, "headstart catalogue show w")
    assert dataset.startswith("walk@")
    assert completed(trained, "headstart export walk@") == [dataset]
    # only seeds with a checkpoint, which lie beside the runs
    seeds = {path.name for path in (trained / "models/walk/anneal/pretrained").glob("seed-*")}
    assert set(completed(trained, "headstart explain walk/pretrained/")) == {f"walk/pretrained/{seed}" for seed in seeds}


def test_where_nothing_can_be_read_nothing_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("arms: [\n")
    Path("data/catalogue").mkdir(parents=True)
    Path("data/catalogue/walk.json").write_text("[]")

    assert [names("") for names in (scenario_names, arm_names, dataset_names, run_names)] == [[], [], [], []]
