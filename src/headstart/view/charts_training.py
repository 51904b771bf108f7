"""How the clones imitate, and what a run of the candidate went through: the weights of its schedule, guardrails, rollbacks."""

from collections.abc import Mapping, Sequence

from headstart.telemetry.kinds import AnyLine, GuardrailLine, RollbackLine, Update
from headstart.view.charts import COLOURS, DASHES, SHORT, UNSEEN, Spec, chart, tip

INK, PAPER = "#1c1e22", "#ffffff"
ROW_PX = 24
WEIGHTS = ("bc_weight", "kl_weight", "expert_share")
WARN, BREACH = "#E69F00", "#D55E00"


def confusion(decisions: Mapping[str, Mapping[str, int]]) -> Spec:
    """Rows: what the expert chose, commonest first; columns: the clones' most likely action; cells in % of their row."""
    chosen = {name: sum(row.values()) for name, row in decisions.items()}
    order = sorted(decisions, key=lambda name: (-chosen[name], name))
    columns = [*order, *sorted({name for row in decisions.values() for name in row} - set(order))]
    label = {name: f"{name}  ({chosen[name]:,})" for name in order}
    rows = [
        {
            "expert": label[row],
            "clones": column,
            "row": i,
            "column": j,
            "n": n,
            "share": round(100 * n / chosen[row], 2),
            "says": _percent(100 * n / chosen[row]),
        }
        for i, row in enumerate(order)
        for j, column in enumerate(columns)
        if (n := decisions[row].get(column, 0))
    ]
    place = {
        "x": {
            "field": "clones",
            "type": "nominal",
            "sort": {"field": "column", "op": "min"},  # a list of names would become part of an expression
            "title": ["the clones' most likely action,", "% of the row"],
            "axis": {"labelAngle": -40},
        },
        "y": {
            "field": "expert",
            "type": "nominal",
            "sort": {"field": "row", "op": "min"},
            "title": "expert's action (decisions)",
        },
    }
    tips = [tip("expert"), tip("clones"), tip("n", ",d", "decisions"), tip("share", ".1f", "% of the row")]
    colour = {"field": "share", "type": "quantitative", "scale": {"scheme": "blues", "domain": [0, 100]}, "legend": None}
    cell = {"mark": {"type": "rect"}, "encoding": place | {"color": colour, "tooltip": tips}}
    ink = {"condition": {"test": "datum.share > 55", "value": PAPER}, "value": INK}
    says = {"mark": {"type": "text", "fontSize": 11}, "encoding": place | {"text": {"field": "says"}, "color": ink}}
    return chart(ROW_PX * len(order) + 20, [cell, says], data={"values": rows})


def _percent(share: float) -> str:
    return f"{share:.1g}" if share < 1 else ">99" if 99 < share < 100 else f"{share:.0f}"


def returns(spreads: Mapping[str, tuple[float, float, float]]) -> Spec:
    """A line for each policy, from the 5th to the 95th percentile of its episodes' returns, with a mark at the median."""
    rows = [{"policy": name, "low": low, "median": median, "high": high} for name, (low, median, high) in spreads.items()]
    y = {"field": "policy", "type": "nominal", "title": None, "sort": None}
    x = {"field": "low", "type": "quantitative", "title": "return of an episode", "scale": {"zero": False, "nice": True}}
    tips = [tip("policy"), tip("low", ".4g", "5th percentile"), tip("median", ".4g"), tip("high", ".4g", "95th percentile")]
    line = {
        "mark": {"type": "rule", "strokeWidth": 3, "color": COLOURS[1]},
        "encoding": {"x": x, "x2": {"field": "high"}, "y": y},
    }
    middle = {"mark": {"type": "point", "filled": True, "size": 90, "color": COLOURS[1], "opacity": 1}}
    middle |= {"encoding": {"x": x | {"field": "median"}, "y": y, "tooltip": tips}}
    return chart(ROW_PX * len(rows) + 20, [line, middle], data={"values": rows})


def weights(log: Sequence[AnyLine]) -> Spec | None:
    """The weights of one run over its env steps, with marks where a guardrail spoke and arrows back where a rollback led; None: all are 0."""
    updates = [line for line in log if isinstance(line, Update)]
    used = [name for name in WEIGHTS if any(getattr(line, name) for line in updates)]
    if not used:
        return None
    rows = [{"weight": name, "steps": line.env_steps, "value": getattr(line, name)} for name in used for line in updates]
    legend = {"title": None, "orient": "top", "symbolType": "stroke", "symbolStrokeWidth": 2.5, "symbolSize": 500}
    scales = {
        "color": {
            "field": "weight",
            "type": "nominal",
            "scale": {"domain": used, "range": list(COLOURS[1 : len(used) + 1])},
            "legend": legend,
        },
        "strokeDash": {
            "field": "weight",
            "type": "nominal",
            "scale": {"domain": used, "range": [list(d) for d in DASHES[1 : len(used) + 1]]},
            "legend": legend,
        },
    }
    x = {"field": "steps", "type": "quantitative", "title": "env steps", "axis": SHORT}
    y = {"field": "value", "type": "quantitative", "title": "weight, share"}
    tips = [tip("weight"), tip("steps", ",d", "env steps"), tip("value", ".4g")]
    mark = {"type": "line", "interpolate": "step-before", "strokeWidth": 2.2, "point": {"size": 40, **UNSEEN}}
    layers = [{"data": {"values": rows}, "mark": mark, "encoding": {"x": x, "y": y, **scales, "tooltip": tips}}]
    return chart(200, [*layers, *_marks(log, x)])


def _marks(log: Sequence[AnyLine], x: Spec) -> list[Spec]:
    """Along the top; an arrow along the bottom goes back to where a rollback led."""
    said = [
        {"steps": line.env_steps, "what": line.severity, "guardrail": line.guardrail, "decision": line.decision}
        for line in log
        if isinstance(line, GuardrailLine) and line.value is not None
    ]
    back = [
        {"steps": line.env_steps, "to": line.env_steps - line.env_steps_discarded}
        for line in log
        if isinstance(line, RollbackLine)
    ]
    shapes = {"condition": {"test": "datum.what === 'breach'", "value": "cross"}, "value": "triangle-up"}
    colours = {"condition": {"test": "datum.what === 'breach'", "value": BREACH}, "value": WARN}
    tips = [tip("guardrail"), tip("what"), tip("decision"), tip("steps", ",d", "env steps")]
    marks = {
        "data": {"values": said},
        "mark": {"type": "point", "size": 90, "filled": True},
        "encoding": {"x": x, "y": {"value": 6}, "shape": shapes, "color": colours, "tooltip": tips},
    }
    bottom = {"y": {"value": "height"}}
    arrow = {
        "data": {"values": back},
        "mark": {"type": "rule", "strokeWidth": 2, "color": BREACH},
        "encoding": {"x": x, "x2": {"field": "to"}, **bottom},
    }
    tip_of = {
        "data": {"values": back},
        "mark": {"type": "point", "shape": "triangle-left", "filled": True, "size": 90, "color": BREACH},
        "encoding": {"x": x | {"field": "to"}, **bottom},
    }
    return [*([marks] if said else []), *([arrow, tip_of] if back else [])]
