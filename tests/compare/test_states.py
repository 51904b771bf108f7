"""A summary says what its rows say: exactly where values are few, within 1/63 where they are many; and what they are worth."""

import numpy as np
import pytest

from headstart.compare.drift import pooled, quantile, share_up_to
from headstart.compare.states import summarise
from headstart.core.errors import InputError

WIDE = (-10.0, 10.0)


def test_few_values_are_kept_exactly() -> None:
    rows = np.array([[0.0], [1.0], [1.0], [5.0]], np.float32)

    feature = summarise(rows, np.arange(4), ["x"], WIDE).features["x"]

    assert (feature.value, feature.share) == ((0.0, 1.0, 5.0), (0.25, 0.75, 1.0))
    np.testing.assert_array_equal(share_up_to(feature, np.array([-0.1, 0.0, 0.9, 1.0, 9.0])), [0, 0.25, 0.25, 0.75, 1])
    np.testing.assert_array_equal(quantile(feature, np.array([0.1, 0.25, 0.26, 0.9])), [0, 0, 1, 5])


def test_many_values_are_known_within_a_sixty_third_and_exactly_at_the_points_and_the_ends() -> None:
    draw = np.random.default_rng(1)
    column = np.where(draw.random(5000) < 0.3, 0.0, draw.normal(size=5000)).astype(np.float32)  # an atom among reals

    feature = summarise(column[:, None], np.arange(5000), ["x"], WIDE).features["x"]

    at = np.sort(column)
    true = np.searchsorted(at, at, side="right") / len(at)
    short = true - share_up_to(feature, at)
    assert len(feature.value) <= 64
    assert feature.value[0] == pytest.approx(float(at[0]), rel=1e-5)
    assert feature.value[-1] == pytest.approx(float(at[-1]), rel=1e-5)
    assert short.max() < 1 / 63 + 1e-3  # six digits may move a point past a row
    assert share_up_to(feature, np.array([0.0]))[0] == pytest.approx(np.mean(column <= 0), abs=1e-6)


def test_rows_of_one_world_are_worth_one_draw_when_worlds_are_equally_long_and_less_when_not() -> None:
    even = summarise(np.zeros((12, 1)), np.repeat([7, 8, 9], 4), ["x"], WIDE)
    uneven = summarise(np.zeros((12, 1)), np.repeat([7, 8], [10, 2]), ["x"], WIDE)

    assert (even.rows, even.worlds, even.effective) == (12, 3, 3.0)
    assert uneven.effective == pytest.approx(12**2 / (10**2 + 2**2))


def test_the_share_beyond_the_range_counts_rows_and_not_the_ends() -> None:
    rows = np.array([[-2.0], [2.0], [2.1], [-3.0]])

    assert summarise(rows, np.arange(4), ["x"], (-2.0, 2.0)).features["x"].outside == 0.5


def test_a_pool_is_the_even_mixture_and_worth_no_more_than_its_least() -> None:
    first = summarise(np.array([[0.0], [2.0]]), np.arange(2), ["x"], (0.0, 1.0))
    second = summarise(np.array([[1.0]] * 4), np.arange(4), ["x"], (0.0, 1.0))

    both = pooled([first, second])

    assert (both.features["x"].value, both.features["x"].share) == ((0.0, 1.0, 2.0), (0.25, 0.75, 1.0))
    assert (both.rows, both.effective, both.features["x"].outside) == (6, 2.0, 0.25)


@pytest.mark.parametrize(
    ("rows", "world", "message"),
    [
        (np.zeros((0, 1)), np.zeros(0), "M ≥ 1, 1"),
        (np.zeros((3, 2)), np.zeros(3), r"got \[3, 2\]"),
        (np.array([[0.0], [np.nan]]), np.zeros(2), "expected finite values, got others in x"),
    ],
)
def test_rows_that_cannot_be_summarised_are_refused(rows: np.ndarray, world: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        summarise(rows, world, ["x"], WIDE)
