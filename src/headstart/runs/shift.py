"""Facts for the checks of distribution shift: where a policy goes in exam worlds, how it fares in held-out variants, what its data show."""

from collections.abc import Callable

import numpy as np

from headstart.compare.arm_runs import Agreement, DataStates, ShiftFacts, VariantScore
from headstart.compare.states import summarise
from headstart.config.params import Params
from headstart.config.scenario import Scenario, variant_of
from headstart.core.arrays import Array
from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema
from headstart.learn.evaluation import play_episodes
from headstart.learn.networks import ActorCritic
from headstart.learn.visits import Visits, visit
from headstart.runs.worlds import score_of, worlds_of
from headstart.worlds.api import Act, World

SITUATION = "family"  # the counter that says which kind of situation a world drew; a world without one has a single kind
APART = 100_000  # exam ids between the first worlds of two variants; the exam's own come before


def shift_facts(
    params: Params,
    scenario: Scenario,
    network: ActorCritic,
    expert_in: Callable[[World], Act] | None = None,
) -> ShiftFacts | None:
    """Play `network`, sampled, in exam worlds and in every variant; None where `evaluation.variant_worlds` is 0.

    `expert_in` gives the expert of a world, where one is at hand. Every policy plays the same worlds with the same random stream.
    """
    fixed, observation = params.evaluation, params.capture.observation
    if fixed.variant_worlds == 0:
        return None
    exam = worlds_of(scenario, "exam", fixed.variant_worlds, observation)
    visits = visit(network, exam, fixed.exam_seed, expert_in(exam) if expert_in else None)
    names, bounds = exam.names.features, scenario.feature_limits
    scores = {}
    for number, name in enumerate(scenario.variants, start=1):
        variant = variant_of(scenario, name)
        worlds = worlds_of(variant, "exam", fixed.variant_worlds, observation, skip=number * APART)
        score = score_of(play_episodes(network, worlds, fixed.exam_seed, "sampled"), worlds, variant)
        scores[name] = VariantScore(scenario_sha256=variant.sha256, score=score)
    return ShiftFacts(
        worlds=fixed.variant_worlds,
        starts=summarise(visits.features[visits.first], visits.world[visits.first], names, bounds),
        visited=summarise(visits.features, visits.world, names, bounds),
        mix=_mix(_situations(visits, exam)),
        agreement=None if visits.agreed is None else Agreement(decisions=visits.decisions, agreed=visits.agreed),
        variants=scores,
    )


def dataset_facts(scenario: Scenario, episodes: Episodes, scenario_sha256: str, schema: ObservationSchema) -> DataStates:
    """What the rows of `episodes`, those that one clone is trained on, show; `scenario_sha256` is of the recording."""
    table, features = episodes.table, episodes.observation["features"]
    of_world = np.unique(table.world, return_index=True)[1]  # an episode of every world
    begins = table.episode == 0  # later lives begin in the middle of a world's episode
    situation = table.behaviour.get(SITUATION)
    return DataStates(
        scenario_sha256=scenario_sha256,
        starts=summarise(features[table.start[begins]], table.world[begins], schema.features, scenario.feature_limits),
        visited=summarise(features, np.repeat(table.world, table.length), schema.features, scenario.feature_limits),
        mix={} if situation is None else _mix(situation[of_world]),
    )


def _situations(visits: Visits, world: World) -> Array | None:
    counters = world.names.stats
    return visits.played.stats[:, 0, counters.index(SITUATION)].astype(int) if SITUATION in counters else None


def _mix(situation: Array | None) -> dict[str, int]:
    """Situation → worlds, from the situation of each world [W]."""
    if situation is None:
        return {}
    kinds, counts = np.unique(situation, return_counts=True)
    return {str(kind): count for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True)}
