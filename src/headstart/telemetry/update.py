"""The telemetry of one PPO iteration: one rollout and one or more passes over it. Averages are weighted by minibatch rows.

Blocks that belong to one kind of world (conflict, needs, collisions) or to a schedule are null elsewhere.
"""

from typing import Literal

from headstart.core.record import Count, Record, Sha256, Share
from headstart.telemetry.line import Line, Measured, MeasuredShare, Positive


class Conflict(Record):
    """The two rivalry features of the rows behind an update: mean over batches of the mean and maximum in each."""

    rivalry_max_mean_avg: float | None
    rivalry_max_max_avg: float | None
    rivalry_avoid_count_mean_avg: float | None
    rivalry_avoid_count_max_avg: float | None


class NeedMean(Record):
    """Mean needs over the rollout, 0 empty … 1 full."""

    hunger: Share | None
    hygiene: Share | None
    energy: Share | None


class Update(Line):
    """One PPO iteration."""

    kind: Literal["update"] = "update"
    epoch: Positive  # index of this update within the run
    passes: Count  # over the batch
    updates: Count  # optimiser steps
    transitions: Count  # rows through the optimiser, rows used again counted again
    transitions_total: Count
    # losses: total = policy + value_coef * value − entropy_coef * entropy + demonstration and KL terms
    loss_policy: Measured
    loss_value: Measured
    loss_total: Measured
    batch_entropy_mean: Measured  # nats
    batch_entropy_std: Measured
    clip_fraction: MeasuredShare
    clip_fraction_max: MeasuredShare  # worst minibatch
    clip_triggered_minibatches: Count
    adv_mean: Measured
    adv_std: Measured
    adv_min_std: Measured
    adv_zero_std_batches: Count
    grad_norm: Measured  # before clipping
    grad_norm_max: Measured
    kl_divergence: Measured  # nats, new policy against the one that acted
    kl_divergence_max: Measured
    kl_estimator: Literal["k3", "k1"]  # k3: mean(r − 1 − ln r); k1: mean(old − new log-probability)
    lr: Measured
    # data
    data_mode: Literal["replay", "rollout", "mixed"]
    cycle_id: Count
    rollout_ticks: Count  # per world
    reward_advantage_corr: float | None  # null when either variance is 0
    # town: null elsewhere
    conflict: Conflict | None
    queue_conflict_events: Count | None
    queue_conflict_intensity_sum: float | None
    queue_conflict_rate: float | None  # per 1,000 env steps, as is the next
    queue_intensity_rate: float | None
    shared_meal_events: Count | None
    late_help_events: Count | None
    shift_takeover_events: Count | None
    chat_success_events: Count | None
    chat_failure_events: Count | None
    chat_quality_mean: Share | None
    utility_outage_events: Count | None
    shower_complete_events: Count | None
    sleep_complete_events: Count | None
    # the dataset behind the run: null without one
    baseline_sample_count: Count | None
    baseline_reward_mean: float | None
    baseline_reward_sum: float | None
    baseline_reward_sum_mean: float | None
    baseline_log_prob_mean: float | None
    # position in the schedule: null outside of one
    anneal_cycle: Count | None
    anneal_stage: str | None
    anneal_dataset: str | None  # id@version
    anneal_bc_accuracy: Share | None  # held-out, of the last cloning phase
    anneal_bc_threshold: Share | None
    anneal_bc_passed: bool | None
    anneal_loss_baseline: float | None
    anneal_queue_baseline: float | None
    anneal_intensity_baseline: float | None
    anneal_loss_flag: bool | None
    anneal_queue_flag: bool | None
    anneal_intensity_flag: bool | None
    anneal_return_flag: bool | None
    anneal_kl_flag: bool | None
    anneal_reference: Sha256 | None  # of the reference policy
    expert_share: Share | None
    bc_weight: float | None
    kl_weight: float | None
    expert_steps: Count | None  # driven by the expert in this rollout
    loss_bc: float | None
    loss_kl: float | None
    kl_to_reference: float | None  # nats, on the learner's states
    # rollouts of the sampled policy: null when no episode ended
    explained_variance: float | None
    return_mean: float | None
    return_std: float | None
    episode_length_mean: float | None
    reward_mean: float | None
    episodes_finished: Count
    terminations: Count
    truncations: Count
    reward_clipped_fraction: MeasuredShare
    # nav: null elsewhere
    success_rate: Share | None
    collision_rate: Share | None
    timeout_rate: Share | None
    min_clearance_m: float | None
    path_efficiency: float | None
    # town: null elsewhere
    need_mean: NeedMean | None
    lateness_mean: float | None  # ticks
    on_time_ratio: Share | None
    policy_std_mean: float | None  # continuous actions
