"""`make bench`: how fast the parts are, each beside a reference measured in the same run on the same machine.

World and expert run on one thread and on two; the learner runs on one thread per process, as in the stages. "matmul bound" is the rate of the
matrix products alone, of the same network on minibatches of the same size; it is measured before every pass, since clocks
move by a third. Figures are medians of several passes, printed with their best and worst.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from statistics import median
from typing import Any

import gymnasium
import numba
import numpy as np
import torch
from gymnasium.wrappers import RecordEpisodeStatistics

from headstart.config.params import Params, for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.config.schedule import Ramp
from headstart.learn.bc import clone_epoch
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.networks import ActorCritic
from headstart.learn.optimizer import Adam
from headstart.learn.ppo import Weights, update
from headstart.learn.rollout import Player
from headstart.runs.policy import new_network
from headstart.runs.worlds import worlds_of
from headstart.worlds.api import Task, World
from headstart.worlds.gym import GymWorld

LEARNERS = (
    "queue_conflict",
    "nav_mixed",
)  # masked actions with the network of params.yaml; continuous actions with a recipe of its own
WORLDS = {"queue_conflict": ("compact", "hybrid"), "employment_punctuality": ("compact", "hybrid"), "nav_mixed": ("compact",)}
PASSES = 5
ADAPTED: dict[str, list[Any]] = {
    "CartPole-v1": [RecordEpisodeStatistics],
    "Pendulum-v1": [],
    "FrozenLake-v1": [],
}  # id → wrappers


def main() -> None:
    """Print every figure."""
    torch.set_num_threads(1)
    print(f"headstart bench: {os.cpu_count()} cores, torch {torch.__version__}, numba {numba.__version__}")
    print(f"load average at the start: {os.getloadavg()[0]:.2f}")
    simulators()
    adapter()
    for scenario in LEARNERS:
        print(f"learner: {scenario}")
        learner(scenario)
        cloning(scenario)
        two_seeds(scenario)


def simulators() -> None:
    """Every world of WORLDS driven by its script; the script's decisions are timed apart from the steps."""
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


def adapter(num_worlds: int = 32, ticks: int = 300) -> None:
    """Gymnasium environments, one after the other, through `GymWorld` and through `gymnasium.make_vec`, under the same random actions.

    Both begin new episodes; ours seeds each of them, so that it depends on nothing else, and short episodes show what that costs.
    """
    for name, wrapped in ADAPTED.items():
        wrappers = [f"{wrapper.__module__}:{wrapper.__name__}" for wrapper in wrapped]
        world = GymWorld(
            Task("gym", {"id": name, "wrappers": wrappers}, 200, ("every return >= 1",), ("any terminated > 0",)), num_worlds
        )
        plain = gymnasium.make_vec(name, num_worlds, vectorization_mode="sync", wrappers=wrapped or None, max_episode_steps=200)
        draw = np.random.default_rng(0)
        shape = (ticks, num_worlds, *(world.single_action_space.shape or ()))
        named = len(world.names.actions)
        actions = draw.integers(0, named, shape) if named else draw.uniform(-1, 1, shape).astype(np.float32)
        rates: dict[str, list[float]] = {"make_vec": [], "GymWorld": []}
        world.reset(seed=0)
        plain.reset(seed=0)
        for _ in range(PASSES):
            for side, step, acts in (
                ("make_vec", plain.step, [world.acting.own(act) for act in actions]),
                ("GymWorld", world.step, actions),
            ):
                rates[side].append(ticks * num_worlds / _seconds(lambda step=step, acts=acts: [step(act) for act in acts]))
        shares = [theirs / ours - 1 for theirs, ours in zip(rates["make_vec"], rates["GymWorld"], strict=True)]
        show(f"{name} W={num_worlds}, make_vec", "env steps/s", rates["make_vec"])
        show("  through the adapter", "env steps/s", rates["GymWorld"])
        print(f"{'  over make_vec':45s} {median(shares):12.0%}  ({min(shares):.0%} … {max(shares):.0%})")


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


