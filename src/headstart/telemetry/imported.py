"""Records of logs that other programs wrote in the versions 1.0, 1.1 and 1.2 of this format, as `telemetry-imported/1`.

They have the names of `telemetry/3` where they mean the same. What those versions did not write is null: env steps above all, so that such a run
can be looked at and compared, and never promoted.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field, JsonValue, TypeAdapter

from headstart.core.record import Count, Positive, Record, RunId, Sha256, Share


class ImportedWall(Record):
    update_s: float | None


class ImportedLine(Record):
    """The fields of every record."""

    schema_id: Literal["telemetry-imported/1"] = "telemetry-imported/1"
    run_id: RunId  # v1-<12 hex digits of the source's hash>
    arm: Literal["none"] = "none"
    world: Literal["town"] = "town"
    scenario: None = None
    seed: None = None
    stage: Literal["imported"] = "imported"
    phase: str | None = None  # the stage of its annealing
    seq: Positive
    env_steps: None = None  # `transitions_total` counts rows that were used again, again
    nonfinite: tuple[str, ...] = ()
    wall: ImportedWall = ImportedWall(update_s=None)


class ImportedRun(ImportedLine):
    """The first record, which the upgrade made up."""

    kind: Literal["run_started"] = "run_started"
    run_type: Literal["imported"] = "imported"
    source_sha256: Sha256
    upgraded_from: tuple[str, ...]  # the versions that occur
    updates: Count


class Rivalry(Record):
    """Means over batches of a batch's mean or largest value of the two features."""

    max_mean: float | None = None
    max_max: float | None = None
    avoid_count_mean: float | None = None
    avoid_count_max: float | None = None


class Baseline(Record):
    """Statistics of the dataset behind the run."""

    sample_count: Count | None = None
    reward_mean: float | None = None
    reward_sum: float | None = None
    reward_sum_mean: float | None = None
    log_prob_mean: float | None = None


class Anneal(Record):
    """Where the run stood between cloning and PPO, and what it was compared with."""

    cycle: Count | None
    stage: str | None
    dataset: str | None
    bc_accuracy: Share | None
    bc_threshold: Share | None
    bc_passed: bool | None
    loss_baseline: float | None
    queue_baseline: float | None
    intensity_baseline: float | None
    loss_flag: bool | None
    queue_flag: bool | None
    intensity_flag: bool | None


class ImportedUpdate(ImportedLine):
    """One update. Averages are over minibatches, unweighted."""

    kind: Literal["update"] = "update"
    upgraded_from: Literal["1.0", "1.1", "1.2"]
    iteration: Positive
    updates: Count
    transitions: Count
    transitions_total: Count
    loss_policy: float | None = None
    loss_value: float | None = None
    loss_total: float | None = None
    entropy: float | None = None
    entropy_std: float | None = None
    clip_fraction: Share | None = None
    clip_fraction_max: Share | None = None
    clip_triggered_minibatches: Count | None = None
    adv_mean: float | None = None
    adv_std: float | None = None
    adv_min_std: float | None = None
    adv_zero_std_batches: Count | None = None
    grad_norm: float | None = None
    grad_norm_max: float | None = None
    kl_divergence: float | None = None  # k1: mean(old − new log-probability), which may be negative
    kl_divergence_max: float | None = None
    kl_estimator: Literal["k1"] = "k1"
    learning_rate: float | None = None
    reward_advantage_corr: float | None = None
    data_mode: Literal["replay", "rollout", "mixed"] | None = None
    cycle_id: Count | None = None
    rollout_ticks: Count | None = None
    log_stream_offset: Count | None = None  # records, counted from the start of its process
    queue_conflict_events: Count | None = None  # counts, not rates, as are all below
    queue_conflict_intensity_sum: float | None = None
    shared_meal_events: Count | None = None
    late_help_events: Count | None = None
    shift_takeover_events: Count | None = None
    chat_success_events: Count | None = None
    chat_failure_events: Count | None = None
    chat_quality_mean: Share | None = None
    rivalry: Rivalry | None = None
    baseline: Baseline | None = None
    anneal: Anneal | None = None
    other: dict[str, JsonValue] = Field(default={})  # fields that no version names


AnyImported = ImportedRun | ImportedUpdate
ANY_IMPORTED: TypeAdapter[AnyImported] = TypeAdapter(Annotated[AnyImported, Field(discriminator="kind")])
IMPORTED_KINDS: dict[str, type[ImportedLine]] = {model.model_fields["kind"].default: model for model in get_args(AnyImported)}
