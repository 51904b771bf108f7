"""The towns to compare: every scenario, and two made up so that every rule takes part."""

from pathlib import Path
from typing import Any

import yaml

FILES = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
SCENARIOS = {path.stem: said for path in FILES if (said := yaml.safe_load(path.read_text()))["world"] == "town"}

# Two towns in which every rule is used often. The first has three jobs at two workplaces, short days and frequent conflicts.
WORKDAY: dict[str, Any] = {
    "horizon": 200,
    "success": ["sum faints == 0"],
    "harm": ["sum late > 0"],
    "setup": {
        "agents": 8,
        "layout": """
            ################
            ##S#.......#..K#
            ##.#.......#...#
            ##.............#
            #..........#...#
            #..........##.##
            #..............#
            #..............#
            #..............#
            #..............#
            #..............#
            ###.####.......#
            #......#.......#
            #F..FT.#..C...B#
            ################
        """,
        "need": {"hunger": [2000, 6000], "hygiene": [1000, 6000], "energy": [3000, 8000]},
        "decay": {"hunger": 30, "energy": 20},
        "wallet": [30, 200],
        "fridge_stock": 2,
        "restock_every": 25,
        "day": 40,
        "rivalry": [0, 9000],
        "jobs": 3,
        "shift": {"first": 3, "spacing": 3, "jitter": 4, "length": 25},
        "perturbations": {"price_spike": 15000, "blackout": 15000, "outage": 15000, "meet": 30000},
    },
}
# The second has no jobs, but queues: two fridges side by side, four meals, and cooking.
CROWD: dict[str, Any] = WORKDAY | {
    "setup": WORKDAY["setup"]
    | {"jobs": 0, "wallet": [100, 300], "fridge_stock": 4, "restock_every": 0, "rivalry": [0, 5500], "rivalry_decay": 60}
}
TOWNS = SCENARIOS | {"workday": WORKDAY, "crowd": CROWD}
