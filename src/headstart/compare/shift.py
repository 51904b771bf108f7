"""Distribution shift between the data, fine-tuning and evaluation, and its cost (`shift/3`): which findings hold a verdict, which warn.

Not every difference is a fault. Successful fine-tuning leaves the states of the demonstrations: a faster robot meets people at other
distances than its expert. So a difference holds the verdict if no policy has acted yet, if the policy is fixed, or if it is in success or harm;
it only warns if the cause may be the changed candidate.

HOLD, by the thresholds of `ShiftLimits`
* at reset, features of the exam differ from the data's, by KS or by PSI. No policy has acted yet, so the worlds differ.
* too many of the candidate's rows lie outside the scenario's feature_range, for which data are validated.
* the mix of situations differs, or the exam asks for a situation that the data hardly show.
* a clone agrees with the expert less often in its own states than in held-out episodes: the policy is the same, so the states differ.
* success in a held-out variant may be lower than a baseline's or the clone's by more than a margin, or harm higher; FAIL at a larger margin.
* any of it was not measured.

Warning
* at reset, a smaller PSI; a mix that differs a little.
* the candidate's rows differ from the data's.
* the candidate agrees with the expert less often than its clones did in held-out episodes: it may have found something better.

Every replicate has data and a clone of its own: the data here are the rows of all of them, agreement is the mean over clones.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal

import numpy as np
from pydantic import Field

from headstart.compare.arm_runs import ArmRuns, CloneRun, CloneRuns, DataStates, SeedRun, ShiftFacts, StateSummary
from headstart.compare.drift import FeatureDrift, MixDrift, drift, joined, mix_drift, pooled
from headstart.compare.ratio import RUNS_FOR_BOUND
from headstart.compare.variants import Group, Margins, Measure, VariantFinding, find_variants, variant_checks
from headstart.config.stage_command import pipeline_command
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.core.verdict import Check, Outcome, at_least, at_most, not_applicable, unmeasured


class ShiftLimits(Record):
    """The rules, fixed before a run starts."""

    false_discoveries: float = 0.01  # of KS and of PSI, over the features
    min_distance: float = 0.1  # KS distance from which a feature has moved
    psi_warn: float = 0.10
    psi_hold: float = 0.25
    max_outside: float = 0.01  # share of rows
    mix_warn: float = 0.10
    mix_hold: float = 0.25
    min_mix_share: float = 0.05  # of the data, for every situation of the exam
    max_agreement_drop: float = 0.10
    success_hold: float = 0.05  # loss of success in a variant, by its bound
    success_fail: float = 0.15
    harm_hold: float = 0.05  # rise of harm in a variant, by its bound
    harm_fail: float = 0.15
    runs_for_bound: int = RUNS_FOR_BOUND

    @property
    def margins(self) -> dict[Measure, Margins]:
        """Measure → the losses in a variant beyond which the verdict holds or fails."""
        return {"success": Margins(self.success_hold, self.success_fail), "harm": Margins(self.harm_hold, self.harm_fail)}


class ShiftFindings(Record):
    """All findings on shift between the data and one arm; `missing` lists what was not measured."""

    schema_id: Literal["shift/3"] = "shift/3"
    candidate: str
    scratch: str  # the first of the baselines with which variants are compared
    limits: ShiftLimits
    missing: tuple[str, ...]  # if not empty, everything below is empty
    starts: tuple[FeatureDrift, ...] = ()  # exam against data, at reset; the farthest first
    visited: tuple[FeatureDrift, ...] = ()  # the candidate's rows, of all seeds, against the data's
    outside: dict[str, float] = Field(default_factory=dict)  # feature → share of rows beyond feature_range, if any
    mix: MixDrift | None = None  # None: the world has one kind of situation only
    heldout_accuracy: float | None = None  # mean over clones
    clone_agreement: float | None = None  # in their own states, mean over clones; None: no expert was available
    candidate_agreement: float | None = None  # mean over seeds
    no_expert: bool = False  # demonstrations are recorded, and nobody can be asked
    variants: tuple[VariantFinding, ...] = ()
    warnings: tuple[str, ...] = ()


def find_shift(candidate: ArmRuns, baselines: Sequence[ArmRuns], clones: CloneRuns | None) -> ShiftFindings:
    """The findings on shift from the records of the candidate, of at least one baseline, and of the clones that the candidate started from.

    Raises InputError if they were measured in different worlds, or if a run started from a clone that is not recorded.
    """
    missing = tuple(_missing(candidate, baselines, clones))
    found = ShiftFindings(candidate=candidate.arm, scratch=baselines[0].arm, limits=ShiftLimits(), missing=missing)
    if clones is None or missing:
        return found
    own = _own_clones(candidate, clones)
    ours, theirs, cloned = _facts(candidate.runs), {arm.arm: _facts(arm.runs) for arm in baselines}, _facts(own)
    _require_same_worlds([*ours, *chain.from_iterable(theirs.values()), *cloned], candidate.scenario)
    data = _data(own, candidate)
    states_of: list[DataStates | ShiftFacts] = [*data, *ours]
    _require_same_features([part for one in states_of for part in (one.starts, one.visited)], candidate.scenario)
    states = pooled([facts.visited for facts in ours])
    measured = {
        "starts": drift(joined([one.starts for one in data]), ours[0].starts),
        "visited": drift(joined([one.visited for one in data]), states),
        "outside": {name: feature.outside for name, feature in states.features.items() if feature.outside > 0},
        "mix": mix_drift(sum((Counter(one.mix) for one in data), Counter()), ours[0].mix),
        "heldout_accuracy": float(np.mean([clone.heldout_accuracy for clone in own])),
        "clone_agreement": _agreement(cloned),
        "candidate_agreement": _agreement(ours),
        "no_expert": all(clone.expert is None for clone in own),
        "variants": find_variants(_groups(candidate, own), theirs, found.limits.margins, found.limits.runs_for_bound),
    }
    found = found.model_copy(update=measured)
    return found.model_copy(update={"warnings": tuple(_warnings(found))})


def _missing(candidate: ArmRuns, baselines: Sequence[ArmRuns], clones: CloneRuns | None) -> Iterator[str]:
    for arm in (candidate, *baselines):
        without = [run.seed for run in arm.runs if run.shift is None]
        if without:
            yield f"{arm.arm} recorded no facts with seeds {without}"
    if clones is None:
        yield "the clones recorded no facts"
        return
    if random := [run.seed for run in candidate.runs if run.clone_sha256 is None]:
        yield f"{candidate.arm} did not start from a clone with seeds {random}"
    own = _own_clones(candidate, clones)
    if without := [clone.seed for clone in own if clone.data is None or clone.shift is None]:
        yield f"the clones of seeds {without} recorded no facts"
    elif any(facts.mix for facts in _facts(candidate.runs)) and not all(clone.data and clone.data.mix for clone in own):
        yield "the data do not contain the situations of the episodes"


def _own_clones(candidate: ArmRuns, clones: CloneRuns) -> list[CloneRun]:
    """The clones from which the candidate's runs started, each once, in the order of the seeds."""
    known = {clone.weights_sha256: clone for clone in clones.clones}
    if unknown := [run.seed for run in candidate.runs if run.clone_sha256 and run.clone_sha256 not in known]:
        raise InputError(
            f"{candidate.scenario}: expected {candidate.arm} to start from the recorded clones, got others with seeds {unknown}; "
            f"run `{pipeline_command(candidate.scenario)}`"
        )
    used = {run.clone_sha256 for run in candidate.runs}
    return sorted((clone for weights, clone in known.items() if weights in used), key=lambda clone: clone.seed)


