"""States on disk: what is read is what was kept."""

from pathlib import Path

import numpy as np

from headstart.runs.states import load_state, save_state


def test_every_array_comes_back_with_its_type_and_shape(tmp_path: Path) -> None:
    state = {"scalar": np.array(7), "row": np.arange(3.0), "turned": np.arange(6).reshape(2, 3).T, "none": np.empty((0, 2))}
    save_state(tmp_path, "at-1", state)
    found = load_state(tmp_path, "at-1")
    assert {name: (value.dtype, value.shape) for name, value in found.items()} == {
        name: (value.dtype, value.shape) for name, value in state.items()
    }
    assert all(np.array_equal(found[name], value) for name, value in state.items())
