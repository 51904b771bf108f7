"""Scores made by hand."""

from functools import cache

from headstart.compare.arm_runs import Score


@cache
def score(success: int, harm: int = 0, episodes: int = 100, return_mean: float = 1.0) -> Score:
    return Score(episodes=episodes, success=success, harm=harm, return_mean=return_mean, return_sd=0.1)
