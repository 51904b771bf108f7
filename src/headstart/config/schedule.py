"""`anneal-schedule/1`: the phases of an arm, their guardrails, and the response to a breach.

This module holds only the models, which training, checking and rehearsal share. params.yaml contains arms under `arms`; a separate file
contains one arm, with `schema: anneal-schedule/1`.
"""

import math
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from headstart.core.record import GivenName, Positive, Record


class PPOParams(Record):
    """Names and meaning as in Schulman et al. 2017 (PPO) and 2015 (GAE)."""

    worlds: int = Field(default=64, ge=1, le=1_000_000)
    rollout_ticks: int = Field(default=64, ge=1, le=1_000_000)
    num_epochs: int = Field(default=2, ge=1, le=100_000)
    mini_batch_size: int = Field(default=2048, ge=1, le=2**31)
    clip_param: float = Field(default=0.2, gt=0)
    value_clip: float | None = Field(default=None, gt=0)
    value_loss_coef: float = Field(default=1.0, ge=0)
    gamma: float = Field(default=0.99, gt=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    max_grad_norm: float = Field(default=0.5, gt=0)  # of the policy's gradient
    max_grad_norm_value: float = Field(default=1.0, gt=0)
    advantage_normalization: bool = True
    target_kl: float | None = Field(default=None, gt=0)  # above this KL, the policy is not trained in the rest of the update


class Ramp(Record):
    """A value that moves from `from` to `to` over the first part `over` (a fraction) of a phase; a plain number is a constant."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: float = Field(alias="from")
    to: float
    shape: Literal["linear", "cosine", "step"] = "linear"  # step: `from` until `over`, then `to`
    over: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _constant(cls, value: Any) -> Any:
        return {"from": value, "to": value} if isinstance(value, (int, float)) else value

    def at(self, progress: float) -> float:
        """The value at a fraction 0 … 1 of the phase."""
        done = min(progress / self.over, 1.0)
        if self.shape == "step":
            done = float(done >= 1.0)
        elif self.shape == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        return self.from_ + (self.to - self.from_) * done

    def part(self, begin: float, end: float) -> "Ramp":
        """The straight line between the values at two fractions of the phase."""
        return Ramp.model_validate({"from": self.at(begin), "to": self.at(end)})

    @property
    def lowest(self) -> float:
        return min(self.from_, self.to)

    @property
    def highest(self) -> float:
        return max(self.from_, self.to)


NOTHING = Ramp.model_validate(0)


class Limits(Record):
    """The changes of a schedule to one guardrail; an absent key keeps its value from `guard.guardrails`."""

    enabled: bool = True
    flag: float | None = None
    breach: float | None = None
    hits: Positive | None = None  # checks in a row that make a breach


class OnBreach(Record):
    """What happens after a rollback."""

    next: Literal["retry", "stop"] = "retry"
    max_retries: int = Field(default=2, ge=0, le=5)  # of a phase
    lr_factor: float = Field(default=0.5, ge=0.1, le=1)  # the learning rate of a retry
    kl_factor: float = Field(default=2.0, ge=1)  # the KL weight of a retry


class Phase(Record):
    """`bc` clones the demonstrations anew; `critic` fits the value function while the policy only acts; `ppo` trains both."""

    name: GivenName
    kind: Literal["bc", "critic", "ppo"]
    cycle: int | None = Field(default=None, ge=0, le=10_000)  # non-decreasing over the phases; without it the index of the phase
    epochs: Positive | None = None  # of a bc phase, and of data: replay
    env_steps: Positive | None = None  # of the others
    learning_rate: Ramp
    entropy_coef: Ramp = Ramp.model_validate(0.01)
    expert_share: Ramp = NOTHING  # of the env steps: the expert acts, no surrogate loss
    blend: Literal["prefix", "agent_episode", "step"] = "agent_episode"  # how these steps are chosen
    labels: Literal["driven", "all"] = "driven"  # which steps are imitated: those in which the expert acted, or all (DAgger)
    bc_weight: Ramp = NOTHING  # of the loss on demonstrations inside the updates of a ppo phase
    kl_weight: Ramp = NOTHING  # of KL(policy ‖ BC policy) on the learner's own states
    # what a ppo phase learns from: its own rollouts, the recorded rows, or both. These three are left out of records where they are not set
    data: Literal["rollout", "replay", "mixed"] = Field(default="rollout", exclude_if=lambda data: data == "rollout")
    replay_share: Ramp = Field(
        default=NOTHING, exclude_if=lambda share: share == NOTHING
    )  # of the rows of a mixed phase: recorded
    temperature: float = Field(default=1.0, gt=0, exclude_if=lambda beta: beta == 1.0)  # β of advantage-weighted regression
    reward: dict[str, Ramp] = Field(default={})  # weights of the training world's reward terms, where they differ from its setup
    guardrails: dict[str, Limits] = Field(default={})
    on_breach: OnBreach = OnBreach()

    @model_validator(mode="after")
    def _length_fits_the_kind(self) -> "Phase":
        wanted, other = ("epochs", "env_steps") if self.in_epochs else ("env_steps", "epochs")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            what = "with data: replay" if self.data == "replay" else f"of kind {self.kind}"
            raise ValueError(f"phase {self.name!r} {what} is measured in {wanted} only")
        for name in ("learning_rate", "entropy_coef", "expert_share", "bc_weight", "kl_weight", "replay_share"):
            ramp = getattr(self, name)
            if ramp.lowest < 0:
                raise ValueError(f"phase {self.name!r}: {name} cannot be negative, got {ramp.lowest}")
            if ramp.highest > 1 and name != "kl_weight":
                raise ValueError(f"phase {self.name!r}: {name} is at most 1, got {ramp.highest}")
        if self.labels == "all" and not (self.kind == "ppo" and self.bc_weight.highest > 0):
            raise ValueError(f"phase {self.name!r}: labels: all imitates nothing without a bc_weight in a ppo phase")
        return self

    @model_validator(mode="after")
    def _records_are_learned_from_in_one_way(self) -> "Phase":
        if (self.data == "mixed") != (self.replay_share.highest > 0):
            raise ValueError(
                f"phase {self.name!r}: data: mixed and a replay_share above 0 need each other, got data: {self.data}"
            )
        if self.replay_share.highest == 1:
            raise ValueError(f"phase {self.name!r}: replay_share is below 1, got 1; data: replay has recorded rows only")
        if self.data == "rollout":
            return self
        if self.kind != "ppo":
            raise ValueError(f"phase {self.name!r}: data: {self.data} is of a ppo phase, got kind {self.kind}")
        for name in ("expert_share", "bc_weight"):
            if getattr(self, name).highest > 0:
                raise ValueError(
                    f"phase {self.name!r}: {name} is 0 with data: {self.data}, which learns from the recorded rows itself"
                )
        return self

    @property
    def in_epochs(self) -> bool:
        """Whether the phase passes over recorded rows and uses no env steps."""
        return self.kind == "bc" or self.data == "replay"

    @property
    def unit(self) -> str:
        """Of its length."""
        return "epochs" if self.in_epochs else "env steps"

    @property
    def steps(self) -> int:
        """Env steps that the phase may use; 0 for one in epochs."""
        return self.env_steps or 0

    @property
    def length(self) -> int:
        """The length of the phase, in its unit."""
        return self.epochs or self.steps


class Arm(Record):
    """One training method of the comparison: the first weights of the policy, the phases, and the guardrails."""

    model_config = ConfigDict(serialize_by_alias=True)

    schema_: Literal["anneal-schedule/1"] = Field(default="anneal-schedule/1", alias="schema")
    start: Literal["random", "bc"]
    ppo: PPOParams = Field(default_factory=PPOParams)
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=1000)
    value_start: Literal["clone", "fresh"] = "clone"  # for start: bc: the value head of the clone, or a new one
    guardrails: dict[str, Limits] = Field(default={})  # for all phases; a phase may override them
    accept_loosened: str | None = None  # why a guardrail may be looser than the default; without a reason: not promotable

    @model_validator(mode="after")
    def _phases_are_told_apart(self) -> "Arm":
        names = [phase.name for phase in self.phases]
        if len(set(names)) != len(names):
            raise ValueError(f"phases: {', '.join(names)} contains a phase twice")
        return self

    @property
    def budget(self) -> int:
        """Env steps that the arm may use."""
        return sum(phase.steps for phase in self.phases)

    @property
    def cycles(self) -> tuple[int, ...]:
        """The annealing cycle of each phase."""
        return tuple(index if phase.cycle is None else phase.cycle for index, phase in enumerate(self.phases))

    @property
    def asks_expert(self) -> bool:
        """Whether the expert acts or labels in some steps of training."""
        return any(phase.expert_share.highest > 0 or phase.labels == "all" for phase in self.phases)

    @property
    def replays(self) -> bool:
        """Whether PPO learns from recorded rows in any phase."""
        return any(phase.data != "rollout" for phase in self.phases)

    @property
    def needs_demonstrations(self) -> bool:
        """Whether any phase learns from recorded rows, or has steps in which the expert acts."""
        asked = any(phase.kind == "bc" or phase.bc_weight.highest > 0 or phase.expert_share.highest > 0 for phase in self.phases)
        return asked or self.replays
