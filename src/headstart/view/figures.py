"""The figures of the report: learning curves, steps to target, performance profile, confusion of the clone. Only this file needs matplotlib.

Colours are Okabe and Ito's (2008); a marker or a dash says the same as each colour. Equal inputs give equal bytes.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, ScalarFormatter

from headstart.compare.arm_runs import ArmRuns, Score, SeedRun
from headstart.compare.comparison import Comparison
from headstart.compare.curves import CurveBand, curve_bands, score_value
from headstart.compare.levels import performance_profile
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.compare.target import passage
from headstart.config.scenario import Target
from headstart.core.arrays import Mode
from headstart.view.comparison import styled

Style = tuple[str, Literal["-", "--", "-.", ":"]]  # colour, dash
ARM_STYLES: tuple[Style, ...] = (
    ("#D55E00", "--"),
    ("#0072B2", "-"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#56B4E9", "--"),
    ("#E69F00", "-."),
)
MARKERS = (("s", 4.5), ("o", 5.0), ("D", 4.0), ("^", 5.0), ("v", 5.0), ("P", 5.0))  # and sizes, as ARM_STYLES
ROW = 0.24  # half of the height over which the arms of one seed are spread, of the distance between two seeds
LEGEND_COLUMNS = 4
PROFILE_LEVELS = 101
INK, FAINT = "#222222", "#8a8a8a"
DPI = 144


def learning_curves(found: Comparison, expert: Score | None, arms: Sequence[ArmRuns] = ()) -> Figure:
    """Return and success against env steps: bands of the arms that were compared and, where `arms` begins with the runs of these in the
    order of `styled`, a line for every seed, and bands of other arms behind them.
    """
    figure, target = Figure(figsize=(9.2, 3.9), layout="constrained"), found.target
    summaries = styled(found)
    seeds = {arm.arm: arm.reached.runs for arm in summaries} | {arm.arm: len(arm.runs) for arm in arms}
    curves = {arm.arm: arm.curves for arm in summaries}
    curves |= {arm.arm: curve_bands(arm, target.mode, found.limits.resamples) for arm in arms if arm.arm not in curves}
    panels = (("return", "mean return", target.return_mean), ("success", "success rate", target.success_rate))
    for axes, (measure, label, wanted) in zip(figure.subplots(1, 2), panels, strict=True):
        for arm, style in zip(arms, ARM_STYLES, strict=False):
            _seeds(axes, arm, measure, target, style)
        for (name, bands), style in zip(curves.items(), ARM_STYLES, strict=False):
            _band(axes, bands[measure], style, wide=seeds[name] >= RUNS_FOR_BOUND)
        _levels(axes, wanted, None if expert is None else score_value(expert, measure))
        _frame(axes, "env steps", label)
        axes.set_xlim(left=0)
    axes.set_ylim(-0.03, 1.03)  # of the success rate
    handles = [
        Line2D([], [], color=colour, linestyle=dash, linewidth=2.2, label=f"{name}, {n} seeds")
        for (name, n), (colour, dash) in zip(seeds.items(), ARM_STYLES, strict=False)
    ]
    if any(_is_censored(run, target) for arm in arms for run in arm.runs):
        handles.append(_handle(">", FAINT, "white", "a seed that never reached the target"))
    _legend(figure, handles)
    return figure


def steps_to_target(found: Comparison) -> Figure:
    """Left, a row for each seed: when each arm first met the target, an open arrow where it never did; right, the share of seeds that have
    reached it (Kaplan–Meier).
    """
    arms, seeds = styled(found), [one.seed for one in found.candidate.passages]
    figure = Figure(figsize=(10.6, 1.3 + 0.3 * max(len(seeds), 6)), layout="constrained")
    rows, arrivals = figure.subplots(1, 2, width_ratios=(3, 2))
    apart = (
        np.linspace(-ROW, ROW, len(arms)) if len(arms) > 1 else np.zeros(1)
    )  # arms that arrive together do not hide each other
    for arm, (colour, dash), (marker, size), offset in zip(arms, ARM_STYLES, MARKERS, apart, strict=False):
        for row, one in enumerate(arm.passages):
            x = one.after if one.by is None else one.by
            rows.plot([0, x], [row + offset] * 2, color=colour, alpha=0.25, linewidth=1, zorder=1)
            (dot,) = rows.plot(x, row + offset, ">" if one.by is None else marker, color=colour, markersize=size, clip_on=False)
            if one.by is None:
                dot.set_markerfacecolor("white")
        steps, share = (0.0, *arm.reached.steps), (0.0, *arm.reached.share)
        arrivals.step(steps, share, where="post", color=colour, linestyle=dash, linewidth=2.2)
    rows.set_yticks(range(len(seeds)), [str(seed) for seed in seeds])
    rows.set_ylim(len(seeds) - 0.4, -0.6)
    _frame(rows, f"env steps to {found.target.name}", "seed")
    rows.grid(visible=False, axis="y")
    arrivals.set_ylim(-0.03, 1.03)
    _frame(arrivals, "env steps", "share of seeds at the target")
    most = max(one.after if one.by is None else one.by for arm in arms for one in arm.passages) or 1
    for axes in (rows, arrivals):
        axes.set_xlim(-0.01 * most, most * 1.06)
    handles = [
        _handle(marker, colour, colour, arm.arm, size)
        for arm, (colour, _), (marker, size) in zip(arms, ARM_STYLES, MARKERS, strict=False)
    ]
    if any(one.by is None for arm in arms for one in arm.passages):
        handles.append(_handle(">", FAINT, "white", "not reached by then"))
    _legend(figure, handles)
    return figure


def performance(arms: Sequence[ArmRuns], mode: Mode) -> Figure:
    """The performance profile: share of runs whose return in the exam is at least x, with its bands. `arms` are in the order of `styled`."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    profiles = performance_profile(arms, mode, PROFILE_LEVELS)
    for arm, (colour, dash) in zip(arms, ARM_STYLES, strict=False):
        one = profiles[arm.arm]
        if len(arm.runs) >= RUNS_FOR_BOUND:
            axes.fill_between(one.level, one.low, one.high, step="pre", color=colour, alpha=0.18, linewidth=0)
        label = f"{arm.arm}, {len(arm.runs)} seeds"
        axes.step(one.level, one.share, where="pre", color=colour, linestyle=dash, linewidth=2.2, label=label)
    axes.set_ylim(-0.03, 1.03)
    _frame(axes, "mean return in the exam", "share of seeds at or above it")
    axes.xaxis.set_major_formatter(ScalarFormatter())  # a return, not env steps
    _legend(figure, list(axes.get_lines()))
    return figure


