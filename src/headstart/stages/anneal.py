"""Stage `anneal`: train an arm that starts from the clone along its schedule."""

from headstart.config.params import Params
from headstart.config.project import MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.runs.arm import run_arm


def anneal(params: Params, scenario: Scenario, arm: str) -> Done:
    """Writes models/<scenario>/anneal/<arm> and reports/<scenario>/anneal/<arm>."""
    name = scenario.name
    return run_arm(params, scenario, arm, "anneal", MODELS / name / "anneal" / arm, REPORTS / name / "anneal" / arm)


if __name__ == "__main__":
    main(anneal, "SCENARIO ARM")
