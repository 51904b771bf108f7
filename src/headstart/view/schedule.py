"""A schedule and its rehearsal as text: phases, ramps drawn over the env steps, guardrails with their limits, what happened when."""

import textwrap
from collections.abc import Collection, Iterable, Sequence

from headstart.config.schedule import Arm, Phase, Ramp
from headstart.guard.guardrails import Guardrail, limit_text, limits
from headstart.guard.schedule_check import Problem, spans
from headstart.guard.simulation import Event, Simulation
from headstart.view import WIDTH

BLOCKS = " ▁▂▃▄▅▆▇█"
DRAWING = 50  # columns of a drawing: names and scales stand beside it
TIED = "\u00a0"  # a space at which no line is broken
CHECKED = ("update", "evaluation")  # when a guardrail is checked
DRAWN = ("expert_share", "bc_weight", "kl_weight", "replay_share", "learning_rate")


def describe(arm: Arm, known_metrics: Collection[str], problems: Sequence[Problem] = ()) -> str:
    """All of a schedule: phases, drawing, guardrails, problems."""
    parts = [phases_text(arm), drawing(arm), guardrail_table(arm, known_metrics)]
    parts += [problem_text(problems)] if problems else []
    return "\n\n".join(parts)


def phases_text(arm: Arm) -> str:
    """A few lines a phase, and the env steps of all."""
    lines = [line for cycle, phase in zip(arm.cycles, arm.phases, strict=True) for line in _phase(cycle, phase)]
    start = "a clone" if arm.start == "bc" else "random weights"
    return "\n".join([*lines, f"budget: {arm.budget:,} env steps, from {start}"])


def _phase(cycle: int, phase: Phase) -> list[str]:
    """Its name, kind and length, then what it sets: weights that stay at 0 are left out."""
    names = ("learning_rate", "entropy_coef", "expert_share", "bc_weight", "kl_weight", "replay_share")
    ramps = [f"{name} {_ramp(ramp)}".replace(" ", TIED) for name in names if (ramp := getattr(phase, name)).highest > 0]
    retry = phase.on_breach
    retries = f"{retry.max_retries} retries, learning rate × {retry.lr_factor:g}, KL × {retry.kl_factor:g}"
    kind = phase.kind if phase.data == "rollout" else f"{phase.kind}, data: {phase.data}"
    return [
        f"{phase.name}: {kind}, {phase.length:,} {phase.unit}, cycle {cycle}",
        *(line.replace(TIED, " ") for line in _wrapped(", ".join(ramps), "  ")),
        f"  on breach: {'stop' if retry.next == 'stop' else retries}",
    ]


def drawing(arm: Arm, width: int = DRAWING) -> str:
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
    """The guardrails of the last phase by when they are checked, and what other phases have otherwise."""
    last = limits(arm, arm.phases[-1])
    rows: list[tuple[str, ...]] = [("guardrail", "metric", "flag", "breach", "in a row", "then")]
    for when in CHECKED:
        rows.append((f"at every {when}:",))
        rows += [_guardrail(rule) for rule in last.values() if rule.on == when and rule.metric in known_metrics]
    lines = [_table(rows)]
    lines += [
        f"{rule.name}: a breach only where also {rule.beside[0]} > {rule.beside[1]:g}" for rule in last.values() if rule.beside
    ]
    for phase in arm.phases[:-1]:
        own = limits(arm, phase)
        for name in sorted(own.keys() | last.keys()):
            if own.get(name) != last.get(name):
                now = "off" if name not in own else ", ".join(_guardrail(own[name])[2:5])
                lines.append(f"in {phase.name}: {name} {now}")
    return "\n".join(lines)


def problem_text(problems: Iterable[Problem]) -> str:
    """One paragraph a problem."""
    found = (_wrapped(f"{problem.level:<5}  {problem.where}: {problem.text}", "", " " * 7) for problem in problems)
    return "\n".join(line for lines in found for line in lines)


def timeline(simulation: Simulation) -> str:
    """What happened, without the updates and evaluations in which nothing did; then the end and why."""
    shown = [event for event in simulation.events if event.kind not in ("update", "evaluation")]
    lines = [_event(event) for event in shown]
    taken = {kind: sum(event.kind == kind for event in simulation.events) for kind in ("update", "evaluation", "rollback")}
    counted = ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in taken.items())
    lines.append(f"{simulation.outcome}: {simulation.control.status}, {simulation.at.env_steps:,} env steps, {counted}")
    lines += [line for reason in simulation.reasons for line in _wrapped(reason, "  ")]
    return "\n".join(lines)


def _event(event: Event) -> str:
    level = f"{event.finding.severity} " if event.finding else ""
    attempt = f"#{event.at.attempt}" if event.at.attempt else ""
    begins = f"{event.env_steps:>11,}  {event.phase + attempt:<14} {event.kind:<12} "
    return "\n".join(_wrapped(f"{level}{event.text}", begins, " " * len(begins)) or [begins.rstrip()])


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
    return rule.name, rule.metric, limit_text(rule, rule.flag), limit_text(rule, rule.breach), str(rule.hits), rule.decision


def _ramp(ramp: Ramp) -> str:
    if ramp.from_ == ramp.to:
        return f"{ramp.to:g}"
    over = "" if ramp.over == 1 else f" over {100 * ramp.over:g} %"
    return f"{ramp.from_:g} → {ramp.to:g}{'' if ramp.shape == 'linear' else ' ' + ramp.shape}{over}"


def _block(share: float) -> str:
    """At least the lowest block for anything above zero."""
    return BLOCKS[max(round(share * 8), 1)] if share > 0 else BLOCKS[0]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Cells below each other; a row of one cell is a heading, as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*(row for row in rows if len(row) > 1), strict=True)]
    return "\n".join(
        row[0] if len(row) == 1 else "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _wrapped(text: str, first: str, later: str | None = None) -> list[str]:
    """Lines no wider than a terminal: `first` stands before the first, `later` (by default the same) before the others."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=first if later is None else later)
