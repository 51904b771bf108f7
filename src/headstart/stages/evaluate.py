"""Stage `evaluate`: compare the candidate with scratch on one scenario, from the records of the arms; nothing is trained."""

from pathlib import Path
from typing import Any

from headstart.compare.arm_runs import CLONE_SHIFT, ArmRuns, CloneShift, arm_folder
from headstart.compare.comparison import Comparison, compare, ratio_text
from headstart.compare.findings import ComparisonLimits
from headstart.compare.shift import find_shift
from headstart.config.params import Params, headline_target
from headstart.config.project import COMPARISONS, MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.files import fresh_directory, read_record, sha256_file, write_bytes, write_record
from headstart.core.strict_json import pretty_json
from headstart.core.verdict import Evidence


def evaluate(params: Params, scenario: Scenario) -> Done:
    """Writes reports/evaluate/<scenario>/<target>.json and shift.json, reports/metrics/<scenario>.json, and curves in reports/plots."""
    clone = MODELS / scenario.name / "bc" / CLONE_SHIFT
    runs, evidence = read_arms(params, scenario, clone)
    candidate, scratch = runs[params.candidate], runs["scratch"]
    shift = None  # not asked for, or scratch by itself
    if candidate is not scratch and params.evaluation.variant_worlds:
        shift = find_shift(candidate, scratch, read_record(clone, CloneShift) if clone.exists() else None)
    limits = ComparisonLimits(max_ratio=params.comparison.max_ratio, max_success_loss=params.comparison.max_success_loss)
    compared = {name: compare(candidate, scratch, target, limits, evidence, shift) for name, target in scenario.targets.items()}
    headline = compared[headline_target(params, scenario)]
    with fresh_directory(COMPARISONS / scenario.name) as folder:
        if shift is not None:
            write_record(folder / "shift.json", shift)
        for target, comparison in compared.items():
            write_record(folder / f"{target}.json", comparison)
    write_bytes(REPORTS / "plots" / f"{scenario.name}.tsv", curve_table(headline).encode())
    metrics = summary(headline)
    write_bytes(REPORTS / "metrics" / f"{scenario.name}.json", pretty_json(metrics))
    numbers = {name: value for name, value in metrics.items() if not isinstance(value, str)}
    return Done(sentence(headline), numbers, seeds=params.seeds)


def read_arms(params: Params, scenario: Scenario, clone: Path) -> tuple[dict[str, ArmRuns], list[Evidence]]:
    """Arm → its runs, of scratch and of the candidate, and the files on which the comparison rests; `clone` is one if it is there."""
    runs, files = {}, []
    for arm in dict.fromkeys(("scratch", params.candidate)):
        files.append(arm_folder(scenario.name, arm) / "runs.json")
        command = "dvc repro baseline" if arm == "scratch" else f"dvc exp run -S candidate={arm} -S 'anneal.arms=[{arm}]'"
        runs[arm] = read_record(files[-1], ArmRuns, made_by=command)
    files += [clone] if clone.exists() else []
    return runs, [Evidence(path=path.as_posix(), sha256=sha256_file(path)) for path in files]


def summary(found: Comparison) -> dict[str, Any]:
    """The metrics for `dvc exp show`; their names do not depend on the candidate."""
    arm, exam, ratio = found.candidate, found.candidate.exams["sampled"], found.online
    return {
        "verdict": found.verdict.outcome.value,
        "success_rate": exam.success_rate,
        "success_rate_deterministic": arm.exams["deterministic"].success_rate,
        "harm_rate": exam.harm_rate,
        "return_mean": exam.return_iqm,
        "steps_to_target": arm.reached.median_steps,
        "seeds_censored": arm.reached.censored,
        "success_area": arm.success_area,
        "ratio": ratio.geometric_mean if ratio else None,
        "ratio_upper": ratio.upper if ratio else None,
        "ratio_is_bound": ratio.is_bound if ratio else None,
        "all_in_ratio": found.all_in.geometric_mean if found.all_in else None,
    }


def curve_table(found: Comparison) -> str:
    """The candidate's learning curve as TSV: IQM over seeds with its 95 % bootstrap band."""
    lines = ["arm\tenv_steps\tsuccess_rate\tsuccess_low\tsuccess_high\treturn_mean\treturn_low\treturn_high\tharm_rate"]
    success, harm, returns = (found.candidate.curves[name] for name in ("success", "harm", "return"))
    for i, steps in enumerate(success.env_steps):
        bands = [band[i] for c in (success, returns) for band in (c.iqm, c.low, c.high)]
        lines.append(f"{found.candidate.arm}\t{steps}\t" + "\t".join(f"{v:.6f}" for v in bands) + f"\t{harm.iqm[i]:.6f}")
    return "\n".join(lines) + "\n"


def sentence(found: Comparison) -> str:
    """One line for the terminal, and one for each reason."""
    arm, exam = found.candidate.arm, found.candidate.exams["sampled"]
    text = f"evaluate {found.scenario}: {found.verdict.outcome} for {found.target.name}; {ratio_text(found, 3)}; exam of {arm}: success "
    text += f"{exam.success_rate:.3f}, harm {exam.harm_rate:.3f}, return {exam.return_iqm:.3f}"
    return text + "".join(f"\n  {reason.outcome}: {reason.text}" for reason in found.verdict.reasons)


if __name__ == "__main__":
    main(evaluate)
