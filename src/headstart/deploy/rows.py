"""What a user shows a policy, one observation or a batch, as the rows that its network takes; and its choices as the user's actions.

N rows, F features, K actions, D action dimensions. Two kinds: the spaces of an environment that a user brought, which the card of the
checkpoint holds, and the contract of town and nav.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import InputError, shown
from headstart.dataset.observation import ObservationSchema
from headstart.deploy.parts import column, finite, parts_of, require_alike, require_mask, require_values
from headstart.runs.checkpoint import Spaces
from headstart.worlds.gym_parts import is_picture, leaves_of, numbers_of, shape_of
from headstart.worlds.gym_spaces import Acting, Observing
from headstart.worlds.space_record import space_from

WORLDS = {"town": "headstart.worlds.town.env:Town", "nav": "headstart.worlds.nav.env:Nav"}
OBSERVATION, MASK = "observation", "action_mask"  # PettingZoo's keys


class Rows(Protocol):
    """How one kind of environment is spoken to."""

    @property
    def observation_space(self) -> Space[Any]: ...

    @property
    def action_space(self) -> Space[Any]: ...

    def rows(self, obs: Any, action_masks: Any) -> tuple[dict[str, Array], bool]:
        """Rows of the network, and whether `obs` is one observation; InputError for what is no observation or batch of the space."""

    def actions(self, chosen: Array) -> Array:
        """[N] ids or [N, D] in [−1, 1] → [N, …] actions of `action_space`."""


class OwnRows:
    """Observations and actions in the spaces of an environment that a user brought."""

    def __init__(self, own: Spaces, where: str) -> None:
        self.observing = Observing(space_from(own.observation), where)
        self.acting = Acting(space_from(own.action), where)
        self.observation_space, self.action_space = self.observing.space, self.acting.space
        self._leaves = [
            (leaf, shape_of(leaf.space), is_picture(leaf.space)) for leaf in leaves_of(self.observing.space, (), where)
        ]
        self._picture = None if self.observing.picture is None else Observing(self.observing.picture.space, where)
        # whether a dict with a mask can only be PettingZoo's
        self._told = not isinstance(self.observation_space, spaces.Dict) or OBSERVATION not in self.observation_space.spaces

    def rows(self, obs: Any, action_masks: Any) -> tuple[dict[str, Array], bool]:
        if self._told and isinstance(obs, Mapping) and obs.keys() == {OBSERVATION, MASK}:
            obs, action_masks = obs[OBSERVATION], obs[MASK] if action_masks is None else action_masks
        found: dict[str, Array] = {}
        columns, counts = [], dict[str, tuple[bool, int]]()
        with np.errstate(over="ignore"):  # a number that is too large for f32 becomes infinite, which `finite` refuses
            for (leaf, shape, picture), value in zip(self._leaves, parts_of(self.observation_space, obs), strict=True):
                values, single = column(value, shape, leaf.space.dtype, leaf.name)
                counts[leaf.name] = single, len(values)
                if picture and self._picture is not None:
                    found = self._picture.rows(values)
                else:
                    require_values(leaf, values)
                    columns.append(numbers_of(leaf, values))
        single, n = require_alike(counts)
        joined = columns[0] if len(columns) == 1 else np.concatenate(columns or [np.zeros((n, 0), np.float32)], axis=1)
        found["features"] = finite(joined, self.observing.features)
        if self.acting.names:
            found["mask"] = self._masks(action_masks, n, single)
        elif action_masks is not None:
            raise InputError(f"action_masks: expected none for actions of {self.action_space}")
        return found, single

    def _masks(self, told: Any, n: int, single: bool) -> Array:
        """[N, K] u8; all ones where none are told."""
        if told is None:
            return np.ones((n, len(self.acting.names)), np.uint8)
        try:
            told = told if isinstance(told, list | tuple) else np.asarray(told)
            rows = told if not single or (isinstance(told, np.ndarray) and told.ndim == 2) else [told]
            if (isinstance(told, np.ndarray) and not told.ndim) or not all(
                isinstance(row, tuple) or np.ndim(row) == 1 for row in rows
            ):
                raise ValueError("each is a row of numbers, or a tuple of those of its parts")
            if len(rows) != n:
                raise InputError(f"action_masks: expected one for each of {n} observations, got {len(rows)}")
            for nth, row in enumerate(rows):
                require_mask(
                    np.concatenate([*map(np.ravel, row)]) if isinstance(row, tuple) else np.asarray(row),
                    f"action_masks, row {nth}",
                )
            return np.stack([self.acting.mask(row, f"action_masks, row {nth}") for nth, row in enumerate(rows)])
        except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths; a tensor with a gradient
            raise InputError(f"action_masks: expected masks of {n} observations, got {shown(told)}: {error}") from None

    def actions(self, chosen: Array) -> Array:
        return self.acting.own(chosen)


class ContractRows:
    """The observations of town and nav: {"features", "mask", "map"}, those of them that the policy was trained with."""

    def __init__(self, schema: ObservationSchema) -> None:
        self._schema = schema
        size = schema.map_size
        self._map = (len(schema.map_channels), size, size) if schema.map_channels else None
        low, high = (np.array(bound, np.float32) for bound in (schema.action_low, schema.action_high))
        self.action_space: Space[Any] = spaces.Discrete(len(schema.actions)) if schema.actions else spaces.Box(low, high)

    @property
    def observation_space(self) -> Space[Any]:
        """As of one row of `headstart.make`; this imports the rules of the world, which tell the bounds."""
        module, _, name = WORLDS[self._schema.world].partition(":")
        bound = getattr(import_module(module), name).feature_bound
        parts: dict[str, Space[Any]] = {"features": spaces.Box(-bound, bound, (len(self._schema.features),), np.float32)}
        if self._schema.actions:
            parts["mask"] = spaces.Box(0, 1, (len(self._schema.actions),), np.uint8)
        if self._map is not None:
            parts["map"] = spaces.Box(0, 255, self._map, np.uint8)
        return spaces.Dict(parts)

    def rows(self, obs: Any, action_masks: Any) -> tuple[dict[str, Array], bool]:
        seen = obs if isinstance(obs, Mapping) else {"features": obs}
        told = seen.get("mask") if action_masks is None else action_masks
        if action_masks is not None and not self._schema.actions:
            raise InputError(f"action_masks: expected none for actions of {self.action_space}")
        features, single = column(_part(seen, "features"), (len(self._schema.features),), np.dtype(np.float32), "features")
        if features.dtype != np.float32:
            with np.errstate(over="ignore"):  # as above
                features = features.astype(np.float32)
        found = {"features": finite(features, self._schema.features)}
        if self._schema.actions:
            if told is None:
                raise InputError('mask: expected obs["mask"] or action_masks, which say the allowed actions; got none')
            found["mask"] = self._masks(told, len(features))
        if self._map is not None:
            found["map"] = np.array(column(_part(seen, "map"), self._map, np.dtype(np.uint8), "map")[0])  # torch wants to write
            if len(found["map"]) != len(features):
                raise InputError(f"map: expected {len(features)} rows as of features, got {len(found['map'])}")
        return found, single

    def _masks(self, told: Any, n: int) -> Array:
        mask, _ = column(told, (len(self._schema.actions),), np.dtype(np.float64), "mask")
        if len(mask) != n:
            raise InputError(f"mask: expected {n} rows as of features, got {len(mask)}")
        require_mask(mask, "mask")
        allowed = mask != 0
        if not (some := allowed.any(axis=1)).all():
            raise InputError(f"mask: expected an allowed action in every row, row {int(np.argmin(some))} has none")
        return np.asarray(allowed, np.uint8)

    def actions(self, chosen: Array) -> Array:
        if self._schema.actions:
            return chosen
        return np.asarray(np.clip(chosen, self._schema.action_low, self._schema.action_high, dtype=np.float32))


def _part(seen: Mapping[str, Any], name: str) -> Any:
    if name not in seen:
        raise InputError(f"observation: expected the key {name!r}, got {', '.join(map(str, seen)) or 'none'}")
    return seen[name]
