"""How a torch module is written as an ONNX file, how such a file is computed, on one thread, and on what the two are compared."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch.utils._pytree import tree_map

from headstart.core.arrays import Array

TOLERANCE = 1e-5  # of a round trip, as a share of the largest number
FAR = 10.0  # of a bound that an observation space does not have


def drawn(space: spaces.Box, n: int, random: np.random.Generator) -> Array:
    """[n, *shape] f64 within the bounds of a space, or within ±FAR where it has none."""
    low, high = (np.where(np.abs(bound) < 1e6, bound, far).astype(float) for bound, far in ((space.low, -FAR), (space.high, FAR)))
    return random.uniform(low, np.maximum(low, high), (n, *space.shape))


def write_onnx(module: torch.nn.Module, example: Any, inputs: list[str], output: str, path: Path) -> None:
    """Write a module of one argument, a tensor or a dict of tensors [N, …] named `inputs`, for any number of rows; weights are inside.

    `example`: the argument, with two rows.
    """
    rows = torch.export.Dim("rows")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is not there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        torch.onnx.export(
            module.eval(),
            (example, {}),  # the dict at the end: torch takes a last one for keyword arguments
            str(path),
            input_names=inputs,
            output_names=[output],
            dynamo=True,
            dynamic_shapes=(tree_map(lambda _: {0: rows}, example),),
            external_data=False,
            verbose=False,
        )


def compute_onnx(path: Path, inputs: dict[str, Array]) -> Array:
    """The only output of a file for these inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, inputs)
    return found  # type: ignore[no-any-return]
