"""The validated dataset of a scenario: its stamp, the episodes of it that are used, and these as tensors."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.config.params import BCParams
from headstart.config.project import DATA, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import GateFailed, InputError, IntegrityError
from headstart.core.files import read_record, sha256_file
from headstart.core.verdict import Outcome, Verdict
from headstart.dataset.episodes import Episodes, select
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.manifest import HELDOUT, TRAIN, DatasetManifest, read_manifest, require_files, stamp_bytes
from headstart.dataset.observation import ObservationSchema
from headstart.worlds.api import Observations

if TYPE_CHECKING:
    from headstart.learn.demonstrations import Demonstrations
    from headstart.learn.replay import Records


def require_validated(scenario: Scenario, block: int | None = None) -> tuple[DatasetManifest, Path]:
    """The stamp of a validated dataset and its folder; GateFailed for any other.

    The hashes are checked of all files, or of those of one block, which is what a process needs that reads no other.
    Raises IntegrityError where bytes differ or the stamp is that of other data, and InputError for a block that the dataset does not have.
    """
    folder = DATA / scenario.name / "curated"
    stamp = validated(scenario.name)
    _require_stamp_of(folder, stamp, scenario)
    files = stamp.files
    if block is not None:
        files = {name: files[name] for side in (TRAIN, HELDOUT) if (name := side.format(block)) in files}
        if len(files) < 2:
            raise InputError(
                f"{stamp.dataset}@{stamp.version}: expected a block {block}, got {len(stamp.blocks)} blocks; "
                f"`{stage_command('capture', scenario.name)}` records more"
            )
    require_files(stamp.model_copy(update={"files": files}), folder)
    return stamp, folder


def _require_stamp_of(folder: Path, stamp: DatasetManifest, scenario: Scenario) -> None:
    """The stamp is, byte for byte, what `validate` writes for the dataset in the folder, which is one of the scenario."""
    path, cure = (
        folder.parent / "validated.json",
        f"`{stage_command('validate', scenario.name)}` judges the dataset that is there",
    )
    manifest = read_manifest(folder, made_by=stage_command("curate", scenario.name))
    if path.read_bytes() != stamp_bytes(manifest):
        raise IntegrityError(
            f"{path}: expected what a PASS of {manifest.dataset}@{manifest.version} leaves, got another, of "
            f"{stamp.dataset}@{stamp.version} ({stamp.status}); {cure}"
        )
    if (stamp.scenario, stamp.scenario_sha256) != (scenario.name, scenario.sha256):
        raise IntegrityError(
            f"{path}: expected a dataset of {scenario.name} with hash {scenario.sha256}, got one of {stamp.scenario} with "
            f"{stamp.scenario_sha256}; `{stage_command('capture', scenario.name)}` records it"
        )
    if (verdict := _verdict(scenario.name)) is not None and verdict.subject.sha256 != sha256_file(folder / "manifest.json"):
        raise GateFailed(
            f"{folder}: expected the dataset that was judged, {verdict.subject.id}, got {stamp.dataset}@{stamp.version}; {cure}"
        )


def validated(dataset: str) -> DatasetManifest:
    """The stamp of a validated dataset. InputError where `validate` has not run, GateFailed where its gates do not pass."""
    verdict, made_by = _verdict(dataset), stage_command("validate", dataset)
    if verdict is not None and verdict.outcome is not Outcome.PASS:
        missed = ", ".join(reason.name for reason in verdict.reasons)
        raise GateFailed(
            f"{dataset}: expected a validated dataset, its verdict is {verdict.outcome}: {missed} ({_judged(dataset)}); "
            f"`{made_by}` names remedies"
        )
    return read_record(DATA / dataset / "validated.json", DatasetManifest, made_by=made_by)


def _verdict(dataset: str) -> Verdict | None:
    """The last one; None where the report is not at hand, as after a pull of the data alone."""
    return read_record(_judged(dataset), Verdict) if _judged(dataset).exists() else None


def _judged(dataset: str) -> Path:
    return REPORTS / dataset / "validate" / "verdict.json"


def read_used(
    scenario: Scenario, schema: ObservationSchema, settings: BCParams, block: int
) -> tuple[DatasetManifest, tuple[Episodes, Episodes]]:
    """The stamp of the validated dataset, and the first `settings.episodes` of a block, each side of the split in its share; None: all."""
    stamp, folder = require_validated(scenario, block)
    train, heldout = (read_episodes(folder / name.format(block), schema)[0] for name in (TRAIN, HELDOUT))
    wanted, there = settings.episodes, len(train.table.length) + len(heldout.table.length)
    if wanted is None:
        return stamp, (train, heldout)
    if wanted > there:
        raise InputError(
            f"bc_train.episodes: expected at most the {there} episodes of block {block} of {stamp.dataset}@{stamp.version}, got {wanted}"
        )
    judged = max(1, math.floor(wanted * len(heldout.table.length) / there))
    return stamp, (_first(train, wanted - judged), _first(heldout, judged))


def recorded_steps(stamp: DatasetManifest, block: int, used: tuple[Episodes, Episodes]) -> int:
    """Agent-steps that the demonstrations `used` of a block cost: rejected episodes are charged in proportion."""
    here = stamp.blocks[block]
    return math.ceil(sum(len(side.reward) for side in used) * here.recorded.steps / here.accepted.steps)


def _first(episodes: Episodes, count: int) -> Episodes:
    return select(episodes, np.arange(len(episodes.table.length)) < count)


def tensors_of(episodes: Episodes, gamma: float, has_rewards: bool = True) -> "Demonstrations":
    """What the expert chose, in every recorded state; without rewards no returns are learned from."""
    from headstart.learn.demonstrations import demonstrations  # torch: whoever only counts steps needs none

    found = demonstrations(_obs(episodes), episodes.expert_action, episodes.reward, episodes.table.length, gamma)
    return replace(found, has_returns=has_rewards)


def records_of(episodes: Episodes, stamp: DatasetManifest) -> "Records":
    """What was executed in every recorded state, and what it paid, for PPO. InputError where rewards are not recorded."""
    import torch

    from headstart.learn.replay import Records

    if not stamp.has_rewards:
        raise InputError(
            f"{stamp.dataset}@{stamp.version}: expected recorded rewards, from which data: replay and mixed take their advantages, got none; "
            "bc_weight and phases of kind bc imitate without them"
        )
    log_prob = episodes.expert_log_prob
    return Records(
        obs={key: torch.from_numpy(value) for key, value in _obs(episodes).items()},
        action=torch.from_numpy(episodes.action),
        log_prob=None if log_prob is None else torch.from_numpy(log_prob),
        reward=episodes.reward,
        terminated=episodes.terminated,
        truncated=episodes.truncated,
        length=episodes.table.length,
        final_obs={key: torch.from_numpy(value) for key, value in episodes.final_observation.items()},
    )


def _obs(episodes: Episodes) -> Observations:
    """The observations, and which actions they allow."""
    mask = {} if episodes.action_mask is None else {"mask": episodes.action_mask.astype("u1")}
    return episodes.observation | mask
