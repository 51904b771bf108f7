"""The expert that is recorded: a world's own script, a network that the expert stage trained, or the user's own expert."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.config.project import MODELS
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.contents import require_unchanged
from headstart.core.errors import GateFailed, InputError, IntegrityError, UsageError
from headstart.core.extras import require_torch
from headstart.core.files import read_record
from headstart.runs.approval import require_approval
from headstart.runs.estimates import of_network
from headstart.runs.expert_record import ExpertPolicy, weights_sha256
from headstart.runs.own_expert import own_act
from headstart.runs.own_source import cure_of_change, own_sha256
from headstart.worlds.api import Act, World
from headstart.worlds.make import source_sha256

if TYPE_CHECKING:
    from headstart.learn.evaluation import Acting


def expert_of(scenario: Scenario, world: World, block: int = 0) -> Act:
    """What the approved expert of a block of the recording would do in `world`.

    A network acts with its most likely action, within the bounds of the world, and can be asked for `estimates`.
    """
    if scenario.expert.policy == "demonstrations":
        raise UsageError(f"{scenario.name}: expected an expert that can act, the scenario has recorded demonstrations only")
    if scenario.expert.policy == "scripted":
        return script(world)
    if scenario.expert.is_own:
        approved_expert(scenario)
        return own_act(scenario, world)
    network = learned(scenario, world, block)
    if world.names.actions:
        return of_network(network, network)
    low, high = (np.array(bound, np.float32) for bound in (world.names.action_low, world.names.action_high))
    return of_network(network, lambda obs: network(obs).clip(low, high))


def script(world: World) -> Act:
    """The scripted expert of a world."""
    return lambda obs: world.expert_actions()


def learned(scenario: Scenario, world: World, block: int) -> "Acting":
    """The network that the expert stage trained and approved for a block; IntegrityError for other weights."""
    require_torch(f"the expert of {scenario.name}", "because it is a network")
    import torch  # a scripted expert needs none

    from headstart.learn.evaluation import Acting
    from headstart.runs.policy import load_policy

    torch.set_num_threads(1)
    approved = approved_expert(scenario).acting(block)
    folder = expert_folder(scenario) / f"seed-{approved.seed}"
    network, card = load_policy(folder, world)
    if card.weights_sha256 != approved.weights_sha256:
        raise IntegrityError(
            f"{folder}: expected the weights {approved.weights_sha256} that were approved, got {card.weights_sha256}; "
            f"`{stage_command('expert', scenario.name)}` trains them again"
        )
    return Acting(network, 0, "deterministic")


def approved_expert(scenario: Scenario) -> ExpertPolicy:
    """The scenario's expert; GateFailed unless it is approved, where a person is asked by one, and is still the one that was judged."""
    expert = passed_expert(scenario)
    if expert.state == "passed":
        require_approval(expert, str(expert_folder(scenario) / "expert.json"))
    return expert


def passed_expert(scenario: Scenario) -> ExpertPolicy:
    """The scenario's expert; GateFailed unless it passed its gate and is still the one that was judged."""
    path, expert = expert_folder(scenario) / "expert.json", judged_expert(scenario)
    if expert.state == "draft":
        why, cure = "; ".join(expert.diagnostics), f"`{stage_command('expert', scenario.name)}` judges it again"
        raise GateFailed(f"{path}: expected an approved expert, got a draft: {why}; {cure}")
    if not is_at_hand(expert, scenario):
        raise GateFailed(f"{path}: the expert that was judged is not the one at hand; run `{cure_of_change(scenario)}` again")
    return expert


def judged_expert(scenario: Scenario) -> ExpertPolicy:
    """What the stage `expert` left, approved or not. IntegrityError, with the command that makes it anew, for a record that changed since."""
    path, made_by = expert_folder(scenario) / "expert.json", stage_command("expert", scenario.name)
    try:
        require_unchanged(path)
    except IntegrityError as error:
        raise IntegrityError(f"{error}; `{made_by}` judges the expert again") from None
    return read_record(path, ExpertPolicy, made_by=made_by)


def is_at_hand(expert: ExpertPolicy, scenario: Scenario) -> bool:
    """Whether the expert that was judged is the scenario's expert of now; `learned` compares the weights with those of the seeds."""
    now = source_of(scenario) or (weights_sha256(expert.acting_seeds) if expert.recorded else expert.policy_sha256)
    return (expert.kind, expert.policy_sha256, expert.scenario_sha256) == (scenario.expert.policy, now, scenario.sha256)


def source_of(scenario: Scenario) -> str | None:
    """Hash of the script's sources, or of the user's code or file; None of a learned expert and of recorded demonstrations."""
    if scenario.expert.policy == "scripted":
        return source_sha256(scenario.world)
    return own_sha256(scenario) if scenario.expert.is_own else None


def expert_folder(scenario: Scenario) -> Path:
    """Where the expert stage leaves its artefact and, of a learned expert, the checkpoint."""
    return MODELS / scenario.name / "expert"


def require_judged(scenario: Scenario) -> Path:
    """The folder of the scenario's expert; InputError, with the command that makes it, where the expert stage has left none."""
    folder = expert_folder(scenario)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected an expert, found none; `{stage_command('expert', scenario.name)}` makes it")
    return folder
