"""A project with a recording of the robot in two blocks, in which clones are trained within a second."""

from pathlib import Path
from typing import Any

import numpy as np
from tests.stages.test_capture import approve

from headstart.config.params import Params, changed, load_params
from headstart.config.scenario import Scenario
from headstart.core.files import read_record, write_bytes
from headstart.dataset.episodes import Episodes, Header, select
from headstart.dataset.episodes_file import SHARD, write_episodes
from headstart.dataset.manifest import DatasetManifest, stamp_bytes
from headstart.stages.curate import curate
from headstart.worlds.api import FIRST_WORLD

ROOT = Path(__file__).parents[1]
SEEDS = (8, 3)
PPO = {"worlds": 4, "rollout_ticks": 8, "num_epochs": 1, "mini_batch_size": 16}
TUNE = {"name": "tune", "kind": "ppo", "env_steps": 128, "learning_rate": 0.001}
TINY: dict[str, Any] = {
    "seeds": SEEDS,
    "candidate": "tiny",
    "baselines": ["scratch"],
    "capture": {"worlds": 5, "blocks": 2},
    "network": {"hidden": [8]},
    "bc_train": {
        "epochs": 20,
        "patience": 20,
        "batch_size": 16,
        "min_explained_variance": -100.0,
        "success_margin": 1.0,
        "closed_loop_worlds": 4,
    },
    "evaluation": {"worlds": 4, "every": 32, "exam_worlds": 6, "variant_worlds": 4},
    "anneal": {"arms": ["tiny"]},
    "arms": {
        "scratch": {"start": "random", "ppo": PPO, "phases": [TUNE]},
        "tiny": {"start": "bc", "ppo": PPO, "phases": [TUNE | {"bc_weight": 0.1}]},
    },
}


def tiny_params(**sections: dict[str, Any]) -> Params:
    """The shipped settings made tiny; `sections` change some keys of a section further."""
    changes = {name: TINY[name] | sections.get(name, {}) if isinstance(TINY[name], dict) else TINY[name] for name in TINY}
    return changed(load_params(ROOT / "params.yaml"), changes, "test")


def easy(scenario: Scenario) -> Scenario:
    """The same walks, each of which counts as a success: a clone that learned little passes its gate."""
    variants = {"dense": scenario.variants["dense"]}
    return Scenario.model_validate(
        scenario.model_dump() | {"success": ["every success >= 0"], "variants": variants, "recipe": {}}
    )


def record_blocks(scenario: Scenario, episodes: Episodes, header: Header, params: Params) -> None:
    """Record, curate and stamp the episodes in the working directory, without the gates, which want more of them."""
    raw = Path("data") / scenario.name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    header = header.model_copy(update={"scenario_sha256": scenario.sha256})
    for number, (_, worlds) in enumerate(params.capture.parts):
        mine = np.isin(episodes.table.world - FIRST_WORLD["capture"], worlds)
        write_episodes(raw / SHARD.format(number), select(episodes, mine), header)
    approve(scenario, Path())
    curate(params, scenario)
    manifest = read_record(raw.parent / "curated/manifest.json", DatasetManifest)
    write_bytes(raw.parent / "validated.json", stamp_bytes(manifest))
