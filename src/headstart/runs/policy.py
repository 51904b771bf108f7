"""Networks to and from checkpoints, which bc_train and arms write, and arms and users read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headstart.config.params import NetworkParams
from headstart.dataset.observation import ObservationSchema
from headstart.learn.networks import ActorCritic, load_tensors, tensors
from headstart.runs.checkpoint import Card, Spaces, load_checkpoint, save_checkpoint
from headstart.runs.worlds import schema_of
from headstart.worlds.api import World
from headstart.worlds.space_record import space_record


def new_network(world: World, params: NetworkParams, seed: int) -> ActorCritic:
    """A network of the shape that `world` needs, initialised from `seed` alone."""
    torch.manual_seed(seed)
    return _network(schema_of(world), params)


def save_policy(directory: Path, network: ActorCritic, params: NetworkParams, world: World, about: Mapping[str, Any]) -> Card:
    """Write the checkpoint of a network for worlds like `world`; `about` has the other fields of Card."""
    own = None if world.own_spaces is None else Spaces(**{part: space_record(space) for part, space in world.own_spaces.items()})
    described = {"network": params.model_dump(mode="json"), "observation": schema_of(world), "spaces": own}
    return save_checkpoint(directory, tensors(network), {**described, **about})


def load_policy(directory: Path, world: World) -> tuple[ActorCritic, Card]:
    """The network of a checkpoint; SchemaMismatch unless it was trained on the observations and actions of `world`."""
    arrays, card = load_checkpoint(directory, schema_of(world))
    network = _network(card.observation, NetworkParams.model_validate(card.network))
    load_tensors(network, arrays)
    return network, card


def _network(schema: ObservationSchema, params: NetworkParams) -> ActorCritic:
    map_shape = (len(schema.map_channels), schema.map_size, schema.map_size) if schema.map_channels else None
    actions = len(schema.actions) or len(schema.action_low)
    return ActorCritic(len(schema.features), actions, map_shape, params, continuous=not schema.actions)
