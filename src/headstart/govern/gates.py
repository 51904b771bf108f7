"""The three gates before PPO: an expert worth recording, a dataset worth learning from, a clone worth
starting with.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from headstart.govern import alignment, contents
from headstart.govern.dataset import Dataset, DatasetFacts, DatasetLimits
from headstart.govern.statistics import wilson_lower, wilson_upper
from headstart.govern.structure import rows_of, structure_gates
from headstart.govern.target import require_score
from headstart.govern.verdict import (
    Check,
    Evidence,
    Outcome,
    Subject,
    Verdict,
    at_least,
    at_most,
    equal,
    judge,
    nothing,
    unproven,
)
from headstart.records.episodes import Episodes
from headstart.records.model import Record
from headstart.records.observation import ObservationSchema
from headstart.records.runs import Score

CONTENT_GATES: tuple[Callable[[Dataset], Check | None], ...] = (
    contents.finite_values,
    contents.feature_range,
    contents.action_range,
    contents.action_mask,
    contents.one_end,
    contents.one_kind_of_end,
    contents.unique_ids,
    contents.unique_content,
    contents.enough_episodes,
    contents.success_rate,
    contents.action_coverage,
    contents.behaviour_coverage,
    contents.majority_action,
    contents.reward_varies,
    contents.reward_saturation,
    contents.reward_sums,
    alignment.observation_repeats,
    alignment.observation_leaps,
)


@dataclass(frozen=True)
class BcMetrics:
    """What behaviour cloning measured on held-out episodes and in closed loop. NaN and None are no
    measurement.
    """

    accuracy: float | None
    macro_f1: float | None  # None for continuous actions
    majority_share: float | None  # accuracy of always choosing the most frequent action; None for continuous
    least_recall: float | None  # of an action that was chosen often enough to tell; None for continuous, or where there is none
    value_error: float | None  # mean squared, of the value head on held-out returns
    untrained_value_error: float | None  # of the same network before it learned
    closed_loop: Score | None  # of the cloned policy
    expert: Score | None  # of its expert on the same worlds


class BcLimits(Record):
    """Thresholds of a clone; None switches a gate off that continuous actions do not have."""

    accuracy_min: float = 0.90
    macro_f1_min: float | None = None
    majority_margin_min: float | None = 0.10
    recall_min: float | None = 0.50
    value_error_max: float | None = 0.75  # as a share of the untrained network's
    success_margin: float = Field(ge=0, le=1)  # the clone may succeed this much less often than its expert


def expert_gate(
    score: Score,
    success_min: float,
    harm_max: float,
    episodes_min: int,
    subject: Subject,
    evidence: Sequence[Evidence] = (),
) -> Verdict:
    """PASS if the one-sided 95 % Wilson bounds of success and harm keep the scenario's thresholds, over
    enough episodes.

    A rate that misses its threshold is a FAIL; one that meets it while its bound does not is a HOLD: run
    more episodes.
    """
    require_score(score, f"expert {subject.id}")
    n, k, harm = score.episodes, score.success, score.harm
    checks = [
        at_least("episodes", n, episodes_min, f"{n} episodes", n, Outcome.HOLD),
        at_least("some-success", k, 1, f"{k} of {n} episodes succeed", n),
        at_least(
            "success",
            wilson_lower(k, n),
            success_min,
            f"{k} of {n} episodes succeed; one-sided 95 % lower bound",
            n,
            unproven(k / n >= success_min),
        ),
        at_most(
            "harm",
            wilson_upper(harm, n),
            harm_max,
            f"{harm} of {n} episodes with harm; one-sided 95 % upper bound",
            n,
            unproven(harm / n <= harm_max),
        ),
    ]
    thresholds = {"success_min": success_min, "harm_max": harm_max, "episodes_min": episodes_min}
    return judge(subject, checks, thresholds, evidence)


def dataset_gates(episodes: Episodes, schema: ObservationSchema, facts: DatasetFacts, limits: DatasetLimits) -> list[Check]:
    """Every gate of a dataset, one line each, all problems listed. Raises InputError only for limits that
    name what the schema lacks.

    Where the structure is broken, gates over the contents are listed as not measured.
    """
    checks = structure_gates(episodes, schema)
    if all(check.passed for check in checks):
        data = Dataset(episodes, schema, limits, rows_of(episodes))
        checks += [check for gate in CONTENT_GATES if (check := gate(data)) is not None]
    else:
        unmeasured = "not measured: the structure is broken"
        checks += [nothing(gate_name(gate), "==", None, unmeasured) for gate in CONTENT_GATES]
    return checks + list(_provenance(episodes, facts, limits))


def gate_name(gate: Callable[[Dataset], Check | None]) -> str:
    """The name under which a gate reports: finite_values → finite-values."""
    return gate.__name__.replace("_", "-")


def bc_gate(metrics: BcMetrics, limits: BcLimits, subject: Subject, evidence: Sequence[Evidence] = ()) -> Verdict:
    """PASS if the clone predicts its expert on held-out episodes, clearly better than the majority class,
    and acts as well.
    """
    checks = [at_least("accuracy", metrics.accuracy, limits.accuracy_min, "held-out accuracy")]
    if limits.macro_f1_min is not None:
        checks.append(at_least("macro-f1", metrics.macro_f1, limits.macro_f1_min, "held-out macro-F1"))
    if limits.majority_margin_min is not None:
        margin = None
        if metrics.accuracy is not None and metrics.majority_share is not None:
            margin = round(metrics.accuracy - metrics.majority_share, 12)  # 0.95 − 0.85 is 0.1
        text = f"accuracy above that of the majority class, {metrics.majority_share}"
        checks.append(at_least("above-majority", margin, limits.majority_margin_min, text))
    if limits.recall_min is not None and metrics.least_recall is not None:
        checks.append(at_least("recall", metrics.least_recall, limits.recall_min, "held-out recall of the worst frequent action"))
    if limits.value_error_max is not None:
        checks.append(_value_head(metrics, limits.value_error_max))
    checks += _closed_loop(metrics, limits)
    return judge(subject, checks, limits.model_dump(), evidence)


def _value_head(metrics: BcMetrics, limit: float) -> Check:
    own, untrained = metrics.value_error, metrics.untrained_value_error
    share = own / untrained if own is not None and untrained else None
    text = f"squared error of the value head on held-out returns, as a share of the untrained network's {untrained}"
    return at_most("value-head", share, limit, text)


def _closed_loop(metrics: BcMetrics, limits: BcLimits) -> list[Check]:
    clone, expert = metrics.closed_loop, metrics.expert
    if clone is None or expert is None:
        return [nothing("closed-loop-success", ">=", None, "the clone or its expert was not run in closed loop")]
    require_score(clone, "closed loop of the clone")
    require_score(expert, "closed loop of the expert")
    rate, theirs = clone.success / clone.episodes, expert.success / expert.episodes
    text = (
        f"the clone succeeds in {clone.success} of {clone.episodes} episodes, its expert in {expert.success} of {expert.episodes}"
    )
    return [
        at_least("some-success", clone.success, 1, text, clone.episodes),
        at_least("closed-loop-success", rate, round(theirs - limits.success_margin, 12), text, clone.episodes),
    ]


def _provenance(episodes: Episodes, facts: DatasetFacts, limits: DatasetLimits) -> Iterator[Check]:
    """Where the data come from, that they can be reproduced, and that training will not see its own exam."""
    yield equal("expert-approved", facts.expert_approved, True, "the expert's verdict is a PASS")
    if facts.expert_sha256 is None:
        yield nothing("expert-hash", "==", None, "the expert's own hash is not known")
    else:
        text = "the recorded policy is the expert"
        yield equal("expert-hash", facts.recorded_expert_sha256, facts.expert_sha256, text)
    n = facts.replayed_episodes
    yield at_least("replay-sample", n, limits.replay_episodes_min, f"{n} episodes simulated again", n)
    differ = f"{facts.replay_mismatches} of {n} differ from the recording"
    yield at_most("replay-mismatches", facts.replay_mismatches, 0, differ, n)
    yield _seeds(episodes, facts)
    yield from _split(episodes, facts)


def _seeds(episodes: Episodes, facts: DatasetFacts) -> Check:
    if facts.requested_seeds is None:
        return nothing("seeds", "==", None, "the requested seeds are not known")
    wanted, found = set(facts.requested_seeds), set(np.unique(episodes.table.seed).tolist())
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    return at_most("seeds", len(missing) + len(extra), 0, f"seeds missing {missing}, not asked for {extra}")


def _split(episodes: Episodes, facts: DatasetFacts) -> Iterator[Check]:
    table, heldout = episodes.table, facts.heldout
    if heldout is None or heldout.shape != table.world.shape or heldout.shape != table.seed.shape:
        got = "none" if heldout is None else f"{list(heldout.shape)}"
        yield nothing("split-leak", "<=", 0, f"expected a split with a flag per episode, got {got}")
        return
    worlds = list(zip(table.seed.tolist(), table.world.tolist(), strict=True))
    held = {world for world, out in zip(worlds, heldout.tolist(), strict=True) if out}
    train = {world for world, out in zip(worlds, heldout.tolist(), strict=True) if not out}
    leaked = sorted(held & train)
    text = f"worlds (seed, id) on both sides: {leaked[:10] or 'none'}"
    yield at_most("split-leak", len(leaked), 0, text, int(np.size(heldout)))
    smaller = min(len(held), len(train))
    yield at_least("split-sides", smaller, 1, f"{len(train)} worlds to train, {len(held)} held out")
