"""What a scenario file may say about a town, with its defaults."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from headstart.core.record import Record
from headstart.worlds.town.state import MAX_AGENTS, NEEDS, SETUP


def _ordered(value: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= value[0] <= value[1] <= 10000:
        raise ValueError("expected [low, high] with 0 <= low <= high <= 10000")
    return value


Range = Annotated[tuple[int, int], AfterValidator(_ordered)]  # uniform between the two, both included


class Needs(Record):
    """Each need at the start of an episode (bp)."""

    hunger: Range = (3500, 5500)
    hygiene: Range = (3500, 5500)
    energy: Range = (6000, 9000)


class Decay(Record):
    """How much of each need is lost in a tick (bp)."""

    hunger: int = Field(default=20, ge=0, le=1000)
    hygiene: int = Field(default=15, ge=0, le=1000)
    energy: int = Field(default=12, ge=0, le=1000)


class Shift(Record):
    """When job 0, 1, … begins every day, and for how long (ticks); each episode draws the jitter of each job."""

    first: int = Field(default=30, ge=0)
    spacing: int = Field(default=10, ge=0)
    jitter: int = Field(default=10, ge=0)
    length: int = Field(default=30, ge=1)


class Perturbations(Record):
    """The chance in a tick that one begins (millionths)."""

    price_spike: int = Field(default=0, ge=0, le=1_000_000)
    blackout: int = Field(default=0, ge=0, le=1_000_000)
    outage: int = Field(default=0, ge=0, le=1_000_000)
    meet: int = Field(default=0, ge=0, le=1_000_000)


class TownSetup(Record):
    """The `setup` section of a town scenario."""

    layout: str
    agents: int = Field(ge=1, le=MAX_AGENTS)
    need: Needs = Field(default_factory=Needs)
    decay: Decay = Field(default_factory=Decay)
    wallet: Range = (150, 250)  # cents
    fridge_stock: int = Field(default=8, ge=0, le=12)
    stove_stock: int = Field(default=4, ge=0, le=6)
    restock_every: int = Field(default=60, ge=0)  # ticks; 0: never
    day: int = Field(default=120, ge=1)  # ticks
    rivalry: Range = (0, 0)  # bp, between every two agents at the start
    rivalry_decay: int = Field(default=30, ge=0, le=10000)  # bp a tick
    jobs: int = Field(default=0, ge=0, le=MAX_AGENTS)  # spread evenly over the agents; 0: nobody works
    shift: Shift = Field(default_factory=Shift)
    perturbations: Perturbations = Field(default_factory=Perturbations)
    pay_first_service: bool = True  # whether the first meal, shower, sleep and cooking earn a reward

    @model_validator(mode="after")
    def _shifts_fit_the_day(self) -> "TownSetup":
        last = self.shift.first + self.shift.spacing * (self.jobs - 1) + self.shift.jitter + self.shift.length
        if self.jobs > 0 and last > self.day:
            raise ValueError(f"expected every shift to end within the day of {self.day} ticks, got {last}")
        return self


def setup_record(setup: TownSetup, horizon: int, respawn: bool) -> np.ndarray:
    """The SETUP record [1] that the rules read (an array, because numba cannot pass a lone record to a parallel loop)."""
    record = np.zeros(1, SETUP)
    for name in ("agents", "day", "fridge_stock", "stove_stock", "restock_every", "rivalry_decay", "jobs", "pay_first_service"):
        record[name] = getattr(setup, name)
    for name in ("first", "spacing", "jitter", "length"):
        record[f"shift_{name}"] = getattr(setup.shift, name)
    for name in ("price_spike", "blackout", "outage", "meet"):
        record[name] = getattr(setup.perturbations, name)
    record["horizon"] = horizon
    record["respawn"] = respawn
    for k, need in enumerate(NEEDS):
        record["need_low"][0, k], record["need_high"][0, k] = getattr(setup.need, need)
        record["decay"][0, k] = getattr(setup.decay, need)
    record["wallet_low"], record["wallet_high"] = setup.wallet
    record["rivalry_low"], record["rivalry_high"] = setup.rivalry
    return record
