"""What a user's own expert is made of: the hash that says whether it is still the one that was judged. Nothing of it is run."""

import ast
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from headstart.config.project import EXPERTS
from headstart.config.scenario import ExpertGate, Scenario
from headstart.config.stage_command import pipeline_command, stage_command
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import inside, sha256_file, sha256_json
from headstart.core.provenance import package_version
from headstart.core.user_code import is_installed


def own_sha256(scenario: Scenario) -> str:
    """Of an ONNX or SB3 file the hash of its bytes; of a callable that of `code_of` its module. InputError where it is missing."""
    gate = scenario.expert
    if gate.call is None:
        return sha256_file(own_file(scenario))
    module = gate.call.partition(":")[0]
    code = code_of(module)
    if not code:
        raise InputError(f"{where(scenario)}.call: expected a module in the repository's root or installed, found no {module}")
    return sha256_json(code)


def own_file(scenario: Scenario) -> Path:
    """The file with the policy; InputError where there is none."""
    path = inside(Path(), str(scenario.expert.path))
    if not path.is_file():
        raise InputError(f"{where(scenario)}.path: expected a file {path}, found none")
    return path


def where(scenario: Scenario) -> str:
    """The place of the expert's keys, for errors."""
    return f"scenarios/{scenario.name}.yaml: expert"


def is_watched(gate: ExpertGate) -> bool:
    """Whether DVC sees every change of the policy: its file, or its module and what that imports, lie in EXPERTS."""
    return gate.call is None or all(name.split(".")[0] == str(EXPERTS) for name in code_of(gate.call.partition(":")[0]))


def cure_of_change(scenario: Scenario) -> str:
    """The command that judges and records an expert again after a change; --force where DVC does not watch what changed."""
    if not scenario.expert.is_own or is_watched(scenario.expert):
        return pipeline_command(scenario.name)
    return f"{stage_command('expert', scenario.name)} --force"


def require_unchanged(scenario: Scenario, judged_sha256: str) -> None:
    """GateFailed unless the user's own expert is still the one that was judged; nothing for other kinds."""
    if scenario.expert.is_own and (now := own_sha256(scenario)) != judged_sha256:
        raise GateFailed(
            f"{where(scenario)}: expected the policy {judged_sha256} that was judged, got {now}; run `{cure_of_change(scenario)}` again"
        )


def code_of(module: str) -> dict[str, str]:
    """Module → SHA-256 of its file, of a module and of all that it imports, module by module, as far as it is not installed.

    Of a module that is installed: its own file and the version of its distribution. Empty if there is no such module with a file.
    """
    invalidate_caches()
    found, waiting = dict[str, Path](), [module]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file_of(name)
        if path is not None and (name == module or not is_installed(path)):
            found[name] = path
            waiting += _with_packages(name)
            if not is_installed(path):
                waiting += [part for one in _imports(name, path) for part in _with_packages(one)]
    code = {name: sha256_file(path) for name, path in found.items()}
    if module in found and is_installed(found[module]):
        names = packages_distributions().get(module.split(".")[0], ())
        code |= {f"{name} {package_version(name)}": "" for name in names}
    return code


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
