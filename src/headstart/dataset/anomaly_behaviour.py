"""The rules of `anomalies` for behaviour: odd where few episodes of a dataset show it, and else a property of its task."""

from collections.abc import Iterator, Mapping

import numpy as np

from headstart.core.arrays import Array
from headstart.dataset.anomaly_rules import Anomaly, Rule, Usual, place, ranges, rewards_of, runs
from headstart.dataset.episodes import Episodes
from headstart.dataset.metrics import SPEED, STILL_SPEED

ROBUST_Z = 6.0  # of a reward, in 1.4826 median absolute deviations
SPIKE = 2.0  # times as far from the median as MOST of the episodes ever get
MOST = 0.995
SAME_ACTION, DECISIONS = 0.95, 20  # share of the decisions; decisions that an episode needs to tell
FLIPS = 20  # steps in a row
MOVE = 0.1  # of the range of a real action: a smaller change is no flip
CELL = 0.01  # of a real action: nearer ones count as the same
STILL = 50  # steps in a row
CONSTANT = 20  # steps that an episode needs to tell


def _spike(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """A reward, or a term of it, that is far from the median and twice as far as nearly all episodes get."""
    if "rewards" in known.absent:
        return
    away = np.nan_to_num(np.abs(rewards_of(episodes, place(episodes, e)) - known.reward_median), posinf=0.0)
    least = np.maximum(SPIKE * known.reward_reach, known.reward_reach[0])  # a small term is no spike because it is rare
    far = (away > ROBUST_Z * known.reward_scale) & (away > least) & (away > 0)
    names, rewards = ("reward", *known.schema.reward_terms), rewards_of(episodes, place(episodes, e))

    def text(t: int) -> str:
        c = int(far[t].argmax())
        where = (
            f"; all but {1 - MOST:.1%} of the episodes stay within {known.reward_reach[c]:.3g} of it"
            if known.reward_reach[c]
            else ""
        )
        return f"{names[c]} {rewards[t, c]:.4g}, median {known.reward_median[c]:.4g}{where}"

    yield from ranges("reward-spike", far.any(axis=1), text)


def _constant(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    reward = episodes.reward[place(episodes, e)]
    if "rewards" not in known.absent and len(reward) >= CONSTANT and (reward == reward[0]).all():
        yield Anomaly("constant-reward", 0, len(reward) - 1, f"every one of {len(reward)} steps pays {reward[0]:.4g}")


def _same_action(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    rows = place(episodes, e)
    mask = episodes.action_mask
    steps = np.arange(rows.stop - rows.start) if mask is None else np.flatnonzero(mask[rows].sum(axis=1) >= 2)
    if len(steps) < DECISIONS:
        return
    values, count = np.unique(_cells_of(episodes.action[rows][steps]), axis=0, return_counts=True)
    share, value = count.max() / len(steps), values[count.argmax()]
    if share > SAME_ACTION:
        name = (
            known.schema.actions[int(value)]
            if known.schema.actions and 0 <= value < len(known.schema.actions)
            else str(value.tolist())
        )
        text = f"{name} is the action of {count.max()} of {len(steps)} decisions"
        yield Anomaly("same-action", int(steps[0]), int(steps[-1]), text)


def _flip_flop(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """Two actions in turn, or a real action that reverses its change in every step."""
    action = episodes.action[place(episodes, e)]
    if len(action) <= FLIPS:
        return
    if action.ndim == 1:
        turns = (action[2:] == action[:-2]) & (action[2:] != action[1:-1])
    else:
        reach = MOVE * (np.array(known.schema.action_high) - np.array(known.schema.action_low))
        change = np.diff(action, axis=0)
        turns = ((change[1:] * change[:-1] < 0) & (np.minimum(np.abs(change[1:]), np.abs(change[:-1])) > reach)).any(axis=1)
    for first, last in runs(turns):
        if last - first + 3 >= FLIPS:
            yield Anomaly("flip-flop", first, last + 2, f"the action turns back in each of {last - first + 3} steps")


def _still(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    name = SPEED.get(known.schema.world)
    if name not in known.schema.features:
        return
    speed = episodes.observation["features"][place(episodes, e)][:, known.schema.features.index(name)]
    for first, last in runs(np.abs(speed) < STILL_SPEED):
        if last - first + 1 >= STILL:
            yield Anomaly("no-movement", first, last, f"does not move in {last - first + 1} steps")


def _cells_of(action: Array) -> Array:
    return action if action.ndim == 1 else np.round(action / CELL)


BEHAVIOUR: Mapping[str, Rule] = {
    "reward-spike": _spike,
    "constant-reward": _constant,
    "same-action": _same_action,
    "flip-flop": _flip_flop,
    "no-movement": _still,
}
