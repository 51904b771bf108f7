"""Networks to and from checkpoints, which bc_train and arms write, and arms and users read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headstart.config.checked import checked
from headstart.config.params import NetworkParams
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.dataset.observation import ObservationSchema
from headstart.learn.networks import ActorCritic, load_tensors, tensors, weight_shapes
from headstart.runs.checkpoint import CARD, WEIGHTS, Card, Spaces, load_checkpoint, save_checkpoint
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
    return network_of(arrays, card, directory), card


def network_of(arrays: Mapping[str, Array], card: Card, directory: Path) -> ActorCritic:
    """The network of what `load_checkpoint` read. InputError unless the card describes one with just these weights, before it is made."""
    params = checked(NetworkParams, card.network, f"{directory / CARD}: network")
    said = f"{directory / WEIGHTS}: expected the weights of the network that {CARD} describes"
    # first of all: a card of a hundred bytes can describe more than the memory holds
    for name, shape in weight_shapes(*_sizes(card.observation), params).items():
        if name not in arrays or arrays[name].shape != shape:
            got = list(arrays[name].shape) if name in arrays else "none"
            raise InputError(f"{said}, {name} of the shape {list(shape)}, got {got}")
    network = _network(card.observation, params)
    try:
        load_tensors(network, arrays)
    except RuntimeError as error:  # torch's word for missing and unknown names
        raise InputError(f"{said}: {' '.join(str(error).split())[:200]}") from None
    return network


def _network(schema: ObservationSchema, params: NetworkParams) -> ActorCritic:
    features, actions, map_shape = _sizes(schema)
    return ActorCritic(features, actions, map_shape, params, continuous=not schema.actions)


def _sizes(schema: ObservationSchema) -> tuple[int, int, tuple[int, int, int] | None]:
    """F, K or D, and the shape of the map."""
    map_shape = (len(schema.map_channels), schema.map_size, schema.map_size) if schema.map_channels else None
    return len(schema.features), len(schema.actions) or len(schema.action_low), map_shape
