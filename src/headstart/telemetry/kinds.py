"""The kinds of telemetry record but for `update`, and the table of all kinds."""

from typing import Annotated, Literal, get_args

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter

from headstart.core.record import Count, Name, Record, RelativePath, RunId, Sha256, Share
from headstart.telemetry.line import Line, Measured, MeasuredShare
from headstart.telemetry.update import Update


class NamedHash(Record):
    """An input by its role."""

    role: str
    id: str
    sha256: Sha256


class Versions(Record):
    """Of what computes; torch is null where it is not used."""

    python: str
    numpy: str
    torch: str | None


class TargetLine(Record):
    """The target that steps are counted to."""

    metric: str
    value: float
    sustain_evals: Count


class RunStarted(Line):
    """The first record: it makes the file explain itself."""

    kind: Literal["run_started"] = "run_started"
    run_type: str
    config_sha256: Sha256
    params: dict[str, JsonValue]
    inputs: tuple[NamedHash, ...]
    git_revision: str | None
    git_dirty: bool | None
    package_version: str
    versions: Versions
    device: str
    threads: Count
    worlds: Count
    agents: Count
    target: TargetLine | None
    guardrails: tuple[dict[str, JsonValue], ...]
    telemetry_settings: dict[str, JsonValue]
    parent_run: RunId | None


class Planned(Record):
    """The length of a phase, in epochs or env steps."""

    epochs: Count | None = None
    env_steps: Count | None = None


class RollbackTarget(Record):
    """The checkpoint that a phase falls back to."""

    checkpoint_id: str
    state_sha256: Sha256


class PhaseStarted(Line):
    """Names the retreat before anything changes."""

    kind: Literal["phase_started"] = "phase_started"
    phase_index: Count
    phase_kind: Literal["bc", "ppo", "critic"]
    cycle: Count
    attempt: Count
    planned: Planned
    rollback_target: RollbackTarget | None
    baselines: dict[str, float | None]


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
    macro_f1: Share | None
    majority_baseline: MeasuredShare
    per_behaviour: dict[str, BehaviourRecall]
    value_mse: float | None
    value_explained_variance: float | None
    lr: Measured
    samples: Count
    early_stopped: bool


class CaptureProgress(Line):
    """How far a recording is, counted in what is safely on disk."""

    kind: Literal["capture_progress"] = "capture_progress"
    episodes_acked: Count
    episodes_target: Count
    env_steps_recorded: Count
    bytes: Count
    rejected: dict[str, Count]


class Proportion(Record):
    """k of n, with its confidence bounds."""

    k: Count
    n: Count
    low: Share
    high: Share


class Evaluation(Line):
    """A policy on worlds that it is not trained on."""

    kind: Literal["evaluation"] = "evaluation"
    policy_sha256: Sha256
    policy_mode: Literal["deterministic", "sampled"]
    seed_set_id: str
    episodes: Count
    return_mean: Measured
    return_std: Measured
    return_ci_low: Measured
    return_ci_high: Measured
    return_iqm: Measured
    success: Proportion | None
    collision: Proportion | None
    queue_conflict_rate: float | None
    queue_intensity_rate: float | None
    per_scenario: dict[str, dict[str, float | None]]
    per_agent: dict[str, dict[str, float | None]] | None
    target_met: bool
    consecutive_met: Count


class ReadingLine(Line):
    """What the guardrails were shown at one check, digit for digit, so that a rehearsal finds what the run found."""

    kind: Literal["reading"] = "reading"
    check: Literal["update", "evaluation"]
    values: dict[str, float | Literal["nan", "inf", "-inf"] | None]


class GuardrailLine(Line):
    """A limit that was touched, and what was decided."""

    kind: Literal["guardrail"] = "guardrail"
    guardrail: str
    severity: Literal["warn", "breach"]
    metric: str
    value: float | None
    baseline: float | None
    threshold: float
    direction: Literal["above", "below", "outside"]
    window: Count
    hits: Count
    decision: Literal["continue", "hold", "freeze", "rollback", "stop"]
    reason: Annotated[str, StringConstraints(max_length=200)]


class SkippedCheckpoint(Record):
    """A checkpoint that could not be gone back to."""

    id: Name
    reason: str


class RollbackLine(Line):
    """Proof that a run went back: the hash of the state that was kept, and of the state after it was put back."""

    kind: Literal["rollback"] = "rollback"
    from_state_sha256: Sha256
    to_checkpoint_id: Name
    to_state_sha256: Sha256
    restored_state_sha256: Sha256
    exact: bool
    env_steps_discarded: Count
    attempt: Count
    next: Literal["retry", "hold", "stop"]
    skipped_checkpoints: tuple[SkippedCheckpoint, ...]


class CheckpointFile(Record):
    """One file of a checkpoint, by its name below the run directory."""

    name: RelativePath
    sha256: Sha256
    bytes: Count


class CheckpointLine(Line):
    """A state that can be returned to."""

    kind: Literal["checkpoint"] = "checkpoint"
    checkpoint_id: Name
    state_sha256: Sha256
    files: tuple[CheckpointFile, ...]
    safe: bool
    telemetry_seq: Count


class PhaseEnded(Line):
    """How a phase of the schedule ended."""

    kind: Literal["phase_ended"] = "phase_ended"
    outcome: Literal["completed", "rolled_back", "held", "frozen", "stopped"]
    env_steps_used: Count
    best_evaluation: float | None
    flags: dict[str, bool | None]


class RunEnded(Line):
    """The last record, exactly once; `censored` says that the target was not reached within the budget."""

    kind: Literal["run_ended"] = "run_ended"
    status: Literal["completed", "failed", "partial"]
    verdict: Literal["PASS", "HOLD", "FAIL"] | None
    reasons: tuple[str, ...]
    steps_to_target: Count | None
    censored: bool
    error_type: str | None
    records_written: Count  # this one included
    records_sampled_out: Count


AnyLine = (
    RunStarted
    | PhaseStarted
    | BcEpoch
    | Update
    | Evaluation
    | CaptureProgress
    | CheckpointLine
    | ReadingLine
    | GuardrailLine
    | RollbackLine
    | PhaseEnded
    | RunEnded
)
ANY_LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="kind")])
KINDS: dict[str, type[Line]] = {model.model_fields["kind"].default: model for model in get_args(AnyLine)}
