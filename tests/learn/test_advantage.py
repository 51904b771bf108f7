"""Generalised advantage estimation, by hand and against a scalar twin."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn.advantage import gae

F, T = False, True


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)[:, None]


def flags(*values: bool) -> np.ndarray:
    return np.array(values)[:, None]


def test_without_an_end_the_last_value_is_bootstrapped() -> None:
    # δ1 = 2 + 0.5·4 − 1 = 3, A1 = 3; δ0 = 1 + 0.5·1 − 3 = −1.5, A0 = −1.5 + 0.5·0.5·3
    found = gae(column(1, 2), column(3, 1), np.array([4.0]), column(0, 0), flags(F, F), flags(F, F), 0.5, 0.5)
    np.testing.assert_allclose(found[:, 0], [-1.5 + 0.75, 3.0])


def test_after_a_termination_the_future_is_worth_nothing() -> None:
    found = gae(column(1, 2), column(3, 1), np.array([4.0]), column(9, 9), flags(T, F), flags(F, F), 0.5, 0.5)
    np.testing.assert_allclose(found[:, 0], [1 - 3, 3.0])


def test_after_a_truncation_the_future_is_worth_the_value_of_what_was_seen_last() -> None:
    found = gae(column(1, 2), column(3, 1), np.array([4.0]), column(9, 0), flags(F, F), flags(T, F), 0.5, 0.5)
    np.testing.assert_allclose(found[:, 0], [1 + 0.5 * 9 - 3, 3.0])


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_it_equals_a_scalar_twin_on_random_episodes(seed: int, gamma: float, lam: float) -> None:
    rng = np.random.default_rng(seed)
    ticks, rows = 12, 3
    reward, value, final = rng.normal(size=(3, ticks, rows))
    last = rng.normal(size=rows)
    end = rng.random((ticks, rows))
    terminated, truncated = end < 0.15, end > 0.85

    found = gae(reward, value, last, final, terminated, truncated, gamma, lam)

    for n in range(rows):
        for t in range(ticks):
            total, weight = 0.0, 1.0
            for k in range(t, ticks):
                following = last[n] if k == ticks - 1 else value[k + 1, n]
                following = final[k, n] if truncated[k, n] else 0.0 if terminated[k, n] else following
                total += weight * (reward[k, n] + gamma * following - value[k, n])
                weight *= gamma * lam
                if terminated[k, n] or truncated[k, n]:
                    break
            np.testing.assert_allclose(found[t, n], total, atol=1e-9)
