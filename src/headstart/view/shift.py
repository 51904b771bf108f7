"""Distribution shift as tables and findings: what moved between data, training and exam, and what it costs."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.drift import FeatureDrift
from headstart.compare.shift import ShiftFindings
from headstart.compare.variants import Measure, VariantFinding, VariantRates
from headstart.view.blocks import Block, Items, More, Note, Table, Text, counted
from headstart.view.ends import SHARES, clipped
from headstart.view.kept import difference_from, others_of, variants_reading, whose, word_of

FEATURES_SHOWN = 8


def shift_blocks(
    found: ShiftFindings | None,
    arms: Sequence[ArmRuns] = (),
    clones: CloneRuns | None = None,
    differs: Mapping[str, str] | None = None,
) -> list[Block]:
    """It says so where shift was not measured. `arms` and `clones` have the returns, which no check holds to a margin; `differs`: what is
    different in each variant.
    """
    if found is None:
        return [Text("Not measured.")]
    if found.missing:
        return [Text(f"Not measured: {'; '.join(found.missing)}.")]
    said = [*_agreement(found), *_mix(found), *_outside(found), *(f"Warning: {warning}." for warning in found.warnings)]
    features: list[Sequence[str]] = [
        _feature(one, "at reset") for one in found.starts[:FEATURES_SHOWN] if one.distance >= found.limits.min_distance
    ]
    features += [_feature(one, found.candidate) for one in found.visited[:FEATURES_SHOWN]]
    columns, whose_rows = "feature, the farthest first | rows | D | q | PSI | beyond all data", {row[1] for row in features}
    if len(whose_rows) == 1:  # the title names them
        columns, features = columns.replace("rows | ", ""), [(row[0], *row[2:]) for row in features]
    said_once = f", {whose_rows.pop()} against the data" if len(whose_rows) == 1 else ""
    title = f"Show the {counted(len(features), 'feature')} that moved most{said_once}"
    features_moved = [More(title, [Table(columns, features)])] if features else []
    return [*_described(differs or {}), *_variants(found, arms, clones), Items(said), *features_moved, Note(_reading(found))]


def _described(differs: Mapping[str, str]) -> list[Block]:
    """What is different in each variant."""
    return [Items([f"{variant}: {text}" for variant, text in differs.items()])] if differs else []


def _variants(found: ShiftFindings, arms: Sequence[ArmRuns], clones: CloneRuns | None) -> list[Block]:
    """Against the clones first: what PPO kept of what they could do; against the baselines on request."""
    if not found.variants:
        return [Text("The scenario describes no held-out variants.")]
    others = [found.scratch, *found.variants[0].success.minus_others]
    rows: list[Sequence[str]] = []
    more: list[Sequence[str]] = []
    for one in found.variants:
        for measure, rates in one.measures.items():
            shares = (f"{share:.3f}" for share in (rates.candidate, rates.clone, rates.scratch))
            rows.append((one.variant, measure, _cell(found, rates, measure, "clone"), *shares, _result(found, one, measure)))
            more.append((one.variant, measure, *(_cell(found, rates, measure, other) for other in others)))
        if returns := _returns(one.variant, (found.candidate, "clone", *others), arms, clones):
            ours, clone, *theirs = returns
            shown = (f"{value:.3f}" for value in (ours, clone, theirs[0]))
            rows.append((one.variant, "return", f"{ours - clone:+.3f}", *shown, "no margin"))
            more.append((one.variant, "return", *(f"{ours - value:+.3f}" for value in theirs)))
    columns = f"held-out variant | what | − its clones | {found.candidate} | clones | {found.scratch} | as good"
    baselines = Table(f"held-out variant | what | {' | '.join(f'− {name}' for name in others)}", more)
    return [Table(columns, rows), More(f"Show {found.candidate} less each baseline in the variants", [baselines])]


def _result(found: ShiftFindings, one: VariantFinding, measure: Measure) -> str:
    """Against the clones and every baseline, with whom it is not."""
    rates = one.measures[measure]
    words = {other: word_of(found, rates, measure, other) for other in others_of(found, one)}
    lost = [
        f"{word} than {whose(other)}" if "worse" in word else f"{word} against {whose(other)}"
        for other, word in words.items()
        if word != "yes"
    ]
    return f"**{'; '.join(lost)}**" if lost else "yes"


def _returns(variant: str, names: Sequence[str], arms: Sequence[ArmRuns], clones: CloneRuns | None) -> list[float]:
    """The mean return of each policy in the variant; none where one was not measured."""
    facts = {arm.arm: [run.shift for run in arm.runs] for arm in arms}
    facts |= {"clone": [one.shift for one in clones.clones]} if clones is not None else {}
    means = []
    for name in names:
        known = [one for one in facts.get(name, []) if one is not None and variant in one.variants]
        if not known:
            return []
        means.append(fmean(one.variants[variant].score.return_mean for one in known))
    return means


def _cell(found: ShiftFindings, rates: VariantRates, measure: Measure, other: str) -> str:
    """A difference with its bound; what is beyond its margin stands out."""
    one = difference_from(found, rates, other)
    bound = "no bound" if one.bound is None else f"{'≥' if measure == 'success' else '≤'} {clipped(one.bound, SHARES[0]):+.3f}"
    text = f"{one.mean:+.3f} ({bound})"
    return text if word_of(found, rates, measure, other) == "yes" else f"**{text}**"


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
    worlds = f", {found.variants[0].episodes:,} worlds a variant and policy" if found.variants else ""
    return (
        f"Sampled policies{worlds}; means over replicates; in brackets the bound. {variants_reading(found)} "
        f"Differences from the clones are paired by "
        f"replicate, those from a baseline are between two independent groups (Welch). "
        f"At reset {moved} of {len(found.starts)} features differ between data and exam. D: Kolmogorov–Smirnov distance from the data; q: its "
        f"p-value after Benjamini–Hochberg; PSI: population stability index."
    )
