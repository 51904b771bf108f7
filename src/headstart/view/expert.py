"""`headstart expert describe`: an expert on one page, for whoever has to decide whether it may be recorded."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from headstart.compare.arm_runs import Score
from headstart.config.history import Approved, Line
from headstart.config.project import REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.files import read_record
from headstart.core.verdict import Check, Outcome, Verdict
from headstart.runs.approval import DIGITS, approvals, approve_command, says, stands
from headstart.runs.expert import is_at_hand, judged_expert
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.own_source import cure_of_change
from headstart.view.judged_expert import is_played, watch
from headstart.view.taught import EXPERTS

SHOWN = 12  # actions that are named
Row = tuple[str, str]  # what stands at the left, and the text beside it


class Described(NamedTuple):
    """A page: a heading, rows below titles, and the facts for a program."""

    heading: str
    parts: list[tuple[str, list[Row]]]
    next: str
    facts: dict[str, Any]


def describe(scenario: Scenario) -> Described:
    """From the records of the stage `expert`; InputError, with the command that makes them, where they are missing."""
    made_by = stage_command("expert", scenario.name)
    expert = judged_expert(scenario)
    gate = read_record(REPORTS / scenario.name / "expert" / "verdict.json", Verdict, made_by=made_by)
    lines = approvals(scenario.name)
    state = _state(expert, lines)
    other = None if is_at_hand(expert, scenario) else f"`{cure_of_change(scenario)}` judges the one at hand, which is another"
    parts = [
        ("", _who(expert, scenario)),
        (f"gate: {gate.outcome}", [check_row(check) for check in gate.checks]),
        ("episodes", list(_episodes(expert))),
        ("decisions", list(_decisions(expert))),
        ("what goes wrong", list(_wrong(expert, scenario))),
        ("approvals", [_approval(line, lines, expert) for line in lines]),
        ("what to change", [("", text) for text in expert.diagnostics]),
    ]
    facts: dict[str, Any] = {
        "state": state,
        "at_hand": other is None,
        "expert": expert,
        "verdict": gate,
        "approvals": [_fact(line, lines, expert) for line in lines],
        "made_by": made_by,
        "next": other or _next(state, scenario, gate),
    }
    return Described(
        f"{scenario.name}: {state}{f'; {other}' if other else ''}", [part for part in parts if part[1]], facts["next"], facts
    )


def _state(expert: ExpertPolicy, lines: Sequence[Line]) -> str:
    """draft; waits for approval; approved."""
    if expert.state == "passed":
        return "approved" if lines and stands(lines[-1], list(lines), expert) else "waits for approval"
    return expert.state


def _who(expert: ExpertPolicy, scenario: Scenario) -> list[Row]:
    if expert.seeds:
        cost = f"{sum(seed.env_steps for seed in expert.seeds):,} env steps of training on {len(expert.seeds)} seeds"
    else:
        cost = f"{expert.own_steps:,} env steps of training, as the scenario says" if expert.own_steps else "no training"
    acts = f"; {'seeds' if len(expert.recorded) > 1 else 'seed'} {', '.join(map(str, expert.recorded))} recorded"
    return [
        ("expert", f"{EXPERTS[expert.kind]}{acts if expert.recorded else ''}"),
        ("world", f"{expert.world}, episodes of up to {scenario.horizon:,} ticks"),
        ("cost", cost),
        ("hash", expert.policy_sha256),
        ("made by", f"`{stage_command('expert', scenario.name)}`"),
    ]


def check_row(check: Check) -> Row:
    """A check with its limit, and whether it is kept."""
    mark = "--" if not check.applies else "ok" if check.passed else "MISS"
    limit = f": {_short(check.measured)} {check.direction} {_short(check.threshold)}" if check.applies else ""
    return mark, f"{check.name}: {check.text}{limit}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "not measured" if value is None else str(value)


def _episodes(expert: ExpertPolicy) -> Iterator[Row]:
    """Success, harm, return and measures, of each seed of a learned expert."""
    scores: list[tuple[str, Score | None]] = [(f"seed {seed.seed}", seed.score) for seed in expert.seeds] or [("", expert.score)]
    shown = {name: episodes for name, _, episodes in expert.judged}
    for name, score in scores:
        whose = f"{name} " if name else ""
        if score is None:
            yield "return", "not measured: the recording does not tell success, harm and return"
            continue
        n = f"{score.episodes:,}"
        yield f"{whose}success", f"{score.success:,} of {n}, harm {score.harm:,} of {n}"
        spread = "; the spread is not measured: judged before it was"
        if episodes := shown.get(name):
            spread = (
                f"; 5th percentile {episodes.return_p5:.4g}, median {episodes.return_median:.4g}, 95th {episodes.return_p95:.4g}"
            )
        yield f"{whose}return", f"mean {score.return_mean:.4g}, sd {score.return_sd:.4g} over {n} episodes{spread}"
        for measure, mean in score.measures.items():
            yield f"{whose}{measure}", f"mean {mean:,.4g} over agents and {n} episodes"
    for seed in expert.seeds:
        met = f"after {seed.steps_to_gate:,}" if seed.steps_to_gate else "never"
        yield f"seed {seed.seed} training", f"{seed.env_steps:,} env steps, to its {seed.stopped}; gate met {met}"


def _decisions(expert: ExpertPolicy) -> Iterator[Row]:
    """How often each action was chosen, over all policies that act."""
    counts: dict[str, int] = {}
    acting = {f"seed {number}" for number in expert.recorded} or {""}
    for name, _, episodes in expert.judged:
        if name in acting:
            for action, n in episodes.decisions.items():
                counts[action] = counts.get(action, 0) + n
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    for action, n in ordered[:SHOWN]:
        yield action, f"{n / total:7.2%}, {n:,} of {total:,}"
    if len(ordered) > SHOWN:
        yield "others", f"{sum(n for _, n in ordered[SHOWN:]) / total:7.2%}, of {len(ordered) - SHOWN} actions"


def _wrong(expert: ExpertPolicy, scenario: Scenario) -> Iterator[Row]:
    """Every condition that decided against an episode, how often, and an episode to look at."""
    for name, score, episodes in expert.judged:
        for failure in episodes.failures:
            text = f"{failure.says(score.episodes)}, first in world {failure.world}"
            if is_played(name, expert):
                text += f": `{watch(failure, expert)}`"
            yield name, text
        if not episodes.failures:
            yield name, f"nothing, in {score.episodes:,} episodes"
    if not expert.judged:
        again = f"`{stage_command('expert', scenario.name)}` judges it again"
        yield "", f"not measured: {'nobody acts' if expert.kind == 'demonstrations' else again}"


def _approval(line: Line, lines: Sequence[Line], expert: ExpertPolicy) -> Row:
    fact = _fact(line, lines, expert)
    by = f"; by {fact['superseded_by'][:DIGITS]}" if fact["superseded_by"] else ""
    return fact["state"], f"{says(line)}: {line.reason}{by}"


def _fact(line: Line, lines: Sequence[Line], expert: ExpertPolicy) -> dict[str, Any]:
    """An approval, and whether it stands; else the expert that followed: of the next approval, or the one at hand."""
    record = line.record
    assert isinstance(record, Approved)
    standing, after = stands(line, list(lines), expert), lines[lines.index(line) + 1 :]
    followed = next((one.record.policy_sha256 for one in after if isinstance(one.record, Approved)), expert.policy_sha256)
    return {
        "state": "approved" if standing else "superseded",
        "policy_sha256": record.policy_sha256,
        "by": line.actor,
        "at": line.at,
        "reason": line.reason,
        "line": line.seq + 1,
        "superseded_by": None if standing else followed,
    }


def _next(state: str, scenario: Scenario, gate: Verdict) -> str:
    if state == "waits for approval":
        return f"`{approve_command(scenario.name)}`, or change it, and `{stage_command('expert', scenario.name)}`"
    if state == "approved":
        return f"`{stage_command('capture', scenario.name)}` records it"
    again = f"`{stage_command('expert', scenario.name)}` judges it again"
    if gate.outcome is not Outcome.HOLD:
        return f"after a change of what is said above {again}"
    n = 4 * max((check.n or 0 for check in gate.checks), default=250)
    return f"`headstart expert {scenario.name} --worlds {n}` tries more episodes; with expert.worlds: {n} in params.yaml {again}"
