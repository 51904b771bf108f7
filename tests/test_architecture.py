"""The arrows between rooms, what each room may load, and that the deps of every stage are what it imports."""

import ast
import subprocess
from pathlib import Path

import pytest

from headstart.cli.deps import STAGE, TEMPLATE, template_of, with_deps
from headstart.core.closure import closure, code_sha256, named, stage_modules
from headstart.core.yaml import parse_yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
ROOMS = {
    "core": set(),
    "config": {"core"},
    "worlds": {"core"},
    "telemetry": {"core"},
    "dataset": {"core", "config"},
    "compare": {"core", "config"},
    "guard": {"core", "config", "telemetry"},
    "learn": {"core", "config", "worlds"},
    "runs": {"core", "config", "worlds", "telemetry", "dataset", "compare", "guard", "learn"},
    "release": {"core", "config", "dataset", "compare", "guard", "runs"},
    "storage": {"core", "config"},
    "deploy": {"core", "config", "worlds", "dataset", "compare", "learn", "runs"},
    "view": {"core", "config", "worlds", "telemetry", "dataset", "compare", "guard", "runs", "release"},
    "stages": {"core", "config", "worlds", "telemetry", "dataset", "compare", "guard", "learn", "runs", "view"},
    "cli": {
        "core",
        "config",
        "worlds",
        "telemetry",
        "dataset",
        "compare",
        "guard",
        "learn",
        "runs",
        "release",
        "storage",
        "stages",
        "view",
        "deploy",
    },
}
FILES = sorted((SOURCE / "headstart").rglob("*.py"))
PIPELINE = ROOT / "dvc.yaml"
STAGES = parse_yaml(PIPELINE.read_bytes(), PIPELINE)["stages"]


def imported(file: Path) -> set[str]:
    """Dotted names of our modules, and of names inside them, that `file` imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("headstart.")}


def name_of(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_follow_the_arrows(file: Path) -> None:
    mine = file.relative_to(SOURCE / "headstart").parts[0]
    theirs = {name.split(".")[1] for name in imported(file)} - {mine}
    assert theirs <= ROOMS.get(mine, set()), f"{mine} may import {ROOMS.get(mine)}, imports {theirs}"


def test_rooms_have_no_circle() -> None:
    settled: set[str] = set()
    while len(settled) < len(ROOMS):
        ready = {room for room, below in ROOMS.items() if below <= settled} - settled
        assert ready, f"a circle among {ROOMS.keys() - settled}"
        settled |= ready


def test_a_world_does_not_import_another_world() -> None:
    for mine, other in (("town", "nav"), ("nav", "town")):
        for file in (SOURCE / "headstart/worlds" / mine).rglob("*.py"):
            assert not any(name.startswith(f"headstart.worlds.{other}") for name in imported(file)), file


def test_learning_sees_of_the_worlds_only_their_contract() -> None:
    for file in (SOURCE / "headstart/learn").rglob("*.py"):
        worlds = {name for name in imported(file) if name.startswith("headstart.worlds.")}
        assert all(name.startswith("headstart.worlds.api.") for name in worlds), (file, worlds)


def test_the_folder_of_stages_holds_the_stages_of_the_pipeline_and_nothing_else() -> None:
    assert {f"headstart.stages.{stage}" for stage in STAGES} == set(stage_modules())


def test_no_stage_depends_on_what_is_shown_but_the_report() -> None:
    for stage in STAGES:
        shown = {file for file in closure([f"headstart.stages.{stage}"]) if "view" in file.parts}
        assert (stage == "report") == bool(shown), stage
        made = [dep for dep in STAGES[stage]["deps"] if dep in STAGES["report"]["outs"]]
        assert made == [], stage


def test_one_loop_trains() -> None:
    """What teaches a network is imported by that loop, and by what only times or compiles it; a clone's epochs stand beside `fit`."""
    users = {
        "headstart.learn.ppo.update": {"learn/anneal.py", "runs/plan.py"},
        "headstart.learn.bc.clone_epoch": {"learn/anneal.py", "cli/compile.py"},
    }
    for name, expected in users.items():
        assert {name_of(file) for file in FILES if name in imported(file)} == {f"headstart/{file}" for file in expected}, name


def test_no_module_is_long() -> None:
    for file in FILES:
        most = 150 if file.parent.name == "stages" else 400
        assert len(file.read_text().splitlines()) < most, file


