"""The charts of the page of a dataset: how each number of an episode is distributed, and how often each action was labelled and executed."""

from typing import Any

import numpy as np

from headstart.dataset.inspection import Inspection
from headstart.dataset.inspection_episodes import Column
from headstart.dataset.inspection_look import plain
from headstart.view.charts import SCHEMA
from headstart.view.inspect_text import shown

CELLS = 30  # of a histogram
FLAGS = ("success", "harm")  # columns that are true or false
BLUE, ORANGE = "#3b7dc4", "#d98324"


def histograms(found: Inspection) -> list[dict[str, Any]]:
    """Of each number that varies; rejected episodes stand on the accepted ones, in another colour and with a name."""
    return [_histogram(found, name) for name, column in found.columns.items() if name not in FLAGS and varies(column)]


def varies(column: Column) -> bool:
    known = column.values[np.isfinite(column.values)]
    return bool(len(known) and known.min() < known.max())


def _histogram(found: Inspection, name: str) -> dict[str, Any]:
    column, accepted = found.columns[name], found.accepted
    known = np.isfinite(column.values)
    edges = np.histogram_bin_edges(column.values[known], CELLS)
    values = []
    for group, mine in (("accepted", accepted), ("rejected", ~accepted)):
        for low, high, count in zip(edges[:-1], edges[1:], np.histogram(column.values[known & mine], edges)[0], strict=True):
            if count:
                values.append({"from": plain(float(low)), "to": plain(float(high)), "episodes": int(count), "group": group})
    spread = found.spread.get(name)
    said = (
        f"median {shown(spread.median)}, {shown(spread.least)} to {shown(spread.most)}, n = {spread.n:,}"
        if spread
        else "no accepted one"
    )
    unit = f", {column.unit}" if column.unit else ""
    colour: dict[str, Any] = {
        "field": "group",
        "scale": {"domain": ["accepted", "rejected"], "range": [BLUE, ORANGE]},
        "title": None,
    }
    colour["legend"] = {"orient": "top"} if not accepted.all() else None
    spec = _spec(values, 110) | {
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "x": {"field": "from", "type": "quantitative", "bin": {"binned": True}, "title": f"{column.label}{unit}"},
            "x2": {"field": "to"},
            "y": {"field": "episodes", "type": "quantitative", "title": "episodes"},
            "color": colour,
        },
    }
    return {"name": name, "spec": spec, "text": f"{column.label}{unit}: {said}"}


def action_bars(found: Inspection) -> dict[str, Any]:
    total, ran = (max(1, sum(getattr(one, key) for one in found.actions)) for key in ("labelled", "executed"))
    values = [
        {"action": one.name, "share of labels": plain(one.labelled / total), "share executed": plain(one.executed / ran)}
        for one in found.actions
    ]
    y = {"field": "action", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 160}}
    x = {"type": "quantitative", "axis": {"format": "%"}, "title": "share of labels; tick: executed"}
    bars = {
        "mark": {"type": "bar", "tooltip": True, "color": BLUE},
        "encoding": {"x": x | {"field": "share of labels"}},
    }
    ticks = {
        "mark": {"type": "tick", "tooltip": True, "color": ORANGE, "thickness": 3},
        "encoding": {"x": x | {"field": "share executed"}},
    }
    return _spec(values, max(60, 20 * len(values))) | {"encoding": {"y": y}, "layer": [bars, ticks]}


def _spec(values: list[dict[str, Any]], height: int) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "data": {"values": values},
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
