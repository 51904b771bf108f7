"""The expert that is recorded: a world's own script, or a network that the expert stage trained."""

from pathlib import Path

import numpy as np
import torch

from headstart.errors import GateFailed
from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.rollout import Teacher
from headstart.params import Scenario
from headstart.records.expert import ExpertPolicy
from headstart.records.files import read_record
from headstart.stages.policy import load_policy
from headstart.stages.project import MODELS
from headstart.worlds import World, source_sha256
from headstart.worlds.api import Array, Observations


def teacher_of(scenario: Scenario, world: World) -> Teacher:
    """What the approved expert would do in `world`; a network acts with its likeliest action."""
    network = expert_network(scenario, world)
    if network is None:
        return lambda seen: world.expert_actions()
    torch.set_num_threads(1)
    low, high = (np.array(bound, np.float32) for bound in (world.names.action_low, world.names.action_high))

    @torch.no_grad()
    def act(seen: Observations) -> Array:
        chosen: Array = network.policy({name: torch.from_numpy(value) for name, value in seen.items()}).mode().numpy()
        return chosen if world.names.actions else chosen.clip(low, high)

    return act


def expert_network(scenario: Scenario, world: World) -> ConflictAwarePolicyNetwork | None:
    """The learned expert; None where the expert is a script."""
    if scenario.expert.policy == "scripted":
        return None
    return load_policy(expert_folder(scenario) / "policy", world)[0]


def approved_expert(scenario: Scenario) -> ExpertPolicy:
    """The scenario's expert; GateFailed unless it is approved and is still the one that was judged."""
    path = expert_folder(scenario) / "expert.json"
    expert = read_record(path, ExpertPolicy, made_by=f"dvc repro expert@{scenario.name}")
    if expert.state != "approved":
        raise GateFailed(f"{path}: expected an approved expert, got a {expert.state}: {'; '.join(expert.diagnostics)}")
    now = expert.policy_sha256 if expert.kind == "ppo" else source_sha256(scenario.world)  # a checkpoint proves its own hash
    if (expert.kind, expert.policy_sha256, expert.scenario_sha256) != (scenario.expert.policy, now, scenario.sha256):
        raise GateFailed(f"{path}: the expert that was judged is not the one at hand; run `dvc repro expert` again")
    return expert


def expert_folder(scenario: Scenario) -> Path:
    """Where the expert stage leaves its artefact and, of a learned expert, the checkpoint."""
    return MODELS / scenario.name / "expert"
