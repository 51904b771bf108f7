"""A learned expert that was never trained: a network with random weights that is approved, so that it is recorded within a second."""

import json
from pathlib import Path
from typing import Any

import yaml
from tests.scores import score

from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.contents import sealed_directory
from headstart.core.files import write_record
from headstart.runs.expert_record import ExpertPolicy, TrainedSeed
from headstart.runs.policy import new_network, save_policy
from headstart.runs.worlds import worlds_of

ROOT = Path(__file__).parents[1]


def learned_project(
    name: str, horizon: int, capture: dict[str, Any], validate: dict[str, Any] | None = None
) -> tuple[Params, Scenario]:
    """In the working directory: params.yaml, the scenario cut to so many steps with a learned expert, and the expert."""
    told = yaml.safe_load((ROOT / f"scenarios/{name}.yaml").read_text())
    told |= {"horizon": horizon, "variants": {}, "recipe": {}, "expert": {"policy": "ppo", "success_rate": 0.0, "harm_rate": 1.0}}
    told |= {"success": ["every eats >= 0" if name == "queue_conflict" else "every success >= 0"], "min_action_share": {}}
    Path("scenarios").mkdir()
    Path(f"scenarios/{name}.yaml").write_text(json.dumps(told))
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"scenarios": [name], "seeds": [40], "network": {"hidden": [8]}}
    params["capture"] |= {"blocks": 1} | capture
    params["validate"] |= validate or {}
    params["curate"] |= {"min_steps": 1, "reject_harm": False}
    Path("params.yaml").write_text(json.dumps(params))
    scenario = load_scenario(name)
    settings = for_scenario(load_params(), scenario)
    approve_network(settings, scenario)
    return settings, scenario


def approve_network(params: Params, scenario: Scenario, state: str = "approved") -> None:
    """The artefact and the checkpoint of an expert, as the stage `expert` leaves them."""
    world = worlds_of(scenario, "capture", 1, params.capture.observation)
    network = new_network(world, params.network, 3)
    about = {"kind": "expert", "scenario": scenario.name, "arm": "expert", "seed": 0, "env_steps": 0, "lineage": {}}
    with sealed_directory(Path("models") / scenario.name / "expert") as folder:
        card = save_policy(folder / "seed-0", network, params.network, world, about)
        seed = TrainedSeed(
            seed=0, env_steps=0, stopped="budget", selection=score(1), score=score(1), weights_sha256=card.weights_sha256
        )
        expert = ExpertPolicy(
            kind="ppo",
            world=scenario.world,
            scenario=scenario.name,
            scenario_sha256=scenario.sha256,
            policy_sha256=card.weights_sha256,
            seed=0,
            score=score(1),
            seeds=(seed,),
            recorded=(0,),
            state=state,  # type: ignore[arg-type]
            diagnostics=() if state == "approved" else ("success: too low",),
        )
        write_record(folder / "expert.json", expert)
