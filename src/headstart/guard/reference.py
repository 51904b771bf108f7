"""What guardrails compare with. It is there when a run begins, but for what only updates show: of that, what the first of them showed."""

import math
from collections.abc import Container, Mapping

from headstart.guard.guardrails import Values

OF_PHASE = "loss_total"  # every phase has losses of its own, so it begins without
OF_UPDATES = ("entropy", OF_PHASE)


def first_shown(known: Container[str], shown: Values) -> dict[str, float]:
    """What an update adds to the reference. One that computed anything that is not finite has nothing to compare with."""
    if shown.get("nonfinite"):
        return {}
    new = {name: shown.get(name) for name in OF_UPDATES if name not in known}
    return {name: value for name, value in new.items() if value is not None and math.isfinite(value)}


def kpi(measures: Mapping[str, float], first: Mapping[str, float]) -> float | None:
    """The least share of its first mean that any of a scenario's measures still has; None where there is none to lose."""
    shares = [measures[name] / before for name, before in first.items() if before > 0]
    return min(shares, default=None)
