"""`python benchmarks/bound_coverage.py`: how often the ratio's upper bound lies below the truth, and how far above it the median bound lies.

The truth is the r at which a run of the candidate beats r times a run of scratch half of the time. Every experiment has ten runs a side; both
sides are watched up to one budget, at which the given share of scratch's runs has not arrived. tests/compare/test_coverage.py asserts what
docs/concepts.md says of these tables.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from headstart.compare.ratio import LEVEL, brunner_munzel, ratio_upper
from headstart.core.arrays import Array

EXPERIMENTS, RUNS = 1500, 10
LIMIT = 0.70  # of `comparison.max_ratio`
CENSORED = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of scratch's runs
Draw = Callable[[np.random.Generator, int], Array]  # n → log steps [n]


class Family(NamedTuple):
    """How the log steps of both arms are distributed. Times `truth`, the candidate beats scratch half of the time."""

    candidate: Draw
    scratch: Draw


class Coverage(NamedTuple):
    miss: float  # share of experiments whose bound lies below the truth; at a truth of LIMIT these are the false PASSes
    median: float  # of the bounds ÷ truth; ∞: most have none


def lognormal(sd: float) -> Draw:
    return lambda rng, n: rng.normal(0.0, sd, n)


def heavy_tails(rng: np.random.Generator, n: int) -> Array:
    return 0.5 * rng.standard_t(3, n)


def slow_seeds(rng: np.random.Generator, n: int) -> Array:
    """One run in five is 4.5 times slower."""
    return rng.normal(0.0, 0.3, n) + np.log(4.5) * (rng.random(n) < 0.2)


def two_speeds(rng: np.random.Generator, n: int) -> Array:
    """Two runs in five are ten times slower."""
    return rng.normal(0.0, 0.1, n) + np.log(10.0) * (rng.random(n) < 0.4)


def exponential(rng: np.random.Generator, n: int) -> Array:
    return np.log(rng.exponential(1.0, n))


def even(candidate: Draw, scratch: Draw) -> Family:
    """Of shapes that differ: the candidate is shifted so that it is ahead half of the time, to the error of 200,000 pairs."""
    rng = np.random.default_rng(2)
    ahead = float(np.median(scratch(rng, 200_000) - candidate(rng, 200_000)))
    return Family(lambda rng, n: candidate(rng, n) + ahead, scratch)


def cloned(clones: int, clone_sd: float) -> Draw:
    """The runs of an arm share `clones` clones, whose log steps differ by `clone_sd`; runs of one clone differ by 0.3."""
    return lambda rng, n: rng.normal(0.0, 0.3, n) + rng.normal(0.0, clone_sd, clones)[np.arange(n) % clones]


FAMILIES = {
    "lognormal, sd 0.5": Family(lognormal(0.5), lognormal(0.5)),
    "lognormal, sd 0.2 against 1.0": Family(lognormal(0.2), lognormal(1.0)),
    "lognormal, sd 1.0 against 0.2": Family(lognormal(1.0), lognormal(0.2)),
    "log-t with 3 df": Family(heavy_tails, heavy_tails),
    "one run in five 4.5 × slower": Family(slow_seeds, slow_seeds),
    "two in five 10 × slower against lognormal, sd 0.3": even(two_speeds, lognormal(0.3)),
    "exponential against lognormal, sd 0.05": even(exponential, lognormal(0.05)),
}


def budget_of(scratch: Draw, censored: float) -> float:
    """Steps at which the share `censored` of scratch's runs has not arrived; of 1, one in a thousand has."""
    if censored == 0:
        return float("inf")
    return float(np.quantile(np.exp(scratch(np.random.default_rng(1), 200_000)), max(1 - censored, 0.001)))


