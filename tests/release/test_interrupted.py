"""Commands of releases that a fault ended, and then the same command again."""

import random

import pytest
from tests.released import Project
from tests.torture.release_faults import COMMANDS, faults


@pytest.mark.parametrize("command", COMMANDS)
def test_after_a_kill_or_a_full_or_broken_disk_the_same_command_ends_as_without_a_fault(command: str, ready: Project) -> None:
    found = list(faults(command, ready, trials=2, draw=random.Random(command)))

    assert found == [None] * 6
