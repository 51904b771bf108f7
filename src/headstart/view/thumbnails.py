"""The last moment of many recorded episodes as small pictures: many worlds in step, or one by one where an environment draws itself."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from headstart.config.params import Params
from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError
from headstart.dataset.episodes import Episodes, Header
from headstart.runs.expert import script
from headstart.runs.recording import deviations
from headstart.runs.worlds import task_of, worlds_of
from headstart.view.play_dataset import Opened
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_copies import drawn
from headstart.worlds.gym_setup import GymSetup
from headstart.worlds.make import make

SIZE = 128  # pixels of the longer side
PAPER, LINE = (245, 246, 248), (11, 92, 173)


def thumbnails(
    dataset: Opened, episodes: Episodes, header: Header, chosen: Array, params: Params
) -> tuple[list[Image.Image], str]:
    """A picture of each of the `chosen` episodes (indices), and why they are curves of the return instead; empty: they are pictures."""
    scenario = dataset.scenario
    try:
        if scenario.demonstrations is not None:
            found = _recorded(dataset, episodes, header, chosen, params)
        elif scenario.is_foreign:
            found = _environments(dataset, episodes, header, chosen)
        else:
            found = _simulated(dataset, episodes, header, chosen, params)
        return list(found), ""
    except HeadstartError as error:
        return [_curve(episodes, int(e)) for e in chosen], str(error)


def _small(picture: Any) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((SIZE, SIZE), Image.Resampling.BOX)
    return image


def _simulated(dataset: Opened, episodes: Episodes, header: Header, chosen: Array, params: Params) -> Iterator[Image.Image]:
    """All worlds of town or robot in step, each drawn a tick before it ends, since the tick that ends it begins the next episode."""
    table, scenario = episodes.table, dataset.scenario
    first = int(table.world[chosen].min())
    count = int(table.world[chosen].max()) - first + 1
    world = make(task_of(scenario), count, first, bool(header.observation.map_channels))
    act = script(world) if scenario.expert.policy == "scripted" else None
    slips = deviations(world, first + np.arange(count), params.capture) if act else None
    mine = np.flatnonzero((table.world >= first) & (table.world < first + count))
    taken, there, ends = _taken(episodes, mine, first, world)
    obs, _ = world.reset(seed=header.seed)
    last = world.snapshot()
    for t in range(int(ends.max(initial=1))):
        now = world.snapshot()
        at = ends - 1 == t
        for name in last:
            last[name][at] = now[name][at]
        action = slips(t, obs, act(obs).copy()) if act and slips else np.zeros_like(taken[:, t])
        obs, *_ = world.step(np.where(there[:, t].reshape(-1, *[1] * (action.ndim - 1)), taken[:, t], action))
    shown = make(task_of(scenario), count, first, bool(header.observation.map_channels), "rgb_array")
    shown.reset(seed=header.seed)
    shown.restore(last)
    wanted = set((table.world[chosen] - first).tolist())
    small = {w: _small(picture) for w, picture in enumerate(shown.render() or ()) if w in wanted}
    return (small[int(w)] for w in table.world[chosen] - first)


def _taken(episodes: Episodes, mine: Array, first: int, world: Any) -> tuple[Array, Array, Array]:
    """Recorded actions by row and tick, where there are some, and the ticks [W] of every world."""
    table, rows, ticks = episodes.table, world.num_envs, world.horizon
    action = np.zeros((rows, ticks, *episodes.action.shape[1:]), episodes.action.dtype)
    there, begun = np.zeros((rows, ticks), bool), np.zeros(rows, np.int64)
    ends = np.ones(world.num_worlds, np.int64)
    for i in mine[np.lexsort((table.episode[mine], table.agent[mine], table.world[mine]))]:
        row = int(table.world[i] - first) * world.num_agents + int(table.agent[i])
        at = slice(int(begun[row]), min(int(begun[row] + table.length[i]), ticks))
        size = at.stop - at.start
        action[row, at] = episodes.action[table.start[i] : table.start[i] + size]
        there[row, at], begun[row] = True, at.stop
        ends[row // world.num_agents] = max(ends[row // world.num_agents], at.stop)
    return action, there, ends


def _environments(dataset: Opened, episodes: Episodes, header: Header, chosen: Array) -> Iterator[Image.Image]:
    """Captured environments, one after the other."""
    table = episodes.table
    shown: dict[int, Image.Image] = {}
    for w in np.unique(table.world[chosen]).tolist():
        world = make(task_of(dataset.scenario), 1, int(w), False, "rgb_array")
        mine = np.flatnonzero(table.world == w)
        taken, _, ends = _taken(episodes, mine, int(w), world)
        world.reset(seed=header.seed)
        info: dict[str, Any] = {}
        for t in range(int(ends.max())):
            *_, info = world.step(taken[:, t])
        shown[w] = _small((info.get("final_render") or world.render() or ())[0])
        world.close()
    return (shown[int(w)] for w in table.world[chosen])


def _recorded(dataset: Opened, episodes: Episodes, header: Header, chosen: Array, params: Params) -> Iterator[Image.Image]:
    """A recording of another program, from its seeds; without them curves."""
    world = worlds_of(dataset.scenario, "capture", 1, params.capture.observation)
    one: Callable[[int], Image.Image] = partial(_curve, episodes)
    if isinstance(world, GymWorld) and dataset.scenario.world == "gym":
        recipe = GymSetup.model_validate(dict(dataset.scenario.setup)).recipe
        shown = make(task_of(dataset.scenario), 1, 0, False, "rgb_array")  # InputError and UsageError as they should be
        shown.close()
        env = recipe._replace(kwargs={**recipe.kwargs, "render_mode": "rgb_array"}).make()
        one = partial(_of_seed, env, world, episodes)
    seeded = "seeds" not in header.absent
    return (one(int(e)) if seeded and episodes.table.seed[e] >= 0 else _curve(episodes, int(e)) for e in chosen)


def _of_seed(env: Any, world: GymWorld, episodes: Episodes, e: int) -> Image.Image:
    start, length = int(episodes.table.start[e]), int(episodes.table.length[e])
    acts = world.acting.own(episodes.action[start : start + length])
    env.reset(seed=int(episodes.table.seed[e]))
    for act in acts if acts.ndim > 1 else acts.tolist():
        env.step(act)
    return _small(drawn(env))


def _curve(episodes: Episodes, e: int) -> Image.Image:
    """The return so far, from left to right."""
    start, length = int(episodes.table.start[e]), int(episodes.table.length[e])
    so_far = np.nan_to_num(np.concatenate([[0.0], np.cumsum(episodes.reward[start : start + length], dtype=np.float64)]))
    low, high = float(so_far.min()), float(so_far.max())
    height = SIZE * 3 // 4
    x = np.linspace(6, SIZE - 7, len(so_far))
    y = height - 7 - (so_far - low) / max(high - low, 1e-9) * (height - 14)
    image = Image.new("RGB", (SIZE, height), PAPER)
    ImageDraw.Draw(image).line(list(zip(x.tolist(), y.tolist(), strict=True)), LINE, 2)
    return image
