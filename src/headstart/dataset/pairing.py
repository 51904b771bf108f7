"""Does row t of one episode hold the observation from which a_t was chosen? Its dataset tells what an action does and when it is chosen.

As `lags`, which judges a whole recording, with fits that are made once for all episodes: what a step changes, from observation and action, and
which action is chosen, from the observation (ridge regression). An episode whose actions of one row before or after fit better is a step off.
"""

from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.dataset.episodes import Episodes
from headstart.dataset.lags import LAGS, TELLS

ROWS, LEAST_ROWS = 20_000, 200  # to fit on
INNER = 10  # rows of an episode that can tell
RIDGE = 1e-3


class Fit(NamedTuple):
    """Ridge regressions on the features in units of their spread, a constant and, where said, the one-hot or real action [A]."""

    centre: Array  # [F]
    spread: Array  # [F]
    actions: int  # K; 0: actions are real
    chosen: Array | None  # [F + 1, A] → action; None: not better than a constant
    telling: Array  # [M] features whose change the action explains
    alone: Array  # [F + 1, M] → their change
    acted: Array  # [F + 1 + A, M] → their change


def fit_pairing(episodes: Episodes, actions: int) -> Fit | None:
    """None where there are too few steps, or actions can neither be predicted nor seen in what they change."""
    rows = _inner(episodes)
    rows = rows[:: len(rows) // ROWS + 1]
    features = episodes.observation["features"]
    if len(rows) < LEAST_ROWS or not np.isfinite(features[rows]).all():
        rows = rows[np.isfinite(features[rows]).all(axis=1) & np.isfinite(features[rows + 1]).all(axis=1)]
    if len(rows) < LEAST_ROWS:
        return None
    centre, spread = features[rows].mean(axis=0), np.maximum(features[rows].std(axis=0), 1e-6)
    now, change = (features[rows] - centre) / spread, (features[rows + 1] - features[rows]) / spread
    label, taken = _targets(episodes.expert_action[rows], actions), _targets(episodes.action[rows], actions)
    chosen, alone = _ridge(_one(now), label), _ridge(_one(now), change)
    acted = _ridge(_one(now, taken), change)
    left, rest = (((change - x @ w) ** 2).sum(axis=0) for x, w in ((_one(now), alone), (_one(now, taken), acted)))
    telling = np.flatnonzero((1 - rest / np.maximum(left, 1e-9) > TELLS) & (left > 1e-3 * len(rows)))
    predicted = _score(label, _one(now) @ chosen, actions) - _score(label, np.tile(label.mean(axis=0), (len(rows), 1)), actions)
    if predicted < TELLS and not len(telling):
        return None
    kept = chosen if predicted >= TELLS else None
    return Fit(centre, spread, actions, kept, telling, alone[:, telling], acted[:, telling])


def lag_scores_of(episodes: Episodes, e: int, fit: Fit) -> dict[str, tuple[float, ...]]:
    """Of one episode, by each fit that tells: how well the actions at LAGS fit; empty where it is too short."""
    start, length = int(episodes.table.start[e]), int(episodes.table.length[e])
    rows = np.arange(start + 1, start + length - 2)
    features = episodes.observation["features"][start : start + length]
    if len(rows) < INNER or not np.isfinite(features).all() or not _varies(episodes.action[rows]):
        return {}
    scaled = (features - fit.centre) / fit.spread
    now, change = scaled[1:-2], np.diff(scaled, axis=0)[1:-1][:, fit.telling]
    found: dict[str, tuple[float, ...]] = {}
    if fit.chosen is not None:
        guess = _one(now) @ fit.chosen
        found["choice"] = tuple(
            _score(_targets(episodes.expert_action[rows + lag], fit.actions), guess, fit.actions) for lag in LAGS
        )
    if len(fit.telling):
        left = ((change - _one(now) @ fit.alone) ** 2).sum(axis=0)
        moved = left > 1e-3 * len(rows)
        if moved.any():
            width = features.shape[1]
            base, effect = now @ fit.acted[:width] + fit.acted[-1], fit.acted[width:-1]
            taken = (_targets(episodes.action[rows + lag], fit.actions) for lag in LAGS)
            rest = [((change - base - one @ effect) ** 2).sum(axis=0) for one in taken]
            found["effect"] = tuple(float(np.mean(1 - of[moved] / left[moved])) for of in rest)
    return found


def _inner(episodes: Episodes) -> Array:
    """Rows that have one before and one behind in their episode."""
    table = episodes.table
    edge = np.zeros(len(episodes.reward), bool)
    edge[table.start] = edge[table.start + table.length - 1] = True
    return np.flatnonzero(~edge)


def _varies(action: Array) -> bool:
    return bool((action != action[:1]).any())


def _targets(action: Array, actions: int) -> Array:
    """[M, K] one-hot, or [M, D] as they are; an id that does not exist is none."""
    return np.eye(actions + 1)[np.clip(action, -1, actions)][:, :actions] if actions else action.astype(np.float64)


def _one(*parts: Array) -> Array:
    return np.concatenate([*parts, np.ones((len(parts[0]), 1))], axis=1)


def _ridge(x: Array, y: Array) -> Array:
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y))


def _score(wanted: Array, guess: Array, actions: int) -> float:
    """Agreement of ids, or share of variance explained."""
    if actions:
        return float((wanted.argmax(axis=1) == guess.argmax(axis=1)).mean())
    spread = ((wanted - wanted.mean(axis=0)) ** 2).sum()
    return float(1 - ((wanted - guess) ** 2).sum() / max(spread, 1e-9))
