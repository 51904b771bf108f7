"""`python -m benchmarks.replay [STUDY …]`: what training from records gains or loses against cloning.

For every tuning seed a block is recorded with `tuning.capture_seed` and cloned; then the clone goes on in each of the ways. All of them play
`bc_train.closed_loop_worlds` worlds of the purpose `clone` with `tuning.evaluation_seed` at the end, and at every evaluation on the way. Nothing
here is a seed or a world of a report, and nothing was chosen by it. `queue_conflict` is recorded from its script, which has no
log-probabilities. `cartpole` is recorded from a policy that PPO trained for HALF_TRAINED env steps, each action drawn from it, so that its
rows have what both objectives want and there is something better to learn. The result is kept in benchmarks/replay.json, which git has, and
docs/anneal.md shows it.
"""

import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.studies import change, change_text, closed_loop, fitted, keep, recorded, short

from headstart.compare.arm_runs import Score
from headstart.compare.target import steps_to_target
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.schedule import Arm
from headstart.dataset.curation import split_by_world
from headstart.dataset.episodes import select
from headstart.guard.control import outcome
from headstart.learn.anneal import run, trainer_of
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.evaluation import Acting
from headstart.learn.networks import ActorCritic
from headstart.learn.replay import Records
from headstart.runs.demonstrations import records_of, tensors_of
from headstart.runs.estimates import of_network
from headstart.runs.expert import script
from headstart.runs.guarded_run import GuardedRun, RunSetup, run_guarded
from headstart.runs.policy import new_network
from headstart.runs.worlds import score_of, worlds_of
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import Act, World, play

RECORD = Path(__file__).with_suffix(".json")
HALF_TRAINED = 8192
RECORDING, CLONE = "the recording", "the clone"
OFFLINE = {"learning_rate": {"from": 0.001, "to": 0.0}, "entropy_coef": 0.001, "epochs": 5}
BC = {"name": "clone", "kind": "bc"} | {key: OFFLINE[key] for key in ("learning_rate", "epochs")}
REPLAY = {"name": "recall", "kind": "ppo", "data": "replay"} | OFFLINE
MORE = "the clone, 5 more epochs of BC"
WEIGHTED = "the clone, 5 epochs of replay, advantage-weighted"
CLIPPED = "the clone, 5 epochs of replay, clipped"
STUDIES: Mapping[str, tuple[str, ...]] = {
    "queue_conflict": (MORE, WEIGHTED, "pretrained", "replay", "mixed"),
    "cartpole": (MORE, WEIGHTED, CLIPPED),
}


class Ended(NamedTuple):
    """How one seed ended."""

    score: Score
    reached: int | None  # env steps to the hardest target; None: it did not, or no env steps are used
    verdict: str  # of its guardrails


class Block(NamedTuple):
    """What all ways share on one seed."""

    seed: int
    clone: ActorCritic
    sides: tuple[Demonstrations, Demonstrations]
    records: Records
    behaviour: float  # mean return of the recorded episodes
    returns: tuple[float, float]  # of an untrained policy and of the expert


def measured(scenario: Scenario, params: Params) -> dict[str, list[Ended]]:
    """Way → how each tuning seed ended."""
    found: dict[str, list[Ended]] = {way: [] for way in (RECORDING, CLONE, *STUDIES[scenario.name])}
    for block, seed in enumerate(params.seeds):
        begun = begin(scenario, params, block, seed)
        clone = Ended(judged(begun.clone, scenario, params, seed), None, "")
        found[RECORDING].append(clone._replace(score=clone.score.model_copy(update={"return_mean": begun.behaviour})))
        found[CLONE].append(clone)
        for way in STUDIES[scenario.name]:
            found[way].append(ended(way, begun, scenario, params))
        for way, some in found.items():
            print(f"{scenario.name} {seed} {way}: {some[-1]}", file=sys.stderr, flush=True)
    return found


def begin(scenario: Scenario, params: Params, block: int, seed: int) -> Block:
    """Record a block and clone it."""
    torch.set_num_threads(1)
    world = worlds_of(scenario, "clone", params.bc_train.closed_loop_worlds, params.capture.observation)
    untrained = new_network(world, params.network, seed)
    expert = script if scenario.name == "queue_conflict" else half_trained(scenario, params, seed)
    episodes, _ = recorded(scenario, params, block, expert)
    heldout = split_by_world(episodes.table.world, params.curate.heldout_share, params.curate.seed)
    gamma = params.arms["pretrained"].ppo.gamma
    train, held = (tensors_of(select(episodes, side), gamma) for side in (~heldout, heldout))
    scores = [
        score_of(play(world, act, params.evaluation.seed + seed), world, scenario)
        for act in (Acting(untrained, seed, "sampled"), expert(world))
    ]
    return Block(
        seed,
        fitted(world, params, seed, train, held),
        (train, held),
        records_of(select(episodes, ~heldout), SimpleNamespace(has_rewards=True)),  # type: ignore[arg-type]
        float(episodes.table.total_reward.mean()),
        (scores[0].return_mean, scores[1].return_mean),
    )


