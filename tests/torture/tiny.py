"""A project in which every stage takes a moment: the robot's walks with a script, and a pole whose expert is learned."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from tests.cloned import PPO, TINY, TUNE
from tests.stages.test_expert import POLE

from headstart.config.checked import merged

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = TINY | {
    "scenarios": ["walk", "pole"],
    "seeds": [8, 3],
    "processes": 2,
    "expert": {"worlds": 80},
    "capture": {"worlds": 20, "blocks": 2, "shard_worlds": 8, "slip": 0.0},
    "validate": {"min_episodes": 5, "replay_worlds": 20, "min_success_rate": 0.0},
    "evaluation": {"worlds": 4, "every": 32, "exam_worlds": 6, "variant_worlds": 0},
    "bc_train": TINY["bc_train"] | {"epochs": 6, "patience": 6, "min_macro_f1": 0.0},
    "arms": TINY["arms"] | {"scratch": {"start": "random", "ppo": PPO, "phases": [TUNE]}},
}
WALK = {"horizon": 12, "success": ["every success >= 0"], "variants": {}, "recipe": {}}
LEARNED = {
    "expert": {
        "worlds": 8,
        "seeds": [0, 1],
        "min_seeds": 1,
        "train": {
            "start": "random",
            "ppo": {"worlds": 4, "rollout_ticks": 16, "num_epochs": 2, "mini_batch_size": 32},
            "phases": [{"name": "learn", "kind": "ppo", "env_steps": 512, "learning_rate": 0.002}],
        },
    },
    "network": {"hidden": [8]},
    "evaluation": {"worlds": 4, "every": 64},
    "capture": {"observation": "compact"},
}


def make_project(folder: Path) -> None:
    """params.yaml, dvc.yaml, the command of the stages, and two scenarios."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in SETTINGS.items():
        params[section] = params[section] | values if isinstance(values, dict) and section != "arms" else values
    (folder / "scenarios").mkdir(parents=True)
    (folder / "params.yaml").write_text(json.dumps(params))  # JSON is YAML, and has no aliases
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    for stage in pipeline["stages"].values():  # the code is that of the process
        stage["deps"] = [dep for dep in stage.get("deps", ()) if not dep.startswith("src/")]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    shutil.copy2(ROOT / "stage", folder)
    walk = yaml.safe_load((ROOT / "scenarios/nav_gap_seeker.yaml").read_text())
    (folder / "scenarios/walk.yaml").write_text(json.dumps(walk | WALK))
    (folder / "scenarios/pole.yaml").write_text(
        json.dumps(merged(POLE, {"horizon": 20, "success": ["every return >= 5"]}) | {"recipe": LEARNED})
    )
