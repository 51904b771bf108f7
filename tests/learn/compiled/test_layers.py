"""Compiled layers against torch's."""

from typing import Literal

import numpy as np
import pytest
import torch

from headstart.config.params import NetworkParams
from headstart.learn.compiled.layers import pass_backward, pass_forward, tanh
from headstart.learn.networks import MLP, ActorCritic


def layers_of(hidden: tuple[int, ...], activation: Literal["tanh", "relu"]) -> MLP:
    torch.manual_seed(0)
    return ActorCritic(5, 3, None, NetworkParams(hidden=hidden, activation=activation)).actor


def test_tanh_is_right_to_the_rounding_of_32_bits() -> None:
    x = np.concatenate([np.linspace(-12, 12, 200_001), [-np.inf, np.inf, -0.0, 1e-30]]).astype(np.float32)
    found = x.copy()
    tanh(found)
    np.testing.assert_allclose(found, np.tanh(x.astype(np.float64)), atol=5e-7)
    assert np.abs(found).max() <= 1.0 + 5e-7


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (8,), (16, 8)])
def test_outputs_and_gradients_are_those_of_autograd(activation: Literal["tanh", "relu"], hidden: tuple[int, ...]) -> None:
    layers, x, by_output = layers_of(hidden, activation), torch.randn(64, 5), torch.randn(64, 3)
    theirs = layers(x)
    expected = torch.autograd.grad((theirs * by_output).sum(), list(layers.parameters()))

    weights, rooms = layers.weights.numpy(), np.empty((2, len(layers.sizes), 64 * 16), np.float32)
    gradient = np.empty_like(weights)
    found = pass_forward(weights, layers.sizes, layers.activation, x.numpy(), rooms[0])
    np.testing.assert_allclose(found, theirs.detach(), atol=1e-5)
    np.testing.assert_allclose(layers.outputs(x), theirs.detach(), atol=1e-5)
    pass_backward(weights, gradient, layers.sizes, layers.activation, x.numpy(), rooms[0], rooms[1], by_output.numpy())
    np.testing.assert_allclose(gradient, torch.cat([part.flatten() for part in expected]), atol=1e-4, rtol=1e-4)


def test_weights_that_are_loaded_are_the_ones_that_compiled_code_reads() -> None:
    layers, other, x = layers_of((8,), "tanh"), layers_of((8,), "tanh"), torch.randn(4, 5)
    other.load_state_dict({name: 2 * value for name, value in layers.state_dict().items()})
    np.testing.assert_allclose(other.outputs(x), other(x).detach(), atol=1e-5)
    assert not np.allclose(other.outputs(x), layers.outputs(x))
