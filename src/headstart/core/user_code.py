"""Code that a user brings, an environment or an expert: where it fails, the error has one line with the user's own file and line."""

import ast
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headstart.core.errors import HeadstartError, InputError

Answer = TypeVar("Answer")
STANDARD = Path(ast.__file__).parent  # Python's library
INSTALLED = {"site-packages", "dist-packages"}  # names of the folders of installed distributions
OURS = Path(__file__).parents[1]


def called(where: str, function: Callable[..., Answer], *args: object) -> Answer:
    """`function(*args)`. InputError, which begins with `where`, for any error that is not headstart's own."""
    try:
        return function(*args)
    except HeadstartError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{where}: {said(error)}") from None


def said(error: Exception | SystemExit, installed: bool = True) -> str:
    """`file:line: kind: message` on one line; `installed`: also of a file that is not the user's own, if no other is there."""
    return f"{place_of(error, installed)}{type(error).__name__}: {' '.join(str(error).split())}"


def place_of(error: Exception | SystemExit, installed: bool) -> str:
    """`file:line: ` in the user's code: the innermost frame that is not installed; of a syntax error its own. Empty where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename[0] != "<"]
    frames = [frame for frame in frames if not Path(frame.filename).is_relative_to(OURS)]
    own = [frame for frame in frames if not is_installed(Path(frame.filename))] or (frames if installed else [])
    return f"{_short(own[-1].filename)}:{own[-1].lineno}: " if own else ""


def is_installed(path: Path) -> bool:
    """Whether a file is Python's own or belongs to an installed distribution."""
    return not INSTALLED.isdisjoint(path.parts) or path.is_relative_to(STANDARD)


def _short(path: str) -> str:
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
