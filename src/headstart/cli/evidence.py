"""`headstart evidence` runs the full comparison, one DVC experiment after the other; `headstart results` writes docs/results.md from its
records.
"""

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
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.core.errors import InputError

if TYPE_CHECKING:
    from headstart.config.params import Params
    from headstart.runs.experiment import ExperimentRecord, Machine

PARAMS, RECORDS, RESULTS = Path("params.yaml"), Path("reports/evidence"), Path("docs/results.md")
DECIDES = ("src/", "scenarios/", "params.yaml", "dvc.yaml", "stage")  # what must be that of the commit which a record names
CPU_INFO = Path("/proc/cpuinfo")  # of Linux


def evidence(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXPERIMENT]...", help="Of `evidence` in params.yaml; all.")
    ] = None,
) -> None:
    """Run the experiments of the full comparison that are not on record with today's code and settings: reports/evidence."""
    from headstart.config.params import load_params
    from headstart.core.closure import code_sha256, stage_modules
    from headstart.core.errors import HeadstartError
    from headstart.core.files import write_record
    from headstart.core.git import changes, head
    from headstart.core.yaml import read_yaml

    root, missed = Path(), []
    params = load_params()
    chosen = names or list(params.evidence)
    for name in chosen:
        require_name(name)
        settings_sha256(params, name)  # all that cannot be run is said before the first one is
    for name in chosen:
        params = load_params()  # as the commit has it that the experiment begins from
        today = {"code_sha256": code_sha256(stage_modules()), "settings_sha256": settings_sha256(params, name)}
        if is_current(recorded(name), today):
            typer.echo(f"{name}: on record, with today's code and settings")
            continue
        if changed := [path for path in changes(root) if path.startswith(DECIDES)]:
            raise InputError(
                f"{', '.join(changed[:5])}: expected what is committed, since a record names a commit; `git commit` first"
            )
        commit = head(root)
        command = experiment_command(name, commit, params.evidence[name], read_yaml(PARAMS))
        typer.echo(f"{name}: {shlex.join(command)}")
        try:
            run_experiment(experiment(name, commit), command)
            record = read_experiment(name, params, today | {"command": shlex.join(command), "commit": commit})
        except HeadstartError as error:  # the others are run all the same
            typer.echo(f"error: {name}: {error}", err=True)
            missed.append(name)
            continue
        write_record(RECORDS / f"{name}.json", record)
        typer.echo(f"{name}: {record.comparisons[record.headline].verdict.outcome}, {RECORDS / name}.json")
    if missed:
        raise InputError(
            f"{', '.join(missed)}: expected a comparison, got none, for the reason above; "
            f"`headstart evidence {' '.join(missed)}` runs what is missing"
        )
    typer.echo("`headstart results` writes docs/results.md from the records")


def results() -> None:
    """Write docs/results.md and its figures from the records in reports/evidence; what stands there is what they say."""
    from headstart.config.params import load_params
    from headstart.core.closure import code_sha256, stage_modules
    from headstart.core.files import write_bytes
    from headstart.view.results import figures, page

    params = load_params()
    records = [record for name in params.evidence if (record := recorded(name))]
    if not records:
        raise InputError(f"{RECORDS}: expected records of experiments, found none; `headstart evidence` makes them")
    code = code_sha256(stage_modules())
    current = {
        record.name: is_current(record, {"code_sha256": code, "settings_sha256": settings_sha256(params, record.name)})
        for record in records
    }
    for name, picture in figures(records).items():
        write_bytes(RESULTS.parent / name, picture)
        typer.echo(RESULTS.parent / name)
    write_bytes(RESULTS, page(records, current).encode())
    typer.echo(RESULTS)


# --- one experiment ---------------------------------------------------------------------------------------------------


def require_name(name: str) -> None:
    """Raise InputError unless it can be the name of a file and of an experiment."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise InputError(f"params.yaml, evidence: expected a name of letters, digits and _ . -, got {name!r}")


def experiment_command(name: str, commit: str, changes: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """`dvc exp run` in a folder of its own, with the experiment's changes of `params`, the content of params.yaml, as -S options."""
    options = []
    for path, value in flat(changes):
        sign = "" if _is_there(path, params) else "++"  # hydra's, for a key that only has a default
        options += ["-S", f"{sign}{path}={_hydra(value)}"]
    return ["dvc", "exp", "run", "--temp", "--name", experiment(name, commit), *options]


