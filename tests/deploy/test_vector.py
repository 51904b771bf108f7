"""`Worlds`, which `headstart.make` gives: arrays are the caller's own, and calls that cannot be answered are refused."""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import headstart
import headstart.envs
from headstart.core.errors import InputError, UsageError


@pytest.mark.parametrize("scenario", ["queue_conflict", "nav_mixed", "cartpole"])
def test_what_a_world_returned_stays_as_it_was(scenario: str) -> None:
    world = headstart.make(scenario, 4)
    returned = [world.reset(seed=1)]
    kept = copy.deepcopy(returned)
    actions = np.zeros(world.action_space.shape, world.action_space.dtype)
    for _ in range(3):
        returned.append(world.step(actions))
        kept.append(copy.deepcopy(returned[-1]))
    if scenario != "cartpole":
        chosen = world.expert_actions()
        kept.append(chosen.copy())
        world.step(chosen)
        world.expert_actions()
        returned.append(chosen)
    state, counters, gone = world.snapshot(), world.running_stats, world.gone
    before = copy.deepcopy((state, counters, gone))
    seen = world.step(actions)
    assert_same((state, counters, gone), before)
    assert_same(returned, kept)
    world.restore(state)
    assert_same(world.step(actions), seen)
    for array in (*seen[0].values(), *seen[1:4]):
        array[...] = 1  # what a caller writes into an array is not of the world
    world.restore(state)
    again = copy.deepcopy(world.step(actions))
    world.restore(state)
    assert_same(world.step(actions), again)


def assert_same(found: Any, expected: Any) -> None:
    """Of nested dicts and sequences of arrays."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("scenario", ["queue_conflict", "nav_mixed", "cartpole"])
def test_a_world_that_has_not_begun_or_is_closed_refuses_to_go_on(scenario: str) -> None:
    world = headstart.make(scenario, 2)
    actions = np.zeros(world.action_space.shape, world.action_space.dtype)
    calls = {
        "step": lambda: world.step(actions),
        "expert_actions": world.expert_actions,
        "snapshot": world.snapshot,
        "running_stats": lambda: world.running_stats,
        "render": world.render,
    }
    for name, call in calls.items():
        with pytest.raises(UsageError, match=rf"^{name}: expected reset\(\) before it$"):
            call()
    other = headstart.make(scenario, 2)
    other.reset(seed=1)
    expected = other.step(actions)
    other.reset(seed=1)
    world.restore(other.snapshot())  # begins it
    assert_same(world.step(actions), expected)
    three = headstart.make(scenario, 3)
    three.reset(seed=1)
    for wrong in (three.snapshot(), {}, None):
        with pytest.raises(InputError, match="snapshot: expected one of 2 worlds of this scenario"):
            world.restore(wrong)  # type: ignore[arg-type]
    world.close()
    with pytest.raises(UsageError, match="step: expected worlds that are open, these were closed"):
        world.step(actions)


@pytest.mark.parametrize(
    ("scenario", "actions", "said"),
    [
        ("queue_conflict", np.zeros(7, int), r"expected \[8\] whole numbers, got int64 \[7\]"),
        ("queue_conflict", np.zeros(8), r"expected \[8\] whole numbers, got float64 \[8\]"),
        ("queue_conflict", np.zeros(8, bool), r"expected \[8\] whole numbers, got bool \[8\]"),
        ("queue_conflict", [15] * 8, r"expected ids from 0 to 14, got 15 … 15"),
        ("queue_conflict", [0] * 7 + [-1], r"expected ids from 0 to 14, got -1 … 0"),
        ("queue_conflict", None, r"expected \[8\] whole numbers, got object \[\]: None"),
        ("queue_conflict", [[0], [1, 2]], r"expected \[8\] whole numbers: "),
        ("cartpole", np.full(2, 0.5), r"expected \[2\] whole numbers, got float64 \[2\]"),
        ("cartpole", [2, 0], r"expected ids from 0 to 1, got 0 … 2"),
        ("nav_mixed", [[0.0, np.nan], [0.0, 0.0]], r"expected \[2, 2\] finite numbers, got float64 \[2, 2\]"),
        ("nav_mixed", np.zeros(2), r"expected \[2, 2\] finite numbers, got float64 \[2\]"),
        ("nav_mixed", torch.zeros((2, 2), requires_grad=True), r"expected \[2, 2\] finite numbers: .*requires grad"),
    ],
)
def test_actions_that_are_none_are_refused_and_change_nothing(scenario: str, actions: Any, said: str) -> None:
    world = headstart.make(scenario, 2)
    world.reset(seed=0)
    before = world.snapshot()
    with pytest.raises(UsageError, match=f"actions: {said}"):
        world.step(actions)
    assert_same(world.snapshot(), before)


def test_options_that_are_no_dict_and_worlds_without_a_picture_are_named() -> None:
    world = headstart.make("cartpole", 2)
    with pytest.raises(UsageError, match=r"options: expected a dict or None, got \[1\]"):
        world.reset(options=[1])  # type: ignore[arg-type]
    world.reset(seed=0)
    with pytest.raises(UsageError, match="render: expected a gym world made with render_mode rgb_array, got None"):
        world.render()


def test_whole_numbers_drive_a_robot_and_lists_are_actions() -> None:
    world = headstart.make("nav_mixed", 2)
    world.reset(seed=0)
    expected = world.step(np.array([[1.0, 0.0], [0.0, 0.0]]))
    world.reset(seed=0)
    assert_same(world.step([[1, 0], [0, 0]]), expected)


@pytest.mark.parametrize("seed", [1.5, True, -1, [1, 2], "1", 1 << 64])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    robots = gym.make_vec("headstart/Nav-v0", num_envs=2, vectorization_mode="vector_entry_point")
    worlds = [headstart.make(name) for name in ("queue_conflict", "cartpole")]
    for one in (*worlds, robots, gym.make("headstart/Nav-v0").unwrapped):
        with pytest.raises(InputError, match=r"seed: expected a whole number ≥ 0.*, got "):
            one.reset(seed=seed)
    obs = [worlds[0].reset(seed=kind(3))[0]["features"] for kind in (int, np.int64, np.uint8)]
    assert (obs[0] == obs[1]).all() and (obs[0] == obs[2]).all()
