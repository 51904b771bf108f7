"""When each arm reached the target, how the ratio depends on the level that is asked for, and how the returns at the end are spread."""

from collections.abc import Sequence
from itertools import pairwise

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.levels import performance_profile
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.core.arrays import Mode
from headstart.view.charts import COLOURS, LEGEND_PARAM, SHAPES, SHORT, UNSEEN, Spec, arm_scales, chart, shown_alone, tip
from headstart.view.comparison import styled

BAND_LEVELS = 401


def steps_to_target(found: Comparison) -> Spec:
    """A row for each seed: when each arm first met the target, an open arrow where it never did."""
    arms = styled(found)
    names = [arm.arm for arm in arms]
    rows = [
        {"arm": arm.arm, "seed": one.seed, "steps": one.after if one.by is None else one.by, "reached": one.by is not None}
        for arm in arms
        for one in arm.passages
    ]
    legend = {"title": None, "orient": "top", "symbolSize": 90, "symbolOpacity": 1, "labelLimit": 300}
    of_arm = {"field": "arm", "type": "nominal", "legend": legend}
    place = {
        "y": {"field": "seed", "type": "ordinal", "title": "seed", "axis": {"grid": True, "tickBand": "extent"}},
        "yOffset": {"field": "arm", "type": "nominal", "scale": {"domain": names}},
        "x": {"field": "steps", "type": "quantitative", "title": f"env steps to {found.target.name}", "axis": SHORT},
        "color": of_arm | {"scale": {"domain": names, "range": [COLOURS[i % len(COLOURS)] for i in range(len(names))]}},
    }
    shape = of_arm | {"scale": {"domain": names, "range": [SHAPES[i % len(SHAPES)] for i in range(len(names))]}}
    tips = [tip("arm"), tip("seed"), tip("steps", ",d", "env steps"), tip("reached")]
    line: Spec = {"mark": {"type": "rule", "opacity": 0.35}, "encoding": place | {"x2": {"datum": 0}}}
    dot: Spec = {"transform": [{"filter": "datum.reached"}], "mark": {"type": "point", "opacity": 1, "size": 70, "filled": True}}
    arrow: Spec = {
        "transform": [{"filter": "!datum.reached"}],
        "mark": {"type": "point", "opacity": 1, "size": 60, "filled": False, "shape": "triangle-right"},
    }
    layers = [line, dot | {"encoding": place | {"shape": shape, "tooltip": tips}}]
    layers += [arrow | {"encoding": place | {"tooltip": tips}}] if not all(row["reached"] for row in rows) else []
    return chart(max(160, 7 * len(names) * len(arms[0].passages) + 60), layers, data={"values": rows})


def ratio_by_level(found: Comparison) -> Spec | None:
    """The ratio of medians and its bound against the level of return; None where no level has either, beyond those that need no training."""
    assert found.beyond is not None
    said = (("ratio of medians", "median"), ("95 % upper bound", "upper"))
    rows = [
        {"level": round(row.level, 4), "ratio": round(value, 4), "what": what}
        for row in found.beyond.levels
        for what, key in said
        if 0 not in (row.ratio.median, row.ratio.upper) and (value := getattr(row.ratio, key)) is not None
    ]
    if not rows:
        return None
    kinds = [what for what, _ in said]
    legend = {"title": None, "orient": "top", "symbolSize": 90}
    scales = {
        "color": {
            "field": "what",
            "type": "nominal",
            "scale": {"domain": kinds, "range": [COLOURS[1], COLOURS[0]]},
            "legend": legend,
        },
        "shape": {
            "field": "what",
            "type": "nominal",
            "scale": {"domain": kinds, "range": ["circle", "triangle-down"]},
            "legend": legend,
        },
    }
    lowest, highest = (pick(row.level for row in found.beyond.levels) for pick in (min, max))
    x = {
        "field": "level",
        "type": "quantitative",
        "title": "mean return at least",
        "scale": {"domain": [lowest, highest], "zero": False},
    }
    y = {"field": "ratio", "type": "quantitative", "title": f"steps of {found.candidate.arm} ÷ {found.grid[0].baseline.arm}"}
    tips = [tip("level", ".3f", "return at least"), tip("what", title=" "), tip("ratio", ".3f")]
    drawn, place = {"data": {"values": rows}}, {"x": x, "y": y, "color": scales["color"]}
    line = drawn | {"mark": {"type": "line"}, "encoding": place}
    dots = drawn | {"mark": {"type": "point", "size": 70}, "encoding": place | {"shape": scales["shape"], "tooltip": tips}}
    limit = {"data": {"values": [{"ratio": found.limits.max_ratio, "says": f"limit {found.limits.max_ratio:g}"}]}}
    rule = limit | {"mark": {"type": "rule", "strokeDash": [6, 3]}, "encoding": {"y": y}}
    name = limit | {
        "mark": {"type": "text", "align": "right", "dy": -7, "fontSize": 11},
        "encoding": {"x": {"value": "width"}, "y": y, "text": {"field": "says"}},
    }
    return chart(220, [dots, line, rule, name])


