"""What of a look at a dataset deserves a second one, the worst first, each with the command that leads on.

`wrong`: what no later stage should read. `look`: episodes or numbers that a person should look at. `note`: what is good to know.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from headstart.config.stage_command import stage_command
from headstart.dataset.flags import FLAGGED
from headstart.dataset.inspection import Inspection
from headstart.dataset.inspection_coverage import SHORT, Range
from headstart.dataset.inspection_episodes import FAR
from headstart.dataset.inspection_metadata import Item

NAMED = 5  # of a list that a sentence holds
DEAD = 0.5  # share of still steps from which an episode is called dead
LONELY = 0.99  # share of one action from which an episode is called monotonous
TELLING = 10  # steps: a shorter episode is called neither
CROWD = 0.05  # share of episodes beyond which outliers are a second group


class Finding(NamedTuple):
    """A sentence, and what to type."""

    level: Literal["wrong", "look", "note"]
    text: str
    command: str = ""
    episodes: tuple[str, ...] = ()  # ids, the worst first


def findings(found: Inspection, flags: Mapping[str, str], metadata: Sequence[Item]) -> tuple[Finding, ...]:
    """`flags`: episode → reason, of the scenario."""
    every = [
        *_bytes(found),
        *_sides(found),
        *_alignment(found),
        *_flags(found, flags),
        *_episodes(found),
        *_outliers(found),
        *_coverage(found),
        *_metadata(metadata),
    ]
    return tuple(sorted(every, key=lambda one: ("wrong", "look", "note").index(one.level)))


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """The first of some names."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _bytes(found: Inspection) -> Iterator[Finding]:
    yield from (
        Finding("wrong", one.text if one.name in one.text else f"{one.name}: {one.text}")
        for one in found.opened.hashes
        if not one.ok
    )
    for gate in found.opened.refused:
        yield Finding("wrong", f"refused by `validate`: {gate}")
    bad = [one for one in (*found.features, *found.dimensions) if one.bad]
    if bad:
        yield Finding("wrong", f"values that are not finite: {listed([f'{one.name} ({one.bad:,})' for one in bad])}")


def _sides(found: Inspection) -> Iterator[Finding]:
    split = found.split
    if split is None:
        return
    if split.leaked:
        yield Finding(
            "wrong", f"{len(split.leaked)} worlds are on both sides of the split: {listed(list(map(str, split.leaked)))}"
        )
    if split.copies:
        pairs = [f"{a} as {b}" for a, b in split.copies]
        text = f"{len(pairs)} held-out episodes stand, with little noise, among those to train on: {listed(pairs, 2)}"
        yield Finding("wrong", text, episodes=tuple(a for a, _ in split.copies))
    if not min(split.episodes):
        yield Finding("look", "one side of the split is empty: nothing is held out, or nothing is left to train on")


def _alignment(found: Inspection) -> Iterator[Finding]:
    for check in found.alignment:
        if check.applies and not check.passed:
            yield Finding("wrong", f"observations and actions may be a step apart: {check.text}")
    if found.repeats:
        yield Finding(
            "look", f"{len(found.repeats)} episodes repeat an earlier one: {listed(found.repeats)}", episodes=found.repeats
        )


def _flags(found: Inspection, flags: Mapping[str, str]) -> Iterator[Finding]:
    if found.opened.scenario is None:
        return
    rejected = {name for name, why in zip(found.opened.ids, found.opened.reasons, strict=True) if FLAGGED in why}
    waiting, back = sorted(set(found.opened.ids) & flags.keys() - rejected), sorted(rejected - flags.keys())
    command = stage_command("curate", found.opened.scenario)
    if waiting:
        text = f"{_count(len(waiting), 'flagged episode')} {'is' if len(waiting) == 1 else 'are'} still in the dataset: {listed(waiting)}"
        yield Finding("look", text, command, tuple(waiting))
    if back:
        yield Finding(
            "look", f"{_count(len(back), 'episode')} rejected by a flag that was taken back: {listed(back)}", command, tuple(back)
        )


