"""The arrows between rooms, and that every stage's deps in dvc.yaml name what it imports."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
ARROWS = {
    "errors": set(),
    "schedule": set(),
    "params": {"errors", "schedule"},
    "records": {"errors"},
    "worlds": {"errors"},
    "launch": {"errors"},
    "govern": {"records", "schedule", "errors"},
    "lineage": {"records", "errors"},
    "learn": {"worlds", "params", "schedule", "errors"},
    "stages": {"params", "schedule", "records", "worlds", "learn", "govern", "lineage", "launch", "errors"},
    "view": {"params", "records", "worlds", "govern", "schedule", "errors"},
    "release": {"params", "records", "govern", "lineage", "errors"},
    "cli": {
        "release",
        "params",
        "schedule",
        "records",
        "worlds",
        "learn",
        "govern",
        "lineage",
        "launch",
        "stages",
        "view",
        "errors",
    },
}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_file(module: str) -> Path | None:
    """The file of a dotted module below src, or None if it is a name inside a module."""
    path = SOURCE / module.replace(".", "/")
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def imports(file: Path) -> frozenset[Path]:
    """Our own files that `file` imports anywhere in it, packages on the way included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "headstart":
                found |= {f for n in range(1, len(parts) + 1) if (f := module_file(".".join(parts[:n])))}
    return frozenset(found)


def closure(file: Path) -> set[Path]:
    """Everything that importing `file` can load."""
    seen, waiting = set(), [file]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += imports(current)
    return seen


def room(file: Path) -> str:
    """worlds/town/env.py → worlds; params.py → params; cli_schedule.py → cli; the package itself → ''."""
    first = file.relative_to(SOURCE / "headstart").parts[0]
    if first.startswith("cli_"):
        return "cli"  # a group of commands in a file of its own
    return "" if first == "__init__.py" else first.removesuffix(".py")


@pytest.mark.parametrize("file", sorted((SOURCE / "headstart").rglob("*.py")), ids=lambda f: str(f.relative_to(SOURCE)))
def test_imports_follow_the_arrows(file: Path) -> None:
    mine = room(file)
    theirs = {room(f) for f in imports(file)} - {"", mine}
    assert theirs <= ARROWS.get(mine, set()), f"{mine} may import {ARROWS.get(mine)}, imports {theirs}"


def test_a_world_does_not_import_another_world() -> None:
    worlds = SOURCE / "headstart" / "worlds"
    for folder in (p for p in worlds.iterdir() if p.is_dir() and (p / "env.py").exists()):
        for file in folder.rglob("*.py"):
            others = {
                f for f in imports(file) if f.is_relative_to(worlds) and f.parent != worlds and not f.is_relative_to(folder)
            }
            assert not others, f"{file} imports {others}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_everything_that_it_imports(stage: str) -> None:
    """A dep names a file or a folder; __init__ files of packages on the way hold only docstrings."""
    deps = [ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")]
    needed = {f for f in closure(SOURCE / "headstart" / "stages" / f"{stage}.py") if not is_empty(f)}
    missing = {f for f in needed if not any(f == dep or f.is_relative_to(dep) for dep in deps)}
    assert not missing, f"{stage} imports {sorted(map(str, missing))}, which dvc.yaml does not name"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_no_source_dep_that_it_does_not_import(stage: str) -> None:
    needed = closure(SOURCE / "headstart" / "stages" / f"{stage}.py")
    for dep in (ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")):
        assert any(f == dep or f.is_relative_to(dep) for f in needed), f"{stage} does not import {dep}"


def is_empty(file: Path) -> bool:
    """A package file that says nothing but what the package is."""
    return all(isinstance(node, ast.Expr | ast.Assign) for node in ast.parse(file.read_text()).body)


@pytest.mark.parametrize("module", ["records", "govern", "lineage", "release", "params"])
def test_deciding_and_recording_need_no_torch(module: str) -> None:
    files = (SOURCE / "headstart" / module).rglob("*.py") if module != "params" else [SOURCE / "headstart" / "params.py"]
    for file in files:
        tree = ast.parse(file.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not any(name.split(".")[0] == "torch" for name in names), file
