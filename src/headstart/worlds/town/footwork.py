"""How the scripted expert walks: around others, out of their way, and not near a rival."""

from headstart.worlds.jit import rule
from headstart.worlds.town.relationships import AVOID
from headstart.worlds.town.rules import allowed
from headstart.worlds.town.state import CLAIM, DX, DY, EAST, NORTH, SOUTH, WAIT, WEST

PATIENCE = 2, 5  # ticks of standing still before stepping aside: if blocked from south or west; from north or east
KEEP_AWAY = 3  # cells from a rival, Manhattan
NOBODY = 99  # distance to a rival if there is none, cells


@rule
def walk(world, plan, setup, a, descends):
    """One step to the nearer free cell; if another agent is in the way, wait for a while, then step aside."""
    agent = world.agent[a]
    blocked, returning = WAIT, WAIT
    for d in range(NORTH, WEST + 1):
        if (descends >> (d - 1)) & 1:
            if allowed(world, plan, setup, a, d):
                if not _reverses(d, agent.last_action):
                    return d
                returning = d
            elif blocked == WAIT:
                blocked = d
    if returning != WAIT:
        return returning
    if blocked == WAIT or agent.stay < (PATIENCE[0] if blocked in (SOUTH, WEST) else PATIENCE[1]):
        return WAIT
    return aside_from(world, plan, setup, a, blocked)


@rule
def aside_from(world, plan, setup, a, blocked):
    """A step at right angles to direction `blocked`, to a wide cell if there is one; else the opposite way, or wait."""
    agent = world.agent[a]
    sideways = EAST if blocked <= SOUTH else NORTH
    tight = WAIT
    for d in (sideways, sideways + 1):
        if allowed(world, plan, setup, a, d):
            if plan.narrow[agent.y + DY[d], agent.x + DX[d]] == 0:
                return d
            if tight == WAIT:
                tight = d
    if tight != WAIT:
        return tight
    back = ((blocked - 1) ^ 1) + 1  # north ↔ south, east ↔ west
    return back if allowed(world, plan, setup, a, back) else WAIT


@rule
def _reverses(d, last_action):
    """Direction `d` undoes the last step."""
    return NORTH <= last_action <= WEST and d == ((last_action - 1) ^ 1) + 1


@rule
def back_out(world, plan, setup, a):
    """One step that does not lead nearer to the agent's object."""
    agent = world.agent[a]
    descends = plan.descends[agent.queue, agent.y, agent.x]
    for d in range(NORTH, WEST + 1):
        if (descends >> (d - 1)) & 1 == 0 and allowed(world, plan, setup, a, d):
            return d
    return WAIT


@rule
def next_is_narrow(plan, agent, o):
    descends = plan.descends[o, agent.y, agent.x]
    for d in range(NORTH, WEST + 1):
        if (descends >> (d - 1)) & 1 and plan.narrow[agent.y + DY[d], agent.x + DX[d]] != 0:
            return True
    return False


@rule
def keep_away(world, plan, setup, a, action):
    """`action`, unless it is a step, or a stay, near a rival: then a step farther from it, or wait.

    An agent has right of way with a claim, in a narrow place, or if the rival is to the east or straight south, so that one of two that
    meet goes on.
    """
    agent = world.agent[a]
    here = _cells_to_rival(world, setup, a, agent.y, agent.x)
    if here > KEEP_AWAY + 1 or action > WEST:
        return action
    there = _cells_to_rival(world, setup, a, agent.y + DY[action], agent.x + DX[action])
    if there > KEEP_AWAY or there > here:
        return action
    if agent.status == CLAIM:
        return action if there > 1 else WAIT
    if action != WAIT and (plan.narrow[agent.y, agent.x] != 0 or _goes_first(world, setup, a)):
        return action
    best, farthest = WAIT, here
    for d in range(NORTH, WEST + 1):
        y, x = agent.y + DY[d], agent.x + DX[d]
        if allowed(world, plan, setup, a, d) and (plan.narrow[y, x] == 0 or plan.narrow[agent.y, agent.x] != 0):
            cells = _cells_to_rival(world, setup, a, y, x)
            if cells > farthest:
                best, farthest = d, cells
    return best


@rule
def _cells_to_rival(world, setup, a, y, x):
    """Cells from (y, x) to the nearest agent whom `a` avoids."""
    nearest = NOBODY
    for other in range(setup.agents):
        if other != a and world.rivalry[a, other] >= AVOID and world.agent[other].gone == 0:
            nearest = min(nearest, abs(world.agent[other].y - y) + abs(world.agent[other].x - x))
    return nearest


@rule
def _goes_first(world, setup, a):
    """Every rival within reach is to the east, or straight south."""
    agent = world.agent[a]
    for other in range(setup.agents):
        rival = world.agent[other]
        if other != a and world.rivalry[a, other] >= AVOID and rival.gone == 0:
            dy, dx = rival.y - agent.y, rival.x - agent.x
            if abs(dy) + abs(dx) <= KEEP_AWAY + 1 and (dx < 0 or (dx == 0 and dy < 0)):
                return False
    return True


@rule
def make_way(world, plan, setup, a):
    """A step aside for a neighbour that wants to pass, or wait."""
    agent = world.agent[a]
    for d in range(NORTH, WEST + 1):
        y, x = agent.y + DY[d], agent.x + DX[d]
        other = world.occupant[y, x] if plan.floor[y + 1, x + 1] != 0 else -1
        if other >= 0 and _wants_to_pass(plan, agent, world.agent[other]):
            return aside_from(world, plan, setup, a, d)
    return WAIT


@rule
def _wants_to_pass(plan, agent, neighbour):
    """The neighbour has stood still for a moment, less long than `agent`; or it has a claim while `agent` waits in a narrow place."""
    if agent.queue >= 0 and neighbour.queue == agent.queue:
        return neighbour.status == CLAIM and plan.narrow[agent.y, agent.x] != 0
    return 2 <= neighbour.stay < agent.stay and neighbour.stay <= 5


@rule
def let_out(world, plan, setup, a):
    """Next to the occupied narrow way to its object: step out of the way of an agent that stands in it, or wait."""
    agent = world.agent[a]
    for d in range(NORTH, WEST + 1):
        if (plan.descends[agent.queue, agent.y, agent.x] >> (d - 1)) & 1:
            other = world.occupant[agent.y + DY[d], agent.x + DX[d]]
            if other >= 0 and world.agent[other].stay >= 2:
                return aside_from(world, plan, setup, a, d)
    return WAIT
