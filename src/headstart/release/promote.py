"""Promote the candidate: the only way to a verified release, and the only command that registers a version.

In this order: the files of the release that would be replaced, whole and verified, below .headstart/releases; the line of the history; the tags.
A command that is killed before the line changed nothing; behind it the next command sets the tags.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from headstart.config.history import HISTORY, Drilled, Judged, Line, Promoted, Release, Withdrawn, note_written, written
from headstart.config.params import Params
from headstart.config.project import CATALOGUE
from headstart.core.errors import Hold, InputError, IntegrityError
from headstart.core.git import changes, committed
from headstart.dataset.catalogue import active_entries
from headstart.release.faults import lines
from headstart.release.in_git import anchor_problems
from headstart.release.lock import require_release, training_of
from headstart.release.record import recipes_sha256, settings
from headstart.release.registry import next_version, open_scenario
from headstart.release.rollback import restore
from headstart.release.signing import require_signatures
from headstart.release.standing import ready_pass
from headstart.release.verify import verify


def promote(root: Path, scenario: str, actor: str, reason: str) -> Release:
    """Append the promotion and tag the version; returns the release.

    Raises Hold while something is not proven, GateFailed if the last verdict was FAIL, InputError where a file is missing and
    IntegrityError where one differs; then nothing is released. A candidate whose hashes or dataset are not those of its verdicts is
    withdrawn.
    """
    params, _ = settings(root, scenario)
    with open_scenario(root, scenario, "promote") as (history, standing):
        if (done := written(history.lines, Promoted, scenario, actor, reason)) is not None:
            note_written(history.lines, done)
            return standing.releases[done.release]
        passed = ready_pass(standing)
        require_signatures(standing, params.promotion.approvals)
        require_committed(root)
        try:
            require_unchanged(root, params, passed)
        except (Hold, IntegrityError) as error:
            history.append(Withdrawn(scenario=scenario), actor, str(error)[:500])
            raise type(error)(f"{error}; the candidate was withdrawn") from None
        require_green(root)
        require_drill(history.lines, params.promotion.drill_days)
        require_way_back(root, standing.current or standing.initial or passed.baseline)
        version = next_version(root, standing)
        history.append(Promoted(scenario=scenario, release=passed.candidate.id, version=version), actor, reason)
    return passed.candidate


def require_committed(root: Path) -> None:
    """Raise unless all lines of the history are committed, so that a change would be detected, and the tree has no changes."""
    if problems := anchor_problems(root):
        raise IntegrityError(problems[0])
    recorded = committed(root, HISTORY.as_posix()) or b""
    if recorded[: recorded.rfind(b"\n") + 1] != (root / HISTORY).read_bytes():  # a line that a crash tore may have been committed
        raise Hold(f"{HISTORY}: expected all its lines in git; `git add {HISTORY}` and commit it")
    if changed := changes(root, without=(HISTORY.as_posix(),)):
        raise Hold(f"expected a clean git tree, changed: {', '.join(changed[:5])}; commit first")


def require_unchanged(root: Path, params: Params, passed: Judged) -> None:
    """Raise IntegrityError unless the candidate's files and schedule, and the baselines' recipes in params.yaml, are those that were judged.

    Raises Hold for a newer dataset.
    """
    release = passed.candidate
    require_release(release, root / release.checkpoint)
    training = training_of(root, Path(release.checkpoint).parent / "runs.json")
    active = active_entries(root, passed.scenario)
    if not active:
        raise InputError(f"{CATALOGUE}: expected {passed.dataset} as an active entry, found none for {passed.scenario}")
    if not passed.dataset_sha256 == training.dataset_sha256 == active[-1].manifest_sha256:
        raise Hold(
            f"{passed.scenario}: expected a candidate that learned from the newest dataset, {active[-1].name}, it did from {passed.dataset}"
        )
    if training.schedule_sha256 != passed.schedule_sha256:
        raise IntegrityError(f"{passed.scenario}: expected the schedule that was judged, found another")
    if recipes_sha256({name: params.arms[name] for name in params.baselines}) != passed.baselines_sha256:
        raise IntegrityError(
            f"{passed.scenario}: expected the baselines and recipes that the candidate was compared with, found others in params.yaml; "
            "train them, compare and record again"
        )


def require_green(root: Path) -> None:
    """Raise IntegrityError naming every problem of `headstart verify`."""
    faults = [fault for found in verify(root).values() for fault in found.faults]
    if faults:
        raise IntegrityError("; ".join(lines(faults)))


def require_drill(lines: Sequence[Line], days: int) -> Line:
    """The last rollback drill. Raise Hold unless it passed and is at most so many days old."""
    drills = [(line, line.record.passed) for line in lines if isinstance(line.record, Drilled)]
    command = "`headstart drill rollback --record --by NAME` runs it"
    if not drills:
        raise Hold(f"expected a rollback drill, none was ever recorded; {command}")
    last, passed = drills[-1]
    if not passed:
        raise Hold(f"expected a rollback drill that passed, that of {last.at} did not; {command}")
    age_days = (datetime.now(UTC) - datetime.fromisoformat(last.at)).total_seconds() / 86400
    if not 0 <= age_days <= days:
        raise Hold(f"expected a rollback drill of the last {days} days, the last is of {last.at}; {command}")
    return last


def require_way_back(root: Path, release: Release) -> None:
    """Raise Hold unless the release that would be replaced can be restored, which is proved by doing it."""
    try:
        restore(root, release)
    except InputError as error:
        raise Hold(f"expected a way back before going forward: {error}") from None
