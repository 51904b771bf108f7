"""Gates that the numbers of a scenario cannot meet, whatever is trained: found before anything is."""

from collections.abc import Iterator
from typing import NamedTuple

from headstart.config.params import MIN_REPLAYED, Params
from headstart.config.scenario import Scenario
from headstart.core.statistics import wilson_lower, wilson_upper
from headstart.worlds.api import World


class Impossible(NamedTuple):
    """A gate that stops the pipeline, whatever is trained."""

    says: str
    cure: str


def impossible_gates(params: Params, scenario: Scenario, world: World) -> list[Impossible]:
    """Every gate that cannot be met in worlds like `world`."""
    return [*expert_gates(params, scenario), *_recording(params, scenario, world), *_dataset(params, world)]


def expert_gates(params: Params, scenario: Scenario) -> Iterator[Impossible]:
    """What the expert cannot show in the episodes on which it is judged."""
    n, gate = params.expert.worlds, scenario.expert
    if (best := wilson_lower(n, n)) < gate.success_rate:
        yield Impossible(
            f"expert.success_rate {gate.success_rate}: the lower bound of {n} successes in {n} episodes is {best:.3f}",
            "raise expert.worlds, or lower success_rate of the expert in the scenario",
        )
    if (least := wilson_upper(0, n)) > gate.harm_rate:
        yield Impossible(
            f"expert.harm_rate {gate.harm_rate}: the upper bound of no harm in {n} episodes is {least:.3f}",
            "raise expert.worlds, or raise harm_rate of the expert in the scenario",
        )
    if gate.policy == "ppo" and len(params.expert.seeds) < params.expert.min_seeds:
        yield Impossible(
            f"expert.min_seeds {params.expert.min_seeds}: expert.seeds has {len(params.expert.seeds)}",
            "add seeds to expert.seeds, or lower expert.min_seeds",
        )


def _recording(params: Params, scenario: Scenario, world: World) -> Iterator[Impossible]:
    """What depends on how much `capture` records; a recording that a user brings has as many episodes as it has."""
    if scenario.demonstrations is not None:
        return
    capture, limits = params.capture, params.validate_
    one_life = world.names.world != "town"  # elsewhere a world has one episode of each agent
    sample = min(limits.replay_worlds, capture.all_worlds) if scenario.is_foreign else capture.all_worlds
    replayed = sample * world.num_agents
    if one_life and replayed < MIN_REPLAYED:
        yield Impossible(
            f"validate.replay_worlds {limits.replay_worlds}: {replayed} episodes can be replayed, the gate wants {MIN_REPLAYED}",
            f"set validate.replay_worlds and capture.worlds to {MIN_REPLAYED} or more",
        )
    if one_life and capture.worlds * world.num_agents < limits.min_episodes:
        yield Impossible(
            f"validate.min_episodes {limits.min_episodes}: a block has {capture.worlds * world.num_agents} (capture.worlds)",
            "raise capture.worlds, or lower validate.min_episodes",
        )
    if (best := wilson_lower(capture.all_worlds, capture.all_worlds)) < limits.min_success_rate:
        yield Impossible(
            f"validate.min_success_rate {limits.min_success_rate}: the lower bound of {capture.all_worlds} successes is {best:.3f}",
            "raise capture.worlds, or lower validate.min_success_rate",
        )
    if capture.worlds < 2:
        yield Impossible("capture.worlds 1: a block has no world to hold out", "set capture.worlds to 2 or more")


def _dataset(params: Params, world: World) -> Iterator[Impossible]:
    if params.curate.min_steps > world.horizon:
        yield Impossible(
            f"curate.min_steps {params.curate.min_steps}: an episode has at most {world.horizon} steps (horizon)",
            "lower curate.min_steps",
        )
    if len(world.names.actions) == 1:
        yield Impossible("the only action is chosen in every step: nothing can be learned", "offer more than one action")
