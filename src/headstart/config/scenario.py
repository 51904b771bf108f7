"""scenarios/<name>.yaml: the definition of a scenario, independent of what is trained on it."""

import hashlib
import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from headstart.config.checked import checked, merged
from headstart.config.project import DEMONSTRATIONS, EXPERTS
from headstart.core.arrays import MODES, Mode
from headstart.core.errors import InputError, UsageError, nearest, shown
from headstart.core.record import Count, GivenName, Record, RelativePath, require_name
from headstart.core.yaml import read_yaml

KEYS = {  # policy → the keys of `expert` that it may have beside the gate; those of NEEDED it must have
    "scripted": {"script"},
    "ppo": set[str](),
    "callable": {"call", "batched", "training_steps"},
    "onnx": {"path", "input", "output", "log_prob", "value", "training_steps"},
    "sb3": {"path", "algorithm", "normaliser", "trusted", "training_steps"},
    "demonstrations": set[str](),
}
NEEDED = {"callable": ("call",), "onnx": ("path",), "sb3": ("path", "algorithm")}
TAKEN = ("catalogue", "evaluate", "evidence", "metrics", "plots", "quarantine", "tuning")  # folders of data/ and reports/
TASK = ("name", "world", "horizon", "setup", "success", "harm")  # the keys that decide the episodes
PICKLED = (  # why a file of Stable-Baselines3 is not loaded without a word
    "loading a file of Stable-Baselines3 runs the code that is pickled in it: say `trusted: true` if you know who made it"
)


class Recorded(Record):
    """Demonstrations that exist already, in place of an expert."""

    format: Literal["npz", "minari", "lerobot", "hdf5"]
    path: RelativePath  # in the folder DEMONSTRATIONS, which DVC watches

    @field_validator("path", mode="before")
    @classmethod
    def _lies_in_the_folder(cls, path: Any) -> Any:
        parts = Path(path).parts if isinstance(path, str) else (str(DEMONSTRATIONS), "")
        if len(parts) < 2 or parts[0] != str(DEMONSTRATIONS) or ".." in parts:
            raise ValueError(
                f"expected a path below {DEMONSTRATIONS}/, where DVC sees changes of it, got {path!r}; move or copy the recording there"
            )
        return path


class ExpertGate(Record):
    """Who demonstrates, and what it must show. `callable`, `onnx` and `sb3` are the user's own experts; with `demonstrations` none acts."""

    policy: Literal["scripted", "ppo", "callable", "onnx", "sb3", "demonstrations"]
    script: str | None = None  # name of the scripted expert, if the world has several
    call: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")  # module:name of a function or a class
    batched: bool = False  # whether it is called with all rows at once
    path: RelativePath | None = None  # of the file with the policy, in the folder EXPERTS, which DVC watches
    input: str | None = None  # of the ONNX file; None: its only one
    output: str | None = None
    # outputs of the ONNX file that are recorded beside each step; None: it has none, and nothing is said of them
    log_prob: str | None = Field(
        default=None, exclude_if=lambda name: name is None
    )  # logits or log-probabilities of the named actions
    value: str | None = Field(default=None, exclude_if=lambda name: name is None)  # of a state
    algorithm: str | None = None  # of Stable-Baselines3 or sb3-contrib: PPO, SAC, MaskablePPO …
    normaliser: RelativePath | None = (
        None  # of SB3: what VecNormalize.save wrote, whose statistics observations are normalised with
    )
    trusted: bool = False  # that the pickled code of the file may run
    training_steps: Count = 0  # env steps that training the policy cost; the all-in ratio charges them
    success_rate: float = Field(ge=0, le=1)  # the lower bound must reach it
    harm_rate: float = Field(ge=0, le=1)  # the upper bound must not exceed it

    @property
    def is_own(self) -> bool:
        """Whether the user brings the policy."""
        return self.policy in NEEDED

    @model_validator(mode="after")
    def _keys_fit_the_policy(self) -> "ExpertGate":
        allowed = KEYS[self.policy] | {"policy", "success_rate", "harm_rate"}
        if wrong := sorted(key for key, value in self if key not in allowed and value != type(self).model_fields[key].default):
            raise ValueError(f"{wrong[0]}: policy {self.policy} has no such key; it has {', '.join(sorted(allowed))}")
        if missing := [key for key in NEEDED.get(self.policy, ()) if getattr(self, key) is None]:
            raise ValueError(f"policy {self.policy} needs the key {missing[0]}")
        for key, path in (("path", self.path), ("normaliser", self.normaliser)):
            if path is not None and not Path(path).is_relative_to(EXPERTS):
                raise ValueError(f"{key}: expected a file in the folder {EXPERTS}, which DVC watches, got {path}")
        if self.policy == "sb3" and not self.trusted:
            raise ValueError(f"{PICKLED}, or make an ONNX file of it with `headstart convert-sb3`")
        return self


class Target(Record):
    """The point values that an evaluation must reach; `consecutive` evaluations in a row must reach them."""

    name: GivenName  # its key in the scenario file
    success_rate: float = Field(gt=0, le=1)  # at least; above 0, because a policy that never succeeds must not meet a target
    harm_rate: float | None = Field(default=None, ge=0, le=1)  # at most
    return_mean: float | None = None  # at least
    measures: dict[str, float] = Field(default={})  # at least, by the name of one of the scenario's `measures`
    consecutive: int = Field(default=2, ge=1)  # evaluations in a row
    mode: Mode = "sampled"  # how the policy chooses actions when it is compared with the target


