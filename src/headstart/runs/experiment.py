"""The full comparison, one DVC experiment after the other: how one is run, and the record of it that git keeps (`experiment/3`)."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from headstart.compare.comparison import Comparison
from headstart.config.params import Params, for_scenario, headline_target, of_experiment
from headstart.config.scenario import load_scenario
from headstart.core.closure import code_sha256, stage_modules
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.core.git import changes, head
from headstart.core.provenance import package_version, utc_text
from headstart.core.record import Count, Name, Record, Sha256, UtcTime
from headstart.core.strict_json import sha256_json
from headstart.runs.clone_report import CloneReport, CloneReports
from headstart.runs.expert_record import ExpertPolicy

RECORDS = Path("reports/evidence")
DECIDES = ("src/", "scenarios/", "params.yaml", "dvc.yaml", "stage")  # what must be that of the commit which a record names
REPORT = "headstart.stages.report"  # shows what the others found
CPU_INFO = Path("/proc/cpuinfo")  # of Linux


class Machine(Record):
    """Where an experiment ran."""

    processor: str
    cores: Count
    python: str
    torch: str


class ExperimentRecord(Record):
    """`code_sha256` and `settings_sha256` say whether the experiment would run the same today."""

    schema_id: Literal["experiment/3"] = "experiment/3"
    name: Name
    scenario: Name
    seeds: tuple[int, ...]
    command: str
    commit: str
    machine: Machine
    finished_at: UtcTime
    code_sha256: Sha256
    settings_sha256: Sha256  # of params.yaml with the experiment's overrides and the scenario's file
    expert: ExpertPolicy
    clones: dict[int, CloneReport]  # by seed
    headline: str  # one of `comparisons`
    comparisons: dict[str, Comparison]  # target → what `evaluate` found


def plan(name: str, params: Params) -> dict[str, str]:
    """What a record says of an experiment of `evidence` in params.yaml before it runs: command, commit and fingerprint.

    Raises InputError where the tree is not what the commit has.
    """
    if changed := [path for path in changes(Path()) if path.startswith(DECIDES)]:
        raise InputError(
            f"{', '.join(changed[:5])}: expected what is committed, since a record names a commit; `git commit` first"
        )
    commit = head(Path())
    command = experiment_command(name, commit, params.evidence[name])
    return {"command": shlex.join(command), "commit": commit, **fingerprint(params, name)}


def run(name: str, params: Params, planned: dict[str, str]) -> ExperimentRecord:
    """Run a planned experiment in place of one of the same name; DVC takes unchanged stages from its run cache.

    Raises InputError where DVC fails.
    """
    called = experiment(name, planned["commit"])
    subprocess.run(["dvc", "exp", "remove", "--quiet", called], capture_output=True)  # fails where there is none
    if code := subprocess.run(shlex.split(planned["command"]), stdout=sys.stderr).returncode:
        raise InputError(f"expected dvc to end with 0, got {code}; stages that ended are kept, and are not run again")
    return _left(name, params, planned)


def experiment_command(name: str, commit: str, changes: dict[str, Any]) -> list[str]:
    """`dvc exp run` in a folder of its own, with the experiment's changes of params.yaml as -S options.

    ++ is Hydra's sign for a key that params.yaml may leave to its default.
    """
    options = [option for path, value in _flat(changes) for option in ("-S", f"++{path}={_hydra(value)}")]
    return ["dvc", "exp", "run", "--temp", "--name", experiment(name, commit), *options]


def experiment(name: str, commit: str) -> str:
    """What DVC calls it: experiments of one name on two commits could not be told apart."""
    return f"evidence-{name}-{commit[:7]}"


def _flat(changes: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """{a: {b: 1}} → ("a.b", 1)."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _hydra(value: Any) -> str:
    """A value as `-S` reads it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def _left(name: str, params: Params, planned: dict[str, Any]) -> ExperimentRecord:
    """What the experiment left in DVC's cache, as a record."""
    from dvc.api import DVCFileSystem

    changed = of_experiment(params, name)
    scenario = load_scenario(changed.scenarios[0])
    ran = for_scenario(changed, scenario)
    files = DVCFileSystem(".", rev=experiment(name, planned["commit"]))
    evaluate, clone = f"reports/evaluate/{scenario.name}", f"reports/{scenario.name}/bc_train"
    expert = f"models/{scenario.name}/expert"
    with TemporaryDirectory() as folder:
        left = Path(folder)
        for path in (evaluate, clone, expert):
            files.get(path, str(left / path), recursive=True)
        return ExperimentRecord(
            name=name,
            scenario=scenario.name,
            seeds=ran.seeds,
            machine=this_machine(),
            finished_at=utc_text(datetime.now(UTC)),
            expert=read_record(left / expert / "expert.json", ExpertPolicy),
            clones=read_record(left / clone / "metrics.json", CloneReports).clones,
            headline=headline_target(ran, scenario),
            comparisons={target: read_record(left / evaluate / f"{target}.json", Comparison) for target in scenario.targets},
            **planned,
        )


def this_machine() -> Machine:
    """The processor as Linux names it, else as Python does."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        processor=named[0] if named else platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        torch=package_version("torch") or "none",
    )


def record_path(name: str) -> Path:
    """Where git keeps the record of an experiment."""
    return RECORDS / f"{name}.json"


def recorded(name: str) -> ExperimentRecord | None:
    """The record of an experiment; None where it was not run yet. InputError, with the cure, where it is not one."""
    path = record_path(name)
    cure = f"; `git checkout {path}` brings back what git has, or remove it and `headstart evidence {name}` makes it anew"
    if not path.exists():
        return None
    try:
        record = read_record(path, ExperimentRecord)
    except InputError as error:
        raise InputError(f"{error}{cure}") from None
    if record.name != name or record.headline not in record.comparisons or not record.seeds:
        raise InputError(f"{path}: expected a comparison of {name} on some seeds, got one that is not whole{cure}")
    return record


def is_current(record: ExperimentRecord | None, today: dict[str, str]) -> bool:
    """Would it run with the same code and settings today? `today` is its fingerprint."""
    return record is not None and all(getattr(record, field) == value for field, value in today.items())


def fingerprint(params: Params, name: str) -> dict[str, str]:
    """SHA-256 of the code, and of all that params.yaml and the scenario's file say of an experiment's arms, except for what does not
    change them.

    Raises InputError for a name that no file can have, and UsageError for one that params.yaml does not have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise InputError(f"params.yaml, evidence: expected a name of letters, digits and _ . -, got {name!r}")
    changed = of_experiment(params, name)
    scenario = load_scenario(changed.scenarios[0])
    settings = for_scenario(changed, scenario).model_dump(
        mode="json", by_alias=True, exclude={"processes", "evidence", "notify", "promotion", "tuning"}
    )
    settings["arms"] = {arm: settings["arms"][arm] for arm in (*changed.baselines, changed.candidate)}
    sha256 = sha256_json({"params": settings, "scenario": scenario.model_dump(mode="json")})
    decides = [module for module in stage_modules() if module != REPORT]
    return {"code_sha256": code_sha256(decides), "settings_sha256": sha256}
