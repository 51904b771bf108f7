"""`import headstart.envs` registers the package's environment with Gymnasium, and so does `gym.make("headstart.envs:headstart/Nav-v0")`."""

import gymnasium as gym

gym.register(
    "headstart/Nav-v0",
    "headstart.deploy.nav:NavEnv",
    vector_entry_point="headstart.deploy.nav:NavVector",
    disable_env_checker=True,
)
