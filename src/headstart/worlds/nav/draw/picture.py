"""One world from above, as an image: walls, route, pedestrians, and the robot with its heading and lidar."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.core.arrays import Array
from headstart.worlds.nav.angles import TURN, cosine, sine
from headstart.worlds.nav.observe import EGO

Image = npt.NDArray[np.uint8]
LEGEND = (
    "Blue: the robot, white its heading, grey lines its lidar, light blue its route, green the goal. Orange: pedestrians, with where they will "
    "be in a second."
)
SCALE = 40  # pixels a metre
BORDER = 0.5  # m
PAPER, WALL, ROUTE, GOAL, RAY = (250, 250, 248), (60, 60, 66), (170, 200, 235), (70, 160, 90), (232, 226, 214)
ROBOT, NOSE, PED, PED_PATH = (30, 90, 200), (255, 255, 255), (220, 120, 60), (245, 205, 175)


def draw_world(world: Any, features: Array, rays: int) -> Image:
    """A picture [H, W, 3] u8 of one WORLD record; `features` [F] are what its robot sees."""
    n, p, k = int(world["n_walls"]), int(world["n_peds"]), int(world["n_waypoints"])
    xs = np.concatenate([world["wall_ax"][:n], world["wall_bx"][:n]])
    ys = np.concatenate([world["wall_ay"][:n], world["wall_by"][:n]])
    canvas = Canvas(xs.min() - BORDER, ys.min() - BORDER, xs.max() + BORDER, ys.max() + BORDER)
    here = (float(world["x"]), float(world["y"]))
    for ray in range(rays):
        canvas.line(here, _along(here, int(world["heading"]) + ray * TURN // rays, 1 / float(features[EGO + ray]) - 0.7), RAY)
    stops = [here, *zip(world["waypoint_x"][world["waypoint"] : k], world["waypoint_y"][world["waypoint"] : k], strict=True)]
    for a, b in pairwise(stops):
        canvas.line(a, b, ROUTE, 0.06)
    canvas.disc(stops[-1], 0.5, GOAL)
    for a, b in zip(zip(xs[:n], ys[:n], strict=True), zip(xs[n:], ys[n:], strict=True), strict=True):
        canvas.line(a, b, WALL, 0.1)
    for i in range(p):
        at = (float(world["ped_x"][i]), float(world["ped_y"][i]))
        canvas.line(at, (at[0] + world["ped_vx"][i], at[1] + world["ped_vy"][i]), PED_PATH, 0.08)
        canvas.disc(at, 0.3, PED)
    canvas.disc(here, 0.3, ROBOT)
    canvas.line(here, _along(here, int(world["heading"]), 0.3), NOSE, 0.08)
    return canvas.pixels


def _along(start: tuple[float, float], angle: int, length: float) -> tuple[float, float]:
    return start[0] + length * float(cosine(angle)), start[1] + length * float(sine(angle))


class Canvas:
    """Pixels over a rectangle of the plane, y upwards; colours are (red, green, blue) in 0…255."""

    def __init__(self, left: float, bottom: float, right: float, top: float) -> None:
        columns, rows = round((right - left) * SCALE), round((top - bottom) * SCALE)
        self.pixels: Image = np.full((rows, columns, 3), PAPER, np.uint8)
        self._x = left + (np.arange(columns)[None, :] + 0.5) / SCALE
        self._y = top - (np.arange(rows)[:, None] + 0.5) / SCALE

    def disc(self, centre: tuple[float, float], radius: float, colour: tuple[int, int, int]) -> None:
        self.pixels[(self._x - centre[0]) ** 2 + (self._y - centre[1]) ** 2 <= radius**2] = colour

    def line(
        self, a: tuple[float, float], b: tuple[float, float], colour: tuple[int, int, int], width: float = 1.0 / SCALE
    ) -> None:
        dx, dy = b[0] - a[0], b[1] - a[1]
        share = ((self._x - a[0]) * dx + (self._y - a[1]) * dy) / max(dx * dx + dy * dy, 1e-12)
        share = np.clip(share, 0.0, 1.0)
        near = (self._x - a[0] - share * dx) ** 2 + (self._y - a[1] - share * dy) ** 2
        self.pixels[near <= (width / 2) ** 2] = colour
