"""Stage `source`: what a user brings to a scenario: the recording that stands for an expert, or the hash of the user's own expert; and the hash
of the environment.

All scenarios share the folders `demonstrations/`, `experts/` and `environments/`, and DVC watches each as a whole. What this stage writes
changes only with what its own scenario brings; of a scenario that brings nothing it never changes. So an edit runs the later stages of the
scenarios that it concerns, and of no others.
"""

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.contents import sealed_directory
from headstart.core.errors import GateFailed
from headstart.core.files import write_record
from headstart.runs.own_source import own_sha256
from headstart.runs.recorded import ENVIRONMENT, SOURCE, Environment, Source, source_folder


def source(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/source: source.json, environment.json, and episodes.h5 where the scenario names a recording."""
    name, brought = scenario.name, scenario.demonstrations
    with sealed_directory(source_folder(scenario)) as folder:
        if brought is not None:
            from headstart.runs.importing import import_recording  # simulators, which others do not need here

            found, remarks = import_recording(params, scenario, brought, folder / "episodes.h5")
            require_enough(params, scenario, found.episodes)
            missing = f"; absent: {', '.join(found.absent)}" if found.absent else ""
            shown = f"; success {found.score.success_rate:.3f}, return {found.score.return_mean:.3f}" if found.score else ""
            says = f"{found.episodes} episodes, {found.steps:,} steps of {brought.path}{shown}{missing}{remarks}"
        elif scenario.expert.is_own:
            found = Source(sha256=own_sha256(scenario))
            says = f"{scenario.expert.policy} {found.sha256}"
        else:
            found, says = Source(), f"none, its expert is {scenario.expert.policy}"
        environment = Environment(sha256=None)
        if scenario.is_foreign:
            from headstart.worlds.make import environment_sha256

            environment = Environment(sha256=environment_sha256(scenario.world, scenario.setup))
        write_record(folder / ENVIRONMENT, environment)
        write_record(folder / SOURCE, found)
    return Done(
        f"source {name}: {says}",
        {"episodes": found.episodes, "steps": found.steps},
        look=(source_folder(scenario) / SOURCE).as_posix(),
    )


def require_enough(params: Params, scenario: Scenario, episodes: int) -> None:
    """GateFailed for a recording of which no block can have the episodes that `validate` wants."""
    blocks, wanted = params.capture.blocks, params.validate_.min_episodes
    if episodes // blocks < wanted:
        raise GateFailed(
            f"{scenario.name}: expected {wanted} episodes in each of {blocks} blocks (validate.min_episodes, capture.blocks), "
            f"{episodes} episodes make {episodes // blocks}; set `validate: {{min_episodes: {max(1, episodes // blocks * 9 // 10)}}}` in the "
            "scenario's recipe, or fewer seeds and blocks"
        )


if __name__ == "__main__":
    main(source)
