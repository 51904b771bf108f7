"""What the page shows of a run that is watched, one table a panel."""

from collections.abc import Mapping
from typing import Any

from headstart.config.schedule import Phase, Ramp
from headstart.telemetry.kinds import BcEpoch, Evaluation, Proportion, Update
from headstart.telemetry.social import EVENTS
from headstart.view.observe_charts import Curves
from headstart.view.observe_health import alerts, drift
from headstart.view.observe_state import PhaseSeen, Seen
from headstart.view.observe_tables import BAD, OK, OUTCOMES, WARN, Cell, Table, duration, number, state, table

PHASES = {"completed": OK, "running": OK, "held": WARN, "frozen": BAD, "stopped": BAD, "waiting": ""}
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
        "drift": drift(seen),
        "alerts": alerts(seen),
        "counters": _counters(seen),
        "numbers": _numbers(seen),
    }


# --- the run ------------------------------------------------------------------------------------------------------------


def _run(seen: Seen) -> Table:
    last, started = seen.last, seen.started
    if last is None:
        return table([], [], "No record yet.")
    rows: list[tuple[str, Cell]] = [("State", _state(seen)), ("Phase", _phase(seen)), ("Env steps", _steps(seen))]
    rows.append(("Time left", _time_left(seen)))
    if started is not None:
        rows += [("Target", _target(started.target)), ("Target reached", _reached(seen))]
        commit = f"{started.git_revision[:12]}{', with changes' if started.git_dirty else ''}" if started.git_revision else "none"
        rows.append(("Version", f"headstart {started.versions.get('headstart', 'unknown')}, commit {commit}"))
    memory = f"{last.wall.rss_mib:,.0f} MiB" if last.wall.rss_mib is not None else "not measured"
    agents = f", {started.agents} agents, on {started.device}" if started else ""
    rows.append(("World", f"{last.world}{agents}, stage {last.stage}, memory {memory}"))
    return table([], rows)


def _state(seen: Seen) -> Cell:
    if (end := seen.ended) is None:
        return state("running", OK)
    if end.status != "completed":
        return state(f"{end.status}{f': {end.error_type}' if end.error_type else ''}", BAD)
    if end.verdict is None:
        return state("ended", OK)
    reasons = f": {'; '.join(end.reasons)}" if end.reasons else ""
    return state(f"ended, guardrails {end.verdict}{reasons}"[:300], OUTCOMES[end.verdict])


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


def _target(target: Mapping[str, Any]) -> str:
    wants = {"success_rate": "success ≥", "harm_rate": "harm ≤", "return_mean": "return ≥"}
    text = ", ".join(f"{sign} {target[key]}" for key, sign in wants.items() if target.get(key) is not None)
    return f"{target.get('name')}: {text}, in {target.get('consecutive')} evaluations in a row"


def _reached(seen: Seen) -> Cell:
    assert seen.started is not None
    if seen.ended is not None:
        reached = seen.ended.steps_to_target
        return state("no", WARN) if reached is None else state(f"at {reached:,} env steps", OK)
    found = seen.evaluations.get(str(seen.started.target.get("mode")))
    return f"met by the last {found.consecutive_met}" if found and found.consecutive_met else "not met by the last evaluation"


# --- annealing ----------------------------------------------------------------------------------------------------------


def _cycles(seen: Seen) -> Table:
    head = ["Phase", "Outcome", "Progress", "Cycle", "Kind", "Expert share", "BC weight", "KL weight"]
    if seen.arm is None:
        return table(head, [], "A clone has no schedule: it is trained in epochs." if seen.epoch else "Not begun.")
    rows = []
    for number_, (phase, seen_phase, cycle) in enumerate(zip(seen.arm.phases, seen.phases, seen.arm.cycles, strict=True)):
        runs = seen.phase is not None and seen.phase.phase_index == number_ and seen_phase.outcome == "running"
        now = seen.update if runs and seen.update and seen.update.phase == phase.name else None
        weights = [_ramp(getattr(phase, name), getattr(now, name, None)) for name in ("expert_share", "bc_weight", "kl_weight")]
        rows.append([phase.name, _outcome(seen_phase), _progress(phase, seen_phase), str(cycle), phase.kind, *weights])
    return table(head, rows)


