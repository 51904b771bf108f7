"""`headstart compile`: the rules of the town are compiled ahead of their first use; `make setup` does it, so that nothing else has to wait."""

import sys
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.worlds import World

LAYOUT = "################\n#F.............#\n#..............#\n#..............#\n################"  # compiled code does not depend on it


def compile_rules() -> None:
    """Compile the rules of the town, once for each version of them; the robot's are compiled when they are first used."""
    context = get_context("spawn")
    # side by side, each in a process of its own, since numba compiles one at a time
    processes = [context.Process(target=kernel) for kernel in (step, decide)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit(1)  # the process has said why


def step() -> None:
    no_town().reset(seed=0)


def decide() -> None:
    no_town().expert_actions()


def no_town() -> "World":
    """No world at all: its kernels are compiled, and then have nothing to do."""
    from headstart.worlds import make

    setup = {"layout": LAYOUT, "agents": 1}
    return make("town", setup, horizon=1, success=["every eats >= 0"], harm=["any eats < 0"], num_worlds=0)
