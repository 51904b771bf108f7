"""A robot among pedestrians by Gymnasium alone, and 64 of them at once: `python nav_gym.py`."""

import gymnasium as gym
import numpy as np

env = gym.make("headstart.envs:headstart/Nav-v0", scenario="nav_crossing", world=5_000_000)
obs, _ = env.reset(seed=1)
total, done = 0.0, False
while not done:
    to_goal = np.arctan2(obs[3], obs[2])  # of the current waypoint: cos and sin are features 2 and 3
    obs, reward, terminated, truncated, info = env.step(np.array([0.5 - obs[0], to_goal - obs[1]], np.float32))
    total, done = total + float(reward), terminated or truncated
print(f"one robot: return {total:.2f}, success {info['success']}, harm {info['harm']}")

envs = gym.make_vec("headstart/Nav-v0", num_envs=64, vectorization_mode="vector_entry_point")
envs.reset(seed=1)
paid = [envs.step(np.zeros((64, 2), np.float32))[1] for _ in range(100)]
print(f"64 robots that stand still for 100 steps: reward {np.sum(paid):.1f}")
