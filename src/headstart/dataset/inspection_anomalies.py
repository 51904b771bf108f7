"""The anomalies of every episode of a dataset, a window of some worlds at a time: the rules look at one episode, and then need not carry all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import HeadstartError
from headstart.dataset.anomalies import anomalies, usual
from headstart.dataset.anomaly_rules import Anomaly
from headstart.dataset.drafts import is_draft, read_draft
from headstart.dataset.episodes import Episodes, columns_of, episodes_from
from headstart.dataset.inspection_open import Opened

WINDOW = 64  # episodes, or more where a world has them


def anomalies_of(root: Path, opened: Opened) -> dict[int, tuple[Anomaly, ...]]:
    """Row of the table → what is odd in the episode; only those in which something is. 10,000 episodes of 128 steps take some 15 s."""
    episodes = opened.episodes
    known = usual(episodes, opened.schema, _scenario(root, opened), None, opened.absent)
    found = dict[int, tuple[Anomaly, ...]]()
    alone = known._replace(twins={})  # twins may lie in another window
    for first, window in _windows(episodes):
        for e in range(len(window.table.length)):
            odd = anomalies(window, e, alone)
            if (other := known.twins.get(first + e)) is not None:
                text = f"the same as episode {episodes.table.episode_id[other].decode()}, up to noise"
                odd += (Anomaly("duplicate", 0, int(window.table.length[e]) - 1, text),)
            if odd:
                found[int(opened.row[first + e])] = odd
    return found


def _scenario(root: Path, opened: Opened) -> Scenario:
    """That of the recording; where its file is gone or says otherwise now, one of the same world that is as long as the longest episode."""
    try:
        if opened.scenario and is_draft(opened.play) and opened.manifest is None:
            return read_draft(root, opened.play)[1]
        found = load_scenario(str(opened.scenario), root / "scenarios") if opened.scenario else None
    except HeadstartError:
        found = None
    recorded = None if opened.manifest is None else opened.manifest.scenario_sha256
    if found is not None and recorded in (None, found.sha256):
        return found
    longest = int(opened.table.length.max(initial=1))
    return Scenario.model_construct(world=opened.schema.world, horizon=longest, feature_range=None, constant_reward=False)


def _windows(episodes: Episodes) -> Iterator[tuple[int, Episodes]]:
    """The first episode of each window, and its episodes; a window ends where a world does, as lives of one world belong together."""
    columns, world, count = columns_of(episodes), episodes.table.world, len(episodes.table.length)
    ends = np.append(np.flatnonzero(np.diff(world)) + 1, count)
    first = 0
    while first < count:
        behind = int(ends[np.searchsorted(ends, min(first + WINDOW, count))])
        start = int(episodes.table.start[first])
        end = start + int(episodes.table.length[first:behind].sum())
        part = {name: of[start:end] if name.startswith("/steps/") else of[first:behind] for name, of in columns.items()}
        yield first, episodes_from(part | {"/episodes/start": part["/episodes/start"] - start})
        first = behind
