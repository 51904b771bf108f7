"""The loop over W worlds, compiled for all cores; the expert has a kernel of its own."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from headstart.worlds.jit import LOOK, STAGGER, STEP, kernel, rule
from headstart.worlds.town.beginning import depart, reset_world, respawn, stagger
from headstart.worlds.town.observe import write_features
from headstart.worlds.town.rules import N_TERMS, tick, write_mask
from headstart.worlds.town.sight import write_map
from headstart.worlds.town.state import STATS

N_STATS = len(STATS)
REWARD_UNIT = 1e-4


class Out(NamedTuple):
    """Outputs of a step. Map arrays are [0, …] without `hybrid`."""

    features: npt.NDArray[np.float32]  # [W, A, F]
    mask: npt.NDArray[np.uint8]  # [W, A, K]
    map: npt.NDArray[np.uint8]  # [W, A, C, G, G]
    reward: npt.NDArray[np.float32]  # [W, A]
    reward_terms: npt.NDArray[np.float32]  # [W, A, R]
    terminated: npt.NDArray[np.bool_]  # [W, A]
    truncated: npt.NDArray[np.bool_]  # [W, A]
    final_features: npt.NDArray[np.float32]  # [W, A, F], before the reset, of rows that ended
    final_map: npt.NDArray[np.uint8]  # [W, A, C, G, G]
    stats: npt.NDArray[np.int32]  # [W, A, S], of worlds whose episode ended
    episode_end: npt.NDArray[np.bool_]  # [W]


@rule
def observe_world(world, plan, setup, out, w):
    for a in range(setup.agents):
        write_features(world, plan, setup, a, out.features[w, a])
        write_mask(world, plan, setup, a, out.mask[w, a])
        if len(out.map) > 0:
            write_map(world, plan, setup, a, out.map[w, a])


@rule
def write_rewards(world, setup, out, w):
    for a in range(setup.agents):
        agent = world.agent[a]
        total = 0
        for term in range(N_TERMS):
            total += agent.reward[term]
            out.reward_terms[w, a, term] = agent.reward[term] * REWARD_UNIT
        out.reward[w, a] = total * REWARD_UNIT


@rule
def write_stats(agent, stats):
    """Counters of one agent in the order of STATS."""
    stats[0], stats[1], stats[2], stats[3] = agent.eats, agent.showers, agent.cooks, agent.sleeps
    stats[4], stats[5], stats[6], stats[7] = agent.presses, agent.ghost_steps, agent.yields, agent.chats
    stats[8], stats[9], stats[10], stats[11] = agent.refused, agent.waited, agent.moves, agent.stress
    stats[12], stats[13], stats[14], stats[15] = agent.faints, agent.evictions, agent.on_time, agent.late
    stats[16], stats[17], stats[18], stats[19] = agent.absent, agent.full_shifts, agent.shifts, agent.intensity
    stats[20], stats[21], stats[22], stats[23] = agent.chat_failures, agent.chat_quality, agent.shared_meals, agent.late_help
    stats[24], stats[25], stats[26], stats[27] = agent.late_ticks, agent.shift_takeovers, agent.blackouts, agent.outages
    stats[28], stats[29], stats[30] = agent.lowest_need, agent.highest_rivalry, agent.total_reward


@rule
def end_rows(world, plan, plans, setup, out, w):
    """Flags of this tick; final observations of rows that ended, *before* any reset; then resets and respawns."""
    over = world.tick >= setup.horizon
    ended = False
    for a in range(setup.agents):
        agent = world.agent[a]
        terminated = agent.alive == 0 and agent.gone == 0
        out.terminated[w, a] = terminated
        out.truncated[w, a] = over and not terminated and agent.gone == 0
        if terminated or over:
            ended = True
            write_features(world, plan, setup, a, out.final_features[w, a])
            if len(out.final_map) > 0:
                write_map(world, plan, setup, a, out.final_map[w, a])
    out.episode_end[w] = over
    if not ended:
        return
    if over:
        for a in range(setup.agents):
            write_stats(world.agent[a], out.stats[w, a])
        world.episode += 1
        reset_world(world, plans, setup)
    else:
        for a in range(setup.agents):
            if out.terminated[w, a] and setup.respawn != 0:
                respawn(world, plan, setup, a)
            elif out.terminated[w, a]:
                depart(world, a)


@kernel
def run_worlds(worlds, plans, setups, actions, mode, out):
    """W worlds: one tick (STEP), a new episode (RESET, or STAGGER for one that begins at a random tick), or nothing (LOOK).

    actions: [W, A] i64, read by STEP only. One kernel, because each one costs twenty seconds of compiling.
    """
    for w in prange(len(worlds)):
        world, setup = worlds[w], setups[0]
        if mode == STEP:
            plan = plans[world.layout]
            tick(world, plan, setup, actions[w])
            write_rewards(world, setup, out, w)
            end_rows(world, plan, plans, setup, out, w)
        elif mode != LOOK:
            reset_world(world, plans, setup)
            if mode == STAGGER:
                stagger(world, setup)
        observe_world(world, plans[world.layout], setup, out, w)
