"""Datasets for looks at them: in memory, with what a test plants; and on disk, curated, in the working directory."""

from pathlib import Path
from typing import Any

import numpy as np
from tests.cloned import record_blocks, tiny_params
from tests.sealed import reseal

from headstart.config.params import changed
from headstart.config.scenario import Scenario
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.inspection_open import Opened
from headstart.dataset.observation import ObservationSchema


def opened_from(episodes: Episodes, schema: ObservationSchema, **changes: Any) -> Opened:
    """Episodes of which nothing was decided."""
    count = len(episodes.table.length)
    found = Opened(
        name="walk",
        play="walk",
        scenario="walk",
        state="recorded, not curated",
        folder=Path("data/walk"),
        schema=schema,
        absent=(),
        table=episodes.table,
        reasons=[[] for _ in range(count)],
        side=np.full(count, ""),
        block=np.zeros(count, np.int64),
        episodes=episodes,
        row=np.arange(count),
        manifest=None,
        hashes=(),
    )
    return found._replace(**changes)


def robot_project(walks: tuple[Scenario, Episodes, Header], **curate: Any) -> list[str]:
    """Two blocks of five worlds, curated and stamped, in the working directory; the ids of the episodes."""
    scenario, episodes, header = walks
    record_blocks(scenario, episodes, header, changed(tiny_params(), {"curate": curate}, "test"))
    reseal(Path("data") / scenario.name / "raw")
    return [name.decode() for name in episodes.table.episode_id.tolist()]
