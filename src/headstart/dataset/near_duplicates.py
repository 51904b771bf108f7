"""Held-out episodes that stand, slightly changed, among those that are trained on: then held-out accuracy measures memory.

Episodes are compared by a summary of a few numbers, the nearest with a k-d tree (Bentley 1975), and only pairs that are very near are compared
step by step: 10,000 episodes take less than a second. In an environment with few random numbers episodes lie near each other by chance, so a
pair counts only if it is nearer than a thousandth of the usual distance.
"""

import numpy as np
from scipy.spatial import cKDTree

from headstart.core.arrays import Array
from headstart.core.verdict import Check, at_most
from headstart.dataset.episodes import Episodes, select

DIMENSIONS = 8  # of a summary
NEAR, UNUSUAL = 1e-3, 1e-3  # distance of summaries; share of the median distance to the nearest neighbour
CLOSE = 1e-4  # between two steps, in units of a feature, or of its standard deviation if that is more
MOMENTS = (0.0, 0.3, 0.6, 1.0)  # of an episode, of which its summary tells
SPREAD_ROWS = 50_000  # tell how much a feature moves
LEAST_SPREAD = 0.1  # a feature that hardly moves counts by its units


def near_duplicates(episodes: Episodes, heldout: Array) -> Check:
    """The check of held-out episodes [E] bool."""
    pairs = near_pairs(episodes, heldout) if heldout.any() and not heldout.all() else []
    text = f"held-out episodes that stand among the others: {', '.join(f'{a} as {b}' for a, b in pairs[:3]) or 'none'}"
    return at_most("near-duplicates", len(pairs), 0, text, int(heldout.sum()))


def near_pairs(episodes: Episodes, heldout: Array) -> list[tuple[int, int]]:
    """Held-out episode → one to train on that is the same up to noise."""
    spread = _spread(episodes)
    summary = _summaries(episodes, spread)
    train, held = np.flatnonzero(~heldout), np.flatnonzero(heldout)
    tree = cKDTree(summary[train])
    usual = np.median(np.asarray(tree.query(summary[train], k=2)[0])[:, 1]) if len(train) > 1 else np.inf
    distance, nearest = map(np.asarray, tree.query(summary[held]))
    near = distance <= min(NEAR, UNUSUAL * usual)
    candidates = zip(held[near].tolist(), train[nearest[near]].tolist(), strict=True)
    return [(a, b) for a, b in candidates if _alike(episodes, a, b, CLOSE * np.maximum(spread, 1.0))]


def twins(episodes: Episodes) -> dict[int, int]:
    """Every episode that is the same as another one up to noise → that one, whichever sides they are on."""
    if len(episodes.table.length) < 2:
        return {}
    spread = _spread(episodes)
    summary = _summaries(episodes, spread)
    distance, nearest = map(np.asarray, cKDTree(summary).query(summary, k=2))
    other = np.where(nearest[:, 0] == np.arange(len(summary)), nearest[:, 1], nearest[:, 0])
    # in a dataset of copies the usual distance is none: the exact ones count nevertheless
    near = np.flatnonzero(distance[:, 1] <= max(min(NEAR, UNUSUAL * float(np.median(distance[:, 1]))), 1e-9))
    close = CLOSE * np.maximum(spread, 1.0)
    return {int(e): int(other[e]) for e in near if _alike(episodes, int(e), int(other[e]), close)}


def near_repeats(episodes: Episodes) -> Array:
    """[E] bool: the same as an earlier episode up to noise; what is left has no two that are alike."""
    repeated = np.zeros(len(episodes.table.length), bool)
    pairs = twins(episodes)
    while pairs:
        left = np.flatnonzero(~repeated)
        repeated[left[[max(a, b) for a, b in pairs.items()]]] = True
        pairs = twins(select(episodes, ~repeated))
    return repeated


def _spread(episodes: Episodes) -> Array:
    """[F], in whose units features are compared."""
    features = episodes.observation["features"]
    some = np.nan_to_num(features[:: len(features) // SPREAD_ROWS + 1])
    return np.asarray(np.maximum(some.std(axis=0, dtype=np.float64), LEAST_SPREAD))


def _summaries(episodes: Episodes, spread: Array) -> Array:
    """[E, DIMENSIONS]: random projections of the observations at MOMENTS, in units of their spread [F], of length and return."""
    table, features = episodes.table, episodes.observation["features"]
    rows = [table.start + ((table.length - 1) * moment).astype(np.int64) for moment in MOMENTS]
    parts = [*(features[at] / spread for at in rows), table.length[:, None], table.total_reward[:, None]]
    columns = np.nan_to_num(np.concatenate(parts, axis=1, dtype=np.float64))
    projection = np.random.default_rng(0).standard_normal((columns.shape[1], DIMENSIONS))
    return np.asarray(columns @ projection / np.sqrt(columns.shape[1]))


def _alike(episodes: Episodes, a: int, b: int, close: Array) -> bool:
    """The same length, the same actions, and observations within `close` [F] of each other."""
    table = episodes.table
    if table.length[a] != table.length[b]:
        return False
    rows = [slice(int(table.start[e]), int(table.start[e] + table.length[e])) for e in (a, b)]
    actions, features = (np.stack([column[at] for at in rows]) for column in (episodes.action, episodes.observation["features"]))
    apart = np.abs(np.diff(actions, axis=0)) > (CLOSE if actions.dtype.kind == "f" else 0)
    return not apart.any() and bool((np.abs(np.diff(features, axis=0)) <= close).all())
