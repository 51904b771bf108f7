"""How a stage runs: it reads its scenario and settings, prints its result or its error, and writes the record of its run."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from headstart.config.inputs import checked_inputs, hashes
from headstart.config.notify import notify
from headstart.config.params import Params, for_scenario, load_params, require_arm, require_arms_that_dvc_trains
from headstart.config.project import LOCKS, REPORTS
from headstart.config.scenario import Scenario, imports_of, load_scenario
from headstart.config.settings import TOP, only, resolved, settings_path, value_at
from headstart.config.stage_command import stage_command
from headstart.core.closure import code_sha256, require_own_code
from headstart.core.errors import (
    Busy,
    GateFailed,
    HeadstartError,
    Hold,
    InputError,
    IntegrityError,
    UsageError,
    of_system,
    printable,
    too_large,
)
from headstart.core.files import write_record
from headstart.core.git import git_state
from headstart.core.lock import held, remove_unfinished
from headstart.core.parent import STAGE, end_with_dvc
from headstart.core.progress_lines import progress
from headstart.core.record import Record
from headstart.core.run_record import RUN, RunRecord, circumstances
from headstart.core.strict_json import parse_json
from headstart.core.verdict import Outcome, Verdict
from headstart.core.yaml import parse_yaml

PIPELINE = Path("dvc.yaml")


class Done(NamedTuple):
    """The result of a stage."""

    says: str  # one or a few lines, printed for the user
    metrics: Mapping[str, float | None] = {}
    seeds: tuple[int, ...] = ()  # that were actually run
    look: str = ""  # what to open, and what to type to see more
    verdict: Verdict | None = None  # a HOLD or a FAIL is told to a person


def printed(done: Done) -> str:
    """What a person reads when a stage has ended; the last line names what to open."""
    return f"{done.says}\nlook: {done.look}" if done.look else done.says


def interrupted(command: Sequence[str]) -> str:
    """What is said after Ctrl-C. `command`: to go on with."""
    return f"interrupted; complete files and checkpoints are kept, and this goes on: `{shlex.join(command)}`"


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
    outs: tuple[str, ...]  # paths, those of plots and metrics among them


def main(stage: Callable[..., Done], names: str = "SCENARIO") -> None:
    """Run a stage from the command line: `python -m headstart.stages.<stage> SCENARIO …`; prints its result."""
    wanted = names.split()
    try:
        if len(sys.argv) - 1 != len(wanted):
            raise UsageError(f"expected {names}, got {' '.join(sys.argv[1:]) or 'nothing'}")
        require_own_code(Path())
        end_with_dvc()
        print(printed(run(stage, *sys.argv[1:])), flush=True)
    except HeadstartError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # an unwritable folder, a full disk
        print(f"error: {printable(of_system(error, stage.__name__))}", file=sys.stderr)
        sys.exit(InputError.exit_code)
    except MemoryError as error:
        print(f"error: {too_large(error)}", file=sys.stderr)
        sys.exit(InputError.exit_code)
    except KeyboardInterrupt:
        by_hand = ("headstart", stage.__name__.replace("_", "-"), *sys.argv[1:])
        print(interrupted(("dvc", "repro") if STAGE in os.environ else by_hand), file=sys.stderr)
        sys.exit(130)


def run(stage: Callable[..., Done], name: str, *arm: str) -> Done:
    """Run a stage on the named scenario with the settings of params.yaml that dvc.yaml names for it, and no others.

    Nothing is read before all inputs are known to be what their own records say. The run record goes into the stage's reports, also after a
    failure.
    """
    settings = load_params()
    scenario = load_scenario(name)
    params = for_scenario(settings, scenario)
    require_arms_that_dvc_trains(settings, params, scenario)
    for one in arm:
        require_arm(params, stage.__name__, one)
    entry = entry_of(stage.__name__, {"scenario": name, "arm": "".join(arm)})
    whose = (stage.__name__, name, *arm)
    with held(LOCKS / "-".join(whose), " ".join(("headstart", stage.__name__.replace("_", "-"), *whose[1:]))):
        remove_unfinished(map(Path, entry.outs))
        return _run(stage, params, scenario, whose, entry)


def _run(stage: Callable[..., Done], params: Params, scenario: Scenario, whose: tuple[str, ...], entry: Entry) -> Done:
    """The part of `run` that one process does at a time."""
    _, name, *arm = whose
    modules, now = [f"headstart.stages.{stage.__name__}"], resolved(params, scenario)
    read = now if entry.params is None else {key: value_at(now, key) for key in entry.params}
    if entry.params is not None:
        _require_current(name, read)
    inputs = checked_inputs(entry.deps, params, now)
    start = Start(datetime.now(UTC), code_sha256(modules), inputs, *git_state(Path()), imports_of(scenario))
    if entry.params is not None:
        params, scenario = only(params, scenario, entry.params)
    record = partial(_record, read, whose, entry, start)
    try:
        with progress(" ".join(whose)):
            done = stage(params, scenario, *arm)
        if code_sha256(modules) != start.code_sha256:
            raise IntegrityError(f"{stage.__name__} {name}: its source files changed while it ran; run it again")
    except HeadstartError as error:
        if not isinstance(error, UsageError | Busy):
            record(Done(""), tuple(str(error).splitlines()))
        if isinstance(error, GateFailed | Hold):
            outcome = Outcome.FAIL if isinstance(error, GateFailed) else Outcome.HOLD
            notify(params.notify, whose, outcome, str(error).splitlines())
        raise
    except AttributeError as error:
        if not isinstance(error.obj, Record):
            raise
        where = f"{type(error.obj).__name__}.{error.name}"
        raise InputError(
            f"{PIPELINE}: expected all settings that {stage.__name__} reads among its params, {where} is not"
        ) from error
    record(done)
    if done.verdict is not None:
        notify(params.notify, whose, done.verdict.outcome, [f"{check.outcome}: {check.text}" for check in done.verdict.reasons])
    return done


def _require_current(name: str, read: dict[str, Any]) -> None:
    """IntegrityError where the files say otherwise than settings.json, which DVC compares and keeps as what the stage ran with."""
    path = settings_path(name)
    if not path.exists():  # `dvc repro` writes it first; without it nobody compares
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
        outputs=hashes(out for out in entry.outs if out != home),
        circumstances=circumstances(start.time, start.git_revision, start.git_dirty),
    )
    write_record(Path(home) / RUN, record)


# --- the entry of a stage in dvc.yaml -----------------------------------------------------------------------------------


def entry_of(stage: str, item: dict[str, str]) -> Entry:
    """The entry of `stage` with variables such as `${item.scenario}` filled in. InputError for a stage that dvc.yaml does not have."""
    try:
        found = parse_yaml(PIPELINE.read_bytes(), PIPELINE)["stages"][stage]
        paths = {key: tuple(_filled(one, item) for one in found.get(key, ())) for key in ("deps", "outs", "plots", "metrics")}
        params = keys_of(found.get("params", ()), item)
    except OSError as error:
        raise InputError(f"{PIPELINE}: expected the pipeline of the project, got {error.strerror}") from error
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{PIPELINE}: expected a stage {stage} with deps, params and outs: {error}") from error
    deps = tuple(dep for dep in paths["deps"] if not dep.startswith("src/"))
    return Entry(deps, params, (*paths["outs"], *paths["plots"], *paths["metrics"]))


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
