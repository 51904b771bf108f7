"""Which files of this package a module imports. This decides when a stage runs again (its deps in dvc.yaml) and when work resumes."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from headstart.core.errors import IntegrityError

SOURCE = Path(__file__).parents[2]  # the folder that contains the running package
DRAWING = "draw"  # folders with code that draws a world and cannot change results: loaded by name, and ignored by DVC through .dvcignore


def closure(modules: Iterable[str], source: Path = SOURCE) -> frozenset[Path]:
    """The files below `source`, relative to it, that importing `modules` (dotted) can load. Imports inside functions count.

    `__init__.py` files without code are left out. Modules that are loaded by name (`import_module`) are not followed.
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
    """The shortest list of paths below `source` that covers exactly `files`: a folder stands for its files if all of them are in `files`."""
    wanted = set(files)

    def within(folder: Path) -> list[str]:
        here = {file.relative_to(source) for file in (source / folder).rglob("*.py")}
        here = {file for file in here if DRAWING not in file.parts and not _says_nothing(source / file)}
        if here and here <= wanted:
            return [folder.as_posix()]
        parts = sorted(
            path.relative_to(source) for path in (source / folder).iterdir() if path.name != "__pycache__" and path.name[0] != "."
        )
        return [name for part in parts for name in (within(part) if (source / part).is_dir() else named_file(part))]

    def named_file(file: Path) -> list[str]:
        return [file.as_posix()] if file in wanted else []

    return within(Path("headstart"))


def require_own_code(root: Path) -> None:
    """IntegrityError if the project in `root` contains a package and another one is running: records would name code that did not run."""
    own = (root / "src").resolve()
    if (own / "headstart").is_dir() and own != SOURCE.resolve():
        raise IntegrityError(
            f"{root.resolve()}: expected the code of this tree, {own / 'headstart'}, got that of {SOURCE / 'headstart'}; "
            "`dvc repro` and `./stage NAME` run the code of this tree, as does any command after `export PYTHONPATH=src` or `make setup` here"
        )


@cache
def _imports(file: Path, source: Path) -> frozenset[Path]:
    """The files of this package that `file` imports, and the `__init__.py` files of the packages that contain them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = [name.split(".") for name in names if name.split(".")[0] == "headstart"]
    paths = {".".join(parts[: n + 1]) for parts in ours for n in range(len(parts))}
    return frozenset(found for name in paths if (found := _file_of(name, source)))


def _file_of(module: str, source: Path) -> Path | None:
    """The file of a dotted module; None if the name is not a module."""
    path = source / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _says_nothing(file: Path) -> bool:
    """Whether the file is an `__init__.py` with only a docstring, a version, and names that are imported when someone asks for them."""
    if file.name != "__init__.py":
        return False
    for node in ast.parse(file.read_bytes(), str(file)).body:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.FunctionDef(name="__getattr__" | "__dir__"):
                pass
            case ast.Assign(targets=[ast.Name(id="__version__" | "__all__" | "PUBLIC")]):
                pass
            case _:
                return False
    return True
