"""Every anomaly, planted in an episode of a sound dataset, is found at its steps; its clean twin and every other episode have none."""

from dataclasses import replace

import numpy as np
import pytest
from tests.dataset.conftest import HORIZON, SCHEMA, WALK, record_walks

from headstart.dataset.anomalies import anomalies, usual
from headstart.dataset.anomaly_rules import Anomaly, Usual
from headstart.dataset.episodes import Episodes, concatenate, select
from headstart.dataset.observation import ObservationSchema

E = 17  # the episode that is spoilt


@pytest.fixture(scope="module")
def clean() -> Episodes:
    return record_walks()


@pytest.fixture
def broken(clean: Episodes) -> Episodes:
    """A copy to write into."""
    return select(clean, np.ones(len(clean.table.length), bool))


def rows(episodes: Episodes, e: int = E) -> slice:
    start = int(episodes.table.start[e])
    return slice(start, start + int(episodes.table.length[e]))


def known(episodes: Episodes, **scenario: object) -> Usual:
    return usual(episodes, SCHEMA, WALK.model_copy(update=scenario))


def found(episodes: Episodes, **scenario: object) -> list[tuple[str, int, int]]:
    """Those of episode E; no other may have one."""
    held = known(episodes, **scenario)
    others = [e for e in range(len(episodes.table.length)) if e != E]
    assert [anomalies(episodes, e, held) for e in others] == [()] * len(others)
    return [(one.kind, one.first_step, one.last_step) for one in anomalies(episodes, E, held)]


def test_a_sound_dataset_has_none(clean: Episodes) -> None:
    assert found(clean) == []


def test_a_number_that_is_not_finite_is_named_with_its_feature(broken: Episodes) -> None:
    broken.observation["features"][rows(broken)][5:8, 2] = np.nan
    assert found(broken) == [("not-finite", 5, 7)]
    (one,) = anomalies(broken, E, known(broken))
    assert one.text == "goal_y nan: not finite"


def test_a_final_observation_out_of_range_is_the_step_after_the_last(broken: Episodes) -> None:
    broken.final_observation["features"][E, 4] = 1.5
    assert found(broken) == [("out-of-range", HORIZON, HORIZON)]


def test_a_reward_that_is_not_finite_is_found(broken: Episodes) -> None:
    broken.reward_terms[rows(broken)][3, 1] = np.inf
    assert ("not-finite", 3, 3) in found(broken)


def test_an_action_that_the_mask_forbids_and_one_that_does_not_exist_are_found(broken: Episodes) -> None:
    mine = rows(broken)
    assert broken.action_mask is not None
    broken.action_mask[mine][4, broken.action[mine][4]] = False
    broken.action[mine][9] = 7
    assert found(broken) == [("forbidden-action", 4, 4), ("out-of-range", 9, 9)]


def test_a_reward_spike_is_found_and_a_reward_that_many_episodes_get_is_none(broken: Episodes) -> None:
    """Arriving pays 1 where the median is −0.01: a robust z of infinity, in every episode."""
    broken.reward[rows(broken)][11] = 30.0
    broken.reward_terms[rows(broken)][11, 1] = 30.01
    assert found(broken) == [("reward-spike", 11, 11)]
    (one,) = anomalies(broken, E, known(broken))
    assert one.text.startswith("reward 30, median -0.01; all but 0.5% of the episodes stay within 1")


def test_a_term_that_hardly_any_episode_is_paid_is_no_spike_while_it_is_small_beside_the_rewards(broken: Episodes) -> None:
    broken.reward_terms[rows(broken)][11] += np.float32([0.05, -0.05])
    assert found(broken) == []
    broken.reward_terms[rows(broken)][11] += np.float32([5, -5])
    assert found(broken) == [("reward-spike", 11, 11)]


def test_a_constant_reward_is_found_unless_the_scenario_or_most_of_its_episodes_have_one(broken: Episodes) -> None:
    broken.reward[rows(broken)] = -0.25
    assert found(broken) == [("constant-reward", 0, HORIZON - 1)]
    assert found(broken, constant_reward=True) == []
    broken.reward[:] = 1.0
    assert found(broken) == []
    assert known(broken).common == {"constant-reward": 1.0}


def test_one_action_in_more_than_95_percent_of_the_decisions_is_found(broken: Episodes) -> None:
    mine = rows(broken)
    assert broken.action_mask is not None
    broken.action_mask[mine] = True
    broken.action[mine] = 0
    broken.action[mine][3] = 1
    assert [kind for kind, *_ in found(broken)] == ["same-action"]  # 23 of 24 are 95.8 %
    broken.action[mine][4] = 1
    assert found(broken) == []  # 22 of 24 are 91.7 %


def test_flip_flop_is_found_from_twenty_steps_on(broken: Episodes) -> None:
    mine = rows(broken)
    assert broken.action_mask is not None
    broken.action_mask[mine] = True
    broken.action[mine] = 2
    broken.action[mine][1:21] = np.tile([1, 4], 10)
    assert found(broken) == [("flip-flop", 1, 20)]
    broken.action[mine][10] = 3
    assert found(broken) == []


@pytest.mark.parametrize("lag", [-1, 1])
def test_observations_that_stand_beside_the_action_of_another_row_are_found(clean: Episodes, broken: Episodes, lag: int) -> None:
    mine = rows(broken)
    for column in (broken.action, broken.expert_action):
        column[mine] = np.roll(column[mine], lag)
    assert broken.action_mask is not None
    broken.action_mask[mine] = True
    assert found(broken) == [("pairing", 0, HORIZON - 1)]


