"""What a learned expert knows of its actions and states is recorded, and is what its checkpoint says of them, in both worlds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.learned import learned_project

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.dataset.episodes import Episodes, Header, columns_of
from headstart.dataset.episodes_file import read_episodes
from headstart.learn.policies import Categorical, Gaussian, Policy
from headstart.runs.estimates import behaviour_log_prob
from headstart.runs.policy import load_policy
from headstart.runs.replay import replay
from headstart.runs.worlds import worlds_of
from headstart.stages.capture import capture

SLIP = 0.3
Recorded = tuple[Params, Scenario, Episodes, Header]


@pytest.fixture(scope="module", params=["queue_conflict", "nav_mixed"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(request.param))
        capture_settings = {"worlds": 5, "shard_worlds": 5, "slip": SLIP, "noise": 0.2}
        params, scenario = learned_project(request.param, 9, capture_settings)
        capture(params, scenario)
        folder = Path.cwd()
        episodes, header = read_episodes(Path(f"data/{scenario.name}/raw/shard-0000.h5"))
    return params, scenario.model_copy(update={"licence": str(folder)}), episodes, header


def of_checkpoint(recorded: Recorded) -> tuple[Policy, Array, Array]:
    """π and V of all recorded rows, V of the final observations: from the checkpoint alone, by torch and not by compiled code."""
    _, scenario, episodes, _ = recorded
    network, _ = load_policy(
        Path(str(scenario.licence)) / f"models/{scenario.name}/expert/seed-0", worlds_of(scenario, "capture", 1)
    )
    obs = {name: torch.from_numpy(column) for name, column in episodes.observation.items()}
    if episodes.action_mask is not None:
        obs["mask"] = torch.from_numpy(episodes.action_mask.astype("u1"))
    with torch.no_grad():
        policy, value = network(network.normalised(obs), len(episodes.reward))
        final = {name: torch.from_numpy(column) for name, column in episodes.final_observation.items()}
        last = network.critic(network._inputs(network.normalised(final))).squeeze(-1)
    assert policy is not None
    return policy, value.numpy(), last.numpy()


def test_the_log_probability_is_that_of_the_executed_action_with_slips(recorded: Recorded) -> None:
    _, _, episodes, header = recorded
    policy, _, _ = of_checkpoint(recorded)
    expected = policy.log_prob(torch.from_numpy(episodes.action)).double().numpy()
    if isinstance(policy, Categorical):
        assert header.slip == SLIP
        assert episodes.action_mask is not None
        assert (episodes.action != episodes.expert_action).any()
        expected = np.log((1 - SLIP) * np.exp(expected) + SLIP / episodes.action_mask.sum(axis=1))
    else:
        assert isinstance(policy, Gaussian)
        assert header.slip is None
    assert episodes.expert_log_prob is not None
    np.testing.assert_allclose(episodes.expert_log_prob, expected, rtol=1e-6, atol=1e-6)


def test_there_are_values_of_all_observations_the_last_of_each_episode_included(recorded: Recorded) -> None:
    _, _, episodes, _ = recorded
    _, value, last = of_checkpoint(recorded)
    assert episodes.expert_value is not None
    assert episodes.final_value is not None
    np.testing.assert_allclose(episodes.expert_value, value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(episodes.final_value, last, rtol=1e-6, atol=1e-6)
    assert len(np.unique(episodes.final_value)) > 1


def test_the_expert_did_what_its_network_finds_most_likely(recorded: Recorded) -> None:
    policy, _, _ = of_checkpoint(recorded)
    np.testing.assert_allclose(recorded[2].expert_action, policy.mode().numpy().clip(-1, None), atol=1e-6)


@pytest.mark.parametrize("column", ["expert_log_prob", "expert_value", "final_value"])
def test_a_recorded_estimate_that_the_expert_does_not_have_is_found_by_replay(
    column: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, scenario, episodes, header = recorded
    monkeypatch.chdir(str(scenario.licence))
    count = len(episodes.table.length)
    assert replay(episodes, header, params, scenario) == (count, 0)
    wrong = getattr(episodes, column).copy()
    wrong[-1] += 0.01 * (1 + abs(wrong[-1]))
    assert replay(replace(episodes, **{column: wrong}), header, params, scenario) == (count, 1)


def test_a_script_has_no_such_columns(robot_walks: tuple[Scenario, Episodes, Header]) -> None:
    _, episodes, header = robot_walks
    assert not {"/steps/expert_log_prob", "/steps/expert_value", "/final_value"} & columns_of(episodes).keys()
    assert "slip" not in header.model_dump(mode="json")


def test_a_slip_is_one_of_the_allowed_actions_with_equal_probability() -> None:
    obs = {"mask": np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]], np.uint8)}
    certain = np.array([0.0, 0.0, -100.0], np.float32)

    found = behaviour_log_prob(certain, obs, 0.2)

    np.testing.assert_allclose(np.exp(found), [0.8 + 0.2 / 2, 0.8 + 0.2, 0.2 / 4], rtol=1e-6)
    np.testing.assert_array_equal(behaviour_log_prob(certain, obs, 0.0), certain)
    np.testing.assert_array_equal(behaviour_log_prob(certain, {}, 0.2), certain)
