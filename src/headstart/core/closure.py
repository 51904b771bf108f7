"""Which of our own files a module imports: what a stage depends on in dvc.yaml, and what the key of resumable work covers."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from headstart.core.errors import IntegrityError

SOURCE = Path(__file__).parents[2]  # the folder that holds the package whose code runs
DRAWING = "draw"  # folders that draw a world and decide nothing in it: loaded by name, and kept from DVC by .dvcignore


def closure(modules: Iterable[str], source: Path = SOURCE) -> frozenset[Path]:
    """The files below `source`, relative to it, that importing `modules` (dotted) can load, also late, inside a function.

    Left out are package files that say only what the package is. What is loaded by name (`import_module`) is not followed.
    """
    waiting = [file for module in modules if (file := _file_of(module, source))]
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imports(file, source)
    return frozenset(file.relative_to(source) for file in found if not _says_nothing(file))


def code_sha256(modules: Iterable[str], source: Path = SOURCE) -> str:
    """SHA-256 over the paths and contents of `closure`."""
    digest = hashlib.sha256()
    for file in sorted(closure(modules, source)):
        digest.update(file.as_posix().encode() + b"\0" + hashlib.sha256((source / file).read_bytes()).digest())
    return digest.hexdigest()


def stage_modules(source: Path = SOURCE) -> list[str]:
    """The dotted names of all stages."""
    return sorted(f"headstart.stages.{file.stem}" for file in (source / "headstart/stages").glob("[a-z]*.py"))


def named(files: Iterable[Path], source: Path = SOURCE) -> list[str]:
    """The shortest list of paths below `source` that covers `files` and no other: a folder where all of it is among them."""
    wanted = set(files)

    def within(folder: Path) -> list[str]:
        here = {file.relative_to(source) for file in (source / folder).rglob("*.py")}
        here = {file for file in here if DRAWING not in file.parts and not _says_nothing(source / file)}
        if here and here <= wanted:
            return [folder.as_posix()]
        parts = sorted(path.relative_to(source) for path in (source / folder).iterdir() if not path.name.startswith((".", "_")))
        return [name for part in parts for name in (within(part) if (source / part).is_dir() else named_file(part))]

    def named_file(file: Path) -> list[str]:
        return [file.as_posix()] if file in wanted else []

    return within(Path("headstart"))


def require_own_code(root: Path) -> None:
    """IntegrityError if the project in `root` has code of its own and another tree's is running: records would vouch for what did not run."""
    own = (root / "src").resolve()
    if (own / "headstart").is_dir() and own != SOURCE.resolve():
        raise IntegrityError(
            f"{root.resolve()}: expected the code of this tree, {own / 'headstart'}, got that of {SOURCE / 'headstart'}; "
            "`dvc repro` and `./stage NAME` run this tree's, and so does everything after `export PYTHONPATH=src` or `make setup` here"
        )


@cache
def _imports(file: Path, source: Path) -> frozenset[Path]:
    """Our files that `file` names in its import statements, the packages on the way included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = [name.split(".") for name in names if name.split(".")[0] == "headstart"]
    paths = {".".join(parts[: n + 1]) for parts in ours for n in range(len(parts))}
    return frozenset(found for name in paths if (found := _file_of(name, source)))


def _file_of(module: str, source: Path) -> Path | None:
    """The file of a dotted module; None for a name inside a module."""
    path = source / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _says_nothing(file: Path) -> bool:
    """A package file of a docstring and a version."""
    return file.name == "__init__.py" and all(
        isinstance(node, ast.Expr | ast.Assign) for node in ast.parse(file.read_bytes()).body
    )
