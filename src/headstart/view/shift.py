"""The report's section on distribution shift: success in held-out variants, and the features that moved most."""

from headstart.compare.consequence import VariantDifference
from headstart.compare.drift import FeatureDrift
from headstart.compare.shift_findings import ShiftFindings, VariantFinding

FEATURES_SHOWN = 8


def shift_section(found: ShiftFindings | None) -> str:
    """Markdown; it says so where shift was not measured."""
    lines = ["## Distribution shift", ""]
    if found is None:
        return "\n".join([*lines, "Not measured."])
    if found.missing:
        return "\n".join([*lines, f"Not measured: {'; '.join(found.missing)}."])
    lines += [*_variants(found), "", *_agreement(found), *_mix(found), *_outside(found)]
    lines += [f"* Warning: {warning}." for warning in found.warnings]
    lines += ["", "| feature, the farthest first | rows | D | q | PSI | beyond all data |", "|---|---|---|---|---|---|"]
    lines += [_feature(one, "at reset") for one in found.starts[:FEATURES_SHOWN] if one.distance >= found.limits.distance_min]
    lines += [_feature(one, found.candidate) for one in found.visited[:FEATURES_SHOWN]]
    return "\n".join([*lines, "", _caption(found)])


def _variants(found: ShiftFindings) -> list[str]:
    if not found.variants:
        return ["The scenario describes no held-out variants."]
    head = f"| held-out variant | scratch | clone | {found.candidate} | less scratch | less clone |"
    return [head, "|---|---|---|---|---|---|", *(_variant(one) for one in found.variants)]


def _variant(one: VariantFinding) -> str:
    policies = ((one.scratch, one.scratch_harm), (one.clone, one.clone_harm), (one.candidate, one.candidate_harm))
    rates = " | ".join(f"{success:.3f} (harm {harm:.3f})" for success, harm in policies)
    return f"| {one.variant} | {rates} | {_difference(one.less_scratch)} | {_difference(one.less_clone)} |"


def _difference(one: VariantDifference) -> str:
    return f"{one.mean:+.3f} ({'no bound' if one.low is None else f'≥ {one.low:+.3f}'})"


def _agreement(found: ShiftFindings) -> list[str]:
    shares = {"the clone": found.clone_agreement, found.candidate: found.candidate_agreement}
    known = [f"{who} {share:.3f} of its own" for who, share in shares.items() if share is not None]
    if not known or found.heldout_accuracy is None:
        return ["* Agreement with the expert was not measured."]
    return [
        f"* Decisions that agree with the expert's: the clone {found.heldout_accuracy:.3f} of held-out ones, {', '.join(known)}."
    ]


def _mix(found: ShiftFindings) -> list[str]:
    return [] if found.mix is None else [f"* Mix of situations, data against exam: total variation {found.mix.distance:.3f}."]


def _outside(found: ShiftFindings) -> list[str]:
    worst = sorted(found.outside.items(), key=lambda item: (-item[1], item[0]))[:3]
    return (
        [f"* Beyond the scenario's feature_range: {', '.join(f'{n} in {share:.2%} of rows' for n, share in worst)}."]
        if worst
        else []
    )


def _feature(one: FeatureDrift, rows: str) -> str:
    return f"| {one.feature} | {rows} | {one.distance:.3f} | {one.q:.2g} | {one.psi:.3f} | {one.unseen:.1%} |"


def _caption(found: ShiftFindings) -> str:
    moved = sum(one.q <= found.limits.false_discoveries and one.distance >= found.limits.distance_min for one in found.starts)
    episodes = f", {found.variants[0].episodes:,} episodes a variant and seed" if found.variants else ""
    return (
        f"*Sampled policies{episodes}; differences are paired over seeds, with one-sided 95 % bounds that hold for all variants together. "
        f"At reset {moved} of {len(found.starts)} features differ between data and exam. D: Kolmogorov–Smirnov distance from the data; q: its "
        f"p-value after Benjamini–Hochberg; PSI: population stability index.*"
    )
