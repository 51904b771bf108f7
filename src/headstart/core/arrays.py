"""Array types, and the letters that stand for dimensions in all shapes.

W worlds, A agents, N = W·A rows (row = w·A + a), T steps, B minibatch rows, F features, K actions, D action dimensions, C map channels,
R reward terms, S counters of an agent's episode.
"""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Mode = Literal["sampled", "deterministic"]  # how a policy chooses an action: it samples one, or takes the most likely one
MODES: tuple[Mode, ...] = get_args(Mode)
