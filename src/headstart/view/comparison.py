"""A comparison as text: the verdict in a sentence, tables, findings of figures, the lines of a terminal."""

import textwrap
from collections.abc import Iterable, Sequence

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison, all_in_text, arrivals, steps_text
from headstart.compare.findings import ArmSummary
from headstart.compare.ratio import RUNS_FOR_BOUND, RatioEstimate
from headstart.compare.target import Passage
from headstart.config.scenario import Target
from headstart.core.verdict import Check
from headstart.view import WIDTH
from headstart.view.blocks import Block, Items, Table, Text


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

    `watched` is the command that plays the candidate, None where its world cannot be drawn; `drawn`: the report has figures.
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
    lines += [f"read it: reports/{found.scenario}/report.{'html' if drawn else 'md'}"]
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
    return f"  {arm.arm:<12}{exam.success_rate:9.3f}{exam.harm_rate:8.3f}{exam.return_iqm:12.2f}{steps:>21}{there(arm):>14}"


def there(arm: ArmSummary) -> str:
    """Its runs that reached the target."""
    return f"{arm.reached.runs - arm.reached.censored} of {arm.reached.runs}"


def arms_of(found: Comparison) -> list[ArmSummary]:
    """The candidate, then the baselines, the strongest first."""
    return [found.candidate, *(one.baseline for one in found.grid)]


def styled(found: Comparison) -> list[ArmSummary]:
    """The arms in the order of their colours, which is that of all targets: scratch, or else another baseline, the candidate, the others."""
    baselines = sorted((one.baseline for one in found.grid), key=lambda arm: (arm.arm != "scratch", arm.arm))
    return [*baselines[:1], found.candidate, *baselines[1:]]


def target_blocks(found: Comparison, reasons: Sequence[Check], steps: bool = True) -> list[Block]:
    """What the target asks for, these reasons against a PASS, and the way of each arm to it; `steps`: what was shown about them."""
    text = f"Target: {target_text(found.target)}."
    text += f" Online steps: {steps_text(found)}. {all_in_text(found)}".rstrip() if steps else ""
    blocks: list[Block] = [Text(text), *([Items(reason_items(reasons))] if reasons else []), _arms_table(found)]
    return blocks + ([_grid_table(found)] if found.grid else [])


def reason_items(reasons: Iterable[Check]) -> list[str]:
    return [f"{reason.outcome}: {reason.text}" for reason in reasons]


def left_out(found: Comparison) -> list[str]:
    """The checks that do not apply."""
    return [f"left out: {check.name}, {check.text}" for check in found.verdict.checks if not check.applies]


def target_text(target: Target) -> str:
    """What the target asks for, as an enumeration."""
    wants = [f"success ≥ {target.success_rate}"]
    wants += [f"mean return ≥ {target.return_mean}"] if target.return_mean is not None else []
    wants += [f"mean {name} ≥ {least:g}" for name, least in target.measures.items()]
    wants += [f"harm ≤ {target.harm_rate}"] if target.harm_rate is not None else []
    return f"{', '.join(wants)}, {target.mode} policy, {target.consecutive} evaluations in a row"


def seeds_table(found: Comparison) -> Table:
    """Between which evaluations each run reached the target."""
    names = " | ".join(f"{arm.arm}, env steps" for arm in arms_of(found))
    by_seed = zip(*(arm.passages for arm in arms_of(found)), strict=True)
    return Table(f"seed | {names}", [(str(of_seed[0].seed), *map(_passage, of_seed)) for of_seed in by_seed])


def _passage(one: Passage) -> str:
    if one.by is None:
        return f"> {one.after:,}"
    return "0 (met before training)" if one.by == 0 else f"{one.after:,} to {one.by:,}"


def _grid_table(found: Comparison) -> Table:
    """The candidate against every baseline, the strongest first."""
    return Table(
        "against | its budget | ratio of medians | 95 % upper bound | all-in | its bound | P(fewer steps)",
        [
            (
                one.baseline.arm,
                f"{one.baseline.budget:,}",
                *ratio_cells(one.online),
                *ratio_cells(one.all_in),
                f"{one.probability_of_improvement:.2f}",
            )
            for one in found.grid
        ],
    )


def ratio_cells(ratio: RatioEstimate) -> Sequence[str]:
    """The estimate and its bound, for two cells of a table."""
    if 0 in (ratio.median, ratio.upper):
        return "met before training", "–"
    return number(ratio.median, ".3f", "not estimable"), number(ratio.upper, ".3f", "not estimable")


def spread_table(found: Comparison) -> Table:
    """Between clones, and between seeds of one clone, where several runs share one."""
    rows = [
        (name, str(one.clones), str(one.runs), f"{one.between:.3g}", f"{one.within:.3g}") for name, one in found.spread.items()
    ]
    return Table("standard deviation of | clones | runs | between clones | between seeds of one clone", rows)


def _arms_table(found: Comparison) -> Table:
    """Which seeds of each arm reached the target, and when."""
    return Table(
        "arm | seeds at the target | median env steps to it",
        [(arm.arm, there(arm), number(arm.reached.median_steps, ",.0f", "not reached by half")) for arm in arms_of(found)],
    )


def curves_finding(found: Comparison, arms: Sequence[ArmRuns], measure: str) -> str:
    """What the learning curves of a measure show, in numbers."""
    ends = "; ".join(
        f"{arm.arm} {arm.curves[measure].iqm[-1]:.2f} after {arm.curves[measure].env_steps[-1]:,} env steps "
        f"(n = {arm.reached.runs} seeds)"
        for arm in arms_of(found)
    )
    n = min(len(arm.runs) for arm in arms)
    band = (
        "band: its 95 % bootstrap interval"
        if n >= RUNS_FOR_BOUND
        else f"no band, since {n} seeds are fewer than {RUNS_FOR_BOUND}"
    )
    without = _without({len(arm.passages) for arm in arms_of(found)})
    return (
        f"{measure.capitalize()} at the end, interquartile mean (IQM) over seeds{without}: {ends}. "
        f"Every evaluation: {arms[0].design.evaluation_worlds:,} worlds, {found.target.mode} policy. Thin: one seed; thick: "
        f"interquartile mean over seeds; {band}.{f' Open arrow: a seed that never reached {found.target.name}.' if _any_censored(found) else ''}"
    )


def _without(runs: set[int]) -> str:
    """What an interquartile mean leaves out of so many seeds."""
    if len(runs) > 1:
        return ", without a quarter of them at each end, rounded down"
    (n,) = runs
    return f", without the best {n // 4} and the worst {n // 4} of {n}" if n // 4 else f": all {n} of them"


def steps_finding(found: Comparison) -> str:
    """What the dots show, in numbers."""
    arrow = " Open arrow: not reached within the steps that the run was watched for (censored)." if _any_censored(found) else ""
    return f"{'; '.join(arrivals(one) for one in arms_of(found))}.{arrow}"


def _any_censored(found: Comparison) -> bool:
    return any(arm.reached.censored for arm in arms_of(found))
