"""Recorded rows from the rollout of a policy, whose log-probabilities are known."""

from dataclasses import replace

import numpy as np
import torch

from headstart.learn.replay import Records
from headstart.learn.rollout import Rollout


def records_from(rollout: Rollout, known: bool = True) -> Records:
    """Every row of the rollout as episodes, of which the last is cut off; `known`: with log-probabilities."""
    ticks, rows = rollout.reward.shape
    ends = rollout.terminated | rollout.truncated
    ends[-1] = True
    pick = [(t, n) for n in range(rows) for t in range(ticks)]
    at, row = (torch.tensor(index) for index in zip(*pick, strict=True))
    last = [(t, n) for t, n in pick if ends[t, n]]
    length = np.diff([-1, *(i for i, (t, n) in enumerate(pick) if ends[t, n])])
    final = {
        key: torch.stack([value[t, n] for t, n in last]) for key, value in rollout.obs.items()
    }  # after a terminal step: not read
    where = {place: i for i, place in enumerate(last)}
    for t, ended, obs in rollout.final:
        for k, n in enumerate(ended):
            for key in final:
                final[key][where[t, n]] = obs[key][k]
    for n in range(rows):
        if not (rollout.terminated[-1, n] or rollout.truncated[-1, n]):
            for key in final:
                final[key][where[ticks - 1, n]] = rollout.last_obs[key][n]
    found = Records(
        obs={key: value[at, row] for key, value in rollout.obs.items()},
        action=rollout.action[at, row],
        log_prob=rollout.log_prob[at, row],
        reward=rollout.reward[at, row],
        terminated=rollout.terminated[at, row],
        truncated=rollout.truncated[at, row],
        length=length,
        final_obs=final,
    )
    return found if known else replace(found, log_prob=None)
