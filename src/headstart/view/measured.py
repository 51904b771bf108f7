"""What was measured of the arms, as sections of a report: their curves, their steps to each target, and their final policies."""

from collections.abc import Sequence

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.comparison import Comparison
from headstart.compare.curves import score_value
from headstart.compare.levels import LevelRatio
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.core.verdict import Check
from headstart.runs.wall_clock import WallClock
from headstart.view.beyond import areas_text, ceiling_text, clock_text, levels_table, profile_text
from headstart.view.blocks import Block, Figure, Items, More, Note, Part, Section, Table, Text, counted, section
from headstart.view.charts import can_draw
from headstart.view.charts_curves import Axes, Levels, curves, near, shaded_phases
from headstart.view.charts_ratio import performance, ratio_by_level, steps_to_target
from headstart.view.comparison import (
    curves_finding,
    left_out,
    number,
    seeds_table,
    spread_table,
    steps_finding,
    styled,
    target_blocks,
)
from headstart.view.ends import ends_tables

WHOLE = 100  # a measure of which a mean is as large has no decimals
FLAT = 0.02  # of a rate or return: a curve that moves less shows nothing
LEGEND = "Click an arm in the legend to show it alone, and again for all; shift-click adds another."
RATIO = (
    "The ratio is the candidate's median env steps to the target divided by the baseline's; below 1 the candidate is faster. Its upper bound is "
    "one-sided, 95 %. All-in: with the steps that the demonstrations cost charged to every run of the candidate. The strongest baseline is the "
    "one with the greatest upper bound of the ratio; among equals the one of which more seeds arrive, then the one that arrives sooner, then "
    "the first in `baselines`."
)


def curves_section(found: Comparison, arms: Sequence[ArmRuns], levels: Levels, axes: Axes) -> Section:
    """Return, harm and success of every arm during training; what hardly moves is shown on request."""
    blocks: list[Block] = []
    for measure in ("return", "harm", "success"):
        spec = curves(found, measure, levels, arms, axes) if can_draw() else None
        shows = f"Learning curves, {measure} against env steps, target {found.target.name}"
        finding = curves_finding(found, arms, measure)
        figure = Figure(f"curves_{measure}", spec, shows, finding, _curves_table(found, measure))
        moves = max(max(arm.curves[measure].iqm) - min(arm.curves[measure].iqm) for arm in styled(found))
        how = "nearly flat" if moves else "flat"
        blocks.append(More(f"Show the curves of {measure}, which are {how} for every arm", [figure]) if moves < FLAT else figure)
        if measure == "return" and (least := near(found, levels)) is not None:
            spec = curves(found, measure, levels, arms, axes, least) if can_draw() else None
            finding = (
                f"The same above a return of {least:.2f}, where the target, the expert and the clones are; the lines of the expert and the "
                "clones are from checks of their own, in other worlds than the curves."
            )
            blocks.append(Figure("curves_return_near", spec, "Learning curves near the target", finding))
    shaded = f"Shaded: {shaded_phases(arms[1])} of {found.candidate.arm}. {LEGEND}" if found.grid else LEGEND
    return section("curves", "Learning curves", *blocks, Note(shaded))


def _curves_table(found: Comparison, measure: str) -> Table:
    """The interquartile mean and its band, at every evaluation."""
    arms = styled(found)
    by_steps: dict[int, dict[str, str]] = {}
    for arm in arms:
        band = arm.curves[measure]
        for steps, iqm, low, high in zip(band.env_steps, band.iqm, band.low, band.high, strict=True):
            by_steps.setdefault(steps, {})[arm.arm] = f"{iqm:.3f}" + (
                f" ({low:.3f} to {high:.3f})" if arm.reached.runs >= RUNS_FOR_BOUND else ""
            )
    rows = [(f"{steps:,}", *(of.get(arm.arm, "ended") for arm in arms)) for steps, of in sorted(by_steps.items())]
    return Table(f"env steps | {' | '.join(arm.arm for arm in arms)}", rows)


def steps_section(comparisons: Sequence[Comparison], headline: Comparison, clock: WallClock | None) -> Section:
    """Every target, the headline first; then the ratio at other levels, and what else describes the steps."""
    ordered = sorted(comparisons, key=lambda found: found is not headline)
    known = headline.verdict.reasons
    first, *others = ordered
    parts = [Part(f"{first.target.name}: {first.verdict.outcome}", _target(first, known))]
    parts += [
        Part(f"{one.target.name}: {one.verdict.outcome}", [More(f"Show the steps to {one.target.name}", _target(one, known))])
        for one in others
    ]
    intro = [Part("", [Text(RATIO)])] if headline.grid else []
    return Section("steps", "Steps to target", [*intro, *parts, *_beyond(headline, clock)])


def _target(found: Comparison, known: Sequence[Check]) -> list[Block]:
    """`known`: the reasons that the verdict above has named."""
    own = [reason for reason in found.verdict.reasons if reason not in known]
    blocks = target_blocks(found, own)
    if left := len(found.verdict.reasons) - len(own):
        blocks.insert(
            1,
            Text(
                f"{found.verdict.outcome} because of {counted(left, 'reason')} that the verdict above names{', and:' if own else '.'}"
            ),
        )
    if skipped := left_out(found):
        blocks.append(Items(skipped))
    if found.grid:
        spec = steps_to_target(found) if can_draw() else None
        shows = f"Steps to {found.target.name}, seed by seed"
        finding = steps_finding(found)
        blocks.append(Figure(f"steps_{found.target.name}", spec, shows, finding, seeds_table(found)))
        blocks.append(
            Note("Between the evaluation before and the first that meets the target; >: not reached by then (censored).")
        )
    return blocks + ([spread_table(found)] if found.spread else [])


