"""`python benchmarks/imports.py`: seconds to import a recording of a million steps, in a temporary project. On two cores an npz took 3.4 s."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from headstart.config.params import changed, load_params
from headstart.config.scenario import Scenario
from headstart.dataset.formats.npz import write
from headstart.dataset.formats.recording import Recording
from headstart.stages.source import source

STEPS, LENGTH = 1_000_000, 200
SCENARIO = {
    "name": "pole",
    "world": "gym",
    "horizon": LENGTH,
    "setup": {"id": "CartPole-v1"},
    "success": ["every steps >= 200"],
    "harm": ["any terminated > 0"],
    "demonstrations": {"format": "npz", "path": "demonstrations/large.npz"},
    "targets": {"held": {"success_rate": 0.9}},
}


def main() -> None:
    """Write a recording of random numbers, and import it."""
    params = changed(load_params(), {"capture": {"observation": "compact"}}, "bench")
    random, episodes = np.random.default_rng(0), STEPS // LENGTH
    recording = Recording(
        observations=random.uniform(-0.2, 0.2, (STEPS, 4)).astype(np.float32),
        actions=random.integers(2, size=STEPS),
        length=np.full(episodes, LENGTH),
        rewards=np.ones(STEPS),
        terminated=np.zeros(episodes, bool),
        truncated=np.ones(episodes, bool),
        final_observations=np.zeros((episodes, 4), np.float32),
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write(Path("demonstrations/large.npz"), recording)
        began = time.monotonic()
        print(source(params, Scenario.model_validate(SCENARIO)).says)
        print(f"{time.monotonic() - began:.1f} s for {STEPS:,} steps")
        os.chdir("/")


if __name__ == "__main__":
    main()
