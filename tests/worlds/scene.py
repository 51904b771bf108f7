"""Towns for tests: every scenario, and small situations set up by hand."""

from pathlib import Path
from typing import Any

import numpy as np

from headstart.config.scenario import Scenario, load_scenario
from headstart.worlds.api import Task
from headstart.worlds.make import make
from headstart.worlds.town import state as s
from headstart.worlds.town.env import Town

ROOT = Path(__file__).parents[2]
SCENARIOS = ("queue_conflict", "employment_punctuality", "kitchen_breakfast", "rivalry_decay", "observation_baseline")


def scenario(name: str) -> Scenario:
    return load_scenario(name, ROOT / "scenarios")


def town(num_worlds: int, first_world: int = 0, hybrid: bool = False, name: str = "queue_conflict", **setup: Any) -> Town:
    """Worlds of a scenario, with changes to its setup."""
    chosen = scenario(name)
    task = Task("town", chosen.setup | setup, chosen.horizon, chosen.success, chosen.harm)
    world = make(task, num_worlds, first_world, hybrid)
    assert isinstance(world, Town)
    return world


class Scene:
    """One world in the unturned layout, agents placed by hand, personalities balanced, all needs at half."""

    def __init__(self, places: list[tuple[int, int]], name: str = "queue_conflict", **setup: Any) -> None:
        self.town = town(1, name=name, agents=len(places), **setup)
        self.town.reset(seed=0)
        self.world = self.town._worlds[0]
        self.world["layout"] = 0
        self.world["occupant"][:] = -1
        for a, (y, x) in enumerate(places):
            agent = self.agent(a)
            agent["y"], agent["x"], agent["forgiveness"], agent["extroversion"] = y, x, 0, 0
            agent["decay"][:] = 100
            agent["need"][:] = 5000
            self.world["occupant"][y, x] = a

    def agent(self, a: int) -> Any:
        return self.world["agent"][a]

    def find(self, kind: int) -> int:
        """The first object of a type."""
        return int(np.flatnonzero(self.town._plans[0]["object_type"] == kind)[0])

    @property
    def shower(self) -> int:
        return self.find(s.SHOWER)

    @property
    def queue(self) -> list[int]:
        return self.world["queue"][self.shower, : self.world["object"][self.shower]["length"]].tolist()

    @property
    def active(self) -> int:
        return int(self.world["object"][self.shower]["active"])

    def step(self, *actions: int) -> Any:
        return self.town.step(np.array(actions))

    def features(self, a: int, *names: str) -> list[float]:
        """Current features of agent `a` in these columns."""
        columns = [self.town.names.features.index(name) for name in names]
        return [float(value) for value in self.town.restore(self.town.snapshot())["features"][a, columns]]

    def allowed(self, a: int, action: int) -> bool:
        return bool(self.town.restore(self.town.snapshot())["mask"][a, action])
