"""The index of all recorded episodes, episodes.tsv (`episode-index/1`), as `curation` writes it, and which of them a clone learns from."""

import math
from pathlib import Path
from typing import NamedTuple

from headstart.core.errors import InputError
from headstart.core.files import read_bytes
from headstart.dataset.curation import INDEX_COLUMNS
from headstart.dataset.manifest import DatasetManifest

MAX_BYTES = 1 << 30


class Row(NamedTuple):
    """One episode."""

    episode_id: str
    seed: int
    world: int
    episode: int
    agent: int
    length: int
    total_reward: float
    success: bool
    harm: bool
    accepted: bool
    split: str  # train, heldout or none
    reasons: str


def read_index(path: Path) -> list[Row]:
    """All rows, in the order of the recording. Raises InputError, which names the line, for a file that is no `episode-index/1`."""
    lines = read_bytes(path, MAX_BYTES).decode(errors="replace").split("\n")
    if lines[:2] != ["# episode-index/1", "\t".join(INDEX_COLUMNS)]:
        raise InputError(f"{path}: expected an episode-index/1, got {lines[0][:60]!r}")
    return [_row(line, f"{path}, line {number}") for number, line in enumerate(lines[2:-1], start=3)]


def _row(line: str, where: str) -> Row:
    cells = line.split("\t")
    try:
        if len(cells) != len(INDEX_COLUMNS):
            raise ValueError(f"{len(cells)} columns")
        seed, world, episode, agent, length = (int(cell) for cell in cells[1:6])
        success, harm, accepted = ({"true": True, "false": False}[cell] for cell in cells[7:10])
        return Row(cells[0], seed, world, episode, agent, length, float(cells[6]), success, harm, accepted, cells[10], cells[11])
    except (ValueError, KeyError) as error:
        raise InputError(f"{where}: expected {', '.join(INDEX_COLUMNS)}: {error}") from None


def used_of(rows: list[Row], manifest: DatasetManifest, block: int, wanted: int | None) -> tuple[list[Row], list[Row]]:
    """The accepted episodes of a block that a clone learns from, and those that it is judged by: `wanted` in all, None: all.

    As `runs.demonstrations.read_used` takes them: the first of each side, in the share of the sides.
    """
    first, last = manifest.blocks[block].first_world, manifest.blocks[block].last_world
    here = [row for row in rows if row.accepted and first <= row.world <= last]
    train, heldout = ([row for row in here if row.split == side] for side in ("train", "heldout"))
    if wanted is None or wanted > len(here):
        return train, heldout
    judged = max(1, math.floor(wanted * len(heldout) / len(here)))
    return train[: wanted - judged], heldout[:judged]
