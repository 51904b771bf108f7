"""Curves of logs: a panel a field, each log by its name, phases and rollbacks where they were, and equal bytes for equal logs."""

from typing import Any
from xml.etree import ElementTree

import pytest
from tests.logged import HOSTILE, ROOT, SAMPLES

from headstart.core.errors import InputError, UsageError, printable
from headstart.telemetry.logs import Log, read_log
from headstart.view.telemetry_curves import COLOURS, curves, png, svg


def log(name: str) -> Log:
    return read_log(ROOT / SAMPLES / name)


def values(spec: dict[str, Any], panel: int) -> list[dict[str, Any]]:
    return [value for layer in spec["vconcat"][panel]["layer"] for value in layer["data"]["values"]]


def titles(spec: dict[str, Any]) -> list[str]:
    return [panel["title"]["text"] for panel in spec["vconcat"]]


def test_the_usual_panels_are_those_that_change() -> None:
    assert titles(curves([log("town_anneal.ndjson")])) == [
        "return_mean", "evaluation.return_mean", "evaluation.success_rate", "loss_total", "kl_divergence", "grad_norm", "bc_weight",
    ]  # fmt: skip


def test_points_phases_and_rollbacks_stand_where_they_were() -> None:
    spec = curves([log("town_anneal.ndjson")], ["kl_divergence"])
    found = values(spec, 0)
    assert [(row["x"], row["y"]) for row in found if "y" in row] == [(2048, 0.01), (3072, 0.5), (4096, 0.01), (5120, 0.01)]
    phases = [(row["from"], row["to"], row["phase"]) for row in found if "phase" in row]
    assert sorted(set(phases)) == [(0, 0, "clone"), (0, 1024, "warm_up"), (1024, 5120, "tune")]
    assert [row for row in found if row.keys() == {"x"}] == [{"x": 3072}] * 2  # the line, and its name


def test_over_updates_an_evaluation_stands_at_the_update_before_it() -> None:
    spec = curves([log("town_anneal.ndjson")], ["evaluation.return_mean"], "iteration")
    rows = [row for row in values(spec, 0) if "y" in row]
    assert {(row["x"], row["y"], row["low"], row["high"]) for row in rows} == {
        (0, 1.25, 1.1875, 1.3125),
        (5, 1.5, 1.4375, 1.5625),
    }


def test_several_logs_are_told_apart_by_colour_dash_and_name() -> None:
    logs = [log("nav_scratch_censored.ndjson"), log("nav_pretrained.ndjson")]
    spec = curves(logs, ["return_mean"])
    colour = spec["vconcat"][0]["layer"][-1]["encoding"]["color"]
    assert colour["scale"] == {
        "domain": ["nav_mixed scratch, seed 7", "nav_mixed pretrained, seed 7"],
        "range": list(COLOURS[:2]),
    }
    assert {row["log"] for row in values(spec, 0) if "y" in row} == set(colour["scale"]["domain"])
    picture = svg(spec).decode()
    assert all(name in picture for name in colour["scale"]["domain"])


def test_two_logs_of_one_name_are_called_by_their_paths() -> None:
    twice = curves([log("nav_pretrained.ndjson"), log("nav_pretrained.ndjson")._replace(name="other")], ["entropy"])
    assert {row["log"] for row in values(twice, 0) if "y" in row} == {str(ROOT / SAMPLES / "nav_pretrained.ndjson"), "other"}


def test_equal_logs_give_equal_pictures() -> None:
    for make in (svg, png):
        first, second = (make(curves([log("town_anneal.ndjson")])) for _ in range(2))
        assert first == second
    assert len(first) > 10_000


def test_an_imported_log_is_drawn_over_its_updates() -> None:
    spec = curves([log("v1_2.ndjson")], ["loss_total"], "iteration")
    assert [(row["x"], row["y"]) for row in values(spec, 0)] == [(1, 0.25), (2, 0.125), (3, 0.25 / 3)]
    with pytest.raises(UsageError, match="`--x iteration` draws it"):
        curves([log("v1_2.ndjson")], ["loss_total"])


def test_hostile_names_stay_text() -> None:
    logs = [log("hostile_strings.ndjson"), log("nav_pretrained.ndjson")]
    picture = svg(curves(logs, ["loss_total"]))
    shown = "".join(ElementTree.fromstring(picture).itertext())  # XML has no place for an escape code
    assert printable(HOSTILE) in shown
    assert b"<img" not in picture


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(InputError, match="expected values of showers in nav_mixed pretrained, seed 7, got none"):
        curves([log("nav_pretrained.ndjson")], ["showers"])
    with pytest.raises(UsageError, match="did you mean 'entropy'"):
        curves([log("nav_pretrained.ndjson")], ["entorpy"])
    with pytest.raises(UsageError, match="at most 12 logs"):
        curves([log("nav_pretrained.ndjson")] * 13)
    short = log("nav_pretrained.ndjson")
    with pytest.raises(InputError, match="expected updates or evaluations to draw"):
        curves([short._replace(records=short.records[:1])])
