"""Charts say what the records say: bands only of seeds enough, arrows for who never arrived, a second cue beside each colour, equal bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from dvc_render.vega import VegaRenderer

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.core.files import read_record
from headstart.telemetry.kinds import AnyLine
from headstart.view.charts import png
from headstart.view.charts_curves import CHARGED, STEPS, Axes, Levels, both_curves, curves
from headstart.view.charts_ratio import ratio_by_level, steps_to_target
from headstart.view.charts_training import confusion, weights

ROOT = Path(__file__).parents[2]
FAST, SLOW, NEVER = [1] * 10, [8] * 10, [None] * 10
Results = Callable[..., Path]


def compared(root: Path) -> tuple[Comparison, list[ArmRuns]]:
    """The comparison, and the runs in the order of their colours."""
    found = read_record(root / "reports/evaluate/walk/beyond.json", Comparison)
    arms = [read_record(root / f"models/walk/{name}/runs.json", ArmRuns) for name in ("baseline/scratch", "anneal/pretrained")]
    return found, arms


def rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for layer in spec["layer"] for row in layer.get("data", spec.get("data", {}))["values"]]


def test_curves_have_a_line_a_seed_a_mean_and_levels_and_a_band_of_seeds_enough(results: Results) -> None:
    found, arms = compared(results(FAST, [*SLOW[:5], *NEVER[:5]]))

    drawn = rows(curves(found, "return", Levels({"return": 1.45}, {"return": 1.4}), arms))

    assert {(row["arm"], row["seed"]) for row in drawn if "seed" in row} == {
        (arm, n) for arm in ("scratch", "pretrained") for n in range(10)
    }
    means = [row for row in drawn if "value" in row and "arm" in row and "seed" not in row]
    assert all("low" in row for row in means)
    assert {(row["name"], row["value"]) for row in drawn if "name" in row} == {
        ("target", 1.5),
        ("expert", 1.45),
        ("clones, own check", 1.4),
    }
    assert {row["seed"] for row in drawn if row.get("never")} == set(range(5, 10))  # arrows of scratch's seeds that never arrived


def test_four_seeds_have_no_band(results: Results) -> None:
    found, arms = compared(results([1] * 4, [8] * 4))

    assert not any("low" in row for row in rows(curves(found, "return", Levels(), arms)))


def test_an_axis_charges_the_demonstrations_to_the_arm_that_had_them(results: Results) -> None:
    found, arms = compared(results(FAST, SLOW))

    drawn = rows(curves(found, "success", Levels(), arms, Axes({"pretrained": 5000, "scratch": 0})))

    ends = {row["arm"]: (row[STEPS], row[CHARGED]) for row in drawn if row.get("seed") == 0}
    assert ends == {"scratch": (12_000, 12_000), "pretrained": (12_000, 17_000)}


def test_who_never_arrived_is_an_arrow_at_the_steps_that_were_watched(results: Results) -> None:
    found, _ = compared(results(FAST, [*SLOW[:9], None]))

    drawn = {(row["arm"], row["seed"]): (row["steps"], row["reached"]) for row in steps_to_target(found)["data"]["values"]}

    assert drawn["scratch", 8] == (8000, True)
    assert drawn["scratch", 9] == (12_000, False)
    assert drawn["pretrained", 9] == (1000, True)


def test_a_level_that_needs_no_training_is_not_drawn_as_a_ratio_of_zero(results: Results) -> None:
    met, _ = compared(results([0] * 10, SLOW))
    assert ratio_by_level(met) is None

    found, _ = compared(results(FAST, SLOW))
    spec = ratio_by_level(found)
    assert spec is not None
    assert {row["ratio"] for row in rows(spec) if "what" in row} == {0.1429}  # 1,000 ÷ 7,000, and its bound


def test_every_arm_has_a_dash_or_a_shape_of_its_own_beside_its_colour(results: Results) -> None:
    found, arms = compared(results(FAST, SLOW))

    (thick,) = [
        layer
        for layer in curves(found, "return", Levels(), arms)["layer"]
        if "tooltip" in layer["encoding"] and "strokeDash" in layer["encoding"]
    ]
    for channel in ("color", "strokeDash"):
        scale = thick["encoding"][channel]["scale"]
        assert scale["domain"] == ["scratch", "pretrained"]
        assert len({str(value) for value in scale["range"]}) == 2
    dot = steps_to_target(found)["layer"][1]
    assert dot["encoding"]["shape"]["scale"]["range"] == ["square", "circle"]


def test_cells_of_a_confusion_are_shares_of_their_row_and_what_never_happened_is_empty() -> None:
    spec = confusion({"wait": {"wait": 199, "use": 1}, "use": {"wait": 3, "use": 1}, "turn": {"turn": 2}})

    cells = {(row["expert"], row["clones"]): (row["share"], row["says"]) for row in spec["data"]["values"]}
    assert cells == {
        ("wait  (200)", "wait"): (99.5, ">99"),
        ("wait  (200)", "use"): (0.5, "0.5"),
        ("use  (4)", "wait"): (75.0, "75"),
        ("use  (4)", "use"): (25.0, "25"),
        ("turn  (2)", "turn"): (100.0, "100"),
    }


def test_a_run_without_weights_has_no_chart_of_them() -> None:
    log: list[AnyLine] = []
    assert weights(log) is None


def test_equal_specifications_give_equal_pictures_that_say_which_axis_was_chosen(results: Results) -> None:
    found, arms = compared(results(FAST, SLOW))
    spec = curves(found, "return", Levels({"return": 1.45}), arms, Axes({"pretrained": 5000}))

    assert png(spec) == png(spec)
    assert png(spec).startswith(b"\x89PNG")
    assert png(both_curves(found, None)).startswith(b"\x89PNG")


# --- DVC's own pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high", "bands"), [("0.4", "0.6", 2), ("", "", 0)])
def test_a_plot_of_dvc_has_a_band_only_where_the_table_has_one(low: str, high: str, bands: int) -> None:
    table = [
        {"rev": "a", "arm": "x", "env_steps": str(n), "success_rate": "0.5", "success_low": low, "success_high": high}
        | {"return_mean": "0.5", "return_low": low, "return_high": high}
        for n in (0, 100)
    ]
    renderer = VegaRenderer(
        table, "curves.tsv", template="curves", template_dir=str(ROOT / ".dvc/plots"), x="env_steps", y="success_rate"
    )

    svg = vl_convert.vegalite_to_svg(renderer.get_filled_template(), vl_version="5.21")

    areas = [part.partition("</g>")[0] for part in svg.split('class="mark-area')[1:]]
    assert sum('d="M' in area and "Z" in area for area in areas) == bands


def test_the_page_of_dvc_takes_what_draws_it_from_beside_it() -> None:
    text = (ROOT / ".dvc/plots/page.html").read_text()

    assert all(text.count(f"{{{name}}}") == 1 for name in ("scripts", "plot_divs", "refresh_tag"))
    assert text.index('src="vega.js"') < text.index("{plot_divs}")
    assert "html_template = plots/page.html" in (ROOT / ".dvc/config").read_text()
    assert "html_template = plots/page.html" in (ROOT / "src/headstart/cli/template/dvc_config").read_text()
