"""What the records at hand, dvc.lock and git say of the files of a project; nothing is believed before it was hashed."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from headstart.compare.arm_runs import CLONES, ArmRuns, CloneRuns
from headstart.config.project import MODELS
from headstart.core.dvc_lock import LockedStage, content_md5, locks_in_git, read_lock, scan_lock
from headstart.core.errors import HeadstartError, UsageError, nearest
from headstart.core.files import read_record
from headstart.core.record import Record
from headstart.dataset.catalogue import Entry, read_entries
from headstart.runs.checkpoint import WEIGHTS, load_checkpoint


class Step(Record):
    """One thing on the way, what it was made from, and what came of it."""

    kind: str
    name: str
    facts: tuple[tuple[str, str], ...] = ()  # label and text
    breaks: tuple[str, ...] = ()  # where a hash is not the recorded one
    absent: tuple[str, ...] = ()  # what is not here, and how to get it
    made_from: tuple["Step", ...] = ()
    led_to: tuple["Step", ...] = ()

    def all_breaks(self) -> Iterator[str]:
        """Of the step and of all that follow from it, each once."""
        yield from dict.fromkeys(
            (*self.breaks, *(text for step in (*self.made_from, *self.led_to) for text in step.all_breaks()))
        )


class Known:
    """The records of a project, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._clones: dict[str, CloneRuns | None] = {}
        self._arms: dict[str, dict[Path, ArmRuns]] = {}

    @cached_property
    def stages(self) -> tuple[LockedStage, ...]:
        """Of dvc.lock."""
        return read_lock(self.root)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Of the catalogue."""
        return read_entries(self.root)

    @cached_property
    def past(self) -> list[tuple[str, tuple[LockedStage, ...]]]:
        """(commit, stages) of every version of dvc.lock, newest first; none outside of git."""
        try:
            return [(commit, scan_lock(data)) for commit, data in locks_in_git(self.root)]
        except HeadstartError:
            return []

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {}

    def stage_of(self, path: Path) -> tuple[LockedStage, str] | None:
        """The stage whose output holds a path below the root, and the path of that output."""
        found = ((stage, out) for stage in self.stages for out in stage.outs if path.is_relative_to(out))
        return next(found, None)

    def commit_of(self, path: str, md5: str) -> str:
        """The newest commit whose dvc.lock has this output, as text."""
        for commit, stages in self.past:
            if any(stage.outs.get(path) == md5 for stage in stages):
                return commit[:12]
        return "none yet: no dvc.lock in git has these bytes; `git commit` dvc.lock"

    def checked(self, path: Path) -> tuple[tuple[str, str], ...] | str:
        """Stage, commit and settings of the output that holds a path; a text where its bytes are not those of dvc.lock.

        The inputs of the stage are compared too: what the stage that made them records must be what it read.
        """
        found = self.stage_of(path)
        if found is None:
            return f"{path}: expected an output of a stage in dvc.lock; `dvc repro` records it"
        stage, out = found
        if (self.root / out).exists() and (md5 := self._md5(out)) != stage.outs[out]:
            return f"{out}: expected MD5 {stage.outs[out]}, as dvc.lock records it for {stage.name}, found {md5}; `dvc checkout {out}`"
        return (
            ("stage", f"{stage.name}, output {out} as dvc.lock records it"),
            ("commit", self.commit_of(out, stage.outs[out])),
            ("settings", _settings(stage)),
        )

    def inputs_differ(self, stage: LockedStage) -> tuple[str, ...]:
        """Inputs that the stage read with other bytes than the stages that make them have now."""
        made = {path: (md5, of.name) for of in self.stages for path, md5 in of.outs.items()}
        return tuple(
            f"dvc.lock: {stage.name} read {path} with MD5 {md5}, {made[path][1]} made it with {made[path][0]}; `dvc repro` runs it again"
            for path, md5 in stage.deps.items()
            if path in made and made[path][0] != md5
        )

    def _md5(self, path: str) -> str:
        if path not in self._hashes:
            self._hashes[path] = content_md5(self.root / path)
        return self._hashes[path]

    def clones(self, scenario: str) -> CloneRuns | None:
        """The clones that are here, in the order of their blocks."""
        if scenario not in self._clones:
            path = self.root / MODELS / scenario / "bc" / CLONES
            self._clones[scenario] = read_record(path, CloneRuns) if path.exists() else None
        return self._clones[scenario]

    def arms(self, scenario: str) -> dict[Path, ArmRuns]:
        """Folder below the root → the runs of an arm, of those that are here."""
        if scenario not in self._arms:
            files = sorted((self.root / MODELS / scenario).glob("*/*/runs.json"))
            self._arms[scenario] = {file.parent.relative_to(self.root): read_record(file, ArmRuns) for file in files}
        return self._arms[scenario]

    def downstream(self, path: str) -> list[tuple[str, str]]:
        """(stage, output) of everything that dvc.lock says was made from a path, directly or through other outputs."""
        reached, found = [Path(path)], list[tuple[str, str]]()
        while reached:
            here = reached.pop()
            for stage in self.stages:
                if any(here.is_relative_to(dep) or Path(dep).is_relative_to(here) for dep in stage.deps):
                    new = [(stage.name, out) for out in stage.outs if (stage.name, out) not in found]
                    found += new
                    reached += [Path(out) for _, out in new]
        return found


def _settings(stage: LockedStage) -> str:
    scenario = [dep for dep in stage.deps if Path(dep).parts[0] == "scenarios"]
    keys = sorted(key.removeprefix("settings.") for key in stage.params)
    code = sum(Path(dep).parts[0] == "src" for dep in stage.deps)
    return ", ".join([*scenario, *keys]) + (f"; {code} sources of the stage" if code else "")


def weights_breaks(known: Known, folder: Path, expected: str, where: str) -> list[str]:
    """The weights against their card, and both against the record `where`."""
    if not (known.root / folder / WEIGHTS).exists():
        return []
    try:
        _, card = load_checkpoint(known.root / folder)
    except HeadstartError as error:
        return [str(error)]
    return (
        []
        if card.weights_sha256 == expected
        else [f"{folder}: expected weights {expected}, as {where} says, found {card.weights_sha256}"]
    )


def stage_facts(known: Known, path: Path, facts: list[tuple[str, str]]) -> list[str]:
    """Add stage, commit and settings to the facts; returns what differs."""
    checked = known.checked(path)
    if isinstance(checked, str):
        return [checked]
    facts += checked
    found = known.stage_of(path)
    return [*known.inputs_differ(found[0])] if found else []


def not_here(known: Known, name: str, folders: list[Path]) -> Step:
    """A thing whose files are missing; UsageError where dvc.lock has no such output either."""
    recorded = [folder for folder in folders if known.stage_of(folder)]
    if not recorded:
        outs = [out for stage in known.stages for out in stage.outs]
        raise UsageError(f"{name}: expected an output of a stage, dvc.lock has none{nearest(str(folders[0]), outs)}")
    facts: list[tuple[str, str]] = []
    breaks = stage_facts(known, recorded[0], facts)
    absent = (f"{recorded[0]} is not here; `dvc checkout {recorded[0]}` or `dvc pull {recorded[0]}` brings it",)
    return Step(kind="output", name=name, facts=tuple(facts), breaks=tuple(breaks), absent=absent)
