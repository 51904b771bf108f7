"""The map that an agent sees: 11 × 11 cells around it in six channels of bytes."""

from headstart.worlds.jit import rule

MAP_CHANNELS = ("wall", "object", "workplace", "agent", "rivalry", "queue")
MAP_SIZE = 11
HALF = MAP_SIZE // 2


@rule
def write_map(world, plan, setup, a, out):
    """out [6, 11, 11] u8, centred on agent `a`: wall, object type, own workplace, agents, own rivalry, queue status."""
    agent = world.agent[a]
    if agent.gone != 0:
        out[:] = 0
        return
    out[2:] = 0
    for y in range(MAP_SIZE):
        for x in range(MAP_SIZE):
            out[0, y, x] = plan.wall_view[agent.y + y, agent.x + x]
            out[1, y, x] = plan.object_view[agent.y + y, agent.x + x]
    if agent.workplace >= 0:
        y, x = plan.place[agent.workplace, 0] - agent.y + HALF, plan.place[agent.workplace, 1] - agent.x + HALF
        if 0 <= y < MAP_SIZE and 0 <= x < MAP_SIZE:
            out[2, y, x] = 255
    for other in range(setup.agents):
        neighbour = world.agent[other]
        y, x = neighbour.y - agent.y + HALF, neighbour.x - agent.x + HALF
        if neighbour.gone == 0 and 0 <= y < MAP_SIZE and 0 <= x < MAP_SIZE:
            out[3, y, x] = 128 if other == a else 255
            out[4, y, x] = world.rivalry[a, other] * 255 // 10000
            out[5, y, x] = neighbour.status * 85
