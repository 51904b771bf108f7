"""A world as text for a terminal of 80 columns: the map, what every agent needs and does, every object and its queue, the tick's events."""

from itertools import zip_longest
from typing import Any

from headstart.worlds.town.draw.colours import AGENTS, DOT, INK, LETTERS, MARKS, OBJECTS, WALL, Rgb, ink_on
from headstart.worlds.town.state import CLAIM, FRIDGE, GRID, OBJECT_TYPES, STOVE, USING, WAITING, WORKPLACE

BAR = 6  # characters
LOW, MIDDLE = 1500, 4000  # bp
RED, AMBER, GREEN = (213, 94, 0), (230, 159, 0), (0, 158, 115)
SHIFTS = ("", "shift is near", "shift, on time", "shift, late", "absent", "shift is over")  # by state of an agent's job
EVENTS = {
    "eats": "ate", "cooks": "cooked", "showers": "showered", "sleeps": "slept", "chats": "chatted", "yields": "yielded",
    "presses": "pressed", "ghost_steps": "lost its turn", "refused": "was refused", "faints": "fainted", "evictions": "was evicted",
    "shared_meals": "shared a meal", "chat_failures": "chatted in vain", "late_help": "had a colleague there when late",
    "shift_takeovers": "left its shift to a colleague",
    "on_time": "came on time", "late": "came late", "absent": "was absent", "full_shifts": "worked a full shift",
}  # fmt: skip


def frame(world: Any, plan: Any, setup: Any, before: Any) -> str:
    """One world (WORLD, PLAN and SETUP records) as lines; `before` is the record of the tick before, for the events."""
    agents = int(setup["agents"])
    panel = ["  hunger  hygiene energy cents", *(_agent(world, plan, a) for a in range(agents)), ""]
    panel += [_object(world, plan, agents, o) for o in range(plan["n_objects"])]
    rows = ["".join(_cell(world, plan, y, x) for x in range(GRID)) for y in range(GRID)]
    lines = [_head(world, setup)]
    lines += [f"{row or ' ' * 2 * GRID}  {side}".rstrip() for row, side in zip_longest(rows, panel, fillvalue="")]
    lines += ["w waits  ! may use  * uses", "events: " + (" · ".join(_events(before, world, agents)) or "none")]
    return "\n".join(lines) + "\n"


def _head(world: Any, setup: Any) -> str:
    tick = world["tick"]
    words = [f"tick {tick} of {setup['horizon']}", f"world {world['id']}", f"episode {world['episode']}"]
    words += [f"prices {world['price']} %"] if world["price"] != 100 else []
    words += ["no power"] if world["blackout_end"] > tick else []
    words += ["no water"] if world["outage_end"] > tick else []
    words += [f"{world['meet_a']} and {world['meet_b']} shall meet at +"] if world["meet_a"] >= 0 else []
    return " · ".join(words)


def _cell(world: Any, plan: Any, y: int, x: int) -> str:
    """Two characters."""
    a, o = int(world["occupant"][y, x]), int(plan["object_at"][y, x])
    if a >= 0:
        return _paint(f"{a}{MARKS[int(world['agent'][a]['status'])]}", ink_on(AGENTS[a]), AGENTS[a])
    if o >= 0:
        kind, waiting = int(plan["object_type"][o]), int(world["object"][o]["length"])
        return _paint(f"{LETTERS[kind]}{waiting or ' '}", ink_on(OBJECTS[kind]), OBJECTS[kind])
    if world["meet_a"] >= 0 and (y, x) == (world["meet_y"], world["meet_x"]):
        return _paint("+ ", INK, AMBER)
    return _paint("· ", DOT, None) if plan["floor"][y + 1, x + 1] else _paint("██", WALL, None)


def _agent(world: Any, plan: Any, a: int) -> str:
    """Number, three needs, money, and activity of an agent."""
    agent = world["agent"][a]
    bars = "  ".join(_bar(int(need)) for need in agent["need"])
    return f"{_paint(str(a), ink_on(AGENTS[a]), AGENTS[a])} {bars} {agent['wallet']:4}  {_doing(world, plan, a)}".rstrip()


def _bar(need: int) -> str:
    full = min(BAR, -(-need * BAR // 10000))  # a need that is not zero shows
    shade = RED if need < LOW else AMBER if need < MIDDLE else GREEN
    return _paint("█" * full, shade, None) + "░" * (BAR - full)


def _doing(world: Any, plan: Any, a: int) -> str:
    agent = world["agent"][a]
    status, o = int(agent["status"]), int(agent["queue"])
    if agent["gone"]:
        return "gone"
    if o < 0:
        return SHIFTS[int(agent["job_state"])]
    letter = LETTERS[plan["object_type"][o]]
    if status == USING:
        return f"uses {letter}, {agent['busy']}"
    if status == CLAIM:
        return f"may use {letter}, {agent['claim']}"
    place = world["queue"][o].tolist().index(a) + 1 if status == WAITING else 0
    return f"waits for {letter} {place}/{world['object'][o]['length']}"


def _object(world: Any, plan: Any, agents: int, o: int) -> str:
    """Letter, name, user, waiters and stock of an object; the agents of a workplace."""
    kind, thing = int(plan["object_type"][o]), world["object"][o]
    if kind == WORKPLACE:
        staff = ", ".join(str(a) for a in range(agents) if world["agent"][a]["workplace"] == o)
        return f"{LETTERS[kind]} {OBJECT_TYPES[kind]} of {staff or 'nobody'}"
    holder = f"agent {thing['active']}" if thing["active"] >= 0 else "free"
    waiting = ", ".join(str(a) for a in world["queue"][o][: thing["length"]])
    stock = f", {thing['stock']} left" if kind in (FRIDGE, STOVE) else ""
    return f"{LETTERS[kind]} {OBJECT_TYPES[kind]}: {holder}{stock}" + (f"; waiting: {waiting}" if waiting else "")


def _events(before: Any, after: Any, agents: int) -> list[str]:
    """One phrase for every counter of an agent that rose between two WORLD records of one episode."""
    if after["episode"] != before["episode"]:
        return ["a new episode"]
    then, now = before["agent"], after["agent"]
    return [f"{a} {words}" for a in range(agents) for name, words in EVENTS.items() if now[a][name] > then[a][name]]


def _paint(text: str, ink: Rgb, paper: Rgb | None) -> str:
    """`text` in one of the 216 colours that every terminal has; nothing for an empty text."""
    if not text:
        return ""
    background = f"\x1b[48;5;{_cube(paper)}m" if paper else ""
    return f"{background}\x1b[38;5;{_cube(ink)}m{text}\x1b[0m"


def _cube(colour: Rgb) -> int:
    """The nearest of the 6 × 6 × 6 colours; 16 is black."""
    red, green, blue = (0 if c < 48 else 1 if c < 115 else (c - 35) // 40 for c in colour)
    return 16 + 36 * red + 6 * green + blue
