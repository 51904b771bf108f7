"""A recording becomes episodes of the environment: held to its spaces, judged by its predicates, dealt to blocks; and the way back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from tests.poles import pole_project, record_poles

from headstart.config.checked import merged
from headstart.core.errors import InputError
from headstart.dataset.formats.recording import Recording, leaves
from headstart.runs.exporting import exported, raw
from headstart.runs.importing import converted, counters_of, import_recording
from headstart.worlds.gym_spaces import Observing

SHA256 = "a" * 64


@pytest.fixture(scope="module")
def poles() -> Recording:
    return record_poles(episodes=10, longest=20)


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imported(recording: Recording, changes: dict[str, Any] | None = None) -> Any:
    params, scenario = pole_project(recording, changes)
    return converted(recording, params, scenario, SHA256)


def test_episodes_are_dealt_to_the_blocks_in_turn_and_keep_their_numbers(poles: Recording) -> None:
    episodes, header = imported(poles)
    table = episodes.table
    assert table.behaviour["recorded_episode"].tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    assert (table.world - table.world[0]).tolist() == list(range(10))
    assert table.seed.tolist() == table.behaviour["recorded_episode"].tolist()  # the recorder's seed is the number
    for e, number in enumerate(table.behaviour["recorded_episode"]):
        ours, theirs = table.start[e], poles.start[number]
        rows, n = slice(ours, ours + table.length[e]), poles.length[number]
        assert np.array_equal(episodes.observation["features"][rows], poles.observations[theirs : theirs + n])
        assert np.array_equal(episodes.action[rows], poles.actions[theirs : theirs + n])
        assert np.array_equal(episodes.final_observation["features"][e], poles.final_observations[number])
    assert header.absent == ()


def test_what_is_not_recorded_is_named_in_the_header(poles: Recording) -> None:
    bare = replace(poles, rewards=None, terminated=None, truncated=None, final_observations=None, seeds=None)
    _, header = imported(bare, {"success": ["every return >= 10"]})
    # success needs the return and harm how the episodes end
    assert header.absent == ("rewards", "ends", "final_observations", "seeds", "success", "harm")


def test_success_follows_from_counters_and_only_else_from_the_file(poles: Recording) -> None:
    wrong = np.zeros(10, bool)
    by_counter, _ = imported(replace(poles, success=wrong), {"success": ["every steps >= 20"]})
    assert by_counter.table.success.all()
    told = np.arange(10) % 2 == 0
    by_file, header = imported(replace(poles, success=told, rewards=None), {"success": ["every return >= 10"]})
    assert by_file.table.success.tolist() == told[by_file.table.behaviour["recorded_episode"]].tolist()
    assert header.absent == ("rewards",)


def remarks(recording: Recording, changes: dict[str, Any]) -> str:
    """What the stage `source` says beside the figures."""
    params, scenario = pole_project(recording, changes)
    assert scenario.demonstrations is not None
    return import_recording(params, scenario, scenario.demonstrations, Path("episodes.h5"))[1]


def test_episodes_that_are_terminated_at_the_horizon_are_told(poles: Recording) -> None:
    ended = np.ones(10, bool)
    fallen = replace(poles, terminated=ended, truncated=~ended)
    assert remarks(fallen, {"horizon": 20}) == (
        "; 10 episodes of 20 steps (horizon) are terminated: if the time limit ended them, they are truncated"
    )
    assert remarks(fallen, {"horizon": 21}) == ""
    ended[3] = False
    assert remarks(replace(poles, terminated=ended, truncated=~ended), {"horizon": 20}) == ""


def test_success_of_the_file_that_the_predicates_contradict_is_told_or_refused(poles: Recording) -> None:
    def brought(told: list[bool]) -> str:
        return remarks(replace(poles, success=np.array(told)), {"success": ["every steps >= 20"]})  # as all ten do

    assert brought([True] * 10) == ""
    few = "; success of the file differs from the scenario's predicates in 2 of 10 episodes, first 7: the predicates count"
    assert brought([True] * 7 + [False, False, True]) == few
    many = r"mine.npz: success of the file differs .* in 5 of 10 episodes, first 3: take the array out of the file, or correct"
    with pytest.raises(InputError, match=many):
        brought([True] * 3 + [False] * 5 + [True] * 2)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("last", [3.0, 1.0]), ("any", [1.0, 1.0]), ("sum", [5.0, 1.0]), ("max", [3.0, 1.0]), ("min", [0.0, 0.0])],
)
def test_numbers_of_info_are_gathered_as_the_setup_says(how: str, expected: list[float]) -> None:
    recording = Recording(np.zeros((5, 4)), np.zeros(5, int), np.array([3, 2]), infos={"cost": np.array([2.0, 0, 3, 0, 1])})
    _, scenario = pole_project(recording, {"setup": {"id": "CartPole-v1", "info": {"cost": how}}})
    assert counters_of(recording, scenario)["cost"].tolist() == expected


def with_row(column: Any, row: int, value: Any) -> Any:
    column = np.array(column)
    column[row] = value
    return column


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observations": "wide"}, r"observations: expected rows of the shape \[4\] of Box.*got \[5\]"),
        ({"observations": "far"}, r"observation_0 is 9 in episode 2, row 3; 1 of \d+ rows lie outside"),
        ({"observations": "dict"}, "observations: expected the parts '' of Box.*, got 'a'"),
        ({"actions": 2}, "actions: .*none of Discrete.*episode 2, row 3"),
        ({"actions": 0.5}, "actions: .*episode 2, row 3"),
    ],
)
def test_what_is_not_of_the_environments_spaces_is_named(poles: Recording, changes: dict[str, Any], message: str) -> None:
    row, seen = int(poles.start[2]) + 3, poles.observations
    made = {
        "wide": np.concatenate([seen, seen[:, :1]], axis=1),
        "far": with_row(seen, (row, 0), 9.0),  # type: ignore[arg-type]
        "dict": {"a": seen},
    }
    columns = {
        name: made.get(value) if isinstance(value, str) else with_row(poles.actions.astype(float), row, value)
        for name, value in changes.items()
    }
    finals = {"final_observations": None} if "observations" in changes else {}
    with pytest.raises(InputError, match=message):
        imported(replace(poles, **columns, **finals))


def test_an_episode_that_is_longer_than_the_horizon_and_too_few_episodes_are_named(poles: Recording) -> None:
    with pytest.raises(InputError, match=r"at most 5 steps \(horizon\), episode 0 has 20; set `horizon: 20`"):
        imported(poles, {"horizon": 5})
    with pytest.raises(InputError, match=r"observations: expected rows of the shape \[4\]"):  # the other is the true reason
        imported(replace(poles, observations=poles.observations[:, :3], final_observations=None), {"horizon": 5})
    three = Recording(poles.observations[:60], poles.actions[:60], poles.length[:3])
    with pytest.raises(InputError, match=r"at least two episodes for each of 2 blocks \(capture.blocks\), got 3"):
        imported(three)


def test_a_path_outside_of_the_watched_folder_and_an_expert_beside_it_are_refused(poles: Recording) -> None:
    with pytest.raises(InputError, match="expected a path below demonstrations/, where DVC sees changes of it"):
        pole_project(poles, {"demonstrations": {"format": "npz", "path": "data/../mine.npz"}})
    expert = {"policy": "ppo", "success_rate": 0.9, "harm_rate": 0.1}
    with pytest.raises(InputError, match="got demonstrations and an expert"):
        pole_project(poles, {"expert": expert})
    with pytest.raises(InputError, match="without `demonstrations`"):
        pole_project(poles, {"demonstrations": None, "expert": expert | {"policy": "demonstrations"}})


@pytest.mark.parametrize(
    ("phase", "key"),
    [({"labels": "all", "bc_weight": 0.1}, "labels: all"), ({"expert_share": 0.5}, "expert_share")],
)
def test_who_would_ask_an_expert_is_refused_before_anything_is_trained(poles: Recording, phase: dict[str, Any], key: str) -> None:
    from tests.poles import POLE, TUNE

    recipe = merged(POLE["recipe"], {"arms": {"tiny": {"phases": [TUNE | phase]}}})
    with pytest.raises(InputError, match=rf"arms.tiny.phases.0 \(tune\): {key} asks an expert"):
        pole_project(poles, {"recipe": recipe})


def test_exported_episodes_are_the_recording_again(poles: Recording) -> None:
    params, scenario = pole_project(poles)
    found = exported(*converted(poles, params, scenario, SHA256), params, scenario)
    order = np.array([0, 2, 4, 6, 8, 1, 3, 5, 7, 9])
    rows = np.concatenate([np.arange(poles.start[e], poles.start[e] + poles.length[e]) for e in order])
    assert np.array_equal(found.recording.observations, poles.observations[rows])
    assert np.array_equal(found.recording.actions, poles.actions[rows])
    for name in ("length", "terminated", "truncated", "final_observations", "seeds"):
        assert np.array_equal(getattr(found.recording, name), getattr(poles, name)[order]), name
    assert found.observations == spaces.Box(found.observations.low, found.observations.high, dtype=np.float32)


SPACES = [
    spaces.Box(-2, 2, (2, 3), np.float64),
    spaces.Box(0, 200, (3,), np.int16),
    spaces.Discrete(4, start=3),
    spaces.MultiBinary((2, 2)),
    spaces.MultiDiscrete([2, 3], start=[1, 0]),
    spaces.Box(0, 255, (40, 30, 3), np.uint8),
    spaces.Box(0, 255, (5, 4, 3), np.uint8),
    spaces.Dict({"b": spaces.Discrete(3), "a": spaces.Tuple([spaces.Box(-1, 1, (2,), np.float32), spaces.MultiBinary(3)])}),
    spaces.Dict({"picture": spaces.Box(0, 255, (30, 40, 3), np.uint8), "speed": spaces.Box(-1, 1, (1,), np.float32)}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_features_go_back_to_what_any_space_showed(space: Any) -> None:
    space.seed(0)
    rows, observing = [space.sample() for _ in range(6)], Observing(space, "test")
    tree = raw(observing, observing.rows(rows))
    for i, row in enumerate(rows):
        assert space.contains(row)
        for (name, column), (same, value) in zip(leaves(tree), leaves(row), strict=True):
            assert name == same
            assert np.allclose(column[i], value, atol=1e-6)
            assert column.dtype == np.asarray(value).dtype
