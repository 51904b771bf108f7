"""What decides the episodes of a Gymnasium environment beside the scenario: the code of the environment, and versions of distributions."""

import ast
import re
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from headstart.core.files import sha256_file
from headstart.core.provenance import package_version

INSTALLED = {"site-packages", "dist-packages"}  # names of the folders of installed distributions


def sources_of(classes: Iterable[type], id_: str) -> dict[str, str]:
    """File → SHA-256, and distribution → version, of an environment and its wrappers, given as their classes, and of what makes it.

    Of code outside the folders of installed distributions (the user's own, also if installed as editable): all .py files of its top-level
    package, and of those that it imports. Of an installed distribution: its version, and the modules of the classes and their bases.
    """
    module, colon, _ = id_.partition(":")
    names = {base.__module__ for cls in classes for base in cls.__mro__} | ({module} if colon else set())
    foreign = {name for name in names if _is_foreign(name)}
    files = {module: path for module in foreign if (path := _file_of(module)) and _is_installed(path)}
    files |= _own_files({module.split(".")[0] for module in foreign - files.keys()})
    provided = packages_distributions()
    names = {"gymnasium", *(name for file in files for name in provided.get(re.split(r"[./]", file)[0], ()))}
    versions = {f"{name} {package_version(name)}": "" for name in names}
    return versions | {file: sha256_file(path) for file, path in files.items()}


def _own_files(packages: set[str]) -> dict[str, Path]:
    """Name → .py file of top-level packages, and of those that they import, as far as they are not installed."""
    waiting, done, found = set(packages), set[str](), dict[str, Path]()
    while waiting:
        package = waiting.pop()
        done.add(package)
        files = _files_in(package)
        found |= files
        waiting |= {name for path in files.values() for name in _imports(path)} - done
    return found


def _files_in(package: str) -> dict[str, Path]:
    """Name → .py file of a package or of a single module; empty if it is installed, compiled, or not found."""
    spec = _spec_of(package)
    folders = [
        Path(folder) for folder in (spec.submodule_search_locations if spec else None) or () if not _is_installed(Path(folder))
    ]
    files = {f"{package}/{path.relative_to(folder).as_posix()}": path for folder in folders for path in folder.rglob("*.py")}
    if not folders and (path := _file_of(package)) and not _is_installed(path):
        return {package: path}
    return files


def _imports(path: Path) -> set[str]:
    """The top-level packages that a file imports by their full names, the standard library left out; none if it cannot be parsed."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes(), str(path))))
    except (SyntaxError, ValueError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names if _is_foreign(name)}


def _is_foreign(module: str) -> bool:
    """Whether a module is neither Python's own nor of this package, whose files are counted elsewhere."""
    return module.split(".")[0] not in {*sys.stdlib_module_names, *sys.builtin_module_names, "__main__", "headstart"}


def _is_installed(path: Path) -> bool:
    return not INSTALLED.isdisjoint(path.parts)


def _file_of(module: str) -> Path | None:
    """The .py file of a module; None where it has none, as a compiled one."""
    spec = _spec_of(module)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _spec_of(module: str) -> ModuleSpec | None:
    try:
        return find_spec(module)
    except (ImportError, ValueError):
        return None
