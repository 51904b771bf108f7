"""An episode as it is shown: a picture or a text of every moment, and beside it what was done, paid and counted."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.dataset.anomaly_rules import Anomaly
from headstart.worlds.api import Observations, World


class Frames(Sequence[Any]):
    """Pictures [H, W, 3] u8, kept compressed: a thousand would fill the memory."""

    def __init__(self) -> None:
        self._kept: list[tuple[bytes, tuple[int, ...]]] = []

    def append(self, picture: Array) -> None:
        self._kept.append((zlib.compress(np.ascontiguousarray(picture).tobytes(), 1), picture.shape))

    def __getitem__(self, at: Any) -> Any:
        data, shape = self._kept[at]
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)

    def __len__(self) -> int:
        return len(self._kept)


@dataclass
class Track:
    """T steps of one agent. Moment t is before action t; moment T, if it can be seen, is the end."""

    title: str
    about: str = ""  # where, for a line below the title
    legend: str = ""  # what the picture shows
    action_names: tuple[str, ...] = ()  # K; empty: actions are real
    term_names: tuple[str, ...] = ()  # R
    counter_names: tuple[str, ...] = ()  # S
    frames: Frames = field(default_factory=Frames)
    texts: list[str] = field(default_factory=list)
    action: list[Any] = field(default_factory=list)  # [T] id, or [D]
    mask: list[list[int] | None] = field(default_factory=list)  # [T]
    probability: list[float | None] = field(default_factory=list)  # [T] of the action; None: not measured
    reward: list[float] = field(default_factory=list)  # [T]
    terms: list[list[float]] = field(default_factory=list)  # [T][R]
    counters: list[list[float]] = field(default_factory=list)  # [T + 1][S], before action t
    end: str = ""  # terminated, truncated or empty: it goes on
    marks: tuple[Anomaly, ...] = ()
    checked: str = ""  # in which episodes anomalies were looked for; empty: in none
    says: tuple[str, ...] = ()  # what was proved, in words

    def __len__(self) -> int:
        return len(self.action)

    @property
    def moments(self) -> Sequence[Any]:
        """Pictures, or texts where the world was not drawn."""
        return self.frames if len(self.frames) else self.texts

    def see(self, world: World, agent: int) -> None:
        """Keep what the first world of `world` shows now."""
        if world.render_mode is not None:
            rendered = world.render()
            assert rendered is not None
            self._keep(rendered[0])
        self._count(world.running_stats[0, agent])

    def acted(self, obs: Observations, row: int, action: Array, probability: float | None = None) -> None:
        """Keep what is done in row `row` of observations."""
        mask = obs.get("mask")
        self.mask.append(None if mask is None else [int(allowed) for allowed in mask[row]])
        self.action.append(action.tolist())
        self.probability.append(probability)

    def paid(self, row: int, reward: Array, terminated: Array, truncated: Array, info: dict[str, Any]) -> bool:
        """Keep what a step gave row `row`; whether its episode ended."""
        self.reward.append(float(reward[row]))
        self.terms.append([float(term) for term in info["reward_terms"][row]])
        self.end = "terminated" if terminated[row] else "truncated" if truncated[row] else ""
        return bool(self.end)

    def ended(self, info: dict[str, Any], agent: int) -> None:
        """Keep the last moment, where the world tells it, and the counters at the end."""
        if "final_render" in info:
            self._keep(info["final_render"][0])
        self._count(info["stats"][0, agent] if info["episode_end"][0] else np.array(self.counters[-1]))

    def _keep(self, shown: Any) -> None:
        if isinstance(shown, str):
            self.texts.append(shown)
        else:
            self.frames.append(shown)

    def _count(self, stats: Array) -> None:
        self.counters.append([float(value) for value in stats])


def track_of(world: World, title: str, about: str = "") -> Track:
    """An empty track of `world`."""
    names = world.names
    drawing = f"headstart.worlds.{names.world}.draw.picture"
    legend = import_module(drawing).LEGEND if names.world in ("town", "nav") else ""
    return Track(title, about, legend, names.actions, names.reward_terms, names.stats)


def side_by_side(tracks: Sequence[Track]) -> Iterator[tuple[Any, ...]]:
    """The moments of all tracks in step; the last of a shorter one stays."""
    longest = max(len(track.moments) for track in tracks)
    for t in range(longest):
        yield tuple(track.moments[min(t, len(track.moments) - 1)] for track in tracks)
