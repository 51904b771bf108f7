"""How the program ends: its exit codes, and what is said of an error, of a bug and of Ctrl-C."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from headstart.cli.output import wrapped
from headstart.core.errors import HeadstartError, InputError, MissingExtra, of_system, printable, too_large

DEBUG = "HEADSTART_DEBUG"  # set: the traceback of an error is shown
BUG, INTERRUPTED, UNREAD = 1, 130, 141
EXIT_CODES = {
    0: "done, PASS, promoted",
    BUG: "a bug in headstart",
    2: "wrong use of a command",
    3: "an input is invalid or missing",
    4: "bytes are not those recorded",
    5: "HOLD: a person decides",
    6: "FAIL: a gate was missed",
    7: "an alert, or a limit of drift",
    8: "busy: another process holds a lock",
    9: "an optional package is missing",
    INTERRUPTED: "Ctrl-C; the same command goes on",
    UNREAD: "who read the output ended, as `head`",
}


def exit_codes_text() -> str:
    """The table below `headstart --help`. \\b: Typer keeps the line breaks that follow."""
    rows = [f"{code:>3}  {text}" for code, text in EXIT_CODES.items()]
    half = (len(rows) + 1) // 2
    pairs = zip(rows[:half], [*rows[half:], ""], strict=False)
    return "\n".join(["\b", "Exit codes:", *(f"{left:<37}{right}".rstrip() for left, right in pairs)])


@contextmanager
def ending() -> Iterator[None]:
    """End the program with the line and the exit code of what happens within."""
    try:
        yield
    except HeadstartError as error:
        _end(_told(error), error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "numba"):
            _bug(error)
        _end(f"this command needs {error.name}: `pip install {error.name}`", MissingExtra.exit_code)
    except OSError as error:  # an unwritable folder, a full disk
        if isinstance(error, BrokenPipeError):
            _unread()
        _end(of_system(error, "output"), InputError.exit_code)
    except MemoryError as error:
        _end(too_large(error), InputError.exit_code)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Typer's, of Ctrl-C
            _interrupted()
        if isinstance(ended.__context__, BrokenPipeError):  # Typer ends it with 1
            _unread()
        if isinstance(ended.__context__, typer.Abort):  # the input ended at a question; Typer has said so
            sys.exit(INTERRUPTED)
        raise
    except Exception as error:
        _bug(error)


def _end(text: str, code: int) -> NoReturn:
    if os.environ.get(DEBUG):
        traceback.print_exc()
    text = f"error: {printable(text)}"
    if sys.stderr.isatty():  # elsewhere it stays on one line, for who searches in a log
        text = "\n".join(row for line in text.splitlines() for row in wrapped(line, "", "  "))
    typer.echo(text, err=True)
    try:
        sys.stdout.flush()
    except OSError:  # of a full disk: Python tries once more as it ends, and would say so
        _leave_output()
    sys.exit(code)


def _unread() -> NoReturn:
    """Whoever read the output has ended, as `head` does."""
    _leave_output()
    sys.exit(UNREAD)


def _leave_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _bug(error: Exception) -> NoReturn:
    at = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}"
    _end(f"a bug in headstart: {what} ({at.filename}:{at.lineno}); `headstart --debug …` shows how it came to that", BUG)


def _interrupted() -> NoReturn:
    from headstart.config.stage import interrupted

    typer.echo(interrupted(["headstart", *sys.argv[1:]]), err=True)
    sys.exit(INTERRUPTED)


def _told(error: HeadstartError) -> str:
    """What is said of an error: where data is missing, also where it may be had."""
    if not isinstance(error, InputError) or not Path("dvc.lock").is_file():
        return str(error)
    from headstart.storage.missing import told

    return told(Path(), error)
