"""What is known of shift between the data and one arm (`shift/1`), before anybody judges it; the rules are in `compare.shift`."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from headstart.compare.arm_runs import ArmRuns, CloneShift, ShiftFacts, VariantScore
from headstart.compare.consequence import VariantDifference, differences
from headstart.compare.drift import FeatureDrift, MixDrift, drift, mix_drift
from headstart.compare.states import pooled
from headstart.core.errors import InputError
from headstart.core.record import Record


class ShiftLimits(Record):
    """The rules, fixed before a run starts."""

    false_discoveries: float = 0.01  # of KS and of PSI, over the features
    distance_min: float = 0.1  # KS distance from which a feature has moved
    psi_warn: float = 0.10
    psi_hold: float = 0.25
    outside_max: float = 0.01  # share of rows
    mix_warn: float = 0.10
    mix_hold: float = 0.25
    mix_share_min: float = 0.05  # of the data, for every situation of the exam
    agreement_drop_max: float = 0.10
    success_hold: float = 0.05
    success_fail: float = 0.15
    pairs_for_interval: int = 5  # fewer carry no bound


class VariantFinding(Record):
    """One held-out variant: successes of all seeds' episodes, and the differences."""

    variant: str
    candidate: float  # success rates; of the candidate and of scratch the means over seeds
    scratch: float
    clone: float
    candidate_harm: float
    scratch_harm: float
    clone_harm: float
    episodes: int  # of one seed
    less_scratch: VariantDifference
    less_clone: VariantDifference


class ShiftFindings(Record):
    """All that is known of shift between the data and one arm; `missing` says what is not."""

    schema_id: Literal["shift/1"] = "shift/1"
    scenario: str
    candidate: str
    limits: ShiftLimits
    missing: tuple[str, ...]  # everything below is empty unless this is
    starts: tuple[FeatureDrift, ...] = ()  # exam against data, at reset; the farthest first
    visited: tuple[FeatureDrift, ...] = ()  # the candidate's rows, pooled over seeds, against the data's
    outside: dict[str, float] = Field(default_factory=dict)  # feature → share of rows beyond feature_range, if any
    mix: MixDrift | None = None  # None: the world has one kind of situation only
    heldout_accuracy: float | None = None  # of the clone
    clone_agreement: float | None = None  # on its own states; None: no expert was at hand
    candidate_agreement: float | None = None  # mean over seeds
    variants: tuple[VariantFinding, ...] = ()
    warnings: tuple[str, ...] = ()


def measure(candidate: ArmRuns, scratch: ArmRuns, clone: CloneShift | None, limits: ShiftLimits) -> ShiftFindings:
    """What the records of two arms and the clone say. Raises InputError where they were measured in different worlds."""
    missing = tuple(_missing(candidate, scratch, clone))
    found = ShiftFindings(scenario=candidate.scenario, candidate=candidate.arm, limits=limits, missing=missing)
    if clone is None or missing:
        return found
    ours, theirs = _facts(candidate), _facts(scratch)
    _require_same_worlds([*ours, *theirs, clone.clone], candidate.scenario)
    _require_same_data(clone, candidate)
    states = pooled([facts.visited for facts in ours])
    known = {
        "starts": drift(clone.data.starts, ours[0].starts),
        "visited": drift(clone.data.visited, states),
        "outside": {name: feature.outside for name, feature in states.features.items() if feature.outside > 0},
        "mix": mix_drift(clone.data.mix, ours[0].mix),
        "heldout_accuracy": clone.heldout_accuracy,
        "clone_agreement": _agreement([clone.clone]),
        "candidate_agreement": _agreement(ours),
        "variants": tuple(_variants(ours, theirs, clone.clone, limits)),
    }
    return found.model_copy(update=known)


def _missing(candidate: ArmRuns, scratch: ArmRuns, clone: CloneShift | None) -> Iterator[str]:
    for arm in (candidate, scratch):
        without = [run.seed for run in arm.runs if run.shift is None]
        if without:
            yield f"{arm.arm} left no facts with seeds {without}"
    if clone is None:
        yield "the clone left no facts"
    elif not clone.data.mix and any(facts.mix for facts in _facts(candidate)):
        yield "the data do not say which situation an episode is"


def _facts(arm: ArmRuns) -> list[ShiftFacts]:
    return [run.shift for run in sorted(arm.runs, key=lambda run: run.seed) if run.shift is not None]


def _require_same_worlds(all_facts: Sequence[ShiftFacts], scenario: str) -> None:
    designs = [(facts.worlds, {name: one.scenario_sha256 for name, one in facts.variants.items()}) for facts in all_facts]
    for design in designs:
        if design != designs[0]:
            raise InputError(f"{scenario}: expected one set of held-out variants, got {designs[0]} and {design}; run `dvc repro`")


def _require_same_data(clone: CloneShift, candidate: ArmRuns) -> None:
    if clone.data.scenario_sha256 != candidate.design.scenario_sha256:
        raise InputError(
            f"{candidate.scenario}: the clone's data and {candidate.arm} are of different scenarios; run `dvc repro`"
        )


def _agreement(all_facts: Sequence[ShiftFacts]) -> float | None:
    shares = [one.agreement.agreed / max(1, one.agreement.decisions) for one in all_facts if one.agreement is not None]
    return float(np.mean(shares)) if len(shares) == len(all_facts) else None


def _variants(
    ours: Sequence[ShiftFacts], theirs: Sequence[ShiftFacts], clone: ShiftFacts, limits: ShiftLimits
) -> Iterator[VariantFinding]:
    names = list(clone.variants)
    mine, other = ({name: np.array([_success(f.variants[name]) for f in side]) for name in names} for side in (ours, theirs))
    cloned = {name: _success(clone.variants[name]) for name in names}
    rules = limits.success_hold, limits.success_fail, limits.pairs_for_interval
    less_scratch = differences({name: mine[name] - other[name] for name in names}, *rules)
    less_clone = differences({name: mine[name] - cloned[name] for name in names}, *rules)
    for name in names:
        yield VariantFinding(
            variant=name,
            candidate=float(mine[name].mean()),
            scratch=float(other[name].mean()),
            clone=cloned[name],
            candidate_harm=_harm(ours, name),
            scratch_harm=_harm(theirs, name),
            clone_harm=_harm([clone], name),
            episodes=clone.variants[name].score.episodes,
            less_scratch=less_scratch[name],
            less_clone=less_clone[name],
        )


def _success(one: VariantScore) -> float:
    return one.score.success / one.score.episodes


def _harm(all_facts: Sequence[ShiftFacts], name: str) -> float:
    return float(np.mean([facts.variants[name].score.harm / facts.variants[name].score.episodes for facts in all_facts]))
