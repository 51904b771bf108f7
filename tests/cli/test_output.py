"""How commands print: lines that fit a terminal, or one object; and that every command which prints results can do both."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from tests.released import Ended, Project

from headstart.cli.drill import say_drills
from headstart.cli.formats import formats
from headstart.cli.main import app
from headstart.cli.output import Output, columns, output
from headstart.runs.drill import Row

TEXT_ONLY = {
    "compile": "it prints nothing",
    "observe": "it is a page",
}


@pytest.fixture(autouse=True)
def a_narrow_terminal(a_wide_terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from leaves(one, (*path, name))
    else:
        yield path, command


def test_every_command_that_prints_results_has_json() -> None:
    commands = dict(leaves(typer.main.get_command(app)))
    lacking = [path for path, one in commands.items() if not any("--json" in option.opts for option in one.params)]

    assert len(commands) > 40
    assert [" ".join(path) for path in lacking if path[0] not in TEXT_ONLY] == []


LINES = [
    "catalogue list",
    "catalogue show walk",
    "catalogue check",
    "catalogue note walk@{version} hello",
    "catalogue tag walk@{version} first",
    "catalogue deprecate walk@{version} --undo",
    "doctor",
    "explain walk",
    "explain walk/pretrained",
    "formats",
    "formats npz",
    "gc",
    "lineage models/walk/anneal/pretrained",
    "promote walk --by Ada --reason good",
    "release list",
    "release record walk --by Ada",
    "release swap walk models/walk/anneal/pretrained/seed-14 --by Ada --reason why",
    "release rollback walk --by Ada --reason why",
    "release fetch walk",
    "remote list",
    "remote use dir ../store",
    "remote check",
    "remote push-all",
    "schedule check pretrained",
    "schedule simulate pretrained --trace cliff",
    "schema",
    "schema verdict",
    "storage",
    "verify",
]


def test_with_json_stdout_is_one_object_whatever_the_exit_code(ready: Project) -> None:
    version = ready.headstart("catalogue", "show", "walk", "--json")
    words = {"version": json.loads(version.out)["name"].partition("@")[2]}
    for line in LINES:
        ended = ready.headstart(*line.format(**words).split(), "--json")
        assert ended.code in (0, 4, 5), (line, ended)
        assert isinstance(json.loads(ended.out), dict), line
        assert len(json.loads(ended.out)) > 0
        assert "Traceback" not in ended.err


def test_a_program_reads_the_numbers_that_a_person_reads(project: Project) -> None:
    def found(*arguments: str) -> tuple[Ended, dict[str, Any]]:
        return project.headstart(*arguments), json.loads(project.headstart(*arguments, "--json").out)

    text, values = found("catalogue", "list")
    entry = values["datasets"][0]["entry"]
    assert f"{entry['episodes']:9}{entry['steps']:11}{entry['quality']['success_rate']:9.3f}" in text.out

    text, values = found("verify")
    assert [
        f"{name}: {of['checked']}" for name, of in values["checks"].items() if f"{name}: {of['checked']}" not in text.out
    ] == []
    assert (values["problems"], text.code) == (0, 0)

    (project.root / "models/walk/anneal/pretrained/seed-3/weights.safetensors").write_bytes(b"other")
    text, values = found("verify")
    assert (values["problems"] > 0, text.code) == (True, 4)
    assert f"error: {values['problems']} problem" in text.err


def test_an_error_before_anything_was_found_leaves_stdout_empty(project: Project) -> None:
    ended = project.headstart("catalogue", "show", "nothing", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")


# --- output ------------------------------------------------------------------------------------------------------------------


def test_text_is_broken_at_the_width_of_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output(False) as out:
        out.say("one two three four five six seven eight nine ten", "ok   ")

    assert capsys.readouterr().out == "ok   one two three four five six seven\n     eight nine ten\n"


def test_a_command_that_is_to_be_copied_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with output(False) as out:
        out.say("it is not here; `dvc pull --force models/walk` brings it back")

    assert capsys.readouterr().out == "it is not here;\n`dvc pull --force models/walk` brings it\nback\n"


def test_characters_that_would_steer_the_terminal_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with output(False) as out:
        out.say("a\x1b[2J\u202eb")
        out.verbatim("c\x07")

    assert capsys.readouterr().out == "a\\x1b[2J\\u202eb\nc\\x07\n"


def test_the_last_column_of_a_table_is_broken_and_numbers_stand_at_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    with output(False) as out:
        out.table([("name", "n", "says"), ("a", "1,000", "seven words that do not fit on it")], right=(1,))

    assert capsys.readouterr().out == "name      n  says\na     1,000  seven words that do not fit\n             on it\n"


def test_with_json_nothing_is_said_and_the_object_comes_at_the_end_also_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="late"), output(True) as out:
        out.say("hello")
        out.verbatim("hello")
        out.table([("a", "b")])
        out.found(path=Path("a/b"), count=np.int64(3), mean=float("nan"), rates=np.array([0.5, 1.0]))
        raise ValueError("late")

    assert json.loads(capsys.readouterr().out) == {"path": "a/b", "count": 3, "mean": None, "rates": [0.5, 1.0]}


@pytest.mark.parametrize(("asked", "used"), [("80", 80), ("120", 120), ("200", 200), ("10", 40), ("", 80)])
def test_lines_are_as_wide_as_the_terminal_within_reason(monkeypatch: pytest.MonkeyPatch, asked: str, used: int) -> None:
    monkeypatch.setenv("COLUMNS", asked)
    monkeypatch.setattr("sys.__stdout__", None)  # no terminal
    assert columns() == used


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(project: Project, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for line in (
        "--help",
        "gc",
        "storage",
        "verify",
        "catalogue list",
        "catalogue show walk",
        "explain walk",
        "doctor",
        "release list",
    ):
        out = project.headstart(*line.split()).out
        wide = [row for row in out.splitlines() if len(row) > width and not any(len(word) > width / 2 for word in row.split())]
        assert wide == [], line


FORMATS = {
    80: """\
