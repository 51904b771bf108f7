"""Dense layers whose parameters are consecutive in one array: weights [outputs, inputs] and bias [outputs], layer after layer.

`sizes` [L + 1] is the width of every layer, the inputs first; `rooms` [L, ≥ B · widest] are buffers for the outputs of each layer.
"""

import math

import numpy as np

from headstart.core.arrays import Array
from headstart.learn.compiled.jit import entry, part

TANH, RELU = 0, 1
FORBIDDEN = -60.0  # logit of a masked action: a probability below 1e-20, but not a denormal number, which slows exp tenfold
NEAR = 0.15  # largest distance at which an action in [−1, 1] counts as the expert's
LOG_STD_RANGE = (math.log(0.05), math.log(1.5))  # of a Gaussian policy: it always explores, and is never purely random
_BOUND = np.float32(9.0)  # in 32 bits, tanh is 1 beyond this
# tanh(x) ≈ x·P(x²)/Q(x²), fitted for the smallest maximum error on [−9, 9]: 5e-8, less than rounding in 32 bits
_P = (
    0.9999997366975268,
    0.1291066186263438,
    0.0029119710650428263,
    9.1948751620506e-06,
    -1.2590648194860774e-08,
    1.7837031688922244e-11,
)
_Q = (1.0, 0.46243894926263507, 0.023726073696392586, 0.00022693778507754965)
P0, P1, P2, P3, P4, P5 = (np.float32(c) for c in _P)
Q0, Q1, Q2, Q3 = (np.float32(c) for c in _Q)


@part
def tanh(values: Array) -> None:
    """[n] f32 in place; one loop without calls, which the compiler turns into vector instructions."""
    for i in range(len(values)):
        x = min(max(values[i], -_BOUND), _BOUND)
        u = x * x
        p = ((((P5 * u + P4) * u + P3) * u + P2) * u + P1) * u + P0
        q = ((Q3 * u + Q2) * u + Q1) * u + Q0
        values[i] = x * p / q


@part
def pass_forward(weights: Array, sizes: Array, activation: int, x: Array, rooms: Array) -> Array:
    """x [B, inputs] → the outputs of the last layer [B, outputs], a view of its buffer."""
    at, read = 0, x
    for k in range(len(sizes) - 1):
        i, o = sizes[k], sizes[k + 1]
        y = rooms[k, : len(x) * o].reshape(len(x), o)
        np.dot(read, weights[at : at + o * i].reshape(o, i).T, y)
        bias = weights[at + o * i : at + o * i + o]
        for row in range(len(y)):
            for column in range(o):
                y[row, column] += bias[column]
        if k < len(sizes) - 2:
            flat = y.reshape(y.size)
            if activation == TANH:
                tanh(flat)
            else:
                for j in range(len(flat)):
                    flat[j] = max(flat[j], np.float32(0.0))
        at += o * i + o
        read = y
    return read


@part
def pass_backward(
    weights: Array, gradient: Array, sizes: Array, activation: int, x: Array, rooms: Array, slopes: Array, by_output: Array
) -> None:
    """Backward pass: from the gradient by the outputs [B, outputs] to `gradient`, by the parameters; `rooms` as the forward pass left them."""
    at, slope, rows = len(weights), by_output, len(x)
    for k in range(len(sizes) - 2, -1, -1):
        i, o = sizes[k], sizes[k + 1]
        at -= o * i + o
        read = x if k == 0 else rooms[k - 1, : rows * i].reshape(rows, i)
        np.dot(slope.T, read, gradient[at : at + o * i].reshape(o, i))
        by_bias = gradient[at + o * i : at + o * i + o]
        by_bias[:] = 0.0
        for row in range(rows):
            for column in range(o):
                by_bias[column] += slope[row, column]
        if k > 0:
            below = slopes[k - 1, : rows * i].reshape(rows, i)
            np.dot(slope, weights[at : at + o * i].reshape(o, i), below)
            for row in range(rows):
                for column in range(i):
                    y = read[row, column]
                    if activation == TANH:
                        below[row, column] *= np.float32(1.0) - y * y
                    elif y <= 0.0:
                        below[row, column] = 0.0
            slope = below


@entry
def outputs(weights: Array, sizes: Array, activation: int, x: Array, rooms: Array) -> Array:
    """x [B, inputs] f32 → [B, outputs], a new array."""
    return pass_forward(weights, sizes, activation, x, rooms).copy()


@entry
def masked_log_softmax(output: Array, mask: Array) -> Array:
    """[B, K] log-probabilities: softmax over the actions that the mask allows; FORBIDDEN is the logit of the others."""
    log_policy = np.empty_like(output)
    for row in range(len(output)):
        most = np.float32(FORBIDDEN)
        for k in range(output.shape[1]):
            log_policy[row, k] = output[row, k] if mask[row, k] else np.float32(FORBIDDEN)
            most = max(most, log_policy[row, k])
        total = np.float32(0.0)
        for k in range(output.shape[1]):
            total += np.exp(log_policy[row, k] - most)
        shift = most + np.log(total)
        for k in range(output.shape[1]):
            log_policy[row, k] -= shift
    return log_policy
