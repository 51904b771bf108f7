"""How many bytes lie where: by stage in the working tree and in DVC's cache, and what is in no stage."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from headstart.config.project import DATA, WORK_DIR
from headstart.core.dvc_lock import read_lock
from headstart.storage.needed import Needed, listed
from headstart.storage.unneeded import Listing, size_of

QUARANTINE = DATA / "quarantine"


class Bytes(NamedTuple):
    """What one stage keeps, as dvc.lock has it now."""

    workspace: int
    cache: int


def by_stage(root: Path, store: Listing) -> dict[str, Bytes]:
    """Stage, without its scenario and arm → its bytes. An object of two stages counts for the first one."""
    seen: set[str] = set()
    workspace, cache = defaultdict[str, int](int), defaultdict[str, int](int)
    for stage in read_lock(root):
        name = stage.name.partition("@")[0]
        for path, md5 in stage.outs.items():
            workspace[name] += size_of(root / path)
            files = listed(store.odb, md5).values() if md5.endswith(".dir") and md5 in store.objects else ()
            for one in {md5, *files} - seen:
                seen.add(one)
                cache[name] += store.objects.get(one, 0)
    return {name: Bytes(workspace[name], cache[name]) for name in workspace}


def others(store: Listing, kept: Needed) -> tuple[int, int]:
    """Bytes of objects that only other commits, experiments, releases and catalogue entries need, and of those that nothing needs."""
    needed = sum(size for name, size in store.objects.items() if name in kept.all and name not in kept.here)
    return needed, sum(size for name, size in store.objects.items() if name not in kept.all) + sum(store.strays.values())


def only_here(store: Listing, kept: Needed, remote: Listing) -> int:
    """Bytes of what is needed and not in a remote."""
    return sum(size for name, size in store.objects.items() if name in kept.all and name not in remote.objects)


def outside(root: Path) -> dict[str, int]:
    """Folder → bytes of what is neither an output of a stage nor in the cache."""
    found = {f"{WORK_DIR}/{path.name}": size_of(path) for path in sorted((root / WORK_DIR).glob("*"))}
    found |= {QUARANTINE.as_posix(): size_of(root / QUARANTINE), ".dvc/cache/runs": size_of(root / ".dvc/cache/runs")}
    return {name: size for name, size in found.items() if size}


def shown(size: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def total(values: Any) -> str:
    return shown(sum(values))
