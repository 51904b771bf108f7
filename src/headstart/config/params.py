"""params.yaml as frozen models, one section for each stage. An unknown key is an error, which suggests the most similar known key."""

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

import headstart
from headstart.config.checked import checked, merged
from headstart.config.scenario import Scenario
from headstart.config.schedule import Arm
from headstart.core.errors import InputError, UsageError, nearest
from headstart.core.record import GivenName, Positive, Record
from headstart.core.yaml import read_yaml

Seed = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]  # strict: `true` is no seed
USUAL_TARGET = "beyond_expert"  # as `comparison.target` it stands for the last target of a scenario that has none of this name
MIN_REPLAYED = 20  # episodes that `validate` must have simulated again
Device = Literal["auto", "cpu", "cuda"]  # auto: cuda where torch finds a GPU
Worlds = Annotated[int, Field(ge=1, le=1_000_000)]  # for one purpose; larger ids belong to another purpose


Width = Annotated[int, Field(ge=1, le=16_384)]  # of a layer: two of them take a gigabyte


class ExpertParams(Record):
    seed: Seed
    worlds: Worlds  # episodes on which the expert, or each seed of a learned one, is judged
    seeds: tuple[Seed, ...] = (0, 1, 2)  # of a learned expert: one policy is trained and judged per seed
    min_seeds: Positive = 3  # of a learned expert: with fewer seeds it is not approved
    per_block: bool = (
        False  # of a learned expert: seed i records block i, so that every replicate has its own; false: the best records all
    )
    train: Arm | None = None  # how a learned expert is trained; None: as the arm `scratch`
    plateau_evaluations: int = Field(
        default=0, ge=0
    )  # stop after so many evaluations in a row that meet the gate's rates without a gain; 0: never
    plateau_gain: float = Field(default=0.01, ge=0)  # mean return that counts as a gain
    approval: Literal["gate", "manual"] = (
        "gate"  # manual: an expert that passed its gate also waits for `headstart expert approve`
    )

    @field_validator("train")
    @classmethod
    def _starts_from_random_weights(cls, train: Arm | None) -> Arm | None:
        if train is not None and train.start != "random":
            raise ValueError(f"expected start: random, since there is no expert yet that a clone could be of, got {train.start}")
        return train


class CaptureParams(Record):
    seed: Seed
    worlds: Worlds  # of one block, one episode each; a clone is trained on one block
    blocks: int = Field(
        default=10, ge=1, le=1000
    )  # disjoint blocks of worlds, so that every replicate has demonstrations of its own
    shard_worlds: Worlds
    noise: float = Field(default=0.3, ge=0)  # standard deviation of the noise that is added to executed continuous actions
    noise_ticks: Positive = 1  # for which one draw of the noise lasts; longer noise leads to other states
    slip: float = Field(ge=0, lt=1)  # share of executed actions replaced by a random allowed one, so that recovery is recorded
    observation: Literal["compact", "hybrid"] = "compact"

    @property
    def all_worlds(self) -> int:
        """Worlds of all blocks."""
        return self.worlds * self.blocks

    @property
    def parts(self) -> list[tuple[int, range]]:
        """Shard by shard the block that it belongs to, and its worlds, as numbers counted from the first that is recorded."""
        step, blocks = self.shard_worlds, [range(b * self.worlds, (b + 1) * self.worlds) for b in range(self.blocks)]
        return [(b, worlds[i : i + step]) for b, worlds in enumerate(blocks) for i in range(0, self.worlds, step)]


class CurateParams(Record):
    """Which episodes are rejected. The last three rules tell faults only where few episodes break them (dataset/curation.py)."""

    min_steps: Positive
    min_return: float | None = None
    require_success: bool = True
    reject_harm: bool = True
    reject_violations: bool = True  # of the action mask
    reject_duplicates: bool = True  # the first of several is kept, here and below
    reject_near_duplicates: bool = True  # the same up to noise
    reject_one_action: bool = True  # at every decision the same
    max_blocked_share: float | None = Field(default=0.9, gt=0, le=1)  # of the steps; null: no limit
    max_return_drop: float | None = Field(default=None, gt=0)  # below the median, in robust standard deviations; null: no limit
    heldout_share: float = Field(gt=0, lt=1)  # of the worlds
    seed: Seed


class ValidateParams(Record):
    min_episodes: Positive  # of every block
    min_success_rate: float = Field(ge=0, le=1)  # one-sided 95 % lower bound
    max_majority_share: float = Field(gt=0, le=1)  # of one action among decision steps
    replay_worlds: Worlds  # worlds whose recording is replayed


