"""`headstart compile`: town and learner are compiled ahead of their first use; `make setup` does it, so that nothing else has to wait."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from headstart.core.errors import InputError, of_system

if TYPE_CHECKING:
    from headstart.worlds.api import World

LAYOUT = "################\n#F.............#\n#..............#\n#..............#\n################"  # compiled code does not depend on it


def compile_rules() -> None:
    """Compile the town and the learner, once for each version of them; the robot is compiled when it is first used."""
    from multiprocessing import get_context

    context = get_context("spawn")
    # side by side, each in a process of its own, since numba compiles one at a time
    processes = [context.Process(target=_run, args=(part,)) for part in (step, decide_and_learn)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if codes := [process.exitcode for process in processes if process.exitcode]:
        sys.exit(codes[0])  # the process has said why


def _run(part: Callable[[], None]) -> None:
    try:
        part()
    except OSError as error:
        print(f"error: {of_system(error, 'cache of compiled code')}", file=sys.stderr)
        sys.exit(InputError.exit_code)


def step() -> None:
    no_town().reset(seed=0)


def decide_and_learn() -> None:
    no_town().expert_actions()
    learn()


def learn() -> None:
    """An epoch of cloning on two rows; it compiles the loop that PPO uses too."""
    import torch

    from headstart.config.params import NetworkParams
    from headstart.config.schedule import Ramp
    from headstart.learn.bc import clone_epoch
    from headstart.learn.demonstrations import Demonstrations
    from headstart.learn.networks import ActorCritic
    from headstart.learn.optimizer import Adam

    obs = {"features": torch.zeros(2, 3), "mask": torch.ones(2, 2, dtype=torch.uint8)}
    rows = Demonstrations(obs, label=torch.tensor([0, 1]), returns=torch.zeros(2), has_choice=torch.ones(2))
    network = ActorCritic(features=3, actions=2, map_shape=None, params=NetworkParams(hidden=(4, 4)))
    network.policy(obs)
    clone_epoch(network, Adam(network), rows, 2, Ramp.model_validate(0.001), 1.0, torch.Generator())


def no_town() -> "World":
    """A town with 0 worlds: its kernels are compiled and have nothing to do."""
    from headstart.worlds.api import Task
    from headstart.worlds.make import make

    task = Task("town", {"layout": LAYOUT, "agents": 1}, horizon=1, success=["every eats >= 0"], harm=["any eats < 0"])
    return make(task, num_worlds=0)
