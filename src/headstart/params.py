"""params.yaml and scenarios/*.yaml as frozen models. An unknown key is an error that names it and its nearest neighbour.

One section of params.yaml for each stage; a scenario file says what one scenario is, whatever is learned on it.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from headstart.errors import InputError, UsageError, nearest
from headstart.schedule import MODES, Arm, Mode, Section

MAX_YAML_BYTES = 1 << 20
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Worlds = Annotated[int, Field(ge=1, le=1_000_000)]  # of one purpose; beyond them begin the ids of another


# --- params.yaml -----------------------------------------------------------------------------------------------------


class ExpertParams(Section):
    seed: Seed
    worlds: Worlds  # episodes on which the expert, or each seed of a learned one, is judged
    seeds: tuple[Seed, ...] = (0, 1, 2)  # of a learned expert: every one is trained and judged
    min_seeds: int = Field(default=3, ge=1)  # of a learned expert: fewer are no evidence
    train: Arm | None = None  # how a learned expert is trained; without it as the arm `scratch`
    plateau_evaluations: int = Field(
        default=0, ge=0
    )  # stop when the gate's rates held in so many in a row without gain; 0: never
    plateau_gain: float = Field(default=0.01, ge=0)  # mean return that counts as a gain


class CaptureParams(Section):
    seed: Seed
    worlds: Worlds  # one episode each
    shard_worlds: Worlds
    noise: float = Field(default=0.3, ge=0)  # standard deviation that is added to executed actions that are reals
    noise_ticks: int = Field(default=1, ge=1)  # that a draw of it lasts: leaning one way for a while leads to other states
    slip: float = Field(ge=0, lt=1)  # share of executed actions replaced by a random allowed one, so that recovery is recorded
    observation: Literal["compact", "hybrid"] = "compact"


class CurateParams(Section):
    min_steps: int = Field(ge=1)
    min_return: float | None = None
    require_success: bool = True
    reject_harm: bool = True
    heldout_share: float = Field(gt=0, lt=1)  # of the worlds
    seed: Seed


class ValidateParams(Section):
    min_episodes: int = Field(ge=1)
    min_success_rate: float = Field(ge=0, le=1)  # one-sided 95 % lower bound
    max_majority_share: float = Field(gt=0, le=1)  # of one action among decision steps
    replay_worlds: Worlds  # worlds whose recording is replayed


class NetworkParams(Section):
    hidden: tuple[int, ...] = (128, 128)
    activation: Literal["tanh", "relu"] = "tanh"
    normalise: bool = False  # features by their running mean and deviation; part of the weights
    initial_std: float = Field(default=0.5, gt=0)  # of a Gaussian policy, for continuous actions


class BCParams(Section):
    seed: Seed
    episodes: int | None = Field(default=None, ge=2)  # of the recorded ones, both sides of the split together; None: all
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0)
    value_coef: float = Field(ge=0)
    gamma: float = Field(gt=0, le=1)
    patience: int = Field(ge=1)  # epochs without a better held-out loss before stopping
    # of the clone of an expert whose actions are reals: what fine-tuning explores with
    action_std: float = Field(default=0.5, ge=0.3, le=0.5)
    min_accuracy: float = Field(ge=0, le=1)
    min_macro_f1: float = Field(ge=0, le=1)
    success_margin: float = Field(ge=0, le=1)  # closed-loop success may be this much below the expert's
    closed_loop_worlds: Worlds


class AnnealParams(Section):
    arms: tuple[str, ...]  # which of `arms` to train beside scratch


class EvaluationParams(Section):
    """The design of the comparison; fixed before a run starts and part of every run."""

    seed: Seed
    worlds: Worlds  # episodes of one evaluation during training
    every: int = Field(ge=1)  # env steps between two evaluations
    exam_seed: Seed
    exam_worlds: Worlds  # episodes of the last checkpoint's exam, on other worlds
    variant_worlds: int = Field(default=256, ge=0, le=100_000)  # episodes on each held-out variant; 0: shift is not measured


class ComparisonParams(Section):
    target: str  # one of the scenario's targets
    max_ratio: float = Field(gt=0)  # for the one-sided 95 % upper bound of pretrained ÷ scratch
    max_success_loss: float = Field(ge=0, le=1)


class PromotionParams(Section):
    """What `headstart promote` asks for."""

    required_passes: int = Field(default=2, ge=1, le=10)  # in a row, each with runs of its own
    drill_days: int = Field(default=30, ge=1)  # how old the last rollback drill may be


class Params(Section):
    scenarios: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1)
    candidate: str
    processes: int = Field(default=0, ge=0)  # 0: one for each core
    expert: ExpertParams
    capture: CaptureParams
    curate: CurateParams
    validate_: ValidateParams = Field(alias="validate")
    network: NetworkParams
    bc_train: BCParams
    anneal: AnnealParams
    arms: dict[str, Arm]
    evaluation: EvaluationParams
    comparison: ComparisonParams
    promotion: PromotionParams = PromotionParams()
    evidence: dict[str, dict[str, Any]] = Field(
        default={}
    )  # experiment of `headstart evidence` → what it says otherwise than this file

    @model_validator(mode="after")
    def _arms_exist(self) -> "Params":
        for name in ("scratch", self.candidate, *self.anneal.arms):
            if name not in self.arms:
                raise ValueError(f"arm {name!r} is named but not described under arms ({', '.join(self.arms)})")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {list(self.seeds)} names a seed twice")
        return self


# --- scenarios/<name>.yaml --------------------------------------------------------------------------------------------


class ExpertGate(Section):
    policy: Literal["scripted", "ppo"]
    script: str | None = None  # which script, where a world has several
    success_rate: float = Field(ge=0, le=1)  # lower bound must reach it
    harm_rate: float = Field(ge=0, le=1)  # upper bound must stay below it


class TargetSection(Section):
    success_rate: float = Field(ge=0, le=1)
    return_mean: float | None = None
    harm_rate: float | None = Field(default=None, ge=0, le=1)
    measures: dict[str, float] = Field(default={})  # at least, by the name of one of the scenario's `measures`
    consecutive: int = Field(default=2, ge=1)  # evaluations in a row
    mode: Mode = "sampled"  # how the policy that is held to it acts


class Scenario(Section):
    """What a scenario file says. `setup` belongs to the world and is checked by it."""

    name: str
    world: str
    horizon: int = Field(ge=1)
    setup: dict[str, Any]
    variants: dict[str, dict[str, Any]] = Field(default={})  # held out: keys of `setup` that each says otherwise
    success: tuple[str, ...] = Field(min_length=1)
    harm: tuple[str, ...] = Field(min_length=1)
    expert: ExpertGate
    targets: dict[str, TargetSection] = Field(min_length=1)
    measures: tuple[str, ...] = ()  # counters of the world of which more is better; their means stand in every score
    min_action_share: dict[str, float] = Field(default={})  # what a dataset of this scenario must contain
    constant_reward: bool = False  # of a world that pays the same in every step
    feature_range: tuple[float, float] = (-2.0, 2.0)  # what validate holds features to
    recipe: dict[str, Any] = Field(default={})  # sections of params.yaml that this scenario says otherwise

    @model_validator(mode="after")
    def _targets_name_measures(self) -> "Scenario":
        for name, target in self.targets.items():
            if unknown := sorted(target.measures.keys() - set(self.measures)):
                raise ValueError(
                    f"targets.{name}: {', '.join(unknown)} is not among measures ({', '.join(self.measures) or 'none'})"
                )
        if "shift" in self.targets:
            raise ValueError("targets.shift: the name of evaluate's own report; expected another one")
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


def headline_target(params: Params, scenario: Scenario) -> str:
    """The target that the comparison is about: `comparison.target` where the scenario has it, else its last."""
    wanted = params.comparison.target
    return wanted if wanted in scenario.targets else list(scenario.targets)[-1]


# --- reading ----------------------------------------------------------------------------------------------------------

S = TypeVar("S", bound=Section)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml."""
    return _checked(Params, load_yaml(path), path)


