"""Stage `baseline`: train an arm from random weights; it depends on neither data nor clones."""

from headstart.config.params import Params
from headstart.config.project import MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.runs.arm import run_arm


def baseline(params: Params, scenario: Scenario, arm: str) -> Done:
    """Writes models/<scenario>/baseline/<arm> and reports/<scenario>/baseline/<arm>."""
    name = scenario.name
    return run_arm(params, scenario, arm, "baseline", MODELS / name / "baseline" / arm, REPORTS / name / "baseline" / arm)


if __name__ == "__main__":
    main(baseline, "SCENARIO ARM")
