"""What a stage may read: of the settings of a scenario, the keys that dvc.yaml names for the stage.

The stage `settings` writes all of them to data/<scenario>/settings.json. DVC compares the named keys with those of the last run, and a stage
gets no others, so an edit that concerns a stage cannot fail to run it again.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from headstart.config.params import Params
from headstart.config.project import DATA
from headstart.config.scenario import TASK, Scenario
from headstart.core.record import Record

R = TypeVar("R", bound=Record)
TOP = "settings"  # the key above all others: without it, columns of `dvc exp show` would clash with those of params.yaml
ALWAYS = ("processes", "notify", "telemetry.tensorboard", "scenario.name")  # they decide no output


def settings_path(scenario: str) -> Path:
    """Where the stage `settings` writes."""
    return DATA / scenario / "settings.json"


def resolved(params: Params, scenario: Scenario) -> dict[str, Any]:
    """Key → value, null where absent: params.yaml as the recipe overrides it, of its arms those that are trained, and the scenario's own keys.

    `scenario.task` holds those that decide the episodes. Targets and variants are lists: their order counts, and DVC ignores that of keys.
    """
    others = dict.fromkeys(("scenarios", "processes", "notify", "tuning", "promotion", "evidence"), True)
    found = params.model_dump(mode="json", by_alias=True, exclude=others | {"telemetry": {"tensorboard"}})
    trained = {"scratch", params.candidate, *params.baselines, *params.anneal.arms}
    about = scenario.model_dump(mode="json", exclude={"recipe"})
    task = {key: about.pop(key) for key in TASK}
    arms = {name: arm for name, arm in found["arms"].items() if name in trained}
    ordered = {key: [{name: one} for name, one in about[key].items()] for key in ("targets", "variants")}
    return found | {"arms": arms, "scenario": about | ordered | {"task": task}}


def value_at(settings: Any, key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def only(params: Params, scenario: Scenario, keys: Iterable[str]) -> tuple[Params, Scenario]:
    """Settings and scenario with the keys of `resolved` that are named, and ALWAYS: to read another one is an AttributeError."""
    named = [*keys, *ALWAYS]
    ours = [key for key in named if not key.startswith("scenario.")]
    theirs = [key.removeprefix("scenario.") for key in named if key.startswith("scenario.")]
    return _part(params, ours), _part(scenario, [*theirs, *(TASK if "task" in theirs else ())])


def _part(record: R, keys: Iterable[str]) -> R:
    """A record with the named fields alone. Their names are those of the file, with dots for what lies within."""
    within = defaultdict[str, list[str]](list)
    for key in keys:
        name, _, rest = key.partition(".")
        within[name].append(rest)
    copy, fields = record.model_copy(), type(record).model_fields
    for name, value in record.__dict__.items():  # fields, and what a cached property keeps, which may come from any of them
        parts = within.get(fields[name].alias or name) if name in fields else None
        if parts is None:
            del copy.__dict__[name]
        elif "" not in parts:
            named = {part.partition(".")[0] for part in parts}
            copy.__dict__[name] = (
                _part(value, parts) if isinstance(value, Record) else {key: value[key] for key in value if key in named}
            )
    return copy
