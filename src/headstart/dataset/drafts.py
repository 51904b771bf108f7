"""A draft: a recording of a scenario outside of the pipeline, data/<scenario>.<name>, which may become a dataset of its own.

raw/draft.json (`draft/1`) says how it was recorded; raw/contents.json lists it with the shards, so that no edit of it goes unseen. `curate` and
`validate` work in its folder as the stages do in data/<scenario>.
"""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from headstart.config.checked import checked
from headstart.config.project import DATA
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage_command import stage_command
from headstart.core.contents import require_listed
from headstart.core.errors import IntegrityError, UsageError, nearest
from headstart.core.files import read_record
from headstart.core.lock import UNFINISHED
from headstart.core.record import NAME, Count, Name, Positive, Record, Sha256, require_name
from headstart.dataset.manifest import read_manifest

DRAFT = Path("raw", "draft.json")  # below the folder of a draft


class Draft(Record):
    """What was asked for, and what was recorded."""

    schema_id: Literal["draft/1"] = "draft/1"
    scenario: Name
    expert: Name
    policy_sha256: Sha256
    capture: dict[str, JsonValue]  # the settings of the section `capture`
    ticks: Positive | None  # in place of the scenario's horizon; None, as below: the scenario's own
    agents: Positive | None  # in place of those of its setup
    tags: tuple[Name, ...]  # for the catalogue
    episodes: Count
    steps: Count

    @property
    def of_the_scenario(self) -> bool:
        """False with other ticks or agents, which make another task."""
        return self.ticks is None and self.agents is None


def is_draft(name: str) -> bool:
    """Whether a name is that of a draft, which may not exist: those of a scenario, which has no dot, and of the draft, with one between."""
    return all(re.fullmatch(NAME, part) for part in name.split(".")) and name.count(".") == 1


def draft_folder(root: Path, name: str) -> Path:
    """The folder of a draft. UsageError, with the nearest name, where there is none."""
    folder = root / DATA / name
    if not is_draft(name) or not (folder / DRAFT).is_file():
        known = sorted(path.parents[1].name for path in (root / DATA).glob(f"*.*/{DRAFT}"))
        there = f"there are {', '.join(known)}" if known else f"`{stage_command('capture', name)}` records one"
        curated = root / DATA / name / "curated"
        if is_draft(name) and (curated / "manifest.json").is_file() and (parent := read_manifest(curated).parent):
            there = f"it is a slice of {parent.dataset}, whose gates hold for it: `headstart export {name}` takes it as it is"
        raise UsageError(f"{name}: no such draft{nearest(name, known)}; {there}")
    return folder


def read_draft(root: Path, name: str) -> tuple[Draft, Scenario]:
    """A draft, and the task that was played. Raises as `draft_at`."""
    return draft_at(root, draft_folder(root, name))


def draft_at(root: Path, folder: Path) -> tuple[Draft, Scenario]:
    """As `read_draft`, of a folder anywhere. IntegrityError where its record is not the one that was written with its shards."""
    try:
        require_listed(folder / DRAFT)
    except IntegrityError as error:
        raise IntegrityError(f"{error}; `{stage_command('capture', folder.name)}` records another draft") from None
    draft = read_record(folder / DRAFT, Draft)
    return draft, task_of_draft(load_scenario(draft.scenario, root / "scenarios"), draft.ticks, draft.agents)


def task_of_draft(scenario: Scenario, ticks: int | None, agents: int | None) -> Scenario:
    """The scenario with so many ticks and agents in place of its own. UsageError where its world cannot have other agents."""
    changes: dict[str, object] = {}
    if ticks is not None:
        changes["horizon"] = ticks
    if agents is not None:
        if scenario.world != "town":
            raise UsageError(
                f"--agents: expected none of {scenario.name}, for only a town has as many as one asks for; its world is {scenario.world}"
            )
        changes["setup"] = scenario.setup | {"agents": agents}
    return scenario if not changes else checked(Scenario, scenario.model_dump() | changes, "headstart capture")


def new_folder(root: Path, scenario: str, name: str | None) -> Path:
    """Where a new draft or slice goes; without a name it has the first free number. UsageError for a name that is taken."""
    if name is None:
        name = str(next(n for n in range(1, 10**6) if _is_free(root / DATA / f"{scenario}.{n}")))
    require_name(name, "--name")
    require_free(place := root / DATA / f"{scenario}.{name}")
    return place


def require_free(place: Path) -> None:
    """UsageError where a draft or a slice is there. Whoever writes one asks again once it holds the lock of the name."""
    if not _is_free(place):
        name = place.name.partition(".")[2]
        raise UsageError(
            f"--name {name}: {place} is there already, and nothing is overwritten; choose another name, or remove the folder"
        )


def _is_free(place: Path) -> bool:
    """There is nothing, or only what a command that was killed left half written."""
    return not place.exists() or (place.is_dir() and all(fnmatch(path.name, UNFINISHED) for path in place.iterdir()))
