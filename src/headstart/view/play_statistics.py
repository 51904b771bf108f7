"""What a replay says of an episode, held against its table and the index: length, return, success, harm and counters."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from headstart.view.play_dataset import Found
from headstart.view.proof import Proof


def statistics(found: Found, proof: Proof) -> Iterator[tuple[str, Any, Any]]:
    """(name, recorded, recomputed) of all that table and index say of the episode; recomputed from the replay, else the record."""
    episodes, e, table = found.episodes, found.e, found.episodes.table
    start, absent = int(table.start[e]), found.header.absent
    reward = episodes.reward[start : start + int(table.length[e])]
    again = {"length": len(reward), "return": float(np.sum(reward, dtype=np.float32))} | proof.outcome
    said = {"length": int(table.length[e]), "return": float(table.total_reward[e])}
    said |= {name: bool(getattr(table, name)[e]) for name in ("success", "harm") if name not in absent}
    for name, value in said.items():
        if name == "return" and "rewards" in absent:
            continue
        if name in again:
            yield name, value, again[name]
    for name, value in again.get("counters", {}).items():
        if name in table.behaviour:
            yield name, int(table.behaviour[name][e]), value
    if found.row is not None:
        row = found.row
        for name, value in (("length", row.length), ("return", row.total_reward), ("success", row.success), ("harm", row.harm)):
            if name in said:
                yield f"{name} in episodes.tsv", value, said[name]


def agree(recorded: Any, again: Any) -> bool:
    """Equal, or real numbers up to the rounding of a sum of float32."""
    if isinstance(recorded, float):
        return bool(np.isclose(recorded, again, rtol=1e-4, atol=1e-4))
    return bool(recorded == again)
