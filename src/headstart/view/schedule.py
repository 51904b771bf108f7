"""A schedule and its rehearsal as text: phases, ramps drawn over the env steps, guardrails with their limits, what happened when."""

from collections.abc import Collection, Iterable, Sequence

from headstart.config.schedule import Arm, Phase, Ramp
from headstart.guard.guardrails import Guardrail, limit_text, limits
from headstart.guard.schedule_check import Problem, spans
from headstart.guard.simulation import Event, Simulation

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDTH = 64  # columns of a drawing
DRAWN = ("expert_share", "bc_weight", "kl_weight", "learning_rate")


def describe(arm: Arm, known_metrics: Collection[str], problems: Sequence[Problem] = ()) -> str:
    """All of a schedule: phases, drawing, guardrails, problems."""
    parts = [phase_table(arm), drawing(arm), guardrail_table(arm, known_metrics)]
    parts += [problem_text(problems)] if problems else []
    return "\n\n".join(parts)


def phase_table(arm: Arm) -> str:
    """One line a phase, and the env steps of all."""
    rows: list[tuple[str, ...]] = [
        ("cycle", "phase", "kind", "length", "learning rate", "entropy", "expert", "demonstrations", "KL", "on breach")
    ]
    for cycle, phase in zip(arm.cycles, arm.phases, strict=True):
        ramps = (phase.learning_rate, phase.entropy_coef, phase.expert_share, phase.bc_weight, phase.kl_weight)
        length = f"{phase.length:,} {'epochs' if phase.kind == 'bc' else 'env steps'}"
        retry, stops = phase.on_breach, phase.on_breach.next == "stop"
        then = "stop" if stops else f"{retry.max_retries} retries, lr × {retry.lr_factor:g}, KL × {retry.kl_factor:g}"
        rows.append((str(cycle), phase.name, phase.kind, length, *map(_ramp, ramps), then))
    return f"{_table(rows)}\nbudget: {arm.budget:,} env steps, from {'a clone' if arm.start == 'bc' else 'random weights'}"


def drawing(arm: Arm, width: int = WIDTH) -> str:
    """What ramps do over the env steps, one row each, every row on its own scale; ramps that stay at 0 are left out."""
    columns = list(_columns(arm, width))
    if not columns:
        return "nothing to draw: no phase uses env steps"
    rows = []
    for name in DRAWN:
        values = [getattr(phase, name).at(share) for phase, share in columns]
        if (most := max(getattr(phase, name).highest for phase, _ in columns)) > 0:
            rows.append((name, "".join(_block(value / most) for value in values) + f"  most {most:g}"))
    rows.append(("phase", _names(columns)))
    pad = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{pad}}  {text}".rstrip() for name, text in rows)


def guardrail_table(arm: Arm, known_metrics: Collection[str]) -> str:
    """The guardrails of the last phase, and what other phases have otherwise."""
    last = limits(arm, arm.phases[-1])
    rows: list[tuple[str, ...]] = [("guardrail", "metric", "checked every", "flag", "breach", "in a row", "then")]
    rows += [_guardrail(rule) for rule in last.values() if rule.metric in known_metrics]
    lines = [_table(rows)]
    for phase in arm.phases[:-1]:
        own = limits(arm, phase)
        for name in sorted(own.keys() | last.keys()):
            if own.get(name) != last.get(name):
                now = "off" if name not in own else ", ".join(_guardrail(own[name])[3:6])
                lines.append(f"in {phase.name}: {name} {now}")
    return "\n".join(lines)


def problem_text(problems: Iterable[Problem]) -> str:
    """One line a problem."""
    return "\n".join(f"{problem.level:<5}  {problem.where}: {problem.text}" for problem in problems)


def timeline(simulation: Simulation) -> str:
    """What happened, without the updates and evaluations in which nothing did; then the end and why."""
    shown = [event for event in simulation.events if event.kind not in ("update", "evaluation")]
    lines = [_event(event) for event in shown]
    taken = {kind: sum(event.kind == kind for event in simulation.events) for kind in ("update", "evaluation", "rollback")}
    counted = ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in taken.items())
    lines.append(f"{simulation.outcome}: {simulation.control.status}, {simulation.at.env_steps:,} env steps, {counted}")
    lines += [f"  {reason}" for reason in simulation.reasons]
    return "\n".join(lines)


def _event(event: Event) -> str:
    level = f"{event.finding.severity} " if event.finding else ""
    attempt = f"#{event.at.attempt}" if event.at.attempt else ""
    return f"{event.env_steps:>11,}  {event.phase + attempt:<14} {event.kind:<12} {level}{event.text}".rstrip()


def _columns(arm: Arm, width: int) -> Iterable[tuple[Phase, float]]:
    """The middle of each column: the phase that it lies in, and the share of the phase."""
    for column in range(width if arm.budget else 0):
        step = (column + 0.5) / width * arm.budget
        for phase, (begin, end) in zip(arm.phases, spans(arm), strict=True):
            if begin <= step < end:
                yield phase, (step - begin) / phase.steps


def _names(columns: Sequence[tuple[Phase, float]]) -> str:
    """Names of phases below the columns they take, cut where they do not fit."""
    text, at = "", 0
    while at < len(columns):
        phase = columns[at][0]
        taken = sum(other is phase for other, _ in columns)
        text += f"|{phase.name}"[:taken].ljust(taken)
        at += taken
    return text


def _guardrail(rule: Guardrail) -> tuple[str, ...]:
    beside = "" if rule.beside is None else f" and {rule.beside[0]} > {rule.beside[1]:g}"
    breach = limit_text(rule, rule.breach) + beside
    return rule.name, rule.metric, rule.on, limit_text(rule, rule.flag), breach, str(rule.hits), rule.decision


def _ramp(ramp: Ramp) -> str:
    if ramp.from_ == ramp.to:
        return f"{ramp.to:g}"
    over = "" if ramp.over == 1 else f" over {100 * ramp.over:g} %"
    return f"{ramp.from_:g} → {ramp.to:g}{'' if ramp.shape == 'linear' else ' ' + ramp.shape}{over}"


def _block(share: float) -> str:
    """At least the lowest block for anything above zero."""
    return BLOCKS[max(round(share * 8), 1)] if share > 0 else BLOCKS[0]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
