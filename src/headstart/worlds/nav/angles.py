"""Binary angles: 65,536 a turn, with sine and cosine from a table that is the same bits on every machine.

The table is built with + − × ÷ of float64 only (Taylor series on an eighth of a turn) and rounded to float32; libm may differ in the last
bit from one machine to the next.
"""

from typing import Any

import numpy as np

from headstart.worlds.jit import rule

TURN = 65536
QUARTER = TURN // 4
ENTRIES = 4096
STEP_OF_TABLE = 4  # bits of a heading below an entry
PI = 3.141592653589793


def _sine(x: float) -> float:
    """Taylor series; exact to the last bits of float64 for |x| ≤ π/4."""
    total = term = x
    for k in range(1, 12):
        term = -term * x * x / (2 * k * (2 * k + 1))
        total += term
    return total


def _cosine(x: float) -> float:
    total = term = 1.0
    for k in range(1, 12):
        term = -term * x * x / ((2 * k - 1) * 2 * k)
        total += term
    return total


def sine_table() -> np.ndarray:
    """sin(2π·k / 4096) for k in 0…4095: [4096] f32."""
    eighth, quarter = ENTRIES // 8, ENTRIES // 4
    step = 2.0 * PI / ENTRIES
    first = [_sine(k * step) for k in range(eighth + 1)] + [_cosine((quarter - k) * step) for k in range(eighth + 1, quarter + 1)]
    half = first + first[-2:0:-1]
    return np.array(half + [-value for value in half], np.float32)


SINE = sine_table()


@rule
def sine(angle: Any) -> Any:
    return SINE[(angle >> STEP_OF_TABLE) & (ENTRIES - 1)]


@rule
def cosine(angle: Any) -> Any:
    return SINE[((angle + QUARTER) >> STEP_OF_TABLE) & (ENTRIES - 1)]
