"""How a stage runs: it reads its scenario and settings, prints one line with its result or its error, and writes the record of its run."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from headstart.config.params import for_scenario, load_params, require_arm, require_arms_that_dvc_trains
from headstart.config.project import REPORTS
from headstart.config.scenario import imports_of, load_scenario
from headstart.config.settings import TOP, only, resolved, settings_path, value_at
from headstart.config.stage_command import stage_command
from headstart.core.closure import code_sha256, require_own_code
from headstart.core.errors import HeadstartError, InputError, IntegrityError, UsageError, printable, too_large
from headstart.core.files import sha256_file, sha256_tree, write_record
from headstart.core.git import git_state
from headstart.core.record import Record
from headstart.core.run_record import RUN, RunRecord, circumstances
from headstart.core.strict_json import parse_json
from headstart.core.yaml import parse_yaml

PIPELINE = Path("dvc.yaml")


class Done(NamedTuple):
    """The result of a stage."""

    says: str  # one or a few lines, printed for the user
    metrics: Mapping[str, float | None] = {}
    seeds: tuple[int, ...] = ()  # that were actually run


class Start(NamedTuple):
    """What was there when a stage began: later edits did not take part."""

    time: datetime
    code_sha256: str  # of the files that the stage imports
    inputs: dict[str, str]  # path → SHA-256
    git_revision: str | None
    git_dirty: bool | None
    imported: tuple[str, ...]  # code of others that the scenario names


class Entry(NamedTuple):
    """The entry of a stage in dvc.yaml for one item of its matrix."""

    deps: tuple[str, ...]  # paths, without the sources below src/
    # the keys of the settings that the stage reads, with dots; None: all, from the files themselves
    params: tuple[str, ...] | None
    outs: tuple[str, ...]  # paths


def main(stage: Callable[..., Done], names: str = "SCENARIO") -> None:
    """Run a stage from the command line: `python -m headstart.stages.<stage> SCENARIO …`; prints its one-line result."""
    wanted = names.split()
    try:
        if len(sys.argv) - 1 != len(wanted):
            raise UsageError(f"expected {names}, got {' '.join(sys.argv[1:]) or 'nothing'}")
        require_own_code(Path())
        print(run(stage, *sys.argv[1:], compared=True))
    except HeadstartError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # an unwritable folder, a full disk
        print(printable(f"error: {error.filename or stage.__name__}: {error.strerror or error}"), file=sys.stderr)
        sys.exit(IntegrityError.exit_code)
    except MemoryError as error:
        print(f"error: {too_large(error)}", file=sys.stderr)
        sys.exit(InputError.exit_code)
    except KeyboardInterrupt:
        print("interrupted; run the same command again", file=sys.stderr)
        sys.exit(130)


def run(stage: Callable[..., Done], name: str, *arm: str, compared: bool = False) -> str:
    """Run a stage on the named scenario with the settings of params.yaml that dvc.yaml names for it, and no others.

    The run record goes into the stage's reports, also after a failure. `compared`: DVC runs the stage, and compares what settings.json says.
    """
    settings = load_params()
    scenario = load_scenario(name)
    params = for_scenario(settings, scenario)
    require_arms_that_dvc_trains(settings, params, scenario)
    for one in arm:
        require_arm(params, stage.__name__, one)
    entry = entry_of(stage.__name__, {"scenario": name, "arm": "".join(arm)})
    modules = [f"headstart.stages.{stage.__name__}"]
    start = Start(datetime.now(UTC), code_sha256(modules), _hashes(entry.deps), *git_state(Path()), imports_of(scenario))
    read = resolved(params, scenario)
    if entry.params is not None:
        read = {key: value_at(read, key) for key in entry.params}
        params, scenario = only(params, scenario, entry.params)
        if compared:
            _require_current(name, read)
    record = partial(_record, read, (stage.__name__, name, *arm), entry, start)
    try:
        done = stage(params, scenario, *arm)
        if code_sha256(modules) != start.code_sha256:
            raise IntegrityError(f"{stage.__name__} {name}: its source files changed while it ran; run it again")
    except HeadstartError as error:
        if not isinstance(error, UsageError):
            record(Done(""), tuple(str(error).splitlines()))
        raise
    except AttributeError as error:
        if not isinstance(error.obj, Record):
            raise
        where = f"{type(error.obj).__name__}.{error.name}"
        raise InputError(
            f"{PIPELINE}: expected all settings that {stage.__name__} reads among its params, {where} is not"
        ) from error
    record(done)
    return done.says


def _require_current(name: str, read: dict[str, Any]) -> None:
    """IntegrityError where the files say otherwise than settings.json, which DVC compares and keeps as what the stage ran with."""
    path = settings_path(name)
    if not path.exists():  # a stage that is run by hand
        return
    stored = parse_json(path.read_bytes(), str(path))
    if changed := [key for key, value in read.items() if value_at(stored, f"{TOP}.{key}") != value]:
        cure = f"`{stage_command('settings', name)}` reads them again, and `dvc repro` does so first"
        raise IntegrityError(
            f"{path}: expected {changed[0]} as params.yaml and scenarios/{name}.yaml have it, found another; {cure}"
        )


def _record(
    read: dict[str, Any], whose: tuple[str, ...], entry: Entry, start: Start, done: Done, failure: tuple[str, ...] = ()
) -> None:
    """Write run.json into the report folder that dvc.yaml names for the stage; a stage without such a folder writes no record."""
    stage, scenario, *arm = whose
    home = next((out for out in entry.outs if Path(out).is_relative_to(REPORTS) and not Path(out).suffix), None)
    if home is None:
        return
    record = RunRecord(
        run_id="-".join(whose).replace("_", "-"),
        stage=stage,
        scenario=scenario,
        arm=arm[0] if arm else None,
        status="failed" if failure else "completed",
        diagnostics=failure,
        code_sha256=start.code_sha256,
        imported=start.imported,
        inputs=start.inputs,
        parameters=read,
        seeds=done.seeds,
        metrics=dict(done.metrics),
        outputs=_hashes(out for out in entry.outs if out != home),
        circumstances=circumstances(start.time, start.git_revision, start.git_dirty),
    )
    write_record(Path(home) / RUN, record)


def _hashes(paths: Any) -> dict[str, str]:
    there = [Path(path) for path in paths if Path(path).exists()]
    return {path.as_posix(): sha256_tree(path) if path.is_dir() else sha256_file(path) for path in there}


# --- the entry of a stage in dvc.yaml -----------------------------------------------------------------------------------


def entry_of(stage: str, item: dict[str, str]) -> Entry:
    """The entry of `stage` with variables such as `${item.scenario}` filled in. InputError for a stage that dvc.yaml does not have."""
    try:
        found = parse_yaml(PIPELINE.read_bytes(), PIPELINE)["stages"][stage]
        deps, outs = (tuple(_filled(one, item) for one in found.get(key, ())) for key in ("deps", "outs"))
        params = keys_of(found.get("params", ()), item)
    except OSError as error:
        raise InputError(f"{PIPELINE}: expected the pipeline of the project, got {error.strerror}") from error
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{PIPELINE}: expected a stage {stage} with deps, params and outs: {error}") from error
    return Entry(tuple(dep for dep in deps if not dep.startswith("src/")), params, outs)


def keys_of(params: Any, item: dict[str, str]) -> tuple[str, ...] | None:
    """Names of keys, and mappings of a file to names, or to null for all that it has."""
    files = [one if isinstance(one, dict) else {"": [one]} for one in params]
    if any(names is None for file in files for names in file.values()):
        return None
    return tuple(_filled(name, item).removeprefix(f"{TOP}.") for file in files for names in file.values() for name in names)


def _filled(value: Any, item: dict[str, str]) -> str:
    """An entry is a path, or a mapping of a path to its options."""
    text = value if isinstance(value, str) else next(iter(value))
    for key, name in item.items():
        text = text.replace(f"${{item.{key}}}", name)
    return str(text)
