"""`dvc status`, asked of DVC in the process of the test: the program itself takes more than a second to begin."""

from pathlib import Path

from dvc.repo import Repo


def changed_stages(folder: Path) -> set[str]:
    """The names of the stages that it lists, as `expert@walk`."""
    with Repo(str(folder)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}  # from elsewhere it says `path:stage`
