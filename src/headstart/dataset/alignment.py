"""Does row t hold the observation from which a_t was chosen? Two signs of a recorder that is a step off, without replay.

The kept final observation o_T is the anchor. A recorder that pairs a_t with o_{t+1} stores o_T (or, after an automatic reset, the next
episode's o_0) in the last row; one that lags stores o_0 twice (or the previous episode's end) first. So in most episodes the last row
*equals* the final observation or the first row the second, or an edge of the episode is a leap larger than any step within it. Replay
proves alignment with the world at hand; these also show a world that is a step off itself.
"""

from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.core.verdict import Check, Outcome, at_most, unmeasured
from headstart.dataset.episodes import Episodes

SAMPLE = 256  # episodes, evenly spread
LEAP = 1.5  # times the largest step within the episode
UNMEASURED = "needs episodes of four steps or more, and features that are finite"
HALF = 0.5  # of the episodes; an aligned recorder has about 0, one that is a step off about 1


class Edges(NamedTuple):
    """Distances between successive observations of S sampled episodes, features scaled to unit deviation."""

    first: Array  # [S] from row 0 to row 1
    last: Array  # [S] from the last row but one to the last
    final: Array  # [S] from the last row to the final observation
    largest: Array  # [S] largest step strictly between these
    still: float  # share of the steps between in which nothing changes


def alignment_gates(episodes: Episodes) -> list[Check]:
    """The two signs, of episodes that tile the steps."""
    edges = _edges(episodes)
    if edges is None:
        return [unmeasured(name, "<=", HALF, UNMEASURED) for name in ("observation-repeats", "observation-leaps")]
    return [_repeats(edges), _leaps(edges)]


def _repeats(edges: Edges) -> Check:
    """Share of episodes that repeat an observation at an edge, above the share of steps in which nothing changes anyway."""
    end = float(np.mean(edges.final == 0)) - edges.still
    start = float(np.mean(edges.first == 0)) - edges.still
    text = (
        f"share of episodes, less chance: last row equals the final observation {end:+.2f}, "
        f"first row equals the second {start:+.2f}"
    )
    return at_most("observation-repeats", max(end, start, 0.0), HALF, text, len(edges.first))


def _leaps(edges: Edges) -> Check:
    """Share of episodes with a leap at an edge. Some worlds may truly start or end so: a person looks."""
    end = float(np.mean(np.minimum(edges.last, edges.final) > LEAP * np.maximum(edges.largest, edges.first)))
    inner = np.maximum.reduce([edges.largest, edges.last, edges.final])
    start = float(np.mean(edges.first > LEAP * inner))
    text = f"a leap at the end of {end:.2f} and at the start of {start:.2f} of the episodes"
    return at_most("observation-leaps", max(end, start), HALF, text, len(edges.first), Outcome.HOLD)


def _edges(episodes: Episodes) -> Edges | None:
    table = episodes.table
    long = np.flatnonzero(table.length >= 4)
    if not len(long):
        return None
    sample = long[np.unique(np.linspace(0, len(long) - 1, SAMPLE).astype(int))]
    features = episodes.observation["features"]
    final = episodes.final_observation["features"]
    paths = [
        np.concatenate([features[start : start + length], final[e : e + 1]], dtype=np.float64)
        for e, start, length in zip(sample, table.start[sample], table.length[sample], strict=True)
    ]
    together = np.concatenate(paths)
    if not np.isfinite(together).all():
        return None
    scale = together.std(axis=0)
    scale[scale == 0] = 1.0
    steps = [np.linalg.norm(np.diff(path / scale, axis=0), axis=1) for path in paths]
    inner = np.concatenate([step[1:-2] for step in steps])
    return Edges(
        first=np.array([step[0] for step in steps]),
        last=np.array([step[-2] for step in steps]),
        final=np.array([step[-1] for step in steps]),
        largest=np.array([step[1:-2].max() for step in steps]),
        still=float(np.mean(inner == 0)),
    )
