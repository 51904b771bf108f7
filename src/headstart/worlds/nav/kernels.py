"""The loop over W worlds, compiled for all cores, in chunks of 16 worlds that share one work space."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from headstart.worlds.jit import LOOK, STAGGER, STEP, kernel, rule
from headstart.worlds.nav.observe import write_features
from headstart.worlds.nav.pieces import FIRST_TICK, MAP
from headstart.worlds.nav.rules import reset_world, tick, write_stats
from headstart.worlds.nav.state import REWARD_TERMS, RUNNING, TIMEOUT
from headstart.worlds.rng import draw

CHUNK = 16
COUNT = 4  # a mode of `run_worlds`: write the counters so far, and nothing else
N_TERMS = len(REWARD_TERMS)


class Out(NamedTuple):
    """Outputs of a step."""

    features: npt.NDArray[np.float32]  # [W, F]
    reward: npt.NDArray[np.float32]  # [W]
    reward_terms: npt.NDArray[np.float32]  # [W, R]
    terminated: npt.NDArray[np.bool_]  # [W]
    truncated: npt.NDArray[np.bool_]  # [W]
    final_features: npt.NDArray[np.float32]  # [W, F], before the reset, of worlds that ended
    stats: npt.NDArray[np.int32]  # [W, S], of worlds that ended
    running_stats: npt.NDArray[np.int32]  # [W, S], written by COUNT
    episode_end: npt.NDArray[np.bool_]  # [W]


@rule
def write_reward(world, out, w):
    total = world.reward[0]
    out.reward_terms[w, 0] = total
    for term in range(1, N_TERMS):
        total += world.reward[term]
        out.reward_terms[w, term] = world.reward[term]
    out.reward[w] = total


@rule
def end_episode(world, setup, scratch, out, w):
    """Flags of this step; where the episode is over, its last observation and counters, then the next one begins."""
    ended = world.status != RUNNING
    out.terminated[w] = ended and world.status != TIMEOUT
    out.truncated[w] = world.status == TIMEOUT
    out.episode_end[w] = ended
    if ended:
        write_features(world, scratch, out.final_features[w])
        write_stats(world, out.stats[w])
        world.episode += 1
        reset_world(world, setup)


@kernel
def run_worlds(worlds, setups, scratches, actions, mode, out):
    """W worlds: one step (STEP), a new episode (RESET, or STAGGER for one with less time left), or nothing (LOOK, COUNT).

    actions: [W, 2] f32, read by STEP only. scratches: one for each chunk. One kernel, because compiling is slow.
    """
    for chunk in prange(len(scratches)):
        setup, scratch = setups[0], scratches[chunk]
        for w in range(chunk * CHUNK, min(len(worlds), (chunk + 1) * CHUNK)):
            world = worlds[w]
            if mode == STEP:
                tick(world, setup, scratch, actions[w, 0], actions[w, 1])
                write_reward(world, out, w)
                end_episode(world, setup, scratch, out, w)
            elif mode == COUNT:
                write_stats(world, out.running_stats[w])
                continue
            elif mode != LOOK:
                reset_world(world, setup)
                if mode == STAGGER:
                    world.first_tick = draw(world.seed, world.id, world.episode, 0, MAP, FIRST_TICK, setup.horizon)
                    world.tick = world.first_tick
            write_features(world, scratch, out.features[w])