def confusion(decisions: Mapping[str, Mapping[str, int]]) -> Figure:
    """Rows: what the expert chose, commonest first; columns: the clones' most likely action; cells in % of their row."""
    chosen = {name: sum(row.values()) for name, row in decisions.items()}
    rows = sorted(decisions, key=lambda name: (-chosen[name], name))
    others = {name for row in decisions.values() for name in row} - set(rows)
    columns = [*rows, *sorted(others)]
    counts = np.array([[decisions[row].get(column, 0) for column in columns] for row in rows])
    share = 100 * counts / counts.sum(axis=1, keepdims=True)  # [rows, columns] %
    figure = Figure(figsize=(max(4.6, 2.6 + 0.5 * len(columns)), max(3.4, 1.9 + 0.34 * len(rows))), layout="constrained")
    axes = figure.subplots()
    axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=100, edgecolors="white", linewidth=1.5)
    for (y, x), value in np.ndenumerate(share):
        if counts[y, x]:
            text = "<1" if value < 1 else ">99" if 99 < value < 100 else f"{value:.0f}"
            axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8, color="white" if value > 55 else INK)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=40, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [f"{row}  ({chosen[row]:,})" for row in rows], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("the clones' most likely action, % of the row")
    axes.set_ylabel("the expert's action (held-out decisions)")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, without the name and version of who wrote it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def _seeds(axes: Axes, arm: ArmRuns, measure: str, target: Target, style: Style) -> None:
    """A thin line a seed; an open arrow at the end of one that never reached the target."""
    for run in arm.runs:
        steps = [point.env_steps for point in run.curve]
        values = [score_value(point.score(target.mode), measure) for point in run.curve]
        axes.plot(steps, values, color=style[0], alpha=0.35, linewidth=0.7)
        if _is_censored(run, target):
            (end,) = axes.plot(steps[-1:], values[-1:], marker=">", markersize=5, color=style[0], clip_on=False, zorder=4)
            end.set_markerfacecolor("white")


def _band(axes: Axes, band: CurveBand, style: Style, wide: bool) -> None:
    """The interquartile mean, and its bootstrap band where there are seeds enough for one."""
    if wide:
        axes.fill_between(band.env_steps, band.low, band.high, color=style[0], alpha=0.18, linewidth=0)
    axes.plot(band.env_steps, band.iqm, color=style[0], linestyle=style[1], linewidth=2.2, zorder=3)


def _levels(axes: Axes, wanted: float | None, expert: float | None) -> None:
    """The target and the expert as lines, named in the right margin; the higher one above its line."""
    levels = (("expert", expert, ":"), ("target", wanted, "--"))
    found = [(name, value, dash) for name, value, dash in levels if value is not None]
    highest = max((value for _, value, _ in found), default=0.0)
    for name, value, dash in found:
        axes.axhline(value, color=INK, linestyle=dash, linewidth=1)
        side = "bottom" if value == highest else "top"
        axes.text(1.01, value, f"{name} {value:.2f}", transform=axes.get_yaxis_transform(), va=side, fontsize=8, color=INK)


def _is_censored(run: SeedRun, target: Target) -> bool:
    return passage(run, target).by is None


def _legend(figure: Figure, handles: list[Line2D]) -> None:
    columns = min(len(handles), LEGEND_COLUMNS)
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, fontsize=9)


def _handle(marker: str, colour: str, face: str, label: str, size: float = 6) -> Line2D:
    return Line2D([], [], marker=marker, color=colour, markerfacecolor=face, markersize=size, linestyle="none", label=label)


def _frame(axes: Axes, x: str, y: str) -> None:
    """Labels and a grid; x is in env steps."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)
    axes.xaxis.set_major_formatter(EngFormatter())
