"""How much of a drawn test is run: a sample in `make test`, all of it in `make test-slow`, which sets MANY."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

MANY = "MANY" in os.environ


def drawn(few: int, many: int) -> Callable[[Any], Any]:
    """A test of hypothesis with `few` examples, and with `many` in `make test-slow`, where all tests marked `many` are run."""

    def mark(test: Any) -> Any:
        return pytest.mark.many(settings(max_examples=many if MANY else few, deadline=None)(test))

    return mark