def performance(arms: Sequence[ArmRuns], mode: Mode) -> Spec:
    """The performance profile: share of runs whose return in the exam is at least x. `arms` are in the order of `styled`.

    The line steps at the runs' own returns; its band is drawn on a grid.
    """
    returns = {arm.arm: sorted(run.exam[mode].return_mean for run in arm.runs) for arm in arms}
    ends = min(of[0] for of in returns.values()), max(of[-1] for of in returns.values())
    x = {"field": "level", "type": "quantitative", "title": "mean return in the exam", "scale": {"zero": False, "nice": False}}
    y = {"type": "quantitative", "title": "share of seeds at or above it", "scale": {"domain": [0, 1.02], "nice": False}}
    scales = arm_scales([arm.arm for arm in arms])
    line = {
        "data": {"values": [row for name, of in returns.items() for row in _steps(name, of, *ends)]},
        "params": [LEGEND_PARAM],
        "mark": {"type": "line", "interpolate": "step-before", "strokeWidth": 2.4, "point": {"size": 50, **UNSEEN}},
        "encoding": {
            "x": x,
            "y": y | {"field": "share"},
            "order": {"field": "place", "type": "quantitative"},  # two rows of one level are a step down
            **scales,
            "opacity": shown_alone(1),
            "tooltip": [tip("arm"), tip("level", ".3f", "return at least"), tip("share", ".2f")],
        },
    }
    band = {
        "data": {"values": _profile_band(arms, mode)},
        "mark": {"type": "area", "interpolate": "step-before"},
        "encoding": {
            "x": x,
            "y": y | {"field": "low"},
            "y2": {"field": "high"},
            "color": scales["color"],
            "opacity": shown_alone(0.18),
        },
    }
    return chart(240, [line, band])


def _steps(name: str, returns: Sequence[float], lowest: float, highest: float) -> list[Spec]:
    """The share at a return holds down to the next lower one, and falls behind the highest to 0. `returns` are sorted."""
    n = len(returns)
    points = [(lowest, 1.0), *((value, (n - returns.index(value)) / n) for value in dict.fromkeys(returns))]
    points += [(returns[-1], 0.0), (highest, 0.0)]
    return [
        {"arm": name, "place": place, "level": round(level, 6), "share": round(share, 4)}
        for place, (level, share) in enumerate(points)
    ]


def _profile_band(arms: Sequence[ArmRuns], mode: Mode) -> list[Spec]:
    """Of arms with seeds enough; of levels with one band only the last is kept, up to which a step goes."""
    rows = []
    for name, one in performance_profile(arms, mode, BAND_LEVELS).items():
        if len(next(arm for arm in arms if arm.arm == name).runs) < RUNS_FOR_BOUND:
            continue
        points = list(zip(one.level, one.low, one.high, strict=True))
        kept = [points[0], *(here for here, after in pairwise(points[1:]) if here[1:] != after[1:]), points[-1]]
        rows += [
            {"arm": name, "level": round(level, 4), "low": round(low, 4), "high": round(high, 4)} for level, low, high in kept
        ]
    return rows
