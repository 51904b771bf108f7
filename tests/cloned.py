"""A project with a recording of the robot in two blocks, in which clones are trained within a second."""

from pathlib import Path
from typing import Any

from tests.stages.test_capture import approve

from headstart.config.params import Params, changed, load_params
from headstart.config.scenario import Scenario
from headstart.core.files import read_record, write_record
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.manifest import DatasetManifest
from headstart.stages.curate import curate

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
        "min_accuracy": 0.0,
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
    write_episodes(raw / "shard-0000.h5", episodes, header)
    approve(scenario, Path())
    curate(params, scenario)
    manifest = read_record(raw.parent / "curated/manifest.json", DatasetManifest)
    write_record(raw.parent / "validated.json", manifest.model_copy(update={"status": "validated"}))
