"""One episode in Gymnasium's loop: `python gymnasium_loop.py CHECKPOINT [ID]`, for a checkpoint of the environment with that id."""

import sys

import gymnasium as gym

import headstart

if len(sys.argv) < 2:
    sys.exit(__doc__)
policy = headstart.load(sys.argv[1])
env = gym.make(sys.argv[2] if len(sys.argv) > 2 else "CartPole-v1")
obs, info = env.reset(seed=0)
total, done = 0.0, False
while not done:
    action, _ = policy.predict(obs, action_masks=info.get("action_mask"))
    obs, reward, terminated, truncated, info = env.step(action)
    total, done = total + float(reward), terminated or truncated
print(f"{policy.card.scenario}, seed {policy.card.seed}: return {total:g}")
