"""What to do after a verdict: for each reason against a PASS what answers it, and what to look at."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.compare.shift import ShiftFindings
from headstart.core.verdict import Check, Outcome
from headstart.view.kept import OWN_CLONES, Loss, lost_in

FLAGGED_SHOWN = 3  # seeds


class Step(NamedTuple):
    """What to do next."""

    why: str
    command: str  # empty: none does it


def next_steps(
    found: Comparison, watch: str | None, flagged: Sequence[int] = (), shift: ShiftFindings | None = None
) -> list[Step]:
    """Steps for every reason against a PASS, and one to see for oneself; after a PASS, what records it.

    `watch` is the command that plays the candidate, None where its world cannot be drawn; `flagged`: seeds that a guardrail flagged.
    """
    scenario = found.scenario
    whose = f" with seed {flagged[0]}, in the ordinary world" if flagged else ""
    seen = [Step(f"See what it does{whose}:", watch)] if watch else []
    if not found.grid:
        return [
            Step(
                "Compare an arm that has a head start with it:",
                f"dvc exp run -S candidate=pretrained -S 'scenarios=[{scenario}]'",
            ),
            *seen,
        ]
    if found.verdict.outcome == Outcome.PASS:
        step = Step(
            "Record the verdict; two of them by different people or seeds allow a release:",
            f"headstart release record {scenario} --by NAME",
        )
        return [step, *seen]
    lost = [loss for reason in found.verdict.reasons if (loss := lost_in(found, reason, shift)) is not None]
    variants = [
        step
        for variant in dict.fromkeys(loss.variant for loss in lost)
        for step in _variant(found, [loss for loss in lost if loss.variant == variant], watch, flagged)
    ]
    plain = [reason for reason in found.verdict.reasons if lost_in(found, reason, shift) is None]
    cures = [step for reason in plain for step in _cures(found, reason, flagged)]
    kept = [_until(found, list(dict.fromkeys(loss.variant for loss in lost)))] if lost else []
    return [*variants, *kept, *dict.fromkeys(cures), *([] if variants else seen)]


def flagged_seeds(runs: ArmRuns) -> list[int]:
    """Of the runs in which a guardrail stayed open or was broken."""
    return [run.seed for run in runs.runs if run.outcome != "PASS"]


def _cures(found: Comparison, reason: Check, flagged: Sequence[int]) -> list[Step]:
    """For the check that was missed."""
    scenario, arm = found.scenario, found.candidate.arm
    if reason.name == "guardrails":
        read = [
            Step(f"Read how seed {seed} went, which a guardrail flagged:", f"headstart explain {scenario}/{arm}/seed-{seed}")
            for seed in flagged[:FLAGGED_SHOWN]
        ]
        return read
    return [_cure(found, reason.name, scenario, arm)]


def _variant(found: Comparison, lost: Sequence[Loss], watch: str | None, flagged: Sequence[int]) -> list[Step]:
    """Look at it, then change the training: PPO's where the clones can do what was lost, what they learn from where they cannot either."""
    scenario, arm, variant = found.scenario, found.candidate.arm, lost[0].variant
    seed = flagged[0] if flagged else found.candidate.passages[0].seed
    page = f"{scenario}-{variant}.html"
    look = Step(
        f"Look at {variant}: {arm} and the clone that it started from, side by side, in one world of it:",
        f"headstart play {scenario} --variant {variant} --policy models/{scenario}/anneal/{arm}/seed-{seed} "
        f"--against models/{scenario}/bc/seed-{seed} --html {page}",
    )
    varied = f"a scenario whose `setup` varies as `variants.{variant}` of `scenarios/{scenario}.yaml` does"
    if any(loss.other == OWN_CLONES for loss in lost):
        cure = (
            f"What was lost on {variant} the clones can do, so it was lost in PPO. Two things can be tried; neither has been tested here. Hold "
            f"PPO closer to the clone: a larger `kl_weight` or `bc_weight` in the phases of {arm} (`params.yaml`). Or let PPO train in such "
            f"worlds too: {varied}."
        )
    else:
        cure = (
            f"On {variant} {arm} is as good as its clones, so it is the clones that lack what a baseline has. To be tried, and not tested here: "
            f"record the expert in such worlds too, in {varied}."
        )
    train = Step(f"{cure} What was trained on {variant} is no test any more: judge it on a variant that is new.", "")
    return [look, train] if watch else [train]


def _until(found: Comparison, variants: Sequence[str]) -> Step:
    return Step(
        f"Until then: where worlds may be like {' or '.join(variants)}, use the clone (`models/{found.scenario}/bc`) in place of "
        f"{found.candidate.arm}, or say with {found.candidate.arm} that it must not be used there.",
        "",
    )


def _cure(found: Comparison, reason: str, scenario: str, arm: str) -> Step:
    """For the check that was missed, by the first part of its name."""
    other = found.grid[0].baseline.arm
    only = f"-S 'scenarios=[{scenario}]'"
    cures: Mapping[str, Step] = {
        "replicates": Step(
            "Run it on more seeds, each with a clone of its own:",
            f"dvc exp run -S 'seeds=[40,41,42,43,44,45,46,47,48,49]' -S capture.blocks=10 {only}",
        ),
        "shared": Step("Give every seed a clone of its own:", f"dvc exp run -S bc_train.clones=null {only}"),
        "matched": Step(
            "Give one baseline the PPO settings of the candidate; this shows both:", f"headstart schedule check {arm}"
        ),
        "baseline": Step(
            f"{other} was there first, or was ended early; look at its schedule:", f"headstart schedule check {other}"
        ),
        "ratio": Step(
            "Search better settings of the candidate, on seeds of their own:", f"headstart tune {scenario} {arm} --trials 20"
        ),
        "candidate": Step("Search settings with which every seed arrives:", f"headstart tune {scenario} {arm} --trials 20"),
        "final": Step(
            "Search settings that end higher, or give the arm more env steps:", f"headstart tune {scenario} {arm} --trials 20"
        ),
        "shift": Step("Read Distribution shift below: what differs between the data and the exam, or what was not measured.", ""),
    }
    return cures.get(reason.split("-")[0], Step("Run again what changed, and judge it anew:", "dvc repro"))
