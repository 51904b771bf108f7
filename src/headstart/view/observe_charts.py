"""The curves of a run that is watched: empty Vega-Lite specifications, whose data the page fills in."""

from collections.abc import Mapping
from typing import Any, NamedTuple

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a35b8f")  # Okabe and Ito's, the last darker
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])  # a second cue
STEPS = "env steps"


class Curves(NamedTuple):
    """What one chart draws."""

    title: str
    unit: str
    series: Mapping[str, str]  # of `observe_state.row_of` → its name in the legend
    share: bool = False  # 0 … 1
    target: str | None = None  # key of the target that is drawn as a line
    points: bool = False  # of few rows: each has a mark


OF_ARM = {
    "return": Curves(
        "Return", "return, mean of episodes", {"return sampled": "sampled actions", "return deterministic": "likeliest actions"},
        target="return_mean", points=True,
    ),
    "success": Curves(
        "Success and harm", "share of episodes",
        {"success sampled": "success", "harm sampled": "harm", "success deterministic": "success of the likeliest actions"},
        share=True, target="success_rate", points=True,
    ),
    "entropy": Curves("Entropy of the policy", "nats", {"entropy": "entropy"}),
    "kl": Curves("Change of the policy", "KL divergence, nats", {"kl_divergence": "by an update", "kl_to_reference": "from the clone"}),
    "loss": Curves("Loss", "loss", {"loss_total": "total", "loss_value": "value", "loss_policy": "policy"}),
    "schedule": Curves(
        "Schedule", "weight or share", {"bc_weight": "BC weight", "kl_weight": "KL weight", "expert_share": "expert share"}
    ),
}  # fmt: skip
OF_CLONE = {
    "accuracy": Curves(
        "Accuracy", "share of decisions", {"accuracy_heldout": "held out", "accuracy": "training", "majority_baseline": "constant action"},
        share=True, points=True,
    ),
    "loss": Curves("Loss", "loss, nats", {"loss_heldout": "held out", "loss": "training"}, points=True),
}  # fmt: skip


def chart(curves: Curves, x: str) -> dict[str, Any]:
    """Named data: `rows` with x, y and the series s; `phases` with x and the name t; `target` with y."""
    names = list(curves.series.values())
    scale = {"domain": [0, 1]} if curves.share else {"zero": False}
    across = {"field": "x", "type": "quantitative", "title": x, "axis": {"format": "~s", "tickCount": 5}}
    y = {"field": "y", "type": "quantitative", "title": curves.unit, "scale": scale, "axis": {"tickCount": 5}}
    legend = {"orient": "top", "title": None, "symbolType": "stroke", "symbolSize": 400, "columns": 3} if len(names) > 1 else None
    series = {
        channel: {"field": "s", "type": "nominal", "scale": {"domain": names, "range": list(of[: len(names)])}, "legend": legend}
        for channel, of in (("color", COLOURS), ("strokeDash", DASHES))
    }
    tooltip = [
        {"field": "s", "title": "series"}, {"field": "x", "title": x, "format": ","}, {"field": "y", "title": curves.unit, "format": ".4~g"}
    ]  # fmt: skip
    rule = {"type": "rule", "strokeDash": [2, 3], "aria": False}  # the place of the chart has a label
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "usermeta": {"embedOptions": {"logLevel": 1}},  # errors: a warning about an axis without data says nothing here
        "datasets": {"rows": [], "phases": [], "target": []},
        "width": "container",
        "height": 170,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [
            {"data": {"name": "phases"}, "mark": rule, "encoding": {"x": across, "tooltip": {"field": "t", "title": "phase begins"}}},
            {"data": {"name": "target"}, "mark": rule, "encoding": {"y": y, "tooltip": {"field": "y", "title": "target"}}},
            {
                "data": {"name": "rows"},
                "mark": {"type": "line", "point": {"size": 14, "aria": False} if curves.points else False, "strokeWidth": 1.8, "aria": False},
                "encoding": {"x": across, "y": y, **series, "tooltip": tooltip},
            },
        ],
    }  # fmt: skip
