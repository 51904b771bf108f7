"""What a scenario file may say about a town, with its defaults."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from headstart.errors import InputError
from headstart.worlds.town.state import MAX_AGENTS, NEEDS, SETUP

BasisPoints = tuple[int, int]  # uniform between the two, both included


class Needs(BaseModel):
    """Each need at the start of an episode (bp)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hunger: BasisPoints = (3500, 5500)
    hygiene: BasisPoints = (3500, 5500)
    energy: BasisPoints = (6000, 9000)


class Decay(BaseModel):
    """How much of each need is lost in a tick (bp)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hunger: int = Field(default=20, ge=0, le=1000)
    hygiene: int = Field(default=15, ge=0, le=1000)
    energy: int = Field(default=12, ge=0, le=1000)


class TownSetup(BaseModel):
    """The `setup` section of a town scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    layout: str
    agents: int = Field(ge=1, le=MAX_AGENTS)
    need: Needs = Field(default_factory=Needs)
    decay: Decay = Field(default_factory=Decay)
    wallet: tuple[int, int] = (150, 250)  # cents
    fridge_stock: int = Field(default=8, ge=0, le=12)
    stove_stock: int = Field(default=4, ge=0, le=6)
    restock_every: int = Field(default=60, ge=0)  # ticks; 0: never
    day: int = Field(default=120, ge=1)  # ticks
    rivalry: BasisPoints = (0, 0)  # between every two agents at the start
    rivalry_decay: int = Field(default=30, ge=0, le=10000)  # bp a tick

    @field_validator("wallet", "rivalry")
    @classmethod
    def _ordered(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= value[0] <= value[1] <= 10000:
            raise ValueError("expected [low, high] with 0 <= low <= high <= 10000")
        return value


def read_setup(setup: Mapping[str, Any]) -> TownSetup:
    """Validate a scenario's setup; InputError names every wrong key."""
    try:
        return TownSetup.model_validate(dict(setup))
    except ValidationError as error:
        problems = "; ".join(f"setup.{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r:.60}" for e in error.errors())
        raise InputError(problems) from error


def setup_record(setup: TownSetup, horizon: int) -> np.ndarray:
    """The SETUP record [1] that the rules read (an array, because numba cannot pass a lone record to a parallel loop)."""
    record = np.zeros(1, SETUP)
    for name in ("agents", "day", "fridge_stock", "stove_stock", "restock_every", "rivalry_decay"):
        record[name] = getattr(setup, name)
    record["horizon"] = horizon
    for k, need in enumerate(NEEDS):
        record["need_low"][0, k], record["need_high"][0, k] = getattr(setup.need, need)
        record["decay"][0, k] = getattr(setup.decay, need)
    record["wallet_low"], record["wallet_high"] = setup.wallet
    record["rivalry_low"], record["rivalry_high"] = setup.rivalry
    return record