def _ramp(ramp: Ramp, now: float | None) -> str:
    if ramp.from_ == ramp.to:
        return f"{ramp.to:g}"
    return f"{ramp.from_:g} → {ramp.to:g}" + ("" if now is None else f", now {now:.3g}")


def _progress(phase: Phase, of: PhaseSeen) -> Cell:
    share = min(of.used / phase.length, 1.0)
    return {"t": f"{of.used:,} of {phase.length:,} {phase.unit} ({share:.0%})", "bar": round(share, 4)}


def _outcome(of: PhaseSeen) -> Cell:
    level = PHASES.get(of.outcome, BAD)
    text = of.outcome + (f", still open: {', '.join(of.open)}" if of.open else "")
    if of.attempt:
        text, level = f"{text}, rolled back {of.attempt} ×", BAD
    return state(text, level)


def _cloning(seen: Seen) -> Table:
    if seen.epoch is not None:
        return cloning(seen.epoch, accuracy_limit(seen), "this run")
    clone = seen.started.inputs.get("bc") if seen.started else None
    if clone is not None:
        return table([], [], f"Not measured in this run: it starts from clone {clone[:12]} and has no bc phase.")
    return table([], [], "Not measured: this run clones nothing." if seen.started else "Not begun.")


def cloning(epoch: BcEpoch, limit: float | None, whose: str) -> Table:
    """How well a clone predicts held-out steps, against the limit of the guardrail and against always taking the most frequent action."""
    found = epoch.accuracy_heldout
    marks = [mark for mark in ((limit, "guardrail"), (epoch.majority_baseline, "constant action")) if mark[0] is not None]
    level, word = ("", "") if limit is None else (BAD, ", too low") if found is None or found < limit else (OK, ", high enough")
    gauge = {"value": found or 0.0, "marks": [value for value, _ in marks]}
    against = "; ".join(f"{name} {number(value)}" for value, name in marks)
    against += "" if limit is not None else "; the gate of `bc_train` is no part of its log"
    accuracy = state(f"{number(found)}{word}", level, gauge=gauge)
    head = ["Clone", "Held-out accuracy", "Against", "Weakest action"]
    return table(head, [[f"{whose}, epoch {epoch.bc_epoch}", accuracy, against, _weakest(epoch)]])


def accuracy_limit(seen: Seen) -> float | None:
    """Below it a guardrail stops the run."""
    rules = seen.started.guardrails if seen.started else ()
    found = next((rule.get("breach") for rule in rules if rule.get("name") == "bc_accuracy"), None)
    return float(found) if isinstance(found, int | float) else None


def _weakest(epoch: BcEpoch) -> str:
    often = {name: of for name, of in epoch.per_behaviour.items() if of.n >= OFTEN} or epoch.per_behaviour
    if not often:
        return "not measured: actions are continuous"
    name, of = min(often.items(), key=lambda item: item[1].recall)
    return f"{name}: recall {of.recall:.3f} of {of.n:,} held-out steps"


# --- counters and numbers -----------------------------------------------------------------------------------------------


def _counters(seen: Seen) -> Table:
    head = ["Counter", "Last update", "Unit"]
    update = seen.update
    if update is None:
        return table(head, [], "Not measured: no update yet.")
    rows = [[text, number(getattr(update, name)), unit] for name, (text, unit) in COUNTERS.items() if _applies(update, name)]
    of_agents = dict(update.social) if update.social else {}
    rows += [
        [text, number(of_agents[name]), "in this rollout"]
        for name, text in EVENTS.items()
        if name in of_agents and name != "chats"
    ]
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


def finding(last: Mapping[str, tuple[int, float]], curves: Curves, x: str, target: Mapping[str, Any]) -> str:
    """The last value of each series of a curve, and its target, as a sentence. `last`: series → x, y."""
    known = [last[key] for key in curves.series if key in last]
    if not known:
        return "Not measured yet."
    values = [f"{name} {number(last[key][1])}" if key in last else f"{name} not measured" for key, name in curves.series.items()]
    wanted = target.get(curves.target) if curves.target else None
    aim = f"; target {wanted:g}" if isinstance(wanted, int | float) else ""
    return f"At {max(at for at, _ in known):,} {x}: {', '.join(values)}{aim} ({curves.unit})."
