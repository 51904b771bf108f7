"""Stage `evaluate`: compare the candidate with scratch on one scenario, from the records of the arms; nothing is trained."""

from typing import Any

from headstart.compare.arm_runs import CLONES, ArmRuns, CloneRuns, arm_folder
from headstart.compare.comparability import require_clones, require_runs
from headstart.compare.comparison import Comparison, all_in_text, compare, steps_text
from headstart.compare.findings import ComparisonLimits
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.compare.shift import find_shift
from headstart.config.params import Params, headline_target
from headstart.config.project import COMPARISONS, MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import arm_command, stage_command
from headstart.core.files import fresh_directory, read_record, sha256_file, write_bytes, write_record
from headstart.core.strict_json import pretty_json
from headstart.core.verdict import Evidence
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.kept import require_kept_clones, require_policies
from headstart.runs.own_source import require_unchanged
from headstart.runs.worlds import design_of, worlds_of


def evaluate(params: Params, scenario: Scenario) -> Done:
    """Writes reports/evaluate/<scenario>/<target>.json and shift.json, reports/metrics/<scenario>.json, and curves in reports/plots."""
    runs, clones, evidence = read_arms(params, scenario)
    candidate, baselines = runs[params.candidate], [runs[name] for name in params.baselines]
    alone = params.candidate in params.baselines
    shift = None if alone or not params.evaluation.variant_worlds else find_shift(candidate, baselines, clones)
    limits = ComparisonLimits(**params.comparison.model_dump(exclude={"target"}))
    compared = {
        name: compare(candidate, baselines, clones, target, limits, evidence, shift) for name, target in scenario.targets.items()
    }
    headline = compared[headline_target(params, scenario)]
    with fresh_directory(COMPARISONS / scenario.name) as folder:
        if shift is not None:
            write_record(folder / "shift.json", shift)
        for target, comparison in compared.items():
            write_record(folder / f"{target}.json", comparison)
    write_bytes(REPORTS / "plots" / f"{scenario.name}.tsv", curve_table(headline).encode())
    write_bytes(REPORTS / "metrics" / f"{scenario.name}.json", pretty_json(summary(headline)))
    numbers = {name: value for name, value in measured(headline).items() if not isinstance(value, str)}
    look = f"{COMPARISONS / scenario.name}; the stage report writes {REPORTS / scenario.name / 'report.html'}"
    return Done(sentence(headline), numbers, params.seeds, look, headline.verdict)


def read_arms(params: Params, scenario: Scenario) -> tuple[dict[str, ArmRuns], CloneRuns | None, list[Evidence]]:
    """Arm → its runs, of the baselines and the candidate; the clones, if the candidate starts from some; the files that were read.

    Raises InputError where a file is missing or is not what params.yaml asks for, IntegrityError where a checkpoint is not the recorded one,
    GateFailed where the user's own expert changed.
    """
    runs, files, home = {}, [], MODELS / scenario.name
    design, agents = design_of(params, scenario), worlds_of(scenario, "training", 1).num_agents
    for arm in dict.fromkeys((*params.baselines, params.candidate)):
        files.append(arm_folder(scenario.name, arm, params.baselines) / "runs.json")
        made_by = stage_command("baseline", scenario.name, arm) if arm in params.baselines else arm_command(scenario.name, arm)
        runs[arm] = read_record(files[-1], ArmRuns, made_by=made_by)
        require_runs(runs[arm], arm, params, scenario, design, agents)
        require_policies(runs[arm], files[-1].parent)
    clones = None
    if params.arms[params.candidate].start == "bc":
        files.append(home / "bc" / CLONES)
        clones = read_record(files[-1], CloneRuns, made_by=stage_command("bc_train", scenario.name))
        require_clones(clones, runs[params.candidate])
        expert = read_record(home / "expert" / "expert.json", ExpertPolicy, made_by=stage_command("expert", scenario.name))
        require_kept_clones(clones, home / "bc", expert)
        require_unchanged(scenario, expert.policy_sha256)
    return runs, clones, [Evidence(path=path.as_posix(), sha256=sha256_file(path)) for path in files]


SHOWN = ("verdict", "success_rate", "harm_rate", "return_mean", "ratio_upper", "all_in_ratio_upper")


def summary(found: Comparison) -> dict[str, Any]:
    """The metrics for `dvc metrics show` and `dvc exp show`: as many as a terminal has room for. The others are in the record of the run."""
    metrics = measured(found)
    return {name: metrics[name] for name in SHOWN}


def measured(found: Comparison) -> dict[str, Any]:
    """All metrics; their names do not depend on the candidate."""
    arm, exam, strongest = found.candidate, found.candidate.exams["sampled"], found.strongest
    online, all_in = (strongest.online, strongest.all_in) if strongest else (None, None)
    if arm.reached.median_steps == 0:  # met before training: the clone needs no steps, and there is no ratio
        online = None
    return {
        "verdict": found.verdict.outcome.value,
        "success_rate": exam.success_rate,
        "success_rate_deterministic": arm.exams["deterministic"].success_rate,
        "harm_rate": exam.harm_rate,
        "return_mean": exam.return_iqm,
        "steps_to_target": arm.reached.median_steps,
        "seeds_censored": arm.reached.censored,
        "baseline": strongest.baseline.arm if strongest else None,
        "baseline_censored": strongest.baseline.reached.censored if strongest else None,
        "ratio": online.median if online else None,
        "ratio_upper": online.upper if online else None,
        "all_in_ratio": all_in.median if all_in else None,
        "all_in_ratio_upper": all_in.upper if all_in else None,
    }


def curve_table(found: Comparison) -> str:
    """The candidate's learning curve as TSV: IQM over seeds with its 95 % bootstrap band, which stays empty where seeds are too few for one."""
    lines = ["arm\tenv_steps\tsuccess_rate\tsuccess_low\tsuccess_high\treturn_mean\treturn_low\treturn_high\tharm_rate"]
    success, harm, returns = (found.candidate.curves[name] for name in ("success", "harm", "return"))
    wide = found.candidate.reached.runs >= RUNS_FOR_BOUND
    for i, steps in enumerate(success.env_steps):
        ends = [(f"{c.low[i]:.6f}", f"{c.high[i]:.6f}") if wide else ("", "") for c in (success, returns)]
        values = [cell for c, end in zip((success, returns), ends, strict=True) for cell in (f"{c.iqm[i]:.6f}", *end)]
        lines.append("\t".join((found.candidate.arm, str(steps), *values, f"{harm.iqm[i]:.6f}")))
    return "\n".join(lines) + "\n"


def sentence(found: Comparison) -> str:
    """What was shown of the headline's target, for the terminal, and a line for each reason."""
    arm, exam = found.candidate.arm, found.candidate.exams["sampled"]
    shown = " ".join(text for text in (f"{steps_text(found)}.", all_in_text(found)) if text)
    text = f"evaluate {found.scenario}: {found.verdict.outcome} for {found.target.name}. Online steps: {shown} "
    text += f"Exam of {arm}: success {exam.success_rate:.3f}, harm {exam.harm_rate:.3f}, return {exam.return_iqm:.3f}"
    left_out = (f"\n  left out: {check.name}, {check.text}" for check in found.verdict.checks if not check.applies)
    return text + "".join(f"\n  {reason.outcome}: {reason.text}" for reason in found.verdict.reasons) + "".join(left_out)


if __name__ == "__main__":
    main(evaluate)
