"""`dvc status`, asked of DVC in the process of the test: the program itself takes more than a second to begin."""

from pathlib import Path

from dvc.repo import Repo


def changed_stages(folder: Path) -> set[str]:
    """The names of the stages that it lists, as `expert@walk`."""
    return set(changed_paths(folder))


def changed_paths(folder: Path) -> dict[str, set[str]]:
    """Stage, as `expert@walk` → the paths of its dependencies and outputs that it lists."""
    with Repo(str(folder)) as repo:
        listed = repo.status()
    found = {}
    for name, changes in listed.items():
        groups = [group for change in changes if isinstance(change, dict) for group in change.values()]
        found[name.rpartition(":")[2]] = {path for group in groups for path in group}  # from elsewhere it says `path:stage`
    return found
