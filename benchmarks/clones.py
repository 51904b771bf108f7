"""`python -m benchmarks.clones [SCENARIO …]`: how well clones predict the robot's expert, what limits them, and how they drive.

For every tuning seed a block is recorded with `tuning.capture_seed`, of an expert that was trained on that seed by the scenario's recipe, or
of its script. Clones are trained with what stood in the recipe before, with one thing changed at a time, and with the recipe. They are asked
for the expert's actions on held-out episodes, and play `WORLDS` worlds of the purpose `clone` with `tuning.evaluation_seed`, as does the
expert. Nothing here is a seed or a world of a report. The result is kept in benchmarks/clones.json, which git has, and docs/design.md shows it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.studies import closed_loop, fitted, keep, recorded, settings_of, share, short

from headstart.compare.arm_runs import Score
from headstart.config.params import Params, changed
from headstart.config.scenario import Scenario
from headstart.dataset.curation import split_by_world
from headstart.dataset.episodes import Episodes, select
from headstart.learn.anneal import run, trainer_of
from headstart.learn.bc import Fit, fits_of, judge
from headstart.learn.evaluation import Acting
from headstart.runs.cloning import component
from headstart.runs.demonstrations import tensors_of
from headstart.runs.expert import script
from headstart.runs.policy import new_network
from headstart.runs.worlds import score_of, worlds_of
from headstart.worlds.api import Act, World, play
from headstart.worlds.nav.expert import EXPERTS, decide_rows

RECORD = Path(__file__).with_suffix(".json")
WORLDS = 1024  # that each clone plays
BLUR = 0.01  # relative noise on what the expert observes, to see how much its own action depends on it
RAYS = 32  # of the robot's lidar
RECIPE = "the recipe"
AGAIN, BLURRED, DRAWN = ASKED = ("asked again", "with 1 % noise on what it observes", "drawing its action")
Changes = dict[str, Any]
BEFORE: Mapping[str, Changes] = {  # scenario → what stood in its recipe
    "nav_mixed": {
        "capture": {"worlds": 800},
        "network": {"hidden": [64, 64]},
        "bc_train": {"epochs": 80, "batch_size": 2048, "learning_rate": 0.005, "weight_decay": 0.0005, "patience": 10},
    },
    "nav_gap_seeker": {
        "capture": {"worlds": 4000},
        "network": {"hidden": [128, 128, 128]},
        "bc_train": {"epochs": 40, "batch_size": 2048, "learning_rate": 0.004, "weight_decay": 0.0, "patience": 10},
    },
}
TRIED: Mapping[str, Mapping[str, Changes]] = {  # scenario → what is tried → what is changed
    "nav_mixed": {
        "before": {},
        "four times the demonstrations": {"capture": {"worlds": 3200}},
        "four times the epochs": {"bc_train": {"epochs": 320, "patience": 40}},
        "minibatches of 512": {"bc_train": {"batch_size": 512}},
        "no weight decay": {"bc_train": {"weight_decay": 0.0}},
        "two layers of 128": {"network": {"hidden": [128, 128]}},
    },
    "nav_gap_seeker": {"before": {}, "minibatches of 512": {"bc_train": {"batch_size": 512}}},
}
ORDER = [*dict.fromkeys(name for tried in TRIED.values() for name in tried), RECIPE]
SEEDS = {("nav_mixed", "before"): 4, ("nav_mixed", RECIPE): 4}  # clones; of the others: 1


class Clone(NamedTuple):
    """What became of one clone."""

    steps: int  # to learn from
    fits: tuple[Fit, ...]
    within: float  # share of held-out steps with every component within 0.15
    constant: float  # of the best constant action
    value_error: float  # of the value head, over that of the untrained network
    score: Score


class Expert(NamedTuple):
    """Who is cloned: how it acts in a world, and what it would do in given features."""

    acts: Callable[[World], Act]
    decides: Callable[[np.ndarray], np.ndarray]  # [B, F] → [B, D]
    samples: Callable[[np.ndarray], np.ndarray] | None  # the same, drawn; None: a script does not draw


def learned(scenario: Scenario, params: Params, seed: int) -> Expert:
    """The expert that the recipe makes of a seed; it acts with its most likely action."""
    recipe = params.expert.train or params.arms["scratch"]
    training = worlds_of(scenario, "training", recipe.ppo.worlds, params.capture.observation)
    evaluation = worlds_of(scenario, "evaluation", 1, params.capture.observation)
    network = new_network(training, params.network, seed)
    for _ in run(trainer_of(network, recipe, training, evaluation, params.evaluation, seed, modes=("deterministic",))):
        pass

    def deciding(mode: Any) -> Callable[[np.ndarray], np.ndarray]:
        acting = Acting(network, seed, mode)
        return lambda features: acting({"features": features}).clip(-1.0, 1.0)

    decides = deciding("deterministic")
    return Expert(lambda world: lambda obs: decides(obs["features"]), decides, deciding("sampled"))


def scripted(scenario: Scenario) -> Expert:
    """The scenario's script."""

    def decides(features: np.ndarray) -> np.ndarray:
        rays, rows = RAYS, len(features)
        actions = np.zeros((rows, 2), np.float32)
        work = (np.zeros((rows, 2 * rays), np.float32), np.zeros((rows, rays), np.float32))
        decide_rows(features, EXPERTS[str(scenario.expert.script)], *work, actions)
        return actions

    return Expert(script, decides, None)


