"""What a scenario file may say about a navigation world, with its defaults."""

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from headstart.core.record import Record
from headstart.worlds.nav.state import FAMILIES, SETUP


class RewardWeights(Record):
    """Passed to the rules as numbers, not compiled in."""

    progress: float = 0.2  # per metre of route
    success: float = 1.0
    collision: float = -4.0
    time: float = -0.002  # per step
    proximity: float = -0.02  # at contact; falls to 0 at 0.4 m from a pedestrian


class NavSetup(Record):
    """The `setup` section of a navigation scenario."""

    families: tuple[str, ...] = FAMILIES  # each episode is one of them, drawn evenly; "all" is all eight
    difficulty: tuple[float, float] = (0.0, 1.0)  # uniform between the two
    rays: Literal[16, 32, 64] = 32
    ped_speed: float = Field(default=1.0, gt=0, le=2)  # scale of the pedestrians' desired speeds
    ped_count: float = Field(default=1.0, gt=0, le=3)  # scale of their number; there are 1 to 8
    width: float = Field(default=1.0, ge=0.8, le=1.5)  # scale of corridors, doors and necks
    reward: RewardWeights = Field(default_factory=RewardWeights)

    @field_validator("families", mode="before")
    @classmethod
    def _all(cls, value: Any) -> Any:
        return FAMILIES if value == "all" else value

    @field_validator("families")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value) or not set(value) <= set(FAMILIES):
            raise ValueError(f"expected different names of {', '.join(FAMILIES)}, or all")
        return value

    @field_validator("difficulty")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1] <= 1:
            raise ValueError("expected [low, high] with 0 <= low <= high <= 1")
        return value


def setup_record(setup: NavSetup, horizon: int) -> np.ndarray:
    """The SETUP record [1] that the rules read (an array, because numba cannot pass a lone record to a parallel loop)."""
    record = np.zeros(1, SETUP)
    record["horizon"] = horizon
    record["n_families"] = len(setup.families)
    record["families"][0, : len(setup.families)] = sorted(FAMILIES.index(name) for name in setup.families)
    record["difficulty_low"], record["difficulty_high"] = setup.difficulty
    for name in ("ped_speed", "ped_count", "width"):
        record[name] = getattr(setup, name)
    for name in RewardWeights.model_fields:
        record[name] = getattr(setup.reward, name)
    return record
