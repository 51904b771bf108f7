"""Stage `bc_train`: clone the expert from validated data, and judge it on held-out episodes and in closed loop; a failure ends the run."""

from functools import partial

import torch

from headstart.compare.arm_runs import CLONE_SHIFT
from headstart.config.params import Params
from headstart.config.project import DATA, MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.arrays import MODES
from headstart.core.errors import GateFailed
from headstart.core.files import fresh_directory, sha256_file, write_bytes, write_record
from headstart.core.verdict import Outcome, Subject, misses
from headstart.learn.bc import Epoch, epoch_fields, fit, judge
from headstart.learn.evaluation import play_episodes, play_in_modes
from headstart.learn.optimizer import autograd_device
from headstart.runs.clone_report import REFERENCE, CloneReport, Reference
from headstart.runs.cloning import clone_gate, clone_report, decisions_table, losses_table
from headstart.runs.demonstrations import read_demonstrations
from headstart.runs.expert import expert_of
from headstart.runs.policy import new_network, save_policy
from headstart.runs.pool import progress_bar
from headstart.runs.shift import clone_shift
from headstart.runs.worlds import schema_of, score_of, worlds_of
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter
from headstart.worlds.api import play


def bc_train(params: Params, scenario: Scenario) -> Done:
    """Writes models/<scenario>/bc, reports/<scenario>/bc_train, and the plots bc_losses.tsv and bc_confusion.csv beside it."""
    torch.set_num_threads(1)
    settings, name = params.bc_train, scenario.name
    models, reports = MODELS / name / "bc", REPORTS / name
    device = autograd_device(params.device)
    world = worlds_of(scenario, "clone", settings.closed_loop_worlds, params.capture.observation)
    schema = schema_of(world)
    stamp, (train, heldout) = read_demonstrations(scenario, schema, settings)
    network = new_network(world, params.network, settings.seed)
    untrained = score_of(play_episodes(network, world, settings.seed, "sampled"), world, scenario)
    judged_untrained = judge(network, heldout)
    with fresh_directory(reports / "bc_train") as report:
        run_id = f"bc-{stamp.version}"
        whose = Envelope(run_id=run_id, arm="bc", world=scenario.world, scenario=name, seed=settings.seed, stage="bc_train")
        epochs: list[Epoch] = []
        with TelemetryWriter(report / "telemetry", whose) as telemetry, progress_bar(f"bc_train {name}") as bar:
            task = bar.add_task("", total=settings.epochs)
            for epoch in fit(network, train, heldout, settings, device):
                epochs.append(epoch)
                telemetry.write("bc_epoch", **epoch_fields(epoch, schema.actions))
                bar.update(task, advance=1, description=f"held-out accuracy {epoch.heldout.accuracy:.3f}")
            telemetry.write("run_ended", status="completed", censored=False)
        judged = judge(network, heldout)
        played = play_in_modes(network, world, settings.seed, MODES)
        closed = {mode: score_of(of, world, scenario) for mode, of in played.items()}
        expert = score_of(play(world, expert_of(scenario, world), settings.seed), world, scenario)
        about = {"kind": "bc", "scenario": name, "arm": "bc", "seed": settings.seed, "env_steps": 0}
        lineage = {"dataset": sha256_file(DATA / name / "validated.json")}
        card = save_policy(models, network, params.network, world, {**about, "lineage": lineage})
        write_record(models / REFERENCE, Reference(untrained=untrained, expert=expert, clone=closed["sampled"]))
        shift = clone_shift(params, scenario, network, DATA / name / "curated", judged.accuracy, partial(expert_of, scenario))
        if shift is not None:
            write_record(models / CLONE_SHIFT, shift)
        found = clone_report(judged, judged_untrained, epochs[-1].accuracy, schema, closed, expert)
        verdict = clone_gate(found, settings, Subject(type="bc", id=f"{name}/bc", sha256=card.weights_sha256))
        write_record(report / "verdict.json", verdict)
        write_record(report / "metrics.json", found)
    write_bytes(reports / "bc_losses.tsv", losses_table(epochs).encode())
    write_bytes(reports / "bc_confusion.csv", decisions_table(judged.scores, schema).encode())
    if verdict.outcome is not Outcome.PASS:
        raise GateFailed(
            f"the clone of {name} is {verdict.outcome}\n{misses(verdict)}\n"
            "no schedule starts from it; change bc_train or its data, and run `dvc repro` again"
        )
    clone = closed["sampled"]
    metrics = {"accuracy": found.accuracy, "macro_f1": found.macro_f1, "success_rate": clone.success_rate}
    return Done(f"bc_train {name}: PASS; {sentence(found)}", metrics, seeds=(settings.seed,))


def sentence(found: CloneReport) -> str:
    """How well the clone predicts and acts, compared with a constant action and the expert."""
    clone, expert = found.closed_loop["sampled"], found.expert
    f1 = "" if found.macro_f1 is None else f", macro-F1 {found.macro_f1:.3f}"
    return (
        f"held-out accuracy {found.accuracy:.3f} (constant action {found.constant_accuracy:.3f}){f1}; "
        f"success {clone.success}/{clone.episodes} (expert {expert.success}), "
        f"return {clone.return_mean:.3f} (expert {expert.return_mean:.3f})"
    )


if __name__ == "__main__":
    main(bc_train)
