"""Stage `curate`: accept or reject every episode, with reasons, and split the accepted ones by world into train and held-out."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from headstart.config.params import CaptureParams, Params
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import stage_command
from headstart.core.contents import CONTENTS, sealed_directory, stored_file
from headstart.core.errors import InputError, shown
from headstart.core.files import write_record
from headstart.dataset.curation import judged, write_index
from headstart.dataset.drafts import DRAFT
from headstart.dataset.episodes import Episodes, EpisodeTable, Header, concatenate, is_whole, select
from headstart.dataset.episodes_file import SHARD, read_episodes, write_episodes
from headstart.dataset.facts import Decided, block_of, facts_of
from headstart.dataset.flags import FLAGGED, flags_path, read_flags
from headstart.dataset.manifest import HELDOUT, TRAIN, manifest_of
from headstart.dataset.metrics import coverage_of, metrics_of, write_metrics
from headstart.worlds.api import FIRST_WORLD


def curate(params: Params, scenario: Scenario, home: Path | None = None) -> Done:
    """Writes data/<scenario>/curated: train.h5 and heldout.h5 of every block, episodes.tsv (all, with reasons), metrics.tsv, manifest.json.

    `home`: the folder of a draft in place of data/<scenario>.
    """
    settings, capture = params.curate, params.capture
    home = home or DATA / scenario.name
    episodes, header = read_raw(home / "raw", capture, scenario)
    if settings.min_return is not None and "rewards" in header.absent:
        raise InputError(
            f"curate.min_return: expected null, since the recording of {scenario.name} has no rewards, got {settings.min_return}"
        )
    table, made_by = episodes.table, stage_command("capture", home.name)
    block = block_of(table.world, capture, made_by, dealt=scenario.demonstrations is not None)
    numbers = metrics_of(episodes, header.observation, header.absent)
    rules = judged(episodes, settings, numbers)
    reasons, unknown = with_flags(rules.reasons, table, read_flags(Path(), home.name))
    decided = Decided(reasons, block, settings.seed, settings.heldout_share)
    accepted, heldout = decided.accepted, decided.heldout(table.world)
    if not accepted.any():
        raise InputError(
            f"{home}/raw: no episode is left; reasons: {decided.counts}; see `curate` in params.yaml, {flags_path(home.name)}"
        )
    with sealed_directory(home / "curated") as folder:
        for number in range(capture.blocks):
            mine = accepted & (block == number)
            (folder / f"block-{number}").mkdir()
            write_episodes(folder / TRAIN.format(number), select(episodes, mine & ~heldout), header)
            write_episodes(folder / HELDOUT.format(number), select(episodes, mine & heldout), header)
        write_index(folder / "episodes.tsv", table, heldout, decided.reasons)
        write_metrics(folder / "metrics.tsv", table.episode_id, numbers | coverage_of(episodes, header.observation, accepted))
        files = {path.relative_to(folder).as_posix(): stored_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
        facts = facts_of(home.name, table, decided, header, scenario, capture.blocks, files)
        manifest = manifest_of(facts)
        write_record(folder / "manifest.json", manifest)
    says = (
        f"curate {home.name}: {manifest.dataset}@{manifest.version}: {facts.accepted.episodes} accepted "
        f"({facts.splits.train.episodes} train, {facts.splits.heldout.episodes} held out), "
        f"{facts.rejected.episodes} rejected {facts.rejection_reasons or ''}".rstrip()
    )
    for code, count in rules.spared.items():
        says += f"; {code}: {count} episodes break this rule, too many to be faults: none is rejected for it"
    if unknown:
        name = "flags name" if len(unknown) > 1 else "flag names"
        says += f"; {flags_path(home.name)}: {len(unknown)} {name} no recorded episode: {', '.join(unknown[:3])}"
    metrics: dict[str, float | None] = {"accepted": facts.accepted.episodes, "rejected": facts.rejected.episodes}
    look = f"{home / 'curated' / 'episodes.tsv'}, every episode, and why it was rejected; `headstart inspect {home.name}`"
    return Done(says, metrics | facts.quality.model_dump(), look=look)


def with_flags(reasons: list[list[str]], table: EpisodeTable, flags: Mapping[str, str]) -> tuple[list[list[str]], list[str]]:
    """The reasons of each episode with those of the flags; and the flags that name none of the episodes, as after a new recording."""
    names = [name.decode() for name in table.episode_id.tolist()]
    found = [[*why, FLAGGED] if name in flags else why for name, why in zip(names, reasons, strict=True)]
    return found, sorted(flags.keys() - set(names))


def read_raw(folder: Path, settings: CaptureParams, scenario: Scenario) -> tuple[Episodes, Header]:
    """All shards of a capture, in order. InputError unless they are those that the settings ask for, with all of their worlds and no other."""
    recorded, cure = scenario.demonstrations is not None, f"`{stage_command('capture', folder.parent.name)}` records it again"
    wanted = {SHARD.format(n): part for n, (_, part) in enumerate([(0, None)] if recorded else settings.parts)}
    there = {path.name for path in folder.glob("*")} - {CONTENTS, DRAFT.name}
    if missing := sorted(wanted.keys() - there):
        raise InputError(f"{folder}: expected {len(wanted)} shards, found no {missing[0]}; {cure}")
    if more := sorted(there - wanted.keys()):
        raise InputError(f"{folder}: expected {len(wanted)} shards and nothing else, found {more[0]}; {cure}")
    expected: dict[str, object] = {"scenario": scenario.name, "scenario_sha256": scenario.sha256}
    expected |= {} if recorded else {"seed": settings.seed}
    parts = []
    for name, part in wanted.items():
        episodes, header = read_episodes(folder / name)
        for wrong in (*_wrong_header(header, expected), *_wrong_worlds(episodes.table, part, scenario)):
            raise InputError(f"{folder / name}: {wrong}; {cure}")
        expected = header.model_dump()  # all shards have one header
        parts.append(episodes)
    return concatenate(parts), header


def _wrong_header(header: Header, expected: dict[str, object]) -> Iterator[str]:
    found = header.model_dump()
    yield from (
        f"expected {key} {shown(value)}, got {shown(found[key])}" for key, value in expected.items() if found[key] != value
    )


def _wrong_worlds(table: EpisodeTable, part: range | None, scenario: Scenario) -> Iterator[str]:
    """The worlds are those of the shard, of a recording any in a row, and every agent of them has all of its lives."""
    worlds = np.unique(table.world)
    expected = np.array(range(len(worlds)) if part is None else part) + FIRST_WORLD["capture"]
    for world in np.setxor1d(worlds, expected).tolist():
        got = "lacks" if world in expected else "has"
        yield f"expected the worlds {expected[0]} to {expected[-1]}, it {got} world {world}"
    agents = int(table.agent.max(initial=0)) + 1
    for world in worlds:
        if not is_whole(table, table.world == world, agents, leave=scenario.is_foreign):
            yield f"expected all lives of the {agents} agents of world {world}, got a gap"


if __name__ == "__main__":
    main(curate)
