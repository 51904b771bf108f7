"""The catalogue, facts and marks, as one of the ways in which this project brings something to disk."""

from pathlib import Path

from tests.torture.recorder import acknowledge

from headstart.dataset.catalogue import Entry, Mark, Stored, add_entry, change_mark, read_entries, read_marks
from headstart.dataset.manifest import Quality

ROUNDS = 3


def entry(number: int) -> Entry:
    return Entry(
        dataset="walk",
        version=f"{number:012x}",
        scenario="walk",
        stored=(Stored(manifest_sha256=f"{number:064x}", manifest_md5=f"{number:032x}", files_md5=f"{number:032x}.dir"),),
        episodes=number,
        steps=number,
        rejected=0,
        quality=Quality(success_rate=1.0, harm_rate=0.0, return_mean=1.0, steps_mean=1.0),
        expert="scripted",
        policy_sha256="a" * 64,
        created_at=f"2026-01-{number + 1:02}T00:00:00.000Z",
        parameters={},
        licence=None,
    )


def tag(root: Path, number: int) -> None:
    def change(mark: Mark) -> Mark:
        return mark.model_copy(update={"tags": (*mark.tags, f"t{number}")})

    change_mark(root, entry(0).name, change)


def begin(root: Path) -> None:
    add_entry(root, entry(0))


def run(root: Path) -> None:
    """A version, then a tag: each is promised when its command ends."""
    for number in range(1, ROUNDS + 1):
        add_entry(root, entry(number))
        acknowledge(2 * number - 1)
        tag(root, number)
        acknowledge(2 * number)


def check(root: Path, promised: int) -> str | None:
    """All that was promised is there and nothing is half written; the next version and the next tag follow."""
    done = len(read_entries(root)) - 1 + len(read_marks(root).get(entry(0).name, Mark()).tags)
    if not promised <= done <= promised + 1:
        return f"catalogue: expected {promised} or {promised + 1} writes, found {done}"
    add_entry(root, entry(9))
    tag(root, 9)
    versions, tags = [one.episodes for one in read_entries(root)], read_marks(root)[entry(0).name].tags
    expected = ([*range((done + 1) // 2 + 1), 9], (*(f"t{n}" for n in range(1, done // 2 + 1)), "t9"))
    if (versions, tags) != expected:
        return f"catalogue: expected {expected}, found {(versions, tags)}"
    left = [path.name for path in (root / "data/catalogue").iterdir() if path.name not in ("walk.json", "marks.json")]
    return f"catalogue: {left} stayed" if left else None
