"""Stage `curate`: accept or reject every episode, with reasons, and split the accepted ones by world into train and held-out."""

from collections import Counter
from pathlib import Path

import numpy as np

from headstart.config.params import Params
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.files import fresh_directory, write_record
from headstart.dataset.curation import reject_reasons, split_by_world, write_index
from headstart.dataset.episodes import Episodes, Header, concatenate, select
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.dataset.manifest import DatasetFacts, Quality, Splits, Tally, manifest_of, stored_file


def curate(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/curated: train.h5, heldout.h5, episodes.tsv (all of them, with reasons) and manifest.json."""
    settings = params.curate
    episodes, header = _read_raw(DATA / scenario.name / "raw")
    reasons = reject_reasons(episodes, settings)
    accepted = np.array([not why for why in reasons])
    counts = dict(sorted(Counter(code for why in reasons for code in why).items()))
    if not accepted.any():
        raise InputError(f"data/{scenario.name}/raw: no episode is left; reasons: {counts}; see `curate` in params.yaml")
    heldout = split_by_world(episodes.table.world, settings.heldout_share, settings.seed)
    train_side, heldout_side = accepted & ~heldout, accepted & heldout
    with fresh_directory(DATA / scenario.name / "curated") as folder:
        write_episodes(folder / "train.h5", select(episodes, train_side), header)
        write_episodes(folder / "heldout.h5", select(episodes, heldout_side), header)
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
            quality=_quality(episodes, accepted),
            files={path.name: stored_file(path) for path in sorted(folder.iterdir())},
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
    return Done(says, {"accepted": facts.accepted.episodes, "rejected": facts.rejected.episodes} | facts.quality.model_dump())


def _read_raw(folder: Path) -> tuple[Episodes, Header]:
    """All shards of a capture, in order; they must share one header."""
    paths = sorted(folder.glob("shard-*.h5"))
    if not paths:
        raise InputError(f"{folder}: expected shard-*.h5, found none; `dvc repro capture` makes them")
    parts = [read_episodes(path) for path in paths]
    header = parts[0][1]
    for path, (_, other) in zip(paths, parts, strict=True):
        if other != header:
            raise InputError(f"{path}: expected the header of {paths[0].name}, got another one")
    return concatenate([episodes for episodes, _ in parts]), header


def _quality(episodes: Episodes, keep: Array) -> Quality:
    table = episodes.table
    columns = {
        "success_rate": table.success,
        "harm_rate": table.harm,
        "return_mean": table.total_reward,
        "steps_mean": table.length,
    }
    return Quality(**{name: float(np.mean(column[keep], dtype=np.float64)) for name, column in columns.items()})


def _tally(episodes: Episodes, keep: Array) -> Tally:
    worlds = len(np.unique(episodes.table.world[keep]))
    return Tally(worlds=worlds, episodes=int(keep.sum()), steps=int(episodes.table.length[keep].sum()))


if __name__ == "__main__":
    main(curate)
