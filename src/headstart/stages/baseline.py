"""Stage `baseline`: the arm `scratch`, which learns without demonstrations; it depends on no data and no clone."""

from headstart.params import Params, Scenario
from headstart.stages.arm import run_arm
from headstart.stages.project import MODELS, REPORTS, main


def baseline(params: Params, scenario: Scenario) -> str:
    """Writes models/<scenario>/baseline and reports/<scenario>/baseline."""
    name = scenario.name
    return run_arm(params, scenario, "scratch", "baseline", MODELS / name / "baseline", REPORTS / name / "baseline")


if __name__ == "__main__":
    main(baseline)
