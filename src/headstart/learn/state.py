"""The whole state of a run as named arrays: to hash it, to keep it, and to go back to it bit for bit.

`charged.*` says what was spent; a rollback leaves it as it is, a resumed run takes it back too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.lib.recfunctions import repack_fields

from headstart.core.arrays import Array
from headstart.learn.anneal import Position, Trainer, frozen
from headstart.learn.networks import load_tensors, tensors

CHARGED = ("env_steps", "phase_began", "ramps_began", "updates", "evaluated")


def state_of(trainer: Trainer) -> dict[str, Array]:
    """Weights, optimiser, reference, random stream, worlds, who drives, place in the schedule. The rollout buffer is empty between updates."""
    state = {f"network.{name}": value for name, value in tensors(trainer.network).items()}
    if trainer.reference is not None:
        state |= {f"reference.{name}": value for name, value in tensors(trainer.reference).items()}
    state |= {f"optimizer.{name}": value for name, value in trainer.optimizer.state().items()}
    state |= {f"player.{name}": _plain(value) for name, value in trainer.player.snapshot().items()}
    position = asdict(trainer.at)
    return {name: np.array(value) for name, value in state.items()} | {
        "generator": np.array(trainer.generator.get_state().numpy()),
        "factors": np.array([trainer.learning_rate_factor, trainer.kl_factor]),
        "position": np.array([value for name, value in position.items() if name not in CHARGED]),
        "charged.position": np.array([position[name] for name in CHARGED]),
    }


def state_sha256(state: Mapping[str, Array]) -> str:
    """Hash over names, types, shapes and bytes of all that a rollback restores."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if not name.startswith("charged."):
            array = np.ascontiguousarray(state[name])
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def restore(trainer: Trainer, state: Mapping[str, Array], charged: bool = False) -> None:
    """Go back to a state; with `charged` also to what was spent then, as a run that was interrupted does."""
    load_tensors(trainer.network, _part(state, "network."))
    reference = _part(state, "reference.")
    if reference:
        trainer.reference = frozen(trainer.network)
        load_tensors(trainer.reference, reference)
    trainer.optimizer.restore(_part(state, "optimizer."))
    now = trainer.player.snapshot()
    trainer.player.restore({name: _as(value, now[name].dtype) for name, value in _part(state, "player.").items()})
    trainer.generator.set_state(torch.from_numpy(np.array(state["generator"])))
    trainer.learning_rate_factor, trainer.kl_factor = (float(value) for value in state["factors"])
    names = [name for name in asdict(Position()) if name not in CHARGED]
    for name, value in zip(names, state["position"], strict=True):
        setattr(trainer.at, name, int(value))
    if charged:
        for name, value in zip(CHARGED, state["charged.position"], strict=True):
            setattr(trainer.at, name, int(value))


def begin_retry(trainer: Trainer, attempt: int, learning_rate_factor: float, kl_factor: float) -> None:
    """Go on from a restored state, but not the same way: another random stream, gentler steps, a shorter leash."""
    trainer.generator.manual_seed(trainer.seed + 1_000_003 * attempt + 7919 * trainer.at.env_steps)
    trainer.at.ramps_began = trainer.at.env_steps
    trainer.learning_rate_factor, trainer.kl_factor = learning_rate_factor, kl_factor


def _plain(array: Array) -> Array:
    """Records as bytes, which every file format takes, without the padding between fields, which holds anything."""
    return repack_fields(array, recurse=True).view(np.uint8) if array.dtype.names else array


def _as(array: Array, dtype: np.dtype[Any]) -> Array:
    """The records that `_plain` made bytes of."""
    return array.view(repack_fields(dtype, recurse=True)) if dtype.names else array


def _part(state: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
