"""How each held-out variant differs from its scenario, in a line: the keys of `setup` that it overrides, with what they were."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headstart.config.checked import merged
from headstart.config.scenario import Scenario
from headstart.core.record import Record
from headstart.view.blocks import counted

LINES_SHOWN = 2  # of a text of several lines
FLOOR = "."  # of a map


def differences(scenario: Scenario) -> dict[str, str]:
    """Variant → what differs."""
    before = merged(_defaults(scenario.world), scenario.setup)
    return {name: "; ".join(_changes(changed, before)) for name, changed in scenario.variants.items()}


def _defaults(world: str) -> dict[str, Any]:
    """Of `setup`; none are known of an environment of one's own."""
    from headstart.worlds.nav.setup import NavSetup
    from headstart.worlds.town.setup import TownSetup

    known: dict[str, type[Record]] = {"town": TownSetup, "nav": NavSetup}
    if world not in known:
        return {}
    fields = {name: field for name, field in known[world].model_fields.items() if not field.is_required()}
    values = {name: field.get_default(call_default_factory=True, validated_data={}) for name, field in fields.items()}
    return {name: value.model_dump() if isinstance(value, Record) else value for name, value in values.items()}


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
    """Of a map: what moved, if it is one object; or which of its lines differ, where these are few."""
    new, old = value.splitlines(), was.splitlines()
    if moved := _moved(old, new):
        return f"`{key}`: {moved}"
    other = [(i, a, b) for i, (a, b) in enumerate(zip(old, new, strict=False), start=1) if a != b]
    if len(new) != len(old) or not 0 < len(other) <= LINES_SHOWN:
        return f"another `{key}`"
    return f"`{key}`: " + ", ".join(f"line {i} `{b}` in place of `{a}`" for i, a, b in other)


def _moved(old: Sequence[str], new: Sequence[str]) -> str:
    """One letter that changed places with floor, and by how much; empty where something else changed."""
    if list(map(len, old)) != list(map(len, new)):
        return ""
    cells = [(y, x) for y, line in enumerate(old) for x in range(len(line)) if line[x] != new[y][x]]
    left = [(y, x) for y, x in cells if new[y][x] == FLOOR]
    taken = [(y, x) for y, x in cells if old[y][x] == FLOOR]
    if not len(cells) == 2 == len(left) + len(taken) or len(left) != 1:
        return ""
    ((y, x),), ((to_y, to_x),) = left, taken
    if old[y][x] != new[to_y][to_x]:
        return ""
    ways = [(to_x - x, "right", "left"), (to_y - y, "down", "up")]
    by = " and ".join(f"{counted(abs(n), 'cell')} {ahead if n > 0 else back}" for n, ahead, back in ways if n)
    return f"`{old[y][x]}` moved {by}"


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
