"""dvc.yaml as one of its stages reads it: what the stage takes, what it leaves, and which parameters it is given."""

from pathlib import Path
from typing import Any, NamedTuple

from headstart.core.errors import InputError
from headstart.core.yaml import parse_yaml

PIPELINE = Path("dvc.yaml")


class Entry(NamedTuple):
    """A stage for one item of its matrix."""

    deps: tuple[str, ...]  # paths, the sources below src/ left out
    params: tuple[str, ...]  # keys of params.yaml, with dots
    outs: tuple[str, ...]  # paths


def entry_of(stage: str, item: dict[str, str]) -> Entry:
    """The entry of `stage` with `${item.scenario}` and the like filled in; InputError for a stage that dvc.yaml does not have."""
    try:
        found = parse_yaml(PIPELINE.read_bytes(), PIPELINE)["stages"][stage]
        deps, params, outs = (tuple(_filled(one, item) for one in found.get(key, ())) for key in ("deps", "params", "outs"))
    except OSError as error:
        raise InputError(f"{PIPELINE}: expected the pipeline of the project, got {error.strerror}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{PIPELINE}: expected a stage {stage} with deps, params and outs: {error}") from error
    return Entry(tuple(dep for dep in deps if not dep.startswith("src/")), params, outs)


def _filled(value: Any, item: dict[str, str]) -> str:
    """An entry is a path, or a mapping of a path to its options."""
    text = value if isinstance(value, str) else next(iter(value))
    for key, name in item.items():
        text = text.replace(f"${{item.{key}}}", name)
    return str(text)
