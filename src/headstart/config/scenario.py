"""scenarios/<name>.yaml: what one scenario is, whatever is learned on it."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from headstart.config.checked import checked
from headstart.core.arrays import MODES, Mode
from headstart.core.errors import UsageError, nearest
from headstart.core.record import Record
from headstart.core.yaml import read_yaml


class ExpertGate(Record):
    policy: Literal["scripted", "ppo"]
    script: str | None = None  # which script, where a world has several
    success_rate: float = Field(ge=0, le=1)  # lower bound must reach it
    harm_rate: float = Field(ge=0, le=1)  # upper bound must stay below it


class Target(Record):
    """What an evaluation must show, in point values; `consecutive` evaluations in a row must show it."""

    name: str  # its key in the scenario file
    success_rate: float = Field(gt=0, le=1)  # at least; above 0, since a policy that never succeeds meets nothing
    harm_rate: float | None = Field(default=None, ge=0, le=1)  # at most
    return_mean: float | None = None  # at least
    measures: dict[str, float] = Field(default={})  # at least, by the name of one of the scenario's `measures`
    consecutive: int = Field(default=2, ge=1)  # evaluations in a row
    mode: Mode = "sampled"  # how the policy that is held to it acts


class Scenario(Record):
    """What a scenario file says. `setup` belongs to the world and is checked by it."""

    name: str
    world: str
    horizon: int = Field(ge=1)
    setup: dict[str, Any]
    variants: dict[str, dict[str, Any]] = Field(default={})  # held out: keys of `setup` that each says otherwise
    success: tuple[str, ...] = Field(min_length=1)
    harm: tuple[str, ...] = Field(min_length=1)
    expert: ExpertGate
    targets: dict[str, Target] = Field(min_length=1)
    measures: tuple[str, ...] = ()  # counters of the world of which more is better; their means stand in every score
    min_action_share: dict[str, float] = Field(default={})  # what a dataset of this scenario must contain
    constant_reward: bool = False  # of a world that pays the same in every step
    feature_range: tuple[float, float] = (-2.0, 2.0)  # what validate holds features to
    recipe: dict[str, Any] = Field(default={})  # sections of params.yaml that this scenario says otherwise

    @field_validator("targets", mode="before")
    @classmethod
    def _name_targets(cls, targets: Any) -> Any:
        """Each target has the name of its key."""
        if not isinstance(targets, dict):
            return targets
        return {name: {"name": name} | target if isinstance(target, dict) else target for name, target in targets.items()}

    @model_validator(mode="after")
    def _targets_name_measures(self) -> "Scenario":
        for name, target in self.targets.items():
            if unknown := sorted(target.measures.keys() - set(self.measures)):
                raise ValueError(
                    f"targets.{name}: {', '.join(unknown)} is not among measures ({', '.join(self.measures) or 'none'})"
                )
        if taken := self.targets.keys() & {"shift", "run"}:
            raise ValueError(f"targets.{min(taken)}: the name of evaluate's own report; expected another one")
        return self

    @cached_property
    def sha256(self) -> str:
        """Hash of what the world is: targets and gates may change without making other episodes."""
        content = self.model_dump(mode="json", include={"name", "world", "horizon", "setup", "success", "harm"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def modes_of(scenario: Scenario) -> tuple[Mode, ...]:
    """How policies act when they are evaluated during training: drawing, which guardrails watch, and as any target asks for."""
    asked = {target.mode for target in scenario.targets.values()} | {"sampled"}
    return tuple(mode for mode in MODES if mode in asked)


def load_scenario(name: str, folder: Path = Path("scenarios")) -> Scenario:
    """Read and check scenarios/<name>.yaml; UsageError lists the scenarios that there are."""
    path = folder / f"{name}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no scenario {name!r}{nearest(name, known)}; {folder}/ has {', '.join(known) or 'none'}")
    return checked(Scenario, {"name": name} | read_yaml(path), path)
