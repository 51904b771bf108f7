"""The steps of a rollout in which the expert acts instead of the policy.

`step` draws anew for every step (DAgger: Ross, Gordon, Bagnell 2011), `agent_episode` for every episode of a row, and `prefix` gives the expert
the first part of every episode (jump-start: Uchendu et al. 2023).
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import torch

from headstart.core.arrays import Array

Blend = Literal["prefix", "agent_episode", "step"]
BLENDS: tuple[Blend, ...] = get_args(Blend)
WHOLE_EPISODE = 2**31 - 1  # ticks


class Guide:
    """The tick of each of N rows in its episode, and the number of ticks in which the expert acts."""

    def __init__(self, rows: int, episode_ticks: int, generator: torch.Generator) -> None:
        """`episode_ticks`: length of an episode of the expert; a prefix is a fraction of it."""
        self.age = np.zeros(rows, np.int32)
        self.limit = np.zeros(rows, np.int32)
        self.episode_ticks, self.generator = episode_ticks, generator
        self._share = 0.0
        self._blend: Blend = "step"

    def aim(self, share: float, blend: Blend) -> None:
        """Set the expert's share of the next steps. If it rises from 0 or the blend changes, all rows draw again; else they keep their draws."""
        beginning = share > 0 and (self._share == 0 or blend != self._blend)
        self._share, self._blend = share, blend
        if beginning:
            self._draw(np.ones(len(self.age), bool))

    def snapshot(self) -> dict[str, Array]:
        """Everything on which later draws depend, except the generator."""
        aim = np.array([self._share, BLENDS.index(self._blend)])
        return {"age": self.age.copy(), "limit": self.limit.copy(), "aim": aim}

    def restore(self, snapshot: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        self.age[:], self.limit[:] = snapshot["age"], snapshot["limit"]
        self._share, self._blend = float(snapshot["aim"][0]), BLENDS[int(snapshot["aim"][1])]

    def drives(self) -> Array:
        """The rows in which the expert acts now: [N] bool."""
        if self._share == 0:
            return np.zeros(len(self.age), bool)
        if self._blend == "step":
            return self._uniform() < self._share
        return self.age < self.limit

    def advance(self, ended: Array) -> None:
        """One tick has passed; `ended` [N] bool marks the rows whose next episode begins."""
        self.age += 1
        self.age[ended] = 0
        if self._share > 0 and ended.any():
            self._draw(ended)

    def _draw(self, rows: Array) -> None:
        if self._blend == "prefix":
            self.limit[rows] = round(self._share * self.episode_ticks)
        elif self._blend == "agent_episode":
            chosen = self._uniform() < self._share
            self.limit[rows] = np.where(chosen[rows], WHOLE_EPISODE, 0)

    def _uniform(self) -> Array:
        return np.asarray(torch.rand(len(self.age), generator=self.generator).numpy())
