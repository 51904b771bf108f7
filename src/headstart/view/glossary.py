"""The words of a report, each with its meaning: as in CONTRIBUTING.md, and what statistics add."""

TERMS = {
    "arm": "A training recipe: a start (random weights or a clone), phases and guardrails.",
    "candidate": "The arm that is judged; here the one with a head start.",
    "baseline": "An arm that starts from random weights, with which the candidate is compared.",
    "scratch": "The usual baseline: PPO from random weights, with settings of its own.",
    "expert": "The policy that demonstrates.",
    "demonstration": "A recorded episode of the expert.",
    "slips": "Actions of the recording that are replaced by random ones, so that the data show how the expert recovers.",
    "clone": "A policy that imitates the demonstrations of one block of the recording; the candidate starts from it.",
    "block": "A part of the recording from which one clone learns.",
    "seed": "The number that fixes the random choices of one replicate.",
    "replicate": "The whole treatment under one seed: a block, a clone of it, and a run of every arm.",
    "env steps": "Steps of one agent in the environment, those of training only; all-in: with those that the demonstrations cost.",
    "target": "The performance that a scenario asks for, fixed before any run.",
    "censored": "Said of a seed that did not reach the target within its budget.",
    "ratio": "The candidate's median env steps to the target divided by the baseline's; below 1 it is faster.",
    "upper bound": "With a confidence of 95 % the ratio is not above it.",
    "IQM": "Interquartile mean: the mean of the middle half of the seeds.",
    "exam": "Worlds on which the last checkpoint of every seed is judged, and which nothing else uses.",
    "margin": "How much worse a final policy may be and still count as as good.",
    "guardrail": "A limit on one metric of a training run, and the action that follows a breach.",
}
