"""A comparison as text: the verdict in a sentence, tables, captions of figures, the section on distribution shift, the lines of a terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison, all_in_text, arrivals, steps_text
from headstart.compare.drift import FeatureDrift
from headstart.compare.findings import ArmSummary
from headstart.compare.ratio import RUNS_FOR_BOUND, RatioEstimate
from headstart.compare.shift import ShiftFindings
from headstart.compare.target import Passage
from headstart.compare.variants import Measure, VariantDifference, VariantRates
from headstart.config.scenario import Target
from headstart.core.verdict import Check
from headstart.view import WIDTH

FEATURES_SHOWN = 8


def table(columns: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; `columns` has " | " between two names."""
    return [f"| {columns} |", "|---" * (columns.count(" | ") + 1) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def number(value: float | None, digits: str, none: str = "–") -> str:
    """A number in the format `digits`, or `none` where it is missing."""
    return none if value is None else format(value, digits)


def shown_text(found: Comparison) -> str:
    """What was shown about the steps to the target; of a baseline by itself, why there is nothing to show."""
    if not found.grid:
        return f"{found.scenario}, {found.target.name}: {'; '.join(reason.text for reason in found.verdict.reasons)}."
    return f"on {found.scenario}, {found.target.name}, online steps: {steps_text(found)}. {all_in_text(found)}"


def printed(found: Comparison, watched: str | None, drawn: bool = True) -> str:
    """The end of a pipeline, for a terminal.

    `watched` is the command that plays the candidate, None where its world cannot be drawn; `drawn`: figures lie beside the report.
    """
    lines = textwrap.wrap(f"{found.verdict.outcome}: {shown_text(found)}", WIDTH)
    reasons = found.verdict.reasons if found.grid else ()
    lines += ["not a PASS because of:"] if reasons else []
    for reason in reasons:
        lines += textwrap.wrap(reason.text, WIDTH, initial_indent="* ", subsequent_indent="  ")
    lines += [f"{'':14}{'success':>9}{'harm':>8}{'IQM return':>12}{'median steps to it':>21}{'seeds there':>14}"]
    lines += [_printed_arm(arm) for arm in arms_of(found)]
    if found.candidate.reached.median_steps == 0:
        advice = f"The clones meet {found.target.name} before PPO begins; `headstart targets {found.scenario}` prints targets beyond the expert."
        lines += textwrap.wrap(advice, WIDTH)
    lines += [f"read it: reports/{found.scenario}/report.md" + (" and the figures beside it" if drawn else "")]
    lines += [] if drawn else ["draw its figures: pip install 'headstart[view]' && headstart report"]
    lines += _command_lines("watch it: ", watched) if watched else []
    return "\n".join(lines)


def _command_lines(says: str, command: str) -> list[str]:
    """A command that a shell takes as it stands; where it is wider than a terminal, every option has a line."""
    line = f"{says}{command}"
    return [line] if len(line) <= WIDTH else line.replace(" --", " \\\n    --").split("\n")


def _printed_arm(arm: ArmSummary) -> str:
    exam, reached = arm.exams["sampled"], arm.reached
    steps = number(reached.median_steps, ",.0f", "fewer than half")
    return f"  {arm.arm:<12}{exam.success_rate:9.3f}{exam.harm_rate:8.3f}{exam.return_iqm:12.2f}{steps:>21}{_there(arm):>14}"


def _there(arm: ArmSummary) -> str:
    return f"{arm.reached.runs - arm.reached.censored} of {arm.reached.runs}"


def arms_of(found: Comparison) -> list[ArmSummary]:
    """The candidate, then the baselines, the strongest first."""
    return [found.candidate, *(one.baseline for one in found.grid)]


def styled(found: Comparison) -> list[ArmSummary]:
    """The arms in the order of their colours, which is that of all targets: scratch, or else another baseline, the candidate, the others."""
    baselines = sorted((one.baseline for one in found.grid), key=lambda arm: (arm.arm != "scratch", arm.arm))
    return [*baselines[:1], found.candidate, *baselines[1:]]


def section(found: Comparison, arms: Sequence[ArmRuns]) -> str:
    """One target in the report; its figures are shown where `arms`, the runs that they draw, are given."""
    name = found.target.name
    lines = [f"## {name}: {found.verdict.outcome}", "", *target_lines(found, found.verdict.reasons)]
    if left_out := [f"* left out: {check.name}, {check.text}" for check in found.verdict.checks if not check.applies]:
        lines += ["", *left_out]
    if arms:
        lines += ["", f"![Learning curves, target {name}](curves_{name}.png)", "", curves_caption(found, arms)]
    if arms and found.grid:
        lines += ["", f"![Steps to {name}, seed by seed](steps_{name}.png)", "", steps_caption(found)]
    if found.grid:
        names = " | ".join(f"{arm.arm}, env steps" for arm in arms_of(found))
        lines += ["", *table(f"seed | {names}", _seed_rows(found))]
        lines += ["", "Between the evaluation before and the first that meets the target; `>`: not reached by then (censored)."]
    if found.spread:
        lines += ["", *_spread_lines(found)]
    return "\n".join(lines)


def target_lines(found: Comparison, reasons: Sequence[Check], steps: bool = True) -> list[str]:
    """Markdown: what the target asks for, these reasons against a PASS, and the way of each arm to it; `steps`: what was shown about them."""
    text = f"Target: {target_text(found.target)}."
    text += f" Online steps: {steps_text(found)}. {all_in_text(found)}".rstrip() if steps else ""
    lines = [text, *reason_lines(reasons), "", *_arms_table(found)]
    return lines + (["", *_grid_table(found)] if found.grid else [])


def reason_lines(reasons: Iterable[Check]) -> list[str]:
    """A bullet for each."""
    return [f"* {reason.outcome}: {reason.text}" for reason in reasons]


def target_text(target: Target) -> str:
    """What the target asks for, as an enumeration."""
    wants = [f"success ≥ {target.success_rate}"]
    wants += [f"mean return ≥ {target.return_mean}"] if target.return_mean is not None else []
    wants += [f"mean {name} ≥ {least:g}" for name, least in target.measures.items()]
    wants += [f"harm ≤ {target.harm_rate}"] if target.harm_rate is not None else []
    return f"{', '.join(wants)}, {target.mode} policy, {target.consecutive} evaluations in a row"


def _seed_rows(found: Comparison) -> Iterator[Sequence[str]]:
    for of_seed in zip(*(arm.passages for arm in arms_of(found)), strict=True):
        yield str(of_seed[0].seed), *map(_passage, of_seed)


def _passage(one: Passage) -> str:
    if one.by is None:
        return f"> {one.after:,}"
    return "0 (met before training)" if one.by == 0 else f"{one.after:,} to {one.by:,}"


def _grid_table(found: Comparison) -> list[str]:
    """The candidate against every baseline, the strongest first."""
    return table(
        "against | its budget | ratio of medians | 95 % upper bound | all-in | its bound | P(fewer steps)",
        (
            (
                one.baseline.arm,
                f"{one.baseline.budget:,}",
                *ratio_cells(one.online),
                *ratio_cells(one.all_in),
                f"{one.probability_of_improvement:.2f}",
            )
            for one in found.grid
        ),
    )


def ratio_cells(ratio: RatioEstimate) -> Sequence[str]:
    """The estimate and its bound, for two cells of a table."""
    if 0 in (ratio.median, ratio.upper):
        return "met before training", "–"
    return number(ratio.median, ".3f", "not estimable"), number(ratio.upper, ".3f", "not estimable")


def _spread_lines(found: Comparison) -> list[str]:
    rows = [
        (name, str(one.clones), str(one.runs), f"{one.between:.3g}", f"{one.within:.3g}") for name, one in found.spread.items()
    ]
    columns = "standard deviation of | clones | runs | between clones | between seeds of one clone"
    return table(columns, rows)


def _arms_table(found: Comparison) -> list[str]:
    """Lines of Markdown: which seeds of each arm reached the target, and when."""
    return table(
        "arm | seeds at the target | median env steps to it",
        ((arm.arm, _there(arm), number(arm.reached.median_steps, ",.0f", "not reached by half")) for arm in arms_of(found)),
    )


def curves_caption(found: Comparison, arms: Sequence[ArmRuns]) -> str:
    """What the learning curves show, in numbers."""
    ends = "; ".join(
        f"{arm.arm} ends at success {arm.curves['success'].iqm[-1]:.2f} and return {arm.curves['return'].iqm[-1]:.2f} "
        f"after {arm.curves['success'].env_steps[-1]:,} env steps (n = {arm.reached.runs} seeds)"
        for arm in arms_of(found)
    )
    n = min(len(arm.runs) for arm in arms)
    band = (
        "band: its 95 % bootstrap interval"
        if n >= RUNS_FOR_BOUND
        else f"no band, since {n} seeds are fewer than {RUNS_FOR_BOUND}"
    )
    worlds = arms[0].design.evaluation_worlds
    return (
        f"*{ends}. Every evaluation: {worlds:,} worlds, {found.target.mode} policy. Thin: one seed; thick: interquartile mean over seeds; "
        f"{band}.{f' Open arrow: a seed that never reached {found.target.name}.' if _any_censored(found) else ''}*"
    )


def steps_caption(found: Comparison) -> str:
    """What the dots and the curves show, in numbers."""
    arrow = " Open arrow: not reached within the steps that the run was watched for (censored)." if _any_censored(found) else ""
    against = "; ".join(arrivals(one) for one in arms_of(found))
    return f"*{against}.{arrow} Right: share of seeds that have reached {found.target.name} (Kaplan–Meier).*"


def _any_censored(found: Comparison) -> bool:
    return any(arm.reached.censored for arm in arms_of(found))


def shift_section(found: ShiftFindings | None) -> str:
    """Markdown; it says so where shift was not measured."""
    lines = ["## Distribution shift", ""]
    if found is None:
        return "\n".join([*lines, "Not measured."])
    if found.missing:
        return "\n".join([*lines, f"Not measured: {'; '.join(found.missing)}."])
    lines += [*_variant_table(found), "", *_agreement(found), *_mix(found), *_outside(found)]
    lines += [f"* Warning: {warning}." for warning in found.warnings]
    features = [_feature(one, "at reset") for one in found.starts[:FEATURES_SHOWN] if one.distance >= found.limits.min_distance]
    features += [_feature(one, found.candidate) for one in found.visited[:FEATURES_SHOWN]]
    lines += ["", *table("feature, the farthest first | rows | D | q | PSI | beyond all data", features)]
    return "\n".join([*lines, "", _shift_caption(found)])


def _variant_table(found: ShiftFindings) -> list[str]:
    if not found.variants:
        return ["The scenario describes no held-out variants."]
    others = "".join(f" | − {name}" for name in found.variants[0].success.minus_others)
    columns = (
        f"held-out variant | episodes with | {found.scratch} | clone | {found.candidate} | − {found.scratch}{others} | − clone"
    )
    return table(columns, [_variant(one.variant, *of) for one in found.variants for of in one.measures.items()])


def _variant(variant: str, measure: Measure, rates: VariantRates) -> Sequence[str]:
    shares = (f"{share:.3f}" for share in (rates.scratch, rates.clone, rates.candidate))
    minus = (rates.minus_scratch, *rates.minus_others.values(), rates.minus_clone)
    differences = (_difference(one, "≥" if measure == "success" else "≤") for one in minus)
    return variant, measure, *shares, *differences


def _difference(one: VariantDifference, sign: str) -> str:
    return f"{one.mean:+.3f} ({'no bound' if one.bound is None else f'{sign} {one.bound:+.3f}'})"


def _agreement(found: ShiftFindings) -> list[str]:
    shares = {"the clones": found.clone_agreement, found.candidate: found.candidate_agreement}
    known = [f"{who} {share:.3f} of their own" for who, share in shares.items() if share is not None]
    if found.no_expert:
        return ["* Agreement with an expert: not applicable, the demonstrations were recorded before."]
    if not known or found.heldout_accuracy is None:
        return ["* Agreement with the expert was not measured."]
    return [
        f"* Decisions that agree with the expert's: the clones {found.heldout_accuracy:.3f} of held-out ones, {', '.join(known)}."
    ]


def _mix(found: ShiftFindings) -> list[str]:
    return [] if found.mix is None else [f"* Mix of situations, data against exam: total variation {found.mix.distance:.3f}."]


def _outside(found: ShiftFindings) -> list[str]:
    worst = sorted(found.outside.items(), key=lambda item: (-item[1], item[0]))[:3]
    shares = ", ".join(f"{name} in {share:.2%} of rows" for name, share in worst)
    return [f"* Outside the scenario's feature_range: {shares}."] if worst else []


def _feature(one: FeatureDrift, rows: str) -> Sequence[str]:
    return one.feature, rows, f"{one.distance:.3f}", f"{one.q:.2g}", f"{one.psi:.3f}", f"{one.unseen:.1%}"


def _shift_caption(found: ShiftFindings) -> str:
    moved = sum(one.q <= found.limits.false_discoveries and one.distance >= found.limits.min_distance for one in found.starts)
    episodes = f", {found.variants[0].episodes:,} episodes a variant and policy" if found.variants else ""
    return (
        f"*Sampled policies{episodes}; means over replicates. Differences from the clone are paired by replicate, those from a baseline "
        f"are between two independent groups (Welch); the one-sided 95 % bounds hold for all variants together (Holm). "
        f"At reset {moved} of {len(found.starts)} features differ between data and exam. D: Kolmogorov–Smirnov distance from the data; q: its "
        f"p-value after Benjamini–Hochberg; PSI: population stability index.*"
    )
