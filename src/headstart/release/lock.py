"""The checkpoints of an arm against dvc.lock: the dependencies and parameters that gave them, and the bytes at hand."""

from pathlib import Path
from typing import Any, NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.curves import best_run
from headstart.config.history import Release
from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.config.settings import TOP, resolved, value_at
from headstart.config.stage_command import pipeline_command
from headstart.core.arrays import Mode
from headstart.core.closure import DRAWING
from headstart.core.dvc_lock import LOCK, LockedStage, content_md5, read_lock
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import read_record, sha256_file, sha256_json
from headstart.core.git import head
from headstart.core.yaml import read_yaml
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.checkpoint import CARD, WEIGHTS, load_checkpoint

SOURCES = "src"
IGNORED = frozenset({"__pycache__", DRAWING})  # folders below it that .dvcignore names


class Training(NamedTuple):
    """One arm's training."""

    runs: ArmRuns
    path: Path  # of runs.json, below the root
    schedule_sha256: str  # everything that decides it, except the seeds and the data
    dataset: str | None  # "<dataset>@<version>"
    dataset_sha256: str | None  # of the manifest


def training_of(root: Path, runs_path: Path) -> Training:
    """The training that left `runs_path`, a path below `root`.

    Raises InputError if a file or its stage in dvc.lock is missing, and IntegrityError if a file or a parameter is not the one that
    dvc.lock records.
    """
    stage = stage_at_hand(root, runs_path)
    _require_inputs(root, stage)
    manifest = next((Path(dep) for dep in stage.deps if Path(dep).name == "validated.json"), None)
    validated = read_record(root / manifest, DatasetManifest) if manifest else None
    if validated and validated.status != "validated":
        raise InputError(f"{manifest}: expected a validated dataset, it is {validated.status}")
    scenario = {dep: md5 for dep, md5 in stage.deps.items() if Path(dep).parts[0] == "scenarios"}
    shaped_by = {
        "params": {key: value for key, value in stage.params.items() if key not in ("seeds", f"{TOP}.seeds")},
        "scenario": scenario,
    }
    return Training(
        runs=read_record(root / runs_path, ArmRuns),
        path=runs_path,
        schedule_sha256=sha256_json(shaped_by),
        dataset=f"{validated.dataset}@{validated.version}" if validated else None,
        dataset_sha256=sha256_file(root / manifest) if manifest else None,
    )


def best_release(root: Path, training: Training, mode: Mode) -> Release:
    """The checkpoint that represents an arm. Raises IntegrityError unless its weights are those that the runs name."""
    run = best_run(training.runs, mode)
    release = release_of(root, training.path.parent / f"seed-{run.seed}")
    if release.weights_sha256 != run.checkpoint_sha256:
        where = root / release.checkpoint / WEIGHTS
        raise IntegrityError(
            f"{where}: expected hash {run.checkpoint_sha256}, as {training.path} says, found {release.weights_sha256}"
        )
    return release


def release_of(root: Path, folder: Path) -> Release:
    """The checkpoint in `folder`, a path below `root`, as a release. Raises IntegrityError unless its weights are those of its card."""
    _, card = load_checkpoint(root / folder)
    return Release(
        arm=card.arm,
        seed=card.seed,
        checkpoint=folder.as_posix(),
        weights_sha256=card.weights_sha256,
        card_sha256=sha256_file(root / folder / CARD),
        git_revision=head(root),
    )


def require_release(release: Release, folder: Path) -> None:
    """Raise IntegrityError, naming both hashes, unless `folder` holds the bytes of `release`; InputError if a file is missing."""
    for name, expected in ((WEIGHTS, release.weights_sha256), (CARD, release.card_sha256)):
        if (found := sha256_file(folder / name)) != expected:
            raise IntegrityError(f"{folder / name}: expected hash {expected} of release {release.id}, found {found}")


def stage_at_hand(root: Path, out: Path) -> LockedStage:
    """The stage whose output holds `out`, a path below `root`.

    Raises InputError if dvc.lock has none, and IntegrityError unless the output has the bytes that dvc.lock records.
    """
    outputs = ((stage, path, md5) for stage in read_lock(root) for path, md5 in stage.outs.items() if out.is_relative_to(path))
    stage, path, expected = next(outputs, (None, "", ""))
    if stage is None:
        raise InputError(f"{root / LOCK}: expected a stage with the output {out}; `dvc repro` or `dvc commit` records it")
    if (found := content_md5(root / path)) != expected:
        raise IntegrityError(
            f"{root / path}: expected MD5 {expected}, as {LOCK} records it for {stage.name}, found {found}; "
            "`dvc checkout` brings back what is recorded"
        )
    return stage


def require_code(root: Path, runs_path: Path) -> None:
    """Raise IntegrityError if a source file is not the one that trained the arm: the commit of a verdict must lead back to that code.

    A release needs no such check: its checkpoint stays valid when the code changes.
    """
    stage = stage_at_hand(root, runs_path)
    _require_deps(root, stage, [dep for dep in stage.deps if Path(dep).parts[0] == SOURCES], IGNORED)


def _require_deps(root: Path, stage: LockedStage, deps: list[str], ignored: frozenset[str] = frozenset()) -> None:
    for dep in deps:
        if (found := content_md5(root / dep, ignored)) != (expected := stage.deps[dep]):
            raise IntegrityError(
                f"{root / dep}: expected MD5 {expected}, with which {stage.name} ran, found {found}; `{_again(stage)}`"
            )


def _require_inputs(root: Path, stage: LockedStage) -> None:
    _require_deps(root, stage, [dep for dep in stage.deps if Path(dep).parts[0] != SOURCES])
    now = _settings(root, stage)
    for key, value in stage.params.items():
        if value_at(now, key) != value:
            name = key.removeprefix(f"{TOP}.")
            where = f"{root / 'params.yaml'}" if name == key else f"{root / 'params.yaml'}, scenarios/{_scenario(stage)}.yaml"
            raise IntegrityError(f"{where}: expected {name} as {stage.name} ran with it, found another; `{_again(stage)}`")


def _settings(root: Path, stage: LockedStage) -> dict[str, Any]:
    """What params.yaml says now, and what settings.json would say, if the stage has keys of it."""
    now = read_yaml(root / "params.yaml")
    if not any(key.startswith(f"{TOP}.") for key in stage.params):
        return now
    scenario = load_scenario(_scenario(stage), root / "scenarios")
    return now | {TOP: resolved(for_scenario(load_params(root / "params.yaml"), scenario), scenario)}


def _scenario(stage: LockedStage) -> str:
    return Path(next(iter(stage.outs))).parts[1]  # models/<scenario>/…


def _again(stage: LockedStage) -> str:
    """The command that runs a stage again, with those before it."""
    return pipeline_command(_scenario(stage))
