"""One run in plain words, from its log: its phases, evaluations, guardrails, target and end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from headstart.compare.arm_runs import SeedRun
from headstart.core.errors import InputError
from headstart.telemetry.kinds import (
    AnyLine,
    Evaluation,
    GuardrailLine,
    PhaseEnded,
    PhaseStarted,
    RollbackLine,
    RunEnded,
    RunStarted,
)
from headstart.telemetry.reader import read_telemetry

SHOWN = 3  # guardrails that are named


class Explained(NamedTuple):
    """What is said of a run, and the facts that it is said of."""

    text: str  # one paragraph
    facts: dict[str, Any]
    look: str  # what to open or to type next


def log_of(folder: Path, run: SeedRun | None, root: Path = Path()) -> Explained:
    """One run from its log; `run`: what the records of its arm add."""
    lines = read_telemetry(root / folder)
    started = next((line for line in lines if isinstance(line, RunStarted)), None)
    if started is None:
        raise InputError(f"{folder}: expected the log of a run of an arm, found no record of its start")
    ended = next((line for line in lines if isinstance(line, RunEnded)), None)
    scores = [line for line in lines if isinstance(line, Evaluation)]
    scores = [line for line in scores if line.policy_mode == "sampled"] or scores  # a learned expert never samples
    says = [
        f"Seed {started.seed} of {started.arm} on {started.scenario} starts from "
        f"{'a clone of the expert' if started.params.get('start') == 'bc' else 'random weights'} and was trained for "
        f"{lines[-1].env_steps:,} env steps: {_phases(lines)}.",
        _scores(scores),
        _guardrails(lines),
        _target(started, ended),
        _exam(run),
        _end(ended, bool(_breaches(lines))),
    ]
    facts: dict[str, Any] = {
        "scenario": started.scenario,
        "arm": started.arm,
        "seed": started.seed,
        "env_steps": lines[-1].env_steps,
    }
    facts |= {"phases": list(_phase_facts(lines)), "ended": ended is not None, "verdict": ended.verdict if ended else None}
    facts |= {
        "steps_to_target": ended.steps_to_target if ended else None,
        "rollbacks": sum(isinstance(line, RollbackLine) for line in lines),
        "breaches": [f"{line.guardrail} at {line.env_steps:,}" for line in _breaches(lines)],
        "success": scores[-1].success.model_dump() if scores else None,
        "return_mean": scores[-1].return_mean if scores else None,
    }
    return Explained(" ".join(filter(None, says)), facts, f"{folder}, every update and evaluation")


def _phase_facts(lines: Sequence[AnyLine]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if isinstance(line, PhaseStarted):
            ended = next(
                (one for one in lines if isinstance(one, PhaseEnded) and one.phase == line.phase and one.seq > line.seq), None
            )
            used = ended.env_steps_used if ended else lines[-1].env_steps - line.env_steps
            yield {
                "name": line.phase,
                "kind": line.phase_kind,
                "env_steps": used,
                "outcome": ended.outcome if ended else "not ended",
            }


def _phases(lines: Sequence[AnyLine]) -> str:
    return (
        ", then ".join(
            f"{one['name']} ({one['kind']}, {one['env_steps']:,} steps, {one['outcome']})" for one in _phase_facts(lines)
        )
        or "no phase has begun"
    )


def _scores(scores: Sequence[Evaluation]) -> str:
    if not scores:
        return "It was not evaluated yet."
    first, last = scores[0], scores[-1]

    def told(one: Evaluation) -> str:
        mean = "not a number" if one.return_mean is None else f"{one.return_mean:.3f}"
        return f"success {one.success.k} of {one.success.n} and return {mean} at {one.env_steps:,} steps"

    return f"On the evaluation worlds it had {told(first)}" + (f", and {told(last)}." if len(scores) > 1 else ".")


def _breaches(lines: Sequence[AnyLine]) -> list[GuardrailLine]:
    return [line for line in lines if isinstance(line, GuardrailLine) and line.severity == "breach"]


def _guardrails(lines: Sequence[AnyLine]) -> str:
    broken, back = _breaches(lines), [line for line in lines if isinstance(line, RollbackLine)]
    if not broken and not back:
        return "No guardrail was broken."
    named = [f"{line.guardrail} at {line.env_steps:,} steps ({line.reason})" for line in broken[:SHOWN]]
    more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    went = f"; it went back {len(back)} time{'' if len(back) == 1 else 's'}, last to {back[-1].to_checkpoint_id}" if back else ""
    return f"Guardrails were broken: {', '.join(named)}{more}{went}."


def _target(started: RunStarted, ended: RunEnded | None) -> str:
    name = started.target.get("name", "its target")
    if ended is None:
        return ""
    if ended.steps_to_target is None:
        return f"It did not meet {name} within its budget."
    return (
        f"It met {name} after {ended.steps_to_target:,} env steps."
        if ended.steps_to_target
        else f"It met {name} before training."
    )


def _exam(run: SeedRun | None) -> str:
    if run is None:
        return ""
    exam = run.exam["sampled"]
    return (
        f"At the exam it succeeded in {exam.success:,} of {exam.episodes:,} episodes, did harm in {exam.harm:,}, and had a return of "
        f"{exam.return_mean:.3f}."
    )


def _end(ended: RunEnded | None, broken: bool) -> str:
    if ended is None:
        return "It goes on, or was interrupted: the command that began it goes on with it."
    if ended.verdict is None:
        return f"It {ended.status}."
    reasons = f": {'; '.join(ended.reasons)}" if ended.reasons else ""
    flag = " (a flag, which is no breach)" if ended.verdict == "HOLD" and not broken else ""
    return f"Its guardrails say {ended.verdict}{reasons}{flag}."
