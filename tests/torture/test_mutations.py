"""Of files damaged at random none goes unnoticed, and each comes back of which a copy is left; `make torture` plants fifty times as many."""

from pathlib import Path

import pytest
from tests import pipelined
from tests.torture.mutations import run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pipelined") / "project"
    root.mkdir()
    pipelined.make(root)
    return root


@pytest.mark.parametrize("seed", [1, 2])
def test_damage_anywhere_is_named_and_mended(project: Path, seed: int) -> None:
    counts = run(100, seed, project)
    assert counts.problems == ()