@pytest.mark.parametrize("room", ["core", "config", "dataset", "compare", "guard", "telemetry", "release"])
def test_deciding_and_recording_need_no_torch(room: str) -> None:
    for file in (SOURCE / "headstart" / room).rglob("*.py"):
        tree = ast.parse(file.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not any(name.split(".")[0] == "torch" for name in names), file


# --- deps -------------------------------------------------------------------------------------------------------------


def sources_of(stage: str) -> set[Path]:
    """The Python files below src that dvc.yaml names for a stage, by themselves or in a folder, as DVC sees them (.dvcignore)."""
    deps = [ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")]
    files = {file for dep in deps for file in (dep.rglob("*.py") if dep.is_dir() else [dep])}
    return {file.relative_to(SOURCE) for file in files if file.suffix == ".py" and "draw" not in file.parts}


@pytest.mark.parametrize("stage", STAGES)
def test_the_deps_of_a_stage_are_the_files_that_it_imports(stage: str) -> None:
    found = STAGE.match(STAGES[stage]["cmd"])
    assert found is not None and found[1] == stage
    needed = closure([f"headstart.stages.{stage}"])
    named = {file for file in sources_of(stage) if file.name != "__init__.py" or file in needed}
    assert named - needed == set(), "named in dvc.yaml and not imported; `headstart deps` writes what is"
    assert needed - named == set(), "imported and not named in dvc.yaml; `headstart deps` writes what is"


def test_the_command_that_writes_deps_has_nothing_to_write() -> None:
    assert with_deps(PIPELINE.read_text()) == PIPELINE.read_text()
    assert (ROOT / TEMPLATE).read_text() == template_of(PIPELINE.read_text())


def test_the_closure_is_what_an_interpreter_can_load() -> None:
    """An independent count: the modules of ours that are there after importing a stage are among its closure."""
    script = (
        "import sys, importlib; importlib.import_module('headstart.stages.evaluate');"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('headstart') and m.__file__])"
    )
    done = subprocess.run(["python", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {Path(file).relative_to(SOURCE) for file in done.stdout.split()}
    assert {file for file in loaded if file.name != "__init__.py"} <= closure(["headstart.stages.evaluate"])


@pytest.mark.parametrize(
    ("file", "moves"),
    [
        ("learn/ppo.py", {"expert", "baseline", "anneal"}),
        ("compare/ratio.py", {"evaluate", "report"}),
        ("dataset/formats/npz.py", {"source"}),
        ("dataset/hdf5_guard.py", {"source", "capture", "curate", "validate", "bc_train", "baseline", "anneal"}),
        (
            "worlds/town/rules.py",
            {"settings", "source", "expert", "capture", "validate", "bc_train", "baseline", "anneal", "evaluate", "report"},
        ),  # evaluate and report ask for its hash
        ("release/promote.py", set()),
        ("view/report.py", {"report"}),
        ("cli/main.py", set()),
        ("worlds/town/draw/picture.py", set()),
    ],
)
def test_an_edit_changes_the_stages_that_import_the_file_and_no_other(file: str, moves: set[str]) -> None:
    path = Path("headstart") / file
    assert (SOURCE / path).is_file()
    assert {stage for stage in STAGES if path in closure([f"headstart.stages.{stage}"])} == moves


def test_a_package_file_that_does_something_and_a_private_file_are_named(tmp_path: Path) -> None:
    source = tmp_path / "src"
    texts = {
        "stages/show.py": "import headstart.core._rule",
        "core/_rule.py": "",
        "core/__init__.py": "limit = 3",
        "core/other.py": "",
        "__init__.py": "__version__ = '1'\nPUBLIC = {}\n__all__ = [*PUBLIC]\ndef __getattr__(name): ...\ndef __dir__(): ...",
    }
    for name, text in texts.items():
        (source / "headstart" / name).parent.mkdir(parents=True, exist_ok=True)
        (source / "headstart" / name).write_text(text)
    found = closure(["headstart.stages.show"], source)
    assert named(found, source) == ["headstart/core/__init__.py", "headstart/core/_rule.py", "headstart/stages"]


def test_the_hash_of_code_follows_every_file_of_the_closure(tmp_path: Path) -> None:
    source = tmp_path / "src"
    for name in ("stages/show.py", "core/used.py", "core/unused.py"):
        (source / "headstart" / name).parent.mkdir(parents=True, exist_ok=True)
        (source / "headstart" / name).write_text("")
    (source / "headstart/stages/show.py").write_text("def show():\n    from headstart.core.used import x\n")
    before = code_sha256(["headstart.stages.show"], source)
    (source / "headstart/core/unused.py").write_text("y = 1\n")
    assert code_sha256(["headstart.stages.show"], source) == before
    (source / "headstart/core/used.py").write_text("x = 1  # a comment\n")
    assert code_sha256(["headstart.stages.show"], source) != before


def test_no_entry_of_dvc_lock_is_left_of_a_stage_that_was_renamed() -> None:
    """DVC keeps such an entry, and `headstart verify` would miss its outputs in every fresh clone."""
    lock = ROOT / "dvc.lock"
    stages = parse_yaml(lock.read_bytes(), lock)["stages"]
    outputs = [(name, Path(out["path"])) for name, stage in stages.items() for out in stage.get("outs", ())]

    assert {name.partition("@")[0] for name in stages} <= STAGES.keys()
    within = [(name, other) for name, path in outputs for other, above in outputs if name != other and path.is_relative_to(above)]
    assert within == []
