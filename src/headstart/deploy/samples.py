"""Observations on which an exported policy is compared with the one that it came from."""

from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.deploy.policy import Policy
from headstart.runs.onnx_file import TOLERANCE, drawn
from headstart.worlds.gym_parts import choices, shape_of

OBSERVATIONS = 10_000  # of the comparison


def is_masked(policy: Policy, asked: bool) -> bool:
    """Whether an exported policy takes masks: that of a town does, and that of an environment of a user's own if he asks for it.

    InputError if it is asked for and the actions are numbers.
    """
    if asked and not policy.card.observation.actions:
        raise InputError(f"--masks: expected a policy that chooses among actions, got {policy.action_space}")
    return asked or (policy.card.spaces is None and bool(policy.card.observation.actions))


def observations(policy: Policy, n: int, masked: bool) -> tuple[Any, Array | None]:
    """N observations of the policy's space as one batch and, if it is `masked`, masks [N, K] u8, each of which allows something.

    Every second row lies near what the policy has seen, if it knows (its normaliser): elsewhere its features are at their clip.
    """
    random = np.random.default_rng(0)
    found = _drawn(policy.observation_space, n, random)
    normaliser = policy.network.normaliser
    if normaliser is not None and isinstance(policy.observation_space, spaces.Box) and policy.network.encoder is None:
        space = policy.observation_space
        mean, deviation = (part.numpy().reshape(space.shape) for part in (normaliser.mean, normaliser.variance.sqrt()))
        near = mean + 2 * deviation * random.standard_normal((len(found[1::2]), *space.shape))
        found[1::2] = np.clip(near, space.low, space.high).astype(space.dtype)
    if policy.card.spaces is None:
        found.pop("mask", None)
    if not masked:
        return found, None
    masks = random.integers(2, size=(n, len(policy.card.observation.actions)), dtype=np.uint8)
    masks[np.arange(n), random.integers(masks.shape[1], size=n)] = 1
    return found, masks


@torch.no_grad()
def output_of(policy: Policy, rows: dict[str, Array]) -> Array:
    """What the actor gives for rows of the network: logits [N, K] before masks, or means [N, D] before they are clipped."""
    network = policy.network
    return network.actor.outputs(
        network._inputs(network.normalised({name: torch.from_numpy(part) for name, part in rows.items()}))
    )


def worse(logits: Array, chosen: Array) -> Array:
    """[N] bool: whether a choice [N] is worse than the best by more than rounding; −∞ is the logit of what is forbidden."""
    largest = np.abs(logits[np.isfinite(logits)]).max()
    taken = np.take_along_axis(logits, chosen[:, None], axis=1)[:, 0]
    return np.asarray(logits.max(axis=1) - taken > TOLERANCE * max(1.0, largest))


def _drawn(space: Space[Any], n: int, random: np.random.Generator) -> Any:
    match space:
        case spaces.Dict():
            return {name: _drawn(part, n, random) for name, part in space.spaces.items()}
        case spaces.Tuple():
            return tuple(_drawn(part, n, random) for part in space.spaces)
        case spaces.Box():
            numbers = drawn(space, n, random)
            return (np.rint(numbers) if space.dtype is not None and space.dtype.kind in "iu" else numbers).astype(space.dtype)
        case _:
            parts = np.array(choices(space))
            start = np.asarray(getattr(space, "start", 0)).reshape(-1)
            return (random.integers(parts, size=(n, len(parts))) + start).reshape(n, *shape_of(space)).astype(space.dtype)
