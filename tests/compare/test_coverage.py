"""The ratio's bound lies below the truth in at most 5 % of simulated experiments, in all that docs/concepts.md says it does."""

import math
from pathlib import Path

import pytest
from benchmarks.bound_coverage import (
    CENSORED,
    EXPERIMENTS,
    FAMILIES,
    LIMIT,
    Family,
    cloned,
    coverage,
    lognormal,
    main,
    miss_with_ties,
)

MOST = 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)  # a nominal 5 %, with one-sided 99 % of the simulation's error

PAGE = Path(__file__).parents[2] / "docs/concepts.md"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("censored", CENSORED)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_truth_at_the_limit_passes_in_one_of_twenty_experiments_at_most(name: str, censored: float) -> None:
    assert coverage(FAMILIES[name], LIMIT, censored).miss <= MOST


@pytest.mark.parametrize("truth", [0.2, LIMIT, 1.0])
@pytest.mark.parametrize("every", [0.05, 0.2])
@pytest.mark.parametrize("name", FAMILIES)
def test_evaluation_intervals_never_make_the_bound_miss_more_often(name: str, every: float, truth: float) -> None:
    assert coverage(FAMILIES[name], truth, every=every).miss <= MOST


def test_clones_of_their_own_keep_the_level_and_one_shared_clone_does_not() -> None:
    own, shared = (coverage(Family(cloned(clones, 0.3), lognormal(0.3))).miss for clones in (10, 1))

    assert own <= MOST
    assert shared > 0.15


def test_pairs_beyond_the_budget_as_ties_would_miss_where_the_candidate_has_the_greater_spread() -> None:
    assert miss_with_ties(FAMILIES["lognormal, sd 1.0 against 0.2"], censored=0.5) > 0.1


def test_the_bound_has_power() -> None:
    """A bound that never excludes a ratio would never miss: half of the bounds lie below 1.6 times the truth, as a t interval's would."""
    assert coverage(FAMILIES["lognormal, sd 0.5"]).median < 1.6


def test_the_page_shows_what_the_benchmark_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main()

    printed = capsys.readouterr().out.strip().split("\n\n")
    assert len(printed) == 8  # four tables, each with its title
    assert all(part in PAGE.read_text() for part in printed)
