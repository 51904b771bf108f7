"""Numbers of every recorded episode (`episode-metrics/1`), from its own steps alone but for the coverage; `curate` keeps them as metrics.tsv.

10,000 episodes of 128 steps and 180 features take some two seconds. A number that was not measured is NaN, in the file an empty cell.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.files import read_bytes, write_bytes
from headstart.dataset.episodes import Absent, Episodes
from headstart.dataset.inspection_episodes import still_steps
from headstart.dataset.observation import ObservationSchema

METRICS = {  # column → what it tells
    "steps": "steps of the episode",
    "reward_sum": "sum of its rewards",
    "reward_mean": "reward of a step",
    "state_coverage": "share of the cells of features that the accepted episodes occupy; a feature has BINS cells between its extremes",
    "action_coverage": "share of the actions that the accepted episodes execute; real actions have BINS cells a dimension",
    "violations": "steps with an action that the mask forbids",
    "action_entropy": "bits, of the executed actions; of real ones the mean over their dimensions, in BINS cells",
    "blocked_share": "share of steps without effect: refused by the town, a robot at rest, elsewhere no number of the observation changes",
    "waiting_share": "share of steps with the action `wait`, where the world has one",
    "action_share": "share of the most frequent action among the decisions",
}
TOP = "# episode-metrics/1"
BINS = 10
MAX_BYTES = 1 << 30
EFFECT = "last_ok"  # feature of the town: whether the last action had its effect
WAIT = "wait"
SPEED = {"nav": "v"}  # world → the feature that is its speed as a share of the top speed
STILL_SPEED = 0.01


def metrics_of(episodes: Episodes, schema: ObservationSchema, absent: Sequence[Absent] = ()) -> dict[str, Array]:
    """Column → [E] f64, all but the coverage."""
    start, length = episodes.table.start, episodes.table.length
    total = np.add.reduceat(episodes.reward, start, dtype=np.float64)
    total = np.full(len(start), np.nan) if "rewards" in absent else total
    counts = _counts(episodes, _cells_of_actions(episodes.action, schema))  # [E, D, B]
    share = counts / length[:, None, None]
    entropy = -np.sum(share * np.log2(np.where(share > 0, share, 1.0)), axis=2).mean(axis=1)
    waiting = (
        np.add.reduceat(episodes.action == schema.actions.index(WAIT), start, dtype=np.float64) / length
        if WAIT in schema.actions
        else np.full(len(start), np.nan)
    )
    return {
        "steps": length.astype(np.float64),
        "reward_sum": total,
        "reward_mean": total / length,
        "violations": np.add.reduceat(forbidden(episodes), start, dtype=np.float64),
        "action_entropy": entropy + 0.0,  # no −0
        "blocked_share": np.add.reduceat(blocked(episodes, schema, absent), start, dtype=np.float64) / length,
        "waiting_share": waiting,
        "action_share": action_share(episodes),
    }


def coverage_of(episodes: Episodes, schema: ObservationSchema, accepted: Array) -> dict[str, Array]:
    """Column → [E] f64: what each episode visits of what the `accepted` ones [E] bool visit; NaN of one with numbers that are not finite."""
    if not accepted.any():
        return {name: np.full(len(accepted), np.nan) for name in ("state_coverage", "action_coverage")}
    parts = [
        episodes.observation["features"][rows] for rows in rows_of(episodes)
    ]  # one by one: each fits into the cache of a core
    least, most = (
        np.stack([of(part, axis=0) for part in parts]) for of in (np.min, np.max)
    )  # [E, F]; NaN where an episode has one
    finite = np.isfinite(least).all(axis=1) & np.isfinite(most).all(axis=1)
    bits = _visited(parts, least[accepted].min(axis=0), most[accepted].max(axis=0))
    occupied = np.bitwise_or.reduce(bits[accepted])
    visits = np.bitwise_count(bits & occupied).sum(axis=1, dtype=np.int64)
    taken = _counts(episodes, _cells_of_actions(episodes.action, schema)) > 0  # [E, D, B]
    known = taken[accepted].any(axis=0)
    return {
        "state_coverage": np.where(finite, visits / max(1, int(np.bitwise_count(occupied).sum())), np.nan),
        "action_coverage": (taken & known).sum(axis=(1, 2)) / known.sum(),
    }


def _visited(parts: Sequence[Array], least: Array, most: Array) -> Array:
    """[E, F] u16: a bit for each of BINS cells between `least` and `most` [F] that an episode, a part [T, F], visits."""
    span = most - least
    scale = np.where(span > 0, BINS / np.where(span > 0, span, 1), 0).astype(np.float32)
    bits = np.zeros((len(parts), len(least)), np.uint16)
    with np.errstate(invalid="ignore", over="ignore"):  # of rejected episodes
        for e, part in enumerate(parts):
            cell = np.clip(((part - least) * scale).astype(np.int16), 0, BINS - 1).view(np.uint16)
            bits[e] = np.bitwise_or.reduce(np.left_shift(np.uint16(1), cell), axis=0)
    return bits


def rows_of(episodes: Episodes) -> list[slice]:
    """[E] the rows of each episode in the columns of a step."""
    begins = episodes.table.start.tolist()
    return [slice(start, start + length) for start, length in zip(begins, episodes.table.length.tolist(), strict=True)]


def forbidden(episodes: Episodes) -> Array:
    """[N] bool: the executed action was not allowed by its mask; all false without masks."""
    mask = episodes.action_mask
    if mask is None:
        return np.zeros(len(episodes.action), bool)
    inside = (episodes.action >= 0) & (episodes.action < mask.shape[1])
    allowed = mask[np.arange(len(mask)), np.where(inside, episodes.action, 0)]
    return np.asarray(~(inside & allowed))


def blocked(episodes: Episodes, schema: ObservationSchema, absent: Sequence[Absent] = ()) -> Array:
    """[N] bool: the action of the step had no effect, as far as the world tells."""
    if EFFECT in schema.features:
        return np.asarray(_after(episodes, schema.features.index(EFFECT)) == 0)
    if (name := SPEED.get(schema.world)) in schema.features:
        return np.abs(_after(episodes, schema.features.index(name))) < STILL_SPEED
    return still_steps(episodes, "final_observations" not in absent)


def action_share(episodes: Episodes) -> Array:
    """[E] f64: share of the most frequent action among the steps at which the mask leaves a choice; NaN where none does."""
    mask, table = episodes.action_mask, episodes.table
    chosen = np.ones(len(episodes.reward), bool) if mask is None else mask.sum(axis=1) >= 2
    episode = np.repeat(np.arange(len(table.length)), table.length)[chosen]
    kind = np.unique(episodes.action[chosen], axis=0, return_inverse=True)[1].reshape(-1)
    pair, count = np.unique(episode * (int(kind.max(initial=0)) + 1) + kind, return_counts=True)
    most, decisions = np.zeros(len(table.length)), np.bincount(episode, minlength=len(table.length))
    np.maximum.at(most, pair // (int(kind.max(initial=0)) + 1), count)
    return np.where(decisions > 0, most / np.maximum(decisions, 1), np.nan)


def _after(episodes: Episodes, feature: int) -> Array:
    """[N] f32: a feature in the observation that follows the step."""
    found = np.roll(episodes.observation["features"][:, feature], -1)
    found[episodes.table.start + episodes.table.length - 1] = episodes.final_observation["features"][:, feature]
    return found


def _cells_of_actions(action: Array, schema: ObservationSchema) -> tuple[Array, int]:
    """[N, D] i64 cells, of so many: ids, or tenths of the range of real actions (−1 to 1 where it has no bounds)."""
    if schema.actions:
        return np.clip(action, 0, len(schema.actions) - 1)[:, None], len(schema.actions)
    low, high = (np.array(bound, np.float64) for bound in (schema.action_low, schema.action_high))
    bounded = np.isfinite(low) & np.isfinite(high) & (high > low) & (high - low < np.finfo(np.float32).max)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    share = np.nan_to_num((action - low) / (high - low), nan=0.0)
    return np.clip(share * BINS, 0, BINS - 1).astype(np.int64), BINS


def _counts(episodes: Episodes, cells: tuple[Array, int]) -> Array:
    """[E, D, B] i64: steps of each episode in each cell."""
    (cell, bins), table = cells, episodes.table
    episode = np.repeat(np.arange(len(table.length)), table.length)
    counts = [np.bincount(episode * bins + one, minlength=len(table.length) * bins) for one in cell.T]
    return np.stack([one.reshape(len(table.length), bins) for one in counts], axis=1)


# --- the file -----------------------------------------------------------------------------------------------------------


def write_metrics(path: Path, ids: Array, metrics: Mapping[str, Array]) -> None:
    """A TSV with a row an episode, in the order of the recording, atomically; six digits, so that it has the same bytes on every machine."""
    write_bytes(path, ("\n".join([TOP, "\t".join(("episode_id", *METRICS)), *metrics_lines(ids, metrics)]) + "\n").encode())


def metrics_lines(ids: Array, metrics: Mapping[str, Array]) -> list[str]:
    """A line an episode; `ids` [E] S16."""
    columns = [["" if np.isnan(value) else f"{value:.6g}" for value in metrics[name].tolist()] for name in METRICS]
    return ["\t".join(cells) for cells in zip((name.decode() for name in ids.tolist()), *columns, strict=True)]


def read_metrics(path: Path, ids: Sequence[str]) -> tuple[dict[str, Array], list[str]]:
    """Column → [E] f64 of the episodes `ids`, which are those of the file in its order; and its lines. InputError for another file."""
    text = read_bytes(path, MAX_BYTES).decode(errors="replace")
    *lines, end = text.split("\n")
    top, lines = lines[:2], lines[2:]
    try:
        rows = [line.split("\t") for line in lines]
        if end or top != [TOP, "\t".join(("episode_id", *METRICS))]:
            raise ValueError(f"its first lines are {top}")
        if [row[0] for row in rows] != list(ids):
            raise ValueError("its episodes are not those of episodes.tsv")
        columns = zip(*(row[1:] for row in rows), strict=True)
        found = [np.array([float(cell) if cell else np.nan for cell in column]) for column in columns]
        return dict(zip(METRICS, found, strict=True)), lines
    except ValueError as error:
        raise InputError(f"{path}: expected metrics as `curate` writes them: {error}") from None
