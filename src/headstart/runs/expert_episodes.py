"""The episodes on which an expert is judged: its score, the spread of its returns, what goes wrong in them, and what it does."""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.runs.expert_record import Episodes, Failure
from headstart.runs.worlds import score_of, worlds_of
from headstart.worlds.api import Act, Observations, Played, World, play
from headstart.worlds.predicate import compile_predicate

PERCENTS = (5, 50, 95)


def judged_on(params: Params, scenario: Scenario, episodes: int, expert: Callable[[World], Act]) -> tuple[Score, Episodes]:
    """One episode of `expert` in each of so many worlds that nothing else uses."""
    world = worlds_of(scenario, "expert", episodes, params.capture.observation)
    act, counts, last = expert(world), np.zeros(len(world.names.actions), np.int64), np.zeros(0)

    def acting(obs: Observations) -> Array:
        nonlocal last
        last = act(obs)
        return last

    def count(obs: Observations, playing: Array) -> None:
        if world.names.actions:
            decides = np.repeat(playing, world.num_agents) & ~world.gone & (obs["mask"].sum(axis=1) > 1)
            counts[:] += np.bincount(last[decides], minlength=len(counts))

    played = play(world, acting, params.expert.seed, count)
    return score_of(played, world, scenario), episodes_of(played, world, scenario, counts)


def episodes_of(played: Played, world: World, scenario: Scenario, actions: Array) -> Episodes:
    """`actions` [K]: how often each was chosen where more than one was allowed."""
    low, median, high = np.percentile(played.total_reward, PERCENTS).tolist()
    chosen = {name: int(n) for name, n in zip(world.names.actions, actions, strict=True) if n}
    return Episodes(
        return_p5=low, return_median=median, return_p95=high, failures=tuple(failures(played, world, scenario)), decisions=chosen
    )


def failures(played: Played, world: World, scenario: Scenario) -> Iterator[Failure]:
    """Each condition of success that did not hold somewhere, and each of harm that did, with the first world where it was so."""
    counters = world.names.stats
    wanted: tuple[tuple[Literal["success", "harm"], tuple[str, ...], bool], ...] = (
        ("success", scenario.success, False),
        ("harm", scenario.harm, True),
    )
    for of, sentences, decides in wanted:
        for sentence in sentences:
            where = compile_predicate(sentence, counters)(played.stats) == decides
            if where.any():
                yield Failure(condition=sentence, of=of, episodes=int(where.sum()), world=world.ids[int(where.argmax())])
