"""What all tests share."""

import numba
import pytest


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Worlds in tests are small: a second thread would only wait, spinning. A test about threads sets their number itself."""
    numba.set_num_threads(1)