def test_a_copy_with_noise_names_the_episode_that_it_repeats(clean: Episodes) -> None:
    copy = select(clean, np.arange(len(clean.table.length)) == E)
    noisy = copy.observation["features"] + np.float32(1e-6)
    table = replace(copy.table, world=np.array([999]), episode_id=np.array([b"c" * 16]))
    both = concatenate([clean, replace(copy, observation={"features": noisy}, table=table)])
    held, last = known(both), len(clean.table.length)
    assert [one.kind for one in anomalies(both, E, held)] == ["duplicate"]
    (one,) = anomalies(both, last, held)
    assert (one.first_step, one.last_step) == (0, HORIZON - 1)
    assert one.text == f"the same as episode {E} ({clean.table.episode_id[E].decode()}), up to noise"


def test_ends_without_flags_and_flags_without_ends_are_found(broken: Episodes) -> None:
    mine = rows(broken)
    broken.truncated[mine] = False
    assert found(broken) == [("end", HORIZON - 1, HORIZON - 1)]
    assert "time-out after 24 steps has no flag" in anomalies(broken, E, known(broken))[0].text
    broken.truncated[mine][[6, HORIZON - 1]] = True
    assert found(broken) == [("end", 6, 6)]


# --- the robot, of which places and contacts are known ----------------------------------------------------------------

DRIVE = ObservationSchema(
    world="nav",
    features=("v", "goal_distance", "ray0", "ped0_proximity"),
    action_low=(-1.0, -1.0),
    action_high=(1.0, 1.0),
    reward_terms=("progress", "success", "collision"),
)
STEPS = 80


def drives(count: int = 60) -> Episodes:
    """Robots that drive 0.15 m a step to their goals, 16 m away at first, and time out."""
    random = np.random.default_rng(3)
    walks = record_walks(range(count))
    steps, table = np.arange(STEPS), walks.table
    speed = 0.75 + 0.02 * random.standard_normal((count, STEPS + 1))
    gone = np.concatenate([np.zeros((count, 1)), np.cumsum(speed[:, :-1] * 0.2, axis=1)], axis=1)
    features = np.stack([speed, 1 - gone / 16, 0.3 + 0.1 * random.random(speed.shape), 0 * speed], axis=2).astype(np.float32)
    length = np.full(count, STEPS)
    terms = np.zeros((count * STEPS, 3), np.float32)
    terms[:, 0] = 0.2 * np.diff(gone, axis=1).reshape(-1)
    action = random.uniform(-0.04, 0.04, (count * STEPS, 2)).astype(np.float32)
    return replace(
        walks,
        observation={"features": features[:, :-1].reshape(-1, 4)},
        final_observation={"features": features[:, -1]},
        action=action,
        expert_action=action,
        action_mask=None,
        reward=terms.sum(axis=1),
        reward_terms=terms,
        terminated=np.zeros(count * STEPS, bool),
        truncated=np.tile(steps == STEPS - 1, count),
        table=replace(table, start=np.arange(count) * STEPS, length=length, total_reward=terms.sum(axis=1)[:count]),
    )


def of_robot(episodes: Episodes) -> list[Anomaly]:
    scenario = WALK.model_copy(update={"world": "nav", "horizon": STEPS, "feature_range": (-2.0, 2.0)})
    held = usual(episodes, DRIVE, scenario)
    assert [anomalies(episodes, e, held) for e in range(len(episodes.table.length)) if e != E] == [()] * 59
    return list(anomalies(episodes, E, held))


def test_a_robot_that_drives_to_its_goal_has_none() -> None:
    assert of_robot(drives()) == []


def test_a_robot_that_stands_still_for_fifty_steps_is_found() -> None:
    broken = drives()
    features = broken.observation["features"][rows(broken)]
    features[10:60, 0] = 0.0
    assert [(one.kind, one.first_step, one.last_step) for one in of_robot(broken)] == [("no-movement", 10, 59)]
    features[30, 0] = 0.5
    assert of_robot(broken) == []


def test_a_robot_that_jumps_is_found_at_the_step_that_moved_it() -> None:
    broken = drives()
    broken.observation["features"][rows(broken)][41:, 1] -= 0.02  # 0.32 m more than it drove
    broken.final_observation["features"][E, 1] -= 0.02
    (one,) = of_robot(broken)
    assert (one.kind, one.first_step, one.last_step) == ("displacement", 40, 40)
    assert "the world allows 0.0125 a step" in one.text


def test_a_contact_that_ends_nothing_is_found_in_what_the_robot_sees_and_in_what_it_is_paid() -> None:
    broken = drives()
    broken.observation["features"][rows(broken)][20:22, 2] = 1.0
    (one,) = of_robot(broken)
    assert (one.kind, one.first_step, one.last_step) == ("contact", 20, 21)
    assert one.text == "ray0 touches the robot, and no step is flagged as terminated"
    paid = drives()
    paid.reward_terms[rows(paid)][30, 2] = -0.01
    assert [(one.kind, one.first_step) for one in of_robot(paid)] == [("end", 30), ("reward-spike", 30)]  # nobody else collides


def test_a_robot_whose_steering_reverses_in_every_step_is_found() -> None:
    broken = drives()
    broken.action[rows(broken)][30:52, 1] = np.tile([0.6, -0.6], 11)
    assert [(one.kind, one.first_step, one.last_step) for one in of_robot(broken)] == [("flip-flop", 29, 52)]
