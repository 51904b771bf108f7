"""Every gate by a planted fault: the fault is caught by its own gate, and sound data pass all of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.core.verdict import Check, Outcome, Subject, judge
from headstart.dataset.episodes import Episodes
from headstart.dataset.facts import DatasetFacts, DatasetLimits
from headstart.dataset.gates import CONTENT_GATES, dataset_gates, gate_name
from headstart.dataset.observation import ObservationSchema

PASS, HOLD, FAIL = Outcome.PASS, Outcome.HOLD, Outcome.FAIL
Facts = Callable[..., DatasetFacts]


def broken(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_a_sound_dataset_passes_every_gate(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts, subject: Subject
) -> None:
    checks = dataset_gates(walks, walk_schema, facts(walks), limits)

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
        (
            lambda e: replace(e, table=replace(e.table, behaviour={"visits": np.zeros(240, np.int32)})),
            {"behaviour-coverage"},
        ),
        (lambda e: replace(e, table=replace(e.table, behaviour={})), {"behaviour-coverage"}),
        (lambda e: edited_table(e, "seed", 3, 8), {"seeds"}),
    ],
)
def test_a_planted_fault_is_caught_by_its_own_gate(
    spoil: Callable[[Episodes], Episodes],
    caught_by: set[str],
    walks: Episodes,
    walk_schema: ObservationSchema,
    limits: DatasetLimits,
    facts: Facts,
) -> None:
    spoilt = spoil(walks)

    checks = dataset_gates(spoilt, walk_schema, facts(walks), limits)

    # A NaN or infinity leaves the statistics of alignment unmeasured, and they say so.
    assert broken(checks) - {"observation-repeats", "observation-leaps"} == caught_by


def test_repeated_content_under_new_ids_is_caught(
    record: Callable[..., Episodes], walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    episodes = record([*range(239), 5])
    episodes = edited_table(episodes, "episode_id", 239, b"another")

    assert broken(dataset_gates(episodes, walk_schema, facts(episodes), limits)) == {"unique-content"}


def test_fewer_episodes_than_asked_for_are_caught(
    record: Callable[..., Episodes], walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    episodes = record(range(199))

    assert broken(dataset_gates(episodes, walk_schema, facts(episodes), limits)) == {"enough-episodes"}


def test_agents_of_one_world_count_as_one_success_and_not_as_many(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    crowd = edited_table(walks, "world", slice(None), np.arange(240) // 10)  # 24 worlds of ten agents
    crowd = edited_table(crowd, "agent", slice(None), np.arange(240) % 10)
    crowd = edited_table(crowd, "success", slice(None), True)

    checks = dataset_gates(crowd, walk_schema, facts(crowd), limits)

    line = next(check for check in checks if check.name == "success-rate")
    assert (line.n, line.passed, line.on_miss) == (24, False, HOLD)  # 24 of 24 do not show 0.90
    assert line.measured == pytest.approx(0.8987, abs=1e-4)


def test_a_reward_at_its_clip_bound_is_saturated_and_a_constant_one_may_be_allowed(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    clipped = limits.model_copy(update={"reward_clip": (-0.01, 5.0)})  # all steps without a visit
    allowed = limits.model_copy(update={"constant_reward": True})

    assert broken(dataset_gates(walks, walk_schema, facts(walks), clipped)) == {"reward-saturation"}
    assert broken(dataset_gates(same_reward(walks), walk_schema, facts(walks), allowed)) == set()


@pytest.mark.parametrize(
    ("change", "name", "outcome"),
    [
        ({"expert_approved": False}, "expert-approved", FAIL),
        ({"expert_approved": None}, "expert-approved", HOLD),
        ({"recorded_expert_sha256": "f" * 64}, "expert-hash", FAIL),
        ({"recorded_expert_sha256": None}, "expert-hash", HOLD),
        ({"expert_sha256": None}, "expert-hash", HOLD),
        ({"replayed_episodes": 19}, "replay-sample", FAIL),
        ({"replayed_episodes": None}, "replay-sample", HOLD),
        ({"replay_mismatches": 1}, "replay-mismatches", FAIL),
        ({"replay_mismatches": None}, "replay-mismatches", HOLD),
        ({"requested_seeds": (7, 8)}, "seeds", FAIL),
        ({"requested_seeds": None}, "seeds", HOLD),
        ({"heldout": None}, "split-leak", HOLD),
        ({"heldout": np.zeros(3, bool)}, "split-leak", HOLD),
        ({"heldout": np.zeros(240, bool)}, "split-sides", FAIL),
        ({"heldout": np.ones(240, bool)}, "split-sides", FAIL),
    ],
)
def test_a_fact_that_contradicts_fails_and_one_that_is_missing_holds(
    change: dict[str, Any],
    name: str,
    outcome: Outcome,
    walks: Episodes,
    walk_schema: ObservationSchema,
    limits: DatasetLimits,
    facts: Facts,
    subject: Subject,
) -> None:
    checks = dataset_gates(walks, walk_schema, facts(walks, **change), limits)

    assert broken(checks) == {name}
    assert judge(subject, checks, {}).outcome == outcome


def test_a_world_on_both_sides_of_the_split_is_caught(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    twice = edited_table(walks, "world", 1, 0)  # world 0 is held out, its second episode is not
    given = facts(twice, heldout=walks.table.world % 5 == 0)

    checks = dataset_gates(twice, walk_schema, given, limits)

    assert broken(checks) == {"split-leak"}
    assert "(7, 0)" in next(check.text for check in checks if check.name == "split-leak")


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ("next", "observation-repeats"),
        ("stale", "observation-repeats"),
        ("reset", "observation-leaps"),
        ("previous", "observation-leaps"),
    ],
)
def test_a_recorder_that_is_a_step_off_is_caught_by_replay_and_also_without_it(
    fault: str,
    sign: str,
    record: Callable[..., Episodes],
    replay: Callable[[Episodes], tuple[int, int]],
    walk_schema: ObservationSchema,
    limits: DatasetLimits,
    facts: Facts,
) -> None:
    episodes = record(fault=fault)
    replayed, mismatches = replay(episodes)

    without = broken(dataset_gates(episodes, walk_schema, facts(episodes), limits))
    given = facts(episodes, replayed_episodes=replayed, replay_mismatches=mismatches)
    with_replay = broken(dataset_gates(episodes, walk_schema, given, limits))

    assert without == {sign}
    assert with_replay == {sign, "replay-mismatches"}


def test_an_aligned_recorder_replays_without_a_mismatch(walks: Episodes, replay: Callable[[Episodes], tuple[int, int]]) -> None:
    assert replay(walks) == (20, 0)


def test_a_world_in_which_nothing_moves_is_not_taken_for_a_broken_recorder(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    features = np.repeat(walks.final_observation["features"], 24, axis=0)

    checks = dataset_gates(replace(walks, observation={"features": features}), walk_schema, facts(walks), limits)

    assert "observation-repeats" not in broken(checks)


def test_a_broken_structure_is_listed_and_the_contents_are_called_unmeasured(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts, subject: Subject
) -> None:
    spoilt = replace(walks, reward=walks.reward[:-1], action=walks.action.astype(np.int32))

    checks = dataset_gates(spoilt, walk_schema, facts(walks, replay_mismatches=3), limits)

    unmeasured = {gate_name(gate) for gate in CONTENT_GATES}
    assert broken(checks) == {"length-alignment", "dtype-shape", "replay-mismatches"} | unmeasured
    assert judge(subject, checks, {}).outcome == FAIL


def test_gates_report_under_their_own_names(
    walks: Episodes, walk_schema: ObservationSchema, limits: DatasetLimits, facts: Facts
) -> None:
    clipped = limits.model_copy(update={"reward_clip": (-9.0, 9.0)})

    names = [check.name for check in dataset_gates(walks, walk_schema, facts(walks), clipped)]

    assert names[3 : 3 + len(CONTENT_GATES)] == [gate_name(gate) for gate in CONTENT_GATES]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action_share_min": {"fly": 0.1}}, r"actions \['fly'\]; .* wait, north"),
        ({"feature_ranges": {"z": (0.0, 1.0)}}, r"features \['z'\]; .* y, x"),
    ],
)
def test_limits_that_name_what_the_schema_lacks_are_refused(
    change: dict[str, Any],
    message: str,
    walks: Episodes,
    walk_schema: ObservationSchema,
    limits: DatasetLimits,
    facts: Facts,
) -> None:
    with pytest.raises(InputError, match=message):
        dataset_gates(walks, walk_schema, facts(walks), limits.model_copy(update=change))


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


def test_continuous_actions_are_held_to_their_bounds_and_may_not_be_one_and_the_same(
    walks: Episodes, limits: DatasetLimits, facts: Facts
) -> None:
    episodes, walk_schema = continuous(walks)
    limits = limits.model_copy(update={"action_share_min": {}})
    still = np.zeros_like(episodes.action)

    assert broken(dataset_gates(episodes, walk_schema, facts(walks), limits)) == set()
    outside = edited(episodes, "action", (9, 1), 1.5)
    assert broken(dataset_gates(outside, walk_schema, facts(walks), limits)) == {"action-range"}
    constant = replace(episodes, action=still, expert_action=still)
    assert broken(dataset_gates(constant, walk_schema, facts(walks), limits)) == {"majority-action"}
