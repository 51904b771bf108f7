"""Two episodes that can be counted by hand."""

import numpy as np

from headstart.dataset.episodes import Episodes, EpisodeTable
from headstart.dataset.observation import ObservationSchema

SCHEMA = ObservationSchema(world="gym", features=("a", "b"), actions=("left", "right", "stop"))


def two_episodes() -> Episodes:
    """Four steps 0 0 1 2, rewards 1 2 3 4, then two steps 1 1, rewards −1 −1; the mask forbids action 2."""
    action = np.array([0, 0, 1, 2, 1, 1])
    mask = np.ones((6, 3), bool)
    mask[:, 2] = False
    flags = np.array([False, False, False, True, False, False])
    reward = np.array([1, 2, 3, 4, -1, -1], np.float32)
    return Episodes(
        observation={"features": np.arange(12, dtype=np.float32).reshape(6, 2)},
        action=action,
        expert_action=action.copy(),
        action_mask=mask,
        reward=reward,
        reward_terms=reward[:, None],
        terminated=flags,
        truncated=np.array([False] * 5 + [True]),
        final_observation={"features": np.zeros((2, 2), np.float32)},
        table=EpisodeTable(
            episode_id=np.array([b"a", b"b"], "S16"),
            start=np.array([0, 4]),
            length=np.array([4, 2]),
            seed=np.array([1, 1]),
            world=np.array([0, 1]),
            episode=np.array([0, 0]),
            agent=np.array([0, 0]),
            total_reward=np.array([10, -2], np.float32),
            success=np.array([True, False]),
            harm=np.array([False, True]),
            behaviour={},
        ),
    )
