"""Datasets for looks at them: in memory, with what a test plants; and on disk, curated, in the working directory."""

from pathlib import Path
from typing import Any

from tests.cloned import record_blocks, tiny_params
from tests.sealed import reseal

from headstart.config.params import changed
from headstart.config.scenario import Scenario
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.inspection_open import Opened, undecided
from headstart.dataset.observation import ObservationSchema


def opened_from(episodes: Episodes, schema: ObservationSchema, **changes: Any) -> Opened:
    """Episodes of which nothing was decided."""
    found = undecided("walk", "recorded, not curated", Path("data/walk"), episodes, schema)._replace(scenario="walk")
    return found._replace(**changes)


def robot_project(walks: tuple[Scenario, Episodes, Header], **curate: Any) -> list[str]:
    """Two blocks of five worlds, curated and stamped, in the working directory; the ids of the episodes."""
    scenario, episodes, header = walks
    record_blocks(scenario, episodes, header, changed(tiny_params(), {"curate": curate}, "test"))
    reseal(Path("data") / scenario.name / "raw")
    return [name.decode() for name in episodes.table.episode_id.tolist()]
