"""Environments that show pictures: MiniGrid's, and frames as of Atari; PPO learns from them."""

import numpy as np
import pytest
import torch

from headstart.config.params import NetworkParams
from headstart.config.schedule import PPOParams
from headstart.learn.optimizer import Adam
from headstart.learn.ppo import Weights, update
from headstart.learn.rollout import Player
from headstart.runs.policy import new_network
from headstart.worlds.api import Task
from headstart.worlds.gym import GymWorld


def world_of(name: str, num_worlds: int, *wrappers: str) -> GymWorld:
    setup = {"id": name, "wrappers": list(wrappers)}
    return GymWorld(Task("gym", setup, 16, ("every return >= 1",), ("any terminated > 0",)), num_worlds)


def learn(world: GymWorld, updates: int) -> list[float]:
    """Mean reward of every rollout."""
    torch.set_num_threads(1)
    params = PPOParams(worlds=world.num_worlds, rollout_ticks=16, num_epochs=4, mini_batch_size=64)
    network, generator = new_network(world, NetworkParams(hidden=(32,), normalise=True), 0), torch.Generator().manual_seed(0)
    optimizer, player, rewards = Adam(network), Player(world, 0, generator), []
    for _ in range(updates):
        rollout = player.play(network, params.rollout_ticks)
        network.observe(rollout.obs)
        update(network, optimizer, rollout, params, Weights(1e-3), generator)
        rewards.append(float(rollout.reward.mean()))
    return rewards


def test_ppo_learns_which_side_of_a_frame_is_bright() -> None:
    world = world_of("tests.worlds.toys:Arcade-v0", 8)
    assert (world.names.features, len(world.names.map_channels), world.names.map_size) == ((), 4, 84)
    rewards = learn(world, 6)
    assert 0.3 < rewards[0] < 0.7
    assert rewards[-1] > 0.8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_minigrids_codes_of_cells_are_features() -> None:
    pytest.importorskip("minigrid", reason="MiniGrid is not installed: pip install 'headstart[minigrid]'")
    world = world_of("minigrid:MiniGrid-Empty-5x5-v0", 4, "minigrid.wrappers:ImgObsWrapper")
    assert (len(world.names.features), world.names.map_channels) == (7 * 7 * 3, ())
    obs, _ = world.reset(seed=3)
    np.testing.assert_array_equal(obs["features"][0], np.ravel(world.seen[0]))
    assert len(learn(world, 2)) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_minigrids_sentence_is_refused_with_a_cure() -> None:
    pytest.importorskip("minigrid", reason="MiniGrid is not installed: pip install 'headstart[minigrid]'")
    from headstart.core.errors import InputError

    with pytest.raises(InputError, match="mission is MissionSpace; leave it out with a wrapper"):
        world_of("minigrid:MiniGrid-Empty-5x5-v0", 1)
