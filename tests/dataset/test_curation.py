"""Curation rules by planted rows, the index of episodes against its golden text, and the split."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.curation import RECORD, SCENARIOS, table
from benchmarks.curation import RULES as TRIED
from tests.dataset.small import SCHEMA, two_episodes

from headstart.config.params import CurateParams, load_params
from headstart.core.strict_json import parse_json
from headstart.dataset.curation import COMMON, broken_rules, judged, repeats_earlier, split_by_world, write_index
from headstart.dataset.episodes import Episodes, EpisodeTable
from headstart.dataset.metrics import forbidden, metrics_of
from headstart.dataset.observation import ObservationSchema

ROOT = Path(__file__).parents[2]
RULES = CurateParams(
    min_steps=1, require_success=False, reject_harm=False, max_blocked_share=0.5, max_return_drop=6.0, heldout_share=0.2, seed=0
)
GOLDEN_SPLIT = [1, 5, 7, 14, 17, 33, 34]  # worlds held out of 40


def reject_reasons(episodes: Episodes, rules: CurateParams, schema: ObservationSchema = SCHEMA) -> list[list[str]]:
    return judged(episodes, rules, metrics_of(episodes, schema)).reasons


@pytest.mark.parametrize("action", [-1, 3])
def test_an_action_outside_the_vocabulary_is_a_violation(action: int) -> None:
    episodes = replace(two_episodes(), action=np.array([0, 0, 1, 1, action, 1]))

    assert np.flatnonzero(forbidden(episodes)).tolist() == [4]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, [["constraint-violation"], []]),
        ({"min_steps": 3}, [["constraint-violation"], ["too-short"]]),
        ({"min_return": -2.0}, [["constraint-violation"], []]),
        ({"min_return": 0.0}, [["constraint-violation"], ["low-return"]]),
        ({"reject_harm": True}, [["constraint-violation"], ["harm"]]),
        ({"require_success": True}, [["constraint-violation"], ["no-success"]]),
        ({"reject_violations": False}, [[], []]),
        (
            {"min_steps": 10, "min_return": 0.0, "reject_harm": True, "require_success": True},
            [["too-short", "constraint-violation"], ["too-short", "low-return", "harm", "no-success"]],
        ),
    ],
)
def test_each_rule_rejects_what_breaks_it_and_all_reasons_are_listed(rules: dict[str, Any], expected: list[list[str]]) -> None:
    assert reject_reasons(two_episodes(), RULES.model_copy(update=rules)) == expected


def test_without_masks_no_action_is_forbidden() -> None:
    reals = np.zeros((6, 2), np.float32)
    continuous = replace(two_episodes(), action=reals, expert_action=reals, action_mask=None)

    bounds = {"actions": (), "action_low": (-1.0, -1.0), "action_high": (1.0, 1.0)}
    assert reject_reasons(continuous, RULES, SCHEMA.model_copy(update=bounds)) == [[], []]


@pytest.mark.parametrize("column", ["features", "final", "reward"])
def test_an_episode_that_holds_nan_is_rejected_and_its_neighbour_is_not(column: str) -> None:
    episodes = two_episodes()
    {
        "features": episodes.observation["features"][5],
        "final": episodes.final_observation["features"][1],
        "reward": episodes.reward[5:],
    }[column][:] = np.nan

    reasons = reject_reasons(episodes, RULES)

    assert reasons[0] == ["constraint-violation"]
    assert "not-finite" in reasons[1]


def test_a_return_that_is_not_a_number_is_low() -> None:
    episodes = two_episodes()
    episodes.reward[5] = np.nan

    assert "low-return" in reject_reasons(episodes, RULES.model_copy(update={"min_return": -100.0}))[1]


def test_of_episodes_with_the_same_content_the_first_is_kept_whatever_their_ids(
    record: Callable[..., Episodes], schema: ObservationSchema
) -> None:
    episodes = record([3, 1, 3, 2, 3])

    assert len(set(episodes.table.episode_id.tolist())) == 3
    assert repeats_earlier(episodes).tolist() == [False, False, True, False, True]
    assert reject_reasons(episodes, RULES, schema) == [[], [], ["duplicate"], [], ["duplicate"]]
    assert reject_reasons(episodes, RULES.model_copy(update={"reject_duplicates": False}), schema) == [[]] * 5


def varied(count: int = 120, steps: int = 40, actions: int = 3, features: int = 2) -> Episodes:
    """Episodes that no rule rejects: of random actions, rewards and observations, one a world."""
    rng, ends = np.random.default_rng(0), np.zeros(count * steps, bool)
    ends[steps - 1 :: steps] = True
    zeros, action = np.zeros(count, np.int64), rng.integers(0, actions, count * steps)
    reward = rng.normal(size=count * steps).astype(np.float32)
    return Episodes(
        observation={"features": rng.random((count * steps, features), np.float32)},
        action=action,
        expert_action=action.copy(),
        action_mask=np.ones((count * steps, actions), bool),
        reward=reward,
        reward_terms=reward[:, None].copy(),
        terminated=ends,
        truncated=np.zeros_like(ends),
        final_observation={"features": rng.random((count, features), np.float32)},
        table=EpisodeTable(
            episode_id=np.arange(count).astype("S16"),
            start=np.arange(count) * steps,
            length=np.full(count, steps),
            seed=zeros,
            world=np.arange(count),
            episode=zeros,
            agent=zeros,
            total_reward=reward.reshape(count, steps).sum(axis=1),
            success=np.ones(count, bool),
            harm=np.zeros(count, bool),
            behaviour={},
        ),
    )


def rows(e: int) -> slice:
    return slice(40 * e, 40 * e + 40)


def plant(episodes: Episodes, code: str, e: int) -> None:
    """A fault in one episode."""
    features = episodes.observation["features"]
    match code:
        case "near-duplicate":
            for column in (features, episodes.action, episodes.expert_action, episodes.reward, episodes.reward_terms):
                column[rows(e)] = column[rows(e - 1)]
            episodes.table.total_reward[e] = episodes.table.total_reward[e - 1]
            features[rows(e)] += 1e-6
        case "one-action":
            episodes.action[rows(e)] = 1
        case "blocked":
            features[rows(e)][:30] = features[40 * e]
        case "low-outlier":
            episodes.reward[rows(e)] -= 10


PLANTED = {
    "near-duplicate": {"reject_near_duplicates": False},
    "one-action": {"reject_one_action": False},
    "blocked": {"max_blocked_share": None},
    "low-outlier": {"max_return_drop": None},
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_fault_breaks_its_rule_alone_and_none_where_the_rule_is_off(code: str) -> None:
    episodes = varied()
    plant(episodes, code, 7)

    assert reject_reasons(episodes, RULES) == [[code] if e == 7 else [] for e in range(120)]
    assert not any(reject_reasons(episodes, RULES.model_copy(update=PLANTED[code])))


@pytest.mark.parametrize("code", ["one-action", "blocked", "low-outlier"])
def test_behaviour_that_more_than_a_few_episodes_show_is_the_tasks_and_is_said(code: str) -> None:
    episodes = varied()
    for e in (3, 7, 11):
        plant(episodes, code, e)
    found = judged(episodes, RULES, metrics_of(episodes, SCHEMA))

    assert COMMON * 120 < 3
    assert (found.spared, any(found.reasons)) == ({code: 3}, False)


def test_of_episodes_that_are_alike_in_a_chain_one_is_kept() -> None:
    episodes = varied()
    for e in (7, 8, 9):
        plant(episodes, "near-duplicate", e)

    assert [e for e, why in enumerate(reject_reasons(episodes, RULES)) if why] == [7, 8, 9]


def test_episodes_that_differ_in_one_observation_only_are_not_duplicates(
    record: Callable[..., Episodes],
) -> None:
    episodes = record([3, 3])
    episodes.observation["features"][30, 5] += 0.001

    assert repeats_earlier(episodes).tolist() == [False, False]


def test_the_index_has_the_golden_text(tmp_path: Path) -> None:
    write_index(tmp_path / "i.tsv", two_episodes().table, np.array([True, False]), [[], ["too-short", "no-success"]])

    assert (tmp_path / "i.tsv").read_text() == (
        "# episode-index/1\n"
        "episode_id\tseed\tworld\tepisode\tagent\tlength\ttotal_reward\tsuccess\tharm\taccepted\tsplit\treasons\n"
        "a\t1\t0\t0\t0\t4\t10.0\ttrue\tfalse\ttrue\theldout\t\n"
        "b\t1\t1\t0\t0\t2\t-2.0\tfalse\ttrue\tfalse\tnone\ttoo-short,no-success\n"
    )


def test_the_split_follows_from_world_and_seed_alone() -> None:
    many, few = np.arange(10_000), np.arange(0, 10_000, 7)

    heldout = split_by_world(many, 0.2, seed=3)

    assert heldout.mean() == pytest.approx(0.2, abs=0.015)
    assert np.array_equal(split_by_world(few, 0.2, seed=3), heldout[few])
    assert not np.array_equal(split_by_world(many, 0.2, seed=4), heldout)


def test_the_split_is_the_same_on_every_machine_and_day() -> None:
    assert np.flatnonzero(split_by_world(np.arange(40), 0.2, seed=0)).tolist() == GOLDEN_SPLIT


def test_all_episodes_of_a_world_fall_on_one_side() -> None:
    worlds = np.repeat(np.arange(50), 4)[np.random.default_rng(0).permutation(200)]

    heldout = split_by_world(worlds, 0.3, seed=1)

    for world in range(50):
        assert len(set(heldout[worlds == world].tolist())) == 1


@pytest.mark.parametrize("share", [0.001, 0.999])
@pytest.mark.parametrize("seed", range(20))
def test_two_worlds_or_more_always_have_both_sides(share: float, seed: int) -> None:
    heldout = split_by_world(np.array([4, 9, 4]), share, seed)

    assert heldout.any()
    assert not heldout.all()


def test_four_thousand_episodes_of_128_steps_are_judged_within_a_second() -> None:
    k, f = 15, 60
    episodes = varied(4000, 128, k, f)

    began = time.process_time()
    names = {"features": tuple(map(str, range(f))), "actions": tuple(map(str, range(k)))}
    reasons = reject_reasons(episodes, RULES, SCHEMA.model_copy(update=names))

    assert time.process_time() - began < 1.0
    assert not any(reasons)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_docs_show_what_was_measured_of_every_rule(scenario: str) -> None:
    record = parse_json(RECORD.read_bytes(), str(RECORD))[scenario]
    docs = (ROOT / "docs/data.md").read_text()

    assert list(record) == sorted(TRIED)
    assert "\n".join(table({rule: record[rule] for rule in TRIED})) in docs


def test_docs_list_every_rule_with_its_key_and_default() -> None:
    docs = (ROOT / "docs/data.md").read_text()
    settings = load_params(ROOT / "params.yaml").curate
    for key in CurateParams.model_fields.keys() - {"heldout_share", "seed"}:
        default = {None: "null", True: "true", False: "false"}.get(getattr(settings, key), getattr(settings, key))
        assert f"| `{key}` | {10 if key == 'min_steps' else default} |" in docs
    for code in judged_codes():
        assert f"| `{code}` |" in docs


def judged_codes() -> list[str]:
    episodes = two_episodes()
    return list(broken_rules(episodes, RULES, metrics_of(episodes, SCHEMA)))
