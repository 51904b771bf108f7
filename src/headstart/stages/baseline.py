"""Stage `baseline`: train the arm `scratch`, which uses no demonstrations; it depends on neither data nor clone."""

from headstart.config.params import Params
from headstart.config.project import MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.runs.arm import run_arm


def baseline(params: Params, scenario: Scenario) -> Done:
    """Writes models/<scenario>/baseline and reports/<scenario>/baseline."""
    name = scenario.name
    return run_arm(params, scenario, "scratch", "baseline", MODELS / name / "baseline", REPORTS / name / "baseline")


if __name__ == "__main__":
    main(baseline)
