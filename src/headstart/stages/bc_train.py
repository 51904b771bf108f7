"""Stage `bc_train`: clone the expert from validated data, and judge the clone on held-out episodes and in closed loop; what fails ends here."""

import math
from functools import partial
from typing import Any

import torch

from headstart.compare.arm_runs import CLONE_SHIFT, Score
from headstart.config.params import Params
from headstart.config.project import DATA, MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import main
from headstart.core.arrays import MODES
from headstart.core.errors import GateFailed
from headstart.core.files import fresh_directory, sha256_file, write_bytes, write_record
from headstart.core.verdict import Outcome, Subject, misses
from headstart.dataset.observation import ObservationSchema
from headstart.learn.bc import ActionScores, Epoch, Judgement, fit, judge
from headstart.learn.evaluation import play_episodes, play_in_modes
from headstart.learn.optimizer import autograd_device
from headstart.runs.clone_report import REFERENCE, ActionRow, CloneReport, Reference
from headstart.runs.clone_telemetry import epoch_fields
from headstart.runs.demonstrations import read_demonstrations
from headstart.runs.expert import expert_of
from headstart.runs.gates import BcLimits, BcMetrics, bc_gate
from headstart.runs.policy import new_network, save_policy
from headstart.runs.pool import progress_bar
from headstart.runs.shift import clone_shift
from headstart.runs.worlds import schema_of, score_of, worlds_of
from headstart.telemetry.line import Envelope
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import play

VALUE_STEPS_MIN = 1000  # held-out ones; returns of fewer rest on a handful of episodes, of which a single collision is most


def bc_train(params: Params, scenario: Scenario) -> str:
    """Writes models/<scenario>/bc, reports/<scenario>/bc_train, and the plots bc_losses.tsv and bc_confusion.csv beside it."""
    torch.set_num_threads(1)
    settings, device = params.bc_train, autograd_device(params.device)
    world = worlds_of(scenario, "clone", settings.closed_loop_worlds, params.capture.observation)
    schema = schema_of(world)
    stamp, (train, heldout) = read_demonstrations(scenario, schema, settings)
    network = new_network(world, params.network, settings.seed)
    untrained = score_of(play_episodes(network, world, settings.seed, "sampled"), world, scenario)
    untrained_value_error = judge(network, heldout).value_mse
    with fresh_directory(REPORTS / scenario.name / "bc_train") as report:
        envelope = Envelope(
            run_id=f"bc-{stamp.version}",
            arm="bc",
            world=scenario.world,
            scenario=scenario.name,
            seed=settings.seed,
            stage="bc_train",
        )
        epochs: list[Epoch] = []
        with TelemetryWriter(report / "telemetry", envelope) as telemetry, progress_bar(f"bc_train {scenario.name}") as bar:
            task = bar.add_task("", total=settings.epochs)
            for epoch in fit(network, train, heldout, settings, device):
                epochs.append(epoch)
                telemetry.write("bc_epoch", **epoch_fields(epoch, schema.actions))
                bar.update(task, advance=1, description=f"held-out accuracy {epoch.heldout.accuracy:.3f}")
            telemetry.write("run_ended", status="completed", reasons=(), censored=False)
        judged = judge(network, heldout)
        played = play_in_modes(network, world, settings.seed, MODES)
        closed = {mode: score_of(of, world, scenario) for mode, of in played.items()}
        expert = score_of(play(world, expert_of(scenario, world), settings.seed), world, scenario)
        card = save_policy(
            MODELS / scenario.name / "bc",
            network,
            params.network,
            kind="bc",
            scenario=scenario.name,
            arm="bc",
            seed=settings.seed,
            env_steps=0,
            observation=schema,
            lineage={"dataset": sha256_file(DATA / scenario.name / "validated.json")},
        )
        write_record(
            MODELS / scenario.name / "bc" / REFERENCE, Reference(untrained=untrained, expert=expert, clone=closed["sampled"])
        )
        shift = clone_shift(
            params, scenario, network, DATA / scenario.name / "curated", judged.accuracy, partial(expert_of, scenario)
        )
        if shift is not None:
            write_record(MODELS / scenario.name / "bc" / CLONE_SHIFT, shift)
        macro_f1 = judged.scores.macro_f1 if judged.scores else None
        metrics = BcMetrics(
            accuracy=judged.accuracy,
            macro_f1=macro_f1,
            majority_share=judged.constant_accuracy,
            least_recall=judged.scores.least_recall() if judged.scores else None,
            value_error=judged.value_mse,
            untrained_value_error=untrained_value_error,
            closed_loop=closed["sampled"],
            expert=expert,
        )
        limits = BcLimits(
            accuracy_min=settings.min_accuracy,
            macro_f1_min=settings.min_macro_f1 if judged.scores else None,
            majority_margin_min=0.10 if judged.scores else None,  # reals have no majority class
            success_margin=settings.success_margin,
            value_error_max=0.75 if len(heldout.label) >= VALUE_STEPS_MIN else None,
        )
        assert card.weights_sha256 is not None
        verdict = bc_gate(metrics, limits, Subject(type="bc", id=f"{scenario.name}/bc", sha256=card.weights_sha256))
        write_record(report / "verdict.json", verdict)
        write_record(report / "metrics.json", _clone_report(judged, epochs, schema, closed, expert))
    write_bytes(REPORTS / scenario.name / "bc_losses.tsv", _losses(epochs).encode())
    write_bytes(REPORTS / scenario.name / "bc_confusion.csv", _decisions(judged.scores, schema).encode())
    if verdict.outcome is not Outcome.PASS:
        raise GateFailed(
            f"the clone of {scenario.name} is {verdict.outcome}\n{misses(verdict)}\n"
            "no schedule starts from it; mend bc_train or what it learns from, and run `dvc repro` again"
        )
    f1 = "" if macro_f1 is None else f", macro-F1 {macro_f1:.3f}"
    return (
        f"bc_train {scenario.name}: PASS; held-out accuracy {judged.accuracy:.3f} "
        f"(constant action {judged.constant_accuracy:.3f}){f1}; success {closed['sampled'].success}/{closed['sampled'].episodes} "
        f"(expert {expert.success}), return {closed['sampled'].return_mean:.3f} (expert {expert.return_mean:.3f})"
    )


