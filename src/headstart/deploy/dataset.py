"""`headstart.load_dataset`: the accepted episodes of a dataset as arrays, for a notebook or another program."""

from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space

from headstart.config.params import for_scenario, load_params
from headstart.config.project import DATA, FETCHED
from headstart.config.scenario import load_scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError, nearest
from headstart.dataset.catalogue import read_entries
from headstart.dataset.episodes import concatenate
from headstart.dataset.formats.recording import EXPERT_ACTION, Tree
from headstart.deploy.checks import path_of
from headstart.deploy.worlds import import_from
from headstart.runs.exporting import exported, parts_at_hand
from headstart.runs.project_root import project_root


@dataclass(frozen=True)
class Dataset:
    """E accepted episodes of N steps in all, which follow each other; row t holds o_t, the action chosen from it, and what followed."""

    name: str  # <dataset>@<version>
    observations: Tree  # [N, …] as the environment's space has them: an array, or a dict or tuple of arrays
    actions: Array  # [N, …] in the environment's own action space: what was executed
    expert_actions: Array  # [N, …] what the expert chose, of which clones learn; other than `actions` where the recording slipped
    action_masks: Array | None  # [N, K] bool, of named actions: those that were allowed
    rewards: Array | None  # [N] f32; None: the recording has none
    expert_log_probs: Array | None  # [N] f32 nats, of `actions`, as docs/data.md defines it; None, as below: the expert has none
    expert_values: Array | None  # [N] f32: what o_t is worth to the expert
    final_values: Array | None  # [E] f32: as `expert_values`, of o_T
    terminated: Array  # [N] bool
    truncated: Array  # [N] bool
    start: Array  # [E] i64, first row of each episode
    length: Array  # [E] i64, steps
    block: Array  # [E] i64, of the recording: one a replicate
    heldout: Array  # [E] bool: on the side of the split that clones are judged on, not trained on
    success: Array  # [E] bool
    harm: Array  # [E] bool
    observation_space: Space[Any]
    action_space: Space[Any]

    def __len__(self) -> int:
        """E."""
        return len(self.length)

    def episodes(self) -> Iterator[slice]:
        """The rows of each episode in the columns of a step: `actions[rows]`."""
        return (slice(start, start + length) for start, length in zip(self.start.tolist(), self.length.tolist(), strict=True))

    @property
    def returns(self) -> Array:
        """[E] f64, sums of rewards. InputError for a recording without rewards."""
        if self.rewards is None:
            raise InputError(f"{self.name}: expected rewards, the recording has none")
        return np.add.reduceat(self.rewards.astype(np.float64), self.start)


def load_dataset(dataset: str | Path) -> Dataset:
    """The accepted episodes of "<dataset>" or "<dataset>@<version>" of the nearest project above the working directory.

    `dataset` may also be the path of its folder in any project, data/<dataset> or datasets/<dataset>@<version>. InputError where it is not
    there, with the command that brings it; GateFailed where it is not validated; IntegrityError where its bytes differ; SchemaMismatch for a
    version whose observations or actions the scenario does not have any more.
    """
    given = path_of(dataset, "dataset", "<dataset>, <dataset>@<version> or a folder")
    folder = given.resolve()
    at_folder = len(given.parts) > 1 or isinstance(dataset, Path)
    if at_folder and (folder.parent.name not in (DATA.name, FETCHED.name) or not folder.is_dir()):
        raise InputError(f"{dataset}: expected <dataset>, <dataset>@<version> or the folder {DATA}/<dataset> of a project")
    root = project_root(folder if at_folder else Path.cwd())
    if root is None:
        raise InputError(f"{folder if at_folder else Path.cwd()}: expected a project, with params.yaml here or above, found none")
    with chdir(root):
        name = folder.name if at_folder else str(dataset)
        _require_known(name.partition("@")[0], {entry.dataset for entry in read_entries(Path())})
        parts, header, manifest = parts_at_hand(name)
        episodes = concatenate(parts)
        scenario = load_scenario(manifest.scenario)
        import_from(root, scenario)
        found = exported(episodes, header, for_scenario(load_params(), scenario), scenario)
    # [E]: two parts a block, of which the second is held out
    part = np.repeat(np.arange(len(parts)), [len(one.table.length) for one in parts])
    return Dataset(
        name=f"{manifest.dataset}@{manifest.version}",
        observations=found.recording.observations,
        actions=found.recording.actions,
        expert_actions=found.recording.infos.get(EXPERT_ACTION, found.recording.actions),
        action_masks=episodes.action_mask,
        rewards=found.recording.rewards,
        expert_log_probs=episodes.expert_log_prob,
        expert_values=episodes.expert_value,
        final_values=episodes.final_value,
        terminated=episodes.terminated,
        truncated=episodes.truncated,
        start=episodes.table.start,
        length=episodes.table.length,
        block=part // 2,
        heldout=part % 2 == 1,
        success=episodes.table.success,
        harm=episodes.table.harm,
        observation_space=found.observations,
        action_space=found.actions,
    )


def _require_known(dataset: str, listed: set[str]) -> None:
    """InputError, with the nearest name, for a dataset of which the project has neither a folder nor an entry in its catalogue."""
    known = listed | {file.parent.name for file in DATA.glob("*/validated.json")}
    folders = {file.name for file in DATA.glob("*")}
    if dataset and dataset not in known | folders:
        raise InputError(f"no dataset {dataset!r}{nearest(dataset, known)}; there are {', '.join(sorted(known)) or 'none'}")
