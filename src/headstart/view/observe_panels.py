"""What the page shows of a run: one table a panel. A cell is a text, or a text with a state, a gauge or its last values."""

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.config.schedule import Phase, Ramp
from headstart.guard.guardrails import Guardrail, limit_text, moved
from headstart.telemetry.kinds import BcEpoch, Evaluation, Proportion, Update
from headstart.view.observe_state import PhaseSeen, Seen

Cell = str | dict[str, Any]
Table = dict[str, Any]  # head: names of columns; rows: cells; none: what stands there without rows

OK, WARN, BAD, NONE = "ok", "warn", "bad", "none"  # states; a word always stands beside the colour
OUTCOMES = {"completed": OK, "running": OK, "held": WARN, "frozen": BAD, "stopped": BAD, "waiting": ""}
LEVELS = {"quiet": ("OK", OK), "flag": ("warn", WARN), "breach": ("breach", BAD)}
OFTEN = 200  # held-out steps with an action below which its recall says little
COUNTERS = {  # of an update: field → name, unit
    "terminations": ("episodes that ended by themselves", "in this rollout"),
    "truncations": ("episodes that the horizon cut", "in this rollout"),
    "episode_length_mean": ("length of an episode", "env steps, mean"),
    "expert_steps": ("steps in which the expert acted", "in this rollout"),
    "queue_conflict_rate": ("queue conflicts", "per 1,000 env steps"),
    "queue_intensity_rate": ("their intensity", "per 1,000 env steps"),
    "showers": ("showers", "in this rollout"),
    "sleeps": ("sleeps", "in this rollout"),
    "chats": ("chats", "in this rollout"),
    "on_time_ratio": ("shifts begun on time", "share"),
}


def panels(seen: Seen) -> dict[str, Table]:
    """Panel → its table."""
    return {
        "run": _run(seen),
        "cycles": _cycles(seen),
        "cloning": _cloning(seen),
        "drift": _drift(seen),
        "alerts": _alerts(seen),
        "counters": _counters(seen),
        "numbers": _numbers(seen),
    }


def state(text: str, level: str, **more: Any) -> Cell:
    """A cell with a state."""
    return {"t": text, "c": level, **more}


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], none: str = "") -> Table:
    """A table; `none` stands there while it has no rows."""
    return {"head": list(head), "rows": [list(row) for row in rows], "none": none}


