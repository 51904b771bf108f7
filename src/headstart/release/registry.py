"""Versions of promoted policies as git tags of GTO, `<scenario>@v2.0.0`, and which of them is in the stage `prod`.

`dvc artifacts get . <scenario> --stage prod` gets the arm's folder, if `artifacts:` in dvc.yaml contains its path. While a release is in use
that was never promoted, no version is in the stage. The tags follow the history and decide nothing: every command that writes a line first sets
those that an interrupted command left out.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from headstart.config.scenario import load_scenario
from headstart.core.errors import Hold, InputError, IntegrityError
from headstart.core.git import committer, delete_tags, tagged_commit
from headstart.release.history import HISTORY, History, open_history
from headstart.release.standing import Standing, standing_of

STAGE = "prod"


@contextmanager
def open_scenario(root: Path, scenario: str) -> Iterator[tuple[History, Standing]]:
    """Yield the history, locked, and the standing of the scenario; when the block ends, the tags follow the lines that it added.

    Raises UsageError for an unknown scenario, Busy and IntegrityError as `open_history` does, and Hold unless git knows who tags, or if the tags
    lagged behind the history: they are set then, and the user must decide whether to run the command again.
    """
    load_scenario(scenario, root / "scenarios")
    require_identity(root)
    with open_history(root / HISTORY) as history:
        standing = standing_of(history.lines, scenario)
        if tags := set_tags(root, standing):
            raise Hold(
                f"{scenario}: expected the tags that the history asks for ({standing.note}); an earlier command did not get so far. "
                f"Changed now: {', '.join(tags)}. Run the command again if it is still wanted"
            )
        yield history, standing
        set_tags(root, standing_of(history.lines, scenario))


def require_identity(root: Path) -> None:
    """Raise Hold unless git knows who tags."""
    try:
        committer(root)
    except InputError:
        raise Hold("expected a git identity to tag with; `git config user.name` and `git config user.email` set it") from None


def artifact_name(scenario: str) -> str:
    """The name of a scenario in the registry: GTO accepts letters, digits, "-" and "_"."""
    return scenario.replace(".", "-").rstrip("-_")


def next_version(root: Path, standing: Standing) -> str:
    """The version that the next promotion gets: v1.0.0, v2.0.0, …, without those that are already tagged."""
    number = len(standing.versions) + 1
    while tagged_commit(root, version_tag(standing.scenario, f"v{number}.0.0")):
        number += 1
    return f"v{number}.0.0"


def version_tag(scenario: str, version: str) -> str:
    """The tag that GTO gives to a version."""
    return f"{artifact_name(scenario)}@{version}"


def set_tags(root: Path, standing: Standing) -> list[str]:
    """Tag every promoted version, and put that of the release in use, if it has one, on the stage `prod`; returns what was changed.

    Raises IntegrityError with the message of GTO if it fails.
    """
    if not standing.versions:
        return []
    from gto.exceptions import GTOException
    from scmrepo.exceptions import SCMError

    try:
        with redirect_stdout(io.StringIO()):
            return [*_register(root, standing), *_move_stage(root, standing)]
    except (GTOException, SCMError) as error:
        raise IntegrityError(
            f"{standing.scenario}: the line is written, but its tag could not be set: {' '.join(str(error).split())}; "
            "once that is corrected, the next `headstart release` command sets it"
        ) from None


def _register(root: Path, standing: Standing) -> list[str]:
    import gto.api

    done = []
    for release_id, version in standing.versions.items():
        tag = version_tag(standing.scenario, version)
        if tagged_commit(root, tag) is None:
            release, name = standing.releases[release_id], artifact_name(standing.scenario)
            text = f"{release_id}, {release.checkpoint}"
            gto.api.register(str(root), name, release.git_revision, version=version, message=text)
            done.append(tag)
    return done


def _move_stage(root: Path, standing: Standing) -> list[str]:
    """The stage holds one version at most: of several GTO takes the highest, and DVC that of the last tag, be it an unassignment."""
    import gto.api

    where, name = str(root), artifact_name(standing.scenario)
    in_use = standing.versions.get(standing.current.id) if standing.current else None
    if in_use is None:
        return list(delete_tags(root, f"{name}#{STAGE}[#!]*"))
    staged = {found.version for found in gto.api.find_versions_in_stage(where, name, STAGE, versions_per_stage=-1) or ()}
    if staged == {in_use}:
        return []
    for version in staged:
        gto.api.unassign(where, name, version=version, stage=STAGE, message=standing.note)
    gto.api.assign(where, name, STAGE, version=in_use, message=standing.note)
    return [f"{name}#{STAGE} ({in_use})"]
