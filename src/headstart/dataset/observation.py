"""The observations and actions of a policy: the observation schema, which every dataset and checkpoint contains."""

import hashlib
from typing import Literal

from pydantic import Field

from headstart.core.errors import SchemaMismatch
from headstart.core.record import Record


class ObservationSchema(Record):
    """Names and order of everything that passes between a world and a policy.

    Discrete worlds name their K actions; continuous worlds leave `actions` empty and bound D action dimensions in `action_low`,
    `action_high`.
    """

    schema_id: Literal["observation/1"] = "observation/1"
    world: str
    features: tuple[str, ...]  # F names, in column order
    map_channels: tuple[str, ...] = ()  # C names; empty: no map
    map_size: int = Field(default=0, ge=0, le=8192)  # cells on a side
    actions: tuple[str, ...] = ()  # K names
    action_low: tuple[float, ...] = ()  # [D]
    action_high: tuple[float, ...] = ()  # [D]
    reward_terms: tuple[str, ...] = ()  # R names

    def sha256(self) -> str:
        """Hash of the canonical JSON of this schema."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def require_same(self, other: "ObservationSchema", where: str) -> None:
        """Raise SchemaMismatch that names the first difference between this schema and `other`, found at `where`."""
        for field in type(self).model_fields:
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine == theirs:
                continue
            if isinstance(mine, tuple) and len(mine) == len(theirs):
                index = next(i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
                raise SchemaMismatch(f"{where}: {field}[{index}] is {theirs[index]!r}, expected {mine[index]!r}")
            size = f" ({len(theirs)} entries, expected {len(mine)})" if isinstance(mine, tuple) else ""
            raise SchemaMismatch(f"{where}: {field} is {theirs!r}, expected {mine!r}{size}")
