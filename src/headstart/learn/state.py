"""The complete state of a run as named arrays, to hash it, store it, and restore it bit for bit.

`charged.*` counts used env steps and retries: a rollback does not restore it, a resumed run does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.lib.recfunctions import repack_fields

from headstart.core.arrays import Array
from headstart.learn.anneal import Trainer, frozen
from headstart.learn.networks import load_tensors, part, tensors

RESTORED = ("phase", "begun", "epochs")  # fields of a position
CHARGED = ("env_steps", "phase_from", "attempt_from", "attempt", "updates", "evaluated")


def state_of(trainer: Trainer) -> dict[str, Array]:
    """Weights, optimiser, reference, random stream, worlds, the expert's rows, position. The rollout buffer is empty between updates."""
    state = {f"network.{name}": value for name, value in tensors(trainer.network).items()}
    if trainer.reference is not None:
        state |= {f"reference.{name}": value for name, value in tensors(trainer.reference).items()}
    state |= {f"optimizer.{name}": value for name, value in trainer.optimizer.state().items()}
    state |= {f"player.{name}": _plain(value) for name, value in trainer.player.snapshot().items()}
    return {name: np.array(value) for name, value in state.items()} | {
        "generator": np.array(trainer.generator.get_state().numpy()),
        "position": np.array([int(getattr(trainer.at, name)) for name in RESTORED]),
        "charged.position": np.array([getattr(trainer.at, name) for name in CHARGED]),
    }


def state_sha256(state: Mapping[str, Array]) -> str:
    """Hash over names, types, shapes and bytes of everything that a rollback restores."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if not name.startswith("charged."):
            array = np.ascontiguousarray(state[name])
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def restore(trainer: Trainer, state: Mapping[str, Array], charged: bool = False) -> None:
    """Restore a state; with `charged` also the used env steps and retries, as an interrupted run needs it."""
    load_tensors(trainer.network, part(state, "network."))
    reference = part(state, "reference.")
    if reference:
        trainer.reference = frozen(trainer.network)
        load_tensors(trainer.reference, reference)
    trainer.optimizer.restore(part(state, "optimizer."))
    now = trainer.player.snapshot()
    trainer.player.restore({name: _as(value, now[name].dtype) for name, value in part(state, "player.").items()})
    trainer.generator.set_state(torch.from_numpy(np.array(state["generator"])))
    position = dict(zip(RESTORED, state["position"].tolist(), strict=True))
    if charged:
        position |= dict(zip(CHARGED, state["charged.position"].tolist(), strict=True))
    trainer.at = replace(trainer.at, **position)


def begin_retry(trainer: Trainer) -> None:
    """Continue from a restored state with another random stream, a lower learning rate and a higher KL weight."""
    trainer.at = trainer.at.begin_retry()
    trainer.generator.manual_seed(trainer.seed + 1_000_003 * trainer.at.attempt + 7919 * trainer.at.env_steps)


def _plain(array: Array) -> Array:
    """Records as bytes, which every file format can store, without the padding between fields, whose content is undefined."""
    return repack_fields(array, recurse=True).view(np.uint8) if array.dtype.names else array


def _as(array: Array, dtype: np.dtype[Any]) -> Array:
    """The inverse of `_plain`."""
    return array.view(repack_fields(dtype, recurse=True)) if dtype.names else array
