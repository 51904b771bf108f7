"""Numbers of a look at a dataset, by hand; each planted fault is found, and its clean twin is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.dataset.conftest import SCHEMA, record_walks
from tests.inspected import opened_from

from headstart.dataset.episodes import Episodes, EpisodeTable, select
from headstart.dataset.inspection import Inspection, inspected
from headstart.dataset.inspection_coverage import actions_of, behaviours_of, ranges_of
from headstart.dataset.inspection_episodes import (
    back_and_forth,
    commonest,
    longest_runs,
    robust_z,
    slips,
    still_steps,
    strangest,
)
from headstart.dataset.inspection_findings import Finding, findings
from headstart.dataset.inspection_look import rankings
from headstart.dataset.inspection_metadata import Item
from headstart.dataset.manifest import DatasetManifest
from headstart.dataset.observation import ObservationSchema

CURVE = ObservationSchema(world="curve", features=("x",), action_low=(-1.0,), action_high=(1.0,))


def made(lengths: list[int], features: Any, action: Any, **columns: Any) -> Episodes:
    """Episodes of a world with these columns; the rest is empty."""
    length = np.array(lengths)
    n, count, start = int(length.sum()), len(length), np.cumsum(length) - length
    action = np.array(action)
    zero = np.zeros(count, np.int64)
    reward = np.array(columns.get("reward", np.zeros(n)), np.float32)
    table = EpisodeTable(
        episode_id=np.array([f"{e:016x}" for e in range(count)], "S16"),
        start=start,
        length=length,
        seed=zero,
        world=np.arange(count),
        episode=zero,
        agent=zero,
        total_reward=np.add.reduceat(reward, start),
        success=np.ones(count, bool),
        harm=np.zeros(count, bool),
        behaviour=columns.get("behaviour", {}),
    )
    rows = np.array(features, np.float32).reshape(n, -1)
    last = start + length - 1
    return Episodes(
        observation={"features": rows},
        action=action,
        expert_action=np.array(columns.get("label", action)),
        action_mask=columns.get("mask"),
        reward=reward,
        reward_terms=np.zeros((n, 0), np.float32),
        terminated=np.zeros(n, bool),
        truncated=np.isin(np.arange(n), last),
        final_observation={"features": np.array(columns.get("final", rows[last] + 1), np.float32).reshape(count, -1)},
        table=table,
    )


# --- single episodes ------------------------------------------------------------------------------------------------------


def test_a_step_is_still_if_no_number_changes_and_the_last_one_is_held_to_the_final_observation() -> None:
    episodes = made([4, 3], [1, 1, 2, 2, 2, 2, 2], [0] * 7, final=[2, 3])
    assert still_steps(episodes, has_final=True).tolist() == [True, False, True, True, True, True, False]
    assert still_steps(episodes, has_final=False).tolist() == [True, False, True, False, True, True, False]


def test_a_map_that_changes_is_no_still_step() -> None:
    episodes = made([3], [5, 5, 5], [0] * 3, final=[5])
    maps = np.zeros((3, 1, 2, 2), np.uint8)
    maps[2, 0, 1, 1] = 1
    seen = replace(
        episodes,
        observation=episodes.observation | {"map": maps},
        final_observation=episodes.final_observation | {"map": maps[2:]},
    )
    assert still_steps(episodes, True).tolist() == [True, True, True]
    assert still_steps(seen, True).tolist() == [True, False, True]


def test_the_longest_run_stays_within_its_episode() -> None:
    hits = np.array([1, 1, 0, 1, 1, 1, 1, 0, 0, 1], bool)
    assert longest_runs(hits, np.array([0, 4, 7])).tolist() == [2, 3, 1]
    assert longest_runs(hits, np.array([0])).tolist() == [4]
    assert longest_runs(~hits, np.array([0, 3, 4])).tolist() == [1, 0, 2]


def test_switches_and_returns_of_a_choice_are_counted_within_an_episode() -> None:
    # 0 1 0 0: of three changes two, of two places one return (0 1 0). 2 2: one place, no change. 1: nothing to compare.
    episodes = made([4, 2, 1], np.zeros(7), [0, 1, 0, 0, 2, 2, 1])
    change, turned = back_and_forth(episodes, replace_actions(3))
    assert change[:2].tolist() == [2 / 3, 0] and np.isnan(change[2])
    assert turned[0] == 1 / 2 and np.isnan(turned[1:]).all()


def replace_actions(count: int) -> ObservationSchema:
    return ObservationSchema(world="toy", features=("x",), actions=tuple(f"a{i}" for i in range(count)))


def test_changes_of_numbers_are_shares_of_their_range_and_small_ones_do_not_turn() -> None:
    # changes 0.2, -0.1, 0.1 of a range of 2; then two turns. In the second episode they are below a hundredth of the range.
    action = np.array([0.0, 0.2, 0.1, 0.2, 0.0, 0.01, 0.0, 0.01], np.float32)[:, None]
    change, turned = back_and_forth(made([4, 4], np.zeros(8), action), CURVE)
    np.testing.assert_allclose(change, [(0.1 + 0.05 + 0.05) / 3, 0.005], atol=1e-6)
    assert turned.tolist() == [1.0, 0.0]


def test_the_share_of_the_commonest_action_and_of_slips_are_those_of_each_episode() -> None:
    episodes = made([4, 2], np.zeros(6), [1, 1, 0, 1, 2, 0], label=[1, 1, 1, 1, 2, 0])
    assert commonest(episodes, 3).tolist() == [0.75, 0.5]
    assert slips(episodes).tolist() == [0.25, 0.0]


def test_the_robust_z_is_the_distance_from_the_median_in_median_deviations() -> None:
    # median 3, distances 2 1 0 1 97: their median is 1
    np.testing.assert_allclose(robust_z(np.array([1, 2, 3, 4, 100.0])), np.array([-2, -1, 0, 1, 97]) / 1.4826)


def test_where_most_values_are_equal_only_rare_ones_are_far() -> None:
    rare, many = np.full(200, 10.0), np.full(200, 10.0)
    rare[7], many[:60] = 4.0, 4.0
    z = robust_z(rare)
    assert z[7] == pytest.approx(-6 / (1.2533 * 6 / 200)) and not z[np.arange(200) != 7].any()
    assert not robust_z(many).any()
    assert np.isnan(robust_z(np.array([np.nan, 1.0, 2.0]))[0])


def test_the_strangest_feature_is_that_in_which_the_mean_of_an_episode_is_farthest() -> None:
    features = np.array([[e % 5, e] for e in range(40)], float)
    features[9, 0] = 500
    worst, which = strangest(made([1] * 40, features, [0] * 40))
    assert worst.argmax() == 9 and which[9] == 0
    assert worst[9] == pytest.approx((500 - 2) / 1.4826)


# --- coverage --------------------------------------------------------------------------------------------------------------


def test_actions_are_counted_as_executed_as_labels_as_allowed_and_by_side() -> None:
    mask = np.ones((6, 4), bool)
    mask[:, 3] = False
    episodes = made([4, 2], np.zeros(6), [1, 1, 0, 1, 2, 0], label=[1, 1, 1, 1, 2, 0], mask=mask)
    wait, north, south, use = actions_of(episodes, replace_actions(4), np.array([False, True]))
    assert (north.executed, north.labelled, north.allowed, north.train, north.heldout) == (3, 4, 6, 1.0, 0.0)
    assert (wait.executed, wait.labelled, wait.heldout, south.heldout) == (2, 1, 0.5, 0.5)
    assert (use.labelled, use.allowed) == (0, 0)


def test_cells_without_a_value_are_named_and_those_side_by_side_are_one() -> None:
    values = np.concatenate([np.linspace(0, 0.299, 50), np.linspace(0.5, 1.0, 50)])
    found = ranges_of(values[:, None], ["x"], None)[0]
    assert found.gaps == ((pytest.approx(0.3), pytest.approx(0.5)),)
    assert sum(found.bins) == 100 and not any(found.bins[3:5])
    whole = ranges_of(np.linspace(0, 1, 100)[:, None], ["x"], None)[0]
    assert whole.gaps == () and whole.mean == pytest.approx(0.5)


def test_a_feature_of_few_values_has_no_gaps_and_a_constant_one_is_said_to_be() -> None:
    few, same = ranges_of(np.array([[0, 7], [1, 7], [1, 7]]), ["flag", "same"], None)
    assert (few.gaps, few.constant, same.constant, same.bins) == ((), False, True, ())


def test_values_that_are_held_out_and_never_trained_on_are_named() -> None:
    values, heldout = np.linspace(0, 1, 100)[:, None], np.arange(100) >= 90
    assert ranges_of(values, ["x"], heldout)[0].untrained == ((pytest.approx(0.9), pytest.approx(1.0)),)
    assert ranges_of(values, ["x"], np.arange(100) % 5 == 0)[0].untrained == ()


def test_values_that_are_not_finite_are_counted_and_left_out_of_the_range() -> None:
    found = ranges_of(np.array([[np.nan], [1.0], [3.0], [np.inf]]), ["x"], None)[0]
    assert (found.bad, found.least, found.mean, found.most) == (2, 1.0, 2.0, 3.0)


def test_behaviours_are_summed() -> None:
    counts = {"eats": np.array([0, 3, 1], np.int32), "sleeps": np.zeros(3, np.int32)}
    eats, sleeps = behaviours_of(made([1] * 3, np.zeros(3), [0] * 3, behaviour=counts))
    assert (eats.total, eats.episodes, eats.most) == (4, 2, 3)
    assert (sleeps.total, sleeps.episodes, sleeps.most) == (0, 0, 0)


# --- findings --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def walks() -> Episodes:
    return record_walks()


def look(
    episodes: Episodes, tmp_path: Path, metadata: tuple[Item, ...] = (), flags: Any = None, **changes: Any
) -> tuple[Finding, ...]:
    return findings(seen(episodes, tmp_path, **changes), flags or {}, metadata)


def seen(episodes: Episodes, tmp_path: Path, **changes: Any) -> Inspection:
    return inspected(tmp_path, opened_from(episodes, SCHEMA, **changes))


def about(found: tuple[Finding, ...], words: str) -> list[Finding]:
    return [one for one in found if words in one.text]


def split(episodes: Episodes, heldout: np.ndarray) -> dict[str, Any]:
    """A dataset that was split so; of its manifest, that there is one counts."""
    manifest = DatasetManifest.model_construct(blocks=(0,), scenario_sha256="0" * 64)
    return {"manifest": manifest, "side": np.where(heldout, "heldout", "train")}


def planted(walks: Episodes, change: Callable[[dict[str, Any]], None]) -> Episodes:
    """The walks with other columns."""
    columns: dict[str, Any] = {
        "features": walks.observation["features"].copy(),
        "final": walks.final_observation["features"].copy(),
        "action": walks.action.copy(),
        "table": walks.table,
    }
    change(columns)
    return replace(
        walks,
        observation={"features": columns["features"]},
        final_observation={"features": columns["final"]},
        action=columns["action"],
        table=columns["table"],
    )


def test_sound_walks_have_nothing_wrong_and_nothing_dead_strange_or_leaked(walks: Episodes, tmp_path: Path) -> None:
    walks = select(walks, walks.table.success)  # one walk misses a corner, and is an outlier by its return
    found = look(walks, tmp_path, **split(walks, walks.table.world % 5 == 0))
    assert [one for one in found if one.level == "wrong"] == []
    assert about(found, "nothing changes") == about(found, "beyond 6") == about(found, "step apart") == []


def test_an_episode_in_which_nothing_changes_is_found(walks: Episodes, tmp_path: Path) -> None:
    def dead(columns: dict[str, Any]) -> None:
        columns["features"][5 * 24 : 6 * 24] = columns["final"][5] = columns["features"][5 * 24]

    found = seen(planted(walks, dead), tmp_path)
    (one,) = about(findings(found, {}, ()), "nothing changes")
    name = walks.table.episode_id[5].decode()
    assert one.episodes == (name,)
    assert (found.columns["still"].values[5], found.columns["still_run"].values[5]) == (1.0, 24.0)
    assert next(of for of in rankings(found, 3) if of.column == "still_run").rows[0] == 5


def test_an_episode_whose_return_is_far_from_the_others_is_an_outlier(walks: Episodes, tmp_path: Path) -> None:
    total = walks.table.total_reward.copy()
    total[17] = -40
    found = look(replace(walks, table=replace(walks.table, total_reward=total)), tmp_path)
    (one,) = about(found, "outliers by return")
    assert one.episodes == (walks.table.episode_id[17].decode(),)
    assert one.level == "look" and "has -40, the median is 1.76" in one.text


def test_a_world_on_both_sides_of_a_split_is_a_leak(walks: Episodes, tmp_path: Path) -> None:
    heldout = walks.table.world % 5 == 0
    world = walks.table.world.copy()
    world[1] = world[0]  # 0 is held out, 1 is trained on
    leaked = replace(walks, table=replace(walks.table, world=world))
    (one,) = about(look(leaked, tmp_path, **split(leaked, heldout)), "both sides")
    assert one.level == "wrong" and "1 worlds are on both sides of the split: 0" in one.text


def test_a_held_out_episode_that_stands_among_the_others_with_noise_is_a_leak(walks: Episodes, tmp_path: Path) -> None:
    heldout, noise = walks.table.world % 5 == 0, np.random.default_rng(0)

    def copied(columns: dict[str, Any]) -> None:
        rows = columns["features"][24:48]
        columns["features"][:24] = rows + 1e-6 * noise.standard_normal(rows.shape)
        columns["action"][:24], columns["final"][0] = columns["action"][24:48], columns["final"][1]
        total = walks.table.total_reward.copy()
        total[0] = total[1]
        columns["table"] = replace(walks.table, total_reward=total)

    found = look(planted(walks, copied), tmp_path, **split(walks, heldout))
    (one,) = about(found, "with little noise")
    names = [walks.table.episode_id[e].decode() for e in (0, 1)]
    assert one.level == "wrong" and f"{names[0]} as {names[1]}" in one.text


def test_a_recorder_that_is_a_step_off_is_found_without_replay(tmp_path: Path) -> None:
    found = look(record_walks(fault="next"), tmp_path)
    assert about(found, "may be a step apart")


def test_actions_that_are_never_shown_are_named_with_whether_they_were_allowed(walks: Episodes, tmp_path: Path) -> None:
    kept = np.where(walks.expert_action == 3, 0, walks.expert_action)
    mask = walks.action_mask.copy()  # type: ignore[union-attr]
    never = replace(walks, expert_action=kept, action=np.where(walks.action == 3, 0, walks.action))
    (one,) = about(look(never, tmp_path), "never shown")
    assert one.text == "1 of 5 actions are never shown: east"
    mask[:, 3] = False
    (one,) = about(look(replace(never, action_mask=mask), tmp_path), "never shown")
    assert one.text.endswith("; never allowed: east")
    assert not about(look(walks, tmp_path), "never shown")


def test_a_flag_that_waits_and_one_that_was_taken_back_are_told_with_the_command(
    walks: Episodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (walks.table.episode_id[e].decode() for e in (0, 1))
    reasons: list[list[str]] = [[] for _ in range(240)]
    reasons[1] = ["flagged"]
    found = look(walks, tmp_path, flags={first: "dull"}, reasons=reasons)
    (waiting,) = about(found, "still in the dataset")
    (back,) = about(found, "taken back")
    assert (waiting.episodes, waiting.command) == ((first,), "dvc repro curate@walk")
    assert (back.episodes, back.command) == ((second,), "dvc repro curate@walk")
    assert not about(look(walks, tmp_path, flags={first: "dull"}, reasons=[["flagged"], *reasons[2:], []]), "flag")


def test_what_is_missing_beside_the_numbers_is_named(walks: Episodes, tmp_path: Path) -> None:
    (one,) = about(look(walks, tmp_path, (Item("licence", None, "say it"), Item("author", "Ada"))), "not said")
    assert one.text == "not said: licence"
    assert not about(look(walks, tmp_path, (Item("licence", "MIT"),)), "not said")


def test_what_was_rejected_does_not_count_in_what_the_dataset_covers(walks: Episodes, tmp_path: Path) -> None:
    reasons = [["harm"] if e < 40 else [] for e in range(240)]
    found = seen(walks, tmp_path, reasons=reasons)
    assert found.steps == 200 * 24 == sum(one.labelled for one in found.actions)
    assert found.spread["return"].n == 200
    assert np.isfinite(found.columns["change"].values).all()  # but each has its numbers