class Scenario(Record):
    """The content of a scenario file. The world defines and checks `setup`."""

    name: GivenName
    world: str
    horizon: int = Field(ge=1, le=1_000_000)
    setup: dict[str, Any]
    variants: dict[GivenName, dict[str, Any]] = Field(
        default={}
    )  # held-out variants: name → the keys of `setup` that it overrides
    success: tuple[str, ...] = Field(min_length=1)
    harm: tuple[str, ...] = Field(min_length=1)
    expert: ExpertGate
    demonstrations: Recorded | None = None  # in place of `expert`
    targets: dict[GivenName, Target] = Field(min_length=1)
    measures: tuple[str, ...] = ()  # counters of the world for which more is better; every score contains their means
    min_action_share: dict[str, float] = Field(default={})  # action → least share of the expert's decisions in a dataset
    constant_reward: bool = False  # true: the world gives the same reward in every step
    feature_range: tuple[float, float] | None = (
        None  # the range within which `validate` requires all features; None: `feature_limits`
    )
    licence: str | None = Field(
        default=None, min_length=1, max_length=200
    )  # of the episodes, for the catalogue: an SPDX id, or a sentence
    recipe: dict[str, Any] = Field(default={})  # keys of params.yaml that this scenario overrides

    @model_validator(mode="before")
    @classmethod
    def _expert_or_demonstrations(cls, content: Any) -> Any:
        """With `demonstrations`, `expert` says that none acts."""
        if not isinstance(content, dict):
            return content
        none = {"policy": "demonstrations", "success_rate": 0.0, "harm_rate": 1.0}
        recorded, expert = content.get("demonstrations") is not None, content.get("expert")
        said = expert.model_dump(exclude_unset=True) if isinstance(expert, ExpertGate) else expert
        if isinstance(said, dict) and (said.get("policy") == "demonstrations") != recorded:
            got = "demonstrations and an expert" if recorded else "an expert of the kind demonstrations without `demonstrations`"
            raise ValueError(
                f"expected `expert` or `demonstrations: {{format: npz, path: {DEMONSTRATIONS}/mine.npz}}`, got {got}"
            )
        return content | {"expert": none} if recorded and expert is None else content

    @field_validator("targets", mode="before")
    @classmethod
    def _name_targets(cls, targets: Any) -> Any:
        """Set the name of each target to its key."""
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
            raise ValueError(f"targets.{min(taken)}: this name is reserved for a report of `evaluate`; expected another one")
        return self

    @property
    def feature_limits(self) -> tuple[float, float]:
        """Limits of all features: those of the file, else −2 … 2 in town and nav, else none; `validate` then goes by space and recording."""
        ours, unlimited = (-2.0, 2.0), (-math.inf, math.inf)
        return self.feature_range or (unlimited if self.is_foreign else ours)

    @property
    def is_foreign(self) -> bool:
        """Whether the code of its world is none of this package."""
        return self.world not in ("town", "nav")

    @cached_property
    def sha256(self) -> str:
        """Hash of the keys that decide the episodes; targets and gates may change without changing the hash."""
        if missing := [key for key in TASK if key not in self.__dict__]:  # of a scenario of which a stage sees a part
            raise AttributeError(f"scenario.sha256: expected the keys {', '.join(TASK)}, {', '.join(missing)} are missing")
        content = self.model_dump(mode="json", include=set(TASK))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def imports_of(scenario: Scenario) -> tuple[str, ...]:
    """What code of others the stages of a scenario import or unpickle: the environment, its wrappers, and the expert."""
    setup, expert = scenario.setup, scenario.expert
    named = [setup.get("id"), *(setup.get("wrappers") or ())] if scenario.is_foreign else []
    found = [next(iter(one), "") if isinstance(one, dict) else str(one) for one in named if one]
    pickled = [f"{path} (pickled)" for path in (expert.path, expert.normaliser) if expert.policy == "sb3" and path]
    return (*found, *([expert.call] if expert.call else []), *pickled)


def variant_of(scenario: Scenario, variant: str) -> Scenario:
    """The held-out variant of a scenario: the same task in a setup of which some keys say otherwise."""
    setup = merged(scenario.setup, scenario.variants[variant])
    found = scenario.model_copy(update={"name": f"{scenario.name}.{variant}", "setup": setup, "variants": {}})
    found.__dict__.pop("sha256", None)  # the cached hash of the scenario
    return found


def modes_of(scenario: Scenario) -> tuple[Mode, ...]:
    """The modes in which policies are evaluated during training: sampled, which guardrails check, and the mode of every target."""
    asked = {target.mode for target in scenario.targets.values()} | {"sampled"}
    return tuple(mode for mode in MODES if mode in asked)


def load_scenario(name: str, folder: Path = Path("scenarios")) -> Scenario:
    """Read and check scenarios/<name>.yaml; UsageError lists the existing scenarios, InputError says what a name may be."""
    path = folder / f"{name}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no scenario {name!r}{nearest(name, known)}; {folder}/ has {', '.join(known) or 'none'}")
    require_name(name, f"{path}", "; rename the file")
    if name in TAKEN:
        raise InputError(
            f"{path}: expected another name than {', '.join(TAKEN)}, which are folders of all scenarios; rename the file"
        )
    content = read_yaml(path)
    if (said := content.get("name", name)) != name:
        raise InputError(f"{path}: name: expected {name!r}, the name of the file, or no such key, got {shown(said)}")
    return checked(Scenario, {"name": name} | content, path)
