"""What is said of a dataset beside its numbers, as a checklist: present with its text, or missing with what a person can do.

Some has no place in a scenario file. Where a note of the catalogue begins with its name, as `author: Ada`, it is present.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage_command import pipeline_command
from headstart.core.errors import HeadstartError
from headstart.dataset.catalogue import Entry, Mark, facts_path, read_entries, read_marks
from headstart.dataset.inspection_open import Opened

NOTED = {"author": "Ada Example", "units": "distances in m, wallet in EUR", "source": "recorded by …"}  # with an example of each
NUMBERED = re.compile(r".*\[?\d+\]?(\.\d+)*")  # a name that only counts
LACKING = {  # what a recording may not have → what that costs
    "rewards": "returns cannot be compared",
    "ends": "whether an episode was over or cut off is not known",
    "final_observations": "the last step cannot be checked",
    "seeds": "episodes cannot be simulated again",
    "success": "success is not known",
    "harm": "harm is not known",
}


class Item(NamedTuple):
    """One line of the checklist."""

    name: str
    text: str | None  # None: missing
    cure: str = ""  # what a person can do where it is missing


def checklist(root: Path, opened: Opened, said: Mapping[str, str]) -> tuple[Item, ...]:
    """`said`: what the files of a recording say of themselves."""
    return (*(_of_dataset(root, opened) if opened.scenario else _of_recording(said)), *_of_contents(opened))


def _of_dataset(root: Path, opened: Opened) -> Iterator[Item]:
    entry = next((one for one in read_entries(root) if one.name == opened.name), None)
    mark, scenario = read_marks(root).get(opened.name, Mark()), _scenario(root, str(opened.scenario))
    licence = (entry.licence if entry else None) or (scenario.licence if scenario else None)
    yield Item("licence", licence, f"`licence: CC-BY-4.0`, or another, in scenarios/{opened.scenario}.yaml")
    notes = {name: text.strip() for note in mark.notes for name, colon, text in [note.partition(":")] if colon}
    for name, example in NOTED.items():
        cure = f"`headstart catalogue note {opened.name} '{name}: {example}'`"
        here = notes.get(name) or (_origin(opened, scenario) if name == "source" else None)
        yield Item(name, here, cure if entry else "the catalogue, whose notes can say it, lists validated versions")
    listed = f"{facts_path(entry.dataset)}, since {entry.created_at[:10]}" if entry else None
    cure = f"`{pipeline_command(opened.play)}`" if "." in opened.play else "`dvc repro`, after `validate` has passed"
    if "/" in opened.play:  # typed as a path, as the samples are
        cure = "none of a folder outside of data/"
    if opened.manifest is not None and (parent := opened.manifest.parent):
        cure = f"none of a slice: {parent.dataset} has one once it is validated"
    yield Item("entry in the catalogue", listed, cure)
    yield Item("settings of the recording", _settings(entry), "the catalogue keeps them of validated versions")


def _of_recording(said: Mapping[str, str]) -> Iterator[Item]:
    for name in ("licence", "author", "source", "environment", "expert", "description", "units"):
        yield Item(name, said.get(name), "its files do not say; ask who recorded it")


def _of_contents(opened: Opened) -> Iterator[Item]:
    schema, absent = opened.schema, opened.absent
    for name, names in (("feature names", schema.features), ("action names", schema.actions)):
        if names or name == "feature names":
            given = sum(not NUMBERED.fullmatch(one) for one in names)
            text = f"{len(names)}, of which {given} are words" if given < len(names) else f"{len(names)}, all in words"
            yield Item(name, text if given else None, f"{len(names)} that only count; who recorded it may know what they are")
    for name, cost in LACKING.items():
        yield Item(name.replace("_", " "), None if name in absent else "recorded", cost)


def _scenario(root: Path, name: str) -> Scenario | None:
    try:
        return load_scenario(name, root / "scenarios")
    except HeadstartError:  # its file was removed or is being edited
        return None


def _origin(opened: Opened, scenario: Scenario | None) -> str | None:
    if scenario is not None and scenario.demonstrations is not None:
        return f"{scenario.demonstrations.path}, {scenario.demonstrations.format}"
    if opened.manifest is None:
        return None
    manifest = opened.manifest
    return f"{manifest.expert} expert {manifest.policy_sha256[:12]} in {opened.schema.world}, seed {manifest.seed}"


def _settings(entry: Entry | None) -> str | None:
    return ", ".join(entry.parameters) or None if entry else None