def measured(scenario: Scenario, params: Params) -> dict[str, Any]:
    """The expert's own figures, and what was tried → the clones of its seeds."""
    base = changed(params, BEFORE[scenario.name], "before")
    tried = {name: changed(base, changes, name) for name, changes in TRIED[scenario.name].items()}
    if params != base:
        tried[RECIPE] = params
    clones: dict[str, list[Clone]] = {name: [] for name in tried}
    experts: list[tuple[Score, dict[str, tuple[Fit, ...]]]] = []
    for block, seed in enumerate(params.seeds[: SEEDS.get((scenario.name, "before"), 1)]):
        expert = learned(scenario, base, seed) if scenario.expert.policy == "ppo" else scripted(scenario)
        for name, settings in tried.items():
            if block < SEEDS.get((scenario.name, name), 1):
                episodes, _ = recorded(scenario, settings, block, expert.acts)
                clones[name].append(cloned(scenario, settings, seed, episodes))
                print(f"{scenario.name} {seed} {name}: {clones[name][-1]}", file=sys.stderr, flush=True)
                if name == "before":
                    world = worlds_of(scenario, "clone", WORLDS, params.capture.observation)
                    score = score_of(play(world, expert.acts(world), params.evaluation.seed + seed), world, scenario)
                    experts.append((score, repeated(expert, episodes, seed)))
    own: dict[str, Any] = together([score for score, _ in experts])
    own |= {how: fits_text([one[how] for _, one in experts]) for how in experts[0][1]}
    return {"expert": own, "clones": {name: summary(of) for name, of in clones.items()}}


def repeated(expert: Expert, episodes: Episodes, seed: int) -> dict[str, tuple[Fit, ...]]:
    """How well the expert predicts itself in the recorded states: asked again, through blurred eyes, and drawing its action."""
    features, label = episodes.observation["features"], torch.from_numpy(episodes.expert_action)
    noise = np.random.default_rng(seed).standard_normal(features.shape, np.float32)
    asked = {
        AGAIN: expert.decides(features),
        BLURRED: expert.decides(features * (1 + np.float32(BLUR) * noise)),
    }
    if expert.samples is not None:
        asked[DRAWN] = expert.samples(features)
    return {how: fits_of(torch.from_numpy(action), label) for how, action in asked.items()}


def cloned(scenario: Scenario, params: Params, seed: int, episodes: Episodes) -> Clone:
    """Train, judge and play one clone, as the stage `bc_train` does."""
    settings = settings_of(params, seed)
    heldout = split_by_world(episodes.table.world, params.curate.heldout_share, params.curate.seed)
    train, held = (tensors_of(select(episodes, side), settings.gamma) for side in (~heldout, heldout))
    world = worlds_of(scenario, "clone", WORLDS, params.capture.observation)
    untrained = judge(new_network(world, params.network, settings.seed), held).value_mse
    network = fitted(world, params, seed, train, held)
    judged = judge(network, held)
    score = closed_loop(network, world, scenario, params, seed)
    return Clone(len(train.label), judged.fits, judged.accuracy, judged.constant_accuracy, judged.value_mse / untrained, score)


def summary(clones: Sequence[Clone]) -> dict[str, Any]:
    """Means over the clones, and their worlds together."""
    means = {name: _mean([getattr(one, name) for one in clones]) for name in ("steps", "within", "constant", "value_error")}
    least = min(component(fit).explained_variance or 0.0 for one in clones for fit in one.fits)
    fits = fits_text([one.fits for one in clones])
    return {**means, **fits, "least": short(least), **together([one.score for one in clones])}


def fits_text(found: Sequence[tuple[Fit, ...]]) -> dict[str, list[float]]:
    """Means over the seeds, a number for each component."""
    each = list(zip(*found, strict=True))
    return {
        "explained_variance": [_mean([component(fit).explained_variance or 0.0 for fit in of]) for of in each],
        "rmse": [_mean([fit.rmse for fit in of]) for of in each],
        "deviation": [_mean([fit.deviation for fit in of]) for of in each],
        "within_each": [_mean([fit.within for fit in of]) for of in each],
    }


def together(scores: Sequence[Score]) -> dict[str, Any]:
    """Shares of all worlds, with two-sided 90 % bounds (Wilson)."""
    worlds = sum(one.episodes for one in scores)
    row: dict[str, Any] = {"seeds": len(scores), "worlds": worlds}
    for name in ("success", "harm"):
        count = sum(getattr(one, name) for one in scores)
        row |= share(name, count, worlds)
    return row


def _mean(values: Sequence[float]) -> float:
    return short(np.mean(values))


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines of a table for docs."""
    yield "| changed alone | clones | explained variance: speed, turn | within 0.15: speed, turn | both within | success | harm |"
    yield "|---|---|---|---|---|---|---|"
    clones, own = found["clones"], found["expert"]
    for name in (name for name in ORDER if name in clones):
        row = clones[name]
        each = f"{_pair(row['explained_variance'])} | {_pair(row['within_each'])} | {row['within']:.3f}"
        yield f"| {name} | {row['seeds']} | {each} | {_closed(row)} |"
    yield f"| *the best constant action* | – | 0, 0 | – | {clones['before']['constant']:.3f} | – | – |"
    for how in (how for how in ASKED if how in own):
        each = f"{_pair(own[how]['explained_variance'])} | {_pair(own[how]['within_each'])} | –"
        yield f"| *the expert {how}* | – | {each} | {_closed(own) if how == AGAIN else '– | –'} |"


def _pair(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _closed(row: Mapping[str, Any]) -> str:
    return " | ".join(
        f"{row[of]:.3f} ({row[f'{of}_bounds'][0]:.3f} to {row[f'{of}_bounds'][1]:.3f})" for of in ("success", "harm")
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep(RECORD, sys.argv[1:] or TRIED, measured, table)
