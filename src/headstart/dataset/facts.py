"""The facts of a dataset, from all recorded episodes and what was decided on each: `curate` writes them, `validate` derives them again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headstart.config.params import CaptureParams
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.contents import StoredFile
from headstart.core.errors import InputError
from headstart.dataset.curation import split_by_world
from headstart.dataset.episodes import Absent, EpisodeTable, Header
from headstart.dataset.manifest import Block, DatasetFacts, Quality, Splits, Tally

RULE = "splitmix64 of (seed, world) below the held-out share; all agents of a world on one side"


class Decided(NamedTuple):
    """What was decided on E recorded episodes."""

    reasons: Sequence[Sequence[str]]  # [E] why each was rejected; empty: accepted
    block: Array  # [E] i64
    seed: int  # of the split
    heldout_share: float

    @property
    def accepted(self) -> Array:
        """[E] bool."""
        return np.array([not why for why in self.reasons], bool)

    @property
    def counts(self) -> dict[str, int]:
        """Reason → episodes."""
        return dict(sorted(Counter(code for why in self.reasons for code in why).items()))

    def heldout(self, world: Array) -> Array:
        """[E] bool, by world ids [E]: each block is split by itself."""
        side = np.zeros(len(world), bool)
        for number in np.unique(self.block):
            mine = self.block == number
            side[mine] = split_by_world(world[mine], self.heldout_share, self.seed)
        return side


def facts_of(
    dataset: str,
    table: EpisodeTable,
    decided: Decided,
    header: Header,
    scenario: Scenario,
    blocks: int,
    files: Mapping[str, StoredFile],
) -> DatasetFacts:
    """The facts of a dataset of that name and so many blocks, whose files are listed."""
    accepted, heldout = decided.accepted, decided.heldout(table.world)
    return DatasetFacts(
        dataset=dataset,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        expert=scenario.expert.policy,
        policy_sha256=header.policy_sha256,
        seed=header.seed,
        accepted=_tally(table, accepted),
        rejected=_tally(table, ~accepted),
        rejection_reasons=decided.counts,
        quality=_quality(table, accepted, header.absent),
        blocks=tuple(_block(table, decided.block == number, accepted) for number in range(blocks)),
        files=dict(files),
        splits=Splits(
            rule=RULE,
            seed=decided.seed,
            heldout_share=decided.heldout_share,
            train=_tally(table, accepted & ~heldout),
            heldout=_tally(table, accepted & heldout),
        ),
    )


def block_of(world: Array, settings: CaptureParams, made_by: str, dealt: bool = False) -> Array:
    """[E] world ids → [E] the block of each: the recorded worlds in order, `capture.worlds` to a block. InputError where worlds are missing.

    Worlds that were `dealt`, of recorded demonstrations, are as many as there are: the first blocks have one more where they do not divide.
    """
    distinct, index = np.unique(world, return_inverse=True)
    if dealt:
        return np.concatenate([np.full(len(part), b) for b, part in enumerate(np.array_split(distinct, settings.blocks))])[index]
    if len(distinct) != settings.all_worlds:
        raise InputError(
            f"data: expected {settings.blocks} blocks of {settings.worlds} recorded worlds, got {len(distinct)} worlds; `{made_by}` records them"
        )
    return np.asarray(index // settings.worlds)


def _quality(table: EpisodeTable, keep: Array, absent: Sequence[Absent]) -> Quality:
    columns: dict[str, tuple[Absent | None, Array]] = {
        "success_rate": ("success", table.success),
        "harm_rate": ("harm", table.harm),
        "return_mean": ("rewards", table.total_reward),
        "steps_mean": (None, table.length),
    }
    known = {name: column for name, (of, column) in columns.items() if of not in absent}
    means = {name: float(np.mean(column[keep], dtype=np.float64)) for name, column in known.items()}
    return Quality(**dict.fromkeys(columns) | means)  # type: ignore[arg-type]


def _block(table: EpisodeTable, mine: Array, accepted: Array) -> Block:
    worlds = table.world[mine]
    return Block(
        first_world=int(worlds.min()),
        last_world=int(worlds.max()),
        recorded=_tally(table, mine),
        accepted=_tally(table, mine & accepted),
    )


def _tally(table: EpisodeTable, keep: Array) -> Tally:
    worlds = len(np.unique(table.world[keep]))
    return Tally(worlds=worlds, episodes=int(keep.sum()), steps=int(table.length[keep].sum()))
