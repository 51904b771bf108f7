"""Checkpoints of networks that did not learn, for any spaces: tests of the room `deploy` load them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces

from headstart.config.params import NetworkParams
from headstart.dataset.observation import ObservationSchema
from headstart.learn.networks import ActorCritic, tensors
from headstart.runs.checkpoint import Spaces, save_checkpoint
from headstart.runs.policy import new_network
from headstart.runs.worlds import schema_of
from headstart.worlds.api import World
from headstart.worlds.gym_spaces import Acting, Observing
from headstart.worlds.space_record import space_record

ABOUT = {"kind": "policy", "scenario": "mine", "arm": "pretrained", "env_steps": 0, "lineage": {}}

BOX = spaces.Box(-2, 2, (3,))
VIEW = spaces.Box(0, 255, (36, 40, 3), np.uint8)
OBSERVED: dict[str, Space[Any]] = {
    "box": BOX,
    "number": spaces.Box(-1, 1, ()),
    "matrix of f64": spaces.Box(-1, 1, (2, 3), np.float64),
    "discrete": spaces.Discrete(5, start=2),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(4),
    "picture": VIEW,
    "codes": spaces.Box(0, 255, (7, 7, 3), np.uint8),
    "tuple": spaces.Tuple([spaces.Discrete(3), BOX]),
    "two": spaces.Tuple([spaces.Discrete(3), spaces.Discrete(3)]),
    "dict": spaces.Dict(z=BOX, a=spaces.Dict(goal=spaces.Discrete(2), bits=spaces.MultiBinary(2)), view=VIEW),
}
ACTING: dict[str, Space[Any]] = {
    "discrete": spaces.Discrete(4, start=-1),
    "multi-discrete": spaces.MultiDiscrete([3, 2]),
    "multi-binary": spaces.MultiBinary(2),
    "box": spaces.Box(np.array([-2, 0], np.float32), np.array([2, 10], np.float32)),
    "whole numbers": spaces.Box(0, 9, (2,), np.int64),
}


def decided(network: ActorCritic, seed: int = 0) -> ActorCritic:
    """With a last layer that tells actions apart, and a normaliser that has seen numbers around 0.3."""
    random = torch.Generator().manual_seed(seed)
    for layer in (network.actor[-1], network.critic[-1]):
        layer.weight.data.copy_(torch.randn(layer.weight.shape, generator=random))
    if network.normaliser is not None:
        network.observe({"features": 0.3 + 0.2 * torch.randn(64, len(network.normaliser.mean), generator=random)})
    return network


def checkpoint(
    folder: Path, observed: Space[Any], acting: Space[Any], params: NetworkParams | None = None, seed: int = 0
) -> Path:
    """The checkpoint of a policy for an environment with these spaces."""
    params = params or NetworkParams(hidden=(16,), normalise=True)
    seen, acts = Observing(observed, "made"), Acting(acting, "made")
    picture = seen.map_shape
    schema = ObservationSchema(
        world="gym",
        features=seen.features,
        actions=acts.names,
        map_channels=tuple(f"channel_{i}" for i in range(picture[0])) if picture else (),
        map_size=max(picture[1:]) if picture else 0,
        action_low=(-1.0,) * acts.dimensions,
        action_high=(1.0,) * acts.dimensions,
    )
    torch.manual_seed(seed)
    network = ActorCritic(
        len(schema.features),
        len(schema.actions) or len(schema.action_low),
        (len(schema.map_channels), schema.map_size, schema.map_size) if picture else None,
        params,
        continuous=not schema.actions,
    )
    own = Spaces(observation=space_record(observed), action=space_record(acting))
    return _saved(folder, decided(network, seed), params, {"observation": schema, "spaces": own, "seed": seed})


def checkpoint_of(folder: Path, world: World, params: NetworkParams | None = None, seed: int = 0) -> Path:
    """The checkpoint of a policy for a town or a robot."""
    params = params or NetworkParams(hidden=(16,))
    network = decided(new_network(world, params, seed), seed)
    return _saved(folder, network, params, {"observation": schema_of(world), "seed": seed})


def _saved(folder: Path, network: ActorCritic, params: NetworkParams, about: dict[str, Any]) -> Path:
    save_checkpoint(folder, tensors(network), {"network": params.model_dump(mode="json"), **ABOUT, **about})
    return folder


def batch(space: Space[Any], n: int, seed: int = 0) -> tuple[list[Any], Any]:
    """N observations, and the same as one batch: arrays with rows first, nested as the space."""
    space.seed(seed)
    one = [space.sample() for _ in range(n)]

    def joined(parts: list[Any]) -> Any:
        if isinstance(parts[0], dict):
            return {key: joined([part[key] for part in parts]) for key in parts[0]}
        return tuple(map(joined, map(list, zip(*parts, strict=True)))) if isinstance(parts[0], tuple) else np.stack(parts)

    return one, joined(one)
