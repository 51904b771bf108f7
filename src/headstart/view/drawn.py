"""What can be drawn, and the command that shows it: the town in a terminal and as pictures, every other world as pictures only.

The worlds of the package always draw themselves; an environment of Gymnasium or PettingZoo does where it has `rgb_array` among its render modes.
"""

from headstart.config.scenario import Scenario
from headstart.core.errors import HeadstartError, MissingExtra
from headstart.runs.worlds import task_of
from headstart.worlds.make import ENVIRONMENTS, make

IN_TERMINAL = ("town",)


def can_be_drawn(scenario: Scenario) -> bool:
    """Whether `headstart play` can show it; an environment of one's own is made and asked."""
    if scenario.world not in ENVIRONMENTS:
        return True
    try:
        make(task_of(scenario), num_worlds=1, render_mode="rgb_array").close()
    except MissingExtra:  # on this machine alone: `headstart play` says what to install
        return True
    except HeadstartError:
        return False
    return True


def watch_command(scenario: Scenario, policy: str) -> str | None:
    """What plays a policy; None where nothing can draw its world."""
    if not can_be_drawn(scenario):
        return None
    page = "" if scenario.world in IN_TERMINAL else f" --html {scenario.name}.html"
    return f"headstart play {scenario.name} --policy {policy}{page}"
