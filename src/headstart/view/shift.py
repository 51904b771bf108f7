"""Distribution shift as tables and findings: what moved between data, training and exam, and what it costs."""

from collections.abc import Sequence
from statistics import fmean

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.drift import FeatureDrift
from headstart.compare.shift import ShiftFindings
from headstart.compare.variants import Measure, VariantDifference, VariantRates
from headstart.view.blocks import Block, Items, Note, Table, Text
from headstart.view.ends import SHARES, clipped

FEATURES_SHOWN = 8


def shift_blocks(found: ShiftFindings | None, arms: Sequence[ArmRuns] = (), clones: CloneRuns | None = None) -> list[Block]:
    """It says so where shift was not measured. `arms` and `clones` have the returns, which no check holds to a margin."""
    if found is None:
        return [Text("Not measured.")]
    if found.missing:
        return [Text(f"Not measured: {'; '.join(found.missing)}.")]
    said = [*_agreement(found), *_mix(found), *_outside(found), *(f"Warning: {warning}." for warning in found.warnings)]
    features = [_feature(one, "at reset") for one in found.starts[:FEATURES_SHOWN] if one.distance >= found.limits.min_distance]
    features += [_feature(one, found.candidate) for one in found.visited[:FEATURES_SHOWN]]
    moved = Table("feature, the farthest first | rows | D | q | PSI | beyond all data", features)
    return [_variants(found, arms, clones), Items(said), moved, Note(_reading(found))]


def _variants(found: ShiftFindings, arms: Sequence[ArmRuns], clones: CloneRuns | None) -> Block:
    if not found.variants:
        return Text("The scenario describes no held-out variants.")
    others = list(found.variants[0].success.minus_others)
    minus = "".join(f" | − {name}" for name in (found.scratch, *others, "clone"))
    columns = f"held-out variant | what | margin | {found.scratch} | clone | {found.candidate}{minus}"
    rows: list[Sequence[str]] = []
    for one in found.variants:
        rows += [
            _variant(one.variant, measure, rates, found.limits.margins[measure].hold) for measure, rates in one.measures.items()
        ]
        rows += _return(found, one.variant, others, arms, clones)
    return Table(columns, rows)


def _variant(variant: str, measure: Measure, rates: VariantRates, margin: float) -> Sequence[str]:
    shares = (f"{share:.3f}" for share in (rates.scratch, rates.clone, rates.candidate))
    minus = (rates.minus_scratch, *rates.minus_others.values(), rates.minus_clone)
    differences = (_difference(one, "≥" if measure == "success" else "≤") for one in minus)
    return variant, measure, f"{margin:g}", *shares, *differences


def _return(
    found: ShiftFindings, variant: str, others: Sequence[str], arms: Sequence[ArmRuns], clones: CloneRuns | None
) -> list[Sequence[str]]:
    """The mean return of each policy in the variant; none where one was not measured."""
    facts = {arm.arm: [run.shift for run in arm.runs] for arm in arms}
    facts |= {"clone": [one.shift for one in clones.clones]} if clones is not None else {}
    names = (found.candidate, found.scratch, *others, "clone")
    means = {}
    for name in names:
        scores = [
            one.variants[variant].score.return_mean for one in facts.get(name, []) if one is not None and variant in one.variants
        ]
        if not scores:
            return []
        means[name] = fmean(scores)
    ours = means[found.candidate]
    shown = (f"{means[name]:.3f}" for name in (found.scratch, "clone", found.candidate))
    return [(variant, "return", "none", *shown, *(f"{ours - means[name]:+.3f} (no bound)" for name in names[1:]))]


def _difference(one: VariantDifference, sign: str) -> str:
    return f"{one.mean:+.3f} ({'no bound' if one.bound is None else f'{sign} {clipped(one.bound, SHARES[0]):+.3f}'})"


def _agreement(found: ShiftFindings) -> list[str]:
    shares = {"the clones": found.clone_agreement, found.candidate: found.candidate_agreement}
    known = [f"{who} {share:.3f} of their own" for who, share in shares.items() if share is not None]
    if found.no_expert:
        return ["Agreement with an expert: not applicable, the demonstrations were recorded before."]
    if not known or found.heldout_accuracy is None:
        return ["Agreement with the expert was not measured."]
    return [
        f"Decisions that agree with the expert's: the clones {found.heldout_accuracy:.3f} of held-out ones, {', '.join(known)}."
    ]


def _mix(found: ShiftFindings) -> list[str]:
    return [] if found.mix is None else [f"Mix of situations, data against exam: total variation {found.mix.distance:.3f}."]


def _outside(found: ShiftFindings) -> list[str]:
    worst = sorted(found.outside.items(), key=lambda item: (-item[1], item[0]))[:3]
    shares = ", ".join(f"{name} in {share:.2%} of rows" for name, share in worst)
    return [f"Outside the scenario's feature_range: {shares}."] if worst else []


def _feature(one: FeatureDrift, rows: str) -> Sequence[str]:
    return one.feature, rows, f"{one.distance:.3f}", f"{one.q:.2g}", f"{one.psi:.3f}", f"{one.unseen:.1%}"


def _reading(found: ShiftFindings) -> str:
    moved = sum(one.q <= found.limits.false_discoveries and one.distance >= found.limits.min_distance for one in found.starts)
    episodes = f", {found.variants[0].episodes:,} episodes a variant and policy" if found.variants else ""
    return (
        f"Sampled policies{episodes}; means over replicates. Margin: a bound beyond it is a HOLD, beyond {found.limits.success_fail:g} of "
        f"success or "
        f"{found.limits.harm_fail:g} of harm a FAIL; margins of the exam are others, and the return is held to none. Differences from the "
        f"clone are paired by replicate, those from a baseline "
        f"are between two independent groups (Welch); the one-sided 95 % bounds hold for all variants together (Holm). "
        f"At reset {moved} of {len(found.starts)} features differ between data and exam. D: Kolmogorov–Smirnov distance from the data; q: its "
        f"p-value after Benjamini–Hochberg; PSI: population stability index."
    )
