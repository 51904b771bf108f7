"""How far the updates of a log are from a baseline: a file of numbers, or another log, whose last updates give their medians."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from headstart.core.errors import InputError, UsageError, shown
from headstart.core.files import read_bytes
from headstart.core.strict_json import parse_json
from headstart.telemetry.fields import NOT_NUMBERS, UPDATE_FIELDS, numbers, require_field, updates_of
from headstart.telemetry.logs import AnyRecord, sound_log

LAST = 5  # updates of a baseline log whose median counts
# not compared: where a run stands, not what it does
POSITION = {
    "iteration",
    "transitions_total",
    "cycle_id",
    "log_stream_offset",
    *(name for name in UPDATE_FIELDS if name.startswith("wall.")),
}
POSITION |= {name for name in UPDATE_FIELDS if name.startswith(("baseline.", "anneal."))}


class Limit(NamedTuple):
    """A value breaches where |value − base| > absolute + relative · |base|."""

    absolute: float = 0.0
    relative: float = 0.0


class Drift(NamedTuple):
    """One field over all updates that have it."""

    field: str
    base: float
    values: int
    last: float
    worst: float  # the value farthest from the base, absolutely
    worst_at: int  # its iteration
    limit: Limit | None
    breaches: int  # updates beyond the limit
    deltas: tuple[tuple[int, float], ...]  # iteration, value − base

    @property
    def delta(self) -> float:
        return self.worst - self.base

    @property
    def relative(self) -> float | None:
        """The worst change as a share of the base; none of a base of 0."""
        return self.delta / abs(self.base) if self.base else None


class Comparison(NamedTuple):
    drifts: tuple[Drift, ...]
    missing_in_log: tuple[str, ...]
    missing_in_baseline: tuple[str, ...]

    @property
    def is_beyond(self) -> bool:
        return any(drift.breaches for drift in self.drifts)


def compare(
    records: Iterable[AnyRecord], baseline: Mapping[str, float], limits: Mapping[str, Limit], usual: Limit | None
) -> Comparison:
    """`limits`: by field; `usual`: of all others, None for no limit."""
    found: dict[str, list[tuple[int, float]]] = {}
    for update in updates_of(records):
        for name, value in numbers(update).items():
            if value is not None and name not in POSITION:
                found.setdefault(name, []).append((update.iteration, value))
    known = [name for name in found if name in baseline]
    return Comparison(
        tuple(_drift(name, baseline[name], found[name], limits.get(name, usual)) for name in known),
        tuple(sorted(baseline.keys() - found.keys())),
        tuple(sorted(found.keys() - baseline.keys())),
    )


def _drift(name: str, base: float, values: list[tuple[int, float]], limit: Limit | None) -> Drift:
    at, worst = max(values, key=lambda one: abs(one[1] - base))
    bound = None if limit is None else limit.absolute + limit.relative * abs(base)
    breaches = 0 if bound is None else sum(abs(value - base) > bound for _, value in values)
    deltas = tuple((iteration, value - base) for iteration, value in values)
    return Drift(name, base, len(values), values[-1][1], worst, at, limit, breaches, deltas)


def read_baseline(path: Path) -> dict[str, float]:
    """Field → value. InputError for a file that is neither a log nor a JSON object of numbers."""
    if path.is_file() and path.suffix == ".json":
        found: Any = parse_json(read_bytes(path, 16 << 20), str(path))
        if isinstance(found, dict) and "schema_id" not in found:
            if wrong := [name for name, value in found.items() if isinstance(value, bool) or not isinstance(value, int | float)]:
                raise InputError(f"{path}: {shown(wrong[0])}: expected a number, got {shown(found[wrong[0]])}")
            return {name: float(value) for name, value in found.items()}
    return medians(sound_log(path).records, str(path))


def medians(records: Iterable[AnyRecord], where: str) -> dict[str, float]:
    """The medians of the last updates. InputError for a log without any."""
    last = [numbers(update) for update in updates_of(records)[-LAST:]]
    if not last:
        raise InputError(f"{where}: expected a log with updates as the baseline, got one without")
    names = {name for one in last for name in one if name not in POSITION | NOT_NUMBERS}
    found = {name: [value for one in last if (value := one.get(name)) is not None] for name in sorted(names)}
    return {name: median(values) for name, values in found.items() if values}


def limit_of(text: str, where: str = "--limit") -> tuple[str, Limit]:
    """`FIELD=ABS,REL`. UsageError for anything else."""
    name, equals, bounds = text.partition("=")
    parts = bounds.split(",")
    if not equals or len(parts) != 2:
        raise UsageError(f"{where}: expected FIELD=ABS,REL, as entropy=0.01,5%, got {shown(text)}")
    require_field(name, where)
    return name, Limit(amount(parts[0], where), amount(parts[1], where))


def amount(text: str, where: str) -> float:
    """A number from 0, also as 2 %. UsageError for anything else."""
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"{where}: expected a number from 0, as 0.02 or 2%, got {shown(text)}")
    return value
