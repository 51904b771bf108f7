"""Checkpoints (`checkpoint/1`): named arrays as safetensors, and a card that says what they are. Nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from pydantic import JsonValue
from safetensors import SafetensorError

from headstart.core.arrays import Array
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import read_bytes, read_record, sha256_bytes, write_bytes, write_record
from headstart.core.record import Arm, Count, Name, Record, Sha256
from headstart.dataset.observation import ObservationSchema

WEIGHTS, CARD = "weights.safetensors", "card.json"
MAX_WEIGHTS_BYTES = 1 << 30

_KINDS = "fiub"  # floats, signed and unsigned integers, booleans


class Spaces(Record):
    """The Gymnasium spaces of an environment that a user brings, after its wrappers, as `worlds.space_record` writes them."""

    observation: dict[str, JsonValue]
    action: dict[str, JsonValue]


class Card(Record):
    """What a checkpoint is and where it comes from."""

    schema_id: Literal["checkpoint/1"] = "checkpoint/1"
    kind: Literal["expert", "bc", "policy"]
    scenario: Name
    arm: Arm
    seed: int
    env_steps: Count
    observation: ObservationSchema
    spaces: Spaces | None = None  # None: `observation` says all, as of a world of this package
    network: dict[str, JsonValue]  # sizes and choices that rebuild the network
    lineage: dict[str, Sha256]  # artefacts that it was made from
    shapes: dict[str, tuple[int, ...]]
    weights_sha256: Sha256


def save_checkpoint(directory: Path, tensors: dict[str, Array], fields: Mapping[str, Any]) -> Card:
    """Write weights, then the card: `fields`, and their hash and shapes; equal tensors give equal bytes.

    Raises InputError for an array that is neither numeric nor boolean, and for NaN or infinity in a float array.
    """
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in _KINDS:
            raise InputError(f"tensor {name}: expected numbers or booleans, got {tensor.dtype}")
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise InputError(f"tensor {name}: expected finite values, got {(~np.isfinite(tensor)).sum()} others")
    weights = _serialised(tensors)
    shapes = {name: tensors[name].shape for name in sorted(tensors)}
    card = Card(**{**fields, "weights_sha256": sha256_bytes(weights), "shapes": shapes})
    write_bytes(directory / WEIGHTS, weights)
    write_record(directory / CARD, card)
    return card


def weights_sha256(tensors: dict[str, Array]) -> str:
    """The hash that `save_checkpoint` would give to these weights."""
    return sha256_bytes(_serialised(tensors))


def _serialised(tensors: dict[str, Array]) -> bytes:
    return safetensors.numpy.save({name: np.asarray(tensors[name], order="C") for name in sorted(tensors)})


def load_checkpoint(directory: Path, expect: ObservationSchema | None = None) -> tuple[dict[str, Array], Card]:
    """Read a checkpoint.

    Raises InputError if a file is missing or not what its format says, SchemaMismatch if the policy was trained for another
    observation schema than `expect`, and IntegrityError if the weights are not those of the card.
    """
    card = read_record(directory / CARD, Card)
    if expect is not None:
        expect.require_same(card.observation, str(directory / CARD))
    weights = read_bytes(directory / WEIGHTS, MAX_WEIGHTS_BYTES)
    found = sha256_bytes(weights)
    if found != card.weights_sha256:
        raise IntegrityError(f"{directory / WEIGHTS}: expected hash {card.weights_sha256}, found {found}")
    try:
        tensors = safetensors.numpy.load(weights)
    except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a dtype that NumPy does not have
        raise InputError(f"{directory / WEIGHTS}: expected safetensors: {error}") from None
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != card.shapes:
        raise IntegrityError(f"{directory / WEIGHTS}: expected shapes {card.shapes}, found {shapes}")
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise InputError(f"{directory / WEIGHTS}: {name}: expected finite values, got {(~np.isfinite(tensor)).sum()} others")
    return tensors, card
