"""A draft: a recording of a scenario outside of the pipeline, data/<scenario>.<name>, which may become a dataset of its own.

draft.json (`draft/1`) says how it was recorded. `curate` and `validate` work in its folder as the stages do in data/<scenario>.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from headstart.config.project import DATA
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import UsageError, nearest
from headstart.core.files import read_record
from headstart.core.record import NAME, Count, Name, Positive, Record, Sha256

DRAFT = "draft.json"


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
        known = sorted(path.parent.name for path in (root / DATA).glob(f"*.*/{DRAFT}"))
        there = (
            f"there are {', '.join(known)}" if known else f"`headstart capture {name.partition('.')[0]} --episodes 8` records one"
        )
        raise UsageError(f"{name}: no such draft{nearest(name, known)}; {there}")
    return folder


def read_draft(root: Path, name: str) -> tuple[Draft, Scenario]:
    """A draft, and the task that was played."""
    return draft_at(root, draft_folder(root, name))


def draft_at(root: Path, folder: Path) -> tuple[Draft, Scenario]:
    """As `read_draft`, of a folder anywhere."""
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
    return scenario if not changes else Scenario.model_validate(scenario.model_dump() | changes)
