"""The hash of the code that stages run: it moves with a file that a stage depends on, and with no other."""

import shutil
import subprocess
from pathlib import Path

import pytest

from headstart.errors import InputError
from headstart.lineage.code import code_sha256

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "moves"),
    [
        ("learn/loss.py", True),
        ("worlds/town/rules.py", True),
        ("stages/evaluate.py", True),
        ("view/report.py", False),
        ("worlds/town/draw/picture.py", False),
        ("cli.py", False),
    ],
)
def test_it_moves_with_what_stages_depend_on_alone(tree: Path, path: str, moves: bool) -> None:
    before = code_sha256(tree)
    file = tree / "src/headstart" / path
    assert file.exists()
    file.write_text(file.read_text() + "\n# a comment\n")

    assert (code_sha256(tree) != before) is moves


def test_a_folder_without_a_pipeline_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dvc\.yaml: expected a pipeline of DVC"):
        code_sha256(tmp_path)
