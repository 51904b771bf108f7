"""The rehearsal of a schedule as a picture: what was read, where guardrails fired, where rollbacks led, what the ramps were.

Equal rehearsals give equal bytes: no date, and ids from a fixed salt.
"""

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headstart.config.schedule import Arm
from headstart.guard.simulation import Simulation

INK = "#222222"
ARM_STYLES: tuple[tuple[str, Literal["-", "--", "-.", ":"]], ...] = (
    ("#D55E00", "--"),
    ("#0072B2", "-"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
)
READ = ("return_normalised", "success_rate", "harm_rate", "bc_accuracy")
RAMPS = ("expert_share", "bc_weight", "kl_weight", "replay_share")
MARKS = {"warn": ("^", "#E69F00"), "breach": ("X", "#D55E00")}


def simulation_figure(arm: Arm, simulation: Simulation) -> Figure:
    """Above: evaluations with findings and rollbacks; below: the ramps as this run went through them."""
    figure = Figure(figsize=(9.2, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    _evaluations(above, simulation)
    _findings(above, simulation)
    _ramps(below, arm, simulation)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        _phases(axes, simulation)
    above.set_title(f"{simulation.outcome}: {simulation.control.status}", loc="right", fontsize=10)
    below.set_xlabel("env steps charged")
    below.set_xlim(0, max(arm.budget, 1))
    return figure


def svg(figure: Figure) -> bytes:
    """The figure as an SVG file with text that can be searched."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "headstart", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _phases(axes: Axes, simulation: Simulation) -> None:
    """A line where phases begin, with the names of all that begin there."""
    names: dict[int, list[str]] = {}
    for event in simulation.events:
        if event.kind == "phase_began":
            names.setdefault(event.env_steps, []).append(event.phase)
    for steps, begun in names.items():
        axes.axvline(steps, color=INK, linewidth=0.8)
        where = axes.get_xaxis_transform()
        axes.text(steps, 0.5, " " + ", ".join(begun), rotation=90, ha="left", va="center", fontsize=8, transform=where)


def _evaluations(axes: Axes, simulation: Simulation) -> None:
    for name, (colour, dash) in zip(READ, ARM_STYLES, strict=False):
        points = [
            (event.env_steps, value)
            for event in simulation.events
            if event.kind == "evaluation" and event.reading and (value := event.reading.values.get(name)) is not None
        ]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, color=colour, linestyle="" if name == "bc_accuracy" else dash, marker=".", label=name)
    if axes.get_lines():
        axes.legend(frameon=False, fontsize=8)
    axes.set_ylabel("evaluation")


def _findings(axes: Axes, simulation: Simulation) -> None:
    """Marks along the top; an arrow back to the checkpoint that a rollback restored; a line where a run ends early."""
    for event in simulation.events:
        if event.finding is not None and event.finding.decision != "continue":
            mark, colour = MARKS[event.finding.severity]
            axes.plot(event.env_steps, 1.02, mark, color=colour, transform=axes.get_xaxis_transform(), clip_on=False)
        if event.kind == "rollback" and event.checkpoint is not None:
            back = int(event.checkpoint.rpartition("@")[2])
            style = {"arrowstyle": "->", "color": "#D55E00", "connectionstyle": "arc3,rad=0.3"}
            where = axes.get_xaxis_transform()
            axes.annotate("", (back, 0.05), (event.env_steps, 0.05), xycoords=where, textcoords=where, arrowprops=style)
        if event.kind in ("freeze", "stop"):
            axes.axvline(event.env_steps, color="#D55E00", linewidth=2)


def _ramps(axes: Axes, arm: Arm, simulation: Simulation) -> None:
    points = list(_walked(arm, simulation))
    for name, (colour, dash) in zip(RAMPS, ARM_STYLES, strict=False):
        values = [values[name] for _, values in points]
        if any(values):
            axes.plot([steps for steps, _ in points], values, color=colour, linestyle=dash, drawstyle="steps-pre", label=name)
    if axes.get_lines():
        axes.legend(frameon=False, fontsize=8)
    axes.set_ylabel("share, weight")


def _walked(arm: Arm, simulation: Simulation) -> Iterator[tuple[int, dict[str, float]]]:
    """Env steps and ramp values of every update; a retry begins its ramps anew, with its own KL factor."""
    for before, event in pairwise(simulation.events):
        if event.kind == "update":
            at, phase = before.at, arm.phases[event.at.phase]
            share = at.progress(phase)  # a ramp is read when its rollout begins
            values = {name: getattr(phase, name).at(share) for name in RAMPS}
            values["kl_weight"] *= at.kl_factor(phase)
            yield event.env_steps, values
