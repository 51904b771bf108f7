"""How the program ends: every exit code by what leads to it, one line for an error, and no traceback unless it is asked for."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.interrupted import heeds_ctrl_c
from tests.released import Project

from headstart.cli import main as program
from headstart.cli.ending import EXIT_CODES, exit_codes_text
from headstart.core import errors
from headstart.core.errors import GateFailed, HeadstartError, IntegrityError

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[BaseException], None]:
    """A project in which `headstart formats` ends with an error."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)

    def fail(error: BaseException) -> None:
        def instead(*given: Any, **named: Any) -> None:
            raise error

        monkeypatch.setattr(program, "app", instead)

    return fail


def kinds(of: type[HeadstartError] = HeadstartError) -> list[type[HeadstartError]]:
    return [of, *(one for kind in of.__subclasses__() if kind.__module__ == errors.__name__ for one in kinds(kind))]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_ends_in_one_line_and_its_code_which_the_help_names(
    failing: Callable[[BaseException], None], command: Command, kind: type[HeadstartError]
) -> None:
    failing(kind("expected this, got that"))

    assert command("formats") == (kind.exit_code, "", "error: expected this, got that\n")
    assert kind.exit_code in EXIT_CODES


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ModuleNotFoundError("no", name="torch"), 9, "error: this command needs torch: `pip install 'headstart[train]'`\n"),
        (ModuleNotFoundError("no", name="PIL"), 9, "error: this command needs PIL: `pip install 'headstart[view]'`\n"),
        (OSError(28, "No space left on device", "a/b"), 3, "error: a/b: expected room on the disk, which is full (No space left"),
        (OSError(13, "Permission denied", "a/b"), 3, "error: a/b: expected to read or write here, got Permission denied\n"),
        (MemoryError("Unable to allocate 8 GiB"), 3, "error: expected what fits into memory: Unable to allocate 8 GiB"),
        (
            KeyboardInterrupt(),
            130,
            "interrupted; complete files and checkpoints are kept, and this goes on: `headstart formats`\n",
        ),
        (SystemExit(130), 130, "interrupted; complete files and checkpoints are kept, and this goes on: `headstart formats`\n"),
        (SystemExit(5), 5, ""),
        (KeyError("x"), 1, "error: a bug in headstart: KeyError: 'x' ("),
        (ModuleNotFoundError("no module", name="other"), 1, "error: a bug in headstart: ModuleNotFoundError: no module ("),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_ends_have_a_code_and_a_line_too(
    failing: Callable[[BaseException], None], command: Command, error: BaseException, code: int, says: str
) -> None:
    failing(error)
    found, out, err = command("formats")

    assert (found, out) == (code, "")
    assert err.startswith(says) and "Traceback" not in err and err.count("\n") <= 1


