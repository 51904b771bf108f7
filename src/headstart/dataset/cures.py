"""What a user can change where a gate of a dataset does not pass."""

from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.verdict import Verdict

CURES = {  # gate → what a user can change; {capture} and {curate} are the commands that record and curate again, {worlds} asks for more of them
    "feature-range": "`feature_range` in the scenario file, or the space of a Gymnasium environment, if the world really shows such values",
    "enough-episodes": "{worlds}, milder rules under `curate`, or a lower `validate.min_episodes`",
    "success-rate": "less `capture.slip` or `capture.noise`, {worlds}, or a lower `validate.min_success_rate`",
    "action-coverage": "{worlds}, or a lower `min_action_share` in the scenario file",
    "majority-action": "a higher `validate.max_majority_share`, or a scenario that asks for more than one action",
    "reward-varies": "`constant_reward: true` in the scenario file, if the world really pays the same in every step",
    "expert-hash": "`{capture}`, which records the expert that is approved now",
    "expert-log-prob": "`{capture}`, which asks the expert again",
    "replay-sample": "{worlds} or, of an environment of yours, `validate.replay_worlds`; or milder rules under `curate`",
    "replay-mismatches": "`{capture}`, with world, expert and settings as they are now; if that does not help, a fault of the recorder",
    "recorded-worlds": "`{capture}`, which records all worlds that are asked for",
    "index": "`{curate}`, which lists the episodes again",
    "metrics": "`{curate}`, which measures the episodes again",
    "manifest": "`{curate}`, which counts the episodes again",
    "split-rule": "`{curate}`, which divides the worlds again",
    "near-duplicates": "a recording in which no episode occurs twice",
    "seeds": "`{capture}`, which records with `capture.seed` as it is now",
    "split-sides": "{worlds}, or another `curate.heldout_share`",
}
MORE = "more recorded episodes, milder rules under `curate`, or fewer seeds and `capture.blocks` in the recipe"
RECORDED_CURES = {  # the same of recorded demonstrations
    "enough-episodes": f"{MORE}; or a lower `validate.min_episodes`",
    "success-rate": f"{MORE}; or a lower `validate.min_success_rate`",
    "action-coverage": MORE,
    "split-sides": MORE,
    "expert-hash": "`{capture}`, which imports the recording as it is now",
    "replay-sample": "seeds that belong to the episodes, or none: then the recording is held to statistics alone",
    "replay-mismatches": "seeds, actions and environment (version, `setup`) of one recording: some of these belong to another",
    "lag-agreement": "a recording that stores the observation from which an action was chosen, not the one before or after, beside it",
    "observation-repeats": "a recording that stores the observation from which an action was chosen, not the one before or after, beside it",
    "one-end": "`terminated` and `truncated` that are true in the last step of an episode only",
}
REPEATABLE = (  # replay-mismatches of a callable
    "an expert whose answer follows from `obs`, `info` and the state since `reset`: random numbers and global variables do not repeat"
)
ONE_CHOICE = "a scenario and demonstrations with a choice between actions: all decisions are the same"  # majority-action of 1
NO_CURE = "no setting: the world, its expert or the recorder has a fault"


def cures(verdict: Verdict, scenario: Scenario, dataset: str) -> str:
    """One line for each gate that did not pass: what a user can change. `dataset`: the scenario, or one of its drafts."""
    known = CURES | RECORDED_CURES if scenario.demonstrations is not None else CURES
    if scenario.expert.policy == "callable":
        known = known | {"replay-mismatches": REPEATABLE}
    if any(reason.name == "majority-action" and reason.measured == 1 for reason in verdict.reasons):
        known = known | {"majority-action": ONE_CHOICE}
    told = {stage: stage_command(stage, dataset) for stage in ("capture", "curate")}
    told["worlds"] = "more `capture.worlds`" if dataset == scenario.name else f"a draft with more episodes (`{told['capture']}`)"
    return "\n".join(f"  {reason.name}: {known.get(reason.name, NO_CURE).format(**told)}" for reason in verdict.reasons)
