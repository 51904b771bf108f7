"""`hdf5`: episodes files of headstart itself (`episodes/1`), one or a folder of them; observations and actions are those of its contract."""

from pathlib import Path

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.dataset.episodes import Episodes, Header, concatenate
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.formats.recording import ACTION_MASK, EXPERT_ACTION, EXPERT_LOG_PROB, EXPERT_VALUE, Recording, Tree


def read(path: Path) -> Recording:
    """All episodes of a file, or of all files *.h5 of a folder. InputError as `read_episodes`, and for files of different worlds."""
    paths = sorted(path.rglob("*.h5")) if path.is_dir() else [path]
    if not paths:
        raise InputError(f"{path}: expected files *.h5, found none")
    parts = [read_episodes(file) for file in paths]
    for file, (_, header) in zip(paths, parts, strict=True):
        parts[0][1].observation.require_same(header.observation, str(file))
    return recording_of(concatenate([episodes for episodes, _ in parts]), parts[0][1])


def recording_of(episodes: Episodes, header: Header) -> Recording:
    """Episodes as a recording, with observations and actions as they are; what the header calls absent is left out."""
    last = episodes.table.start + episodes.table.length - 1
    infos: dict[str, Array] = {}
    if (episodes.action != episodes.expert_action).any():
        infos[EXPERT_ACTION] = episodes.expert_action
    if episodes.action_mask is not None and not episodes.action_mask.all():
        infos[ACTION_MASK] = episodes.action_mask
    told = {EXPERT_LOG_PROB: episodes.expert_log_prob, EXPERT_VALUE: episodes.expert_value}
    infos |= {name: column for name, column in told.items() if column is not None}
    there = {name: name not in header.absent for name in ("rewards", "ends", "final_observations", "success", "harm")}
    return Recording(
        observations=_plain(episodes.observation),
        actions=episodes.action,
        length=episodes.table.length,
        rewards=episodes.reward if there["rewards"] else None,
        terminated=episodes.terminated[last] if there["ends"] else None,
        truncated=episodes.truncated[last] if there["ends"] else None,
        final_observations=_plain(episodes.final_observation) if there["final_observations"] else None,
        infos=infos,
        success=np.asarray(episodes.table.success) if there["success"] else None,
        harm=np.asarray(episodes.table.harm) if there["harm"] else None,
    )


def _plain(observation: dict[str, Array]) -> Tree:
    """Features alone are a plain array."""
    return observation if len(observation) > 1 else observation["features"]
