"""git hands out the bytes that were committed, so that a clone whose git converts line ends re-runs no stage."""

import shutil
import subprocess
from pathlib import Path

import pytest

from headstart.cli.init import TEMPLATE
from headstart.core.dvc_lock import content_md5, read_lock

ROOT = Path(__file__).parents[1]
CONVERTING = ("-c", "core.autocrlf=true")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def committed(root: Path) -> Path:
    """A repository of all that lies in a folder."""
    git(root, "init", "--quiet")
    git(root, "add", "--force", "--all")
    git(root, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "All")
    return root


def changed_in_clone(source: Path, target: Path) -> list[str]:
    """Tracked files of which a git that converts line ends hands out other bytes than were committed."""
    git(source, *CONVERTING, "clone", "--quiet", str(source), str(target))
    names = [name for name in git(source, "ls-files", "-z").split("\0") if (source / name).is_file()]
    return [name for name in names if (source / name).read_bytes() != (target / name).read_bytes()]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the files that this one tracks, as they are now."""
    root = tmp_path_factory.mktemp("tracked")
    for name in filter(None, git(ROOT, "ls-files", "-z").split("\0")):
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name, follow_symlinks=False)
    return committed(root)


def test_a_clone_with_converted_line_ends_has_the_hashes_that_dvc_recorded(tracked: Path, tmp_path: Path) -> None:
    assert changed_in_clone(tracked, tmp_path / "clone") == []
    deps = {dep for stage in read_lock(tracked) for dep in stage.deps if (tracked / dep).exists()}
    assert len(deps) > 50
    assert [dep for dep in sorted(deps) if content_md5(tracked / dep) != content_md5(tmp_path / "clone" / dep)] == []


def test_without_the_attributes_that_clone_would_run_every_stage_again(tracked: Path, tmp_path: Path) -> None:
    shutil.copytree(tracked, tmp_path / "bare", symlinks=True)
    (tmp_path / "bare/.gitattributes").unlink()
    shutil.rmtree(tmp_path / "bare/.git")
    changed = changed_in_clone(committed(tmp_path / "bare"), tmp_path / "clone")
    assert {"params.yaml", "dvc.lock", "src/headstart/stages/capture.py"} <= set(changed)


def test_a_project_of_init_keeps_the_bytes_that_its_stages_hash(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    names = [
        "params.yaml",
        "dvc.yaml",
        "dvc.lock",
        "scenarios/a.yaml",
        "experts/a.py",
        "flags/a.json",
        "environments/b/c.py",
        "demonstrations/d.csv",
    ]
    names += ["data/catalogue.json", "governance/history.ndjson", "reports/metrics/a.json", "notes.txt"]
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"one\r\ntwo\r\n" if number % 3 == 0 else b"one\ntwo\n")
    (root / ".gitattributes").write_bytes(b"* text=auto\n" + (TEMPLATE / "gitattributes").read_bytes())
    assert changed_in_clone(committed(root), tmp_path / "clone") in ([], ["notes.txt"], [".gitattributes", "notes.txt"])
    assert (tmp_path / "clone/notes.txt").read_bytes() == b"one\r\ntwo\r\n"  # a file of the user's own, as git is set
