"""The layout of `episodes/1`: which columns a file holds, their dtypes and shapes, and how they are cut into chunks.

/steps/observation/features   [N, F] f32        /final_observation/features   [E, F] f32
/steps/observation/map        [N, C, G, G] u8   /final_observation/map        [E, C, G, G] u8   maps
/steps/action, expert_action  [N] i64 ids, or [N, D] f32
/steps/action_mask            [N, K] bool       discrete worlds
/steps/reward                 [N] f32           /steps/reward_terms           [N, R] f32
/steps/terminated, truncated  [N] bool
/episodes/episode_id          [E] S16           /episodes/success, harm       [E] bool
/episodes/start, length, seed, world, episode, agent   [E] i64
/episodes/total_reward        [E] f32           /episodes/behaviour/<name>    [E] i32
root attributes               schema_id, header (JSON of `Header`), observation_sha256
"""

import re
from collections.abc import Mapping
from typing import Literal

from headstart.core.errors import InputError
from headstart.core.record import Name, Record, Sha256
from headstart.dataset.hdf5_guard import Allowed, Column
from headstart.dataset.observation import ObservationSchema

CHUNK_BYTES = 1 << 20
CHUNK_COLUMNS = 4
BEHAVIOUR_NAME = r"[a-z][a-z0-9_]{0,63}"

ATTRIBUTES = {"schema_id", "header", "observation_sha256"}
GROUPS = {"/steps", "/steps/observation", "/final_observation", "/episodes", "/episodes/behaviour"}
ALLOWED = {
    r"/(steps/observation|final_observation)/features": Allowed(("<f4",), (2,)),
    r"/(steps/observation|final_observation)/map": Allowed(("|u1",), (4,)),
    r"/steps/(action|expert_action)": Allowed(("<i8", "<f4"), (1, 2)),
    r"/steps/action_mask": Allowed(("bool",), (2,)),
    r"/steps/reward": Allowed(("<f4",), (1,)),
    r"/steps/reward_terms": Allowed(("<f4",), (2,)),
    r"/steps/(terminated|truncated)": Allowed(("bool",), (1,)),
    r"/episodes/episode_id": Allowed(("|S16",), (1,)),
    r"/episodes/(start|length|seed|world|episode|agent)": Allowed(("<i8",), (1,)),
    r"/episodes/total_reward": Allowed(("<f4",), (1,)),
    r"/episodes/(success|harm)": Allowed(("bool",), (1,)),
    rf"/episodes/behaviour/{BEHAVIOUR_NAME}": Allowed(("<i4",), (1,)),
}


class Header(Record):
    """What all episodes of a file have in common."""

    schema_id: Literal["episodes/1"] = "episodes/1"
    scenario: Name
    scenario_sha256: Sha256
    policy_sha256: Sha256
    seed: int
    observation: ObservationSchema
    writer_version: str


def expected_columns(header: Header, steps: int, episodes: int) -> dict[str, Column]:
    """Every column that a file of `steps` rows and `episodes` episodes has, but for its behaviours, by path."""
    schema = header.observation
    action = Column("<i8", (steps,)) if schema.actions else Column("<f4", (steps, len(schema.action_low)))
    columns = {
        "/steps/action": action,
        "/steps/expert_action": action,
        "/steps/reward": Column("<f4", (steps,)),
        "/steps/reward_terms": Column("<f4", (steps, len(schema.reward_terms))),
        "/steps/terminated": Column("bool", (steps,)),
        "/steps/truncated": Column("bool", (steps,)),
        "/episodes/episode_id": Column("|S16", (episodes,)),
        "/episodes/total_reward": Column("<f4", (episodes,)),
        "/episodes/success": Column("bool", (episodes,)),
        "/episodes/harm": Column("bool", (episodes,)),
    }
    for name in ("start", "length", "seed", "world", "episode", "agent"):
        columns[f"/episodes/{name}"] = Column("<i8", (episodes,))
    if schema.actions:
        columns["/steps/action_mask"] = Column("bool", (steps, len(schema.actions)))
    for group, rows in (("/steps/observation", steps), ("/final_observation", episodes)):
        columns[f"{group}/features"] = Column("<f4", (rows, len(schema.features)))
        if schema.map_channels:
            side = schema.map_size
            columns[f"{group}/map"] = Column("|u1", (rows, len(schema.map_channels), side, side))
    return columns


def check_columns(columns: Mapping[str, Column], header: Header, where: str) -> None:
    """Raise InputError naming the first column that is missing, not foreseen, or of another dtype or shape than expected.

    The number of steps is the length of the rewards, the number of episodes that of the episode starts.
    """
    sizes = {}
    for path in ("/steps/reward", "/episodes/start"):
        if path not in columns or len(columns[path].shape) != 1:
            raise InputError(f"{where}: expected the column {path} with one dimension, got none")
        sizes[path] = columns[path].shape[0]
    expected = expected_columns(header, sizes["/steps/reward"], sizes["/episodes/start"])
    for path in columns:
        if re.fullmatch(rf"/episodes/behaviour/{BEHAVIOUR_NAME}", path):
            expected[path] = Column("<i4", (sizes["/episodes/start"],))
    for path in sorted(expected.keys() | columns.keys()):
        if path not in columns:
            raise InputError(f"{where}: expected the column {path}, got none")
        if path not in expected:
            raise InputError(f"{where}: column {path} is not part of the format for this observation schema")
        if columns[path] != expected[path]:
            raise InputError(f"{where}: {path}: expected {expected[path]}, got {columns[path]}")


def chunk_shape(shape: tuple[int, ...], item_bytes: int) -> tuple[int, ...] | None:
    """Chunks of about 1 MB: tables in strips of 4 columns, images in whole rows; None for no data.

    Neighbours in a strip are the same feature a step apart, which deflate finds; across 180 columns it does not.
    """
    if 0 in shape:
        return None
    rest = (min(CHUNK_COLUMNS, shape[1]),) if len(shape) == 2 else shape[1:]
    row_bytes = item_bytes
    for size in rest:
        row_bytes *= size
    return (max(1, min(shape[0], CHUNK_BYTES // row_bytes)), *rest)
