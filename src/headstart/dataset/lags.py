"""Was a recording of another program made with o_t and a_t in one row? Two fits, each at the lags −1, 0 and +1, tell without its simulator.

* Behaviour: a small clone (ridge regression, nearest neighbours) predicts the action from the observation. In an aligned recording it agrees
  most with the action of its own row.
* Dynamics: the action explains what the observation changes by until the next row. In an aligned recording that is the action of the same row.

Either can mislead: an observation that contains the last command shows the action before, and an environment may act on a command late. So the
dynamics of the environment itself, under random actions, say first whether its actions work within a step: then the dynamics decide, and
otherwise the behaviour. Where that is not known, both do, and one that clearly prefers lag 0 is enough. Episodes are split into halves: one to
fit, one to judge.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from headstart.core.arrays import Array
from headstart.core.verdict import Check, at_most, not_applicable
from headstart.dataset.episodes import Episodes

LAGS = (-1, 0, 1)
MAX_ADVANTAGE = 0.03  # by which a lag other than 0 may be better
TELLS = 0.05  # of its best lag above a constant: a fit that gains less tells nothing
ROWS, NEIGHBOURS, NEIGHBOUR_FEATURES = 20_000, 5, 32  # nearest neighbours are asked for in a few dimensions only
MIN_ROWS = 100  # to judge on


class Scores(NamedTuple):
    """Share of agreement, or of variance explained, above a constant, at each of LAGS."""

    behaviour: tuple[float, ...]
    dynamics: tuple[float, ...]


def lag_agreement(episodes: Episodes, actions: int, random: Episodes | None = None) -> Check:
    """The gate; `actions` is K, or 0 where actions are continuous; `random`: episodes of the environment under random actions."""
    name, limit = "lag-agreement", MAX_ADVANTAGE
    scores = lag_scores(episodes, actions)
    if scores is None:
        return not_applicable(name, "<=", limit, f"needs {MIN_ROWS} inner steps in each half of the episodes")
    telling = {kind: found for kind, found in scores._asdict().items() if max(found) >= TELLS}
    if not telling:
        return not_applicable(name, "<=", limit, "neither actions nor their effects can be predicted from the observations")
    telling = {kind: found for kind, found in telling.items() if kind in _trusted(random, actions)} or telling
    advantage = {kind: max(found[0], found[2]) - found[1] for kind, found in telling.items()}
    least, most = min(advantage.values()), max(advantage.values())
    parts = [
        f"{kind} {', '.join(f'{lag:+d}: {one:.3f}' for lag, one in zip(LAGS, found, strict=True))}"
        for kind, found in telling.items()
    ]
    text = f"fit of the action at each lag, above a constant: {'; '.join(parts)}; by how much another lag than 0 is better"
    return at_most(name, least if least < -limit else most, limit, text, len(episodes.reward))


def _trusted(random: Episodes | None, actions: int) -> tuple[str, ...]:
    """Which fits decide, by the environment's own dynamics."""
    scores = None if random is None else lag_scores(random, actions)
    if scores is None or max(scores.dynamics) < TELLS:
        return ("behaviour", "dynamics")
    before, now, after = scores.dynamics
    return ("dynamics",) if now > max(before, after) + MAX_ADVANTAGE else ("behaviour",)


def lag_scores(episodes: Episodes, actions: int) -> Scores | None:
    """The scores of both fits; None where there are too few rows."""
    rows, half = _rows(episodes)
    if min((half == side).sum() for side in (0, 1)) < MIN_ROWS:
        return None
    features = episodes.observation["features"].astype(np.float64)
    features = (features - features[rows].mean(axis=0)) / np.maximum(features[rows].std(axis=0), 1e-6)
    label = episodes.expert_action
    behaviour, dynamics = [], []
    change, now = features[rows + 1] - features[rows], features[rows]
    fit, judged = half == 0, half == 1
    for lag in LAGS:
        behaviour.append(_predicts(now, _targets(label[rows + lag], actions), fit, judged, discrete=actions > 0))
        taken = _targets(episodes.action[rows + lag], actions)
        dynamics.append(_explains(now, taken, change, fit, judged))
    return Scores(tuple(behaviour), tuple(dynamics))


def _rows(episodes: Episodes) -> tuple[Array, Array]:
    """Inner rows [M] of the first episodes, which have a row before and two behind, and the half [M] that each belongs to."""
    start, length = episodes.table.start, episodes.table.length
    long = np.flatnonzero(length >= 4)
    long = long[np.cumsum(length[long]) <= max(ROWS, int(length[long[:2]].sum()) if len(long) else 0)]
    parts = [np.arange(start[e] + 1, start[e] + length[e] - 1) for e in long]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(parts), np.repeat(np.arange(len(parts)) % 2, [len(part) for part in parts])


def _targets(action: Array, actions: int) -> Array:
    """[M, K] one-hot, or [M, D] as they are."""
    return np.eye(actions)[action] if actions else action.astype(np.float64)


def _predicts(features: Array, target: Array, fit: Array, judged: Array, discrete: bool) -> float:
    """The better of a ridge regression and nearest neighbours, above a constant."""
    guesses = [_ridge(features[fit], target[fit], features[judged])]
    if features.shape[1] <= NEIGHBOUR_FEATURES:
        _, near = cKDTree(features[fit]).query(features[judged], k=NEIGHBOURS)
        guesses.append(target[fit][near].mean(axis=1))
    wanted = target[judged]
    if not discrete:
        return max(_explained(wanted, guess) for guess in guesses)
    common = float((wanted.argmax(axis=1) == target[fit].sum(axis=0).argmax()).mean())
    return max(float((wanted.argmax(axis=1) == guess.argmax(axis=1)).mean()) for guess in guesses) - common


def _explains(features: Array, taken: Array, change: Array, fit: Array, judged: Array) -> float:
    """How much of what the observation alone leaves of its change the action explains: the most of any feature."""
    both = np.concatenate([features, taken], axis=1)
    wanted = change[judged]
    alone, with_action = (((wanted - _ridge(x[fit], change[fit], x[judged])) ** 2).sum(axis=0) for x in (features, both))
    unexplained = alone > 1e-3 * ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=0) + 1e-9  # else there is nothing left to explain
    return float((1 - with_action[unexplained] / alone[unexplained]).max(initial=0.0))


def _ridge(x: Array, y: Array, ask: Array) -> Array:
    """Ridge regression of y [M, P] on x [M, Q] with a constant, asked at `ask`."""
    x, ask = (np.concatenate([part, np.ones((len(part), 1))], axis=1) for part in (x, ask))
    weights = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ y)
    return np.asarray(ask @ weights)


def _explained(wanted: Array, guess: Array) -> float:
    """Share of variance explained, mean over dimensions that vary."""
    spread = ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=0)
    varies = spread > 1e-12
    if not varies.any():
        return 0.0
    return float(np.mean(1 - ((wanted - guess) ** 2).sum(axis=0)[varies] / spread[varies]))
