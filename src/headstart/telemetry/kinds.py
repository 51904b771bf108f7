"""The kinds of telemetry record (`telemetry/3`), and the fields of all records.

A kind has a fixed set of keys, null where one does not apply, but for those that came later and are left out there: `dataset`, `social` and
what tells of recorded rows. A `Measured` number is null only if it was not finite; `nonfinite` then contains its name. All values that depend
on the clock are in `wall`.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter, model_validator

from headstart.core.record import Arm, Count, Name, Record, RunId, Sha256, Share, UtcTime

MEASURED = "measured"
Measured = Annotated[float | None, MEASURED]
MeasuredShare = Annotated[float | None, Field(ge=0.0, le=1.0), MEASURED]
Positive = Annotated[int, Field(ge=1, le=2**53)]


def _is_none(value: object) -> bool:
    return value is None


class Wall(Record):
    """Clock and process: the part of a record that two equal runs do not share."""

    time_utc: UtcTime
    elapsed_s: float  # since the writer was opened
    update_s: float | None  # duration of the iteration, of `update` only, as is the next
    env_steps_per_s: float | None
    rss_mib: float | None


class Envelope(Record):
    """The fields that are equal in all records of a run."""

    run_id: RunId
    arm: Arm
    world: str
    scenario: str
    seed: int
    stage: str


class Line(Envelope):
    """The fields of every record."""

    schema_id: Literal["telemetry/3"] = "telemetry/3"
    phase: str | None  # name of the schedule's phase, null outside of one
    seq: Positive  # counts the records of a run over all segments
    env_steps: Count  # agent-steps charged to this arm so far
    nonfinite: tuple[str, ...]
    wall: Wall

    @model_validator(mode="after")
    def _null_measurements_are_named(self) -> Self:
        for name, field in type(self).model_fields.items():
            if MEASURED in field.metadata and getattr(self, name) is None and name not in self.nonfinite:
                raise ValueError(f"{name} is null, but not listed in nonfinite")
        return self


class LearnedFrom(Record):
    """The dataset that a run learned from, itself or by its clone: means over the accepted episodes, null where a recording does not tell."""

    id: str  # <dataset>@<version>
    episodes: Count
    steps_mean: float
    return_mean: float | None
    success_rate: Share | None
    harm_rate: Share | None


class RunStarted(Line):
    """The first record: the settings and inputs of the run."""

    kind: Literal["run_started"] = "run_started"
    config_sha256: Sha256
    params: dict[str, JsonValue]  # the arm
    inputs: dict[str, Sha256]  # by role: the files from which the run starts
    dataset: LearnedFrom | None = Field(default=None, exclude_if=_is_none)  # left out: the run learns from no dataset
    git_revision: str | None = None  # of the project's checkout; null outside of a git repository, as is the next
    git_dirty: bool | None = None  # whether tracked files differ from that revision
    versions: dict[str, str]  # by package
    device: str
    threads: Count
    agents: Count
    target: dict[str, JsonValue]  # the target of `steps_to_target` in `run_ended`
    guardrails: tuple[dict[str, JsonValue], ...]


class PhaseStarted(Line):
    """A phase begins. The record names the state that a rollback restores."""

    kind: Literal["phase_started"] = "phase_started"
    phase_index: Count  # among the phases of `run_started`
    phase_kind: Literal["bc", "ppo", "critic"]
    rollback_target: Name  # a checkpoint
    baselines: dict[str, float | None]  # the reference of the guardrails, by metric


class BehaviourRecall(Record):
    """Held-out steps with a behaviour, and the share of them that the policy got right."""

    n: Count
    recall: Share


class BcEpoch(Line):
    """One epoch of behaviour cloning, judged on held-out episodes."""

    kind: Literal["bc_epoch"] = "bc_epoch"
    bc_epoch: Count
    loss: Measured
    loss_heldout: Measured
    accuracy: MeasuredShare
    accuracy_heldout: MeasuredShare
    macro_f1: Share | None = None  # null: continuous actions
    majority_baseline: MeasuredShare
    per_behaviour: dict[str, BehaviourRecall]
    value_mse: float | None = None
    value_explained_variance: float | None = None
    learning_rate: Measured
    samples: Count
    early_stopped: bool


class Social(Record):
    """What passed between the agents of the town: sums of its counters over agents and worlds."""

    chats: Count  # that succeeded
    chat_failures: Count
    chat_quality_mean: Share | None  # of `chats`; null: there were none
    shared_meals: Count
    yields: Count
    late: Count
    lateness_mean: float | None  # ticks after the start of the shift; null: nobody was late
    absent: Count
    late_help: Count  # colleagues at work in the tick in which somebody came late
    shift_takeovers: Count  # colleagues at work in the tick in which somebody became absent
    blackouts: Count  # of the worlds, as are outages
    outages: Count


class Update(Line):
    """One PPO iteration: a rollout and the passes over it. Averages are weighted by minibatch rows; names are those of `learn.ppo`."""

    kind: Literal["update"] = "update"
    iteration: Positive  # counts the updates of the run
    updates: Count  # optimiser steps
    transitions: Count  # rows through the optimiser, rows used again counted again
    # total = policy + value_coef * value − entropy_coef * entropy + bc_weight * bc + kl_weight * kl
    loss_value: Measured
    loss_total: Measured
    entropy: Measured  # nats
    entropy_std: Measured
    adv_mean: Measured
    adv_std: Measured
    adv_min_std: Measured
    adv_zero_std_batches: Count
    grad_norm_value: Measured  # of the critic, before clipping
    learning_rate: Measured
    # the policy's part: null if the actor is frozen
    loss_policy: float | None = None
    clip_fraction: Share | None = None
    clip_fraction_max: Share | None = None  # worst minibatch
    clip_triggered_minibatches: Count
    grad_norm: float | None = None  # before clipping
    grad_norm_max: float | None = None
    kl_divergence: float | None = None  # nats, k3: mean(r − 1 − ln r), new policy relative to the acting policy
    kl_divergence_max: float | None = None
    # the schedule
    bc_weight: float
    kl_weight: float
    expert_share: Share
    expert_steps: Count  # in which the expert acted, in this rollout
    loss_bc: float | None = None
    loss_kl: float | None = None
    kl_to_reference: float | None = None  # nats, on the learner's states; null without a reference policy
    open_guardrails: tuple[str, ...]  # before this update is checked
    # data: replay or mixed; left out elsewhere
    data_mode: Literal["replay", "mixed"] | None = Field(default=None, exclude_if=_is_none)
    replay_objective: Literal["clipped", "advantage_weighted"] | None = Field(default=None, exclude_if=_is_none)
    recorded_steps: Count | None = Field(default=None, exclude_if=_is_none)  # recorded rows among those of this update
    kl_step: float | None = Field(
        default=None, exclude_if=_is_none
    )  # nats, KL(policy before ‖ after), which guardrails are shown
    # the rollout; of data: replay the recorded episodes
    reward_mean: Measured
    reward_advantage_corr: float | None = None  # null when either variance is 0
    explained_variance: float | None = None
    return_mean: float | None = None  # null when no episode ended, as are the next two
    return_std: float | None = None
    episode_length_mean: float | None = None
    terminations: Count
    truncations: Count
    # town: null elsewhere
    queue_conflict_rate: float | None = None  # per 1,000 env steps, as is the next
    queue_intensity_rate: float | None = None
    rivalry: dict[str, float | None] | None = (
        None  # the features of rivalry: max_mean, max_max, avoid_count_mean, avoid_count_max
    )
    need_mean: dict[str, Share | None] | None = None  # hunger, hygiene, energy: 0 empty … 1 full
    showers: Count | None = None
    sleeps: Count | None = None
    chats: Count | None = None
    on_time_ratio: Share | None = None  # null when no shift began
    social: Social | None = Field(default=None, exclude_if=_is_none)  # left out elsewhere


class Minibatch(Line):
    """One optimiser step of an update, where `telemetry.minibatch` asks for it. The names are those of `update`."""

    kind: Literal["minibatch"] = "minibatch"
    iteration: Positive  # of the update
    pass_index: Count  # over the rollout, from 0
    minibatch: Count  # of the pass, from 0
    transitions: Positive
    loss_value: Measured
    grad_norm_value: Measured
    adv_std: Measured
    # the policy's part: null if the actor is frozen, or was stopped by target_kl
    loss_policy: float | None = None
    entropy: float | None = None
    kl_divergence: float | None = None
    clip_fraction: Share | None = None
    loss_bc: float | None = None
    loss_kl: float | None = None
    grad_norm: float | None = None


class Proportion(Record):
    """k of n, with its confidence bounds."""

    k: Count
    n: Count
    low: Share
    high: Share


class Evaluation(Line):
    """An evaluation of the policy on worlds that are not used for training."""

    kind: Literal["evaluation"] = "evaluation"
    policy_sha256: Sha256
    policy_mode: Literal["deterministic", "sampled"]
    evaluation_seed: int
    return_mean: Measured
    return_std: Measured
    return_ci_low: Measured
    return_ci_high: Measured
    return_iqm: Measured
    success: Proportion
    harm: Proportion
    queue_conflict_rate: float | None = None  # town, per 1,000 env steps, as is the next
    queue_intensity_rate: float | None = None
    social: Social | None = Field(default=None, exclude_if=_is_none)  # of the town: in `success.n` whole episodes
    target_met: bool
    consecutive_met: Count


class ReadingLine(Line):
    """The input of the guardrails at one check, in full precision, so that a rehearsal reproduces the findings of the run."""

    kind: Literal["reading"] = "reading"
    check: Literal["update", "evaluation"]
    values: dict[str, float | Literal["nan", "inf", "-inf"] | None]  # as text, because JSON has no such numbers


class Finding(Record):
    """A guardrail whose state changed, and the decision."""

    guardrail: str
    severity: Literal["warn", "breach"]
    metric: str
    value: float | None = None  # null: not measured, or not finite; `reason` states which
    baseline: float | None = None
    threshold: float  # in the measure of the guardrail
    direction: Literal["above", "below", "outside"]
    window: Count  # checks in a row after which the decision is taken
    hits: Count  # so far
    decision: Literal["continue", "hold", "freeze", "rollback", "stop"]
    reason: Annotated[str, StringConstraints(max_length=200)]


class GuardrailLine(Line, Finding):
    """A finding, at the time of its check."""

    kind: Literal["guardrail"] = "guardrail"


class SkippedCheckpoint(Record):
    """A checkpoint that could not be restored."""

    id: Name
    reason: str


class RollbackLine(Line):
    """Proof of a rollback: the hash of the stored state, and the hash of the state after it was restored."""

    kind: Literal["rollback"] = "rollback"
    from_state_sha256: Sha256
    to_checkpoint_id: Name
    to_state_sha256: Sha256
    restored_state_sha256: Sha256
    env_steps_discarded: Count
    attempt: Count
    next: Literal["retry", "hold", "stop"]
    skipped_checkpoints: tuple[SkippedCheckpoint, ...]


class CheckpointLine(Line):
    """A state that can be restored, or the policy with which the run ended."""

    kind: Literal["checkpoint"] = "checkpoint"
    checkpoint_id: Name
    state_sha256: Sha256  # of the policy: of its weights


class PhaseEnded(Line):
    """How a phase of the schedule ended."""

    kind: Literal["phase_ended"] = "phase_ended"
    outcome: Literal["completed", "held", "frozen", "stopped"]
    env_steps_used: Count
    open_guardrails: tuple[str, ...]


class RunEnded(Line):
    """The last record, exactly once; `censored`: the target was not reached within the budget."""

    kind: Literal["run_ended"] = "run_ended"
    status: Literal["completed", "failed", "partial"]
    verdict: Literal["PASS", "HOLD", "FAIL"] | None = None
    reasons: tuple[str, ...] = ()
    steps_to_target: Count | None = None
    censored: bool
    error_type: str | None = None
    records_written: Count  # this one included


AnyLine = (
    RunStarted
    | PhaseStarted
    | BcEpoch
    | Update
    | Minibatch
    | Evaluation
    | CheckpointLine
    | ReadingLine
    | GuardrailLine
    | RollbackLine
    | PhaseEnded
    | RunEnded
)
ANY_LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="kind")])
KINDS: dict[str, type[Line]] = {model.model_fields["kind"].default: model for model in get_args(AnyLine)}
