"""A few kills of every kind; `make torture` has more."""

from tests.torture.kills import run


def test_what_was_killed_goes_on_and_leaves_what_an_uninterrupted_run_leaves() -> None:
    counts = run(60, seed=1)
    assert counts.planted == 60
    assert counts.problems == (), str(counts)