def _facts(runs: Sequence[SeedRun | CloneRun]) -> list[ShiftFacts]:
    return [run.shift for run in sorted(runs, key=lambda run: run.seed) if run.shift is not None]


def _data(clones: Sequence[CloneRun], candidate: ArmRuns) -> list[DataStates]:
    """The states of every clone's data; blocks of one recording share no world."""
    data = [clone.data for clone in clones if clone.data is not None]
    if any(one.scenario_sha256 != candidate.design.scenario_sha256 for one in data):
        raise InputError(
            f"{candidate.scenario}: the clones' data and {candidate.arm} are of different scenarios; "
            f"run `{pipeline_command(candidate.scenario)}`"
        )
    return data


def _groups(candidate: ArmRuns, clones: Sequence[CloneRun]) -> list[Group]:
    """Every clone with the runs that started from it."""
    return [
        Group(clone.shift, _facts([run for run in candidate.runs if run.clone_sha256 == clone.weights_sha256]))
        for clone in clones
        if clone.shift is not None
    ]


def _require_same_worlds(all_facts: Sequence[ShiftFacts], scenario: str) -> None:
    designs = [(facts.worlds, {name: one.scenario_sha256 for name, one in facts.variants.items()}) for facts in all_facts]
    if other := next((design for design in designs if design != designs[0]), None):
        raise InputError(
            f"{scenario}: expected one set of held-out variants, got {designs[0]} and {other}; run `{pipeline_command(scenario)}`"
        )


def _require_same_features(summaries: Sequence[StateSummary], scenario: str) -> None:
    first = set(summaries[0].features)
    for one in summaries:
        if differ := sorted(first ^ set(one.features)):
            raise InputError(
                f"{scenario}: expected the same features in every record of states, {', '.join(differ[:3])} differ; "
                f"`{pipeline_command(scenario)}`"
            )


