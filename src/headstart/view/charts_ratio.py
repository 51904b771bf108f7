"""When each arm reached the target, how the ratio depends on the level that is asked for, and how the returns at the end are spread."""

from collections.abc import Sequence

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.levels import performance_profile
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.core.arrays import Mode
from headstart.view.charts import COLOURS, LEGEND_PARAM, SHAPES, SHORT, UNSEEN, Spec, arm_scales, chart, shown_alone, tip
from headstart.view.comparison import styled

PROFILE_LEVELS = 41


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
    """The performance profile: share of runs whose return in the exam is at least x, with its bands. `arms` are in the order of `styled`."""
    profiles = performance_profile(arms, mode, PROFILE_LEVELS)
    rows = [
        {"arm": arm.arm, "level": round(level, 4), "share": round(share, 4)}
        | ({"low": round(low, 4), "high": round(high, 4)} if len(arm.runs) >= RUNS_FOR_BOUND else {})
        for arm in arms
        for one in [profiles[arm.arm]]
        for level, share, low, high in zip(one.level, one.share, one.low, one.high, strict=True)
    ]
    x = {"field": "level", "type": "quantitative", "title": "mean return in the exam", "scale": {"zero": False, "nice": False}}
    y = {"type": "quantitative", "title": "share of seeds at or above it", "scale": {"domain": [0, 1.02], "nice": False}}
    scales = arm_scales([arm.arm for arm in arms])
    tips = [
        tip("arm"),
        tip("level", ".3f", "return at least"),
        tip("share", ".2f"),
        tip("low", ".2f", "95 % from"),
        tip("high", ".2f", "to"),
    ]
    band = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "interpolate": "step-before"},
        "encoding": {
            "x": x,
            "y": y | {"field": "low"},
            "y2": {"field": "high"},
            "color": scales["color"],
            "opacity": shown_alone(0.18),
        },
    }
    line = {
        "params": [LEGEND_PARAM],
        "mark": {"type": "line", "interpolate": "step-before", "strokeWidth": 2.4, "point": {"size": 50, **UNSEEN}},
        "encoding": {"x": x, "y": y | {"field": "share"}, **scales, "opacity": shown_alone(1), "tooltip": tips},
    }
    return chart(240, [line, band], data={"values": rows})
