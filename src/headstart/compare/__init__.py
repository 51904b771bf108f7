"""From the runs of two arms to findings and a verdict: curves, steps to target, the ratio, censoring and distribution shift."""