def matmul_products(scenario: str, rows: int) -> Callable[[], float]:
    """Measures rows a second through the forward and backward products of actor and critic alone, on minibatches of `rows`."""
    shapes = [tuple(p.shape) for name, p in _network(scenario).named_parameters() if name.endswith("weight")]
    operands = [(torch.randn(rows, i), torch.randn(o, i), torch.randn(rows, o)) for o, i in shapes]
    first = {0, len(shapes) // 2}  # no gradient flows into the features
    times = 40960 // rows

    def products() -> None:
        for _ in range(times):
            for index, (x, w, g) in enumerate(operands):
                x @ w.t()
                g.t() @ x
                if index not in first:
                    g @ w

    return lambda: rows * times / _seconds(products)


def learner(scenario: str) -> None:
    """PPO with the recipe of the arm `pretrained`, and its update alone as a share of what its matrix products allow."""
    rows = _params(scenario).arms["pretrained"].ppo.mini_batch_size
    bound = matmul_products(scenario, rows)
    bounds, passes = zip(*((bound(), _ppo(scenario, updates=3)) for _ in range(PASSES)), strict=True)
    rates, learning = zip(*passes, strict=True)
    show("PPO end to end, one process", "agent-steps/s", rates)
    show(f"matmul bound, minibatches of {rows}", "rows/s", bounds)
    show("PPO update alone", "samples/s", learning, bounds)


def _ppo(scenario: str, updates: int) -> tuple[float, float]:
    """(agent-steps a second of roll-out and update, samples a second of the update alone)."""
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    params = _params(scenario).arms["pretrained"].ppo.model_copy(update={"target_kl": None})  # every epoch in full
    world = worlds_of(load_scenario(scenario), "training", params.worlds)
    network, generator = _network(scenario), torch.Generator().manual_seed(0)
    optimizer, player = Adam(network), Player(world, 0, generator)
    update(network, optimizer, player.play(network, params.rollout_ticks), params, Weights(1e-4, 0.01), generator)
    steps = learning = 0.0
    began = time.perf_counter()
    for _ in range(updates):
        rollout = player.play(network, params.rollout_ticks)
        played = time.perf_counter()
        update(network, optimizer, rollout, params, Weights(1e-4, 0.01), generator)
        learning += time.perf_counter() - played
        steps += rollout.reward.size
    return steps / (time.perf_counter() - began), steps * params.num_epochs / learning


def cloning(scenario: str, samples: int = 61440) -> None:
    """Behaviour cloning on minibatches of the recipe's size, as a share of what its matrix products allow."""
    settings, network = _params(scenario).bc_train, _network(scenario)
    batch = settings.batch_size
    bound = matmul_products(scenario, batch)
    rows = samples // batch * batch
    data, rate, generator = _demonstrations(scenario, rows), Ramp.model_validate(1e-3), torch.Generator().manual_seed(0)
    optimizer = Adam(network)

    def once() -> None:
        clone_epoch(network, optimizer, data, batch, rate, settings.value_coef, generator)

    once()
    bounds, rates = zip(*((bound(), rows / _seconds(once)) for _ in range(PASSES)), strict=True)
    show(f"matmul bound, minibatches of {batch}", "rows/s", bounds)
    show("BC, one process", "samples/s", rates, bounds)


def _demonstrations(scenario: str, rows: int) -> Demonstrations:
    """Made-up states and choices of the right shape."""
    names = worlds_of(load_scenario(scenario), "training", 1).names
    obs = {"features": torch.rand(rows, len(names.features))}
    action = torch.rand(rows, len(names.action_low)) * 2 - 1
    if names.actions:
        obs["mask"] = torch.ones(rows, len(names.actions), dtype=torch.uint8)
        action = torch.randint(0, len(names.actions), (rows,))
    return Demonstrations(obs, action, torch.randn(rows), torch.ones(rows))


def two_seeds(scenario: str) -> None:
    with get_context("spawn").Pool(2) as pool:
        pool.starmap(_ppo, [(scenario, 1)] * 2)
        rates = [sum(rate for rate, _ in pool.starmap(_ppo, [(scenario, 6)] * 2)) for _ in range(PASSES)]
    show("PPO end to end, two seeds side by side", "agent-steps/s together", rates)


def _params(scenario: str) -> Params:
    return for_scenario(load_params(), load_scenario(scenario))


def _network(scenario: str) -> ActorCritic:
    return new_network(worlds_of(load_scenario(scenario), "training", 1), _params(scenario).network, 0)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def show(what: str, unit: str, rates: Sequence[float], bounds: Sequence[float] = ()) -> None:
    """`bounds`: the bound measured just before each of the rates."""
    shares = [rate / bound for rate, bound in zip(rates, bounds, strict=False)]
    share = f"  {median(shares):5.2f} of the matmul bound ({min(shares):.2f} … {max(shares):.2f})" if shares else ""
    print(f"{what:45s} {median(rates):12,.0f} {unit}  ({min(rates):,.0f} … {max(rates):,.0f}){share}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
