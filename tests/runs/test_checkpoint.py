"""Checkpoints come back bit for bit, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import InputError, IntegrityError, SchemaMismatch
from headstart.core.files import sha256_bytes
from headstart.dataset.observation import ObservationSchema
from headstart.runs.checkpoint import CARD, WEIGHTS, load_checkpoint, save_checkpoint


@pytest.fixture
def card(schema: ObservationSchema) -> dict[str, Any]:
    return {
        "kind": "bc",
        "scenario": "queue_conflict",
        "arm": "pretrained",
        "seed": 1,
        "env_steps": 0,
        "observation": schema,
        "network": {"hidden": [64, 64], "shared": False},
        "lineage": {"dataset": "a" * 64},
    }


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {
        "weight": weight,
        "view": weight.T,
        "steps": np.array(5, np.int64),
        "mask": np.array([True, False]),
        "none": weight[:0],
    }


def test_a_checkpoint_comes_back(
    tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray], require_schema: Callable[[bytes | str, str], None]
) -> None:
    saved = save_checkpoint(tmp_path, tensors, card)

    found, found_card = load_checkpoint(tmp_path, card["observation"])

    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)
    assert found_card == saved
    assert found_card.shapes == {"weight": (2, 3), "view": (3, 2), "steps": (), "mask": (2,), "none": (0, 3)}
    require_schema((tmp_path / CARD).read_bytes(), "checkpoint/1")


def test_equal_tensors_are_equal_bytes_in_any_order(tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    first = save_checkpoint(tmp_path / "1", tensors, card)
    second = save_checkpoint(tmp_path / "2", dict(reversed(tensors.items())), card)

    assert first == second
    assert (tmp_path / "1" / WEIGHTS).read_bytes() == (tmp_path / "2" / WEIGHTS).read_bytes()


def test_one_flipped_bit_of_the_weights_is_an_integrity_error(
    tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path, tensors, card)
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)

    with pytest.raises(IntegrityError, match=r"weights\.safetensors: expected hash"):
        load_checkpoint(tmp_path)


def test_shapes_that_are_not_those_of_the_card_are_an_integrity_error(
    tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path, tensors, card)
    text = (tmp_path / CARD).read_text()
    (tmp_path / CARD).write_text(json.dumps(json.loads(text) | {"shapes": {"weight": [3, 2]}}))

    with pytest.raises(IntegrityError, match=r"expected shapes \{'weight': \(3, 2\)\}, found"):
        load_checkpoint(tmp_path)


def test_a_policy_for_other_actions_is_refused(tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    save_checkpoint(tmp_path, tensors, card)
    other = card["observation"].model_copy(update={"actions": ("wait", "north")})

    with pytest.raises(SchemaMismatch, match=r"actions is .*4 entries, expected 2"):
        load_checkpoint(tmp_path, other)


def test_a_card_without_a_hash_vouches_for_nothing(tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    save_checkpoint(tmp_path, tensors, card)
    text = json.loads((tmp_path / CARD).read_text()) | {"weights_sha256": None}
    (tmp_path / CARD).write_text(json.dumps(text))

    with pytest.raises(InputError, match="weights_sha256"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, (8).to_bytes(8, "little") + b'{"a": 1}'], ids=["empty", "noise", "header"])
def test_weights_that_are_no_safetensors_are_refused(
    tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray], data: bytes
) -> None:
    save_checkpoint(tmp_path, tensors, card)
    text = json.loads((tmp_path / CARD).read_text()) | {"weights_sha256": sha256_bytes(data)}
    (tmp_path / CARD).write_text(json.dumps(text))
    (tmp_path / WEIGHTS).write_bytes(data)

    with pytest.raises(InputError, match="expected safetensors"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (np.array([1.0, np.nan]), "tensor bad: expected finite values, got 1 others"),
        (np.array([object()]), "tensor bad: expected numbers or booleans, got object"),
        (np.array(["x"]), "tensor bad: expected numbers or booleans"),
    ],
)
def test_tensors_that_no_policy_can_have_are_not_saved(
    tmp_path: Path, card: dict[str, Any], tensor: np.ndarray, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        save_checkpoint(tmp_path, {"bad": tensor}, card)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_without_weights_is_an_input_error(
    tmp_path: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path, tensors, card)
    (tmp_path / WEIGHTS).unlink()

    with pytest.raises(InputError, match=r"weights\.safetensors: expected a file, found none"):
        load_checkpoint(tmp_path)