def experiments(family: Family, truth: float, count: int, n: int) -> Iterator[tuple[Array, Array]]:
    """Steps [n] of the candidate and [n] of scratch."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield truth * np.exp(family.candidate(rng, n)), np.exp(family.scratch(rng, n))


def coverage(
    family: Family,
    truth: float = LIMIT,
    censored: float = 0.0,
    every: float = 0.0,
    both_at_end: bool = False,
    count: int = EXPERIMENTS,
) -> Coverage:
    """`every`: steps between two evaluations; the candidate's count to the end of the interval, scratch's to its beginning, or `both_at_end`."""
    budget = budget_of(family.scratch, censored)
    bounds = []
    for candidate, scratch in experiments(family, truth, count, RUNS):
        ours, theirs = np.where(candidate > budget, np.inf, candidate), np.minimum(scratch, budget)
        if every:
            ours = np.ceil(ours / every) * every
            theirs = (np.ceil if both_at_end else np.floor)(theirs / every) * every
        upper = ratio_upper(ours, theirs)
        bounds.append(np.inf if upper is None else upper)
    return Coverage(miss=float(np.mean(np.array(bounds) < truth)), median=float(np.median(bounds)) / truth)


def miss_with_ties(family: Family, censored: float, count: int = EXPERIMENTS) -> float:
    """Share of experiments that exclude the truth if pairs of which both lie beyond the budget are counted as ties, which is wrong."""
    budget = budget_of(family.scratch, censored)
    missed = 0
    for candidate, scratch in experiments(family, LIMIT, count, RUNS):
        ours, theirs = np.minimum(candidate / budget, LIMIT), np.minimum(scratch / budget, 1.0)
        missed += brunner_munzel(ours, theirs, np.array([LIMIT]))[0] <= LEVEL
    return missed / count


def main() -> None:
    """Print the tables of docs/concepts.md."""
    shares = [f"{share:.0%}" for share in CENSORED]
    found = {(name, share): coverage(family, LIMIT, share) for name, family in FAMILIES.items() for share in CENSORED}
    sooner = {(name, share): coverage(family, 0.2, share) for name, family in FAMILIES.items() for share in CENSORED}
    broad = "lognormal, sd 1.0 against 0.2"
    rows = [[name, *(_percent(found[name, share].miss) for share in CENSORED)] for name in FAMILIES]
    ties = ["–", *(_percent(miss_with_ties(FAMILIES[broad], share)) for share in CENSORED[1:])]
    _table("Misses = false PASSes at a true ratio of 0.70", ["scratch censored", *shares], [*rows, [f"*{broad}, ties*", *ties]])
    medians = [
        [name, *(f"{_times(found[name, share].median)} / {_times(sooner[name, share].median)}" for share in CENSORED)]
        for name in FAMILIES
    ]
    _table("Median bound ÷ truth, at a truth of 0.70 / 0.20", ["scratch censored", *shares], medians)
    _evaluations()
    _clones()


def _evaluations() -> None:
    rows = []
    for name in ("lognormal, sd 0.5", "lognormal, sd 0.2 against 1.0"):
        for truth in (LIMIT, 0.2):
            cells = [
                (coverage(FAMILIES[name], truth, every=every, both_at_end=end)) for every in (0.05, 0.2) for end in (False, True)
            ]
            rows.append([f"{name}, truth {truth:.2f}", *(f"{_percent(cell.miss)}, {_times(cell.median)}" for cell in cells)])
    head = [
        "misses, median bound ÷ truth",
        "5 %, as counted",
        "5 %, both at the end",
        "20 %, as counted",
        "20 %, both at the end",
    ]
    _table("An evaluation every 5 % or 20 % of scratch's median steps", head, rows)


def _clones() -> None:
    rows = []
    for sd in (0.1, 0.2, 0.3):
        cells = [coverage(Family(cloned(clones, sd), lognormal(0.3))) for clones in (10, 5, 2, 1)]
        rows.append([f"sd {sd} between clones", *(_percent(cell.miss) for cell in cells)])
    _table("Misses where ten runs of sd 0.3 share clones", ["clones", "10", "5", "2", "1"], rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _times(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "none"


def _table(title: str, head: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}:\n")
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
