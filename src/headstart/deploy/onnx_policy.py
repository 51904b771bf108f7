"""A policy as an ONNX file, with its normaliser, and beside it the file that says what it takes and gives.

N rows, F features, K actions, D action dimensions. Inputs: `obs` [N, *shape] in its own units, if the environment has a Box observation;
otherwise `features` [N, F], as `PolicyContract.observation` names them, and `map`; with masks, as of a town, `mask` [N, K]. Output:
`logits` [N, K], FORBIDDEN where a mask says so, or `mean` [N, *shape] in the environment's own units, within its bounds.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from headstart.core.arrays import Array
from headstart.core.errors import InputError, IntegrityError
from headstart.core.extras import require_extra
from headstart.core.files import sha256_bytes
from headstart.core.strict_json import pretty_json
from headstart.deploy.contract import PolicyContract, Port
from headstart.deploy.pair import require_target, write_pair
from headstart.deploy.policy import Policy
from headstart.deploy.rows import OwnRows
from headstart.deploy.samples import OBSERVATIONS, is_masked, observations, output_of, worse
from headstart.learn.compiled.layers import FORBIDDEN
from headstart.runs.onnx_file import TOLERANCE, compute_onnx, write_onnx
from headstart.worlds.gym_parts import channels_first


class Graph(torch.nn.Module):
    """The actor with what stands before and behind it: a dict of inputs → logits or means."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        network, space = policy.network, policy.action_space
        self.normaliser, self.actor, self.encoder = network.normaliser, network.actor, network.encoder
        self.own_box = isinstance(policy.observation_space, spaces.Box)
        own = policy.rows if isinstance(policy.rows, OwnRows) else None
        self.last = (
            own is not None and own.observing.picture is not None and not channels_first(own.observing.picture.space.shape or ())
        )
        self.size = len(policy.card.observation.features)
        self.has_features = bool(policy.card.observation.features)
        self.bounds: tuple[Tensor, Tensor] | None = None
        self.shape = tuple(space.shape or ())
        self.whole = space.dtype is not None and space.dtype.kind in "iu"
        if isinstance(space, spaces.Box):
            self.bounds = torch.from_numpy(space.low.astype(np.float32)), torch.from_numpy(space.high.astype(np.float32))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        parts = []
        if self.has_features:
            features = inputs["obs"].float().reshape(-1, self.size) if self.own_box else inputs["features"]
            parts.append(features if self.normaliser is None else self.normaliser(features))
        if self.encoder is not None:
            parts.append(self.encoder(self._square(inputs["obs"] if self.own_box else inputs["map"]).float() / 255.0))
        found: Tensor = self.actor(torch.cat(parts, dim=-1))
        if self.bounds is None:
            return torch.where(inputs["mask"].bool(), found, FORBIDDEN) if "mask" in inputs else found
        low, high = self.bounds
        share = (found.clamp(-1.0, 1.0).reshape(-1, *self.shape) + 1.0) / 2
        stretched = low * (1.0 - share) + high * share
        return (torch.round(stretched) if self.whole else stretched).clamp(low, high)

    def _square(self, picture: Tensor) -> Tensor:
        """The environment's picture as the network sees it: [N, C, G, G]. A map is so already."""
        if not self.own_box:
            return picture
        picture = picture.permute(0, 3, 1, 2) if self.last else picture
        height, width = picture.shape[2:]
        side = max(height, width)
        return torch.nn.functional.pad(picture, (0, side - width, 0, side - height))


