"""Every gate by a planted fault: the fault is caught by its own gate, and sound data pass all of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.config.scenario import ExpertGate, Recorded, Scenario
from headstart.core.errors import InputError
from headstart.core.verdict import Check, Outcome, Subject, judge
from headstart.dataset.cures import CURES, NO_CURE, ONE_CHOICE, REPEATABLE, cures
from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema

PASS, HOLD, FAIL = Outcome.PASS, Outcome.HOLD, Outcome.FAIL
Gates = Callable[..., list[Check]]
SCRIPTED = ExpertGate(policy="scripted", success_rate=0.5, harm_rate=0.5)


def broken(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_a_sound_dataset_passes_every_gate(walks: Episodes, gates: Gates, subject: Subject) -> None:
    checks = gates(walks)

    assert broken(checks) == set()
    assert judge(subject, checks, {}).outcome == PASS
    assert len({check.name for check in checks}) == len(checks)


def edited(episodes: Episodes, column: str, rows: Any, value: Any) -> Episodes:
    changed = getattr(episodes, column).copy()
    changed[rows] = value
    return replace(episodes, **{column: changed})


def edited_features(episodes: Episodes, rows: Any, value: float) -> Episodes:
    features = episodes.observation["features"].copy()
    features[rows] = value
    return replace(episodes, observation={"features": features})


def edited_table(episodes: Episodes, column: str, rows: Any, value: Any) -> Episodes:
    changed = getattr(episodes.table, column).copy()
    changed[rows] = value
    return replace(episodes, table=replace(episodes.table, **{column: changed}))


def other_action(episodes: Episodes) -> Episodes:
    """Row 100 executes the first action that its mask forbids."""
    assert episodes.action_mask is not None
    row = int(np.flatnonzero(~episodes.action_mask.all(axis=1))[0])
    return edited(episodes, "action", row, int(np.flatnonzero(~episodes.action_mask[row])[0]))


def constant_action(episodes: Episodes) -> Episodes:
    waiting = np.zeros_like(episodes.action)
    return replace(episodes, action=waiting, expert_action=waiting)


def same_reward(episodes: Episodes) -> Episodes:
    terms = np.tile(np.array([0.5, 0.5], np.float32), (len(episodes.reward), 1))
    flat = replace(episodes, reward=terms.sum(axis=1), reward_terms=terms)
    return edited_table(flat, "total_reward", slice(None), 24)


@pytest.mark.parametrize(
    ("spoil", "caught_by"),
    [
        (lambda e: edited_features(e, (50, 2), np.nan), {"finite-values"}),
        (lambda e: edited_features(e, (50, 2), np.inf), {"finite-values", "feature-range"}),
        (lambda e: edited_features(e, (50, 2), 1.01), {"feature-range"}),
        (lambda e: edited_features(e, (50, 2), -0.01), {"feature-range"}),
        (lambda e: edited(e, "action", 50, 5), {"action-range", "action-mask"}),
        (lambda e: edited(e, "expert_action", 50, -1), {"action-range"}),
        (other_action, {"action-mask"}),
        (lambda e: edited(e, "truncated", 23, False), {"one-end"}),
        (lambda e: edited(e, "terminated", 7, True), {"one-end"}),
        (lambda e: edited(e, "terminated", 23, True), {"one-kind-of-end"}),
        (lambda e: edited_table(e, "episode_id", 3, e.table.episode_id[9]), {"unique-ids"}),
        (lambda e: edited_table(e, "success", slice(0, 40), False), {"success-rate"}),
        (lambda e: edited_table(e, "success", slice(None), False), {"success-rate"}),
        (lambda e: edited_table(e, "total_reward", 3, 99), {"reward-sums"}),
        (lambda e: edited(e, "reward_terms", (3, 0), 1.0), {"reward-sums"}),
        (lambda e: edited(e, "reward", 3, np.inf), {"finite-values", "reward-sums"}),
        (same_reward, {"reward-varies"}),
        (constant_action, {"majority-action", "action-coverage"}),
        (lambda e: replace(e, expert_action=np.where(e.action == 1, 2, e.action)), {"action-coverage"}),
        (lambda e: edited_table(e, "seed", 3, 8), {"seeds"}),
    ],
)
def test_a_planted_fault_is_caught_by_its_own_gate(
    spoil: Callable[[Episodes], Episodes],
    caught_by: set[str],
    walks: Episodes,
    gates: Gates,
) -> None:
    spoilt = spoil(walks)

    checks = gates(spoilt, heldout=walks.table.world % 5 == 0)

    assert broken(checks) == caught_by


def test_repeated_content_under_new_ids_is_caught(record: Callable[..., Episodes], gates: Gates) -> None:
    episodes = record([*range(239), 5])
    episodes = edited_table(episodes, "episode_id", 239, b"another")

    assert broken(gates(episodes)) == {"unique-content"}


def test_fewer_episodes_than_asked_for_are_caught(record: Callable[..., Episodes], gates: Gates) -> None:
    episodes = record(range(199))

    assert broken(gates(episodes)) == {"enough-episodes"}


@pytest.mark.parametrize(("border", "least"), [(200, 40), (30, 30)], ids=["the last block", "the first block"])
def test_the_smallest_block_decides_whether_there_are_enough_episodes(
    border: int, least: int, walks: Episodes, gates: Gates
) -> None:
    checks = gates(walks, first_worlds=(0, border))

    assert broken(checks) == {"enough-episodes"}  # 240 in all would be enough
    (line,) = [check for check in checks if check.name == "enough-episodes"]
    assert (line.measured, line.text) == (least, f"{least} episodes in the smallest of 2 blocks")


def test_a_block_that_lost_every_episode_fails_in_words(walks: Episodes, gates: Gates) -> None:
    checks = gates(walks, first_worlds=(0, 240))

    assert broken(checks) == {"enough-episodes", "split-sides"}
    text = "192 worlds to train, 48 held out; fewest worlds of a side in any of 2 blocks"
    assert text in [check.text for check in checks]


@pytest.mark.parametrize("side", [True, False], ids=["held out", "to train"])
def test_a_block_that_lies_on_one_side_of_the_split_is_caught_where_others_have_both(
    side: bool, record: Callable[..., Episodes], gates: Gates
) -> None:
    episodes = record(range(400))
    heldout = episodes.table.world % 5 == 0
    heldout[200:] = side

    assert broken(gates(episodes, heldout=heldout)) == set()
    assert broken(gates(episodes, heldout=heldout, first_worlds=(0, 200))) == {"split-sides"}


def test_agents_of_one_world_count_as_one_success_and_not_as_many(walks: Episodes, gates: Gates) -> None:
    crowd = edited_table(walks, "world", slice(None), np.arange(240) // 10)  # 24 worlds of ten agents
    crowd = edited_table(crowd, "agent", slice(None), np.arange(240) % 10)
    crowd = edited_table(crowd, "success", slice(None), True)

    checks = gates(crowd)

    line = next(check for check in checks if check.name == "success-rate")
    assert (line.n, line.passed, line.on_miss) == (24, False, HOLD)  # 24 of 24 do not show 0.90
    assert line.measured == pytest.approx(0.8987, abs=1e-4)


def test_a_constant_reward_may_be_allowed(walks: Episodes, gates: Gates) -> None:
    assert broken(gates(same_reward(walks), scenario={"constant_reward": True})) == set()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"recorded_sha256": "f" * 64}, "expert-hash"),
        ({"replayed": 19}, "replay-sample"),
        ({"differing": 1}, "replay-mismatches"),
        ({"seed": 8}, "seeds"),
        ({"heldout": np.zeros(240, bool)}, "split-sides"),
        ({"heldout": np.ones(240, bool)}, "split-sides"),
    ],
)
def test_a_dataset_that_is_not_from_where_it_says_fails(
    change: dict[str, Any], name: str, walks: Episodes, gates: Gates, subject: Subject
) -> None:
    checks = gates(walks, **change)

    assert broken(checks) == {name}
    assert judge(subject, checks, {}).outcome == FAIL


def test_a_gate_that_a_setting_can_cure_names_it_and_any_other_says_that_none_can(
    walks: Episodes, gates: Gates, subject: Subject
) -> None:
    names = {check.name for check in gates(with_estimates(walks))} | {
        "recorded-worlds",
        "index",
        "metrics",
        "split-rule",
        "manifest",
        "near-duplicates",
    }
    twice = edited_table(same_reward(walks), "episode_id", 1, walks.table.episode_id[0])
    verdict = judge(subject, gates(twice), {})

    assert CURES.keys() <= names
    assert cures(verdict, Scenario.model_construct(name="walk", expert=SCRIPTED), "walk").splitlines() == [
        f"  unique-ids: {NO_CURE}",
        f"  reward-varies: {CURES['reward-varies']}",
    ]
    assert "constant_reward: true" in CURES["reward-varies"]


def with_estimates(walks: Episodes) -> Episodes:
    """An expert that chooses between all allowed actions alike, so that slips change nothing; every state is worth 1."""
    assert walks.action_mask is not None
    log_prob = -np.log(walks.action_mask.sum(axis=1)).astype(np.float32)
    final = np.ones(len(walks.table.length), np.float32)
    return replace(walks, expert_log_prob=log_prob, expert_value=np.ones_like(walks.reward), final_value=final)


def test_what_the_expert_knows_is_finite_and_no_less_probable_than_a_slip(walks: Episodes, gates: Gates) -> None:
    sound = with_estimates(walks)
    assert broken(gates(sound, slip=0.2)) == set()
    assert {check.name for check in gates(sound, slip=0.2)} - {check.name for check in gates(walks)} == {"expert-log-prob"}
    assert walks.action_mask is not None
    least = float(np.log(0.2 / walks.action_mask[7].sum()))
    for column, value, gate in (
        ("expert_log_prob", 0.001, {"expert-log-prob"}),
        ("expert_log_prob", least - 0.001, {"expert-log-prob"}),
        ("expert_log_prob", least + 0.001, set()),
        ("expert_log_prob", np.nan, {"finite-values"}),
        ("expert_value", np.inf, {"finite-values"}),
        ("final_value", np.nan, {"finite-values"}),
    ):
        assert broken(gates(edited(sound, column, 7, value), slip=0.2)) == gate, (column, value)


def test_cures_of_a_recording_that_a_user_brings_ask_for_another_recording(
    walks: Episodes, gates: Gates, subject: Subject
) -> None:
    verdict = judge(subject, gates(walks, recorded_sha256="f" * 64, differing=1), {})
    recorded = Recorded(format="npz", path="demonstrations/walk.npz")
    brought = Scenario.model_construct(name="walk", expert=SCRIPTED, demonstrations=recorded)

    first, second = cures(verdict, brought, brought.name).splitlines()

    assert first == "  expert-hash: `dvc exp run -S 'scenarios=[walk]'`, which imports the recording as it is now"
    assert "some of these belong to another" in second


def test_cures_of_a_callable_and_of_one_choice_do_not_offer_what_cannot_help(
    walks: Episodes, gates: Gates, subject: Subject
) -> None:
    own = ExpertGate(policy="callable", call="experts.walk:act", success_rate=0.5, harm_rate=0.5)
    still = Scenario.model_construct(name="walk", expert=own)
    lines = cures(judge(subject, gates(constant_action(walks), differing=1), {}), still, still.name).splitlines()

    assert f"  majority-action: {ONE_CHOICE}" in lines  # no limit can be higher than 1
    assert f"  replay-mismatches: {REPEATABLE}" in lines


def test_a_world_on_both_sides_of_the_split_is_caught(walks: Episodes, gates: Gates) -> None:
    twice = edited_table(walks, "world", 1, 0)  # world 0 is held out, its second episode is not

    checks = gates(twice, heldout=walks.table.world % 5 == 0)

    assert broken(checks) == {"split-leak"}
    assert "[0]" in next(check.text for check in checks if check.name == "split-leak")


@pytest.mark.parametrize(
    ("fault", "without_replay"),
    [
        ("next", {"observation-repeats"}),
        ("stale", {"observation-repeats"}),
        ("reset", set()),
        ("previous", set()),
    ],
)
def test_a_recorder_that_is_a_step_off_is_caught_by_replay_and_if_it_repeats_a_row_also_without_it(
    fault: str,
    without_replay: set[str],
    record: Callable[..., Episodes],
    replay: Callable[[Episodes], tuple[int, int]],
    gates: Gates,
) -> None:
    episodes = record(fault=fault)
    replayed, mismatches = replay(episodes)

    without = broken(gates(episodes))
    with_replay = broken(gates(episodes, replayed=replayed, differing=mismatches))

    assert without == without_replay
    assert with_replay == {*without_replay, "replay-mismatches"}


def test_an_aligned_recorder_replays_without_a_mismatch(walks: Episodes, replay: Callable[[Episodes], tuple[int, int]]) -> None:
    assert replay(walks) == (20, 0)


def test_a_world_in_which_nothing_moves_is_not_taken_for_a_broken_recorder(walks: Episodes, gates: Gates) -> None:
    features = np.repeat(walks.final_observation["features"], 24, axis=0)

    checks = gates(replace(walks, observation={"features": features}))

    assert "observation-repeats" not in broken(checks)


def test_a_scenario_that_names_an_unknown_action_is_refused(walks: Episodes, gates: Gates) -> None:
    with pytest.raises(InputError, match=r"walk.yaml, min_action_share: no action \['fly'\]; there are wait, north"):
        gates(walks, scenario={"min_action_share": {"fly": 0.1}})


def continuous(walks: Episodes) -> tuple[Episodes, ObservationSchema]:
    steering = np.random.default_rng(1).uniform(-1, 1, (len(walks.action), 2)).astype(np.float32)
    walk_schema = ObservationSchema(
        world="drive",
        features=("y", "x", "goal_y", "goal_x", "progress", "beacon"),
        action_low=(-1.0, -1.0),
        action_high=(1.0, 1.0),
        reward_terms=("step", "visit"),
    )
    return replace(walks, action=steering, expert_action=steering.copy(), action_mask=None), walk_schema


def test_continuous_actions_are_held_to_their_bounds_and_may_not_be_one_and_the_same(walks: Episodes, gates: Gates) -> None:
    episodes, schema = continuous(walks)
    setting: dict[str, Any] = {"schema": schema, "scenario": {"min_action_share": {}}}
    still = np.zeros_like(episodes.action)

    assert broken(gates(episodes, **setting)) == set()
    assert broken(gates(edited(episodes, "action", (9, 1), 1.5), **setting)) == {"action-range"}
    assert broken(gates(replace(episodes, action=still, expert_action=still), **setting)) == {"majority-action"}


UNLIMITED = {"feature_range": None}  # of a world that is neither town nor nav
BOX = np.array([[0.0] * 6, [1.0] * 5 + [np.inf]])  # the last feature has no upper bound


@pytest.mark.parametrize(
    ("value", "bounds", "passes"),
    [
        (1.0, BOX, True),
        (1.01, BOX, False),  # beyond the bound of its space
        (1.01, None, True),  # a space without bounds: far from the median is what lies beyond 1,000 interquartile ranges
        (1e5, None, False),
        (-1e5, None, False),
    ],
)
def test_without_a_range_in_the_scenario_features_keep_to_their_space_and_to_the_rest_of_the_recording(
    walks: Episodes, gates: Gates, value: float, bounds: Any, passes: bool
) -> None:
    (check,) = [
        check
        for check in gates(edited_features(walks, (50, 2), value), scenario=UNLIMITED, bounds=bounds)
        if check.name == "feature-range"
    ]
    assert check.passed is passes
    assert passes or check.text.endswith("or, without, of the recording: goal_y 1")


def test_a_feature_that_is_mostly_at_rest_may_move(walks: Episodes, gates: Gates) -> None:
    rare = replace(walks, observation=walks.observation | {"features": walks.observation["features"].copy()})
    rare.observation["features"][:, 5] = 0.0
    rare.observation["features"][::9, 5] = 300.0
    (check,) = [check for check in gates(rare, scenario=UNLIMITED) if check.name == "feature-range"]
    assert check.passed
