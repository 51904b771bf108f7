"""`python -m benchmarks.curation [SCENARIO …]`: what each rule of curation does to the clone that is trained on what it leaves.

For every tuning seed a block is recorded with `tuning.capture_seed`. Each rule then rejects what it rejects, a clone learns from the rest, is
asked for the expert's action on the held-out episodes of the *whole* block, and plays `bc_train.closed_loop_worlds` worlds of the purpose
`clone` with `tuning.evaluation_seed`. Nothing here is a seed or a world of a report. The result is kept in benchmarks/curation.json, which git
has, and docs/data.md shows it.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.studies import change, change_text, closed_loop, fitted, keep, recorded, settings_of, share, short

from headstart.config.params import CurateParams, Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.dataset.curation import broken_rules, split_by_world
from headstart.dataset.episodes import Episodes, Header, select
from headstart.dataset.metrics import metrics_of
from headstart.learn.bc import judge
from headstart.runs.demonstrations import tensors_of
from headstart.runs.worlds import worlds_of

RECORD = Path(__file__).with_suffix(".json")
SCENARIOS = ("queue_conflict", "kitchen_breakfast")
RULES: Mapping[str, tuple[str, ...]] = {  # what is tried → the rules that reject
    "nothing": (),
    "broken episodes (the default)": (
        "not-finite",
        "constraint-violation",
        "duplicate",
        "near-duplicate",
        "too-short",
        "one-action",
    ),
    "low-outlier": ("low-outlier",),
    "blocked": ("blocked",),
    "harm": ("harm",),
    "no-success": ("no-success",),
    "no-success or harm": ("no-success", "harm"),
    "at random, as many as no-success": (),
}
RANDOM = "at random, as many as no-success"
STRICT = {"require_success": True, "reject_harm": True, "max_blocked_share": 0.02, "max_return_drop": 6.0}


class Clone(NamedTuple):
    """What became of one clone."""

    kept: int  # episodes of its block
    rejected: int
    accuracy: float  # on the held-out episodes of the whole block
    success: int
    harm: int
    worlds: int


def measured(scenario: Scenario, params: Params) -> dict[str, list[Clone]]:
    """Rule → a clone a tuning seed. A rule that rejects nothing has the clone of "nothing"."""
    found: dict[str, list[Clone]] = {name: [] for name in RULES}
    for block, seed in enumerate(params.seeds):
        episodes, header = recorded(scenario, params, block)
        for name, reject in rejections(episodes, header, params.curate, seed):
            clone = (
                found["nothing"][block]
                if name != "nothing" and not reject.any()
                else cloned(scenario, params, seed, episodes, reject)
            )
            found[name].append(clone)
            print(f"{scenario.name} {seed} {name}: {clone}", file=sys.stderr, flush=True)
    return found


def rejections(episodes: Episodes, header: Header, settings: CurateParams, seed: int) -> Iterator[tuple[str, Array]]:
    """What is tried, and [E] which episodes it rejects, however many break it."""
    strict = settings.model_copy(update=STRICT)
    metrics = metrics_of(episodes, header.observation)
    broken = broken_rules(episodes, strict, metrics)
    for name, codes in RULES.items():
        hits = np.any([broken[code] for code in codes], axis=0) if codes else np.zeros(len(episodes.table.length), bool)
        if name == RANDOM:
            hits[np.random.default_rng(seed).permutation(len(hits))[: int(broken["no-success"].sum())]] = True
        yield name, hits


def cloned(scenario: Scenario, params: Params, seed: int, episodes: Episodes, reject: Array) -> Clone:
    """Train, judge and play one clone, as the stage `bc_train` does."""
    settings = settings_of(params, seed)
    heldout = split_by_world(episodes.table.world, params.curate.heldout_share, params.curate.seed)
    everything = tensors_of(select(episodes, heldout), settings.gamma)
    train, held = (tensors_of(select(episodes, side & ~reject), settings.gamma) for side in (~heldout, heldout))
    world = worlds_of(scenario, "clone", settings.closed_loop_worlds, params.capture.observation)
    network = fitted(world, params, seed, train, held)
    score = closed_loop(network, world, scenario, params, seed)
    rejected = int(reject.sum())
    return Clone(len(reject) - rejected, rejected, judge(network, everything).accuracy, score.success, score.harm, score.episodes)


def summary(clones: list[Clone], base: list[Clone]) -> dict[str, Any]:
    """Over the seeds: shares with two-sided 90 % bounds (Wilson), and their difference to "nothing", paired by seed (t)."""
    worlds = sum(one.worlds for one in clones)
    row: dict[str, Any] = {
        "kept": sum(one.kept for one in clones),
        "rejected": sum(one.rejected for one in clones),
        "seeds": len(clones),
        "worlds": worlds,
        "accuracy": short(np.mean([one.accuracy for one in clones])),
    }
    for name in ("success", "harm"):
        count = sum(getattr(one, name) for one in clones)
        apart = np.array([(getattr(a, name) - getattr(b, name)) / a.worlds for a, b in zip(clones, base, strict=True)])
        row |= share(name, count, worlds) | {f"{name}_change": change(apart)}
    return row


def table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of a table for docs."""
    yield "| rejected | kept | rejected | held-out accuracy | closed-loop success | change | harm | change |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in found.items():
        cells = [f"{row['kept']:,}", f"{row['rejected']:,}", f"{row['accuracy']:.3f}"]
        for what in ("success", "harm"):
            cells += [f"{row[what]:.3f}", change_text(row[f"{what}_change"]) if row["rejected"] else "–"]
        yield f"| {name} | {' | '.join(cells)} |"


def summaries(scenario: Scenario, params: Params) -> dict[str, Any]:
    """Rule → its row."""
    clones = measured(scenario, params)
    return {rule: summary(some, clones["nothing"]) for rule, some in clones.items()}


if __name__ == "__main__":
    keep(RECORD, sys.argv[1:] or SCENARIOS, summaries, table)
