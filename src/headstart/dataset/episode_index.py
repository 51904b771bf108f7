"""The index of all episodes of a dataset, accepted or not, as a table for people and programs (`episode-index/1`).

A TSV: one comment line with the schema id, one with the column names, then a row an episode. Rejected episodes stay here with
their reasons; their data are not in the dataset.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, ValidationError

from headstart.core.errors import InputError
from headstart.core.files import problems, read_bytes, write_bytes
from headstart.core.record import Count, Record

MAX_BYTES = 256 << 20
_FIRST_LINE = "# episode-index/1"


class EpisodeRow(Record):
    """One episode; `split` is "none" for a rejected one, whose `reasons` say why."""

    episode_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    seed: int
    world: Count
    episode: Count
    agent: Count
    length: Count
    total_reward: float
    success: bool
    harm: bool
    accepted: bool
    split: Literal["train", "heldout", "none"]
    reasons: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")], ...]


def write_index(path: Path, rows: Iterable[EpisodeRow]) -> None:
    """Write the rows in the given order, atomically. Floats keep every bit: `repr` is the shortest text that does."""
    lines = [_FIRST_LINE, "\t".join(EpisodeRow.model_fields)]
    lines += ["\t".join(_cell(value) for _, value in row) for row in rows]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def read_index(path: Path) -> list[EpisodeRow]:
    """Read all rows. Raises InputError naming file, line and column of what is not as it should be."""
    data = read_bytes(path, MAX_BYTES, made_by="headstart curate")
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8, got byte 0x{data[error.start]:02x} at {error.start}") from None
    names = list(EpisodeRow.model_fields)
    if lines[0] != _FIRST_LINE or lines[1:2] != ["\t".join(names)] or lines[-1] != "":
        raise InputError(f"{path}: expected {_FIRST_LINE!r}, a line of the columns {names}, and a last newline")
    return [_row(f"{path}, line {number}", line) for number, line in enumerate(lines[2:-1], start=3)]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return repr(value) if isinstance(value, float) else str(value)


def _row(where: str, line: str) -> EpisodeRow:
    cells = line.split("\t")
    if len(cells) != len(EpisodeRow.model_fields):
        raise InputError(f"{where}: expected {len(EpisodeRow.model_fields)} cells, got {len(cells)}")
    values: dict[str, object] = dict(zip(EpisodeRow.model_fields, cells, strict=True))
    values["reasons"] = tuple(cells[-1].split(",")) if cells[-1] else ()
    try:
        return EpisodeRow.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {problems(error)}") from None
