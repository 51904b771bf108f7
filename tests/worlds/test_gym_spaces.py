"""Every kind of Gymnasium space, as features, picture and actions, and back."""

from typing import Any

import numpy as np
import pytest
from gymnasium import Space, spaces
from hypothesis import given
from hypothesis import strategies as st

from headstart.core.errors import InputError
from headstart.worlds.gym_spaces import Acting, Observing

F32 = np.float32
ROW = spaces.Box(-1, 1, (3,))


def observing(space: Space[Any]) -> Observing:
    return Observing(space, "setup.id: E")


def acting(space: Space[Any]) -> Acting:
    return Acting(space, "setup.id: E")


@pytest.mark.parametrize(
    ("space", "value", "names", "row"),
    [
        (spaces.Box(-1, 1, (2,)), np.array([0.5, -1], F32), ["observation_0", "observation_1"], [0.5, -1]),
        (spaces.Box(0, 9, ()), np.array(4, F32), ["observation"], [4]),
        (spaces.Box(0, 9, (1, 2)), np.array([[3, 4]], F32), ["observation_0_0", "observation_0_1"], [3, 4]),
        (
            spaces.Box(0, 255, (3, 1, 1), np.uint8),
            np.full((3, 1, 1), 9, np.uint8),
            [f"observation_{i}_0_0" for i in range(3)],
            [9, 9, 9],
        ),
        (spaces.Discrete(3, start=5), np.int64(6), ["observation_0", "observation_1", "observation_2"], [0, 1, 0]),
        (spaces.MultiBinary(2), np.array([1, 0], np.int8), ["observation_0", "observation_1"], [1, 0]),
        (
            spaces.MultiDiscrete([2, 3], start=[0, 1]),
            np.array([1, 3]),
            ["observation_0_0", "observation_0_1", "observation_1_0", "observation_1_1", "observation_1_2"],
            [0, 1, 0, 0, 1],
        ),
        (
            spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (1,))]),
            (1, np.array([0.5], F32)),
            ["0_0", "0_1", "1_0"],
            [0, 1, 0.5],
        ),
        (
            spaces.Dict(a=spaces.Dict(b=spaces.Box(0, 1, (1,))), c=spaces.Discrete(2)),
            {"a": {"b": np.array([0.25], F32)}, "c": 0},
            ["a.b_0", "c_0", "c_1"],
            [0.25, 1, 0],
        ),
    ],
)
def test_every_space_of_numbers_flattens_with_names_from_its_keys(
    space: Space[Any], value: Any, names: list[str], row: list[float]
) -> None:
    observed = observing(space)
    observed.require(value, "here")
    assert list(observed.features) == names
    assert observed.rows([value, value])["features"].tolist() == [row, row]
    assert observed.map_shape is None


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((37, 39, 3), (3, 37, 39)), ((3, 37, 39), (3, 37, 39)), ((84, 84, 1), (1, 84, 84)), ((4, 84, 84), (4, 84, 84))],
)
def test_a_picture_becomes_a_square_map_with_channels_first(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    space = spaces.Dict(place=spaces.Box(-1, 1, (2,)), view=spaces.Box(0, 255, shape, np.uint8))
    space.seed(0)
    value, observed = space.sample(), observing(space)
    rows = observed.rows([value])
    channels, height, width = wanted
    cell = value["view"] if shape == wanted else value["view"].transpose(2, 0, 1)
    assert observed.map_shape == wanted
    assert observed.features == ("place_0", "place_1")
    assert rows["map"].shape == (1, channels, max(height, width), max(height, width))
    np.testing.assert_array_equal(rows["map"][0, :, :height, :width], cell)
    assert rows["map"].sum() == cell.sum()
    np.testing.assert_array_equal(rows["features"][0], value["place"])


@pytest.mark.parametrize("value", [np.full((40, 40, 3), 0.5, np.float32), np.full((40, 40, 3), 300), np.full((40, 40, 3), -1)])
def test_a_picture_of_other_numbers_than_0_to_255_is_refused(value: Any) -> None:
    observed = observing(spaces.Box(0, 255, (40, 40, 3), np.uint8))
    with pytest.raises(InputError, match=r"observation: expected whole numbers from 0 to 255, got (float32|int64) from "):
        observed.rows([value])


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (spaces.Box(0, 9, (2,), np.int64), np.array([1.5, 2]), "expected int64 as of its space, got float64"),
        (spaces.Discrete(4), 1.5, "expected int64 as of its space, got float64"),
        (spaces.Dict(a=ROW), {"a": np.array(["x", "y", "z"])}, "here: a: expected float32 as of its space, got <U1"),
    ],
)
def test_an_observation_of_another_type_is_refused_in_words(space: Space[Any], value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        observing(space).require(value, "here")


def test_a_box_that_shows_another_shape_of_as_many_numbers_is_refused() -> None:
    for space in (spaces.Box(-1, 1, (2, 3)), spaces.Tuple([spaces.Box(-1, 1, (2, 3))])):
        shown = np.zeros((3, 2), F32)
        with pytest.raises(ValueError, match=r"expected the shape \[2, 3\], got \[3, 2\]"):
            observing(space).rows([shown if isinstance(space, spaces.Box) else (shown,)])


def test_bounds_follow_the_features() -> None:
    space = spaces.Dict(a=spaces.Box(np.array([0, -np.inf], F32), np.array([5, 7], F32)), b=spaces.Discrete(2))
    observed = observing(space)
    assert observed.low.tolist() == [0, -np.inf, 0, 0]
    assert observed.high.tolist() == [5, 7, 1, 1]


def test_a_value_that_a_discrete_space_does_not_have_is_named() -> None:
    with pytest.raises(InputError, match=r"light: expected a value of Discrete\(3\), copy 1 shows 3"):
        observing(spaces.Dict(light=spaces.Discrete(3))).rows([{"light": 2}, {"light": 3}])


@pytest.mark.parametrize("value", [{"a": np.zeros(2)}, {"b": np.zeros(1)}, np.zeros(1), None])
def test_an_observation_of_another_form_is_refused_in_words(value: Any) -> None:
    with pytest.raises(InputError, match=r"here: (a: expected the shape|expected a as in)"):
        observing(spaces.Dict(a=spaces.Box(0, 1, (1,)))).require(value, "here")


NAMED = st.one_of(
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 20), st.integers(-9, 9)),
    st.builds(spaces.MultiBinary, st.integers(1, 6)),
    st.lists(st.integers(1, 5), min_size=1, max_size=4).map(spaces.MultiDiscrete),
    st.just(spaces.MultiDiscrete([[2, 3], [1, 2]])),
    st.just(spaces.MultiDiscrete([2, 3], start=[-1, 4])),
)