def for_scenario(params: Params, scenario: Scenario) -> Params:
    """`params` with what the scenario's `recipe` says otherwise; InputError names a key that params.yaml does not have."""
    return changed(params, scenario.recipe, f"{scenario.name}.yaml, recipe") if scenario.recipe else params


def changed(params: Params, changes: dict[str, Any], where: str) -> Params:
    """`params` with `changes` laid over them; InputError begins with `where` and names what cannot be."""
    return _checked(Params, merged(params.model_dump(mode="json", by_alias=True), changes), where)


def of_experiment(params: Params, name: str) -> Params:
    """`params` as the experiment `name` of the section `evidence` says otherwise; InputError unless it is about one scenario."""
    if name not in params.evidence:
        known = params.evidence
        raise UsageError(f"no experiment {name!r}{nearest(name, known)}; params.yaml, evidence has {', '.join(known) or 'none'}")
    where = f"params.yaml, evidence.{name}"
    experiment = changed(params, params.evidence[name], where)
    if len(experiment.scenarios) != 1:
        raise InputError(f"{where}: expected one scenario, got {', '.join(experiment.scenarios)}")
    return experiment


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` laid over it, mapping by mapping; lists and scalars are replaced."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}


def load_scenario(name: str, folder: Path = Path("scenarios")) -> Scenario:
    """Read and check scenarios/<name>.yaml; UsageError lists the scenarios that there are."""
    path = folder / f"{name}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no scenario {name!r}{nearest(name, known)}; {folder}/ has {', '.join(known) or 'none'}")
    return _checked(Scenario, {"name": name} | load_yaml(path), path)


def load_arm(path: Path) -> Arm:
    """One arm from a file of its own, which begins with `schema: anneal-schedule/1`."""
    content = load_yaml(path)
    if "schema" not in content:
        raise InputError(f"{path}: expected schema: anneal-schedule/1 at the top, got {', '.join(content)[:80] or 'nothing'}")
    return _checked(Arm, content, path)


def load_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file: no tags, no aliases, no duplicate keys, at most 1 MiB."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a YAML file, got {error.strerror}") from error
    if len(text) > MAX_YAML_BYTES:
        raise InputError(f"{path}: expected at most {MAX_YAML_BYTES} bytes, got {len(text)}")
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values at the top, got {type(content).__name__}")
    return content


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses what a reader would overlook: aliases and repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key, (key_node, _) in zip(keys, node.value, strict=True):
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"expected text as key, got {key!r}", key_node.start_mark)
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} appears twice", key_node.start_mark)
        return super().construct_mapping(node, deep)


def _checked(model: type[S], content: dict[str, Any], where: Path | str) -> S:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_problem(model, item) for item in error.errors()]
        raise InputError(f"{where}: " + "; ".join(lines)) from error


def _problem(model: type[Section], item: Any) -> str:
    """One validation problem in words: where, what was expected, what came."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        siblings = _keys_at(model, item["loc"][:-1])
        return f"unknown key {where!r}{nearest(str(item['loc'][-1]), siblings)}"
    if item["type"] == "missing":
        return f"key {where!r} is missing"
    return f"{where or 'file'}: {item['msg']}" + (f", got {item['input']!r:.60}" if where else "")


def _keys_at(model: type[Section], path: tuple[Any, ...]) -> list[str]:
    """Keys that are allowed at a path of a model; walks through optional, tuple and dict fields."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = next((f for n, f in here.model_fields.items() if part in (n, f.alias)), None)
            here = field.annotation if field else None
        else:  # an item of tuple[X, ...] or dict[str, X]
            arguments = [a for a in getattr(here, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
            here = arguments[0] if arguments else None
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [f.alias or n for n, f in here.model_fields.items()]
    return []
