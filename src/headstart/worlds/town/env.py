"""The town as a vectorised environment. The docstring of `Town` is its specification."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError, UsageError
from headstart.worlds.api import Task, WorldSpec
from headstart.worlds.simulator import Simulator
from headstart.worlds.town.expert import decide_worlds
from headstart.worlds.town.kernels import Out, run_worlds
from headstart.worlds.town.layout import read_layout
from headstart.worlds.town.observe import FEATURES
from headstart.worlds.town.setup import TownSetup, setup_record
from headstart.worlds.town.sight import MAP_CHANNELS, MAP_SIZE
from headstart.worlds.town.state import ACTIONS, N_ACTIONS, REWARD_TERMS, STATS, WORLD


class Town(Simulator):
    """A small grid town: agents with needs share objects that serve one at a time, keep to their shifts, and remember conflicts.

    ## Actions (id name: allowed when)

    | id | name | allowed when |
    |---|---|---|
    | 0 | wait | always |
    | 1–4 | north, south, east, west | the cell is floor and free |
    | 5–8 | request_fridge, _stove, _shower, _bed | in no queue; the nearest one is within 4 steps, usable, own cool-down over |
    | 9 | use | holds the claim, stands next to the object, it is usable |
    | 10 | leave | waits, holds a claim or uses |
    | 11 | yield | cool-down over; holds a claim that somebody waits for, or is the first of at least two waiters |
    | 12 | press | waits within 4 steps of an object that is taken |
    | 13 | chat | cool-down over; a neighbour that is not using and is not avoided (rivalry < 5,000 bp) |
    | 14 | work | within 2 steps of the own workplace, during the own shift, not absent from it |

    An agent that uses an object may only wait or leave. Agents act one after the other, from a drawn first; obs["mask"] is from before the
    tick. An action that is not allowed at its turn becomes wait and counts as `refused`. Usable: fridge: a meal and money; stove: an
    ingredient, power and money; shower: water and money; bed: always.

    ## Observation

    "features" [N, 180] f32, in the order of `observe.FEATURES`; "mask" [N, 15] u8; with `hybrid` "map" [N, 6, 11, 11] u8.

    | block | columns | unit, range |
    |---|---|---|
    | self | need_hunger, _hygiene, _energy | share of 10,000 bp; 1 is satisfied |
    | | wallet; extroversion, forgiveness, ambition | 400 cents, at most 1; −1 … 1 |
    | | day, day_triangle, progress | share of the day, abs(2·day − 1), share of the horizon |
    | job | job_off … job_done | one-hot state of today's shift |
    | | has_job; to_start, to_end; slack_to_start | 40 ticks, −1 … 2; 10 ticks left after the way to work, −1 … 2 |
    | | worked_share, strikes | share of the shift; quarters |
    | queue | status_none … status_using | one-hot |
    | | queue_length, queue_place; busy; claim_left; stall; waited | per agent; 16, 20, 10, 50 ticks |
    | adjacent | wall_north …, agent_north … | 0 or 1 |
    | fridge, stove, shower, bed, workplace (own) | exists, at_hand, in_reach, nearer_north …, occupied, usable | 0 or 1 |
    | | distance; queue_length; stock; cooldown | 32 steps; per agent; 10 units; 50 ticks |
    | conflict | rivalry_max, _mean, _toward_me_max; rivalry_avoid_count | share of 10,000 bp; per agent |
    | | recent_conflict; top_rival_dy, _dx, _near | share of 1,000; 8 cells; within 3 cells |
    | | need_gap_to_neediest_waiter; am_front; yield_cooldown; stay | share of 10,000 bp; 0 or 1; 20, 50 ticks |
    | other0–2 (nearest) | exists, same_queue; dy, dx; rivalry, trust, familiarity; status; stay | 0 or 1; 8 cells; 10,000 bp; thirds; 50 |
    | town | price_excess; blackout, outage; chat_cooldown; last_wait … last_work, last_ok | share; 0 or 1; 30 ticks; one-hot |
    | meeting | meet_active, meet_dy, meet_dx, meet_distance | 0 or 1; 8 cells; 16 cells |
    | parking | parking_north …, parking_distance | 0 or 1: the open is nearer there; 16 steps |
    | approach | narrow_north …, narrow_here, approach_occupied; need_gap_to_second_in_queue | 0 or 1; share of 10,000 bp |

    The map is centred on the agent: walls 255; object (type + 1)·40; own workplace 255; agents 255 and itself 128; own rivalry toward
    the agent there, 0 … 255; its queue status × 85.

    ## Reward (sum of; info["reward_terms"] [N, 11])

    | term | value |
    |---|---|
    | comfort | −Φ/10⁶ a tick, Φ = (100·dh² + 60·dy² + 80·de²)/10⁶ over what is missing of hunger, hygiene, energy (bp) |
    | potential | (Φ before − Φ after) / 20,000 |
    | service | first meal, shower, sleep of the episode +1, first cooking +0.5 (unless pay_first_service is off) |
    | wage | +0.03 for a tick worked |
    | punctuality | on time +1, late −1, absent −2, at least 80 % of the shift worked +0.5 |
    | conflict | times intensity: press −0.1, and −0.03 for the pressed agent; ghost step −0.05 for the displaced agent |
    | stress | −0.01 a tick and avoided agent within 2 cells |
    | chat | success +0.01 and familiarity/10⁶ for both; failure −0.005 |
    | move | −0.0005 |
    | terminal | faint −2, eviction −3 |
    | meeting | +0.05 for both agents at an arranged meeting |

    ## Start and end

    The layout is one of its eight rotations and mirrors; agents stand on spawn cells (wide, at least 5 steps from every object) with drawn
    needs, wallets, personalities, jobs and shifts. Hunger ≤ 300 bp, energy ≤ 100 bp or a third absence terminates an agent; it comes back
    in its slot with needs of 5,000 bp and no money (or is gone, with respawn=False). The horizon truncates the world.
    """

    record = WORLD
    feature_bound = 10.0
    render_modes = ("ansi", "rgb_array")

    def __init__(
        self,
        task: Task,
        num_worlds: int,
        first_world: int = 0,
        render_mode: str | None = None,
        *,
        hybrid: bool = False,
        respawn: bool = True,
    ) -> None:
        """`render_mode`: "ansi" for text, "rgb_array" for pictures [512, 512, 3] u8.

        `respawn`: an agent whose life ended returns to its slot; otherwise it is gone until the world is reset: its features are
        zero and it may only wait.
        """
        setup = task.checked_setup(TownSetup)
        names = WorldSpec(
            world="town",
            features=FEATURES,
            actions=ACTIONS,
            reward_terms=REWARD_TERMS,
            stats=STATS,
            map_channels=MAP_CHANNELS if hybrid else (),
            map_size=MAP_SIZE if hybrid else 0,
        )
        super().__init__(task, names, range(first_world, first_world + num_worlds), setup.agents, render_mode)
        self._plans, self._setup = read_layout(setup.layout), setup_record(setup, task.horizon, respawn)
        if setup.jobs > 0 and self._plans[0]["n_workplaces"] == 0:
            raise InputError(f"setup.jobs: expected a workplace (C or K) in the layout for {setup.jobs} jobs, got none")
        no_map = np.zeros((0, len(MAP_CHANNELS), MAP_SIZE, MAP_SIZE), np.uint8)
        rows: dict[str, Array] = {"map": no_map, "final_map": no_map} | self._rows
        by_agent = {name: row.reshape(-1, setup.agents, *row.shape[1:]) for name, row in rows.items()}
        self._out = Out(**by_agent, episode_end=self._episode_end)
        self._actions = np.zeros((num_worlds, setup.agents), np.int64)
        self._decisions = np.zeros_like(self._actions)
        self._before = self._worlds.copy() if render_mode else self._worlds  # of the previous tick, to show events

    def expert_actions(self) -> Array:
        decide_worlds(self._worlds, self._plans, self._setup, self._decisions)
        return self._decisions.reshape(self.num_envs)

    @property
    def running_stats(self) -> Array:
        agents = self._worlds["agent"][:, : self.num_agents]
        return np.stack([agents[name] for name in STATS], axis=-1)

    def _take(self, actions: Array) -> None:
        if actions.shape != (self.num_envs,) or (actions.size and not 0 <= actions.min() <= actions.max() < N_ACTIONS):
            raise UsageError(f"actions: expected [{self.num_envs}] ids in 0…{N_ACTIONS - 1}, got {actions.shape} {actions[:5]}…")
        self._actions[:] = actions.reshape(self._actions.shape)

    def _run(self, mode: int) -> None:
        if self.render_mode:
            self._before[:] = self._worlds
        run_worlds(self._worlds, self._plans, self._setup, self._actions, mode, self._out)

    def _drawn(self, drawing: Any) -> Iterator[Any]:
        now = zip(self._worlds, self._plans[self._worlds["layout"]], self._before, strict=True)
        if self.render_mode == "ansi":
            return (drawing.frame(world, plan, self._setup[0], before) for world, plan, before in now)
        return (drawing.picture(world, plan) for world, plan, _ in now)
