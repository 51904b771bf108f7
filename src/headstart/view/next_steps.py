"""What to do after a verdict: for each reason against a PASS what answers it, and what to look at."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.core.verdict import Check, Outcome

FLAGGED_SHOWN = 3  # seeds


class Step(NamedTuple):
    """What to do next."""

    why: str
    command: str  # empty: none does it


def next_steps(found: Comparison, watch: str | None, flagged: Sequence[int] = ()) -> list[Step]:
    """Steps for every reason against a PASS, and one to see for oneself; after a PASS, what records it.

    `watch` is the command that plays the candidate, None where its world cannot be drawn; `flagged`: seeds that a guardrail flagged.
    """
    scenario = found.scenario
    whose = f" with seed {flagged[0]}" if flagged else ""
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
    cures = [step for reason in found.verdict.reasons for step in _cures(found, reason, flagged)]
    return [*dict.fromkeys(cures), *seen]


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
        return [*read, Step("See whether the limits of its guardrails fit:", f"headstart schedule check {arm}")]
    if reason.about:
        return [Step(_variant(scenario, reason.about.variant, arm), "")]
    return [_cure(found, reason.name, scenario, arm)]


def _variant(scenario: str, variant: str, arm: str) -> str:
    return (
        f"Read Distribution shift below for what {arm} loses in {variant}. If such worlds matter: record the expert in them too (a scenario "
        f"whose `setup` has what `variants.{variant}` says in `scenarios/{scenario}.yaml`), or record more (`capture.worlds` in "
        f"`params.yaml`). If they do not: take `variants.{variant}` out of that file, and say where the policy must not be used."
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
        "shift": Step(
            "What it learned does not carry over to a world that nobody trained on; look at the schedule that let it drift:",
            f"headstart schedule check {arm}",
        ),
    }
    return cures.get(reason.split("-")[0], Step("Run again what changed, and judge it anew:", "dvc repro"))
