"""The words of a report, each with its meaning: as in CONTRIBUTING.md, and what statistics add. Words of one entry have " / " between them."""

TERMS = {
    "PASS / HOLD / FAIL": "PASS: every check is met; the candidate may be used. HOLD: what was measured stands, but something is open or was "
    "not "
    "measured, and a person decides. FAIL: a check shows that it must not be used.",
    "arm / candidate": "Arm: a training recipe: a start (random weights or a clone), phases and guardrails. Candidate: the arm that is judged.",
    "baseline / scratch / strongest baseline": "Baseline: an arm that starts from random weights, with which the "
    "candidate is compared. Scratch: the usual one, "
    "with PPO "
    "settings of its own. Strongest baseline: the one that leaves the candidate the greatest upper bound of the "
    "ratio; among equals see Steps to "
    "target.",
    "expert": "The policy that demonstrates.",
    "demonstration / slips": "Demonstration: what one agent did in a recorded world, an agent episode of the "
    "expert. Slips: actions of it that are replaced by random ones, so "
    "that the "
    "data show how the expert recovers.",
    "clones / clone / block": "Clone: a policy that imitates the demonstrations of one block of the recording; the candidate starts from it.",
    "seeds / seed / replicates / replicate": "Seed: the number that fixes random choices. Replicate: the whole treatment under one seed: a "
    "block, a clone of it, "
    "and a run of every arm.",
    "worlds / world": "One instance of the scenario with all its agents, drawn from a number, played once; an "
    "agent episode is the part of one agent in it. Training, evaluations and exam have worlds of their own.",
    "held-out variant / variant": "The scenario with another setup, in which nobody was recorded or trained.",
    "success / harm": "Whether an episode meets the conditions of the scenario for success, or for harm; rates are shares of worlds.",
    "return / IQM": "Return: the sum of an agent's rewards in a world, mean over agents and worlds. IQM: interquartile mean, the mean "
    "of the "
    "middle half of the seeds.",
    "env steps": "Steps of one agent in the environment: one tick of N agents is N of them; those of training "
    "only; all-in: with those that the demonstrations cost.",
    "target / censored": "Target: the performance that a scenario asks for, fixed before any run. Censored: said of a seed that did not "
    "reach it "
    "within its budget.",
    "ratio / upper bound": "Ratio: the candidate's median env steps to the target divided by the baseline's; below 1 it is faster. Upper bound: "
    "one-sided, 95 %.",
    "P(fewer steps)": "How likely a run of the candidate takes fewer env steps to the target than a run of the baseline; ties count half.",
    "exam": "Worlds on which the last checkpoint of every seed is judged, and which nothing else uses.",
    "margin": "How much worse a final policy may be and still count as as good.",
    "closed loop": "The policy acts by itself and lives with what follows, in place of being compared decision by decision.",
    "guardrail": "A limit on one metric of a training run, and the action that follows a breach.",
    "bc_weight / kl_weight / expert_share": "What holds PPO to the head start: the weight of imitating demonstrations, the weight of the "
    "distance "
    "from the clone (KL), and the share of env steps in which the expert acts.",
}
