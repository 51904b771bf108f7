"""Evaluation of a policy: one episode in each of W worlds that training does not use."""

from collections.abc import Iterable

import torch

from headstart.core.arrays import Array, Mode
from headstart.learn.networks import ActorCritic
from headstart.learn.policies import Policy
from headstart.worlds.api import Observations, Played, World, play


class Acting:
    """A network that chooses actions: "sampled" draws them with a separate random stream, "deterministic" takes the most likely action."""

    policy: Policy  # for the last observations

    def __init__(self, network: ActorCritic, seed: int, mode: Mode) -> None:
        self.network, self.mode = network, mode
        self.generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def __call__(self, obs: Observations) -> Array:
        """Actions [N] i64 or [N, D] f32."""
        self.policy = self.network.policy({key: torch.from_numpy(value) for key, value in obs.items()})
        action = self.policy.sample(self.generator) if self.mode == "sampled" else self.policy.mode()
        chosen: Array = action.numpy()
        return chosen


def play_episodes(network: ActorCritic, world: World, seed: int, mode: Mode) -> Played:
    """Play one complete episode in every world of `world` with `network`; both random streams depend on `seed` alone."""
    return play(world, Acting(network, seed, mode), seed)


def play_in_modes(network: ActorCritic, world: World, seed: int, modes: Iterable[Mode]) -> dict[Mode, Played]:
    """Play the same worlds once in each mode."""
    return {mode: play_episodes(network, world, seed, mode) for mode in modes}
