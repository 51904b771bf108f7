"""Whether the code of environments is still that which the stage `source` hashed: DVC does not watch code outside the repository."""

from pathlib import Path

from headstart.config.project import DATA
from headstart.config.scenario import load_scenario
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import read_record
from headstart.runs.recorded import ENVIRONMENT, Environment
from headstart.worlds.make import environment_sha256


def recorded_environments(root: Path) -> dict[str, str]:
    """Scenario → hash of its environment, of the scenarios whose environment is none of this package."""
    found = {
        path.parents[1].name: read_record(path, Environment).sha256 for path in (root / DATA).glob(f"*/source/{ENVIRONMENT}")
    }
    return {name: sha256 for name, sha256 in sorted(found.items()) if sha256 is not None}


def require_environment(root: Path, name: str, recorded: str) -> None:
    """IntegrityError unless the environment of a scenario has the recorded hash, and where it cannot be made."""
    scenario = load_scenario(name, root / "scenarios")
    try:
        now = environment_sha256(scenario.world, scenario.setup)
    except InputError as error:
        raise IntegrityError(f"scenarios/{name}.yaml: {error}") from error
    if now != recorded:
        raise IntegrityError(
            f"scenarios/{name}.yaml: expected the environment {recorded[:12]} that was played, found {now[:12]}: its code or a version changed; "
            f"`dvc repro --force source@{name}` and then `dvc repro` play it anew"
        )
