"""All numbers of a look at a dataset: of every episode, of their spread, of what is covered, of the split, and what of it deserves a look."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.core.arrays import Array
from headstart.core.verdict import Check
from headstart.dataset.alignment import observation_repeats
from headstart.dataset.anomaly_rules import Anomaly
from headstart.dataset.curation import repeats_earlier
from headstart.dataset.episodes import Episodes, select
from headstart.dataset.inspection_anomalies import anomalies_of
from headstart.dataset.inspection_coverage import ActionUse, Behaviour, Range, actions_of, behaviours_of, ranges_of
from headstart.dataset.inspection_episodes import (
    FAR,
    Column,
    back_and_forth,
    commonest,
    longest_runs,
    robust_z,
    slips,
    still_steps,
    strangest,
)
from headstart.dataset.inspection_open import Opened
from headstart.dataset.lags import lag_agreement
from headstart.dataset.metrics import coverage_of, metrics_of
from headstart.dataset.near_duplicates import near_pairs


class Spread(NamedTuple):
    """How the values of some episodes are distributed."""

    n: int
    mean: float
    sd: float
    least: float
    q25: float
    median: float
    q75: float
    most: float


class Outlying(NamedTuple):
    """Accepted episodes that lie far from the others by one number."""

    column: str
    rows: tuple[int, ...]  # farthest first


class Split(NamedTuple):
    """The sides of the accepted episodes, and what stands on both."""

    episodes: tuple[int, int]  # train, held out
    worlds: tuple[int, int]
    leaked: tuple[int, ...]  # worlds on both sides of a block
    copies: tuple[tuple[str, str], ...]  # held-out episode, the episode to train on that is the same up to noise


class Inspection(NamedTuple):
    """What was measured of E recorded episodes; `spread`, `outlying`, coverage and `split` are those of the accepted ones."""

    opened: Opened  # without its steps
    steps: int  # of accepted episodes
    columns: dict[str, Column]
    strange: tuple[str, ...]  # [E] the feature in which an episode is farthest from the others
    spread: dict[str, Spread]
    outlying: tuple[Outlying, ...]
    repeats: tuple[str, ...]  # accepted episodes that are the same as an earlier one
    actions: tuple[ActionUse, ...]  # of a choice
    dimensions: tuple[Range, ...]  # of continuous actions
    behaviours: tuple[Behaviour, ...]
    features: tuple[Range, ...]
    split: Split | None  # None: not split
    alignment: tuple[Check, ...]
    anomalies: dict[int, tuple[Anomaly, ...]]  # row → what is odd in the episode
    sample: Array  # [M, F] features of some accepted steps, spread over all

    @property
    def accepted(self) -> Array:
        """[E] bool."""
        return self.opened.accepted


SAMPLE = 20_000  # steps, with which another dataset is compared
JUDGED_ROWS = 40_000  # of the first episodes, which tell whether actions are a step off
INDEXED = {  # column of metrics.tsv → label, unit
    "action_entropy": ("action entropy", "bits"),
    "blocked_share": ("blocked steps", "share"),
    "waiting_share": ("waiting steps", "share"),
    "state_coverage": ("state coverage", "share"),
    "violations": ("violations", "steps"),
}
OUTLYING = ("return", "length", "peak_reward", "strangeness")  # the numbers by which episodes are called outliers


def inspected(root: Path, opened: Opened) -> Inspection:
    """Everything. 10,000 episodes of 128 steps with 180 features take half a minute and 2.5 GB."""
    odd = anomalies_of(root, opened)
    columns, strange = _columns(opened)
    columns["anomalies"] = Column("anomalies", "", _placed(opened, np.array([len(odd.get(int(r), ())) for r in opened.row])))
    accepted = opened.accepted
    used = accepted[opened.row]  # [S]
    episodes = opened.episodes if used.all() else select(opened.episodes, used)
    row = opened.row[used]
    ids = opened.ids
    heldout = None if opened.manifest is None else opened.side[row] == "heldout"
    held_rows = None if heldout is None else np.repeat(heldout, episodes.table.length)
    choice = bool(opened.schema.actions)
    numbered = [f"action[{d}]" for d in range(0 if choice else episodes.action.shape[1])]
    names = opened.schema.features
    return Inspection(
        opened=opened._replace(episodes=select(opened.episodes, np.zeros(len(opened.row), bool))),
        steps=int(opened.table.length[accepted].sum()),
        columns=columns,
        strange=strange,
        spread={name: found for name, column in columns.items() if (found := spread_of(column.values[accepted]))},
        outlying=tuple(Outlying(name, _far(columns[name].values, accepted)) for name in OUTLYING if name in columns),
        repeats=tuple(ids[at] for at in row[repeats_earlier(episodes)]),
        actions=actions_of(episodes, opened.schema, heldout) if choice else (),
        dimensions=() if choice else ranges_of(episodes.action, numbered, held_rows),
        behaviours=behaviours_of(episodes),
        features=ranges_of(episodes.observation["features"], names, held_rows),
        split=None if heldout is None else _split(opened, episodes, row, heldout),
        alignment=_alignment(opened, episodes),
        anomalies=odd,
        sample=episodes.observation["features"][:: len(episodes.reward) // SAMPLE + 1].copy(),
    )


def spread_of(values: Array) -> Spread | None:
    """Of those that were measured; None where none was."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    quantiles = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Spread(len(known), float(known.mean()), float(known.std()), *quantiles)


