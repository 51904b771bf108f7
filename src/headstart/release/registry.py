"""Versions of released policies as git tags, by GTO: `<scenario>@v2.0.0`, and the stage `prod`. It gates nothing; `promote` does.

`dvc artifacts get . <scenario> --stage prod` brings the arm's folder, if `artifacts:` in dvc.yaml says where it lies.
"""

import io
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

from headstart.core.errors import Hold, IntegrityError

STAGE = "prod"


def artifact_name(scenario: str) -> str:
    """How the registry spells a scenario: GTO takes letters, digits, "-" and "_"."""
    return scenario.replace(".", "-").rstrip("-_")


def next_version(root: Path, scenario: str) -> str:
    """The version that the next release of a scenario gets: v1.0.0, v2.0.0, …"""
    import gto.api
    from gto.exceptions import GTOException

    try:
        with redirect_stdout(io.StringIO()):
            known = [version["version"] for version in gto.api.show(str(root), artifact_name(scenario), registered_only=True)]
    except GTOException:  # it never heard of it
        known = []
    return f"v{max((int(version[1:].split('.')[0]) for version in known), default=0) + 1}.0.0"


def register(root: Path, scenario: str, version: str, message: str) -> None:
    """Tag HEAD as this version and put it on the stage `prod`. Raises IntegrityError with GTO's words where it will not."""
    import gto.api
    from gto.exceptions import GTOException
    from scmrepo.exceptions import SCMError

    name = artifact_name(scenario)
    try:
        with redirect_stdout(io.StringIO()):
            gto.api.register(str(root), name, "HEAD", version=version, message=message, force=True)
            gto.api.assign(str(root), name, STAGE, version=version, message=message, force=True)
    except (GTOException, SCMError) as error:
        raise IntegrityError(
            f"{scenario} was promoted, but its tag could not be set: {' '.join(str(error).split())} "
            f"`gto register {name} HEAD --version {version}` and `gto assign {name} --version {version} --stage {STAGE}` set it"
        ) from None


def require_identity(root: Path) -> None:
    """Raise Hold unless git knows who tags."""
    done = subprocess.run(["git", "var", "GIT_COMMITTER_IDENT"], cwd=root, capture_output=True)
    if done.returncode:
        raise Hold("expected a git identity to tag with; `git config user.name` and `git config user.email` set it")
