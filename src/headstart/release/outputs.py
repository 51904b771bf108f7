"""The outputs of stages in the workspace, file by file, against dvc.lock; and dvc.lock against git and what DVC remembers of its runs."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from headstart.config.stage_command import stage_command
from headstart.core.dvc_lock import LOCK, LockedStage, content_md5, file_md5s, listing_md5, parsed, read_lock
from headstart.core.errors import InputError
from headstart.core.files import sha256_json
from headstart.core.git import accepts, answer, committed
from headstart.core.run_record import RUN
from headstart.release.faults import GIT, WORKSPACE, Fault, Findings

REPAIR = "`headstart verify --repair` moves it away and brings back what is recorded"
PIPELINE = "dvc.yaml"
BRING = "`dvc pull` or `dvc repro` brings what is not here"
Listing = Callable[[str], dict[str, str] | None]  # MD5 of a directory → its files; None: no store that was asked has it


class Output(NamedTuple):
    """One output of a stage, or what `dvc add` follows."""

    path: str  # below the project
    md5: str  # of a directory with ".dir" behind it
    stage: str


def recorded_outputs(root: Path) -> list[Output]:
    """All outputs that dvc.lock and the files of `dvc add` record."""
    return [*outputs_of(read_lock(root)), *added(root)]


def outputs_of(stages: Iterable[LockedStage]) -> list[Output]:
    """All outputs of a lock file."""
    return [Output(path, md5, stage.name) for stage in stages for path, md5 in stage.outs.items()]


def kept_outputs(root: Path) -> list[Output]:
    """The recorded outputs whose bytes DVC keeps: all but those that dvc.yaml calls `cache: false`, which git has."""
    stages = parsed((root / PIPELINE).read_bytes(), root / PIPELINE).get("stages", {}) if (root / PIPELINE).exists() else {}
    lists = [entry.get(key, ()) for entry in stages.values() for key in ("outs", "metrics", "plots")]
    loose = [
        path for outs in lists for out in outs if isinstance(out, dict) for path, how in out.items() if how.get("cache") is False
    ]
    uncached = re.compile("|".join(r"[^/]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", path))) for path in loose) or r"(?!)")
    return [output for output in recorded_outputs(root) if not uncached.fullmatch(output.path)]


def added(root: Path) -> list[Output]:
    """What the files of `dvc add` record, of those that git tracks."""
    listed = answer(root, "ls-files", "-z", "*.dvc") if accepts(root, "rev-parse", "--git-dir") else b""
    names = [name for name in listed.decode().split("\0") if name and (root / name).is_file()]
    return [output for name in names for output in _added(root / name, name)]


def _added(path: Path, name: str) -> list[Output]:
    try:
        outs = parsed(path.read_bytes(), path)["outs"]
        return [Output((Path(name).parent / out["path"]).as_posix(), out["md5"], name) for out in outs]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected a file that `dvc add` wrote, got {' '.join(str(error).split())}") from None


def lock_entries(data: bytes, where: Path) -> dict[str, Any]:
    """The entries of a lock file by the name of their stage."""
    match parsed(data, where):
        case {"schema": "2.0", "stages": dict() as stages, **more} if not more:
            return stages
    raise InputError(f"{where}: expected a lock file of DVC")


def output_findings(root: Path, listing: Listing, complete: bool) -> Findings:
    """The outputs that are here against what is recorded. With `complete`, an output that is not here is a fault."""
    outputs = recorded_outputs(root)
    here = [output for output in outputs if (root / output.path).exists()]
    faults = [fault for output in here for fault in output_faults(root, output, listing)]
    gone = [output for output in outputs if output not in here]
    if complete:
        faults += [fault for output in gone for fault in _absent(output, listing)]
    absent = f"{len(gone)} not here ({BRING})" if gone and not complete else ""
    return Findings(len(here), tuple(faults), absent)


def output_faults(root: Path, output: Output, listing: Listing) -> list[Fault]:
    """Every file of an output that is missing, additional or not the recorded one."""
    folder = root / output.path
    found = file_md5s(folder)
    if (listing_md5(found) if folder.is_dir() else found[""]) == output.md5:
        return []
    expected = listing(output.md5) if output.md5.endswith(".dir") else {"": output.md5}
    if expected is None or folder.is_dir() != output.md5.endswith(".dir"):
        text = f"{output.path}: expected MD5 {output.md5}, as {LOCK} records it for {output.stage}, found {content_md5(folder)}"
        return [Fault(text, REPAIR, WORKSPACE, output.path, output.md5, stage=output.stage)]
    return [
        _differing(output, name, expected.get(name), found.get(name))
        for name in sorted(expected | found)
        if expected.get(name) != found.get(name)
    ]


def _differing(output: Output, name: str, expected: str | None, found: str | None) -> Fault:
    path = f"{output.path}/{name}" if name else output.path
    match expected, found:
        case None, _:
            wrong = f"expected no such file in the output of {output.stage}, found one"
        case _, None:
            wrong = f"expected a file with MD5 {expected}, as {LOCK} records it for {output.stage}, found none"
        case _:
            wrong = f"expected MD5 {expected}, as {LOCK} records it for {output.stage}, found {found}"
    by_hand = ", or `dvc repro` records it, if the stage was run by hand" if path.endswith(f"/{RUN}") else ""
    return Fault(f"{path}: {wrong}", REPAIR + by_hand, WORKSPACE, path, expected, found, stage=output.stage)


def _absent(output: Output, listing: Listing) -> list[Fault]:
    """A fault for every file of an output of which nothing is here."""
    files = listing(output.md5) if output.md5.endswith(".dir") else {"": output.md5}
    if files is None:
        files = {"": output.md5}
    return [
        Fault(
            f"{path}: expected a file or folder, found none", BRING, WORKSPACE, path, md5, output=output.path, stage=output.stage
        )
        for name, md5 in files.items()
        for path in [f"{output.path}/{name}" if name else output.path]
    ]


def again(stage: str) -> str:
    """What makes the outputs of a stage of dvc.lock again, as of `bc_train@walk` or `anneal@walk-tiny`, or what `dvc add` follows."""
    name, _, item = stage.partition("@")
    scenario, _, arm = item.partition("-")
    if name.endswith(".dvc"):
        return "put a good copy in its place, because no stage makes it"
    return f"`{stage_command(name, scenario, arm or None) if item else f'dvc repro {name}'}` computes it again"


def lock_findings(root: Path, remembered: Callable[[str, dict[str, Any]], bool]) -> Findings:
    """The entries of dvc.lock. One that is not as HEAD has it must be a run that DVC remembers, or describe what is here now."""
    path = root / LOCK
    data, before = path.read_bytes() if path.exists() else None, committed(root, LOCK)
    if data is None:
        return Findings(
            0, (Fault(f"{LOCK}: expected the file that HEAD holds, found none", REPAIR, GIT, LOCK),) if before else ()
        )
    known = lock_entries(before, Path(f"HEAD:{LOCK}")) if before else {}
    try:
        read_lock(root)
        stages = lock_entries(data, path)
    except InputError as error:
        return Findings(0, (Fault(str(error), _restoring(LOCK), *((GIT, LOCK) if before else ())),))
    changed = [name for name in known | stages if sha256_json(known.get(name)) != sha256_json(stages.get(name))]
    wrong = [name for name in changed if not remembered(name, stages.get(name, {}))]
    whole = bool(before) and len(wrong) == len(changed)  # nothing new is lost when HEAD's bytes come back
    faults = [
        Fault(
            f"{LOCK}: {name}: expected the entry that HEAD holds, or a run that DVC remembers, "
            f"found {'another' if name in stages else 'none'}",
            _restoring(LOCK) + f", `dvc repro {name}` runs it again",
            *((GIT, LOCK) if whole else ()),
        )
        for name in wrong
    ]
    if before and data != before and not changed:
        faults = [Fault(f"{LOCK}: expected the bytes that HEAD holds, found others", _restoring(LOCK), GIT, LOCK)]
    return Findings(len(stages), tuple(faults))


def _restoring(path: str) -> str:
    return f"`git checkout HEAD -- {path}` brings back what is committed"
