"""The fifteen actions: when each is valid, and what it does (§2)."""

from tests.worlds.reference import employment, queues, relationships
from tests.worlds.reference.affordances import usable
from tests.worlds.reference.layout import SIDES, beside
from tests.worlds.reference.town import Agent, Town

from headstart.worlds.town.state import ACTIONS, CLAIM, USING, WAIT, WAITING

REQUEST_REACH = 4  # steps


def allowed(town: Town, agent: Agent, action: str) -> bool:
    """The table of §2; while using, only wait and leave."""
    if action == "wait":
        return True
    if agent.gone:
        return False
    if agent.status == USING:
        return action == "leave"
    if action in SIDES:
        return is_free(town, beside(agent.cell, action))
    if action.startswith("request_"):
        return may_request(town, agent, action.removeprefix("request_"))
    return {
        "use": may_use,
        "leave": lambda _, agent: agent.queue is not None,
        "yield": may_yield,
        "press": may_press,
        "chat": lambda town, agent: agent.chat_cooldown == 0 and relationships.listener(town, agent) is not None,
        "work": employment.may_work,
    }[action](town, agent)


def is_free(town: Town, cell: tuple[int, int]) -> bool:
    """Floor that holds no agent."""
    return cell in town.plan.floor and town.agent_at(cell) is None


def may_request(town: Town, agent: Agent, kind: str) -> bool:
    """Not in any queue; the nearest of the kind is within 4 steps, not cooling down, usable."""
    o = town.plan.nearest(kind, agent.cell)
    if o is None or agent.queue is not None:
        return False
    near = town.plan.distance(o, agent.cell) <= REQUEST_REACH
    return near and town.tick >= town.cooldown[o, agent.id] and usable(town, agent, o)


def may_use(town: Town, agent: Agent) -> bool:
    """Holds the claim, stands on a service cell, the object is usable."""
    return agent.status == CLAIM and town.plan.distance(agent.queue, agent.cell) == 0 and usable(town, agent, agent.queue)


def may_yield(town: Town, agent: Agent) -> bool:
    """Not cooling down; a claim that somebody waits for, or the front of a queue of two or more."""
    if agent.queue is None or agent.yield_cooldown > 0:
        return False
    queue = town.things[agent.queue].queue
    return len(queue) > 0 if agent.status == CLAIM else len(queue) > 1 and queue[0] == agent.id


def may_press(town: Town, agent: Agent) -> bool:
    """Waiting within 4 steps of an object that somebody holds."""
    if agent.status != WAITING or town.things[agent.queue].active is None:
        return False
    return town.plan.distance(agent.queue, agent.cell) <= REQUEST_REACH


def act(town: Town, agent: Agent, action: str) -> None:
    """Re-validated at its turn; what is not valid becomes wait and is counted (§2, §3.2)."""
    agent.last_ok = allowed(town, agent, action)
    if not agent.last_ok:
        town.note("refused", agent.id)
        action = ACTIONS[WAIT]
    agent.last_action = ACTIONS.index(action)
    agent.stay = min(50, agent.stay + 1)
    if action in SIDES:
        move(town, agent, action)
    elif action.startswith("request_"):
        queues.request(town, agent, town.plan.nearest(action.removeprefix("request_"), agent.cell))
    elif action == "chat":
        relationships.chat(town, agent, relationships.listener(town, agent))
    elif action != "wait":
        {
            "use": queues.start_use,
            "leave": queues.leave,
            "yield": queues.yield_place,
            "press": queues.press,
            "work": employment.work,
        }[action](town, agent)


def move(town: Town, agent: Agent, side: str) -> None:
    """One cell, at a cost of 5 (§4 Moves, §5 move)."""
    agent.cell = beside(agent.cell, side)
    agent.stay = 0
    agent.reward["move"] -= 5
    town.note("moves", agent.id)
