"""Policies that bring different rules about; each reads the compiled world's observations and returns actions [N]."""

import numpy as np
from tests.worlds.reference.layout import apart, beside
from tests.worlds.reference.pair import Pair

from headstart.worlds.town.state import ACTIONS, CHAT, LEAVE, N_ACTIONS, NONE, NORTH, PRESS, WAIT, WEST, YIELD


def expert(pair: Pair) -> np.ndarray:
    return pair.compiled.expert_actions().copy()


def random_allowed(pair: Pair) -> np.ndarray:
    mask = pair.seen["mask"]
    return np.where(mask > 0, pair.rng.random(mask.shape), -1.0).argmax(axis=1)


def slips(pair: Pair) -> np.ndarray:
    """The expert, but three actions in ten are random, allowed or not."""
    actions = expert(pair)
    any_action = pair.rng.integers(0, N_ACTIONS, len(actions))
    return np.where(pair.rng.random(len(actions)) < 0.3, any_action, actions)


def mischief(pair: Pair) -> np.ndarray:
    """The expert, but it goes to meetings, and sometimes waits, presses, yields, chats or leaves."""
    actions = expert(pair)
    for row, (town, agent) in enumerate(
        (reference.town, agent) for reference in pair.references for agent in reference.town.agents
    ):
        mask = pair.seen["mask"][row]
        if town.meeting and agent.id in town.meeting and agent.status == NONE:
            ways = [side for side in range(NORTH, WEST + 1) if mask[side]]
            actions[row] = min(ways, default=WAIT, key=lambda s: apart(beside(agent.cell, ACTIONS[s]), town.meeting_cell))
        elif pair.rng.random() < 0.3:
            actions[row] = pair.rng.choice([action for action in (WAIT, YIELD, PRESS, CHAT) if mask[action]])
        elif pair.rng.random() < 0.01 and mask[LEAVE]:
            actions[row] = LEAVE
    return actions
