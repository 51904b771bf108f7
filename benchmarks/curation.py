"""`python -m benchmarks.curation [SCENARIO …]`: what each rule of curation does to the clone that is trained on what it leaves.

For every tuning seed a block is recorded with `tuning.capture_seed`. Each rule then rejects what it rejects, a clone learns from the rest, is
asked for the expert's action on the held-out episodes of the *whole* block, and plays `bc_train.closed_loop_worlds` worlds of the purpose
`clone` with `tuning.evaluation_seed`. Nothing here is a seed or a world of a report. The result is kept in benchmarks/curation.json, which git
has, and docs/data.md shows it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.config.params import CurateParams, Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.arrays import Array
from headstart.core.files import write_bytes
from headstart.core.statistics import t_margin, wilson_lower, wilson_upper
from headstart.core.strict_json import parse_json, pretty_json
from headstart.dataset.curation import broken_rules, split_by_world
from headstart.dataset.episodes import Episodes, Header, select
from headstart.dataset.metrics import metrics_of
from headstart.learn.bc import fit, fitting_of, judge
from headstart.learn.evaluation import play_episodes
from headstart.runs.demonstrations import tensors_of
from headstart.runs.expert import script
from headstart.runs.policy import new_network
from headstart.runs.recording import record
from headstart.runs.tuning import for_tuning, require_apart
from headstart.runs.worlds import schema_of, score_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, World

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


def recorded(scenario: Scenario, params: Params, block: int, expert: Callable[[World], Act] = script) -> tuple[Episodes, Header]:
    """As the stage `capture` records a block."""
    numbers = np.arange(block * params.capture.worlds, (block + 1) * params.capture.worlds)
    world = worlds_of(scenario, "capture", len(numbers), params.capture.observation, skip=int(numbers[0]))
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256="0" * 64,
        seed=params.capture.seed,
        observation=schema_of(world),
        writer_version="benchmark",
    )
    return record(world, expert(world), FIRST_WORLD["capture"] + numbers, params.capture, header), header


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
    settings = params.bc_train.model_copy(update={"seed": params.bc_train.seed + seed})
    heldout = split_by_world(episodes.table.world, params.curate.heldout_share, params.curate.seed)
    everything = tensors_of(select(episodes, heldout), settings.gamma)
    train, held = (tensors_of(select(episodes, side & ~reject), settings.gamma) for side in (~heldout, heldout))
    world = worlds_of(scenario, "clone", settings.closed_loop_worlds, params.capture.observation)
    network = new_network(world, params.network, settings.seed)
    for _ in fit(fitting_of(network, train, settings, None), train, held, settings):
        pass
    score = score_of(play_episodes(network, world, params.evaluation.seed + seed, "sampled"), world, scenario)
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
        "accuracy": _short(float(np.mean([one.accuracy for one in clones]))),
    }
    for name in ("success", "harm"):
        count = sum(getattr(one, name) for one in clones)
        apart = np.array([(getattr(a, name) - getattr(b, name)) / a.worlds for a, b in zip(clones, base, strict=True)])
        row[name] = _short(count / worlds)
        row[f"{name}_bounds"] = [_short(wilson_lower(count, worlds)), _short(wilson_upper(count, worlds))]
        margin = t_margin(apart, 0.95)
        row[f"{name}_change"] = [_short(float(apart.mean() + side * margin)) for side in (-1, 0, 1)]
    return row


def _short(value: float) -> float:
    return round(value, 4)


def table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of a table for docs."""
    yield "| rejected | kept | rejected | held-out accuracy | closed-loop success | change | harm | change |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in found.items():
        cells = [f"{row['kept']:,}", f"{row['rejected']:,}", f"{row['accuracy']:.3f}"]
        for what in ("success", "harm"):
            low, mean, high = row[f"{what}_change"]
            cells += [f"{row[what]:.3f}", f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" if row["rejected"] else "–"]
        yield f"| {name} | {' | '.join(cells)} |"


def main(names: list[str]) -> None:
    """Measure the scenarios, print their tables, and keep both beside those that are kept."""
    record = parse_json(RECORD.read_bytes(), str(RECORD)) if RECORD.exists() else {}
    for name in names or SCENARIOS:
        scenario = load_scenario(name)
        params = for_scenario(load_params(), scenario)
        require_apart(load_params(), scenario)
        clones = measured(scenario, for_tuning(params))
        record[name] = {rule: summary(some, clones["nothing"]) for rule, some in clones.items()}
        write_bytes(RECORD, pretty_json(record))
        print("\n".join([name, "", *table(record[name]), ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
