"""Episodes that a person rejects, each with a reason: flags/<scenario>.json (`flags/1`), which git tracks and the stage `curate` reads."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from headstart.config.project import LOCKS
from headstart.core.errors import InputError
from headstart.core.files import read_record, write_record
from headstart.core.lock import held, remove_unfinished
from headstart.core.record import Name, Record, Words

FOLDER = Path("flags")  # DVC watches it
FLAGGED = "flagged"  # the reason in the index of episodes
EpisodeId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class Flags(Record):
    """Episode → reason, of one scenario."""

    schema_id: Literal["flags/1"] = "flags/1"
    scenario: Name
    episodes: dict[EpisodeId, Words]


def flags_path(scenario: str) -> Path:
    """Below the root of the project."""
    return FOLDER / f"{scenario}.json"


def read_flags(root: Path, scenario: str) -> dict[str, str]:
    """Episode → reason; empty where nothing is flagged. InputError for a file that is no `flags/1` of the scenario."""
    path = root / flags_path(scenario)
    if not path.exists():
        return {}
    found = read_record(path, Flags)
    if found.scenario != scenario:
        raise InputError(f"{path}: expected the flags of {scenario}, got those of {found.scenario}; rename the file")
    return found.episodes


def change_flag(root: Path, scenario: str, episode: str, reason: str | None) -> dict[str, str]:
    """Flag an episode, or take its flag back (None), atomically; no change of another process is lost. Returns all flags."""
    path = root / flags_path(scenario)
    with held(root / LOCKS / "flags", "headstart inspect"):
        if path.parent.is_dir():
            remove_unfinished([path])
        others = {name: why for name, why in read_flags(root, scenario).items() if name != episode}
        flags = dict(sorted((others if reason is None else others | {episode: reason}).items()))
        if flags:
            write_record(path, Flags(scenario=scenario, episodes=flags))
        else:
            path.unlink(missing_ok=True)  # the folder is then as it was, and DVC runs nothing again
    return flags
