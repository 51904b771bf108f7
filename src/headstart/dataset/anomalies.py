"""What is odd in one episode: what cannot be (faults), and behaviour that few episodes of its dataset show.

A fault is reported wherever it is found. Behaviour (a spike, a constant reward, one action only, flip-flop, no movement) belongs to the task
where many episodes show it, as CartPole pays 1 in every step: it is reported only where at most COMMON of the episodes do.
"""

import numpy as np

from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.dataset.anomaly_behaviour import BEHAVIOUR, MOST
from headstart.dataset.anomaly_rules import FAULTS, Anomaly, Usual, rewards_of
from headstart.dataset.episodes import Absent, Episodes, select
from headstart.dataset.gates import FAR, UNBOUNDED
from headstart.dataset.near_duplicates import twins
from headstart.dataset.observation import ObservationSchema
from headstart.dataset.pairing import fit_pairing

SAMPLE = 400  # episodes that tell what is usual
COMMON = 0.02  # of them: behaviour that more show is the task's


def anomalies(episodes: Episodes, e: int, known: Usual) -> tuple[Anomaly, ...]:
    """Of episode `e` (index into the table), in the order of their steps."""
    rules = FAULTS + tuple(rule for kind, rule in BEHAVIOUR.items() if kind not in known.common)
    found = [anomaly for rule in rules for anomaly in rule(episodes, e, known)]
    return tuple(sorted(found, key=lambda one: (one.first_step, one.last_step, one.kind)))


def usual(
    episodes: Episodes,
    schema: ObservationSchema,
    scenario: Scenario,
    bounds: Array | None = None,
    absent: tuple[Absent, ...] = (),
) -> Usual:
    """What is usual in a dataset. `bounds` [2, F]: of the world's features, infinite where it has none."""
    count = len(episodes.table.length)
    sample = select(episodes, np.arange(count) % (count // SAMPLE + 1) == 0) if count > SAMPLE else episodes
    median, scale, reach = _usual_rewards(episodes)
    known = Usual(
        schema,
        scenario.horizon,
        not scenario.is_foreign,
        absent,
        _limits(sample.observation["features"], scenario.feature_limits, bounds),
        median,
        scale,
        reach,
        fit_pairing(sample, len(schema.actions)),
        twins(episodes),
    )
    n = len(sample.table.length)
    shown = {kind: sum(any(rule(sample, e, known)) for e in range(n)) for kind, rule in BEHAVIOUR.items()}
    constant = {"constant-reward": 1.0} if scenario.constant_reward else {}
    return known._replace(common={kind: count / n for kind, count in shown.items() if count > max(1.0, COMMON * n)} | constant)


def _usual_rewards(episodes: Episodes) -> tuple[Array, Array, Array]:
    """Median, scale and reach, [1 + R] each."""
    columns, start = rewards_of(episodes), episodes.table.start
    some = columns[:: len(columns) // 200_000 + 1]
    some = some[np.isfinite(some).all(axis=1)]
    median = np.median(some, axis=0) if len(some) else np.zeros(columns.shape[1])
    scale = 1.4826 * np.median(np.abs(some - median), axis=0) if len(some) else np.zeros(columns.shape[1])
    farthest = np.maximum.reduceat(np.nan_to_num(np.abs(columns - median)), start)  # [E, 1 + R]
    if len(start) == 1:  # nothing to compare it with
        return median, scale, np.zeros(columns.shape[1])
    return median, scale, np.quantile(farthest, MOST, axis=0, method="lower")


def _limits(features: Array, said: tuple[float, float], bounds: Array | None) -> Array:
    """[2, F], as the gate `feature-range` has them: those said, else the world's, else FAR interquartile ranges from the median."""
    if np.isfinite(said).all():
        return np.tile(np.array(said, np.float32)[:, None], (1, features.shape[1]))
    finite = np.isfinite(features)
    known = np.where(finite, features, np.where(finite.any(axis=0), np.nan, 0.0))  # [N, F]; a feature that never has a number: 0
    low, middle, high = np.nanquantile(known, [0.25, 0.5, 0.75], axis=0)
    reach = FAR * np.where(high > low, high - low, 1.0)
    far = np.stack([middle - reach, middle + reach])
    return far if bounds is None else np.asarray(np.where(np.abs(bounds) < UNBOUNDED, bounds, far))
