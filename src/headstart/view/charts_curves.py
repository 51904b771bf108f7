"""Learning curves as a Vega-Lite specification: a line for each seed, the mean over seeds with its band, levels to reach, and phases."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from headstart.compare.arm_runs import ArmRuns, Score
from headstart.compare.comparison import Comparison
from headstart.compare.curves import CurveBand, curve_bands, score_value
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.compare.target import passage
from headstart.view.charts import GREY, LEGEND_PARAM, SCHEMA, SHORT, Spec, arm_scales, chart, shown_alone, tip
from headstart.view.comparison import styled

OWN_CHECK = "clones, own check"  # in other worlds than the evaluations of a curve
SHARE_TOP = 1.02  # of an axis of shares: a line at 1 is seen whole
LEADER_PX = 14  # from the end of a level's line to its name
INSIDE = {"name": "inside", "value": False}  # whether the names of levels stand inside: a page says so where it is narrow
ROOM, LEAST_ROOM = 0.7, 0.02  # below the lowest of target, expert and clones: of what lies above it, and of the whole axis
APART = 0.065  # of the height of a chart: the least distance between two names of levels
NAMED = {"return": "mean return", "success": "success rate", "harm": "harm rate"}
STEPS, CHARGED, SECONDS = "env steps", "env steps with demonstrations", "seconds"


class Levels(NamedTuple):
    """Whose performance stands in a chart as a line of one height: measure → value; empty: not known."""

    expert: Mapping[str, float] = {}
    clone: Mapping[str, float] = {}  # means over the clones


class Axes(NamedTuple):
    """What a curve may be drawn against."""

    cost: Mapping[str, float] = {}  # arm → env steps that the demonstrations of a run cost, mean
    clock: Mapping[str, tuple[Sequence[float], Sequence[float]]] = {}  # arm → env steps, and seconds by then; means over seeds

    @property
    def kinds(self) -> list[str]:
        return [STEPS, *([CHARGED] if any(self.cost.values()) else []), *([SECONDS] if self.clock else [])]

    def at(self, arm: str, steps: float, suffix: str = "") -> dict[str, float]:
        """A number of env steps on every axis that has it."""
        there: dict[str, float] = {STEPS + suffix: steps, CHARGED + suffix: steps + self.cost.get(arm, 0.0)}
        if arm in self.clock:
            there[SECONDS + suffix] = round(float(np.interp(steps, *self.clock[arm])), 3)
        return {key: value for key, value in there.items() if key.removesuffix(suffix) in self.kinds}


def curves(
    found: Comparison,
    measure: str,
    levels: Levels,
    arms: Sequence[ArmRuns] = (),
    axes: Axes | None = None,
    least: float | None = None,
) -> Spec:
    """A measure against env steps: bands of the arms that were compared and, where `arms` begins with the runs of these in the order of
    `styled`, a line for every seed, the phases of the candidate, and bands of other arms. `least`: where the vertical axis begins, for a chart
    of what lies above it, without the seeds.
    """
    axes = axes or Axes()
    bands = {arm.arm: arm.curves[measure] for arm in styled(found)}
    bands |= {
        arm.arm: curve_bands(arm, found.target.mode, found.limits.resamples)[measure] for arm in arms if arm.arm not in bands
    }
    runs = {arm.arm: arm.reached.runs for arm in styled(found)} | {arm.arm: len(arm.runs) for arm in arms}
    means = [row for name, band in bands.items() for row in _means(name, band, runs[name] >= RUNS_FOR_BOUND, axes)]
    seeds = [row for arm in arms for row in _seeds(arm, measure, found, axes)] if least is None else []
    flat = _levels(found, measure, levels)
    values = [row[key] for row in (*seeds, *means) for key in ("value", "low", "high") if row.get(key) is not None]
    values += [row["value"] for row in flat]
    if least is not None:
        values = [least, *(value for value in values if value >= least)]
    scale = _scale(measure, values)
    x = {"field": "x", "type": "quantitative", "title": None if len(axes.kinds) > 1 else STEPS, "axis": SHORT}
    y = {"type": "quantitative", "title": NAMED[measure], "scale": scale}
    of_arm = {"x": x, "y": y | {"field": "value"}, **arm_scales(list(bands))}
    layers = [_phases(arms[1], axes, x)] if seeds and found.grid else []
    layers += [_band(wide, of_arm | {"y": y | {"field": "low"}})] if (wide := [row for row in means if "low" in row]) else []
    layers += [_thin(seeds, of_arm)] if seeds else []
    layers += [_censored(never, of_arm)] if (never := [row for row in seeds if row.get("never")]) else []
    layers += [_thick(means, of_arm)]
    next(layer for layer in layers if "color" in layer["encoding"])["params"] = [
        LEGEND_PARAM
    ]  # only there does a legend answer a click
    layers += [_flat(flat, y), *_flat_names(flat, y, scale["domain"])] if flat else []
    for layer in layers:
        layer["transform"] = [{"calculate": "datum[axis]", "as": "x"}, *layer.get("transform", ())]
    choice = {"bind": {"input": "select", "options": axes.kinds, "name": "horizontal axis: "}} if len(axes.kinds) > 1 else {}
    for layer in layers if least is not None else ():
        layer["mark"] = {"clip": True, **layer["mark"]}
    height = 300 if measure == "return" and least is None else 200
    return chart(height, layers, params=[{"name": "axis", "value": STEPS, **choice}, INSIDE])


def near(found: Comparison, levels: Levels) -> float | None:
    """Where a chart of the return begins that shows who crosses the target; None where the whole chart shows it."""
    flat = [row["value"] for row in _levels(found, "return", levels)]
    ends = [value for arm in styled(found) for value in arm.curves["return"].iqm]
    if not flat:
        return None
    top, bottom = max(*flat, *ends), min(*flat, *ends)
    least = round(min(flat) - max(ROOM * (top - min(flat)), LEAST_ROOM * (top - bottom)), 2)
    return least if 3 * (top - least) < top - bottom else None


def both_curves(found: Comparison, expert: Score | None) -> Spec:
    """Return and success side by side, for a picture."""
    known = Levels({} if expert is None else {measure: score_value(expert, measure) for measure in ("return", "success")})
    drawn = [curves(found, measure, known) for measure in ("return", "success")]
    params = drawn[0]["params"]
    side = [{"height": 300, "layer": one["layer"], "width": 330} for one in drawn]
    return {"$schema": SCHEMA, "hconcat": side, "params": params, "spacing": 20}


def _means(name: str, band: CurveBand, wide: bool, axes: Axes) -> list[Spec]:
    """Rows of the interquartile mean, and its band where there are seeds enough for one."""
    rows = zip(band.env_steps, band.iqm, band.low, band.high, strict=True)
    return [
        {"arm": name, "value": round(iqm, 4), **axes.at(name, steps)}
        | ({"low": round(low, 4), "high": round(high, 4)} if wide else {})
        for steps, iqm, low, high in rows
    ]


def _seeds(arm: ArmRuns, measure: str, found: Comparison, axes: Axes) -> list[Spec]:
    """Rows of every seed; `never` marks the end of one that did not reach the target."""
    rows = []
    for run in arm.runs:
        points = [(point.env_steps, score_value(point.score(found.target.mode), measure)) for point in run.curve]
        rows += [
            {"arm": arm.arm, "seed": run.seed, "value": round(value, 4), **axes.at(arm.arm, steps)} for steps, value in points
        ]
        if passage(run, found.target).by is None:
            rows[-1]["never"] = True
    return rows


def _thick(rows: Sequence[Spec], encoding: Spec) -> Spec:
    tips = [
        tip("arm"),
        tip("x", ",.6~g", STEPS),
        tip("value", ".3f", "IQM"),
        tip("low", ".3f", "95 % from"),
        tip("high", ".3f", "to"),
    ]
    mark = {"type": "line", "strokeWidth": 2.6, "point": {"size": 26, "filled": True}}
    return {
        "data": {"values": list(rows)},
        "mark": mark,
        "encoding": encoding | {"opacity": shown_alone(1), "tooltip": tips},
    }


def _band(rows: Sequence[Spec], encoding: Spec) -> Spec:
    plain = {key: value for key, value in encoding.items() if key != "strokeDash"}
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "area"},
        "encoding": plain | {"y2": {"field": "high"}, "opacity": shown_alone(0.2)},
    }


def _thin(rows: Sequence[Spec], encoding: Spec) -> Spec:
    alone = {"detail": {"field": "seed"}, "strokeDash": {"value": [1, 0]}, "opacity": shown_alone(0.4)}
    return {"data": {"values": list(rows)}, "mark": {"type": "line", "strokeWidth": 0.8}, "encoding": encoding | alone}


def _censored(rows: Sequence[Spec], encoding: Spec) -> Spec:
    """An open arrow at the end of a seed that never reached the target."""
    plain = {key: value for key, value in encoding.items() if key != "strokeDash"}
    mark = {"type": "point", "shape": "triangle-right", "filled": False, "size": 45}
    return {"data": {"values": list(rows)}, "mark": mark, "encoding": plain | {"opacity": shown_alone(0.9)}}


def _levels(found: Comparison, measure: str, levels: Levels) -> list[Spec]:
    """The target, the expert and the clones, the highest first."""
    wanted = {"return": found.target.return_mean, "success": found.target.success_rate, "harm": found.target.harm_rate}[measure]
    known = {"target": wanted, "expert": levels.expert.get(measure), OWN_CHECK: levels.clone.get(measure)}
    rows = [{"name": name, "value": round(value, 4)} for name, value in known.items() if value is not None]
    return sorted(rows, key=lambda row: -row["value"])


def _flat(rows: Sequence[Spec], y: Spec) -> Spec:
    dashes = {"target": [6, 3], "expert": [1, 2]}
    dash = {
        "condition": [{"test": f"datum.name === '{name}'", "value": of} for name, of in dashes.items()],
        "value": [8, 2, 1, 2],
    }
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "rule"},
        "encoding": {"y": y | {"field": "value"}, "strokeDash": dash},
    }


def _flat_names(rows: Sequence[Spec], y: Spec, domain: Sequence[float]) -> list[Spec]:
    """The names of the levels in the right margin, which give way to each other, each with a line that leads to its level; inside the chart
    where the margin has no room.
    """
    room, places, last = APART * (domain[1] - domain[0]), [], float("inf")
    for row in rows:
        last = min(row["value"], last - room)
        places.append({"value": row["value"], "at": last, "says": f"{row['name']} {row['value']:.2f}"})
    data, end = {"data": {"values": places}}, {"x": {"value": "width"}}
    text = {
        "type": "text",
        "align": {"expr": "inside ? 'right' : 'left'"},
        "dx": {"expr": f"inside ? -4 : {LEADER_PX + 4}"},
        "dy": {"expr": "inside ? 10 : 0"},
        "fontSize": 11,
        "clip": False,
    }
    leader = {"type": "rule", "x2Offset": LEADER_PX, "strokeWidth": 0.8, "opacity": {"expr": "inside ? 0 : 1"}, "clip": False}
    ends = end | {"x2": {"value": "width"}, "y": y | {"field": "value"}, "y2": {"field": "at"}}
    return [
        data | {"mark": leader, "encoding": ends},
        data | {"mark": text, "encoding": end | {"y": y | {"field": "at"}, "text": {"field": "says"}}},
    ]


def _phases(arm: ArmRuns, axes: Axes, x: Spec) -> Spec:
    """Every other phase of the candidate is shaded; the pointer names them."""
    ends = list(accumulate((phase.steps for phase in arm.recipe.phases), initial=0))
    spans = [
        {
            "phase": f"{phase.name} ({phase.kind})",
            "shade": i % 2 == 0,
            **axes.at(arm.arm, begin),
            **axes.at(arm.arm, end, " end"),
        }
        for i, (phase, begin, end) in enumerate(zip(arm.recipe.phases, ends, ends[1:], strict=False))
        if end > begin
    ]
    shade = {"condition": {"test": "datum.shade", "value": 0.12}, "value": 0}
    encoding = {"x": x, "x2": {"field": "x2"}, "opacity": shade, "tooltip": [tip("phase", title=f"phase of {arm.arm}")]}
    transform = [{"calculate": "datum[axis + ' end']", "as": "x2"}]
    return {"data": {"values": spans}, "transform": transform, "mark": {"type": "rect", "color": GREY}, "encoding": encoding}


def shaded_phases(arm: ArmRuns) -> str:
    """The names of those that `_phases` shades."""
    names = [phase.name for phase in arm.recipe.phases[::2] if phase.steps]
    return f"the phase{'' if len(names) == 1 else 's'} {' and '.join(names)}"


def _scale(measure: str, values: Iterable[float]) -> Spec:
    low, high = (0.0, SHARE_TOP) if measure == "success" else (min(values := list(values)), max(values))
    if measure == "harm":
        return {"domain": [0.0, min(SHARE_TOP, 1.05 * high or SHARE_TOP)], "nice": False, "zero": True}
    room = 0.0 if measure == "success" else 0.04 * (high - low or 1.0)
    return {"domain": [low - room, high + room], "nice": False, "zero": False}