def _episodes(found: Inspection) -> Iterator[Finding]:
    """Episodes in which nothing happens, and those of one action."""
    for name, limit, text in (
        ("still", DEAD, "in which nothing changes in half of the steps or more"),
        ("commonest", LONELY, "in which nearly all actions are the same"),
    ):
        if name not in found.columns:
            continue
        telling = found.accepted & (found.opened.table.length >= TELLING)
        values = np.where(telling, np.nan_to_num(found.columns[name].values), 0)
        rows = np.flatnonzero(values >= limit)
        ids = _ids(found, rows[np.argsort(-values[rows], kind="stable")].tolist())
        if ids:
            yield Finding("look", f"{_count(len(ids), 'episode')} {text}: {listed(ids)}", episodes=ids)


def _outliers(found: Inspection) -> Iterator[Finding]:
    accepted = int(found.accepted.sum())
    for one in found.outlying:
        if not one.rows:
            continue
        column, first = found.columns[one.column], one.rows[0]
        ids, share = _ids(found, one.rows), len(one.rows) / max(1, accepted)
        if one.column == "strangeness":
            what = f"far from the others in what they observe, {ids[0]} most of all in {found.strange[first]}"
        else:
            median = found.spread[one.column].median
            what = f"outliers by {column.label}: {ids[0]} has {column.values[first]:.4g}, the median is {median:.4g}"
        if share > CROWD:
            yield Finding("note", f"{len(ids):,} episodes ({share:.0%}) are {what}; so many are a second group", episodes=ids)
        else:
            yield Finding("look", f"{_count(len(ids), 'episode')} beyond {FAR:g} robust deviations: {what}", episodes=ids)


def _coverage(found: Inspection) -> Iterator[Finding]:
    labels = sum(one.labelled for one in found.actions)
    never = [one for one in found.actions if not one.labelled]
    if never:
        forbidden = [one.name for one in never if one.allowed == 0]
        text = f"{len(never)} of {len(found.actions)} actions are never shown: {listed([one.name for one in never], 8)}"
        yield Finding("look", text + (f"; never allowed: {listed(forbidden, 8)}" if forbidden else ""))
    rare = [one for one in found.actions if 0 < one.labelled < SHORT * labels]
    if rare:
        yield Finding("look", f"hardly shown: {listed([f'{one.name} ({one.labelled:,} of {labels:,} steps)' for one in rare])}")
    unheard = [one.name for one in found.behaviours if not one.total]
    if unheard:
        yield Finding("note", f"behaviours that never occur: {listed(unheard, 8)}")
    yield from _ranges(found.features)


def _ranges(features: Sequence[Range]) -> Iterator[Finding]:
    lacking = [one for one in features if one.untrained]
    if lacking:
        names = [f"{one.name} {_range(one.untrained[0])}" for one in lacking]
        yield Finding("look", f"held-out values that training lacks, of {_count(len(lacking), 'feature')}: {listed(names, 3)}")
    constant = [one.name for one in features if one.constant and not one.bad]
    if constant:
        yield Finding(
            "note",
            f"{len(constant)} of {len(features)} features {'is' if len(constant) == 1 else 'are'} constant: {listed(constant, 4)}",
        )
    gaps = [f"{one.name} {_range(one.gaps[0])}" for one in features if one.gaps]
    if gaps:
        yield Finding("note", f"ranges without any value, of {_count(len(gaps), 'feature')}: {listed(gaps, 3)}")


def _range(cell: tuple[float, float]) -> str:
    return f"{cell[0]:.3g} to {cell[1]:.3g}"


def _metadata(metadata: Sequence[Item]) -> Iterator[Finding]:
    missing = [item for item in metadata if item.text is None]
    if missing:
        command = missing[0].cure.strip("`") if missing[0].cure.startswith("`headstart") else ""
        yield Finding("note", f"not said: {listed([item.name for item in missing], 8)}", command)


def _ids(found: Inspection, rows: Iterable[int]) -> tuple[str, ...]:
    ids = found.opened.ids
    return tuple(ids[row] for row in rows)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
