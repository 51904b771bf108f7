"""Move the pointer by hand: back to a release, to a checkpoint that nobody judged, or away from a candidate."""

from pathlib import Path

from headstart.core.errors import HeadstartError, InputError
from headstart.core.files import inside, read_record
from headstart.release.history import read_history
from headstart.release.history_kinds import RolledBack, Withdrawn
from headstart.release.journal import held_history, refresh, standing_of
from headstart.release.lock import require_at_hand, stage_of
from headstart.release.promotion import effective, rollback_target, swap_of
from headstart.release.releases import Release
from headstart.release.restore import keep
from headstart.release.training import put_forward, release_of, training_of
from headstart.release.verdict import settings
from headstart.release.verify import HISTORY
from headstart.runs.checkpoint import CARD, Card


def roll_back(root: Path, scenario_name: str, actor: str, reason: str, to: str | None = None) -> tuple[Release, Path]:
    """Go back to the release `to`, else to the one before; returns it and the folder with its files.

    Its bytes are brought and proved before the pointer moves. Raises InputError if there is no such release or its files are nowhere.
    """
    _, scenario = settings(root, scenario_name)
    with held_history(root) as history:
        release = rollback_target(standing_of(history.lines, scenario.world, scenario.name), to)
        folder = keep(root, release)
        history.append(RolledBack(world=scenario.world, scenario=scenario.name, to=release.id), actor, reason)
    return release, folder


def swap(root: Path, scenario_name: str, checkpoint: str, actor: str, reason: str) -> tuple[Release, Path]:
    """Put a checkpoint below `root` to use; it is marked unverified unless it was the candidate of a PASS."""
    _, scenario = settings(root, scenario_name)
    folder = inside(root, checkpoint).resolve().relative_to(root.resolve())
    card = read_record(root / folder / CARD, Card)
    if card.scenario != scenario.name:
        raise InputError(f"{folder / CARD}: expected a checkpoint of {scenario.name}, it is one of {card.scenario}")
    release = release_of(root, folder, _dvc_out(root, folder), None)
    with held_history(root) as history:
        standing = standing_of(history.lines, scenario.world, scenario.name)
        judged = effective(history.lines, scenario.world, scenario.name)
        initial = None if standing.initial_release else _baseline(root, scenario.name)
        line = swap_of(standing, release, initial, judged)
        kept = keep(root, line.release)
        history.append(line, actor, reason)
    return line.release, kept


def withdraw(root: Path, scenario_name: str, actor: str, reason: str) -> None:
    """Take the candidate back; passes are counted from zero again."""
    _, scenario = settings(root, scenario_name)
    with held_history(root) as history:
        if standing_of(history.lines, scenario.world, scenario.name).candidate is None:
            raise InputError(f"{scenario.name}: expected a candidate to withdraw, there is none")
        history.append(Withdrawn(world=scenario.world, scenario=scenario.name, cause="person"), actor, reason)


def rebuild(root: Path) -> None:
    """Write governance/promotion.json and models/releases.json anew from the history."""
    refresh(root, read_history(root / HISTORY))


def _dvc_out(root: Path, folder: Path) -> str | None:
    try:
        return require_at_hand(root, stage_of(root, folder), folder)
    except HeadstartError:
        return None  # a checkpoint from elsewhere: only the kept copy holds it


def _baseline(root: Path, scenario: str) -> Release | None:
    path = Path("models") / scenario / "baseline" / "runs.json"
    return put_forward(root, training_of(root, path), "sampled", None) if (root / path).exists() else None