def _clone_report(judged: Judgement, epochs: list[Epoch], schema: ObservationSchema, closed: Any, expert: Score) -> CloneReport:
    scores, explained = judged.scores, judged.value_explained_variance
    return CloneReport(
        accuracy=judged.accuracy,
        macro_f1=scores.macro_f1 if scores else None,
        constant_accuracy=judged.constant_accuracy,
        train_accuracy=epochs[-1].accuracy,
        value_explained_variance=None if math.isnan(explained) else explained,
        per_action=_per_action(scores, schema) if scores else {},
        confusion=_confusion(scores, schema) if scores else {},
        closed_loop=closed,
        expert=expert,
    )


def _per_action(scores: ActionScores, schema: ObservationSchema) -> dict[str, ActionRow]:
    hits, chosen = scores.confusion.diagonal(), scores.confusion.sum(axis=0)
    return {
        name: ActionRow(
            n=int(scores.count[k]),
            recall=float(scores.recall[k]),
            precision=float(hits[k] / chosen[k]) if chosen[k] else None,
            f1=float(scores.f1[k]),
        )
        for k, name in enumerate(schema.actions)
        if scores.count[k]
    }


def _confusion(scores: ActionScores, schema: ObservationSchema) -> dict[str, dict[str, int]]:
    """Expert's action → clone's action → decisions; what never happened is left out."""
    rows = zip(schema.actions, scores.confusion.tolist(), strict=True)
    return {actual: {name: n for name, n in zip(schema.actions, row, strict=True) if n} for actual, row in rows if any(row)}


def _losses(epochs: list[Epoch]) -> str:
    lines = ["epoch\tside\tloss\taccuracy"]
    for e in epochs:
        lines.append(f"{e.number}\ttrain\t{e.loss:.6f}\t{e.accuracy:.6f}")
        lines.append(f"{e.number}\theldout\t{e.heldout.loss:.6f}\t{e.heldout.accuracy:.6f}")
    return "\n".join(lines) + "\n"


def _decisions(scores: ActionScores | None, schema: ObservationSchema) -> str:
    """One line a decision, because DVC's confusion template counts lines: of each action at most 2,000, in proportion."""
    lines = ["actual,predicted"]
    if scores is not None:
        for actual, row in zip(schema.actions, scores.confusion.tolist(), strict=True):
            share = min(1.0, 2000 / max(1, sum(row)))
            for predicted, n in zip(schema.actions, row, strict=True):
                lines += [f"{actual},{predicted}"] * round(share * n)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(bc_train)