class NetworkParams(Record):
    hidden: tuple[Width, ...] = Field(default=(128, 128), max_length=32)
    activation: Literal["tanh", "relu"] = "tanh"
    # features by their running mean and deviation, which are part of the weights; None: in Gymnasium worlds, `for_scenario` decides
    normalise: bool | None = None
    initial_std: float = Field(default=0.5, gt=0)  # of a Gaussian policy, for continuous actions


class BCParams(Record):
    seed: Seed
    clones: int | None = Field(
        default=None, ge=1, le=2**31
    )  # seed i of `seeds` starts from clone i modulo this; None: one clone a seed
    episodes: int | None = Field(default=None, ge=2, le=2**31)  # of a block, train and held out together; None: all
    epochs: Positive
    batch_size: Positive
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0)
    value_coef: float = Field(ge=0)
    gamma: float = Field(gt=0, le=1)
    patience: Positive  # epochs without a better held-out loss before stopping
    # of the clone of an expert with continuous actions: the standard deviation with which fine-tuning starts to explore
    action_std: float = Field(default=0.5, ge=0.3, le=0.5)
    min_accuracy: float = Field(ge=0, le=1)
    min_macro_f1: float = Field(ge=0, le=1)
    max_value_error: float = Field(
        default=0.75, gt=0, le=1
    )  # squared, of the value head on held-out returns, over the untrained network's
    success_margin: float = Field(ge=0, le=1)  # closed-loop success may be this much below the expert's
    closed_loop_worlds: Worlds


class AnnealParams(Record):
    arms: tuple[GivenName, ...]  # which of `arms` to train beside scratch


class EvaluationParams(Record):
    """The design of the comparison. It is fixed before a run starts and recorded with every run."""

    seed: Seed
    worlds: Worlds  # episodes of one evaluation during training
    every: Positive  # env steps between two evaluations
    exam_seed: Seed
    exam_worlds: Worlds  # episodes of the last checkpoint's exam, on other worlds
    variant_worlds: int = Field(default=256, ge=0, le=100_000)  # episodes on each held-out variant; 0: shift is not measured

    @model_validator(mode="after")
    def _seeds_differ(self) -> "EvaluationParams":
        if self.seed == self.exam_seed:
            raise ValueError(
                f"exam_seed: expected another seed than that of the evaluations during training, both are {self.seed}"
            )
        return self


class ComparisonRules(Record):
    """The rules of a comparison that a person may change, fixed before its runs start."""

    max_ratio: float = Field(default=0.70, gt=0)  # for the one-sided 95 % upper bound of candidate ÷ baseline
    max_success_loss: float = Field(
        default=0.05, ge=0, le=1
    )  # of the final success: below target, baseline, clone or expert, by the bound
    max_harm_rise: float = Field(default=0.02, ge=0, le=1)
    # of the final return and of measures: share of the distance from an untrained policy to the expert
    max_return_loss: float = Field(default=0.02, ge=0)
    planned_ratio: float = Field(default=0.5, gt=0)  # the true ratio at which the power of the comparison is computed
    planned_log_sd: float = Field(default=0.5, ge=0)  # of the natural logarithm of a run's steps to target, for the planned power


class ComparisonParams(ComparisonRules):
    target: GivenName  # one of the scenario's targets, or USUAL_TARGET


class TuningParams(Record):
    """What `headstart tune` plays; it shares no seed with the comparison."""

    seeds: tuple[Seed, ...] = Field(min_length=1)
    capture_seed: Seed
    evaluation_seed: Seed
    # setting → choices, or [low, high] of a learning rate, in place of the usual ones
    space: dict[str, tuple[int | float, ...]] = Field(default={})


class TelemetryParams(Record):
    """What the log of a run holds of its updates; all other records are always written."""

    every: Positive = 1  # write every n-th update, beside the first and last of a phase and those at which a guardrail speaks
    minibatch: bool = False  # with each update a record for each of its optimiser steps
    # of the log of one seed: as it fills, fewer updates are written, and a warning in the log says so
    max_total_bytes: int = Field(default=256 << 20, ge=1 << 16)
    tensorboard: bool = False  # also write event files, to .headstart/tensorboard/<scenario>/<arm>/seed-<n>


class PromotionParams(Record):
    """The requirements of `headstart promote`."""

    required_passes: int = Field(default=2, ge=1, le=10)  # in a row, each on new runs
    drill_days: int = Field(default=30, ge=1, le=36_500)  # greatest age of the last rollback drill
    approvals: tuple[GivenName, ...] = Field(default=(), max_length=16)  # roles that must have signed GO


class NotifyParams(Record):
    """Whom a HOLD or a FAIL reaches, beside the outbox. It decides no result."""

    command: tuple[str, ...] | None = Field(default=None, min_length=1)  # a program and its arguments; reads JSON on stdin


