"""The ways in which this project brings something to disk, each as a program that can be recorded and a check of what a crash left.

A program tells what it promised its user with `acknowledge(n)`; the check gets the last of these numbers, and the folder as it is after the
crash. It does what the next ordinary command does, and raises, or returns what is wrong.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tests.histories import lines_of, release, verdict
from tests.torture import catalogue_writes
from tests.torture.recorder import REPOSITORY, acknowledge

from headstart.config.history import HISTORY, Drilled, Event, Promoted, RolledBack, Swapped, open_history, read_history, written
from headstart.core.arrays import Array
from headstart.core.files import fresh_directory, read_record, write_bytes, write_record
from headstart.core.record import Count, Record
from headstart.core.strict_json import canonical_json
from headstart.dataset import episodes_file
from headstart.dataset.catalogue import Entry, Stored, add_entry, change_mark, read_entries, read_marks
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.dataset.manifest import Quality
from headstart.dataset.observation import ObservationSchema
from headstart.release.registry import follow_history, open_recovered, tag_problems
from headstart.runs.states import PROGRESS, STATES, begin_work, commit, load_state, save_state
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import TelemetryWriter

ROUNDS = 3


class Protocol(NamedTuple):
    """One way of writing."""

    begin: Callable[[Path], None]  # makes what is there before
    run: Callable[[Path], None]
    check: Callable[[Path, int], str | None]  # what is wrong with the folder, if this number was acknowledged
    share: float = 1.0  # of the states: less where the check runs other programs


class Sample(Record):
    """A record of two kilobytes, in which every byte follows from its number."""

    schema_id: Literal["sample/1"] = "sample/1"
    number: Count
    text: str


def sample(number: int) -> Sample:
    return Sample(number=number, text="".join(hashlib.sha256(f"{number} {i}".encode()).hexdigest() for i in range(32)))


def between(found: int, promised: int, what: str) -> str | None:
    """One more may be there than was promised: the one that was being written."""
    return None if promised <= found <= promised + 1 else f"{what}: expected {promised} or {promised + 1}, found {found}"


# --- a file -----------------------------------------------------------------------------------------------------------


def begin_file(root: Path) -> None:
    write_record(root / "f.json", sample(0))


def run_file(root: Path) -> None:
    for number in range(1, ROUNDS + 1):
        write_record(root / "f.json", sample(number))
        write_bytes(root / "new/deep/g", sample(number).text.encode())
        acknowledge(number)


def check_file(root: Path, promised: int) -> str | None:
    found = read_record(root / "f.json", Sample)
    if found != sample(found.number):
        return "f.json: another content than any that was written"
    deep = root / "new/deep/g"
    texts = [sample(number).text.encode() for number in range(ROUNDS + 1)]
    other = texts.index(deep.read_bytes()) if deep.exists() else 0
    write_record(root / "f.json", sample(9))
    write_bytes(deep, b"again")
    return between(found.number, promised, "f.json") or between(other, promised, "new/deep/g")


# --- a folder ---------------------------------------------------------------------------------------------------------


def fill(folder: Path, number: int) -> None:
    (folder / "inner").mkdir()
    for name in ("a.json", f"only-{number}", "inner/b"):
        (folder / name).write_text(f"{name} {sample(number).text[:700]}")


def begin_folder(root: Path) -> None:
    replace_folder(root, 0)


def replace_folder(root: Path, number: int) -> None:
    with fresh_directory(root / "out" / "d") as folder:
        fill(folder, number)


def run_folder(root: Path) -> None:
    for number in range(1, ROUNDS + 1):
        replace_folder(root, number)
        acknowledge(number)


def check_folder(root: Path, promised: int) -> str | None:
    found = {p.relative_to(root / "out/d").as_posix(): p.read_text() for p in (root / "out/d").rglob("*") if p.is_file()}
    for number in range(ROUNDS + 1):
        if found == {n: f"{n} {sample(number).text[:700]}" for n in ("a.json", f"only-{number}", "inner/b")}:
            replace_folder(root, 9)
            return between(number, promised, "the folder")
    return f"expected the files of one version, found {sorted(found)}"


# --- the history ------------------------------------------------------------------------------------------------------


def drill(number: int) -> Drilled:
    return Drilled(passed=True, rounds=number, guardrails=("nonfinite", "ratio") * 9)


def begin_history(root: Path) -> None:
    (root / ".headstart").mkdir()


def append_drill(root: Path, number: int) -> None:
    with open_history(root, "drill") as history:
        history.append(drill(number), "Ada", "a drill that somebody ran because the policy goes to use tomorrow")


def run_history(root: Path) -> None:
    for number in range(1, ROUNDS + 1):
        append_drill(root, number)
        acknowledge(number)


def check_history(root: Path, promised: int) -> str | None:
    before = read_history(root / HISTORY)
    with open_history(root, "drill") as history:
        if history.lines != before:
            return "a reader and a writer disagree"
    append_drill(root, 99)
    lines = read_history(root / HISTORY)
    if [line.record for line in lines] != [*(drill(number + 1) for number in range(len(before))), drill(99)]:
        return "other lines than were written"
    return between(len(before), promised, "lines")


# --- releases: the history and the tags of git -------------------------------------------------------------------------


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def begin_release(root: Path) -> None:
    git(root, "init", "--quiet", "--template=")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@example.org")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    (root / ".git/info").mkdir(exist_ok=True)
    first = release(seed=1, revision=git(root, "rev-parse", "HEAD"))
    lines = lines_of(verdict(0, candidate=first), verdict(1, candidate=first))
    write_bytes(root / HISTORY, b"".join(canonical_json(line.model_dump(mode="json")) + b"\n" for line in lines))


def steps(root: Path) -> list[Event]:
    revision = git(root, "rev-parse", "HEAD")
    first, other = release(seed=1, revision=revision), release(seed=2, revision=revision)
    return [
        Promoted(scenario="walk", release=first.id, version="v1.0.0"),
        Swapped(scenario="walk", release=other, baseline=None),
        RolledBack(scenario="walk", release=first.id),
    ]


def take(root: Path, event: Event) -> None:
    """As the commands do it: the tags of what is there, then the line unless it is there, then its tags."""
    with open_recovered(root, "a command") as history:
        if written(history.lines, type(event), "walk", "Ada", "spring") is None:  # type: ignore[type-var]
            history.append(event, "Ada", "spring")
        follow_history(root, history.lines, ["walk"])


def run_release(root: Path) -> None:
    for number, event in enumerate(steps(root), start=1):
        take(root, event)
        acknowledge(number)


def check_release(root: Path, promised: int) -> str | None:
    events = steps(root)
    with open_recovered(root, "a command") as history:
        done = [line.record for line in history.lines[2:]]
        if problems := list(tag_problems(root, history.lines)):
            return f"after {len(done)} lines: {problems[0]}"
    if done != events[: len(done)]:
        return "other lines than were written"
    again = events[max(promised, len(done)) - 1] if done else events[0]
    take(root, again)  # the command that was killed, typed again
    lines = read_history(root / HISTORY)
    if len(lines) != 2 + max(len(done), 1):
        return f"expected {len(done)} events, found {len(lines) - 2} after the same command again"
    if problems := list(tag_problems(root, lines)):
        return problems[0]
    git(root, "fsck", "--strict", "--no-dangling")
    return between(len(done), promised, "events")


# --- marks of the catalogue -------------------------------------------------------------------------------------------

ENTRY = Entry(
    dataset="walk",
    version="0" * 12,
    scenario="walk",
    stored=(Stored(manifest_sha256="a" * 64, manifest_md5=None, files_md5=None),),
    episodes=2,
    steps=30,
    rejected=0,
    quality=Quality(success_rate=0.9, harm_rate=0.1, return_mean=1.5, steps_mean=10.0),
    expert="scripted",
    policy_sha256="6" * 64,
    created_at="2026-01-01T00:00:00.000Z",
    parameters={},
    licence=None,
)


def begin_marks(root: Path) -> None:
    add_entry(root, ENTRY)


def tag(root: Path, number: int) -> None:
    change_mark(root, ENTRY.name, lambda mark: mark.model_copy(update={"tags": (*mark.tags, f"tag-{number}-{'x' * 100}")}))


def run_marks(root: Path) -> None:
    for number in range(1, ROUNDS + 1):
        tag(root, number)
        acknowledge(number)


def check_marks(root: Path, promised: int) -> str | None:
    if read_entries(root) != (ENTRY,):
        return "other facts than were there"
    before = read_marks(root)[ENTRY.name].tags if read_marks(root) else ()
    tag(root, 9)
    numbers = [name.split("-")[1] for name in read_marks(root)[ENTRY.name].tags]
    if numbers != [str(number + 1) for number in range(len(before))] + ["9"]:
        return f"expected the tags in their order, found {numbers}"
    return between(len(before), promised, "tags")


# --- the log of a training --------------------------------------------------------------------------------------------

ENVELOPE = Envelope(run_id="run-1", arm="scratch", world="town", scenario="walk", seed=3, stage="baseline")
UPDATE: dict[str, Any] = json.loads((REPOSITORY / "tests/golden/telemetry_fields.json").read_text())["update"]
PER_SEGMENT = 4096  # bytes: some segments are closed


def log(root: Path, keep: int) -> TelemetryWriter:
    return TelemetryWriter(root / "run/telemetry", ENVELOPE, max_bytes=PER_SEGMENT, keep=keep)


def write_updates(writer: TelemetryWriter, count: int) -> None:
    for _ in range(count):
        writer.write("update", env_steps=100 * (writer.seq + 1), **UPDATE)


def begin_log(root: Path) -> None:
    (root / "run").mkdir()


def run_log(root: Path) -> None:
    """The training is interrupted twice; each time records were written behind what its progress.json had."""
    kept = 0
    for _ in range(ROUNDS):
        with log(root, kept) as writer:
            for _ in range(2):
                write_updates(writer, 3)
                writer.flush()
                kept = writer.seq
                acknowledge(kept)
            write_updates(writer, 2)


def check_log(root: Path, promised: int) -> str | None:
    if not promised:
        return None  # nothing was kept, and the training begins anew in a new folder
    with log(root, promised) as writer:
        write_updates(writer, 2)
    found = [(record.seq, record.env_steps) for record in read_telemetry(root / "run/telemetry")]
    return None if found == [(n, 100 * n) for n in range(1, promised + 3)] else f"expected {promised + 2} records, found {found}"


# --- states of a training ---------------------------------------------------------------------------------------------


class Kept(Record):
    """What a training remembers beside its states."""

    schema_id: Literal["kept/1"] = "kept/1"
    states: tuple[Count, ...]


def state(number: int) -> dict[str, Array]:
    return {"weights": np.random.default_rng(number).random(64), "step": np.array(number)}


def begin_states(root: Path) -> None:
    begin_work(root / "work")


def keep(work: Path, numbers: tuple[int, ...]) -> None:
    """As a training does it: the newest state, then that it counts, then the others are forgotten."""
    save_state(work, f"at-{numbers[-1]}", state(numbers[-1]))
    commit(work, Kept(states=numbers), [f"at-{number}" for number in numbers])


def run_states(root: Path) -> None:
    for number in range(1, ROUNDS + 1):
        keep(root / "work", tuple(range(max(1, number - 1), number + 1)))
        acknowledge(number)


def check_states(root: Path, promised: int) -> str | None:
    work = root / "work"
    begin_work(work)
    numbers = read_record(work / PROGRESS, Kept).states if (work / PROGRESS).exists() else (0,)
    for number in numbers if numbers != (0,) else ():
        found = load_state(work, f"at-{number}")
        if any(found[name].tobytes() != value.tobytes() for name, value in state(number).items()):
            return f"state {number}: other arrays than were written"
    keep(work, (99,))
    if [path.name for path in (work / STATES).iterdir()] != ["at-99.safetensors"]:
        return f"expected one state, found {sorted(path.name for path in (work / STATES).iterdir())}"
    return between(numbers[-1], promised, "states")


# --- shards of a capture ----------------------------------------------------------------------------------------------

WALKS = ObservationSchema(
    world="walk",
    features=("y", "x", "goal_y", "goal_x", "progress", "beacon"),
    actions=("wait", "north", "south", "east", "west"),
    reward_terms=("time", "goal"),
)
HEADER = Header(scenario="walk", scenario_sha256="a" * 64, policy_sha256="b" * 64, seed=7, observation=WALKS, writer_version="1")


@cache
def shards() -> list[Episodes]:
    from tests.dataset.conftest import record_walks  # a second of imports, which the program need not wait for

    return [record_walks([number]) for number in range(ROUNDS)]


def begin_shards(root: Path) -> None:
    for number, episodes in enumerate(shards()):
        write_episodes(root / f"recorded-{number}.h5", episodes, HEADER)


def run_shards(root: Path) -> None:
    episodes_file.MEMORY_BYTES = 1 << 14  # HDF5 writes whole blocks and cuts the file then: a small one, for a short record
    for number in range(ROUNDS):
        write_episodes(root / f"shards/{number}.h5", *read_episodes(root / f"recorded-{number}.h5"))
        acknowledge(number + 1)
    with fresh_directory(root / "raw") as raw:
        for number in range(ROUNDS):
            shutil.copy2(root / f"shards/{number}.h5", raw / f"{number}.h5")
    acknowledge(ROUNDS + 1)


def check_shards(root: Path, promised: int) -> str | None:
    """A capture keeps the shards that are there and writes the others; a file that is there is whole."""
    there = [number for number in range(ROUNDS) if (root / f"shards/{number}.h5").exists()]
    if (root / "raw").exists():
        there.append(ROUNDS)
    for folder, numbers in (("shards", there[:ROUNDS]), ("raw", range(ROUNDS) if ROUNDS in there else ())):
        for number in numbers:
            if (root / folder / f"{number}.h5").read_bytes() != (root / f"recorded-{number}.h5").read_bytes():
                return f"{folder}/{number}.h5: other bytes than were written"
    if there != list(range(len(there))):
        return f"expected shards in their order, found {there}"
    return between(len(there), promised, "shards")


PROTOCOLS: dict[str, Protocol] = {
    "file": Protocol(begin_file, run_file, check_file),
    "folder": Protocol(begin_folder, run_folder, check_folder),
    "history": Protocol(begin_history, run_history, check_history),
    "marks": Protocol(begin_marks, run_marks, check_marks),
    "log": Protocol(begin_log, run_log, check_log),
    "states": Protocol(begin_states, run_states, check_states),
    "shards": Protocol(begin_shards, run_shards, check_shards),
    "release": Protocol(begin_release, run_release, check_release, share=0.1),
    "catalogue": Protocol(catalogue_writes.begin, catalogue_writes.run, catalogue_writes.check, share=0.3),
}

if __name__ == "__main__":
    PROTOCOLS[sys.argv[1]].run(Path(sys.argv[2]))
