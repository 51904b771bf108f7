"""Stage `settings`: all settings of a scenario in one file, of which DVC compares for every later stage the keys that it reads.

So an edit of params.yaml, or of the scenario file and its recipe, runs again the stages that it concerns. Settings with which a gate cannot be
met are refused here, before anything is recorded or trained.
"""

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.settings import TOP, resolved, settings_path
from headstart.config.stage import Done, main
from headstart.core.files import write_bytes
from headstart.core.strict_json import pretty_json
from headstart.runs.check import require_possible


def settings(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/settings.json."""
    require_possible(params, scenario)
    path = settings_path(scenario.name)
    write_bytes(path, pretty_json({TOP: resolved(params, scenario)}))
    return Done(f"settings {scenario.name}: all settings that its stages read", look=path.as_posix())


if __name__ == "__main__":
    main(settings)