@given(NAMED)
def test_every_id_is_an_action_of_the_space_and_comes_back(space: Space[Any]) -> None:
    act = acting(space)
    ids = np.arange(len(act.names))
    own = act.own(ids)
    assert all(space.contains(one if np.ndim(one) else int(one)) for one in own)
    assert len(np.unique(own.reshape(len(ids), -1), axis=0)) == len(ids)
    np.testing.assert_array_equal(act.ids(own), ids)


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(0.125, 1e3, width=16)), min_size=1, max_size=4),
    st.floats(-1, 1, width=32),
)
def test_numbers_come_back_from_any_bounded_box(bounds: list[tuple[float, float]], number: float) -> None:
    low, span = np.array(bounds, F32).T
    space = spaces.Box(low, low + span)
    act, numbers = acting(space), np.full((1, len(bounds)), number, F32)
    own = act.own(numbers)
    assert space.contains(own[0])
    np.testing.assert_allclose(act.own(act.ids(own)), own, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("space", "wanted"),
    [
        (spaces.Box(-100, 100, (1,), np.int8), range(-100, 101)),
        (spaces.Box(-3, 3, (1,), np.int64), range(-3, 4)),
        (spaces.Box(0, 255, (1,), np.uint8), range(256)),
    ],
)
def test_every_integer_of_a_box_can_be_reached_and_comes_back(space: spaces.Box, wanted: range) -> None:
    act = acting(space)
    own = act.own(np.linspace(-1, 1, 2001, dtype=F32)[:, None])
    assert sorted(set(own[:, 0].tolist())) == list(wanted)
    every = np.array(wanted, space.dtype)[:, None]
    np.testing.assert_array_equal(act.own(act.ids(every)), every)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, np.float32, np.float64])
def test_the_widest_boxes_do_not_overflow(dtype: Any) -> None:
    info: Any = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    space = spaces.Box(info.min, info.max, (1,), dtype)
    own = acting(space).own(np.array([[-1], [0], [1]], F32))
    assert own[0, 0] == info.min
    assert float(own[2, 0]) == pytest.approx(float(info.max))
    assert own[0, 0] < own[1, 0] < own[2, 0]


def test_a_box_of_any_rank_keeps_its_shape() -> None:
    act = acting(spaces.Box(0, 1, (2, 2)))
    own = act.own(np.array([[-1, 1, 0, 5]], F32))
    assert own.tolist() == [[[0, 1], [0.5, 1]]]
    assert act.ids(own).tolist() == [[-1, 1, 0, 1]]


@pytest.mark.parametrize(
    ("space", "own", "message"),
    [
        (spaces.Discrete(3), [0, 3], r"1 of 2 are none of Discrete\(3\), first 3 in row 1"),
        (spaces.Discrete(3, start=5), np.array([3], np.uint8), r"none of Discrete\(3, start=5\), first 3 in row 0"),
        (spaces.Discrete(3), [0.5], r"none of Discrete\(3\), first 0.5 in row 0"),
        (spaces.MultiDiscrete([2, 2]), [[0, 0], [0, 2]], r"first \[0, 2\] in row 1"),
        (spaces.MultiBinary(2), [[0, 1, 1]], r"expected the shape \[1, 2\]"),
        (spaces.Box(-1, 1, (1,)), [[0.0], [1.5]], r"1 of 2 lie outside Box.*first \[1.5\] in row 1"),
        (spaces.Box(-1, 1, (1,)), [[np.nan]], "expected finite numbers"),
    ],
)
def test_actions_outside_their_space_are_named(space: Space[Any], own: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        acting(space).ids(own)


def test_a_mask_covers_all_joint_actions_or_the_parts_in_a_row_or_a_tuple() -> None:
    act = acting(spaces.MultiDiscrete([2, 3]))
    joint = [0, 0, 0, 1, 0, 1]
    assert act.mask(joint, "m").tolist() == joint
    assert act.mask([0, 1, 1, 0, 1], "m").tolist() == joint
    assert act.mask((np.array([0, 1]), np.array([1, 0, 1])), "m").tolist() == joint
    with pytest.raises(InputError, match="m: expected a mask over 6 actions, got 4 values"):
        act.mask([1, 1, 1, 1], "m")
    with pytest.raises(InputError, match="m: expected an action that is allowed"):
        act.mask([1, 1, 0, 0, 0], "m")