def _beyond(found: Comparison, clock: WallClock | None) -> list[Part]:
    if found.beyond is None:
        return [Part("Beyond the target", [Text(f"{found.candidate.arm} alone: nothing to compare it with.")])]
    ours, theirs = found.candidate.arm, found.grid[0].baseline.arm
    intro = (
        f"{ours} against {theirs}, the strongest baseline for {found.target.name}. These figures decide no verdict, and each interval holds "
        "for its own figure alone."
    )
    said = [text for text in (ceiling_text(found), areas_text(found), clock_text(found, clock)) if text]
    reading = (
        "A run is there at the first of two evaluations in a row at this level; its steps are counted as those to the target."
    )
    return [Part("Beyond the target", [Text(intro), Items(said), _levels_figure(found), Note(reading)])]


def _levels_figure(found: Comparison) -> Figure:
    """The ratio as a function of what is asked for, so that nobody need believe in one target."""
    assert found.beyond is not None
    spec = ratio_by_level(found)
    rows = found.beyond.levels
    met = [row for row in rows if 0 in (row.ratio.median, row.ratio.upper)]
    rest = [row for row in rows if row not in met]
    ours = found.candidate.arm
    there = f"At none of {len(rows)} levels of return half of {ours} is there before any training."
    if met:
        there = (
            f"At {len(met)} of {len(rows)} levels of return, {_levels_text(met)}, half of {ours} is there before any training."
        )
    finding = there + (
        f" At the other{'' if len(rest) == 1 else 's'}, {_levels_text(rest)}, {_bounds_text(rest)}." if rest else ""
    )
    name = f"ratio_{found.target.name}"
    return Figure(name, spec if can_draw() else None, "Ratio of steps against the level of return", finding, levels_table(found))


def _levels_text(rows: Sequence[LevelRatio]) -> str:
    first, last = f"{rows[0].level:.3f}", f"{rows[-1].level:.3f}"
    return first if len(rows) == 1 else f"from {first} to {last}"


def _bounds_text(rows: Sequence[LevelRatio]) -> str:
    bounds = [row.ratio.upper for row in rows if row.ratio.upper is not None]
    if not bounds:
        return "there is neither a ratio nor a bound"
    missing = "" if len(bounds) == len(rows) else f" (at {len(rows) - len(bounds)} there is no bound)"
    return f"the upper bound is {'' if len(rows) == 1 else 'at most '}{max(bounds):.3f}{missing}"


# --- the end ------------------------------------------------------------------------------------------------------------


def safety_section(
    comparisons: Sequence[Comparison], headline: Comparison, arms: Sequence[ArmRuns], clones: CloneRuns | None
) -> Section:
    """Success, harm and return of the last checkpoints, sampled and likeliest actions, and the scenario's own measures."""
    exam, *apart = ends_tables(comparisons, clones)
    blocks: list[Block] = [
        exam,
        *([More(f"Show {headline.candidate.arm} less every other policy and target", apart)] if apart else []),
    ]
    blocks.append(
        Note(
            "Rates of an arm: all n exam worlds of its seeds; in brackets Wilson's bound, which treats worlds as independent "
            "of each "
            "other and decides nothing. Differences: of means over seeds; in brackets the bound over seeds that is held to "
            "the margin. "
            "Held-out variants: under distribution shift."
        )
    )
    compared = arms[: len(styled(headline))]
    blocks += [_measures(headline, compared)] if compared[0].runs[0].exam[headline.target.mode].measures else []
    if headline.grid:
        spec = performance(compared, headline.target.mode) if can_draw() else None
        shows = "Share of seeds whose return in the exam is at least a level"
        blocks.append(
            Figure(f"profile_{headline.target.name}", spec, shows, _spread(headline, compared), _returns(compared, headline))
        )
    return section("safety", "Safety and quality", *blocks)


def _measures(found: Comparison, arms: Sequence[ArmRuns]) -> Table:
    names = sorted(arms[0].runs[0].exam[found.target.mode].measures)
    means = {name: [_mean(arm, name, found) for arm in arms] for name in names}
    digits = {name: ",.0f" if max(map(abs, of)) >= WHOLE else ",.3f" for name, of in means.items()}
    rows = [(arm.arm, *(format(means[name][i], digits[name]) for name in names)) for i, arm in enumerate(arms)]
    return Table(f"mean at the exam | {' | '.join(names)}", rows)


def _mean(arm: ArmRuns, name: str, found: Comparison) -> float:
    return sum(score_value(run.exam[found.target.mode], name) for run in arm.runs) / len(arm.runs)


def _spread(found: Comparison, arms: Sequence[ArmRuns]) -> str:
    each = "; ".join(
        f"{arm.arm} from {min(returns):.3f} to {max(returns):.3f}" for arm in arms if (returns := _exam_returns(arm, found))
    )
    return f"Mean return of a seed in the exam: {each}. {profile_text(found)}"


def _exam_returns(arm: ArmRuns, found: Comparison) -> list[float]:
    return [run.exam[found.target.mode].return_mean for run in arm.runs]


def _returns(arms: Sequence[ArmRuns], found: Comparison) -> Table:
    seeds = sorted({run.seed for arm in arms for run in arm.runs})
    of = {arm.arm: {run.seed: run.exam[found.target.mode].return_mean for run in arm.runs} for arm in arms}
    harm = {arm.arm: {run.seed: run.exam[found.target.mode].harm_rate for run in arm.runs} for arm in arms}
    rows = [
        (str(seed), *(number(values[arm.arm].get(seed), ".3f", "not measured") for values in (of, harm) for arm in arms))
        for seed in seeds
    ]
    names = [f"{what} of {arm.arm}" for what in ("return", "harm") for arm in arms]
    return Table(f"seed | {' | '.join(names)}", rows)
