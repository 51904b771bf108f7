"""`headstart doctor`: what is missing is named with its cure, and only what every project needs makes it fail."""

import importlib.metadata as metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.forked import command, require

import headstart

BIN = Path(sys.executable).parent
HEALTHY = {"PATH": f"{BIN}:/usr/bin:/bin", "GIT_COMMITTER_NAME": "A. Person", "GIT_COMMITTER_EMAIL": "a@example.org"}


def doctor(folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and all that is printed, words separated by single spaces."""
    variables = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONPATH": str(Path(headstart.__file__).parents[1]),  # the package that is tested
        **HEALTHY,
        **environment,
    }
    done = command(folder, "headstart", "doctor", environment=variables)
    return done.code, " ".join((done.out + done.err).split())


def test_a_healthy_machine_passes_outside_a_project_too(tmp_path: Path) -> None:
    code, said = doctor(tmp_path)
    assert code == 0, said
    assert "ok identity A. Person <a@example.org>" in said
    assert "-- project none here or in a folder above; `headstart init` makes one" in said
    assert f"ok cache {tmp_path / 'cache'} can be written" in said
    assert f"torch {metadata.version('torch')}" in said


def test_what_every_project_needs_is_missed_with_its_cure(tmp_path: Path) -> None:
    nobody = {"GIT_COMMITTER_NAME": "", "GIT_COMMITTER_EMAIL": ""}
    code, said = doctor(tmp_path, PATH="/usr/bin:/bin", XDG_CACHE_HOME="/proc/cache", **nobody)
    assert code == 3
    assert f"MISSING dvc not on the PATH; `source {BIN / 'activate'}`" in said
    assert f"of another environment than {BIN}" in said or "MISSING python not on the PATH" in said
    assert "MISSING identity git does not know who commits; `git config --global user.name …`" in said
    assert "MISSING cache /proc/cache: No such file or directory" in said
    assert said.endswith("of these must be mended first")


def test_a_project_without_dvc_and_without_a_commit_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("scenarios: []\n")
    code, said = doctor(tmp_path)
    assert code == 3
    assert "MISSING project params.yaml:" in said
    assert "MISSING dvc project no folder .dvc; `dvc init`" in said
    assert "MISSING commit no git repository, and `dvc exp` needs one" in said


def commit_line(folder: Path, **environment: str) -> str:
    """What is said of the commit."""
    return doctor(folder, **environment)[1].partition("MISSING commit ")[2].partition(" ok folder")[0]


def test_what_keeps_git_from_naming_a_commit_is_said_with_its_own_cure(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("scenarios: []\n")
    no_repository = commit_line(tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert no_repository == "no git repository, and `dvc exp` needs one; `git init`, then `git add --all && git commit`"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert commit_line(tmp_path) == "none, and `dvc exp` needs one; `git add --all && git commit -m 'begin'`"
    theirs = commit_line(tmp_path, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")  # git's own way to pretend it
    assert "belongs to another user" in theirs
    assert f"`git config --global --add safe.directory {tmp_path}`" in theirs and "git add" not in theirs


@pytest.mark.parametrize(
    ("script", "said"), [("exit 0", "nothing"), ("echo broken >&2; exit 3", "broken"), ("", "[Errno 8] Exec format error: ")]
)
def test_a_git_that_does_not_answer_is_missed(script: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f"#!/bin/sh\n{script}\n" if script else "no program")
    (tmp_path / "bin/git").chmod(0o755)
    code, found = doctor(tmp_path, PATH=f"{tmp_path / 'bin'}:{HEALTHY['PATH']}")
    assert code == 3
    assert f"MISSING git {tmp_path / 'bin/git'} answers `git --version` with {said}" in found
    assert found.endswith("1 of these must be mended first")


def test_a_user_without_a_home_is_told_to_name_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from headstart.cli.doctor import doctor as run
    from headstart.core.errors import InputError

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="of these must be mended first"):
        run()
    said = " ".join(capsys.readouterr().out.split())
    assert "MISSING cache Could not determine home directory.; `export HOME=…` or `export XDG_CACHE_HOME=…`" in said


def test_an_extra_that_is_not_installed_is_no_fault(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from headstart.cli.doctor import doctor as run

    there = metadata.version

    def version(name: str) -> str:
        if name in ("optuna", "mujoco"):
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "matplotlib" else there(name)

    monkeypatch.setattr("headstart.core.provenance.version", version)
    run()
    said = " ".join(capsys.readouterr().out.split())
    assert "-- tune for headstart tune; optuna>=5: not installed; `pip install 'headstart[tune]'`" in said
    assert "matplotlib>=3.10: 0.1 is here" in said
    assert re.search(r"-- mujoco .*gymnasium\[mujoco\]\S*: mujoco\S* not installed; `pip install 'headstart\[mujoco\]'`", said)


def test_a_package_of_another_version_is_missed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from headstart.cli.doctor import doctor as run
    from headstart.core.errors import InputError

    there = metadata.version
    monkeypatch.setattr("headstart.core.provenance.version", lambda name: "0.1" if name == "numpy" else there(name))
    with pytest.raises(InputError, match="1 of these"):
        run()
    assert "MISSING package     numpy>=2.1: 0.1 is here; `pip install 'numpy>=2.1'`" in capsys.readouterr().out


def test_what_a_killed_dvc_left_half_written_is_named_with_its_cure(tmp_path: Path) -> None:
    pipeline = "stages:\n  a:\n    cmd: echo 1 > a\n    outs: [a]\n"
    (tmp_path / "dvc.yaml").write_text(pipeline)
    (tmp_path / "params.yaml").write_text("scenarios: []\n")
    for arguments in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        require(tmp_path, "dvc", *arguments)
    _, said = doctor(tmp_path)
    assert "rwlock" not in said and "MISSING dvc.lock" not in said

    lock, locks = tmp_path / "dvc.lock", tmp_path / ".dvc/tmp/rwlock"
    lock.write_bytes(lock.read_bytes()[:60])
    locks.write_bytes(b"")
    code, said = doctor(tmp_path)
    assert code == 3
    assert (
        "MISSING rwlock .dvc/tmp/rwlock was left half written by a DVC that was killed; where no DVC runs: `rm .dvc/tmp/rwlock`"
        in said
    )
    assert "MISSING dvc.lock DVC cannot read the pipeline: " in said
    assert "`git checkout dvc.lock`, then `dvc repro`, which takes from its cache what was made since" in said
