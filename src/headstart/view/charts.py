"""What all charts share: colours, the width of their place, and how a Vega-Lite specification becomes a picture.

Colours are Okabe and Ito's (2008); a dash and a shape say the same as each colour. In a page Vega draws a specification and answers the
pointer; a picture is made of the same specification by vl_convert. Equal inputs give equal bytes.
"""

import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ((6, 4), (1, 0), (8, 3, 2, 3), (2, 2), (10, 4), (6, 2, 2, 2))
SHAPES = ("square", "circle", "diamond", "triangle-up", "triangle-down", "cross")
GREY = "#7f858f"  # is seen on white and on black
WIDTH, SCALE = 640, 2  # of a picture: points, and pixels of a point
COLOURS_KEPT = 128  # of a picture, shades at the edges of letters included
STILL = {  # how a picture looks; a page has its own colours
    "background": "white",
    "font": "DejaVu Sans, Helvetica, sans-serif",
    "axis": {"labelColor": "#5a5f68", "titleColor": "#1c1e22", "gridColor": "#e3e5e8", "domainColor": "#d5d8dd", "tickColor": "#d5d8dd"},
    "legend": {"labelColor": "#1c1e22", "titleColor": "#1c1e22"},
    "text": {"color": "#1c1e22"},
    "view": {"stroke": None},
}  # fmt: skip
SHORT = {"labelExpr": "format(datum.value, '~s')", "tickCount": 8, "labelSeparation": 10}  # 50k
UNSEEN = {"filled": True, "fillOpacity": 0, "strokeOpacity": 0}  # points that answer a pointer, where only a line is seen


def can_draw() -> bool:
    """Is vl_convert installed?"""
    return importlib.util.find_spec("vl_convert") is not None


def png(spec: Mapping[str, Any], width: int = WIDTH) -> bytes:
    """A specification as a picture, as wide as a text."""
    import vl_convert

    return with_few_colours(vl_convert.vegalite_to_png(json.dumps(_still(spec, width)), scale=SCALE))


def with_few_colours(picture: bytes) -> bytes:
    """A PNG with a palette, which takes a tenth of the bytes: git keeps every picture that it was ever given."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS_KEPT, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


def _still(spec: Mapping[str, Any], width: int) -> Spec:
    """Without what answers a pointer: what could be chosen is what was chosen at first, and an axis says it."""
    still: Spec = json.loads(json.dumps(spec))
    for choice in [one for one in still.get("params", ()) if one.pop("bind", None)]:
        for layer in still["layer"]:
            layer["encoding"]["x"] = {"title": choice["value"]} | {
                k: v for k, v in layer["encoding"].get("x", {}).items() if v is not None
            }
    return still | {"width": width if spec.get("width") == "container" else spec.get("width"), "config": STILL}


def chart(height: int, layers: Sequence[Spec], **more: Any) -> Spec:
    """Layers in a view that is as wide as its place."""
    size = {"width": "container", "height": height, "autosize": {"type": "fit-x", "contains": "padding"}}
    return {"$schema": SCHEMA, **size, "layer": list(layers), **more}


def arm_scales(names: Sequence[str]) -> dict[str, Spec]:
    """The encodings of `arm` by colour and dash, with one legend; a click in it shows that arm alone."""
    legend = {
        "title": None,
        "orient": "top",
        "symbolType": "stroke",
        "symbolStrokeWidth": 2.5,
        "symbolSize": 500,
        "symbolOpacity": 1,
        "labelLimit": 300,
    }
    n = len(names)
    colour = {"domain": list(names), "range": [COLOURS[i % len(COLOURS)] for i in range(n)]}
    dash = {"domain": list(names), "range": [list(DASHES[i % len(DASHES)]) for i in range(n)]}
    return {
        "color": {"field": "arm", "type": "nominal", "scale": colour, "legend": legend},
        "strokeDash": {"field": "arm", "type": "nominal", "scale": dash, "legend": legend},
    }


def shown_alone(opacity: float) -> Spec:
    """The opacity of what belongs to an arm, where a click in the legend chose arms."""
    return {"condition": {"param": "shown", "value": opacity}, "value": 0}


LEGEND_PARAM = {"name": "shown", "select": {"type": "point", "fields": ["arm"]}, "bind": "legend"}


def tip(field: str, number: str | None = None, title: str | None = None) -> Spec:
    """A line of a tooltip."""
    tip = {"field": field, "title": title or field}
    return tip | ({"type": "quantitative", "format": number} if number else {"type": "nominal"})