class Params(Record):
    # of a project that `headstart init` made: the version of this package that its results come from; None: DVC watches the sources
    headstart: str | None = None
    scenarios: tuple[GivenName, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1)
    candidate: GivenName
    baselines: tuple[GivenName, ...] = (
        "scratch",
    )  # arms that start from random weights; the candidate is compared with the best of them
    processes: int = Field(default=0, ge=0, le=4096)  # 0: one for each core
    device: Device = "cpu"  # on which networks are trained; they always act on the CPU
    expert: ExpertParams
    capture: CaptureParams
    curate: CurateParams
    validate_: ValidateParams = Field(alias="validate")
    network: NetworkParams
    bc_train: BCParams
    anneal: AnnealParams
    arms: dict[GivenName, Arm]
    evaluation: EvaluationParams
    comparison: ComparisonParams
    tuning: TuningParams
    promotion: PromotionParams = PromotionParams()
    notify: NotifyParams = NotifyParams()
    telemetry: TelemetryParams = TelemetryParams()
    evidence: dict[GivenName, dict[str, Any]] = Field(
        default={}
    )  # experiment of `headstart evidence` → the keys of this file that it overrides

    @property
    def num_clones(self) -> int:
        """Clones that the seeds start from."""
        return min(self.bc_train.clones or len(self.seeds), len(self.seeds))

    def clone_of(self, seed: int) -> int:
        """Which clone one of `seeds` starts from: the place of its block in the recording, and of its own seed in `seeds`."""
        return self.seeds.index(seed) % self.num_clones

    @model_validator(mode="after")
    def _arms_exist(self) -> "Params":
        for name in ("scratch", self.candidate, *self.baselines, *self.anneal.arms):
            if name not in self.arms:
                raise ValueError(f"arm {name!r} is named but not described under arms ({', '.join(self.arms)})")
        if "scratch" not in self.baselines:
            raise ValueError(f"baselines: expected scratch among them, got {', '.join(self.baselines) or 'none'}")
        for name in self.baselines:
            if self.arms[name].start != "random":
                raise ValueError(f"baselines: expected arms with start: random, {name} has start: {self.arms[name].start}")
        if self.num_clones > self.capture.blocks:
            raise ValueError(f"capture.blocks: expected a block for each of {self.num_clones} clones, got {self.capture.blocks}")
        for where, names in (("seeds", self.seeds), ("expert.seeds", self.expert.seeds), ("baselines", self.baselines)):
            if len(set(names)) != len(names):
                raise ValueError(f"{where}: {list(names)} contains an entry twice")
        return self


