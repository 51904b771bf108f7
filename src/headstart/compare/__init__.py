"""Two arms to findings to a verdict: curves, steps to target, the ratio, censoring and distribution shift."""
