"""The rules of `anomalies` for what cannot be in an episode, and what all rules share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.dataset.episodes import Absent, Episodes
from headstart.dataset.lags import LAGS
from headstart.dataset.observation import ObservationSchema
from headstart.dataset.pairing import Fit, lag_scores_of

LAG_ADVANTAGE = 0.2  # by which actions of another row fit better
MAX_RANGES = 4  # of one kind; more are reported as one

# World → feature → by how much one step can change it, in its own unit. A robot drives 2 m/s · 0.1 s and its goal stands still, seen up to 16 m;
# an agent walks one cell and may be displaced by another, and every object stands still.
STEP: Mapping[str, Mapping[str, float]] = {
    "nav": {"goal_distance": 0.2 / 16},
    "town": {f"{kind}_distance": 2 / 32 for kind in ("fridge", "stove", "shower", "bed", "workplace")},
}
STEP_SLACK = 1.02
TOUCH: Mapping[str, tuple[str, ...]] = {"nav": ("ray", "ped")}  # features so named are 1 where something touches the robot
ENDING: Mapping[str, tuple[str, ...]] = {"nav": ("collision", "success"), "town": ("terminal",)}  # terms paid in a last step only


@dataclass(frozen=True)
class Anomaly:
    """Steps count from 0; the last observation, after which nothing is done, is the step `length`."""

    kind: str
    first_step: int
    last_step: int
    text: str


class Usual(NamedTuple):
    """What the episodes of a dataset are held to."""

    schema: ObservationSchema
    horizon: int  # steps
    own_world: bool  # one of this package, whose horizon ends episodes and nothing else truncates them
    absent: tuple[Absent, ...]  # what a recording of another program does not have
    limits: Array  # [2, F]
    reward_median: Array  # [1 + R], of the reward and of its terms
    reward_scale: Array  # [1 + R], 1.4826 median absolute deviations
    reward_reach: Array  # [1 + R], farthest from the median that nearly all episodes get
    pairing: Fit | None
    twins: Mapping[int, int]  # episode → another one that is the same up to noise
    common: Mapping[str, float] = MappingProxyType({})  # behaviour that many of the episodes show → their share


Rule = Callable[[Episodes, int, Usual], Iterator[Anomaly]]


def rewards_of(episodes: Episodes, rows: slice = slice(None)) -> Array:
    """[T, 1 + R] f64: the reward and its terms."""
    return np.concatenate([episodes.reward[rows, None], episodes.reward_terms[rows]], axis=1, dtype=np.float64)


# --- faults -----------------------------------------------------------------------------------------------------------


def _values(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """Numbers that are not finite or out of range, and actions that are not allowed."""
    rows, last = place(episodes, e), {name: column[e : e + 1] for name, column in episodes.final_observation.items()}
    features = np.concatenate([episodes.observation["features"][rows], last["features"]])
    names = known.schema.features
    yield from _cells("not-finite", ~np.isfinite(features), names, features, "not finite")
    out = np.isfinite(features) & ((features < known.limits[0]) | (features > known.limits[1]))
    yield from _cells("out-of-range", out, names, features, f"out of {_span(known.limits)}")
    rewards, terms = rewards_of(episodes, rows), ("reward", *known.schema.reward_terms)
    yield from _cells("not-finite", ~np.isfinite(rewards), terms, rewards, "not finite")
    action, schema = episodes.action[rows], known.schema
    if schema.actions:
        outside = np.asarray((action < 0) | (action >= len(schema.actions)))
        yield from ranges(
            "forbidden-action",
            _masked(episodes, rows, action) & ~outside,
            lambda t: f"{schema.actions[action[t]]} is not allowed by the mask",
        )
    else:
        low, high = (np.array(bound, np.float32) for bound in (schema.action_low, schema.action_high))
        outside = np.asarray(~((action >= low) & (action <= high)).all(axis=1))
    yield from ranges("out-of-range", outside, lambda t: f"action {np.asarray(action[t]).tolist()} is not in the action space")


def _masked(episodes: Episodes, rows: slice, action: Array) -> Array:
    """[T] bool: the mask does not allow the action; ids that do not exist are not asked for."""
    mask = episodes.action_mask
    if mask is None:
        return np.zeros(len(action), bool)
    return np.asarray(~mask[rows][np.arange(len(action)), np.clip(action, 0, mask.shape[1] - 1)])


def _displacement(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """A place that cannot be reached in one step: rows are missing, or not of one episode."""
    reach, names = STEP.get(known.schema.world, {}), known.schema.features
    chosen = [names.index(name) for name in reach if name in names]
    if not chosen:
        return
    rows = place(episodes, e)
    path = np.concatenate([episodes.observation["features"][rows], episodes.final_observation["features"][e : e + 1]])[:, chosen]
    moved, limit = np.abs(np.diff(path, axis=0)), STEP_SLACK * np.array([reach[names[c]] for c in chosen])
    far = np.isfinite(moved) & (moved > limit)
    worst = far.argmax(axis=1)

    def text(t: int) -> str:
        c = int(worst[t])
        return f"{names[chosen[c]]} changes by {moved[t, c]:.3g}, the world allows {reach[names[chosen[c]]]:.3g} a step"

    yield from ranges("displacement", np.asarray(far.any(axis=1)), text)


def _end(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """An end without its flag, and a flag without its end."""
    if "ends" in known.absent:
        return
    rows, last = place(episodes, e), int(episodes.table.length[e]) - 1
    terminated, truncated = episodes.terminated[rows], episodes.truncated[rows]
    yield from ranges("end", (terminated | truncated)[:-1], lambda t: "flagged as an end, but the episode goes on")
    whole = _ticks_before(episodes, e)
    at_horizon = known.horizon in (last + 1, None if whole is None else last + 1 + whole)
    if not terminated[last] and not truncated[last]:
        why = f"the time-out after {known.horizon} steps has no flag" if at_horizon else "the episode stops without a flag"
        yield Anomaly("end", last, last, why)
    if terminated[last] and truncated[last]:
        yield Anomaly("end", last, last, "flagged as terminated and as truncated")
    if known.own_world and truncated[last] and whole is not None and not at_horizon:
        yield Anomaly("end", last, last, f"truncated after {last + 1 + whole} steps of the world, its horizon is {known.horizon}")
    if last + 1 > known.horizon:
        yield Anomaly("end", known.horizon, last, f"{last + 1} steps, the horizon is {known.horizon}")
    terms = [
        known.schema.reward_terms.index(name) for name in ENDING.get(known.schema.world, ()) if name in known.schema.reward_terms
    ]
    paid = (episodes.reward_terms[rows][:, terms] != 0).any(axis=1) & ~terminated
    names = ", ".join(ENDING.get(known.schema.world, ()))
    yield from ranges("end", paid, lambda t: f"paid for an end ({names}) that is not flagged as terminated")


def _contact(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """The robot touches something, and the episode goes on."""
    kinds, names = TOUCH.get(known.schema.world, ()), known.schema.features
    columns = (
        [i for i, name in enumerate(names) if name.startswith(kinds) and (name.startswith("ray") or name.endswith("proximity"))]
        if kinds
        else []
    )
    if not columns:
        return
    touched = episodes.observation["features"][place(episodes, e)][:, columns] >= 1.0
    text = "touches the robot, and no step is flagged as terminated"
    yield from ranges("contact", np.asarray(touched.any(axis=1)), lambda t: f"{names[columns[int(touched[t].argmax())]]} {text}")


def _pairing(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    """o_t stands beside the action of another step."""
    if known.pairing is None:
        return
    scores = lag_scores_of(episodes, e, known.pairing)
    if not scores:
        return
    ahead = {kind: max(found[0], found[2]) - found[1] for kind, found in scores.items()}
    if min(ahead.values()) <= LAG_ADVANTAGE:
        return
    kind, found = max(scores.items(), key=lambda one: ahead[one[0]])
    lags = ", ".join(f"{lag:+d}: {score:.2f}" for lag, score in zip(LAGS, found, strict=True))
    text = f"observations fit the actions of another row: agreement by {kind} of the action at each lag: {lags}"
    yield Anomaly("pairing", 0, int(episodes.table.length[e]) - 1, text)


def _twin(episodes: Episodes, e: int, known: Usual) -> Iterator[Anomaly]:
    if (other := known.twins.get(e)) is not None:
        name = episodes.table.episode_id[other].decode("utf-8", "replace")
        yield Anomaly("duplicate", 0, int(episodes.table.length[e]) - 1, f"the same as episode {other} ({name}), up to noise")


FAULTS: tuple[Rule, ...] = (_values, _displacement, _end, _contact, _pairing, _twin)


# --- rows of an episode -----------------------------------------------------------------------------------------------


def place(episodes: Episodes, e: int) -> slice:
    start = int(episodes.table.start[e])
    return slice(start, start + int(episodes.table.length[e]))


def _ticks_before(episodes: Episodes, e: int) -> int | None:
    """Steps of the earlier lives of the agent in the episode of its world; None where one of them is missing."""
    table = episodes.table
    before = (table.world == table.world[e]) & (table.agent == table.agent[e]) & (table.episode < table.episode[e])
    return int(table.length[before].sum()) if before.sum() == table.episode[e] else None


def _span(limits: Array) -> str:
    low, high = float(limits[0].min()), float(limits[1].max())
    return f"{low:g} to {high:g}" if (limits[0] == low).all() and (limits[1] == high).all() else "their bounds"


def _cells(kind: str, bad: Array, names: Sequence[str], values: Array, what: str) -> Iterator[Anomaly]:
    """Ranges of rows [T, F] in which a cell is bad."""

    def text(t: int) -> str:
        columns = np.flatnonzero(bad[t])
        more = f" and {len(columns) - 2} more" if len(columns) > 2 else ""
        return f"{', '.join(f'{names[c]} {values[t, c]:.4g}' for c in columns[:2])}{more}: {what}"

    yield from ranges(kind, np.asarray(bad.any(axis=1)), text)


def ranges(kind: str, hits: Array, text: Callable[[int], str]) -> Iterator[Anomaly]:
    """One anomaly a run of hits [T], with the text of its first step; of more than MAX_RANGES runs one."""
    found = runs(hits)
    if len(found) > MAX_RANGES:
        yield Anomaly(kind, found[0][0], found[-1][1], f"{text(found[0][0])}; and in {int(hits.sum()) - 1} further steps")
        return
    for first, last in found:
        yield Anomaly(kind, first, last, text(first))


def runs(hits: Array) -> list[tuple[int, int]]:
    """First and last step of every run of hits [T] bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]]).astype(np.int8)))
    return [(int(first), int(behind) - 1) for first, behind in zip(edges[::2], edges[1::2], strict=True)]
