"""`headstart.make` and `headstart.parallel_env`: the worlds of a scenario, by its name."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import InputError, MissingExtra, nearest
from headstart.deploy.checks import path_of, whole
from headstart.deploy.vector import Worlds
from headstart.runs.project_root import project_root
from headstart.runs.worlds import task_of
from headstart.worlds.make import make as make_world

if TYPE_CHECKING:
    from headstart.worlds.parallel import ParallelTown

SHIPPED = Path(__file__).parents[1] / "scenarios"
MOST_WORLDS = 1 << 31


def make(
    scenario: str | Path,
    num_worlds: int = 1,
    *,
    first_world: int = 0,
    observation: Literal["compact", "hybrid"] = "compact",
    render_mode: str | None = None,
) -> Worlds:
    """W = `num_worlds` worlds of a scenario as a gymnasium VectorEnv; `headstart.worlds.api` is its contract.

    `scenario`: a name in scenarios/ of the nearest project above the working directory, else one that the package brings, or the path of a
    .yaml file. World w has the id `first_world` + w: the same seed and id give the same episode, whatever W is. `observation="hybrid"` adds
    the town's map. `render_mode`: "ansi" or "rgb_array". InputError for an unknown scenario, with the nearest name.
    """
    hybrid, first = _is_hybrid(observation), whole(first_world, "first_world")
    count = whole(num_worlds, "num_worlds", 1, MOST_WORLDS)
    try:
        return Worlds(make_world(task_of(find_scenario(scenario)), count, first, hybrid, render_mode))
    except MemoryError as error:
        raise InputError(f"num_worlds: expected as many as the memory holds, got {count}: {error}") from None


def parallel_env(
    scenario: str | Path, *, world: int = 0, observation: Literal["compact", "hybrid"] = "compact"
) -> "ParallelTown":
    """One town as PettingZoo's ParallelEnv, with the id `world`. InputError for a scenario that is no town; MissingExtra without PettingZoo."""
    hybrid, first = _is_hybrid(observation), whole(world, "world")
    found = find_scenario(scenario)
    if found.world != "town":
        raise InputError(f"{found.name}: expected a scenario of the world town, got {found.world}; use headstart.make")
    try:
        from headstart.deploy.parallel import CheckedTown
    except ModuleNotFoundError as error:
        if error.name != "pettingzoo":
            raise
        raise MissingExtra("this needs pettingzoo: pip install 'headstart[pettingzoo]'") from None
    return CheckedTown(task_of(found), first, hybrid=hybrid)


def _is_hybrid(observation: Any) -> bool:
    if observation not in ("compact", "hybrid"):
        raise InputError(f"observation: expected compact or hybrid, got {observation!r}")
    return bool(observation == "hybrid")


def find_scenario(scenario: str | Path) -> Scenario:
    """A scenario by its name or the path of its file; of a project, whose own modules can then be imported."""
    path = path_of(scenario, "scenario", "a name or the path of a .yaml file")
    if path.suffix == ".yaml":
        if not path.is_file():
            raise InputError(f"{path}: expected the file of a scenario, found none")
        return load_scenario(path.stem, path.parent)
    if len(path.parts) > 1 or path.suffix == ".yml":
        raise InputError(f"{scenario}: expected the path of a scenario's file, which ends in .yaml, or a name alone")
    root = project_root(Path.cwd())
    folders = [SHIPPED] if root is None else [root / "scenarios", SHIPPED]
    known = {file.stem: file for folder in reversed(folders) for file in folder.glob("*.yaml")}
    if str(scenario) not in known:
        raise InputError(
            f"no scenario {str(scenario)!r}{nearest(str(scenario), known)}; there are {', '.join(sorted(known)) or 'none'}"
        )
    found = load_scenario(str(scenario), known[str(scenario)].parent)
    if root is not None:
        import_from(root, found)
    return found


def import_from(root: Path, scenario: Scenario) -> None:
    """Let the modules of a project be imported, where the environment of a scenario may be one."""
    if scenario.is_foreign and str(root) not in sys.path:
        sys.path.append(str(root))