def experiment(name: str, commit: str) -> str:
    """What DVC calls it: experiments of one name on two commits could not be told apart."""
    return f"evidence-{name}-{commit[:7]}"


def _is_there(path: str, content: Any) -> bool:
    for key in path.split("."):
        if not isinstance(content, dict) or key not in content:
            return False
        content = content[key]
    return True


def flat(changes: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """{a: {b: 1}} → ("a.b", 1)."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _hydra(value: Any) -> str:
    """A value as `-S` reads it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def run_experiment(called: str, command: list[str]) -> None:
    """Run it in place of one of the same name; DVC takes every stage that did not change from its run cache."""
    listed = subprocess.run(["dvc", "exp", "list", "--name-only"], capture_output=True, text=True)
    if called in listed.stdout.split():
        subprocess.run(["dvc", "exp", "remove", "--quiet", called], check=False)
    if code := subprocess.run(command, stdout=sys.stderr).returncode:
        raise InputError(f"expected dvc to end with 0, got {code}; stages that ended are kept, and are not run again")


def read_experiment(name: str, params: "Params", before: dict[str, Any]) -> "ExperimentRecord":
    """What the experiment left in DVC's cache, as a record; `before` are fields that were known when it began."""
    from dvc.api import DVCFileSystem

    from headstart.compare.comparison import Comparison
    from headstart.config.params import for_scenario, headline_target, of_experiment
    from headstart.config.scenario import load_scenario
    from headstart.core.files import read_record
    from headstart.core.provenance import utc_text
    from headstart.runs.clone_report import CloneReport
    from headstart.runs.experiment import ExperimentRecord
    from headstart.runs.expert_record import ExpertPolicy

    changed = of_experiment(params, name)
    scenario = load_scenario(changed.scenarios[0])
    files = DVCFileSystem(".", rev=experiment(name, before["commit"]))
    with TemporaryDirectory() as folder:
        left = Path(folder)
        for path in (f"reports/evaluate/{scenario.name}", f"reports/{scenario.name}/bc_train", f"models/{scenario.name}/expert"):
            files.get(path, str(left / path), recursive=True)
        compared = {
            target: read_record(left / "reports/evaluate" / scenario.name / f"{target}.json", Comparison)
            for target in scenario.targets
        }
        return ExperimentRecord(
            name=name,
            scenario=scenario.name,
            seeds=for_scenario(changed, scenario).seeds,
            machine=this_machine(),
            finished_at=utc_text(datetime.now(UTC)),
            expert=read_record(left / "models" / scenario.name / "expert/expert.json", ExpertPolicy),
            clone=read_record(left / "reports" / scenario.name / "bc_train/metrics.json", CloneReport),
            headline=headline_target(changed, scenario),
            comparisons=compared,
            **before,
        )


def this_machine() -> "Machine":
    """The processor as Linux names it, else as Python does."""
    from headstart.core.provenance import package_version
    from headstart.runs.experiment import Machine

    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        processor=named[0] if named else platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        torch=package_version("torch") or "none",
    )


# --- what is on record ------------------------------------------------------------------------------------------------


def recorded(name: str) -> "ExperimentRecord | None":
    """The record of an experiment; None where it was not run yet. InputError, with the cure, where it is not one."""
    from headstart.core.files import read_record
    from headstart.runs.experiment import ExperimentRecord

    path = RECORDS / f"{name}.json"
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


def is_current(record: "ExperimentRecord | None", today: dict[str, str]) -> bool:
    """Would it run with the same code and settings today? `today` has both hashes, by the record's names."""
    return record is not None and all(getattr(record, field) == value for field, value in today.items())


def settings_sha256(params: "Params", name: str) -> str:
    """SHA-256 of all that params.yaml and the scenario's file say of an experiment's two arms, except how many processes it may use."""
    from headstart.config.params import for_scenario, of_experiment
    from headstart.config.scenario import load_scenario
    from headstart.core.strict_json import sha256_json

    changed = of_experiment(params, name)
    scenario = load_scenario(changed.scenarios[0])
    settings = for_scenario(changed, scenario).model_dump(
        mode="json", by_alias=True, exclude={"processes", "evidence", "promotion"}
    )
    settings["arms"] = {arm: settings["arms"][arm] for arm in ("scratch", changed.candidate)}
    return sha256_json({"params": settings, "scenario": scenario.model_dump(mode="json")})
