"""Which runs have a log: those at work, below .headstart/, and those whose arm is complete, in reports/.

Each has an id, as queue_conflict/pretrained/seed-40.
"""

from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from headstart.config.project import REPORTS, WORK_DIR
from headstart.core.errors import InputError, UsageError, nearest, shown
from headstart.telemetry.follow import Unreadable, parsed, segment_path

PLACES = (  # of logs: of a run at work, and of one whose arm is complete
    *(f"{WORK_DIR}/{room}/*/seed-*/telemetry" for room in ("arms", "bc")),
    *(f"{REPORTS}/{depth}/telemetry/seed-*" for depth in ("*/*", "*/*/*")),
)
MAX_FIRST_BYTES = 1 << 18  # of the first record


class Run(NamedTuple):
    """A run with a log."""

    id: str
    folder: Path  # of the log
    written: float  # when something was last written, s
    given: bool = False  # a person named the folder


def runs(root: Path) -> dict[str, Run]:
    """Id → run, the one that was written last first. Of two with one id, the later counts."""
    found = filter(None, (run_in(folder) for place in PLACES for folder in root.glob(place)))
    return dict(reversed({run.id: run for run in sorted(found, key=lambda run: (run.written, run.id))}.items()))


def run_in(folder: Path) -> Run | None:
    """The run with a log in this folder; None where it has no record yet. Its first record says which run it is."""
    with suppress(OSError):
        newest = max(folder.glob("telemetry-[0-9][0-9][0-9][0-9].ndjson"), default=None)
        if newest is None:
            return None
        with segment_path(folder, 0).open("rb") as file:
            first = parsed(file.readline(MAX_FIRST_BYTES), 1)
        if not isinstance(first, Unreadable):
            return Run(f"{first.scenario}/{first.arm}/seed-{first.seed}", folder, newest.stat().st_mtime)
    return None


def chosen(root: Path, text: str | None) -> Run:
    """The run that a person means: an id or its beginning, a folder with a log, or nothing for the one that was written last.

    Raises InputError where there is none.
    """
    known = runs(root)
    if text is None:
        if not known:
            raise InputError(f"{WORK_DIR}, {REPORTS}: expected the log of a run, found none; `dvc repro` trains, and writes one")
        return next(iter(known.values()))
    return _by_folder(Path(text)) or _by_name(known, text)


def folder_of_log(root: Path, text: str) -> Path | None:
    """The log of the run SCENARIO/ARM/seed-N. None where nothing is like it, so that it may be a path; else UsageError with the nearest."""
    known = runs(root)
    for run in known.values():
        if text in (run.id, run.id.replace("/seed-", "/")):
            return run.folder
    begins = {"/".join(id.split("/")[:n]): id for id in reversed(known) for n in (1, 2, 3)}
    if close := get_close_matches(text, begins, 1):
        raise UsageError(
            f"no run {shown(text)}: expected SCENARIO/ARM/seed-N, or the path of a log (did you mean {begins[close[0]]!r}?)"
        )
    return None


def _by_folder(path: Path) -> Run | None:
    """The newest run in a folder: of a log, of a run, or of an arm."""
    with suppress(OSError, ValueError):  # a text that no path can be
        places = [
            path,
            *(
                folder
                for pattern in ("telemetry", "seed-*", "telemetry/seed-*", "seed-*/telemetry")
                for folder in path.glob(pattern)
            ),
        ]
        found = max(filter(None, map(run_in, places)), key=lambda run: run.written, default=None)
        return found and found._replace(given=True)
    return None


def _by_name(known: Mapping[str, Run], text: str) -> Run:
    wanted = text.strip("/").split("/")
    for run in known.values():
        parts = run.id.split("/")
        if all(want in (part, part.removeprefix("seed-")) for want, part in zip(wanted, parts, strict=False)):
            if len(wanted) <= len(parts):
                return run
    if not known:
        raise InputError(f"{shown(text)}: expected the log of a run, and there is none yet; `dvc repro` trains, and writes one")
    arms = sorted({run.rpartition("/")[0] for run in known})
    hint = nearest(text, [*arms, *known]) or f"; there are logs of {', '.join(arms[:12])}{', …' if len(arms) > 12 else ''}"
    raise UsageError(
        f"no run {shown(text)}: expected SCENARIO/ARM/seed-N, a part from its beginning, or a folder with a log{hint}"
    )
