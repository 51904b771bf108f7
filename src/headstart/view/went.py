"""What the runs went through: the schedule with its guardrails, rollbacks and weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.compare.arm_runs import ArmRuns, Score
from headstart.config.project import REPORTS
from headstart.config.schedule import Phase, Ramp
from headstart.core.arrays import Mode
from headstart.guard.guardrails import GUARDRAILS, limit_text, moved
from headstart.runs.states import TELEMETRY
from headstart.telemetry.kinds import AnyLine, Evaluation, GuardrailLine, RollbackLine, Update
from headstart.telemetry.reader import read_telemetry
from headstart.view.blocks import Block, Figure, More, Note, Section, Table, Text, counted, section
from headstart.view.charts import can_draw
from headstart.view.charts_training import WEIGHTS, weights
from headstart.view.comparison import number
from headstart.view.kept import capital

RAMPS = ("learning_rate", "entropy_coef", *WEIGHTS)
EVENTS_SHOWN = 40
RATES = {"harm_rate": "harm", "success_rate": "success"}  # metric → field of an evaluation
ROSE = {"above": "rose", "below": "fell", "outside": "changed"}
FEW = 3  # values of a weight that the table of phases says as well as a chart
READING = (
    "First: what a value is compared with, mostly the run's first one. warn: beyond the first limit of a guardrail, which is open until a "
    "reading is within it again; breach: beyond the second, which is broken: the run is rolled back, frozen or stopped. hold: the run went on, "
    "and a person decides."
)
LOGS_MISSING = "Not known here: guardrails, rollbacks and weights as they were, since the logs of the runs are missing; `dvc pull` brings them."

Logs = Mapping[int, Sequence[AnyLine]]  # seed → its log


def read_logs(root: Path, scenario: str, stage: str, arm: ArmRuns) -> Logs:
    """Of every run of an arm; empty where one is missing."""
    folder = root / REPORTS / scenario / stage / arm.arm / TELEMETRY
    paths = {run.seed: folder / f"seed-{run.seed}" for run in arm.runs}
    return {seed: read_telemetry(path) for seed, path in paths.items()} if all(path.is_dir() for path in paths.values()) else {}


def schedule_section(arm: ArmRuns, logs: Logs) -> Section:
    start = "a clone" if arm.recipe.start == "bc" else "random weights"
    blocks: list[Block] = [
        Text(f"{arm.arm} starts from {start} and may use {arm.recipe.budget:,} env steps a seed."),
        _phases(arm),
    ]
    if not logs:
        return section("schedule", "Schedule", *blocks, Text(LOGS_MISSING))
    events = [row for seed, log in logs.items() for line in log if (row := _event(seed, line))]
    back = sum(isinstance(line, RollbackLine) for log in logs.values() for line in log)
    fired = len(events) - back
    seed = _eventful(logs)
    spec = weights(logs[seed])
    finding = (
        f"{counted(len(logs), 'run')}, {counted(fired, 'finding')} of guardrails, {counted(back, 'rollback')}. Shown are the weights that each "
        f"update of seed {seed} really used, {'in which most of it happened' if events else 'since nothing happened in any'}."
        f"{_never_used(arm, logs)} Triangles: warnings; crosses: breaches; arrows along the bottom: rollbacks."
    )
    if spec is not None:
        figure = Figure(
            "weights",
            spec if can_draw() else None,
            f"Weights of the schedule over the env steps of seed {seed}",
            finding,
            _weights(logs[seed]),
        )
        same = len({tuple(getattr(line, name) for name in WEIGHTS) for line in logs[seed] if isinstance(line, Update)}) <= FEW
        blocks.append(More(f"Show the weights of seed {seed}, which change less than {FEW} times", [figure]) if same else figure)
    else:
        blocks.append(Text(f"Every weight of the schedule is 0. {finding.split('. ')[0]}."))
    if events:
        blocks += [_events(events[:EVENTS_SHOWN]), Note(READING)]
    if len(events) > EVENTS_SHOWN:
        blocks.append(Note(f"{EVENTS_SHOWN} of {len(events)} events are shown; the logs have all."))
    return section("schedule", "Schedule", *blocks)


def flagged_text(arm: ArmRuns, logs: Logs, mode: Mode) -> str:
    """Each guardrail that stayed open or was broken, in which runs, on which worlds it was measured, and what the exam says; empty where no
    log is here.
    """
    if not logs:
        return ""
    runs_of: dict[str, list[str]] = {}
    for run in arm.runs:
        for reason in run.reasons if run.outcome != "PASS" else ():
            name, _, rest = reason.partition(": ")
            found = [line for line in logs[run.seed] if isinstance(line, GuardrailLine) and line.guardrail == name]
            last = next((line for line in reversed(found) if line.value is not None), None)
            if last is None or rest.startswith("looser"):
                runs_of.setdefault(f"{reason},", []).append(f"seed {run.seed}")
                continue
            state = "still open at the end" if run.status == "completed" else f"broken, the run {run.status},"
            runs_of.setdefault(f"guardrail {name} ({_limited(last)}) {state}", []).append(
                f"seed {run.seed} ({_measured(last, run.exam[mode], logs[run.seed])})"
            )
    return "; ".join(
        f"{capital(what)} in {len(seeds)} of {counted(len(arm.runs), 'run')}: {', '.join(seeds)}"
        for what, seeds in runs_of.items()
    )


def _limited(line: GuardrailLine) -> str:
    """What is beyond the limit, in words: harm rose by more than 0.05."""
    rule = GUARDRAILS[line.guardrail]
    what = RATES.get(line.metric, line.metric)
    if rule.measure == "absolute":
        return f"{what} {limit_text(rule, line.threshold)}"
    by = f"{100 * line.threshold:g} %" if rule.measure == "relative" else f"{line.threshold:g}"
    how = "at least" if rule.inclusive and line.severity == "breach" else "more than"
    return f"{what} {ROSE[line.direction]} by {how} {by}"


def _measured(line: GuardrailLine, exam: Score, log: Sequence[AnyLine]) -> str:
    """1 to 9 of 128 worlds; exam 12 of 256."""
    at = [one for one in log if isinstance(one, Evaluation) and one.policy_mode == "sampled"]
    now, rate = next((one for one in at if one.env_steps == line.env_steps), None), RATES.get(line.metric)
    if rate is None or now is None:
        assert line.value is not None
        values = f"{line.value:.4g}" if line.baseline is None else f"{line.baseline:.4g} to {line.value:.4g}"
        return f"{values}; exam harm {exam.harm_rate:.3f}"
    last, first = getattr(now, rate), getattr(at[0], rate)
    before = f"{first.k}" if first.n == last.n else f"{first.k} of {first.n}"
    theirs = exam.harm if rate == "harm" else exam.success
    return f"{before} to {last.k} of {last.n} worlds; exam {theirs:,} of {exam.episodes:,}"


def _phases(arm: ArmRuns) -> Table:
    """Without weights that are 0 throughout."""
    used = [name for name in RAMPS if any(getattr(phase, name).highest > 0 for phase in arm.recipe.phases)]
    rows = [
        (phase.name, phase.kind, _length(phase), *(_ramp(getattr(phase, name)) for name in used)) for phase in arm.recipe.phases
    ]
    return Table(f"phase | kind | length | {' | '.join(used)}", rows)


def _length(phase: Phase) -> str:
    return f"{phase.length:,} {phase.unit}"


def _ramp(ramp: Ramp) -> str:
    if ramp.from_ == ramp.to:
        return f"{ramp.to:g}"
    return f"{ramp.from_:g} to {ramp.to:g}" + (
        ""
        if ramp.shape == "linear" and ramp.over == 1
        else f", {ramp.shape} at {ramp.over:g}"
        if ramp.shape == "step"
        else f", {ramp.shape} over {ramp.over:g}"
    )


def _event(seed: int, line: AnyLine) -> Sequence[str] | None:
    """A row; a finding without a value says that its guardrail does not apply, and is left out."""
    if isinstance(line, GuardrailLine) and line.value is not None:
        rule, base = GUARDRAILS[line.guardrail], line.baseline
        change = None if base is None else moved(rule, line.value, base)
        return (
            str(seed),
            f"{line.env_steps:,}",
            line.phase or "–",
            f"{line.severity}: {line.guardrail}",
            number(base, ".4g"),
            f"{line.value:.4g}",
            "–" if change is None else f"{change:+.0%}" if rule.measure == "relative" else f"{change:+.4g}",
            limit_text(rule, line.threshold),
            line.decision,
        )
    if isinstance(line, RollbackLine):
        what = f"rollback to {line.to_checkpoint_id}"
        return (
            str(seed),
            f"{line.env_steps:,}",
            line.phase or "–",
            what,
            "–",
            f"{line.env_steps_discarded:,} steps",
            "–",
            "–",
            line.next,
        )
    return None


def _events(rows: Sequence[Sequence[str]]) -> Table:
    """What is limited stands in the head, and beside each limit where it is not the same."""
    limited = {row[7][:1] for row in rows} - {"–"}
    head = {frozenset("+"): ("rise", "limit of the rise"), frozenset("−"): ("change", "limit of the fall")}
    change, limit = head.get(frozenset(limited), ("change", "limit (> <: of the last value, others: of the change)"))
    return Table(f"seed | env steps | phase | what | first | last | {change} | {limit} | decision", rows)


def _eventful(logs: Logs) -> int:
    """The seed with the most rollbacks and findings; the lowest of several."""
    return max(sorted(logs), key=lambda seed: sum(_event(seed, line) is not None for line in logs[seed]))


def _never_used(arm: ArmRuns, logs: Logs) -> str:
    """A step of a weight that comes after the last update of its phase began, so that no update used what it leads to."""
    said = []
    for phase in arm.recipe.phases:
        updates = [line for log in logs.values() for line in log if isinstance(line, Update) and line.phase == phase.name]
        for name in WEIGHTS:
            ramp = getattr(phase, name)
            if ramp.shape != "step" or ramp.from_ == ramp.to or not updates:
                continue
            if all(getattr(line, name) == ramp.from_ for line in updates):
                said.append(
                    f" No update used the {ramp.to:g} to which {name} of {phase.name} steps at {ramp.over:g} of the phase: the last of the "
                    f"{len(updates) // len(logs)} updates of a run began before, so all of them used {ramp.from_:g}."
                )
    return "".join(said)


def _weights(log: Sequence[AnyLine]) -> Table:
    """Where a weight changes."""
    rows: list[tuple[str, ...]] = []
    for line in log:
        if line.kind == "update":
            values = tuple(f"{getattr(line, name):.4g}" for name in WEIGHTS)
            if not rows or rows[-1][1:] != values:
                rows.append((f"{line.env_steps:,}", *values))
    return Table(f"env steps, from | {' | '.join(WEIGHTS)}", rows)
