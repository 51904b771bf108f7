"""What `predict` is shown and cannot read without a guess, or with numbers that its space does not have, is refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.deploy.made import ACTING, BOX, OBSERVED, batch, checkpoint, checkpoint_of

import headstart
from headstart.core.errors import InputError

SHIPPED = Path(__file__).parents[2] / "policies/queue_conflict/pretrained"
ONES = np.ones((2, 15), np.uint8)


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (np.zeros(180), r'mask: expected obs\["mask"\] or action_masks, which say the allowed actions; got none'),
        ({"mask": ONES}, "observation: expected the key 'features', got mask"),
        ({"features": np.zeros(179), "mask": ONES[0]}, r"features: expected the shape \[180\] or \['N', 180\], got \[179\]"),
        ({"features": np.zeros((0, 180)), "mask": ONES}, r"features: expected the shape \[180\] or \['N', 180\], got \[0, 180\]"),
        ({"features": np.zeros((3, 180)), "mask": ONES}, "mask: expected 3 rows as of features, got 2"),
        ({"features": np.zeros((2, 180)), "mask": 0 * ONES}, "mask: expected an allowed action in every row, row 0 has none"),
        ({"features": np.full(180, np.nan), "mask": ONES[0]}, "expected finite numbers, need_hunger is nan in row 0"),
        ({"features": np.array(["a"] * 180), "mask": ONES[0]}, "features: expected numbers of float32, got <U1"),
        ({"features": [[0.0], [1.0, 2.0]], "mask": ONES}, "features: expected numbers of the shape"),
    ],
)
def test_a_wrong_observation_of_a_town_is_refused_in_words(obs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        headstart.load(SHIPPED).predict(obs)


@pytest.mark.parametrize(
    ("observed", "obs", "masks", "message"),
    [
        ("box", np.zeros(4), None, r"observation: expected the shape \[3\] or \['N', 3\], got \[4\]"),
        ("box", np.array([0, np.inf, 0]), None, "expected finite numbers, observation_1 is inf in row 0"),
        ("box", np.zeros(3), np.ones(5), "action_masks, row 0: expected a mask over 4 actions, got 5 values"),
        ("box", np.zeros(3), np.zeros(4), "expected an action that is allowed, the mask forbids all 4"),
        ("box", np.zeros((2, 3)), np.ones((3, 4)), "action_masks: expected one for each of 2 observations, got 3"),
        ("discrete", 9, None, r"observation: expected a value of Discrete\(5, start=2\)"),
        ("discrete", 2.5, None, "observation: expected numbers of int64, got float64"),
        ("picture", np.zeros((36, 40, 3)), None, "observation: expected numbers of uint8, got float64"),
        ("dict", {"z": np.zeros(3)}, None, "observation: expected a dict with .* got one without a, view$"),
        (
            "dict",
            [{"z": np.zeros(3)}],
            None,
            r"observation: expected a dict with .*, of a batch a dict of arrays .*, got a list of 1",
        ),
        ("tuple", (1, np.zeros((2, 3))), None, "observation: expected parts of one observation or .*, got 0 of one and 1 of 2$"),
        ("tuple", ([1], np.zeros(3)), None, "observation: expected parts of one .*, got 0 of 1 and 1 of one$"),
        (
            "two",
            [(0, 1), (1, 2), (2, 0)],
            None,
            "expected a tuple of 2 parts, of a batch a tuple of 2 arrays .*, got a list of 3",
        ),
        ("two", [(0, 1), (1, 2)], None, "expected a tuple of 2 parts, .*, got a list of 2"),
        ("two", ((0, 1), (1, 2)), None, r"0: expected an array of Discrete\(3\), of a batch with N rows, got a tuple of 2"),
        ("two", (0, 1, 2), None, "expected a tuple of 2 parts, .*, got a tuple of 3"),
        ("two", np.zeros((5, 2), int), None, r"expected a tuple of 2 parts, .*, got an array of the shape \[5, 2\]"),
        ("two", (np.array([0, 3]), np.array([0, 1])), None, r"0: expected a value of Discrete\(3\), got 3 in row 1"),
        ("multi-discrete", [[1, 2], [1, 3]], None, r"expected a value of MultiDiscrete\(\[2 3\]\), got \[1, 3\] in row 1"),
        ("multi-binary", [5, 7, -1, 0], None, r"expected a value of MultiBinary\(4\), got \[5, 7, -1, 0\] in row 0"),
        ("codes", np.full((7, 7, 3), 256).tolist(), None, "expected numbers of uint8, 0 … 255, got 256 … 256"),
        ("codes", np.full((7, 7, 3), -1), None, "expected numbers of uint8, 0 … 255, got -1 … -1"),
        ("box", torch.zeros(3, requires_grad=True), None, "expected numbers of the shape .*requires grad"),
        ("box", torch.zeros(3, dtype=torch.bfloat16), None, "expected numbers of the shape .*BFloat16"),
        ("box", np.zeros((2, 3)), [[1, 0, 1, 1], [0, 0, 1]], "action_masks, row 1: expected a mask over 4 actions, got 3 values"),
        (
            "box",
            np.zeros(3),
            [[1, 0], [0, 0, 1]],
            r"action_masks: expected masks of 1 observations, got \[\[1, 0\], \[0, 0, 1\]\]: ",
        ),
        (
            "box",
            np.zeros((1, 3)),
            [[[1, 0], [0, 1]]],
            "action_masks: expected masks of 1 observations, .*: each is a row of numbers",
        ),
        ("box", np.zeros(3), np.array(1), "action_masks: expected masks of 1 observations, .*: each is a row of numbers"),
        ("box", np.zeros((2, 3)), 1, r"action_masks: expected masks of 2 observations, got array\(1\): each is a row of numbers"),
        (
            "box",
            np.zeros(3),
            [1, 0, 0.5, 1],
            "action_masks, row 0: expected 1 for an action that is allowed and 0 for .*, got 0.5",
        ),
        ("box", np.zeros(3), ["1", "0", "0", "0"], "action_masks, row 0: expected 1 .*, got '1'"),
        ("box", [1e300, 0, 0], None, "expected finite numbers, observation_0 is inf in row 0"),
        ("box", {"observation": np.zeros(3)}, None, r"expected the shape \[3\] or \['N', 3\], got \{'observation'"),
    ],
)
def test_a_wrong_observation_of_an_own_space_is_refused_in_words(
    tmp_path: Path, observed: str, obs: Any, masks: Any, message: str
) -> None:
    policy = headstart.load(checkpoint(tmp_path, OBSERVED[observed], ACTING["discrete"]))
    with pytest.raises(InputError, match=message):
        policy.predict(obs, action_masks=masks)


def test_lists_of_whole_numbers_are_taken_by_parts_of_uint8(tmp_path: Path) -> None:
    policy = headstart.load(checkpoint(tmp_path, OBSERVED["dict"], ACTING["box"]))
    (obs,), _ = batch(OBSERVED["dict"], 1)
    expected = policy.predict(obs)[0]
    np.testing.assert_array_equal(policy.predict(obs | {"view": obs["view"].tolist()})[0], expected)
    with pytest.raises(InputError, match="view: expected numbers of uint8, got float64"):
        policy.predict(obs | {"view": (obs["view"] / 255).tolist()})


@pytest.mark.parametrize("wrong", [np.nan, 0.5, -1.0])
def test_a_mask_of_a_town_is_of_ones_and_zeros(wrong: float) -> None:
    masks = np.ones((2, 15))
    masks[1, 3] = wrong
    with pytest.raises(InputError, match=rf"mask: expected 1 for an action that is allowed and 0 for others, got {wrong}$"):
        headstart.load(SHIPPED).predict({"features": np.zeros((2, 180)), "mask": masks})


def test_masks_of_a_robot_are_refused_and_a_single_number_is_no_mask(tmp_path: Path) -> None:
    robot = headstart.load(checkpoint_of(tmp_path, headstart.make("nav_mixed").env))
    seen = np.zeros(robot.observation_space["features"].shape)  # type: ignore[index]
    with pytest.raises(InputError, match="action_masks: expected none for actions of Box"):
        robot.predict(seen, action_masks=np.ones(2))
    with pytest.raises(InputError, match=r"mask: expected the shape \[15\] or \['N', 15\], got \[\]"):
        headstart.load(SHIPPED).predict(np.zeros(180), action_masks=1)


def test_an_observation_that_cannot_be_written_to_is_taken_and_left_as_it_is(tmp_path: Path) -> None:
    policy = headstart.load(checkpoint(tmp_path, BOX, ACTING["box"]))
    row = np.array([[0.5, -1, 1]], np.float32)
    row.flags.writeable = False
    expected = policy.predict(row.tolist())[0]
    np.testing.assert_array_equal(policy.predict(row)[0], expected)
    assert row.tolist() == [[0.5, -1, 1]]
