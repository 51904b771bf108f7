"""A fresh clone without data says in one line which remote it lacks, and what to type."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.released import Project

from headstart.core.files import write_record
from headstart.core.run_record import RunRecord, circumstances

Command = Callable[..., tuple[int, str, str]]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clone(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A clone of a project whose data was never pushed, as the working directory."""
    root = tmp_path / "clone"
    Project(trained).git("clone", "--quiet", str(trained), str(root))
    monkeypatch.chdir(root)
    return Project(root)


NAMED = "[core]\n    remote = store\n['remote \"store\"']\n    url = "


def missing(command: Command, *arguments: str) -> str:
    """The one line that is said."""
    code, out, err = command(*arguments)
    assert code == 3 and out == "" and err.count("\n") == 1, (code, out, err)
    return err


@pytest.mark.parametrize(
    "arguments",
    [
        ("export-policy", "models/walk/anneal/pretrained", "--onnx", "policy.onnx"),
        ("release", "record", "walk", "--by", "Ada"),
    ],
)
def test_a_command_that_lacks_data_says_where_it_may_be_had(arguments: tuple[str, ...], clone: Project, command: Command) -> None:
    said = missing(command, *arguments)
    assert "; or fetch it: there is no default remote; `headstart remote use` sets one that has it, then `dvc pull " in said


def test_what_is_said_depends_on_the_remote(clone: Project, command: Command) -> None:
    arguments = ("release", "record", "walk", "--by", "Ada")
    (clone.root / ".dvc/config").write_text(NAMED + "../.dvc-remote\n")
    said = missing(command, *arguments)
    assert f"remote store: the folder {clone.root / '.dvc-remote'} is not on this machine; `headstart remote use`" in said
    assert said.endswith("then `dvc pull reports/evaluate`\n")
    (clone.root / ".dvc-remote").mkdir()
    assert "or fetch it: `dvc pull reports/evaluate` brings what was pushed to the remote store, /" in missing(
        command, *arguments
    )
    (clone.root / ".dvc/config").write_text(NAMED + "s3://bucket\n")
    assert missing(command, *arguments).endswith("brings what was pushed to the remote store, s3://bucket\n")


def test_an_error_about_something_else_or_with_the_data_at_hand_is_left_as_it_is(
    clone: Project, trained: Path, command: Command
) -> None:
    assert command("check", "nowhere")[2] == "error: no scenario 'nowhere'; scenarios/ has walk\n"
    shutil.copytree(trained / "models", clone.root / "models", dirs_exist_ok=True)
    assert "fetch" not in missing(command, "export-policy", "models/walk/anneal/pretrained/seed-77", "--onnx", "policy.onnx")


def test_a_report_of_a_stage_that_failed_does_not_stand_for_its_output(clone: Project) -> None:
    from headstart.storage.missing import absent, how_to_fetch

    (clone.root / "reports/evaluate").mkdir(parents=True)
    (clone.root / "reports/evaluate/run.json").write_text("{}")
    assert "reports/evaluate" in absent(clone.root)[0]
    assert "`dvc pull --force reports/evaluate`" in how_to_fetch(
        clone.root, "reports/evaluate"
    )  # dvc asks before it replaces the record
    assert "`dvc pull models/walk/bc`" in how_to_fetch(clone.root, "models/walk/bc")
    began = datetime(2026, 1, 1, tzinfo=UTC)
    empty: dict[str, Any] = {key: {} for key in ("inputs", "parameters", "metrics", "outputs")}
    about = {
        "run_id": "a",
        "stage": "evaluate",
        "scenario": "walk",
        "arm": None,
        "diagnostics": (),
        "code_sha256": "a" * 64,
        "seeds": (),
    }
    whole = RunRecord(status="completed", circumstances=circumstances(began, None, None), **about, **empty)
    write_record(clone.root / "reports/evaluate/run.json", whole)  # all that some stages leave there
    assert "reports/evaluate" not in absent(clone.root)[0]


def test_doctor_counts_what_is_here(clone: Project, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from headstart.cli.doctor import doctor

    doctor()
    said = " ".join(capsys.readouterr().out.split())
    assert "-- data 0 of the 4 outputs in dvc.lock are here; there is no default remote; `headstart remote use` sets one" in said
    for name in ("models", "reports"):
        shutil.copytree(trained / name, clone.root / name, dirs_exist_ok=True)
    doctor()
    assert "ok data 4 of the 4 outputs in dvc.lock are here" in " ".join(capsys.readouterr().out.split())
