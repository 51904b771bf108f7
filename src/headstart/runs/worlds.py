"""How a scenario becomes worlds, and how episodes in them become a score."""

from dataclasses import asdict

from headstart.compare.arm_runs import EvaluationDesign, Score
from headstart.config.params import Params
from headstart.config.scenario import Scenario, variant_of
from headstart.core.errors import HeadstartError, InputError
from headstart.dataset.observation import ObservationSchema
from headstart.worlds.api import FIRST_WORLD, Played, Task, World
from headstart.worlds.make import environment_sha256, make


def worlds_of(scenario: Scenario, purpose: str, num_worlds: int, observation: str = "compact", skip: int = 0) -> World:
    """W worlds of a scenario, from number `skip` of the ids that belong to `purpose` (a key of FIRST_WORLD)."""
    return make(task_of(scenario), num_worlds, FIRST_WORLD[purpose] + skip, hybrid=observation == "hybrid")


def task_of(scenario: Scenario) -> Task:
    """What of a scenario its worlds are made from."""
    return Task(scenario.world, scenario.setup, scenario.horizon, scenario.success, scenario.harm, scenario.expert.script)


def require_variants(params: Params, scenario: Scenario) -> None:
    """Raise InputError, naming the variant, unless every one is a setup that its world accepts and shows the same features.

    Cheap, and to be asked before training: the variants are played when it is over.
    """
    observation = params.capture.observation
    for name in scenario.variants:
        try:
            usual, other = (worlds_of(one, "exam", 1, observation).names for one in (scenario, variant_of(scenario, name)))
        except HeadstartError as error:
            raise InputError(f"scenarios/{scenario.name}.yaml: variants.{name}: {error}") from error
        if other != usual:
            sizes = [f"{len(names.features)} features" for names in (usual, other)]
            raise InputError(
                f"scenarios/{scenario.name}.yaml: variants.{name}: expected what its scenario shows ({sizes[0]}), got other worlds ({sizes[1]})"
            )


def design_of(params: Params, scenario: Scenario) -> EvaluationDesign:
    """The design of every run that is compared."""
    fixed = params.evaluation
    return EvaluationDesign(
        scenario_sha256=scenario.sha256,
        environment_sha256=environment_sha256(scenario.world, scenario.setup),
        evaluation_seed=fixed.seed,
        evaluation_worlds=fixed.worlds,
        every=fixed.every,
        exam_seed=fixed.exam_seed,
        exam_worlds=fixed.exam_worlds,
        variant_worlds=fixed.variant_worlds,
    )


def schema_of(world: World) -> ObservationSchema:
    """The observation schema of a world, as records keep it."""
    names = asdict(world.names)
    return ObservationSchema(**{key: value for key, value in names.items() if key != "stats"})


def score_of(played: Played, world: World, scenario: Scenario) -> Score:
    """The record of W played episodes, with the means of the counters that the scenario wants measured."""
    counters = world.names.stats
    return Score(
        episodes=len(played.success),
        success=int(played.success.sum()),
        harm=int(played.harm.sum()),
        return_mean=float(played.total_reward.mean()),
        return_sd=float(played.total_reward.std()),
        measures={name: float(played.stats[..., counters.index(name)].mean()) for name in scenario.measures},
    )