def _agreement(all_facts: Sequence[ShiftFacts]) -> float | None:
    shares = [one.agreement.agreed / max(1, one.agreement.decisions) for one in all_facts if one.agreement is not None]
    return float(np.mean(shares)) if len(shares) == len(all_facts) else None


def shift_checks(found: ShiftFindings) -> Iterator[Check]:
    """The checks that the findings add to a verdict; warnings add none."""
    if found.missing:
        yield unmeasured("shift", "==", "measured", f"distribution shift not measured: {'; '.join(found.missing)}")
        return
    yield _same_starts(found)
    name, worst = max(found.outside.items(), key=lambda item: item[1], default=("no feature", 0.0))
    text = f"{name} lies beyond the scenario's feature_range in {worst:.2%} of the candidate's rows"
    yield at_most("shift-outside", worst, found.limits.max_outside, text, on_miss=Outcome.HOLD)
    if found.mix is not None:
        yield from _mix_checks(found.mix, found.limits)
    yield _agreement_check(found)
    for variant in found.variants:
        yield from variant_checks(variant, found.candidate, found.scratch, found.limits.margins)


def _same_starts(found: ShiftFindings) -> Check:
    moved = _moved(found.starts, found.limits)
    worst = ", ".join(f"{one.feature} (D {one.distance:.2f}, PSI {one.psi:.2f})" for one in moved[:3])
    text = f"of {len(found.starts)} features at reset, {len(moved)} differ between data and exam{': ' if moved else ''}{worst}"
    return at_most("shift-starts", len(moved), 0, text, on_miss=Outcome.HOLD)


def _mix_checks(mix: MixDrift, limits: ShiftLimits) -> Iterator[Check]:
    text = f"mix of situations in data and exam: total variation {mix.distance:.3f}"
    yield at_most("shift-mix", mix.distance, limits.mix_hold, text, on_miss=Outcome.HOLD)
    asked = {kind: mix.data[kind] for kind, share in mix.exam.items() if share > 0}
    rarest = min(asked, key=lambda kind: asked[kind])
    text = f"situation {rarest} of the exam has {asked[rarest]:.1%} of the data"
    yield at_least("shift-mix-share", asked[rarest], limits.min_mix_share, text, on_miss=Outcome.HOLD)


def _agreement_check(found: ShiftFindings) -> Check:
    limit = found.limits.max_agreement_drop
    if found.no_expert:
        return not_applicable("shift-agreement", "<=", limit, "demonstrations are recorded, and no expert can be asked")
    if found.clone_agreement is None or found.heldout_accuracy is None:
        text = "the clones' agreement with the expert in their own states was not measured"
        return unmeasured("shift-agreement", "<=", limit, text)
    drop = found.heldout_accuracy - found.clone_agreement
    text = f"the clones agree with the expert in {found.heldout_accuracy:.3f} of held-out decisions, in {found.clone_agreement:.3f} of their own"
    return at_most("shift-agreement", drop, limit, text, on_miss=Outcome.HOLD)


def _warnings(found: ShiftFindings) -> Iterator[str]:
    limits = found.limits
    unstable = [one.feature for one in found.starts if _unstable(one, limits.psi_warn, limits) and one.psi <= limits.psi_hold]
    if unstable:
        yield f"at reset, PSI exceeds {limits.psi_warn} in {', '.join(unstable)}"
    moved = _moved(found.visited, limits)
    if moved:
        yield f"{found.candidate} sees other values than the data in {len(moved)} of {len(found.visited)} features, most in {moved[0].feature}"
    mix = found.mix
    if mix is not None and limits.mix_warn < mix.distance <= limits.mix_hold and mix.p <= limits.false_discoveries:
        yield f"the mix of situations differs by a total variation of {mix.distance:.3f}"
    if found.candidate_agreement is not None and found.heldout_accuracy is not None:
        if found.heldout_accuracy - found.candidate_agreement > limits.max_agreement_drop:
            yield f"{found.candidate} agrees with the expert in {found.candidate_agreement:.3f} of its own decisions"
    if not found.variants:
        yield "the scenario describes no held-out variants, so no consequence was measured"


def _moved(features: Sequence[FeatureDrift], limits: ShiftLimits) -> list[FeatureDrift]:
    """The features that differ by more than chance and by more than the limits, by KS or by PSI."""
    far = (one.q <= limits.false_discoveries and one.distance >= limits.min_distance for one in features)
    return [one for one, moved in zip(features, far, strict=True) if moved or _unstable(one, limits.psi_hold, limits)]


def _unstable(one: FeatureDrift, max_psi: float, limits: ShiftLimits) -> bool:
    """Whether the PSI exceeds a limit, and by more than chance."""
    return one.psi_q <= limits.false_discoveries and one.psi > max_psi
