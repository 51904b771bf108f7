"""A page: one HTML file that loads nothing. Templates, styles and scripts lie in view/pages; jinja2 escapes what a template shows.

Its Content-Security-Policy allows the styles and scripts that it was written with, by their hashes, and images inside it. Equal arguments
give equal bytes.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

PAGES = Path(__file__).parent / "pages"
ESCAPED = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})  # of JSON inside HTML


def page(
    template: str,
    title: str,
    data: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = (),
    charts: bool = False,
    styles: Sequence[str] = (),
    connect: bool = False,
    **shown: Any,
) -> bytes:
    """The bytes of a page.

    `template`: a file in view/pages that extends base.html; it is given `shown`, whose texts it escapes. `data`: id → what a script reads
    from the JSON block with that id. `scripts`, `styles`: files in view/pages, in this order. With `charts`, Vega draws the specification in the
    JSON block `chart-NAME` into each `<div class="chart" data-chart="NAME">`. With `connect`, scripts may ask the server that the page is from.
    """
    sources = [*((vega(), _source("charts.js")) if charts else ()), *map(_source, scripts)]
    sheets = [_source("page.css"), *map(_source, styles)]
    allowed = {"script-src": sources, "style-src": sheets}
    policy = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    policy += ["connect-src 'self'"] if connect else []
    policy += [f"{kind} {' '.join(map(_hash, texts))}" for kind, texts in allowed.items() if texts]
    blocks = {name: Markup(embedded(value)) for name, value in sorted((data or {}).items())}
    text = (
        _environment()
        .get_template(template)
        .render(
            **shown,
            title=title,
            policy="; ".join(policy),
            styles=[Markup(sheet) for sheet in sheets],
            blocks=blocks,
            scripts=[Markup(source) for source in sources],
        )
    )
    return text.encode()


def policy_of(made: bytes) -> str:
    """The Content-Security-Policy of a page, for the header of a server."""
    found = re.search(rb'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    assert found is not None
    return html.unescape(found[1].decode())


def embedded(value: Any) -> str:
    """JSON that can stand in a `<script>`: without what could end it. ValueError for a number that is not finite."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(ESCAPED)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _source(name: str) -> str:
    return (PAGES / name).read_text()


@cache
def vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script, from the wheel of vl-convert."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
