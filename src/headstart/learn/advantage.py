"""Generalised advantage estimation (Schulman et al. 2015, eq. 16) that distinguishes truncation from termination."""

import numpy as np

from headstart.core.arrays import Array


def gae(
    reward: Array,
    value: Array,
    last_value: Array,
    final_value: Array,
    terminated: Array,
    truncated: Array,
    gamma: float,
    gae_lambda: float,
) -> Array:
    """Advantages [T, N].

    reward, value, terminated, truncated: [T, N]; last_value: [N], V of the observation after step T−1; final_value: [T, N], V(o_T) of the
    observation in which a truncated episode ended, read only where `truncated`. After a termination the value of the next state is 0; after a
    truncation it is final_value. In both cases the next episode's advantages do not enter this one's.
    """
    advantage = np.zeros_like(reward)
    running = np.zeros_like(last_value)
    for t in range(len(reward) - 1, -1, -1):
        following = value[t + 1] if t + 1 < len(reward) else last_value
        following = np.where(truncated[t], final_value[t], following)
        following = np.where(terminated[t], 0.0, following)
        delta = reward[t] + gamma * following - value[t]
        goes_on = ~(terminated[t] | truncated[t])
        running = delta + gamma * gae_lambda * goes_on * running
        advantage[t] = running
    return advantage


def facts(reward: Array, advantage: Array, value: Array, returns: Array) -> dict[str, float]:
    """What an update tells of its estimates, of any shape."""
    return {
        "adv_mean": float(advantage.mean()),
        "adv_std": float(advantage.std()),
        "explained_variance": explained_variance(value, returns),
        "reward_advantage_corr": _correlation(reward, advantage),
    }


def explained_variance(value: np.ndarray, returns: np.ndarray) -> float:
    """1 − Var(returns − value) / Var(returns); NaN if the returns do not vary."""
    variance = float(np.var(returns))
    return 1.0 - float(np.var(returns - value)) / variance if variance > 0 else float("nan")


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.ravel() - x.mean(), y.ravel() - y.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0 else float("nan")
