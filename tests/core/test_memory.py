"""Arrays that this machine cannot hold are refused before they are made, by the names of the settings that ask for them."""

from pathlib import Path

import pytest

from headstart.config.params import NetworkParams
from headstart.config.scenario import load_scenario
from headstart.core.errors import InputError
from headstart.core.memory import require_memory
from headstart.runs.worlds import worlds_of

ROOT = Path(__file__).parents[2]


def test_what_fits_is_allowed_and_what_does_not_is_said_with_both_sizes() -> None:
    require_memory(1 << 20, "a")

    with pytest.raises(
        InputError, match=r"^ppo.worlds: expected what fits into the [0-9.,]+ GiB of this machine, they take 1,048,576.0 GiB"
    ):
        require_memory(1 << 50, "ppo.worlds")


def test_worlds_beyond_the_memory_are_refused_before_they_are_made() -> None:
    with pytest.raises(InputError, match=r"10,000,000,000,000 worlds of \d+ agents with \d+ features: expected what fits"):
        worlds_of(load_scenario("nav_mixed", ROOT / "scenarios"), "expert", 10**13)


def test_a_rollout_beyond_the_memory_names_its_settings() -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    from headstart.learn.networks import ActorCritic
    from headstart.learn.rollout import Player

    world = worlds_of(load_scenario("nav_mixed", ROOT / "scenarios"), "training", 2)
    network = ActorCritic(len(world.names.features), 2, None, NetworkParams(hidden=(4,)), continuous=True)
    player = Player(world, 0, torch.Generator())

    with pytest.raises(InputError, match=r"ppo.worlds, ppo.rollout_ticks: 2 worlds × 1,000,000,000,000 steps"):
        player.play(network, 10**12)