npz      numpy arrays, a layout that a few lines write (`headstart formats npz`)
minari   a dataset of Minari, a folder or the id of a local one; pip install
         'headstart[minari]'
lerobot  a LeRobot dataset of version 3 with state vectors, a folder; pip
         install 'headstart[lerobot]'
hdf5     episodes files of headstart itself, a file or a folder
""",
    120: """\
npz      numpy arrays, a layout that a few lines write (`headstart formats npz`)
minari   a dataset of Minari, a folder or the id of a local one; pip install 'headstart[minari]'
lerobot  a LeRobot dataset of version 3 with state vectors, a folder; pip install 'headstart[lerobot]'
hdf5     episodes files of headstart itself, a file or a folder
""",
}
DRILLS = """\
      guardrail        expected  decided          checks  hash  goes on  without
ok    policy_kl_burst  rollback  rollback         2       yes   yes      yes
MISS  nonfinite        rollback  continue         never   yes   NO       yes
MISS  grad_norm        freeze    freeze, wrongly  3       yes   yes      yes
faults, in the same order:
  policy_kl_burst: a KL divergence of 0.5
  nonfinite: a loss that is not a number
  grad_norm: a gradient of 1e6
"""
LEGEND = {
    80: """\
checks: bad readings until it decided; hash: every state that was gone back to
is the kept one; goes on: the run came to its end; without: with the guardrail
off the fault passes
""",
    120: """\
checks: bad readings until it decided; hash: every state that was gone back to is the kept one; goes on: the run came to
its end; without: with the guardrail off the fault passes
""",
}


@pytest.mark.parametrize("width", [80, 120])
def test_what_a_person_sees_at_both_widths(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    formats()
    assert capsys.readouterr().out == FORMATS[width]

    say_drills(
        Output(False),
        [
            Row("policy_kl_burst", "a KL divergence of 0.5", "rollback", "rollback", 2, True, True, True),
            Row("nonfinite", "a loss that is not a number", "rollback", "continue", None, True, False, True),
            Row("grad_norm", "a gradient of 1e6", "freeze", "freeze", 3, True, True, True, right=False),
        ],
    )
    assert capsys.readouterr().out == DRILLS + LEGEND[width]
