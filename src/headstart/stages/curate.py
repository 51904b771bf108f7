"""Stage `curate`: metrics of every episode, accepted or rejected with reasons, split by world into train and held-out."""

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
from headstart.dataset.episode_index import EpisodeRow, write_index
from headstart.dataset.episodes import Episodes, Header, concatenate, read_episodes, select, write_episodes
from headstart.dataset.manifest import DatasetFacts, Part, Splits, Tally, WorldRange, manifest_of, stored_file
from headstart.dataset.quality import CurateRules, episode_metrics, reject_reasons, split_by_world
from headstart.worlds.api import FIRST_WORLD


def curate(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/curated: train.h5, heldout.h5, episodes.tsv (all of them, with reasons) and manifest.json."""
    episodes, header = read_raw(DATA / scenario.name / "raw")
    settings = params.curate
    waiting = header.observation.actions.index("wait") if "wait" in header.observation.actions else None
    metrics = episode_metrics(episodes, waiting)
    rules = CurateRules(
        min_steps=settings.min_steps,
        min_return=settings.min_return,
        max_harm=0 if settings.reject_harm else None,
        require_success=settings.require_success,
    )
    reasons = reject_reasons(episodes, metrics, rules)
    accepted = np.array([not why for why in reasons])
    if not accepted.any():
        raise InputError(f"data/{scenario.name}/raw: no episode is left; reasons: {_count(reasons)}")
    heldout = split_by_world(episodes.table.world, settings.heldout_share, settings.seed)
    sides = {"train": accepted & ~heldout, "heldout": accepted & heldout}
    with fresh_directory(DATA / scenario.name / "curated") as folder:
        for side, keep in sides.items():
            write_episodes(folder / f"{side}.h5", select(episodes, keep), header)
        write_index(folder / "episodes.tsv", _rows(episodes, accepted, heldout, reasons))
        quality = {
            "reward_sum_mean": float(metrics.reward_sum[accepted].mean()),
            "reward_mean": float(metrics.reward_mean[accepted].mean()),
            "success_rate": float(episodes.table.success[accepted].mean()),
            "harm_rate": float(episodes.table.harm[accepted].mean()),
        }
        if metrics.action_entropy is not None and metrics.majority_share is not None:
            quality["action_entropy_mean"] = float(metrics.action_entropy[accepted].mean())
            quality["majority_share_mean"] = float(metrics.majority_share[accepted].mean())
        facts = DatasetFacts(
            dataset=scenario.name,
            scenario=scenario.name,
            scenario_sha256=scenario.sha256,
            expert=scenario.expert.policy,
            policy_sha256=header.policy_sha256,
            seeds=(header.seed,),
            worlds=WorldRange(first=FIRST_WORLD["capture"], count=params.capture.worlds),
            accepted=_tally(episodes, accepted),
            rejected=_tally(episodes, ~accepted),
            rejection_reasons=_count(reasons),
            observation_sha256=header.observation.sha256(),
            files={p.name: stored_file(p) for p in sorted(folder.iterdir())},
            quality=quality,
            splits=Splits(
                rule="splitmix64 of (seed, world) below the held-out share; all agents of a world on one side",
                seed=settings.seed,
                heldout_share=settings.heldout_share,
                train=_part(episodes, sides["train"]),
                heldout=_part(episodes, sides["heldout"]),
            ),
        )
        manifest = manifest_of(facts)
        write_record(folder / "manifest.json", manifest)
    says = (
        f"curate {scenario.name}: {manifest.dataset}@{manifest.version}: {facts.accepted.episodes} accepted "
        f"({facts.splits.train.episodes} train, {facts.splits.heldout.episodes} held out), "
        f"{facts.rejected.episodes} rejected {facts.rejection_reasons or ''}".rstrip()
    )
    return Done(says, quality | {"accepted": facts.accepted.episodes, "rejected": facts.rejected.episodes})


def read_raw(folder: Path) -> tuple[Episodes, Header]:
    """All shards of a capture, in order; they must share one header."""
    paths = sorted(folder.glob("shard-*.h5"))
    if not paths:
        raise InputError(f"{folder}: expected shard-*.h5, found none; `dvc repro capture` makes them")
    parts = [read_episodes(path) for path in paths]
    for path, (_, header) in zip(paths, parts, strict=True):
        if header != parts[0][1]:
            raise InputError(f"{path}: expected the header of {paths[0].name}, got another one")
    return concatenate([episodes for episodes, _ in parts]), parts[0][1]


def _count(reasons: list[list[str]]) -> dict[str, int]:
    return dict(sorted(Counter(code for why in reasons for code in why).items()))


def _tally(episodes: Episodes, keep: Array) -> Tally:
    return Tally(episodes=int(keep.sum()), steps=int(episodes.table.length[keep].sum()))


def _part(episodes: Episodes, keep: Array) -> Part:
    worlds = len(np.unique(episodes.table.world[keep]))
    return Part(worlds=worlds, episodes=int(keep.sum()), steps=int(episodes.table.length[keep].sum()))


def _rows(episodes: Episodes, accepted: Array, heldout: Array, reasons: list[list[str]]) -> list[EpisodeRow]:
    table = episodes.table
    return [
        EpisodeRow(
            episode_id=table.episode_id[e].decode(),
            seed=int(table.seed[e]),
            world=int(table.world[e]),
            episode=int(table.episode[e]),
            agent=int(table.agent[e]),
            length=int(table.length[e]),
            total_reward=float(table.total_reward[e]),
            success=bool(table.success[e]),
            harm=bool(table.harm[e]),
            accepted=bool(accepted[e]),
            split=("heldout" if heldout[e] else "train") if accepted[e] else "none",
            reasons=tuple(reasons[e]),
        )
        for e in range(len(table.length))
    ]


if __name__ == "__main__":
    main(curate)
