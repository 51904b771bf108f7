"""Rollback to an earlier release, use of a checkpoint that a user chooses, and withdrawal of a candidate.

The files of a release are below .headstart/releases, whole and verified, before the line that puts it to use; its tags follow the line. The same
command again, by the same person for the same reason, finds its line and only finishes what is missing.
"""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from headstart.compare.arm_runs import arm_folder
from headstart.config.project import LOCKS, WORK_DIR
from headstart.core.errors import HeadstartError, InputError
from headstart.core.files import fresh_directory, inside
from headstart.core.lock import held, remove_unfinished
from headstart.release.history import Release, RolledBack, Swapped, Withdrawn, note, note_written, written
from headstart.release.lock import best_release, release_of, require_release, training_of
from headstart.release.registry import open_scenario
from headstart.release.standing import require_unused, rollback_target
from headstart.runs.checkpoint import CARD, WEIGHTS, load_checkpoint

PATIENCE_S = 60.0  # so long a command waits for another one that brings files from a remote
RELEASES_LOCK = LOCKS / "releases"
RESTORED = WORK_DIR / "releases"  # below the project: the files of releases by id; git and DVC ignore it


def roll_back(root: Path, scenario: str, actor: str, reason: str, to: str | None = None) -> tuple[Release, Path]:
    """Roll back to the release `to`, or to the previous one; returns it and the folder with its files.

    Raises InputError if there is no such release or its files are not found.
    """
    with open_scenario(root, scenario, "release rollback") as (history, standing):
        done = written(history.lines, RolledBack, scenario, actor, reason)
        if done is not None and to in (None, done.release):
            note_written(history.lines, done)
            note("to go back further, name the release with --id, or give another reason")
            return standing.releases[done.release], restore(root, standing.releases[done.release])
        release = rollback_target(standing, to)
        folder = restore(root, release)
        history.append(RolledBack(scenario=scenario, release=release.id), actor, reason)
    return release, folder


def swap(root: Path, scenario: str, checkpoint: str, actor: str, reason: str) -> tuple[Release, Path, bool]:
    """Put a checkpoint below `root` into use; returns it, the folder with its files, and whether it had a PASS."""
    with open_scenario(root, scenario, "release swap") as (history, standing):
        folder = inside(root, checkpoint).resolve().relative_to(root.resolve())
        if (found := load_checkpoint(root / folder)[1].scenario) != scenario:
            raise InputError(f"{folder / CARD}: expected a checkpoint of {scenario}, it is one of {found}")
        release = release_of(root, folder)
        done = written(history.lines, Swapped, scenario, actor, reason)
        if done is not None and done.release.id == release.id:
            note_written(history.lines, done)
            return done.release, restore(root, done.release), standing.verified(done.release)
        require_unused(standing, release)
        baseline = None if standing.initial else _baseline(root, scenario)
        kept = restore(root, release)
        history.append(Swapped(scenario=scenario, release=release, baseline=baseline), actor, reason)
    return release, kept, standing.verified(release)


def withdraw(root: Path, scenario: str, actor: str, reason: str) -> None:
    """Withdraw the candidate; passes are counted from zero again."""
    with open_scenario(root, scenario, "release withdraw") as (history, standing):
        if (done := written(history.lines, Withdrawn, scenario, actor, reason)) is not None:
            note_written(history.lines, done)
            return
        if standing.passed is None:
            raise InputError(f"{scenario}: expected a candidate to withdraw, there is none")
        history.append(Withdrawn(scenario=scenario), actor, reason)


def restore(root: Path, release: Release, remote: str | None = None) -> Path:
    """The folder .headstart/releases/<id> with the release's files, verified by their hashes and restored if necessary.

    They come from the training's folder while it holds them, else from DVC's cache or a remote: `remote`, or the default one. Raises InputError,
    naming what was tried, if the recorded bytes are nowhere.
    """
    with held(root / RELEASES_LOCK, f"restoring release {release.id}", PATIENCE_S):
        return restore_alone(root, release, remote)


def restore_alone(root: Path, release: Release, remote: str | None = None) -> Path:
    """The same, for who has the lock of the releases."""
    folder = root / RESTORED / release.id
    remove_unfinished([folder])
    try:
        require_release(release, folder)
        return folder
    except HeadstartError as error:
        tried = [f"{RESTORED}: {error}"]
    for name, bring in (("the training's folder", _copy), ("DVC", partial(_get, remote=remote))):
        try:
            with fresh_directory(folder) as fresh:
                bring(root, release, fresh)
                require_release(release, fresh)
            return folder
        except HeadstartError as error:
            tried.append(f"{name}: {error}")
    raise InputError(f"release {release.id}: expected to restore it, found it nowhere; " + "; ".join(tried))


def _copy(root: Path, release: Release, folder: Path) -> None:
    copy_release(release, root / release.checkpoint, folder)


def copy_release(release: Release, source: Path, folder: Path) -> None:
    """Copy the files of a release out of a folder that holds its bytes."""
    require_release(release, source)
    for name in (WEIGHTS, CARD):
        shutil.copyfile(source / name, folder / name)


def _get(root: Path, release: Release, folder: Path, remote: str | None) -> None:
    """From DVC's cache or remote, as the revision of the release had it."""
    got, remote = folder.resolve() / "got", remote or default_remote(root)
    command = [sys.executable, "-m", "dvc", "get", "--rev", release.git_revision, "--out", str(got)]
    command += ["--remote", remote] if remote else []  # the revision may be older than the remote
    done = subprocess.run([*command, str(root.resolve()), release.checkpoint], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR: ")) or "it has no such files"
        here = f"remote {remote}" if remote else "no remote is configured, and the cache lacks it"
        raise InputError(f"revision {release.git_revision[:12]}, {here}: {said}")
    for name in (WEIGHTS, CARD):
        (got / name).rename(folder / name)
    shutil.rmtree(got)


def default_remote(root: Path) -> str | None:
    """The name of the remote that DVC takes here; None: there is none."""
    from dvc.config import Config  # a second of imports

    name = Config(dvc_dir=str(root / ".dvc"))["core"].get("remote")
    return str(name) if name else None


def _baseline(root: Path, scenario: str) -> Release | None:
    runs = arm_folder(scenario, "scratch", ["scratch"]) / "runs.json"
    return best_release(root, training_of(root, runs), "sampled") if (root / runs).exists() else None
