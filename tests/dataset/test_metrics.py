"""The numbers of an episode against those computed by hand, and their file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.dataset.small import SCHEMA, two_episodes

from headstart.core.errors import InputError
from headstart.dataset.metrics import METRICS, blocked, coverage_of, metrics_of, read_metrics, write_metrics
from headstart.dataset.observation import ObservationSchema

BOTH = np.array([True, True])
WORDS = ["a", "b"]


def test_the_numbers_of_two_episodes_are_those_computed_by_hand() -> None:
    found = metrics_of(two_episodes(), SCHEMA)  # actions 0 0 1 2 and 1 1; the mask forbids 2

    assert found["steps"].tolist() == [4, 2]
    assert found["reward_sum"].tolist() == [10, -2]
    assert found["reward_mean"].tolist() == [2.5, -1]
    assert found["violations"].tolist() == [1, 0]
    assert found["action_entropy"].tolist() == [1.5, 0]  # ½·1 + 2·¼·2 bits
    assert found["action_share"].tolist() == [0.5, 1]
    assert found["blocked_share"].tolist() == [0, 0]
    assert np.isnan(found["waiting_share"]).all()


def test_coverage_is_the_share_of_what_accepted_episodes_visit() -> None:
    episodes = two_episodes()  # features 0 2 4 6 | 8 10 and 1 3 5 7 | 9 11: ten cells of one each, of which six are occupied
    found = coverage_of(episodes, SCHEMA, BOTH)

    assert found["state_coverage"].tolist() == [8 / 12, 4 / 12]
    assert found["action_coverage"].tolist() == [1, 1 / 3]
    alone = coverage_of(episodes, SCHEMA, np.array([False, True]))
    assert alone["state_coverage"].tolist() == [2 / 4, 1]  # 0 2 4 6 lie below 8 to 10, and so in its first cell
    assert alone["action_coverage"].tolist() == [1, 1]


def test_an_episode_with_a_number_that_is_not_finite_has_no_coverage_and_spoils_no_other() -> None:
    episodes = two_episodes()
    episodes.observation["features"][0, 1] = np.nan
    found = coverage_of(episodes, SCHEMA, np.array([False, True]))["state_coverage"]

    assert np.isnan(found[0]) and found[1] == 1


def test_where_nothing_is_accepted_coverage_is_not_measured() -> None:
    assert all(np.isnan(values).all() for values in coverage_of(two_episodes(), SCHEMA, ~BOTH).values())


def test_without_rewards_none_is_made_up() -> None:
    found = metrics_of(two_episodes(), SCHEMA, ("rewards",))

    assert np.isnan(found["reward_sum"]).all() and np.isnan(found["reward_mean"]).all()


def test_decisions_are_the_steps_at_which_the_mask_leaves_a_choice() -> None:
    episodes = two_episodes()
    assert episodes.action_mask is not None
    episodes.action_mask[:2, 1] = False  # one action is left in steps 0 and 1: of 1 and 2 each is half
    episodes.action_mask[4:, 1:] = False

    assert metrics_of(episodes, SCHEMA)["action_share"].tolist()[0] == 0.5
    assert np.isnan(metrics_of(episodes, SCHEMA)["action_share"][1])


def test_real_actions_count_in_tenths_of_their_range() -> None:
    action = np.array([[-1, 0], [1, 0], [-1, 0], [1, 0], [0.05, 0.05], [0.15, 0.15]], np.float32)
    episodes = replace(two_episodes(), action=action, expert_action=action, action_mask=None)
    schema = ObservationSchema(world="gym", features=("a", "b"), action_low=(-1.0, -1.0), action_high=(1.0, 1.0))

    assert metrics_of(episodes, schema)["action_entropy"].tolist() == [0.5, 0]  # 1 bit and none; both in the sixth tenth
    assert coverage_of(episodes, schema, BOTH)["action_coverage"].tolist() == [3 / 4, 2 / 4]


@pytest.mark.parametrize(
    ("schema", "values", "expected"),
    [
        (
            ObservationSchema(world="town", features=("last_ok", "b"), actions=("wait", "north", "use")),
            [1, 0, 1, 1],
            [1, 0, 0, 0],
        ),
        (ObservationSchema(world="nav", features=("v", "b"), actions=("a", "b", "c")), [1, -0.005, 0.5, 0.02], [1, 0, 0, 1]),
        (SCHEMA, [3, 3, 5, 5], [1, 0, 1, 0]),
    ],
    ids=["town: refused", "robot: at rest", "elsewhere: nothing changes"],
)
def test_a_step_is_blocked_where_the_world_tells_that_it_had_no_effect(
    schema: ObservationSchema, values: list[float], expected: list[int]
) -> None:
    episodes = two_episodes()
    features = episodes.observation["features"]
    features[:, :] = np.arange(12).reshape(6, 2)
    features[:4, 0], features[:4, 1] = values, 0
    episodes.final_observation["features"][:] = 0.001  # of the first episode: 0.001, which is rest, and no "last_ok"

    assert blocked(episodes, schema)[:4].astype(int).tolist() == expected


def test_waiting_is_the_action_of_that_name() -> None:
    schema = SCHEMA.model_copy(update={"actions": ("wait", "go", "use")})

    assert metrics_of(two_episodes(), schema)["waiting_share"].tolist() == [0.5, 0]


def test_the_file_has_its_golden_text_and_comes_back(tmp_path: Path) -> None:
    episodes = two_episodes()
    found = metrics_of(episodes, SCHEMA) | coverage_of(episodes, SCHEMA, BOTH)
    write_metrics(tmp_path / "m.tsv", episodes.table.episode_id, found)

    assert (tmp_path / "m.tsv").read_text() == (
        "# episode-metrics/1\n"
        "episode_id\tsteps\treward_sum\treward_mean\tstate_coverage\taction_coverage\tviolations\taction_entropy\tblocked_share\t"
        "waiting_share\taction_share\n"
        "a\t4\t10\t2.5\t0.666667\t1\t1\t1.5\t0\t\t0.5\n"
        "b\t2\t-2\t-1\t0.333333\t0.333333\t0\t0\t0\t\t1\n"
    )
    again, lines = read_metrics(tmp_path / "m.tsv", WORDS)
    assert list(again) == list(METRICS) and len(lines) == 2
    for name in METRICS:
        np.testing.assert_allclose(again[name], found[name], rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("metrics/1", "metrics/2"),
        lambda text: text.replace("\nb\t", "\nc\t"),
        lambda text: text.replace("0.333333", "many", 1),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\t1\n", "\n"),
        lambda text: "",
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    episodes = two_episodes()
    path = tmp_path / "m.tsv"
    write_metrics(path, episodes.table.episode_id, metrics_of(episodes, SCHEMA) | coverage_of(episodes, SCHEMA, BOTH))
    path.write_text(change(path.read_text()))

    with pytest.raises(InputError, match="expected metrics as `curate` writes them"):
        read_metrics(path, WORDS)
