"""The curves of one or several logs as a Vega-Lite specification: a panel a field, logs in colours, phases shaded, rollbacks as lines."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from headstart.core.errors import InputError, MissingExtra, UsageError, printable
from headstart.telemetry.fields import numbers, require_field
from headstart.telemetry.imported import ImportedUpdate
from headstart.telemetry.kinds import Evaluation, Line, PhaseEnded, PhaseStarted, RollbackLine, Update
from headstart.telemetry.logs import AnyRecord, Log
from headstart.view.charts import COLOURS, DASHES, GREY, SCALE, SCHEMA, SHORT, STILL, WIDTH, with_few_colours

HEIGHT = 110  # of a panel
RED = "#B00020"
MAX_LOGS = 12  # beyond these a picture says nothing
USUAL = (
    *("return_mean", "evaluation.return_mean", "evaluation.success_rate", "loss_total", "kl_divergence", "entropy", "grad_norm"),
    *("queue_conflict_rate", "queue_conflict_events", "expert_share", "bc_weight"),
)
BANDS = {f"{of}.return_mean": (f"{of}.return_ci_low", f"{of}.return_ci_high") for of in ("evaluation", "deterministic")}
AXES = {"env_steps": "env steps", "iteration": "update"}


def curves(logs: Sequence[Log], fields: Sequence[str] | None = None, x: str = "env_steps") -> dict[str, Any]:
    """`fields`: in the order of the panels; None: the usual ones that the logs have and that change.

    Raises UsageError for an unknown field or axis, or too many logs, and InputError where nothing is to be drawn.
    """
    if x not in AXES:
        raise UsageError(f"--x: expected one of {', '.join(AXES)}, got {x!r}")
    if len(logs) > MAX_LOGS:
        raise UsageError(f"expected at most {MAX_LOGS} logs in one picture, got {len(logs)}")
    for name in fields or ():
        require_field(name, "--fields")
    names = _names(logs)
    if x == "env_steps" and any(isinstance(log.records[-1], ImportedUpdate) for log in logs):
        raise UsageError("--x env_steps: expected logs that count them, got one of version 1.x; `--x iteration` draws it")
    rows = [row for log, name in zip(logs, names, strict=True) for row in _rows(log, name, x)]
    samples = any(
        row["field"].startswith("evaluation.") for row in rows
    )  # a learned expert is evaluated by its likeliest actions only
    usual = USUAL if samples else [name.replace("evaluation.", "deterministic.") for name in USUAL]
    drawn = list(fields or (name for name in usual if _changes(rows, name)))
    if missing := [name for name in drawn if not any(row["field"] == name for row in rows)]:
        raise InputError(f"expected values of {', '.join(missing)} in {', '.join(names)}, got none that is not null")
    if not drawn:
        raise InputError(f"expected updates or evaluations to draw in {', '.join(names)}, got none")
    shades, marks = list(_shades(logs[0], x)), [{"x": at} for log in logs for at in _rollbacks(log, x)]
    domain = [min(row["x"] for row in rows), max(row["x"] for row in rows)]
    panels = [_panel(name, rows, names, shades, marks, (x, domain, name == drawn[-1], name == drawn[0])) for name in drawn]
    return {
        "$schema": SCHEMA,
        "description": f"{', '.join(drawn)} of {'; '.join(names)} over {AXES[x]}",
        "vconcat": panels,
        "resolve": {"scale": {"color": "shared", "strokeDash": "shared"}, "legend": {"color": "shared", "strokeDash": "shared"}},
        "spacing": 12,
        "config": {
            "view": {"stroke": None},
            "legend": {
                "orient": "top",
                "columns": 2,
                "labelLimit": 600,
                "symbolType": "stroke",
                "symbolStrokeWidth": 2.5,
                "symbolSize": 500,
            },
            "axis": {"titleFontWeight": "normal"},
        },
    }


def svg(spec: dict[str, Any]) -> bytes:
    """A specification as SVG: equal ones give equal bytes."""
    drawn: str = _vl_convert().vegalite_to_svg(json.dumps(spec), config=STILL)
    return drawn.encode()


def png(spec: dict[str, Any]) -> bytes:
    return with_few_colours(_vl_convert().vegalite_to_png(json.dumps(spec), config=STILL, scale=SCALE))


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ModuleNotFoundError as error:
        raise MissingExtra("a picture needs vl_convert: `pip install 'headstart[view]'`") from error
    return vl_convert


def _names(logs: Sequence[Log]) -> list[str]:
    """Each log by its arm and seed; by its path where these are not enough."""
    names = [_name(log) for log in logs]
    return [printable(name) for name in (names if len(set(names)) == len(names) else [log.name for log in logs])]


def _name(log: Log) -> str:
    first = log.records[0]
    return first.run_id if first.seed is None else f"{first.scenario} {first.arm}, seed {first.seed}"


def _rows(log: Log, name: str, x: str) -> Iterator[dict[str, Any]]:
    """One for each value; an evaluation stands at the last update before it."""
    iteration = 0
    for record in log.records:
        if isinstance(record, Update | ImportedUpdate):
            iteration = record.iteration
        if not isinstance(record, Update | ImportedUpdate | Evaluation):
            continue
        values = numbers(record)
        at = record.env_steps if x == "env_steps" else iteration
        for field, value in values.items():
            if value is not None:
                low, high = (values.get(bound) for bound in BANDS.get(field, ("", "")))
                yield {"x": at, "field": field, "y": value, "log": name} | ({"low": low, "high": high} if low is not None else {})


def _changes(rows: Sequence[dict[str, Any]], field: str) -> bool:
    return len({row["y"] for row in rows if row["field"] == field}) > 1


def _places(log: Log, x: str) -> Iterator[tuple[AnyRecord, int]]:
    iteration = 0
    for record in log.records:
        if isinstance(record, Update):
            iteration = record.iteration
        if isinstance(record, Line):
            yield record, record.env_steps if x == "env_steps" else iteration


def _shades(log: Log, x: str) -> Iterator[dict[str, Any]]:
    """Phases of the first log: the others are compared with it."""
    began, number, at = None, 0, 0
    for record, at in _places(log, x):
        if isinstance(record, PhaseStarted):
            began, number = (at, printable(record.phase or "?")), number + 1
        elif isinstance(record, PhaseEnded) and began is not None:
            yield {"from": began[0], "to": at, "phase": began[1], "odd": number % 2 == 1}
            began = None
    if began is not None:
        yield {"from": began[0], "to": at, "phase": began[1], "odd": number % 2 == 1}


def _rollbacks(log: Log, x: str) -> Iterator[int]:
    return (at for record, at in _places(log, x) if isinstance(record, RollbackLine))


def _panel(
    field: str,
    rows: Sequence[dict[str, Any]],
    names: Sequence[str],
    shades: list[dict[str, Any]],
    marks: list[dict[str, Any]],
    axis: tuple[str, list[int], bool, bool],
) -> dict[str, Any]:
    """One field: phases below, curves above them, rollbacks on top."""
    x, domain, is_last, is_first = axis
    mine = [row for row in rows if row["field"] == field]
    across: dict[str, Any] = {
        "type": "quantitative",
        "title": AXES[x] if is_last else None,
        "scale": {"domain": domain, "nice": False},
        "axis": {"labels": is_last, "grid": False, **SHORT},
    }
    of_log: dict[str, Any] = {"field": "log", "type": "nominal", "title": None}
    dashes = [list(one) for one in DASHES * 2][: len(names)] if len(names) > 1 else [[1, 0]]
    dash = of_log | {"scale": {"domain": list(names), "range": dashes}}
    colour = of_log | {"scale": {"domain": list(names), "range": list(COLOURS * 2)[: len(names)]}}
    down = {"type": "quantitative", "title": None, "scale": {"zero": False}}
    layers = list(_shaded(shades, across, is_first))
    if any("low" in row for row in mine):
        band = {"x": {"field": "x"} | across, "y": {"field": "low"} | down, "y2": {"field": "high"}, "color": colour}
        layers.append({"data": {"values": mine}, "mark": {"type": "area", "opacity": 0.2}, "encoding": band})
    line = {"type": "line", "strokeWidth": 1.5, "point": {"size": 14} if len(mine) <= 60 * len(names) else False}
    of_line = {"x": {"field": "x"} | across, "y": {"field": "y"} | down, "color": colour, "strokeDash": dash}
    layers.append({"data": {"values": mine}, "mark": line, "encoding": of_line})
    if marks:
        rule = {"type": "rule", "color": RED, "strokeDash": [3, 3], "strokeWidth": 1.5}
        layers.append({"data": {"values": marks}, "mark": rule, "encoding": {"x": {"field": "x"} | across}})
    if marks and is_first:
        text = {
            "type": "text",
            "text": "rollback",
            "color": RED,
            "align": "right",
            "baseline": "top",
            "dx": -3,
            "y": 2,
            "fontSize": 10,
        }
        layers.append({"data": {"values": marks}, "mark": text, "encoding": {"x": {"field": "x"} | across}})
    title = {"text": field, "anchor": "start", "frame": "group", "fontSize": 11, "offset": 4}
    return {"title": title, "width": WIDTH, "height": HEIGHT, "layer": layers}


def _shaded(shades: list[dict[str, Any]], across: dict[str, Any], named: bool) -> Iterator[dict[str, Any]]:
    """Phases, every second one darker; their names above the panel, in two rows so that short phases do not write over each other."""
    if not shades:
        return
    opacity = {"condition": {"test": "datum.odd", "value": 0.14}, "value": 0.04}
    place = {"x": {"field": "from"} | across, "x2": {"field": "to"}}
    yield {"data": {"values": shades}, "mark": {"type": "rect", "color": GREY}, "encoding": place | {"opacity": opacity}}
    text = {
        "type": "text",
        "align": "left",
        "baseline": "bottom",
        "dx": 2,
        "y": 0,
        "color": "#5a5f68",
        "fontSize": 10,
        "limit": WIDTH // 3,
    }
    for odd, up in ((True, -2), (False, -13)):
        row = [shade for shade in shades if shade["odd"] == odd] if named else []
        if row:
            yield {"data": {"values": row}, "mark": text | {"dy": up}, "encoding": {"x": place["x"], "text": {"field": "phase"}}}