def number(value: float | None, why: str = "not measured") -> str:
    """A number as a person rounds it."""
    if value is None:
        return why
    if isinstance(value, int) or (abs(value) >= 1000 and value == round(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"


# --- the run ------------------------------------------------------------------------------------------------------------


def _run(seen: Seen) -> Table:
    last, started = seen.last, seen.started
    if last is None:
        return table([], [], "No record yet.")
    rows: list[tuple[str, Cell]] = [("State", _state(seen)), ("Phase", _phase(seen)), ("Env steps", _steps(seen))]
    rows.append(("Time left", _time_left(seen)))
    if started is not None:
        rows.append(("Target", _target(seen)))
        commit = f"{started.git_revision[:12]}{', with changes' if started.git_dirty else ''}" if started.git_revision else "none"
        rows.append(
            ("Made by", f"headstart {started.versions.get('headstart', 'unknown')}, commit {commit}, on {started.device}")
        )
    memory = f"{last.wall.rss_mib:,.0f} MiB" if last.wall.rss_mib is not None else "not measured"
    rows.append(("World", f"{last.world}, {f'{started.agents} agents, ' if started else ''}stage {last.stage}, memory {memory}"))
    return table([], rows)


def _state(seen: Seen) -> Cell:
    if (end := seen.ended) is None:
        return state("running", OK)
    if end.status != "completed":
        return state(f"{end.status}{f': {end.error_type}' if end.error_type else ''}", BAD)
    levels = {"PASS": OK, "HOLD": WARN, "FAIL": BAD, None: OK}
    reasons = f": {'; '.join(end.reasons)}" if end.reasons else ""
    return state(f"ended{f', guardrails {end.verdict}' if end.verdict else ''}{reasons}"[:300], levels[end.verdict])


def _phase(seen: Seen) -> str:
    if seen.epoch is not None and seen.started is None:
        return f"cloning, epoch {seen.epoch.bc_epoch}{', stopped early' if seen.epoch.early_stopped else ''}"
    if seen.phase is None:
        return "none yet"
    of = f" of {len(seen.phases)}" if seen.phases else ""
    return f"{seen.phase.phase} ({seen.phase.phase_kind}), {seen.phase.phase_index + 1}{of}"


def _steps(seen: Seen) -> str:
    assert seen.last is not None
    done, budget = seen.last.env_steps, seen.arm.budget if seen.arm else 0
    return f"{done:,} of {budget:,} ({done / budget:.0%})" if budget else f"{done:,}"


def _time_left(seen: Seen) -> str:
    if seen.ended is not None:
        return "none: the run has ended"
    if seen.arm is None or len(seen.pace) < 2:
        return "not known yet"
    (since, before), (now, done) = seen.pace[0], seen.pace[-1]
    seconds = (now - since).total_seconds()
    if seconds <= 0 or done <= before:
        return "not known yet"
    rate = (done - before) / seconds
    return f"{duration(max(seen.arm.budget - done, 0) / rate)} at {number(float(f'{rate:.3g}'))} env steps a second"


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _target(seen: Seen) -> Cell:
    assert seen.started is not None
    target = seen.started.target
    wants = {"success_rate": "success ≥", "harm_rate": "harm ≤", "return_mean": "return ≥"}
    text = ", ".join(f"{sign} {target[key]}" for key, sign in wants.items() if target.get(key) is not None)
    text = f"{target.get('name')}: {text}, {target.get('consecutive')} evaluations in a row"
    found = seen.evaluations.get(str(target.get("mode")))
    if seen.ended is not None:
        reached = seen.ended.steps_to_target
        return state(
            f"{text}; {'not reached' if reached is None else f'reached at {reached:,} env steps'}",
            WARN if reached is None else OK,
        )
    met = found.consecutive_met if found else 0
    return f"{text}; met by the last {met}" if met else f"{text}; not met by the last"


# --- annealing ----------------------------------------------------------------------------------------------------------


def _cycles(seen: Seen) -> Table:
    head = ["Phase", "Cycle", "Kind", "Expert share", "BC weight", "KL weight", "Progress", "Outcome"]
    if seen.arm is None:
        return table(head, [], "A clone has no schedule: it is trained in epochs." if seen.epoch else "Not begun.")
    rows = []
    for number_, (phase, seen_phase, cycle) in enumerate(zip(seen.arm.phases, seen.phases, seen.arm.cycles, strict=True)):
        runs = seen.phase is not None and seen.phase.phase_index == number_ and seen_phase.outcome == "running"
        now = seen.update if runs and seen.update and seen.update.phase == phase.name else None
        weights = [_ramp(getattr(phase, name), getattr(now, name, None)) for name in ("expert_share", "bc_weight", "kl_weight")]
        rows.append([phase.name, str(cycle), phase.kind, *weights, _progress(phase, seen_phase), _outcome(seen_phase)])
    return table(head, rows)


def _ramp(ramp: Ramp, now: float | None) -> str:
    if ramp.from_ == ramp.to:
        return f"{ramp.to:g}"
    return f"{ramp.from_:g} → {ramp.to:g}" + ("" if now is None else f", now {now:.3g}")


def _progress(phase: Phase, of: PhaseSeen) -> Cell:
    share = min(of.used / phase.length, 1.0)
    unit = "epochs" if phase.kind == "bc" else "env steps"
    return {"t": f"{of.used:,} of {phase.length:,} {unit} ({share:.0%})", "bar": round(share, 4)}


def _outcome(of: PhaseSeen) -> Cell:
    level = OUTCOMES.get(of.outcome, BAD)
    text = of.outcome + (f", still open: {', '.join(of.open)}" if of.open else "")
    if of.attempt:
        text, level = f"{text}, rolled back {of.attempt} ×", BAD
    return state(text, level)


def _cloning(seen: Seen) -> Table:
    epoch, head = seen.epoch, ["Held-out accuracy", "Against", "Weakest action"]
    if epoch is None:
        clone = seen.started.inputs.get("bc") if seen.started else None
        if clone is None:
            return table(head, [], "Not measured: this run starts from random weights and clones nothing.")
        return table(head, [], f"Not measured in this run: it starts from clone {clone[:12]} and has no bc phase.")
    limit = _accuracy_limit(seen)
    low = epoch.accuracy_heldout is not None and limit is not None and epoch.accuracy_heldout < limit
    marks = [mark for mark in ((limit, "threshold"), (epoch.majority_baseline, "constant action")) if mark[0] is not None]
    level, word = (BAD, "below the threshold") if low else (OK, "at or above the threshold") if limit is not None else ("", "")
    text = f"{number(epoch.accuracy_heldout)}{f', {word}' if word else ''} (epoch {epoch.bc_epoch})"
    against = "; ".join(f"{name} {number(value)}" for value, name in marks)
    if limit is None:
        against += "; the threshold is no part of this log, `bc_train` holds the clone to it"
    gauge = {"value": epoch.accuracy_heldout or 0.0, "marks": [value for value, _ in marks]}
    return table(head, [[state(text, level, gauge=gauge), against, _weakest(epoch)]])


def _accuracy_limit(seen: Seen) -> float | None:
    rules = seen.started.guardrails if seen.started else ()
    found = next((rule.get("breach") for rule in rules if rule.get("name") == "bc_accuracy"), None)
    return float(found) if isinstance(found, int | float) else None


def _weakest(epoch: BcEpoch) -> str:
    often = {name: of for name, of in epoch.per_behaviour.items() if of.n >= OFTEN} or epoch.per_behaviour
    if not often:
        return "not measured: actions are continuous"
    name, of = min(often.items(), key=lambda item: item[1].recall)
    return f"{name}: recall {of.recall:.3f} of {of.n:,} held-out steps"


# --- guardrails ---------------------------------------------------------------------------------------------------------


def _drift(seen: Seen) -> Table:
    head = ["Guardrail", "Value", "Reference", "Change", "Warns / acts at", "State", "Last values"]
    rows = []
    for name, of in seen.guardrails.items():
        rule, measured = of.rule, of.measured
        warn = f"{limit_text(rule, rule.flag)} / " if rule.flag is not None else ""
        limits = f"{warn}{limit_text(rule, rule.breach)} → {rule.decision}"
        if measured.level == "not applicable":
            rows.append([name, "not measured", "–", "–", limits, f"not measured: {measured.text}", "–"])
            continue
        word, level = LEVELS[measured.level]
        if measured.level == "breach" and of.hits < rule.hits:
            word += f", {of.hits} of {rule.hits} in a row"
        base = "–" if measured.baseline is None else number(measured.baseline)
        values: Cell = {"t": "", "spark": list(of.values)} if len(of.values) > 1 else "–"
        rows.append([f"{name} ({rule.metric})", number(measured.value), base, _change(rule, measured.value, measured.baseline), limits,
                     state(word, level), values])  # fmt: skip
    random = seen.arm is not None and seen.arm.start == "random"
    why = "Only numbers that are not finite are watched: the run starts from random weights." if random else "No check yet."
    return table(head, rows, why)


def _change(rule: Guardrail, value: float | None, base: float | None) -> str:
    if value is None or base is None:
        return "–"
    by = moved(rule, value, base)
    text = f"{100 * by:+.1f} %" if rule.measure == "relative" else f"{by:+.3g}"
    return text.replace("-", "−")


def _alerts(seen: Seen) -> Table:
    rows = []
    for alert in reversed(seen.alerts.values()):
        since = f"{alert.since.env_steps:,} env steps, {alert.since.wall.time_utc[11:19]} UTC" if alert.since else "the beginning"
        word = "cleared" if alert.cleared else {WARN: "open", BAD: "acted on"}[alert.level]
        if alert.about in ("run", "log", "nonfinite"):
            word = "open"
        times = f" ×{alert.times}" if alert.times > 1 else ""
        rows.append([state(f"{word}{times}", OK if alert.cleared else alert.level), alert.about, alert.text, since])
    return table(["State", "About", "What", "Since"], rows, "No alert so far.")


# --- counters and numbers -----------------------------------------------------------------------------------------------


def _counters(seen: Seen) -> Table:
    head = ["Counter", "Last update", "Unit"]
    update = seen.update
    if update is None:
        return table(head, [], "Not measured: no update yet.")
    rows = [[text, number(getattr(update, name)), unit] for name, (text, unit) in COUNTERS.items() if _applies(update, name)]
    rows += [[f"need: {need}, mean", number(value), "0 empty … 1 full"] for need, value in (update.need_mean or {}).items()]
    if update.rivalry:
        rows.append(["strongest rivalry, mean", number(update.rivalry.get("max_mean")), "0 … 1"])
    return table(head, rows)


def _applies(update: Update, name: str) -> bool:
    town = name in ("queue_conflict_rate", "queue_intensity_rate", "showers", "sleeps", "chats", "on_time_ratio")
    return update.world == "town" if town else not (name == "expert_steps" and update.expert_share == 0)


def _numbers(seen: Seen) -> Table:
    head = ["Evaluation", "Actions", "Return (95 % interval)", "Success (95 % interval)", "Harm (95 % interval)", "Target"]
    rows = [_evaluation(found) for found in seen.evaluations.values()]
    return table(head, rows, "Not measured: no evaluation yet.")


def _evaluation(found: Evaluation) -> list[Cell]:
    interval = f"({number(found.return_ci_low)} … {number(found.return_ci_high)})"
    met = state("met", OK) if found.target_met else state("not met", "")
    return [f"at {found.env_steps:,} env steps", found.policy_mode, f"{number(found.return_mean)} {interval}", _proportion(found.success),
            _proportion(found.harm), met]  # fmt: skip


def _proportion(of: Proportion) -> str:
    return f"{of.k} of {of.n} ({of.low:.3f} … {of.high:.3f})"


def finding(last: Mapping[str, float], names: Mapping[str, str]) -> str:
    """The last value of each series of a curve, as a sentence."""
    return (
        ", ".join(f"{name} {number(last[key])}" if key in last else f"{name} not measured" for key, name in names.items()) + "."
    )