def _columns(opened: Opened) -> tuple[dict[str, Column], tuple[str, ...]]:
    """Name → number of every episode, NaN where it was not measured; and the feature in which each is farthest from the others."""
    episodes, table, placed = opened.episodes, opened.table, partial(_placed, opened)
    start, length = episodes.table.start, episodes.table.length
    still = still_steps(episodes, "final_observations" not in opened.absent)
    change, turned = back_and_forth(episodes, opened.schema)
    far, which = strangest(episodes)
    choice = bool(opened.schema.actions)
    found = {
        "return": Column("return", "", _known(opened, "rewards", table.total_reward)),
        "length": Column("length", "steps", table.length.astype(np.float64)),
        "success": Column("success", "", _known(opened, "success", table.success)),
        "harm": Column("harm", "", _known(opened, "harm", table.harm)),
        "still": Column("still steps", "share", placed(np.add.reduceat(still, start, dtype=np.float64) / length)),
        "still_run": Column("longest standstill", "steps", placed(longest_runs(still, start))),
        "change": Column(*(("switches", "share") if choice else ("action change", "of range")), placed(change)),
        "reversals": Column("reversals", "share", placed(turned)),
        "slips": Column("slips", "share", placed(_slips(opened))),
        "peak_reward": Column("largest reward", "", placed(_peak(opened))),
        "strangeness": Column("strangeness", "robust z", placed(far)),
    }
    if choice:
        found["commonest"] = Column("commonest action", "share", placed(commonest(episodes, len(opened.schema.actions))))
    found |= {
        name: Column(label, unit, values) for (name, (label, unit)), values in zip(INDEXED.items(), _indexed(opened), strict=True)
    }
    names = np.full(len(table.length), "", object)
    names[opened.row] = np.array(opened.schema.features, object)[which] if opened.schema.features else ""
    return found, tuple(names.tolist())


def _indexed(opened: Opened) -> list[Array]:
    """[E] each: from the file beside the dataset, which knows rejected episodes too; measured where nothing was curated."""
    if opened.metrics is not None:
        return [opened.metrics[name] for name in INDEXED]
    episodes, schema = opened.episodes, opened.schema
    metrics = metrics_of(episodes, schema, opened.absent) | coverage_of(episodes, schema, opened.accepted[opened.row])
    return [_placed(opened, metrics[name]) for name in INDEXED]


def _placed(opened: Opened, values: Array) -> Array:
    """[S] → [E], NaN for episodes whose steps are not here."""
    found = np.full(len(opened.table.length), np.nan)
    found[opened.row] = values
    return found


def _known(opened: Opened, what: str, values: Array) -> Array:
    return np.full(len(values), np.nan) if what in opened.absent else np.asarray(values, np.float64)


def _slips(opened: Opened) -> Array:
    """[S]; a recording without labels has none to tell."""
    found = slips(opened.episodes)
    return found if opened.scenario or found.any() else np.full(len(found), np.nan)


def _peak(opened: Opened) -> Array:
    """[S]: the reward of an episode that is farthest from 0."""
    reward, start = opened.episodes.reward.astype(np.float64), opened.episodes.table.start
    if "rewards" in opened.absent:
        return np.full(len(start), np.nan)
    most, least = np.maximum.reduceat(reward, start), np.minimum.reduceat(reward, start)
    return np.where(np.abs(most) >= np.abs(least), most, least)


def _far(values: Array, accepted: Array) -> tuple[int, ...]:
    """Rows of accepted episodes beyond FAR, the farthest first."""
    z = np.abs(robust_z(np.where(accepted, values, np.nan)))
    far = np.flatnonzero(np.nan_to_num(z) > FAR)
    return tuple(far[np.argsort(-z[far], kind="stable")].tolist())


def _split(opened: Opened, episodes: Episodes, row: Array, heldout: Array) -> Split:
    world, block = opened.table.world[row], opened.block[row]
    keys = block.astype(np.int64) * (2**40) + world  # a world of a block
    leaked = np.intersect1d(keys[heldout], keys[~heldout]) % (2**40)
    both = heldout.any() and not heldout.all()
    pairs = near_pairs(episodes, heldout) if both else []
    ids = opened.ids
    return Split(
        episodes=(int((~heldout).sum()), int(heldout.sum())),
        worlds=(len(np.unique(world[~heldout])), len(np.unique(world[heldout]))),
        leaked=tuple(leaked.tolist()),
        copies=tuple((ids[row[a]], ids[row[b]]) for a, b in pairs),
    )


def _alignment(opened: Opened, episodes: Episodes) -> tuple[Check, ...]:
    """Whether o_t and a_t stand in one row, by statistics alone."""
    if not len(episodes.table.length) or not opened.schema.features:
        return ()
    some = select(episodes, np.cumsum(episodes.table.length) <= max(JUDGED_ROWS, int(episodes.table.length[0])))
    return (
        observation_repeats(episodes, "final_observations" not in opened.absent),
        lag_agreement(some, len(opened.schema.actions)),
    )
