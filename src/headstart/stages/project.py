"""What all stages share: where things lie, how a scenario becomes worlds, and how a stage ends."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, InputError, IntegrityError, UsageError
from headstart.params import Params, Scenario, for_scenario, load_params, load_scenario, merged
from headstart.records.observation import ObservationSchema
from headstart.records.runs import Score
from headstart.worlds import FIRST_WORLD, World, make
from headstart.worlds.api import Played

DATA, MODELS, REPORTS, SCRATCH = Path("data"), Path("models"), Path("reports"), Path(".headstart")
CATALOGUE = DATA / "catalogue.json"


def worlds_of(scenario: Scenario, purpose: str, num_worlds: int, observation: str = "compact", skip: int = 0) -> World:
    """W worlds of a scenario, from number `skip` of the ids that belong to `purpose` (a key of FIRST_WORLD)."""
    return make(
        scenario.world,
        scenario.setup,
        horizon=scenario.horizon,
        success=scenario.success,
        harm=scenario.harm,
        num_worlds=num_worlds,
        first_world=FIRST_WORLD[purpose] + skip,
        hybrid=observation == "hybrid",
        script=scenario.expert.script,
    )


def variant_of(scenario: Scenario, variant: str) -> Scenario:
    """The held-out variant of a scenario: the same task in a setup of which some keys say otherwise."""
    setup = merged(scenario.setup, scenario.variants[variant])
    changes = {"name": f"{scenario.name}.{variant}", "setup": setup, "variants": {}}
    return Scenario.model_validate(scenario.model_dump() | changes)  # model_copy would keep the cached hash


def require_variants(params: Params, scenario: Scenario) -> None:
    """Raise InputError, naming the variant, unless every one is a setup that its world accepts and shows the same features.

    Cheap, and to be asked before training: the variants are played when it is over.
    """
    see = params.capture.observation
    for name in scenario.variants:
        try:
            usual, other = (worlds_of(one, "exam", 1, see).names for one in (scenario, variant_of(scenario, name)))
        except HeadstartError as error:
            raise InputError(f"scenarios/{scenario.name}.yaml: variants.{name}: {error}") from error
        if other != usual:
            sizes = [f"{len(names.features)} features" for names in (usual, other)]
            raise InputError(
                f"scenarios/{scenario.name}.yaml: variants.{name}: expected what its scenario shows ({sizes[0]}), got other worlds ({sizes[1]})"
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


def hash_of(*parts: Any) -> str:
    """SHA-256 of anything that JSON can say: the key of resume state and of configurations."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def main(stage: Callable[..., str], names: str = "SCENARIO") -> None:
    """Run a stage from the command line: `python -m headstart.stages.<stage> SCENARIO …`; prints its one-line result."""
    wanted = names.split()
    try:
        if len(sys.argv) - 1 != len(wanted):
            raise UsageError(f"expected {names or 'no arguments'}, got {' '.join(sys.argv[1:]) or 'nothing'}")
        print(run(stage, *sys.argv[1:]))
    except HeadstartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # an unwritable folder, a full disk
        print(f"error: {error.filename or stage.__name__}: {error.strerror or error}", file=sys.stderr)
        sys.exit(IntegrityError.exit_code)
    except KeyboardInterrupt:
        print("interrupted; run the same command again", file=sys.stderr)
        sys.exit(130)


def run(stage: Callable[..., str], *arguments: str) -> str:
    """Load params.yaml and, where the first argument names one, the scenario; then run the stage."""
    params = load_params()
    if not arguments:
        return stage(params)
    scenario = load_scenario(arguments[0])
    return stage(for_scenario(params, scenario), scenario, *arguments[1:])
