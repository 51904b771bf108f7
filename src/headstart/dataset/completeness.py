"""Is the dataset all of the recording, and do its records say what is in its files: nothing left out, moved to the other side or miscounted."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from headstart.config.params import CaptureParams
from headstart.core.arrays import Array
from headstart.core.verdict import Check, at_most, unmeasured
from headstart.dataset.curation import index_lines
from headstart.dataset.episodes import EpisodeTable, Header, is_whole
from headstart.dataset.facts import Decided, block_of, facts_of
from headstart.dataset.gates import Dataset
from headstart.dataset.manifest import DatasetFacts, DatasetManifest
from headstart.dataset.metrics import coverage_of, metrics_lines, metrics_of


class Records(NamedTuple):
    """What stands beside the episodes of a dataset."""

    manifest: DatasetManifest
    header: Header
    recorded: EpisodeTable  # the index: all recorded episodes
    reasons: list[list[str]]  # why each was rejected
    lines: list[str]  # of the index
    numbers: list[str]  # lines of the metrics
    block: Array  # [E] in whose files each accepted episode is
    dataset: str  # what it is called where it lies: the scenario, or a draft


def completeness_gates(data: Dataset, found: Records, capture: CaptureParams, first_world: int) -> Iterator[Check]:
    """`first_world` is the first id of the worlds that are recorded."""
    wrong = _wrong_worlds(data, found, capture, first_world)
    text = f"worlds that are missing, additional or incomplete: {', '.join(map(str, wrong[:5])) or 'none'}"
    yield at_most("recorded-worlds", len(wrong), 0, text, len(found.recorded.length))
    yield _index(data, found)
    yield _metrics(data, found)
    if wrong:
        yield from (unmeasured(name, "<=", 0, "see recorded-worlds") for name in ("split-rule", "manifest"))
        return
    block = block_of(found.recorded.world, capture, "", data.recorded)
    splits = found.manifest.splits
    decided = Decided(found.reasons, block, splits.seed, splits.heldout_share)
    yield _split_rule(data, found, decided)
    files = found.manifest.files
    facts = facts_of(found.dataset, found.recorded, decided, found.header, data.scenario, capture.blocks, files)
    others = [name for name in DatasetFacts.model_fields if getattr(facts, name) != getattr(found.manifest, name)]
    yield at_most("manifest", len(others), 0, f"facts that differ from the recording: {', '.join(others) or 'none'}")


def _wrong_worlds(data: Dataset, found: Records, capture: CaptureParams, first_world: int) -> list[int]:
    """The recorded worlds are those that were asked for, each with all lives of all agents; those of a user's recording count its episodes."""
    table = found.recorded
    worlds = np.unique(table.world)
    expected = np.arange(len(worlds) if data.recorded else capture.all_worlds) + first_world
    agents = int(table.agent.max(initial=0)) + 1
    rows = np.split(np.argsort(table.world, kind="stable"), np.searchsorted(np.sort(table.world), worlds)[1:])
    gaps = [
        int(world)
        for world, mine in zip(worlds, rows, strict=True)
        if not is_whole(table, mine, agents, data.scenario.is_foreign)
    ]
    return sorted({*np.setxor1d(worlds, expected).tolist(), *gaps})


def _index(data: Dataset, found: Records) -> Check:
    """The accepted lines of the index are those of the episodes in the files, each once."""
    table = data.episodes.table
    accepted = Counter(line for line, why in zip(found.lines, found.reasons, strict=True) if not why)
    there = Counter(index_lines(table, data.heldout, [[]] * len(table.length)))
    off = sum(((accepted - there) + (there - accepted)).values())
    return at_most("index", off, 0, f"{off} lines or episodes that the other side lacks", len(found.lines))


def _metrics(data: Dataset, found: Records) -> Check:
    """The metrics of the accepted episodes are those that their steps give."""
    episodes, everyone = data.episodes, np.ones(len(data.episodes.table.length), bool)
    again = metrics_of(episodes, data.schema, data.absent) | coverage_of(episodes, data.schema, everyone)
    accepted = Counter(line for line, why in zip(found.numbers, found.reasons, strict=True) if not why)
    there = Counter(metrics_lines(episodes.table.episode_id, again))
    off = sum(((accepted - there) + (there - accepted)).values())
    return at_most("metrics", off, 0, f"{off} lines or episodes that the other side lacks", len(found.numbers))


def _split_rule(data: Dataset, found: Records, decided: Decided) -> Check:
    """Every world is in its block, and on the side on which the rule of the manifest puts it."""
    rule = zip(decided.block.tolist(), decided.heldout(found.recorded.world).tolist(), strict=True)
    place = dict(zip(found.recorded.world.tolist(), rule, strict=True))
    there = zip(found.block.tolist(), data.heldout.tolist(), strict=True)
    off = sum(place.get(world) != now for world, now in zip(data.episodes.table.world.tolist(), there, strict=True))
    return at_most("split-rule", off, 0, f"{off} episodes are in another block or on another side", len(data.heldout))