def test_in_a_terminal_an_error_is_broken_between_words_and_a_command_in_it_is_not(
    failing: Callable[[BaseException], None], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    failing(GateFailed("expected a folder that is here; `dvc pull --force models` brings it"))

    assert command("formats")[2] == "error: expected a folder that is here;\n  `dvc pull --force models` brings it\n"


def test_the_traceback_is_shown_where_it_is_asked_for(
    failing: Callable[[BaseException], None], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_DEBUG", "1")
    failing(GateFailed("missed"))
    code, _, err = command("formats")

    assert code == 6
    assert err.startswith("Traceback") and err.endswith("error: missed\n")


@pytest.mark.parametrize(("option", "variable"), [("--debug", "HEADSTART_DEBUG"), ("--quiet", "HEADSTART_QUIET")])
def test_an_option_holds_for_the_processes_that_a_command_begins_as_well(
    command: Command, monkeypatch: pytest.MonkeyPatch, option: str, variable: str
) -> None:
    seen: list[str | None] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("headstart.cli.schema.models", lambda: seen.append(os.environ.get(variable)) or {})

    assert command(option, "schema")[0] == 0
    assert variable not in os.environ
    monkeypatch.setenv(variable, "mine")
    assert command("schema")[0] == 0
    assert seen == ["1", "mine"]


def test_an_input_that_ends_at_a_question_is_no_bug(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> None:
        raise EOFError

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("headstart.cli.schema.models", ask)
    assert command("schema")[0] == 130


WAITING = """
import sys, time
from headstart.cli import main, schema
schema.models = lambda: (print("begun", flush=True), time.sleep(60))
sys.argv = ["headstart", "schema"]
main.main()
"""


def test_ctrl_c_is_told_once_and_ends_with_130(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_ctrl_c,
    )
    assert running.stdout is not None and running.stdout.readline() == "begun\n"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)

    assert running.returncode == 130
    assert err.strip() == "interrupted; complete files and checkpoints are kept, and this goes on: `headstart schema`"


def unread() -> int:
    """A pipe whose reader has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


FULL = (
    "error: output: expected room on the disk, which is full (No space left on device); make room, and type the command again\n"
)


@pytest.mark.parametrize(
    ("to", "code", "says"), [(unread, 141, ""), (lambda: os.open("/dev/full", os.O_WRONLY), 3, FULL)], ids=["unread", "full"]
)
def test_a_reader_that_ends_early_gets_no_error_and_a_full_disk_one(to: Callable[[], int], code: int, says: str) -> None:
    script, out = "from headstart.cli.main import main; main()", to()
    done = subprocess.run(
        [sys.executable, "-c", script, "schema", "episodes"], cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True
    )
    os.close(out)
    assert (done.returncode, done.stderr) == (code, says)


# --- the help -------------------------------------------------------------------------------------------------------------


def test_the_help_has_all_exit_codes_in_a_table_of_eighty_columns(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(ROOT)
    code, out, _ = command("--help")

    assert code == 0 and max(map(len, out.splitlines())) <= 80
    for row in exit_codes_text().splitlines()[2:]:
        assert f" {row}" in out
    for number, text in EXIT_CODES.items():
        assert f"{number}  {text}" in out


def test_a_wrong_command_is_answered_with_the_nearest(command: Command) -> None:
    code, _, err = command("storag")
    assert code == 2
    assert "No such command 'storag'. Did you mean 'storage'?" in err


def test_help_loads_nothing_that_takes_long() -> None:
    slow = {"torch", "numba", "numpy", "scipy", "pydantic", "matplotlib", "dvc", "h5py", "multiprocessing.context", "ruamel.yaml"}
    script = f"import sys, headstart.cli.main; print(sorted({slow!r} & set(sys.modules)))"
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it would load some, too
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, env=alone)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("wish", "coloured"), [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)])
def test_no_color_is_heard(wish: dict[str, str], coloured: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR", "TERM")}
    script = "from headstart.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment | wish | {"TERM": "xterm"},
    )
    assert ("\x1b[36m" in done.stdout or "\x1b[1;36m" in done.stdout or "\x1b[33m" in done.stdout) is coloured


def test_integrity_and_hold_end_with_their_codes_in_a_real_project(project: Project) -> None:
    (project.root / "models/walk/anneal/pretrained/seed-3/weights.safetensors").write_bytes(b"other")

    assert project.headstart("verify").code == IntegrityError.exit_code == 4
    assert project.headstart("promote", "walk", "--by", "Ada", "--reason", "x").code == 5
    assert project.headstart("schedule", "simulate", "pretrained", "--trace", "steady", "--expect", "FAIL").code == 6


def test_ctrl_c_while_the_program_is_imported_is_told_without_a_traceback() -> None:
    script = "import sys; sys.meta_path.insert(0, Late()); from headstart.cli.begin import main; main()"
    late = (
        "class Late:\n    def find_spec(self, name, *rest):\n        if name == 'headstart.cli.main': raise KeyboardInterrupt\n"
    )
    done = subprocess.run([sys.executable, "-c", late + script], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (130, "interrupted before it began\n")
