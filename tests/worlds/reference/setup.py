"""What a scenario file sets about its town, and the defaults (§4, §8)."""

from dataclasses import dataclass, field
from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "need": {"hunger": (3500, 5500), "hygiene": (3500, 5500), "energy": (6000, 9000)},  # bp, at the start
    "decay": {"hunger": 20, "hygiene": 15, "energy": 12},  # bp a tick
    "shift": {"first": 30, "spacing": 10, "jitter": 10, "length": 30},  # ticks
    "perturbations": {"price_spike": 0, "blackout": 0, "outage": 0, "meet": 0},  # chance in a tick, millionths
}


@dataclass(frozen=True)
class Setup:
    """One scenario."""

    horizon: int  # ticks
    layout: str
    agents: int
    respawn: bool = True  # False: an agent whose life ends has left the town (§4, the PettingZoo form)
    need: dict[str, tuple[int, int]] = field(default_factory=dict)
    decay: dict[str, int] = field(default_factory=dict)
    wallet: tuple[int, int] = (150, 250)  # cents
    fridge_stock: int = 8
    stove_stock: int = 4
    restock_every: int = 60  # ticks; 0: never
    day: int = 120  # ticks
    rivalry: tuple[int, int] = (0, 0)  # bp, at the start
    rivalry_decay: int = 30  # bp a tick
    jobs: int = 0
    shift: dict[str, int] = field(default_factory=dict)
    perturbations: dict[str, int] = field(default_factory=dict)
    pay_first_service: bool = True


def read_setup(setup: dict[str, Any], horizon: int, respawn: bool = True) -> Setup:
    """The `setup` section of a scenario file, with defaults for missing keys."""
    complete = {name: default | setup.get(name, {}) for name, default in DEFAULTS.items()}
    return Setup(horizon=horizon, respawn=respawn, **(setup | complete))
