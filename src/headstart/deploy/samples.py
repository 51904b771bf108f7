"""Observations on which an exported policy is compared with the one that it came from."""

from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.deploy.policy import Policy
from headstart.worlds.gym_parts import choices, shape_of

FAR = 10.0  # of a bound that an observation space does not have


def observations(policy: Policy, n: int) -> tuple[Any, Array | None]:
    """N observations of the policy's space as one batch, and masks [N, K] u8, where its world tells masks.

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
    if policy.card.spaces is not None or "mask" not in found:
        return found, None
    masks = found.pop("mask")
    masks[np.arange(n), random.integers(masks.shape[1], size=n)] = 1
    return found, masks


def _drawn(space: Space[Any], n: int, random: np.random.Generator) -> Any:
    match space:
        case spaces.Dict():
            return {name: _drawn(part, n, random) for name, part in space.spaces.items()}
        case spaces.Tuple():
            return tuple(_drawn(part, n, random) for part in space.spaces)
        case spaces.Box():
            low, high = (
                np.where(np.abs(bound) < 1e6, bound, far).astype(float) for bound, far in ((space.low, -FAR), (space.high, FAR))
            )
            drawn = random.uniform(low, np.maximum(low, high), (n, *space.shape))
            return (np.rint(drawn) if space.dtype is not None and space.dtype.kind in "iu" else drawn).astype(space.dtype)
        case _:
            parts = np.array(choices(space))
            start = np.asarray(getattr(space, "start", 0)).reshape(-1)
            return (random.integers(parts, size=(n, len(parts))) + start).reshape(n, *shape_of(space)).astype(space.dtype)
