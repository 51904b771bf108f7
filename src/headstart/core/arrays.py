"""Names for arrays, and the letters of their shapes, which mean the same everywhere.

W worlds, A agents, N = W·A rows (row = w·A + a), T steps, B minibatch rows, F features, K actions, D action dimensions, C map channels,
R reward terms, S counters of an agent's episode.
"""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Mode = Literal["sampled", "deterministic"]  # how a policy acts: by drawing, or by its most likely action
MODES: tuple[Mode, ...] = get_args(Mode)