def half_trained(scenario: Scenario, params: Params, seed: int) -> Any:
    """A policy that PPO trained for some env steps, which draws its actions: in a world of its own, whatever world that is."""
    scratch = params.arms["scratch"]
    short = scratch.phases[0].model_copy(update={"env_steps": HALF_TRAINED})
    training = worlds_of(scenario, "training", scratch.ppo.worlds)
    network = new_network(training, params.network, seed)
    design = params.evaluation.model_copy(update={"worlds": 1, "every": 10 * HALF_TRAINED})
    for _ in run(
        trainer_of(
            network, scratch.model_copy(update={"phases": (short,)}), training, worlds_of(scenario, "clone", 1), design, seed
        )
    ):
        pass

    def acts(world: World) -> Act:
        acting = Acting(network, seed, "sampled")
        return of_network(acting, acting)

    return acts


def ended(way: str, begun: Block, scenario: Scenario, params: Params) -> Ended:
    """The clone after an arm under its guardrails, or after some epochs on the recorded rows."""
    records = begun.records if way != WEIGHTED else replace(begun.records, log_prob=None)
    phase = BC if way == MORE else REPLAY
    arm = params.arms.get(way) or Arm.model_validate({"start": "bc", "ppo": params.arms["pretrained"].ppo, "phases": [phase]})
    training = worlds_of(scenario, "training", arm.ppo.worlds, params.capture.observation)
    evaluation = worlds_of(scenario, "clone", params.evaluation.worlds, params.capture.observation)
    trainer = trainer_of(
        deepcopy(begun.clone),
        arm,
        training,
        evaluation,
        params.evaluation,
        begun.seed,
        begun.sides,
        modes=("sampled",),
        records=records,
    )
    if way not in params.arms:  # nothing is rolled back in what is compared with cloning
        for _ in run(trainer):
            pass
        return Ended(judged(trainer.network, scenario, params, begun.seed), None, "")
    envelope = Envelope(run_id="replay", arm=way, world=scenario.world, scenario=scenario.name, seed=begun.seed, stage="anneal")
    target = list(scenario.targets.values())[-1].model_copy(update={"mode": "sampled"})
    with TemporaryDirectory() as folder, TelemetryWriter(Path(folder, "telemetry"), envelope) as telemetry:
        guarded = GuardedRun(trainer, RunSetup(scenario, begun.returns, Path(folder), lambda steps: None), telemetry)
        run_guarded(guarded)
    verdict = outcome(guarded.control)[0].value
    return Ended(judged(trainer.network, scenario, params, begun.seed), steps_to_target(guarded.curve, target), verdict)


def judged(network: ActorCritic, scenario: Scenario, params: Params, seed: int) -> Score:
    """In closed loop, sampled, on worlds that nothing was trained on."""
    world = worlds_of(scenario, "clone", params.bc_train.closed_loop_worlds, params.capture.observation)
    return closed_loop(network, world, scenario, params, seed)


def summary(some: list[Ended], clones: list[Ended], is_recording: bool) -> dict[str, Any]:
    """Over the seeds: means, and the change of the return to the clone, paired by seed, with its two-sided 90 % interval (t)."""
    returns = np.array([one.score.return_mean for one in some])
    row: dict[str, Any] = {"seeds": len(some), "return": short(returns.mean())}
    row["return_change"] = change(returns - np.array([one.score.return_mean for one in clones]))
    if not is_recording:
        row["worlds"] = sum(one.score.episodes for one in some)
        for name in ("success", "harm"):
            row[name] = short(sum(getattr(one.score, name) for one in some) / row["worlds"])
    if some[0].verdict:
        row["env_steps_to_target"] = [one.reached for one in some]
        row["verdicts"] = [one.verdict for one in some]
    return row


def table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of a table for docs."""
    yield "| | return | change to the clone | success | harm | env steps to the target, by seed |"
    yield "|---|---|---|---|---|---|"
    for way, row in found.items():
        against = "–" if way == CLONE else change_text(row["return_change"])
        rates = [f"{row[name]:.3f}" if name in row else "–" for name in ("success", "harm")]
        steps = ["not reached" if n is None else f"{n:,}" for n in row.get("env_steps_to_target", ())]
        named = f"arm `{way}`" if steps else way
        yield f"| {named} | {row['return']:.3f} | {against} | {' | '.join(rates)} | {', '.join(steps) or '–'} |"


def summaries(scenario: Scenario, params: Params) -> dict[str, Any]:
    """Way → its row."""
    if scenario.name == "cartpole":  # as many rows as the expert's eight episodes have, or more: these fall
        params = params.model_copy(update={"capture": params.capture.model_copy(update={"worlds": 64, "slip": 0.0})})
    found = measured(scenario, params)
    return {way: summary(some, found[CLONE], way == RECORDING) for way, some in found.items()}


if __name__ == "__main__":
    keep(RECORD, sys.argv[1:] or STUDIES, summaries, table)
