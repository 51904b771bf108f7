"""Runs that are one run under two names: equal weights, or scores that agree in nearly all evaluations.

A copy may have been changed in a few numbers, or in digits that nobody sees. Policies that were trained apart agree at times in the counts of
a score, and then seldom in its return as well; so two runs are one if at most a tenth of their scores differ. Scores that runs share for a
reason say nothing and are left out: those of the policy that a run started with, with which another may start too, and those in which every
episode is alike, since a solved world looks the same whoever solved it.
"""

import math
from collections.abc import Iterable, Iterator

from headstart.compare.arm_runs import Score, SeedRun

MAY_DIFFER = 0.1  # share of the scores
TOLERANCE = 1e-6  # of the difference of two returns, as a share of their standard deviation over episodes

Scores = dict[tuple[str, str], Score]  # (place, mode or variant) → score


def twins(runs: Iterable[tuple[str, SeedRun]]) -> Iterator[str]:
    """What is wrong with each pair of labelled runs that are one run."""
    weights: dict[str, str] = {}
    seen: list[tuple[str, Scores]] = []
    for label, run in runs:
        back = run.checkpoint_sha256 == run.clone_sha256  # a guardrail may take several runs back to the clone that they share
        if not back and (other := weights.setdefault(run.checkpoint_sha256, label)) != label:
            yield f"expected two runs, got the same weights for {other} and {label}: a run counts once"
        ours = _own_scores(run)
        for other, theirs in seen:
            places = ours.keys() | theirs.keys()
            apart = sum(not _alike(ours.get(place), theirs.get(place)) for place in places)
            if places and apart <= MAY_DIFFER * len(places):
                differ = f", except for {apart} of {len(places)}," if apart else ""
                yield f"expected two runs, got the same scores{differ} for {other} and {label}: a run counts once"
        seen.append((label, ours))


def _own_scores(run: SeedRun) -> Scores:
    """The scores by which a run can be told from others; none of a run whose curve never leaves its start."""
    start = run.curve[0].scores if run.curve else {}
    found: Scores = {
        (f"evaluation {n}", mode): score
        for n, point in enumerate(run.curve)
        for mode, score in point.scores.items()
        if score != start.get(mode)
    }
    if found and run.checkpoint_sha256 != run.clone_sha256:
        found |= {("exam", mode): score for mode, score in run.exam.items()}
        found |= {("variant", name): one.score for name, one in (run.shift.variants if run.shift else {}).items()}
    return {place: score for place, score in found.items() if not _same_in_every_episode(score)}


def _same_in_every_episode(score: Score) -> bool:
    return score.return_sd == 0 and {score.success, score.harm} <= {0, score.episodes}


def _alike(one: Score | None, other: Score | None) -> bool:
    if one is None or other is None:
        return False
    counts = [(score.episodes, score.success, score.harm) for score in (one, other)]
    near = TOLERANCE * max(one.return_sd, other.return_sd)
    return counts[0] == counts[1] and math.isclose(one.return_mean, other.return_mean, rel_tol=1e-9, abs_tol=near)
