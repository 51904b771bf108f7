"""What made the checkpoints of an arm, according to dvc.lock and to the files at hand; the two have to agree."""

from pathlib import Path
from typing import Any, NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.curves import best_run
from headstart.core.arrays import Mode
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import read_record, sha256_file, sha256_json
from headstart.core.git import head
from headstart.core.yaml import read_yaml
from headstart.dataset.manifest import DatasetManifest
from headstart.release.lock import LockedStage, content_md5, require_at_hand, stage_of
from headstart.release.releases import Release, release_id, require_release
from headstart.runs.checkpoint import CARD, load_checkpoint

SOURCES = "src"  # a checkpoint stays what it is when the code moves on


class Training(NamedTuple):
    """One arm's training."""

    runs: ArmRuns
    path: Path  # of runs.json, below the root
    dvc_out: str
    schedule_sha256: str  # everything that shaped it but its seeds and the data
    dataset: str | None  # "<dataset>@<version>"
    dataset_sha256: str | None  # of the manifest


def training_of(root: Path, runs_path: Path) -> Training:
    """The training that left `runs_path`, a path below `root`.

    Raises InputError if a file or its stage in dvc.lock is missing, and IntegrityError if a file or a parameter is not the one that
    dvc.lock records.
    """
    stage = stage_of(root, runs_path)
    dvc_out = require_at_hand(root, stage, runs_path)
    _require_inputs(root, stage)
    manifest = next((Path(dep) for dep in stage.deps if Path(dep).name == "validated.json"), None)
    validated = read_record(root / manifest, DatasetManifest) if manifest else None
    if validated and validated.status != "validated":
        raise InputError(f"{manifest}: expected a validated dataset, it is {validated.status}")
    scenario = {dep: md5 for dep, md5 in stage.deps.items() if Path(dep).parts[0] == "scenarios"}
    shaped_by = {"params": {key: value for key, value in stage.params.items() if key != "seeds"}, "scenario": scenario}
    return Training(
        runs=read_record(root / runs_path, ArmRuns),
        path=runs_path,
        dvc_out=dvc_out,
        schedule_sha256=sha256_json(shaped_by),
        dataset=f"{validated.dataset}@{validated.version}" if validated else None,
        dataset_sha256=sha256_file(root / manifest) if manifest else None,
    )


def put_forward(root: Path, training: Training, mode: Mode, verdict_sha256: str | None) -> Release:
    """The checkpoint that stands for an arm, proved by its hashes; `verdict_sha256` is that of a comparison that passed."""
    run = best_run(training.runs, mode)
    return release_of(root, training.path.parent / f"seed-{run.seed}", training.dvc_out, verdict_sha256, run.checkpoint_sha256)


def release_of(
    root: Path, folder: Path, dvc_out: str | None, verdict_sha256: str | None, weights_sha256: str | None = None
) -> Release:
    """A checkpoint below `root` as a release; IntegrityError unless its weights are those of its card, and of `weights_sha256`."""
    _, card = load_checkpoint(root / folder)
    assert card.weights_sha256 is not None
    release = Release(
        id=release_id(card.arm, card.seed, weights_sha256 or card.weights_sha256),
        arm=card.arm,
        seed=card.seed,
        checkpoint=folder.as_posix(),
        weights_sha256=weights_sha256 or card.weights_sha256,
        card_sha256=sha256_file(root / folder / CARD),
        git_revision=head(root),
        dvc_out=dvc_out,
        verdict_sha256=verdict_sha256,
        verified=verdict_sha256 is not None,
    )
    require_release(release, root / folder)
    return release


def _require_inputs(root: Path, stage: LockedStage) -> None:
    for dep, expected in stage.deps.items():
        if Path(dep).parts[0] != SOURCES and (found := content_md5(root / dep)) != expected:
            raise IntegrityError(
                f"{root / dep}: expected MD5 {expected}, with which {stage.name} ran, found {found}; `dvc repro`"
            )
    params = read_yaml(root / "params.yaml")
    for key, value in stage.params.items():
        now: Any = params
        for part in key.split("."):
            now = now.get(part) if isinstance(now, dict) else None
        if now != value:
            raise IntegrityError(
                f"{root / 'params.yaml'}: expected {key} as {stage.name} ran with it, found another; `dvc repro`"
            )
