"""How each held-out variant differs from its scenario, in a line: the keys of `setup` that it overrides, with what they were."""

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.config.scenario import Scenario

LINES_SHOWN = 2  # of a text of several lines


def differences(scenario: Scenario) -> dict[str, str]:
    """Variant → what differs."""
    return {name: "; ".join(_changes(changed, scenario.setup)) for name, changed in scenario.variants.items()}


def _changes(changed: Mapping[str, Any], before: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in changed.items():
        was = before.get(key)
        if isinstance(value, Mapping):
            yield from _changes(value, was if isinstance(was, Mapping) else {}, f"{above}{key}.")
        elif isinstance(value, str) and "\n" in value:
            yield _lines(f"{above}{key}", value, was if isinstance(was, str) else "")
        else:
            yield f"`{above}{key}` {_value(value)} in place of {'the default' if was is None else _value(was)}"


def _lines(key: str, value: str, was: str) -> str:
    """Of a map: which of its lines differ, where these are few."""
    new, old = value.splitlines(), was.splitlines()
    other = [(i, a, b) for i, (a, b) in enumerate(zip(old, new, strict=False), start=1) if a != b]
    if len(new) != len(old) or not 0 < len(other) <= LINES_SHOWN:
        return f"another `{key}`"
    return f"`{key}`: " + ", ".join(f"line {i} `{b}` in place of `{a}`" for i, a, b in other)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
