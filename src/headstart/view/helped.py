"""Whether a head start helped, in a sentence: the ratio with its bound, and what the clones could do before any training."""

from collections.abc import Iterable

from headstart.compare.comparison import Comparison, arrivals
from headstart.compare.findings import Against
from headstart.core.verdict import Check, Outcome
from headstart.view.comparison import number, there
from headstart.view.ends import signed

STEPS_CHECKS = ("ratio-upper", "baseline-not-slower", "candidate-censored")


def clones_part(found: Comparison) -> str:
    """What the candidate had before its first env step, and what training added; empty where it does not start from clones."""
    added = found.final.get("clone", {}).get("return")
    success, returns = (found.candidate.curves.get(name) for name in ("success", "return"))
    if added is None or success is None or returns is None or returns.env_steps[0] != 0:
        return ""
    return (
        f" At 0 env steps its clones already had success {success.iqm[0]:.3f} and return {returns.iqm[0]:.3f} (IQM over seeds); PPO added "
        f"{signed(added.mean)} of mean return at the exam."
    )


def helped(found: Comparison) -> str:
    """Whether the candidate reached the target in fewer steps, from the checks that say so."""
    if found.strongest is None:
        return "Not measured: there is no baseline to compare with."
    name, other = found.candidate.arm, found.strongest.baseline.arm
    limit = f"{found.limits.max_ratio:g}"
    checks = _checks(found, STEPS_CHECKS)
    if checks and all(check.passed for check in checks):
        return (
            f"Yes: {name} needed {_ratio(found)} of the env steps of {other}, the strongest baseline{_tied(found)}, to reach "
            f"{found.target.name} (limit {limit}){_charged(found)}; {there(found.candidate)} seeds got there.{_bounded(found)}"
        )
    if any(check.outcome == Outcome.FAIL for check in checks):
        return f"No: {arrivals(found.candidate)}; {arrivals(found.strongest.baseline)} (limit of the ratio {limit})."
    return f"Not shown: {arrivals(found.candidate)}; {arrivals(found.strongest.baseline)} (limit of the ratio {limit})."


def _ratio(found: Comparison) -> str:
    assert found.strongest is not None
    ratio = found.strongest.online
    if found.candidate.reached.median_steps == 0:
        return "no env steps of its own (its clones were there before training), against all"
    if ratio.median is None:
        return f"at most {number(ratio.upper, '.3f')} (95 % upper bound)"
    return f"{ratio.median:.3f} (95 % upper bound {number(ratio.upper, '.3f', 'not estimable')})"


def _tied(found: Comparison) -> str:
    """Where other baselines leave the same bound and arrive as often and as soon: why it is this one."""
    first, *others = found.grid

    def strength(one: Against) -> tuple[object, ...]:
        reached = one.baseline.reached
        return one.online.upper, reached.censored / reached.runs, reached.median_steps

    tied = 1 + sum(strength(one) == strength(first) for one in others)
    if tied == 1 or first.online.upper is None:
        return ""
    who = "both baselines" if tied == len(found.grid) == 2 else f"{tied} baselines"
    return f" ({who} give {first.online.upper:.3f}; {first.baseline.arm} is listed first)"


def _charged(found: Comparison) -> str:
    """The all-in ratio, beside the online one; nothing where there were no demonstrations."""
    assert found.strongest is not None
    ratio = found.strongest.all_in
    if ratio == found.strongest.online:
        return ""
    bound = "no bound" if ratio.upper is None else f"at most {ratio.upper:.3f}"
    known = bound if ratio.median is None else f"{ratio.median:.3f} ({bound})"
    return f", and {known} all-in, with the steps that the demonstrations cost"


def _bounded(found: Comparison) -> str:
    """Where the baseline was not seen to arrive: why there is a bound and no ratio, and what it is made of."""
    assert found.strongest is not None
    ratio, theirs = found.strongest.online, found.strongest.baseline
    if ratio.median is not None or ratio.upper is None or found.candidate.reached.median_steps == 0:
        return ""
    arrived, median = theirs.reached.runs - theirs.reached.censored, found.candidate.reached.median_steps
    never = (
        f"{theirs.arm} never arrived ({there(theirs)} seeds within its budget of {theirs.budget:,} env steps)"
        if arrived == 0
        else f"Of {theirs.arm} only {there(theirs)} seeds arrived within its budget of {theirs.budget:,} env steps"
    )
    of = (
        f": the {median:,.0f} env steps of {found.candidate.arm} (median) over that budget"
        if median is not None and abs(ratio.upper * theirs.budget - median) < 1
        else ", from the steps up to which it was watched"
    )
    return f" {never}, so the ratio is not known, only bounded{of}."


def _checks(found: Comparison, names: Iterable[str]) -> list[Check]:
    return [check for check in found.verdict.checks if check.name in names]
