"""Stage `report`: the report of a scenario, for people; no stage depends on it."""

from pathlib import Path

from headstart.config.params import Params, load_params
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.view.index import write_index
from headstart.view.report import put_report


def report(params: Params, scenario: Scenario) -> Done:
    """Writes reports/<scenario>/report.html, report.md and the pictures of the latter; anew reports/index.html, which DVC does not keep."""
    path = put_report(Path(), scenario.name)
    write_index(Path(), load_params().scenarios)
    return Done(f"report {scenario.name}: written", look=path.as_posix())


if __name__ == "__main__":
    main(report)
