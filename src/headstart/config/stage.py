"""How a stage begins and ends: its scenario and settings from the command line, and one line for its result or its error."""

import sys
from collections.abc import Callable
from pathlib import Path

from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.core.closure import require_own_code
from headstart.core.errors import HeadstartError, IntegrityError, UsageError


def main(stage: Callable[..., str], names: str = "SCENARIO") -> None:
    """Run a stage from the command line: `python -m headstart.stages.<stage> SCENARIO …`; prints its one-line result."""
    wanted = names.split()
    try:
        if len(sys.argv) - 1 != len(wanted):
            raise UsageError(f"expected {names or 'no arguments'}, got {' '.join(sys.argv[1:]) or 'nothing'}")
        require_own_code(Path())
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
