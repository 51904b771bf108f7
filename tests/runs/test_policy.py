"""What the checkpoint of a policy says about itself."""

from pathlib import Path

import gymnasium as gym

from headstart.config.params import NetworkParams
from headstart.core.files import read_record
from headstart.runs.checkpoint import CARD, Card
from headstart.runs.policy import new_network, save_policy
from headstart.worlds.api import Task
from headstart.worlds.make import make
from headstart.worlds.space_record import space_from

SMALL = NetworkParams(hidden=(4,))


def test_a_checkpoint_has_the_spaces_of_an_environment_that_a_user_brings_after_its_wrappers(tmp_path: Path) -> None:
    wrappers = ["gymnasium.wrappers:FlattenObservation"]
    world = make(Task("gym", {"id": "Blackjack-v1", "wrappers": wrappers}, 20, (), ()), 1)
    own = gym.wrappers.FlattenObservation(gym.make("Blackjack-v1"))
    facts = {"kind": "bc", "scenario": "mine", "arm": "bc", "seed": 1, "env_steps": 0, "lineage": {}}
    save_policy(tmp_path, new_network(world, SMALL, 0), SMALL, world, facts)
    spaces = read_record(tmp_path / CARD, Card).spaces
    assert spaces is not None
    assert (space_from(spaces.observation), space_from(spaces.action)) == (own.observation_space, own.action_space)


def test_of_a_world_of_this_package_the_observation_says_all(tmp_path: Path) -> None:
    world = make(Task("nav", {}, 20, (), ()), 1)
    facts = {"kind": "bc", "scenario": "mine", "arm": "bc", "seed": 1, "env_steps": 0, "lineage": {}}
    assert save_policy(tmp_path, new_network(world, SMALL, 0), SMALL, world, facts).spaces is None
