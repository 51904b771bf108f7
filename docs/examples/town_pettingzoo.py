"""Four agents of a town by PettingZoo, all with one policy: `python town_pettingzoo.py [CHECKPOINT]`."""

import sys
from pathlib import Path

import headstart

SHIPPED = Path(__file__).parents[2] / "policies/queue_conflict/pretrained"
policy = headstart.load(sys.argv[1] if len(sys.argv) > 1 else SHIPPED)
env = headstart.parallel_env("queue_conflict", world=5_000_000)
obs, _ = env.reset(seed=1)
returns = dict.fromkeys(env.agents, 0.0)
while env.agents:
    actions = {agent: int(policy.predict(obs[agent], deterministic=False)[0]) for agent in env.agents}
    obs, rewards, *_ = env.step(actions)
    for agent, reward in rewards.items():
        returns[agent] += reward
print(*(f"{agent}: return {total:.2f}" for agent, total in returns.items()), sep="\n")
