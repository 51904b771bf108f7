"""Put the candidate to use: the only way to a verified release, and the only one that sets a tag in the registry."""

import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from headstart.config.params import Params
from headstart.core.errors import GateFailed, Hold, InputError, IntegrityError
from headstart.core.git import changes, committed, untracked
from headstart.dataset.catalogue import read_catalogue
from headstart.release.history import History, Line
from headstart.release.history_kinds import Drilled, Withdrawn
from headstart.release.journal import cache_findings, held_history, standing_of
from headstart.release.promotion import Candidate, Standing, promotion_of
from headstart.release.registry import artifact_name, next_version, register, require_identity
from headstart.release.releases import Release, require_release
from headstart.release.restore import keep, restore
from headstart.release.training import training_of
from headstart.release.verdict import settings
from headstart.release.verify import CATALOGUE, HISTORY, anchor_problems, verify


def promote(root: Path, scenario_name: str, actor: str, reason: str) -> Release:
    """Append the promotion, write the pointer, tag the version; returns the release.

    Raises Hold while something is not proven, GateFailed if the last verdict was FAIL, InputError where a file is missing and
    IntegrityError where one differs; then nothing is released. A candidate whose hashes or dataset are not those of its verdicts is
    withdrawn.
    """
    params, scenario = settings(root, scenario_name)
    with held_history(root) as history:
        standing = standing_of(history.lines, scenario.world, scenario.name)
        candidate = require_ready(standing)
        require_committed(root, history)
        require_unchanged(root, history, standing, candidate, actor)
        require_green(root)
        require_drill(history.lines, params)
        require_way_back(root, standing.current_release or standing.initial_release or candidate.baseline)
        require_identity(root)
        version = next_version(root, scenario.name)
        line = promotion_of(standing, f"{artifact_name(scenario.name)}@{version}")
        keep(root, line.release)
        history.append(line, actor, reason)
    register(root, scenario.name, version, f"{line.release.id}, promoted by {actor}: {reason}")
    return line.release


def require_ready(standing: Standing) -> Candidate:
    """Raise GateFailed after a FAIL and Hold in any other state but ready."""
    if standing.state == "ready" and standing.candidate is not None:
        return standing.candidate
    text = (
        f"{standing.scenario}: expected {standing.required_passes} passes in a row, "
        f"counted {standing.pass_streak}: {standing.note}; `headstart release record {standing.scenario}` records a verdict"
    )
    raise GateFailed(text) if standing.last_result == "FAIL" else Hold(text)


def require_committed(root: Path, history: History) -> None:
    """The history has to be in git, where nobody rewrites it unseen, and the tree has to be what the tag will name."""
    if problems := anchor_problems(root):
        raise IntegrityError(problems[0])
    if committed(root, HISTORY.as_posix()) != history.path.read_bytes() or untracked(root, HISTORY.parent.as_posix()):
        raise Hold(
            f"{HISTORY}: expected all its lines and their evidence in git; `git add governance models/releases.json` and commit them"
        )
    if changed := changes(root):
        raise Hold(f"expected a clean git tree, changed: {', '.join(changed[:5])}; commit first")


def require_unchanged(root: Path, history: History, standing: Standing, candidate: Candidate, actor: str) -> None:
    """The candidate's files, schedule and dataset are those that were judged; where one differs, the candidate is withdrawn."""

    def withdraw(cause: str, why: str) -> None:
        line = Withdrawn(world=standing.world, scenario=standing.scenario, cause=cause)  # type: ignore[arg-type]
        history.append(line, actor, why)

    release = candidate.release
    try:
        require_release(release, root / release.checkpoint)
        training = training_of(root, Path(release.checkpoint).parent / "runs.json")
    except IntegrityError as error:
        withdraw("hash-mismatch", "a file of the candidate differs from what was judged")
        raise IntegrityError(f"{error}; the candidate was withdrawn") from None
    newest = [
        e.name for e in read_catalogue(root / CATALOGUE).entries if e.scenario == standing.scenario and e.status == "active"
    ]
    if not newest:
        raise InputError(f"{CATALOGUE}: expected {candidate.dataset} as an active entry, found none for {standing.scenario}")
    if training.dataset_sha256 != candidate.dataset_sha256 or newest[-1] != candidate.dataset:
        withdraw("new-dataset", f"the dataset is {newest[-1]}, the candidate learned from {candidate.dataset}")
        raise Hold(
            f"{standing.scenario}: expected the newest dataset {newest[-1]}, the candidate learned from {candidate.dataset}"
        )
    if training.schedule_sha256 != candidate.schedule_sha256:
        withdraw("hash-mismatch", "the schedule is not the one that was judged")
        raise IntegrityError(
            f"{standing.scenario}: expected the schedule that was judged, found another; the candidate was withdrawn"
        )


def require_green(root: Path) -> None:
    """Raise IntegrityError naming every problem of `headstart verify`."""
    problems = [problem for found in (*verify(root).values(), cache_findings(root)) for problem in found.problems]
    if problems:
        raise IntegrityError("; ".join(problems))


def require_drill(lines: Sequence[Line], params: Params) -> None:
    """Raise Hold unless the last rollback drill passed and is recent enough."""
    drills = [line for line in lines if isinstance(line.record, Drilled)]
    command = "`headstart drill rollback` runs it"
    if not drills:
        raise Hold(f"expected a rollback drill, none was ever recorded; {command}")
    last = drills[-1]
    days = (datetime.now(UTC) - datetime.fromisoformat(last.at)).total_seconds() / 86400
    if not (isinstance(last.record, Drilled) and last.record.passed):
        raise Hold(f"expected a rollback drill that passed, that of {last.at} did not; {command}")
    if not 0 <= days <= params.promotion.drill_days:
        raise Hold(
            f"expected a rollback drill of the last {params.promotion.drill_days} days, the last is of {last.at}; {command}"
        )


def require_way_back(root: Path, release: Release) -> None:
    """Raise Hold unless the release that would be replaced can be restored, which is proved by doing it in a scratch folder."""
    scratch = root / ".headstart"
    scratch.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="way-back-", dir=scratch))
    try:
        restore(root, release, folder / "release")
    except InputError as error:
        raise Hold(f"expected a way back before going forward: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
