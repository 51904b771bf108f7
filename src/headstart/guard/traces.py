"""Traces of metrics for the rehearsal of a schedule: invented ones, and recorded ones from telemetry or TSV.

An invented trace is a function of the moment and the reference, so equal names give equal readings. A table has the columns
`kind`, `env_steps` and one for each metric; an empty cell is "not applicable"; `nan` and `inf` are allowed.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from headstart.core.errors import InputError, UsageError
from headstart.guard.guardrails import GUARDRAILS, READ, Kind, Reading, Values
from headstart.telemetry.kinds import PhaseStarted, ReadingLine
from headstart.telemetry.reader import read_telemetry


@dataclass(frozen=True)
class Moment:
    """When a reading is taken."""

    kind: Kind
    share: float  # of the arm's env steps, 0 … 1
    count: int  # of readings of this kind, from 1
    cloned: Literal["", "now", "before"] = ""  # now: in a bc phase; before: first reading of a clone that was made before the run


Trace = Callable[[Moment, Values], Values]  # moment, reference → values

# A clone that is nearly as good as its expert, for rehearsals without a reference of one's own. Queue rates are per 1,000 env steps.
REFERENCE: dict[str, float] = {
    "return_normalised": 0.95,
    "success_rate": 0.95,
    "harm_rate": 0.03,
    "kpi": 0.9,
    "queue_conflict_rate": 4.0,
    "queue_intensity_rate": 6.0,
    "entropy": 0.5,
    "loss_total": 0.4,
}
RATES = ("success_rate", "harm_rate", "bc_accuracy")  # never more than 1
QUIET_UPDATE: Values = {
    "kl_divergence": 0.01,
    "grad_norm": 0.8,
    "kl_to_reference": 0.05,
    "nonfinite": 0.0,
}


def steady(moment: Moment, reference: Values) -> Values:
    """Every metric stays at the reference."""
    if moment.cloned == "now":
        return {"bc_accuracy": 0.95}
    watched = {rule.metric for rule in GUARDRAILS.values() if rule.on == moment.kind}
    known = {name: reference[name] for name in sorted(watched & reference.keys())}
    if moment.kind == "update":
        return {**known, **QUIET_UPDATE, "loss_total": reference.get("loss_total")}
    return known | ({"bc_accuracy": 0.95} if moment.cloned else {})


def improve(moment: Moment, reference: Values) -> Values:
    """All metrics improve linearly."""
    gain = 0.3 * moment.share
    factors = {"return_normalised": 1 + gain, "kpi": 1 + gain, "harm_rate": 1 - gain, "loss_total": 1 - gain}
    return _scaled(steady(moment, reference), factors)


def slow_drift(moment: Moment, reference: Values) -> Values:
    """The return falls by a quarter until the end, and the policy moves away from the clone."""
    found = _scaled(steady(moment, reference), {"return_normalised": 1 - 0.25 * moment.share})
    return {**found, "kl_to_reference": 0.05 + 0.6 * moment.share} if moment.kind == "update" else found


def cliff(moment: Moment, reference: Values) -> Values:
    """In the middle of the run the policy loses its skill."""
    factors = {"return_normalised": 0.4, "success_rate": 0.4, "kpi": 0.5}
    return _scaled(steady(moment, reference), factors if moment.share >= 0.5 else {})


def oscillate(moment: Moment, reference: Values) -> Values:
    """Every second evaluation is bad, and no two in a row."""
    odd = moment.kind == "evaluation" and moment.count % 2 == 0
    return _scaled(steady(moment, reference), {"return_normalised": 0.8} if odd else {})


def bc_fails(moment: Moment, reference: Values) -> Values:
    """The clone predicts its demonstrations badly."""
    found = steady(moment, reference)
    return {**found, "bc_accuracy": 0.6} if moment.cloned else found


def nan_at(update: int, moment: Moment, reference: Values) -> Values:
    """All values of one update, counted from 1, are NaN."""
    found = steady(moment, reference)
    if moment.kind == "update" and moment.count == update:
        return {**found, "nonfinite": 1.0, "loss_total": math.nan, "grad_norm": math.nan}
    return found


def noisy(seed: int, moment: Moment, reference: Values) -> Values:
    """Every value is noisy, some updates are far too large, and one in two hundred is NaN."""
    chance = random.Random(f"{seed} {moment.kind} {moment.count}")
    found = _scaled(steady(moment, reference), {name: math.exp(chance.gauss(0, 0.08)) for name in sorted(READ)})
    if moment.kind == "evaluation":
        return {name: min(value, 1.0) if value is not None and name in RATES else value for name, value in found.items()}
    wild = {"kl_divergence": math.exp(chance.gauss(-4.5, 0.8)), "grad_norm": math.exp(chance.gauss(0, 0.5))}
    return {**found, **wild, "nonfinite": float(chance.random() < 0.005)}


INVENTED: dict[str, Trace] = {
    trace.__name__.replace("_", "-"): trace for trace in (steady, improve, slow_drift, cliff, oscillate, bc_fails)
}


def trace_named(name: str) -> Trace:
    """The invented trace of that name; UsageError lists the names."""
    word, _, number = name.replace("@", ":").partition(":")
    if name in INVENTED:
        return INVENTED[name]
    if word == "nan" and number.isdecimal() and len(number) < 20 and int(number) > 0:
        return partial(nan_at, int(number))
    if word == "noisy" and number.isdecimal() and len(number) < 20:
        return partial(noisy, int(number))
    raise UsageError(f"trace: expected one of {', '.join(INVENTED)}, nan@K, noisy:SEED or a .tsv file, got {name!r}")


def _scaled(values: Values, factors: Values) -> Values:
    return {name: value if value is None else value * (factors.get(name) or 1.0) for name, value in values.items()}


# --- recorded -----------------------------------------------------------------------------------------------------------


def recorded_run(directory: Path) -> tuple[tuple[Reading, ...], Values]:
    """The readings of a run whose telemetry lies in `directory`, and the reference with which its first phase began.

    Raises InputError if it contains no readings.
    """
    lines = read_telemetry(directory)
    readings = tuple(
        Reading(
            line.check, line.env_steps, {name: None if value is None else float(value) for name, value in line.values.items()}
        )
        for line in lines
        if isinstance(line, ReadingLine)
    )
    began = next((line for line in lines if isinstance(line, PhaseStarted)), None)
    if began is None or not readings:
        raise InputError(f"{directory}: expected a phase and what its guardrails were shown, found {len(readings)} readings")
    return readings, began.baselines


def to_tsv(readings: Sequence[Reading]) -> str:
    """The table of a recorded trace; reading it gives the same numbers."""
    metrics = sorted({name for reading in readings for name in reading.values})
    lines = ["\t".join(("kind", "env_steps", *metrics))]
    for reading in readings:
        cells = ("" if (value := reading.values.get(name)) is None else repr(value) for name in metrics)
        lines.append("\t".join((reading.kind, str(reading.env_steps), *cells)))
    return "\n".join(lines) + "\n"


def from_tsv(text: str, where: str) -> tuple[Reading, ...]:
    """The readings of a table; InputError names the line."""
    lines = text.splitlines()
    header = lines[0].split("\t") if lines else []
    if header[:2] != ["kind", "env_steps"]:
        raise InputError(
            f"{where}: expected the columns kind, env_steps, then metrics, got {', '.join(header)[:80] or 'nothing'}"
        )
    metrics = header[2:]
    if unknown := sorted(set(metrics) - READ):
        raise InputError(f"{where}: no guardrail watches {', '.join(unknown)}; metrics are {', '.join(sorted(READ))}")
    if len(set(metrics)) != len(metrics):
        raise InputError(f"{where}: expected each metric once, got {', '.join(metrics)}")
    readings: list[Reading] = []
    for number, line in enumerate(lines[1:], start=2):
        reading = _row(line, metrics, f"{where}, line {number}")
        if readings and reading.env_steps < readings[-1].env_steps:
            came = f"got {reading.env_steps} after {readings[-1].env_steps}"
            raise InputError(f"{where}, line {number}: env steps stay charged, so they cannot decrease: {came}")
        readings.append(reading)
    return tuple(readings)


def _row(line: str, metrics: Sequence[str], where: str) -> Reading:
    cells = line.split("\t")
    if len(cells) != len(metrics) + 2:
        raise InputError(f"{where}: expected {len(metrics) + 2} cells, got {len(cells)}")
    kind, steps, *numbers = cells
    if kind not in ("update", "evaluation") or not (steps.isdecimal() and len(steps) < 20):
        raise InputError(f"{where}: expected update or evaluation and a number of env steps, got {kind!r:.40} and {steps!r:.40}")
    try:
        values = {name: float(cell) if cell else None for name, cell in zip(metrics, numbers, strict=True)}
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return Reading("update" if kind == "update" else "evaluation", int(steps), values)
