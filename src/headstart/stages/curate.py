"""Stage `curate`: accept or reject every episode, with reasons, and split the accepted ones by world into train and held-out."""

from collections import Counter
from pathlib import Path

import numpy as np

from headstart.config.params import CaptureParams, Params
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import stage_command
from headstart.core.arrays import Array
from headstart.core.contents import sealed_directory, stored_file
from headstart.core.errors import InputError
from headstart.core.files import write_record
from headstart.dataset.curation import reject_reasons, split_by_world, write_index
from headstart.dataset.episodes import Absent, Episodes, Header, concatenate, select
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.dataset.manifest import HELDOUT, TRAIN, Block, DatasetFacts, Quality, Splits, Tally, manifest_of


def curate(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/curated: train.h5 and heldout.h5 of every block, episodes.tsv (all, with reasons) and manifest.json."""
    settings, capture = params.curate, stage_command("capture", scenario.name)
    episodes, header = _read_raw(DATA / scenario.name / "raw", capture)
    if settings.min_return is not None and "rewards" in header.absent:
        raise InputError(
            f"curate.min_return: expected null, since the recording of {scenario.name} has no rewards, got {settings.min_return}"
        )
    dealt = scenario.demonstrations is not None
    block = block_of(episodes.table.world, params.capture, capture, dealt)
    reasons = reject_reasons(episodes, settings)
    accepted = np.array([not why for why in reasons])
    counts = dict(sorted(Counter(code for why in reasons for code in why).items()))
    if not accepted.any():
        raise InputError(f"data/{scenario.name}/raw: no episode is left; reasons: {counts}; see `curate` in params.yaml")
    heldout = np.zeros(len(block), bool)
    for number in range(params.capture.blocks):
        mine = block == number
        heldout[mine] = split_by_world(episodes.table.world[mine], settings.heldout_share, settings.seed)
    train_side, heldout_side = accepted & ~heldout, accepted & heldout
    with sealed_directory(DATA / scenario.name / "curated") as folder:
        for number in range(params.capture.blocks):
            mine = block == number
            (folder / f"block-{number}").mkdir()
            write_episodes(folder / TRAIN.format(number), select(episodes, train_side & mine), header)
            write_episodes(folder / HELDOUT.format(number), select(episodes, heldout_side & mine), header)
        write_index(folder / "episodes.tsv", episodes, heldout, reasons)
        facts = DatasetFacts(
            dataset=scenario.name,
            scenario=scenario.name,
            scenario_sha256=scenario.sha256,
            expert=scenario.expert.policy,
            policy_sha256=header.policy_sha256,
            seed=header.seed,
            accepted=_tally(episodes, accepted),
            rejected=_tally(episodes, ~accepted),
            rejection_reasons=counts,
            quality=_quality(episodes, accepted, header),
            blocks=tuple(_block(episodes, block == number, accepted) for number in range(params.capture.blocks)),
            files={
                path.relative_to(folder).as_posix(): stored_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
            },
            splits=Splits(
                rule="splitmix64 of (seed, world) below the held-out share; all agents of a world on one side",
                seed=settings.seed,
                heldout_share=settings.heldout_share,
                train=_tally(episodes, train_side),
                heldout=_tally(episodes, heldout_side),
            ),
        )
        manifest = manifest_of(facts)
        write_record(folder / "manifest.json", manifest)
    says = (
        f"curate {scenario.name}: {manifest.dataset}@{manifest.version}: {facts.accepted.episodes} accepted "
        f"({facts.splits.train.episodes} train, {facts.splits.heldout.episodes} held out), "
        f"{facts.rejected.episodes} rejected {counts or ''}".rstrip()
    )
    metrics: dict[str, float | None] = {"accepted": facts.accepted.episodes, "rejected": facts.rejected.episodes}
    return Done(says, metrics | facts.quality.model_dump())


def _read_raw(folder: Path, made_by: str) -> tuple[Episodes, Header]:
    """All shards of a capture, in order; they must share one header."""
    paths = sorted(folder.glob("shard-*.h5"))
    if not paths:
        raise InputError(f"{folder}: expected shard-*.h5, found none; `{made_by}` makes them")
    parts = [read_episodes(path) for path in paths]
    header = parts[0][1]
    for path, (_, other) in zip(paths, parts, strict=True):
        if other != header:
            raise InputError(f"{path}: expected the header of {paths[0].name}, got another one")
    return concatenate([episodes for episodes, _ in parts]), header


def _quality(episodes: Episodes, keep: Array, header: Header) -> Quality:
    table = episodes.table
    columns: dict[str, tuple[Absent | None, Array]] = {
        "success_rate": ("success", table.success),
        "harm_rate": ("harm", table.harm),
        "return_mean": ("rewards", table.total_reward),
        "steps_mean": (None, table.length),
    }
    known = {name: column for name, (of, column) in columns.items() if of not in header.absent}
    means = {name: float(np.mean(column[keep], dtype=np.float64)) for name, column in known.items()}
    return Quality(**dict.fromkeys(columns) | means)  # type: ignore[arg-type]


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


def _block(episodes: Episodes, mine: Array, accepted: Array) -> Block:
    worlds = episodes.table.world[mine]
    return Block(
        first_world=int(worlds.min()),
        last_world=int(worlds.max()),
        recorded=_tally(episodes, mine),
        accepted=_tally(episodes, mine & accepted),
    )


def _tally(episodes: Episodes, keep: Array) -> Tally:
    worlds = len(np.unique(episodes.table.world[keep]))
    return Tally(worlds=worlds, episodes=int(keep.sum()), steps=int(episodes.table.length[keep].sum()))


if __name__ == "__main__":
    main(curate)
