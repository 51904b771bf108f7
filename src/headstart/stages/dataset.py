"""The validated dataset of a scenario, as tensors."""

from pathlib import Path

from headstart.errors import GateFailed
from headstart.learn.demonstrations import Demonstrations, demonstrations
from headstart.params import Scenario
from headstart.records.episodes import read_episodes
from headstart.records.files import read_record
from headstart.records.manifest import DatasetManifest, require_files
from headstart.records.observation import ObservationSchema
from headstart.stages.project import DATA


def require_validated(scenario: Scenario) -> tuple[DatasetManifest, Path]:
    """The stamp of a validated dataset and its folder, hashes checked; GateFailed for any other."""
    folder = DATA / scenario.name / "curated"
    stamp = read_record(DATA / scenario.name / "validated.json", DatasetManifest, made_by="dvc repro validate")
    if stamp.status != "validated":
        raise GateFailed(f"{stamp.dataset}@{stamp.version}: expected a validated dataset, got a {stamp.status} one")
    require_files(stamp, folder)
    return stamp, folder


def read_side(path: Path, schema: ObservationSchema, gamma: float) -> Demonstrations:
    """One side of the split as tensors: what the expert chose, in every recorded state."""
    episodes, _ = read_episodes(path, schema)
    mask = {} if episodes.action_mask is None else {"mask": episodes.action_mask.astype("u1")}
    seen = episodes.observation | mask
    return demonstrations(seen, episodes.expert_action, episodes.reward, episodes.table.length, gamma)


def read_demonstrations(
    scenario: Scenario, schema: ObservationSchema, gamma: float
) -> tuple[DatasetManifest, tuple[Demonstrations, Demonstrations]]:
    """The stamp of the validated dataset, and both sides of its split: train, held out."""
    stamp, folder = require_validated(scenario)
    return stamp, (read_side(folder / "train.h5", schema, gamma), read_side(folder / "heldout.h5", schema, gamma))
