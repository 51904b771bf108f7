"""Stage `bc_train`: a clone of the expert for each seed, from its own block of validated data; one that misses its gate ends the run."""

from collections.abc import Sequence

import numpy as np

from headstart.compare.arm_runs import CLONES, CloneRuns
from headstart.config.params import Params
from headstart.config.project import DATA, MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import pipeline_command
from headstart.core.closure import code_sha256
from headstart.core.contents import sealed_directory
from headstart.core.errors import GateFailed
from headstart.core.files import fresh_directory, write_bytes, write_record
from headstart.core.progress_lines import Amount
from headstart.core.verdict import Outcome, misses
from headstart.runs.clone_job import Clone, CloneJob, clones_folder, train_clone
from headstart.runs.clone_report import CloneReports
from headstart.runs.cloning import decisions_table, losses_table
from headstart.runs.demonstrations import require_validated
from headstart.runs.expert import approved_expert
from headstart.runs.pool import run_all
from headstart.runs.states import POLICY, TELEMETRY, begin_work, copy_whole, end_work
from headstart.runs.worlds import design_of, schema_of, worlds_of


def bc_train(params: Params, scenario: Scenario) -> Done:
    """Writes models/<scenario>/bc, reports/<scenario>/bc_train, and the plots bc_losses.tsv and bc_confusion.csv beside it."""
    settings, name = params.bc_train, scenario.name
    models, reports, dataset = MODELS / name / "bc", REPORTS / name, DATA / name / "validated.json"
    require_validated(scenario)
    expert = approved_expert(scenario)
    code = code_sha256(["headstart.stages.bc_train"])
    work = clones_folder(params, scenario, dataset, expert, code)
    begin_work(work)
    with sealed_directory(models) as models_now, fresh_directory(reports / "bc_train") as report:
        jobs = [CloneJob(params, scenario, block, dataset, work, code, expert) for block in range(params.num_clones)]
        clones = run_all(train_clone, jobs, f"bc_train {name}", Amount(settings.epochs * len(jobs), "epochs"), params.processes)
        for job in jobs:
            copy_whole(job.folder / POLICY, models_now / job.folder.name)
            copy_whole(job.folder / TELEMETRY, report / TELEMETRY / job.folder.name)
        runs = CloneRuns(
            scenario=name,
            design=design_of(params, scenario),
            untrained=clones[0].untrained,
            clones=tuple(clone.run for clone in clones),
        )
        write_record(models_now / CLONES, runs)
        write_record(report / "metrics.json", CloneReports(clones={clone.run.seed: clone.report for clone in clones}))
        for clone in clones:
            write_record(report / f"seed-{clone.run.seed}.json", clone.verdict)
    schema = schema_of(worlds_of(scenario, "clone", 1, params.capture.observation))
    write_bytes(reports / "bc_losses.tsv", losses_table([clone.epochs for clone in clones]).encode())
    write_bytes(reports / "bc_confusion.csv", decisions_table([clone.report for clone in clones], schema).encode())
    end_work(work)
    refused = [clone for clone in clones if clone.verdict.outcome is not Outcome.PASS]
    if refused:
        reasons = "\n".join(f"seed {clone.run.seed} is {clone.verdict.outcome}\n{misses(clone.verdict)}" for clone in refused)
        raise GateFailed(
            f"{len(refused)} of {len(clones)} clones of {name} miss their gate\n{reasons}\n"
            f"no schedule starts from them; change bc_train or its data, and run `{pipeline_command(name)}` again"
        )
    metrics = {key: float(np.mean(values)) for key, values in _values(clones).items()}
    look = f"{reports / 'bc_train' / 'metrics.json'}; `dvc plots show {reports / 'bc_losses.tsv'}` draws the training"
    return Done(f"bc_train {name}: PASS; {sentence(clones)}", metrics, tuple(clone.run.seed for clone in clones), look)


def _values(clones: Sequence[Clone]) -> dict[str, list[float]]:
    """Measure → its value for each clone; none where it does not apply."""
    reports = [clone.report for clone in clones]
    found: dict[str, list[float | None]] = {
        "accuracy": [one.accuracy for one in reports],
        "macro_f1": [one.macro_f1 for one in reports],
        "explained_variance": [one.explained_variance for one in reports],
        "success_rate": [one.closed_loop["sampled"].success_rate for one in reports],
        "return_mean": [one.closed_loop["sampled"].return_mean for one in reports],
    }
    known = {key: [float(value) for value in values if value is not None] for key, values in found.items()}
    return {key: values for key, values in known.items() if values}


def sentence(clones: Sequence[Clone]) -> str:
    """How well the clones predict and act, from the worst to the best, compared with a constant action and the expert."""
    values, first = _values(clones), clones[0].report
    ranges = {key: f"{min(of):.3f} to {max(of):.3f}" for key, of in values.items()}
    f1 = f", macro-F1 {ranges['macro_f1']}" if "macro_f1" in ranges else ""
    accuracy = f"held-out accuracy {ranges.get('accuracy', 'not a number')} (constant action {first.constant_accuracy:.3f}){f1}"
    if first.components:
        explained = ranges.get("explained_variance", "not a number")
        accuracy = f"explained variance of the expert's action {explained} (constant action 0); {accuracy}"
    whose, level = "recorded" if first.recorded else "expert", first.expert
    theirs = ("", "") if level is None else (f" ({whose} {level.success_rate:.3f})", f" ({whose} {level.return_mean:.3f})")
    return (
        f"{len(clones)} clones; {accuracy}; success {ranges['success_rate']}{theirs[0]}, "
        f"return {ranges['return_mean']}{theirs[1]}"
    )


if __name__ == "__main__":
    main(bc_train)