def export_onnx(policy: Policy, out: Path, masks: bool = False) -> PolicyContract:
    """Write OUT.onnx and its contract, OUT.onnx.json, after the file computed the same as the policy on OBSERVATIONS observations.

    `masks`: the file takes masks, also of an environment of a user's own. Raises as `require_onnx`; InputError if torch cannot express the
    network; IntegrityError if the file computes something else. Nothing is then written.
    """
    require_onnx(policy, out, masks)
    masked = is_masked(policy, masks)
    obs, allowed = observations(policy, OBSERVATIONS, masked)
    rows, _ = policy.rows.rows(obs, allowed)
    inputs = inputs_of(policy, obs, rows, masked)
    name = "logits" if policy.card.observation.actions else "mean"
    with TemporaryDirectory() as folder:
        written = Path(folder) / "policy.onnx"
        example = {port: torch.from_numpy(column[:2].copy()) for port, column in inputs.items()}
        try:
            write_onnx(Graph(policy), example, list(inputs), name, written)
        except Exception as error:  # torch.export raises errors of many kinds
            said = " ".join(str(error).split())[:200]
            raise InputError(f"{out}: expected a network that torch can write as ONNX: {type(error).__name__}: {said}") from error
        difference = require_same(policy, written, out, inputs, rows)
        model = written.read_bytes()
    contract = PolicyContract(
        scenario=policy.card.scenario,
        arm=policy.card.arm,
        seed=policy.card.seed,
        checkpoint_sha256=policy.card.weights_sha256,
        onnx_sha256=sha256_bytes(model),
        inputs=tuple(_port(port, column, MEANING[port]) for port, column in inputs.items()),
        output=_output(policy, name),
        observation=policy.card.observation,
        spaces=policy.card.spaces,
        compared_rows=OBSERVATIONS,
        largest_difference=difference,
    )
    beside = contract_path(out)
    write_pair(out, model, beside, pretty_json(contract.model_dump(mode="json"), str(beside)))
    return contract


def require_onnx(policy: Policy, out: Path, masks: bool = False) -> None:
    """InputError for a target that cannot be written and for masks of a policy that chooses none; MissingExtra without a package."""
    require_target(out, ".onnx", contract_path(out))
    is_masked(policy, masks)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require_extra(package, "sb3")


def contract_path(onnx: Path) -> Path:
    return onnx.parent / f"{onnx.name}.json"  # with_name refuses a path without a name, as "."


MEANING = {
    "obs": "the environment's observation, in its own units",
    "features": "the observation as features, in the order of observation.features",
    "mask": "1: the action is allowed",
    "map": "the picture or map, channels first, padded with 0 to a square",
    "logits": "of observation.actions",
    "mean": "the action, in the environment's own units and within its bounds",
}


def inputs_of(policy: Policy, obs: Any, rows: dict[str, Array], masked: bool) -> dict[str, Array]:
    """What the file is given for these observations: `obs`, or those of `rows` that it takes."""
    space = policy.observation_space
    told = {"mask": rows["mask"]} if masked else {}
    if isinstance(space, spaces.Box):
        return {"obs": np.asarray(obs, np.uint8 if space.dtype == np.uint8 else np.float32)} | told
    wanted = ("features", "map") if policy.card.observation.features else ("map",)
    return {name: rows[name] for name in wanted if name in rows} | told


def require_same(policy: Policy, written: Path, out: Path, inputs: dict[str, Array], rows: dict[str, Array]) -> float:
    """The largest difference, as a share of the largest number; IntegrityError unless the file computes what the policy does."""
    found, expected = compute_onnx(written, inputs), output_of(policy, rows)
    if policy.card.observation.actions:
        allowed = rows["mask"] != 0 if "mask" in inputs else np.ones(expected.shape, bool)
        largest, wrong = np.abs(expected[allowed]).max(), worse(np.where(allowed, expected, -np.inf), found.argmax(axis=1))
        expected = np.where(allowed, expected, FORBIDDEN)
    else:
        expected = policy.rows.actions(expected).astype(np.float64)
        largest, wrong = np.abs(expected).max(), np.zeros(len(expected), bool)
    apart = float(np.abs(found - expected).max() / max(1.0, largest))
    if not apart <= TOLERANCE or wrong.any():
        raise IntegrityError(
            f"{out}: expected what the policy computes within {TOLERANCE:g} on {len(expected)} observations, got {apart:g} apart "
            f"and other actions in {int(wrong.sum())}"
        )
    return apart


def _port(name: str, column: Array, meaning: str) -> Port:
    return Port.model_validate({"name": name, "shape": ("N", *column.shape[1:]), "dtype": str(column.dtype), "meaning": meaning})


def _output(policy: Policy, name: str) -> Port:
    actions = policy.card.observation.actions
    shape = (len(actions),) if actions else tuple(policy.action_space.shape or ())
    return Port(name=name, shape=("N", *shape), dtype="float32", meaning=MEANING[name])
