"""`make bench`: how fast the parts are, each beside a reference measured in the same run on the same machine.

World and expert run on one thread and on two; the learner runs on one thread a process, as the stages do. "matmul bound" is the rate at which
the network's matrix products alone could go. Figures are medians of several passes, printed with their best and worst.
"""

import os
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from statistics import median

import numba
import torch

from headstart.learn.bc import imitation_loss
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.networks import ConflictAwarePolicyNetwork
from headstart.learn.ppo import Weights, make_optimizer, update
from headstart.learn.rollout import Player
from headstart.params import load_params, load_scenario
from headstart.schedule import PPOParams
from headstart.stages.policy import new_network
from headstart.stages.project import worlds_of
from headstart.worlds import World

SCENARIO = "queue_conflict"  # of the learner
WORLDS = {"queue_conflict": ("compact", "hybrid"), "employment_punctuality": ("compact", "hybrid"), "nav_mixed": ("compact",)}
PASSES = 5


def main() -> None:
    """Print every figure."""
    torch.set_num_threads(1)
    print(f"headstart bench: {os.cpu_count()} cores, torch {torch.__version__}, numba {numba.__version__}")
    print(f"load average at the start: {os.getloadavg()[0]:.2f}")
    simulators()
    print(f"learner: {SCENARIO}")
    bound = matmul_bound()
    learner(bound)
    cloning(bound)
    two_seeds()


def simulators() -> None:
    """Every world of WORLDS driven by its script: steps, and what the script costs, apart."""
    for scenario, observations in WORLDS.items():
        for observation in observations:
            for num_worlds in (1024, 4096):
                world = worlds_of(load_scenario(scenario), "training", num_worlds, observation)
                world.reset(seed=0)
                for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
                    numba.set_num_threads(threads)
                    _drive(world)  # caches and clocks warm up
                    steps, decisions = zip(*(_drive(world) for _ in range(PASSES)), strict=True)
                    show(f"{scenario} {observation} W={num_worlds}, {threads} thread(s)", "agent-steps/s", steps)
                    if observation == "compact":
                        show(f"  its expert W={num_worlds}, {threads} thread(s)", "decisions/s", decisions)
    numba.set_num_threads(1)


def _drive(world: World, ticks: int = 64) -> tuple[float, float]:
    stepping = deciding = 0.0
    for _ in range(ticks):
        began = time.perf_counter()
        actions = world.expert_actions()
        decided = time.perf_counter()
        world.step(actions)
        stepping += time.perf_counter() - decided
        deciding += decided - began
    return ticks * world.num_envs / stepping, ticks * world.num_envs / deciding


def matmul_bound(rows: int = 2048) -> float:
    """Rows a second through forward and backward products of actor and critic, and nothing else."""
    shapes = [tuple(p.shape) for name, p in _network().named_parameters() if name.endswith("weight")]
    operands = [(torch.randn(rows, i), torch.randn(o, i), torch.randn(rows, o)) for o, i in shapes]
    first = {0, len(shapes) // 2}  # no gradient flows into the features

    def once() -> None:
        for index, (x, w, g) in enumerate(operands):
            x @ w.t()
            g.t() @ x
            if index not in first:
                g @ w

    rates = [rows * 20 / _seconds(lambda: [once() for _ in range(20)]) for _ in range(PASSES)]
    show("matmul bound, forward and backward", "rows/s", rates)
    return median(rates)


def learner(bound: float) -> None:
    params = load_params().arms["pretrained"].ppo
    rates, learning = zip(*(_ppo(params, updates=3) for _ in range(PASSES)), strict=True)
    show("PPO end to end, one process", "agent-steps/s", rates)
    show("PPO update alone", "samples/s", learning, bound)


def _ppo(params: PPOParams, updates: int) -> tuple[float, float]:
    """(agent-steps a second of roll-out and update, samples a second of the update alone)."""
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    world = worlds_of(load_scenario(SCENARIO), "training", params.worlds)
    network, generator = _network(), torch.Generator().manual_seed(0)
    optimizer, player = make_optimizer(network), Player(world, 0, generator)
    update(network, optimizer, player.play(network, params.rollout_ticks), params, Weights(1e-4, 0.01), generator)
    steps = learning = 0.0
    began = time.perf_counter()
    for _ in range(updates):
        rollout = player.play(network, params.rollout_ticks)
        played = time.perf_counter()
        update(network, optimizer, rollout, params, Weights(1e-4, 0.01), generator)
        learning += time.perf_counter() - played
        steps += rollout.action.numel()
    return steps / (time.perf_counter() - began), steps * params.num_epochs / learning


def cloning(bound: float, batch: int = 1024, batches: int = 60) -> None:
    settings, network = load_params().bc_train, _network()
    world = worlds_of(load_scenario(SCENARIO), "training", 1)
    rows = batch * 8
    data = Demonstrations(
        {
            "features": torch.rand(rows, len(world.names.features)),
            "mask": torch.ones(rows, len(world.names.actions), dtype=torch.uint8),
        },
        torch.randint(0, len(world.names.actions), (rows,)),
        torch.randn(rows),
        torch.ones(rows),
    )
    optimizer = make_optimizer(network)

    def once() -> None:
        for index in torch.randint(0, rows, (batches, batch)):
            part = data.rows(index)
            optimizer.zero_grad(set_to_none=True)
            loss = imitation_loss(network.policy(part.seen), part)
            loss = loss + settings.value_coef * (network.value(part.seen) - part.returns).square().mean()
            loss.backward()
            optimizer.step()

    once()
    show("BC, one process", "samples/s", [batch * batches / _seconds(once) for _ in range(PASSES)], bound)


def two_seeds() -> None:
    params = load_params().arms["pretrained"].ppo
    with get_context("spawn").Pool(2) as pool:
        pool.starmap(_ppo, [(params, 1)] * 2)
        rates = [sum(rate for rate, _ in pool.starmap(_ppo, [(params, 6)] * 2)) for _ in range(PASSES)]
    show("PPO end to end, two seeds side by side", "agent-steps/s together", rates)


def _network() -> ConflictAwarePolicyNetwork:
    return new_network(worlds_of(load_scenario(SCENARIO), "training", 1), load_params().network, 0)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def show(what: str, unit: str, rates: "tuple[float, ...] | list[float]", bound: float | None = None) -> None:
    share = f"  {median(rates) / bound:5.2f} of the matmul bound" if bound else ""
    print(f"{what:45s} {median(rates):12,.0f} {unit}  ({min(rates):,.0f} … {max(rates):,.0f}){share}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
