"""The code that a user brings, by module: what decides the episodes of an environment, or what an expert does. Nothing of it is run."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from headstart.core.files import sha256_file
from headstart.core.provenance import package_version
from headstart.core.user_code import is_installed


def code_of(*modules: str) -> dict[str, str]:
    """Module → SHA-256 of its file, of these modules and of all that they import, module by module, as far as it is not installed.

    Of a module that is installed: its own file. Of all: the versions of the distributions that they belong to. Modules of Python and of this
    package, compiled ones and those that are not there are left out.
    """
    invalidate_caches()
    found, waiting = dict[str, Path](), list(modules)
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file_of(name)
        if path is not None and (name in modules or not is_installed(path)):
            found[name] = path
            waiting += _with_packages(name)
            if not is_installed(path):
                waiting += [part for one in _imports(name, path) for part in _with_packages(one)]
    provided, packages = _distributions(), {name.split(".")[0] for name in modules if name in found}
    names = {name for package in packages for name in provided.get(package, ())}
    return {name: sha256_file(path) for name, path in found.items()} | {f"{name} {package_version(name)}": "" for name in names}


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Package → the distributions that bring it; reading them takes a tenth of a second."""
    return packages_distributions()


def _with_packages(module: str) -> list[str]:
    """a.b.c → a, a.b, a.b.c: importing a module runs the __init__.py files of its packages."""
    parts = module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _imports(module: str, path: Path) -> Iterator[str]:
    """The full names that a file imports anywhere: modules, and names in them that may be modules. None if it cannot be parsed."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes(), str(path))))
    except (SyntaxError, ValueError):
        return
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from filter(None, (base, *(f"{base}.{alias.name}" for alias in node.names if base)))


def _file_of(module: str) -> Path | None:
    """The .py file of a module of the user; None of Python's own, of this package's, and where there is none. Packages are not imported."""
    top, *parts = module.split(".")
    if top in {*sys.stdlib_module_names, *sys.builtin_module_names, "__main__", "headstart"}:
        return None
    try:
        spec: ModuleSpec | None = find_spec(top)
    except (ImportError, ValueError):
        return None
    name = top
    for part in parts:
        folders = spec.submodule_search_locations if spec else None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(folders)) if folders else None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
