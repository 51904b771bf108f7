"""A few kills of every kind: of a process, of a pool, of DVC, and of the disk under it; `make torture` has fifty times as many."""

from tests.torture.kills import REAL, run

TRIALS = REAL // 2 + 4  # one with a real DVC, one with a real pool, four with a failing disk


def test_what_was_killed_goes_on_and_leaves_what_an_uninterrupted_run_leaves() -> None:
    counts = run(TRIALS, seed=1)
    assert counts.planted == TRIALS
    assert counts.problems == (), str(counts)