def headline_target(params: Params, scenario: Scenario) -> str:
    """The target of the comparison: `comparison.target`, or the scenario's last target where that is a USUAL_TARGET that the scenario lacks.

    InputError for any other name that the scenario does not have.
    """
    wanted, known = params.comparison.target, list(scenario.targets)
    if wanted not in known and wanted != USUAL_TARGET:
        raise InputError(
            f"comparison.target: expected a target of {scenario.name} ({', '.join(known)}) or {USUAL_TARGET}, got {wanted!r}"
            + nearest(wanted, (*known, USUAL_TARGET))
        )
    return wanted if wanted in known else known[-1]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml. InputError where it names another version of this package."""
    found = checked(Params, read_yaml(path), path)
    if found.headstart not in (None, headstart.__version__):
        raise InputError(
            f"{path}: headstart: expected the version that runs, {headstart.__version__}, got {found.headstart}; "
            f"`pip install headstart=={found.headstart}`, or write {headstart.__version__} there, after which every stage runs again"
        )
    return found


def for_scenario(params: Params, scenario: Scenario) -> Params:
    """`params`, overridden by the scenario's `recipe`.

    InputError names a key that params.yaml does not have; a target that the scenario does not have; the seeds of a learned expert that are also
    seeds of the comparison, since such an expert would be one of the runs that it is compared with; arms that are compared and train alike,
    since their runs would be the same; and baselines with fewer env steps than the candidate.
    """
    found = changed(params, scenario.recipe, f"{scenario.name}.yaml, recipe") if scenario.recipe else params
    if found.network.normalise is None:
        network = found.network.model_copy(update={"normalise": scenario.is_foreign})
        found = found.model_copy(update={"network": network})
    headline_target(found, scenario)
    shared = sorted(set(found.seeds) & set(found.expert.seeds))
    if scenario.expert.policy == "ppo" and shared:
        raise InputError(f"expert.seeds: expected other seeds than those of the comparison (seeds), both have {shared}")
    if found.expert.per_block and scenario.expert.policy != "ppo":
        raise InputError(f"{scenario.name}: expert.per_block: expected a learned expert, got a {scenario.expert.policy} one")
    if found.expert.per_block and len(found.expert.seeds) < found.capture.blocks:
        raise InputError(
            f"{scenario.name}: expert.seeds: expected one for each of {found.capture.blocks} blocks, since expert.per_block is true, "
            f"got {len(found.expert.seeds)}"
        )
    _require_no_expert_asked(found, scenario)
    for one, other in combinations(dict.fromkeys((*found.baselines, found.candidate)), 2):
        if _training(found.arms[one]) == _training(found.arms[other]):
            raise InputError(
                f"{scenario.name}: expected arms that train differently, arms.{one} and arms.{other} have one recipe"
            )
    candidate = found.arms[found.candidate]
    if short := [name for name in found.baselines if candidate.start == "bc" and found.arms[name].budget < candidate.budget]:
        budgets = ", ".join(f"arms.{name} has {found.arms[name].budget:,}" for name in short)
        raise InputError(
            f"{scenario.name}: expected baselines with at least the {candidate.budget:,} env steps of {found.candidate}: {budgets}"
        )
    return found


def require_arms_that_dvc_trains(settings: Params, params: Params, scenario: Scenario) -> None:
    """InputError if the recipe of a scenario names other arms than params.yaml (`settings`): dvc.yaml takes its matrix from there alone."""
    pairs = (
        ("baselines", settings.baselines, params.baselines),
        ("anneal.arms", settings.anneal.arms, params.anneal.arms),
    )
    where = f"scenarios/{scenario.name}.yaml: recipe"
    for key, ours, theirs in pairs:
        if set(ours) != set(theirs):
            named = ",".join(theirs)
            raise InputError(
                f"{where}.{key}: DVC trains those of params.yaml ({', '.join(ours)}), got {', '.join(theirs)}; take {key} out of the recipe, "
                f"and override arms.{ours[-1]} there; or describe the arms in params.yaml, and add -S '{key}=[{named}]' to `dvc exp run`"
            )
    trained = (*params.baselines, *params.anneal.arms)
    if params.candidate not in (*trained, settings.candidate):
        raise InputError(
            f"{where}.candidate: DVC trains {', '.join(trained)} (baselines and anneal.arms of params.yaml), got {params.candidate}; take "
            f"candidate out of the recipe, and override arms.{settings.candidate} there"
        )


def require_arm(params: Params, stage: str, arm: str) -> None:
    """UsageError unless `stage` trains the arm."""
    key, names = ("baselines", params.baselines) if stage == "baseline" else ("anneal.arms", params.anneal.arms)
    if arm not in names:
        raise UsageError(f"no arm {arm!r} under {key} in params.yaml ({', '.join(names)}){nearest(arm, names)}")


def _require_no_expert_asked(params: Params, scenario: Scenario) -> None:
    """Recorded demonstrations cannot be asked what they would do. InputError names the arm and the key, before anything is trained."""
    if scenario.demonstrations is None:
        return
    for name in dict.fromkeys((*params.baselines, params.candidate, *params.anneal.arms)):
        for number, phase in enumerate(params.arms[name].phases):
            asked = {"expert_share": phase.expert_share.highest > 0, "labels: all": phase.labels == "all"}
            for key in (key for key, is_asked in asked.items() if is_asked):
                raise InputError(
                    f"{scenario.name}: arms.{name}.phases.{number} ({phase.name}): {key} asks an expert, and the scenario has recorded "
                    "demonstrations only; use bc_weight with `labels: driven`, which imitates the recorded episodes, or name an `expert`"
                )


def _training(arm: Arm) -> dict[str, Any]:
    """What of an arm decides its weights as long as no guardrail acts."""
    of_phases = {"name", "cycle", "guardrails", "on_breach"}
    return arm.model_dump(exclude={"guardrails": True, "accept_loosened": True, "phases": {"__all__": of_phases}})


def changed(params: Params, changes: dict[str, Any], where: str) -> Params:
    """`params`, overridden by `changes`. InputError begins with `where` and names every invalid key."""
    return checked(Params, merged(params.model_dump(mode="json", by_alias=True), changes), where)


def of_experiment(params: Params, name: str) -> Params:
    """`params`, overridden by the experiment `name` of the section `evidence`. InputError unless it has exactly one scenario."""
    if name not in params.evidence:
        known = params.evidence
        raise UsageError(f"no experiment {name!r}{nearest(name, known)}; params.yaml, evidence has {', '.join(known) or 'none'}")
    where = f"params.yaml, evidence.{name}"
    experiment = changed(params, params.evidence[name], where)
    if len(experiment.scenarios) != 1:
        raise InputError(f"{where}: expected one scenario, got {', '.join(experiment.scenarios)}")
    return experiment


def load_arm(path: Path) -> Arm:
    """Read one arm from a separate file, which begins with `schema: anneal-schedule/1`."""
    content = read_yaml(path)
    if "schema" not in content:
        raise InputError(f"{path}: expected schema: anneal-schedule/1 at the top, got {', '.join(content)[:80] or 'nothing'}")
    return checked(Arm, content, path)
