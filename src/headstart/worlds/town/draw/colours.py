"""Colours and letters of a town. Agents: Okabe and Ito (2008), told apart by colour-blind readers; every colour has a letter beside it."""

from headstart.worlds.town.state import CLAIM, NONE, USING, WAITING

Rgb = tuple[int, int, int]

AGENTS: tuple[Rgb, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167), (0, 0, 0),
)  # fmt: skip
# by object type: fridge, stove, shower, bed, workplace
LETTERS = "FTSBW"
OBJECTS: tuple[Rgb, ...] = ((92, 122, 168), (168, 92, 84), (64, 138, 142), (128, 100, 156), (140, 118, 84))
FLOOR: Rgb = (244, 242, 236)
LINE: Rgb = (226, 223, 214)  # between cells of floor
MEETING: Rgb = (250, 226, 150)  # the cell at which two agents shall meet
DOT: Rgb = (150, 150, 150)  # floor in a terminal, whose background may be light or dark
WALL: Rgb = (58, 62, 70)
INK: Rgb = (24, 26, 30)
PAPER: Rgb = (255, 255, 255)

MARKS = {NONE: " ", WAITING: "w", CLAIM: "!", USING: "*"}


def ink_on(background: Rgb) -> Rgb:
    """Black or white, whichever is easier to read (relative luminance, WCAG 2.2, without its gamma)."""
    red, green, blue = background
    return INK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 130 else PAPER
