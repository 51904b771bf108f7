"""Versions of promoted policies as git tags in the form of GTO, `<scenario>@v2.0.0`, and which of them is in the stage `prod`.

`dvc artifacts get . <scenario> --stage prod` gets the arm's folder, if `artifacts:` in dvc.yaml contains its path. While a release is in use
that was never promoted, no version is in the stage. The tags follow from the history alone, byte for byte, and decide nothing: every command
first sets those that an interrupted one left out, and two clones that set the same tag set the same object.

The stage has one tag at most, `<scenario>#prod#N` after N changes of the release in use: of several, GTO and DVC take that with the latest
time, in whole seconds.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from headstart.config.history import HISTORY, History, Line, Promoted, RolledBack, Swapped, note, open_history, read_history
from headstart.config.scenario import load_scenario
from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.core.git import delete_tags, set_tag, tags
from headstart.release.standing import Standing, follow, standing_of

STAGE = "prod"


class Tag(NamedTuple):
    """An annotated tag that the history asks for."""

    commit: str
    message: str
    at: str  # the time of its line


@contextmanager
def open_scenario(root: Path, scenario: str, doing: str) -> Iterator[tuple[History, Standing]]:
    """Yield the history, locked, and the standing of the scenario; when the block ends, the tags follow the lines that it added.

    Raises UsageError for an unknown scenario, Busy and IntegrityError as `open_history` does, and IntegrityError if a tag cannot be set.
    """
    load_scenario(scenario, root / "scenarios")
    with open_recovered(root, f"headstart {doing} {scenario}") as history:
        yield history, standing_of(history.lines, scenario)
        follow_history(root, history.lines, [scenario])


@contextmanager
def open_recovered(root: Path, doing: str) -> Iterator[History]:
    """As `open_history`, with the tags of all scenarios as the history asks for them; what cannot be set is said and stops nothing."""
    with open_history(root, doing) as history:
        for scenario in scenarios_of(history.lines):
            try:
                if changed := follow_history(root, history.lines, [scenario]):
                    standing = standing_of(history.lines, scenario)
                    note(f"{scenario}: {standing.note}; an earlier command did not get so far, done now: {', '.join(changed)}")
            except IntegrityError as error:
                note(str(error))
        yield history


def recovered_lines(root: Path) -> tuple[Line, ...]:
    """The lines of the history, after what an interrupted command left is finished; where that cannot be done now, it is said."""
    if not (root / HISTORY).exists():
        return ()
    try:
        with open_recovered(root, "headstart release list") as history:
            return history.lines
    except (Busy, OSError) as error:  # also a project that this user may not write to
        note(f"what an interrupted command left is not finished: {error}")
        return read_history(root / HISTORY)


def scenarios_of(lines: Sequence[Line]) -> tuple[str, ...]:
    """The scenarios that were ever promoted: only these have tags."""
    return tuple(dict.fromkeys(line.record.scenario for line in lines if isinstance(line.record, Promoted)))


def follow_history(root: Path, lines: Sequence[Line], scenarios: Sequence[str]) -> list[str]:
    """Set the tags that the history asks for, remove those of the stage that it does not; returns what was changed.

    Raises IntegrityError with the message of git if it fails.
    """
    changed = []
    for scenario in scenarios:
        wanted = tags_asked_for(lines, scenario)
        try:
            for name in off_the_history(root, scenario, wanted):
                if name in wanted:
                    set_tag(root, name, *wanted[name])
                else:
                    delete_tags(root, name)
                changed.append(name if name in wanted else f"{name} (removed)")
        except InputError as error:
            raise IntegrityError(
                f"{scenario}: its lines are in the history, but a tag could not be set: {error}; "
                "once that is corrected, the next `headstart release` command sets it"
            ) from None
    return changed


def tags_asked_for(lines: Sequence[Line], scenario: str) -> dict[str, Tag]:
    """Every tag that a scenario has by its lines."""
    standing, found, changes, at = Standing(scenario), dict[str, Tag](), 0, ""
    for line in lines:
        if getattr(line.record, "scenario", None) != scenario:
            continue
        standing = follow(standing, line)
        if isinstance(line.record, Promoted | Swapped | RolledBack):
            changes, at = changes + 1, line.at
        if isinstance(line.record, Promoted):
            release = standing.releases[line.record.release]
            text = f"{release.id}, {release.checkpoint}"
            found[version_tag(scenario, line.record.version)] = Tag(release.git_revision, text, line.at)
    if standing.current and standing.current.id in standing.versions:
        name = f"{artifact_name(scenario)}#{STAGE}#{changes}"
        found[name] = Tag(standing.current.git_revision, standing.note, at)
    return found


def off_the_history(root: Path, scenario: str, wanted: Mapping[str, Tag]) -> list[str]:
    """Names of tags that are missing or elsewhere, and then of those that the stage has and the history does not ask for."""
    here = tags(root)
    stage = re.compile(re.escape(f"{artifact_name(scenario)}#{STAGE}") + "[#!].*")
    wrong = [name for name, tag in wanted.items() if here.get(name) != tag.commit]
    return [*wrong, *(name for name in here if stage.fullmatch(name) and name not in wanted)]


def tag_problems(root: Path, lines: Sequence[Line]) -> Iterator[str]:
    """What `headstart verify` says of tags that are not as the history asks for them."""
    for scenario in scenarios_of(lines):
        wanted, here = tags_asked_for(lines, scenario), tags(root)
        for name in off_the_history(root, scenario, wanted):
            asked = f"revision {wanted[name].commit}" if name in wanted else "none"
            if name not in here:
                cure = "it is not here: `git fetch --tags`; if a command was interrupted, `headstart release list` sets it"
            else:
                cure = f"found {here[name] or 'one without a message'}; `headstart release list` corrects it"
            yield f"tag {name}: expected {asked}, as {HISTORY} says, {cure}"


def artifact_name(scenario: str) -> str:
    """The name of a scenario in the registry: GTO accepts letters, digits, "-" and "_"."""
    return scenario.replace(".", "-").rstrip("-_")


def next_version(root: Path, standing: Standing) -> str:
    """The version that the next promotion gets: v1.0.0, v2.0.0, …, without those that are already tagged."""
    number, taken = len(standing.versions) + 1, tags(root)
    while version_tag(standing.scenario, f"v{number}.0.0") in taken:
        number += 1
    return f"v{number}.0.0"


def version_tag(scenario: str, version: str) -> str:
    """The tag that GTO gives to a version."""
    return f"{artifact_name(scenario)}@{version}"
