"""What is written into a scenario of an environment that nobody described yet follows from its registration, random play and a recording."""

import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.runs.first_scenario import Brought, Seen, look_at, name_of, number, words_of


def seen(returns: list[float], threshold: float | None = None, reward: float | None = None, limit: int | None = 50) -> Seen:
    return Seen(4, "2 actions", limit, threshold, np.array(returns), reward)


def test_the_threshold_of_the_registration_is_the_success_and_the_target() -> None:
    words = words_of("A-v0", {}, seen([9, 20, 31], threshold=475.0, reward=1.0), None)
    assert (words["success"], words["harm"]) == ("every return >= 475", "any return < 20")
    assert words["target"] == "{success_rate: 0.9, return_mean: 475}"
    assert (words["horizon"], words["constant_reward"]) == ("50", "true")
    assert words["success_why"] == "DECIDE: the environment is registered with this threshold, for the mean over episodes"


def test_without_a_threshold_the_best_random_episode_counts_and_a_person_must_decide() -> None:
    words = words_of("A-v0", {}, seen([1, 2, 3, 10.5]), None)
    assert (words["success"], words["harm"]) == ("every return >= 10.5", "any return < 2.5")
    assert words["success_why"] == "DECIDE: the environment does not say; random episodes returned 1 to 10.5"
    assert words["target"] == "{success_rate: 0.9}"


def test_where_random_play_is_always_paid_nothing_a_success_is_paid_more_and_the_reward_is_not_called_constant() -> None:
    words = words_of("A-v0", {}, seen([0, 0, 0], reward=0.0), None)
    assert (words["success"], words["harm"], words["constant_reward"]) == ("every return > 0", "any return < 0", "false")


def test_three_of_four_recorded_episodes_are_successes_and_each_of_ten_blocks_may_lose_a_tenth() -> None:
    brought = Brought("npz", "demonstrations/mine.npz", 70, 200, np.array([10.0, 20.0, 30.0, 40.0, 50.0]))
    words = words_of("A-v0", {"size": 3}, seen([25, 35], threshold=475.0), brought)
    assert words["success"] == "every return >= 20"
    assert words["harm"] == "any return < 20"  # random play is better than a success here, and no success is harm
    assert words["horizon"] == "70"
    assert words["expert"].startswith("demonstrations: {format: npz, path: demonstrations/mine.npz}")
    assert words["first"] == "  validate: {min_episodes: 18}"
    assert words["kwargs"] == "{size: 3}"


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ("CartPole-v1", "cartpole"),
        ("minigrid:MiniGrid-DoorKey-5x5-v0", "minigrid_doorkey_5x5"),
        ("environments.mine:My/Reach-v12", "reach"),
        ("module:Plain", "plain"),
        ("2048-v0", "env_2048"),
        ("A" * 60, "a" * 40),
    ],
)
def test_the_name_of_a_scenario_is_that_of_its_environment(env: str, name: str) -> None:
    assert name_of(env) == name


@pytest.mark.parametrize(
    ("value", "text"), [(475.0, "475"), (-1185.2549, "-1185.25"), (1e-7, "0.0000001"), (2.5e9, "2500000000")]
)
def test_numbers_have_no_exponent_which_predicates_do_not_read(value: float, text: str) -> None:
    assert number(value) == text


def test_an_environment_shows_its_spaces_limit_threshold_and_reward() -> None:
    found = look_at("CartPole-v1", {})
    assert (found.features, found.actions, found.limit, found.threshold, found.reward) == (4, "2 actions", 500, 475.0, 1.0)
    assert found.returns.min() >= 8 and np.median(found.returns) < 40  # a pole falls within a second
    assert found.returns.tolist() == look_at("CartPole-v1", {}).returns.tolist()


def test_an_environment_that_cannot_be_adapted_is_refused_with_its_space() -> None:
    with pytest.raises(InputError, match="cannot make 'Nope-v0'"):
        look_at("Nope-v0", {})
