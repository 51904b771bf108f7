"""Guardrails and alerts of a run that is watched."""

from headstart.guard.guardrails import Guardrail, limit_text, moved
from headstart.view.observe_state import Guarded, Seen
from headstart.view.observe_tables import BAD, OK, WARN, Cell, Table, number, state, table

LEVELS = {"quiet": ("OK", OK), "flag": ("warn", WARN), "breach": ("breach", BAD)}


def drift(seen: Seen) -> Table:
    """Each guardrail as its last check found it."""
    head = ["Guardrail", "State", "Value", "Reference", "Change", "Warns at", "Acts at", "Last values"]
    random = seen.arm is not None and seen.arm.start == "random"
    why = "Only numbers that are not finite are watched: the run starts from random weights." if random else "No check yet."
    return table(head, [_guardrail(name, of) for name, of in seen.guardrails.items()], why)


def _guardrail(name: str, of: Guarded) -> list[Cell]:
    rule, measured = of.rule, of.measured
    limits = [limit_text(rule, rule.flag), f"{limit_text(rule, rule.breach)}: {rule.decision}"]
    title = name if name == rule.metric else f"{name} ({rule.metric})"
    if measured.level == "not applicable":
        return [title, f"not measured: {measured.text}", "–", "–", "–", *limits, "–"]
    word, level = LEVELS[measured.level]
    if measured.level == "breach" and of.hits < rule.hits:
        word += f", {of.hits} of {rule.hits} in a row"
    base = "–" if measured.baseline is None else number(measured.baseline)
    values: Cell = {"t": "", "spark": list(of.values)} if len(of.values) > 1 else "–"
    value, change = number(measured.value), _change(rule, measured.value, measured.baseline)
    return [title, state(word, level), value, base, change, *limits, values]


def _change(rule: Guardrail, value: float | None, base: float | None) -> str:
    if value is None or base is None:
        return "–"
    by = moved(rule, value, base)
    text = f"{100 * by:+.1f} %" if rule.measure == "relative" else f"{by:+.3g}"
    return text.replace("-", "−")


def alerts(seen: Seen) -> Table:
    """What a person should know, the newest first."""
    rows = []
    for alert in reversed(seen.alerts.values()):
        since = f"{alert.since.env_steps:,} env steps, {alert.since.wall.time_utc[11:19]} UTC" if alert.since else "the beginning"
        word = "cleared" if alert.cleared else {WARN: "open", BAD: "acted on"}[alert.level]
        if alert.about in ("run", "log", "nonfinite"):
            word = "open"
        times = f" ×{alert.times}" if alert.times > 1 else ""
        rows.append([state(f"{word}{times}", OK if alert.cleared else alert.level), alert.about, alert.text, since])
    return table(["State", "About", "What", "Since"], rows, "No alert so far.")
