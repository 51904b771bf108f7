"""Targets from an expert's level: standard errors by hand, the rule, the scenario file and the history."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from headstart.compare.arm_runs import Score
from headstart.compare.target import meets
from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import Scenario, Target, load_scenario
from headstart.core.errors import InputError
from headstart.core.files import write_record
from headstart.learn.evaluation import play_episodes
from headstart.runs.expert import expert_folder, expert_of
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.policy import new_network, save_policy
from headstart.runs.targets import (
    HISTORY,
    Level,
    Measured,
    WrittenTargets,
    add_entry,
    averaged,
    level_of,
    mean_of,
    measure,
    rate_of,
    read_history,
    runs_seen,
    targets_from,
    with_targets,
)
from headstart.runs.worlds import design_of, score_of, worlds_of
from headstart.worlds.api import Played, play

ROOT = Path(__file__).parents[2]
WHEN = "2030-01-01T00:00:00.000Z"


ROBOT = load_scenario("nav_gap_seeker", ROOT / "scenarios").model_dump()
ALL = {"success_rate": 0.5, "harm_rate": 0.5, "return_mean": 0.0, "measures": {"stl_bp": 1}}  # names every quantity


def scenario_with(**targets: dict[str, Any]) -> Scenario:
    return Scenario.model_validate(ROBOT | {"targets": targets})


def level(success: Measured, harm: Measured, returns: Measured, stl: Measured) -> Level:
    return Level(success_rate=success, harm_rate=harm, return_mean=returns, measures={"stl_bp": stl})


def at(mean: float, error: float) -> Measured:
    return Measured(mean=mean, standard_error=error)


SHOWN = level(at(0.9775, 0.0047), at(0.0176, 0.0042), at(1.6998, 0.0044), at(6725.6, 54.4))


# --- the level ------------------------------------------------------------------------------------------------------------


def test_a_standard_error_is_that_over_worlds_and_a_world_is_the_mean_of_its_agents() -> None:
    scenario = scenario_with(expert_level={"success_rate": 0.9})
    stats = np.array([[[9, 2], [9, 4]], [[9, 3], [9, 7]], [[9, 7], [9, 7]]])  # [W, A, S]: worlds show 3, 5 and 7
    played = Played(np.array([True, True, False]), np.array([False, True, False]), np.array([1.0, 2.0, 6.0]), stats)

    found = level_of(played, ("other", "stl_bp"), scenario)

    assert pair(found.return_mean) == pytest.approx((3, math.sqrt(7 / 3)))  # deviations −2, −1, 3: s² = 14 / 2
    assert pair(found.measures["stl_bp"]) == pytest.approx((5, 2 / math.sqrt(3)))
    assert pair(found.success_rate) == pytest.approx((2 / 3, math.sqrt(0.6 * 0.4 / 3)))  # p = (2 + 1) / (3 + 2)
    assert pair(found.harm_rate) == pytest.approx((1 / 3, math.sqrt(0.4 * 0.6 / 3)))


def pair(of: Measured) -> tuple[float, float]:
    return of.mean, of.standard_error


def test_a_rate_of_one_has_a_standard_error_above_zero() -> None:
    assert pair(rate_of(np.ones(98, bool))) == pytest.approx((1, math.sqrt(0.99 * 0.01 / 98)))


def test_one_world_has_no_standard_error() -> None:
    one = Played(np.ones(1, bool), np.zeros(1, bool), np.ones(1), np.ones((1, 1, 1)))
    with pytest.raises(InputError, match="at least 2, for a standard error over worlds, got 1"):
        level_of(one, ("stl_bp",), scenario_with(expert_level={"success_rate": 0.9}))


# --- the rule -------------------------------------------------------------------------------------------------------------


def test_the_expert_level_is_one_standard_error_off_and_rounded_away_from_the_expert() -> None:
    found = targets_from(SHOWN, scenario_with(expert_level=ALL))["expert_level"]

    assert (found.success_rate, found.harm_rate) == (0.97, 0.03)  # 0.9728 and 0.0218
    assert (found.return_mean, found.measures) == (1.69, {"stl_bp": 6670})  # 1.6954 and 6671.2


def test_beyond_the_expert_raises_the_return_and_holds_the_rest() -> None:
    found = targets_from(SHOWN, scenario_with(beyond_expert=ALL))["beyond_expert"]

    assert (found.success_rate, found.harm_rate) == (0.97, 0.03)
    assert (found.return_mean, found.measures) == (1.75, {"stl_bp": 6670})  # 1.6998 · 1.025 = 1.7423


def test_beyond_the_expert_raises_the_measures_where_no_return_is_named() -> None:
    found = targets_from(SHOWN, scenario_with(beyond_expert={"success_rate": 0.5, "measures": {"stl_bp": 1}}))
    assert found["beyond_expert"].measures == {"stl_bp": 6900}  # 6725.6 · 1.025 = 6893.7


@pytest.mark.parametrize(
    ("mean", "error", "limit"),
    [
        (2.0, 0.01, 2.05),
        (2.0, 0.04, 2.08),  # two standard errors are more than 2.5 %
        (-2.0, 0.01, -1.95),
        (0.0, 0.02, 0.04),
    ],
)
def test_beyond_the_expert_is_above_the_expert_wherever_zero_lies(mean: float, error: float, limit: float) -> None:
    shown = SHOWN.model_copy(update={"return_mean": at(mean, error)})
    found = targets_from(shown, scenario_with(beyond_expert={"success_rate": 0.5, "return_mean": 0.0}))
    assert found["beyond_expert"].return_mean == limit


@pytest.mark.parametrize(
    ("mean", "limit"),
    [(1.15, 1.15), (0.29, 0.29), (1.1499, 1.14), (-1.145, -1.15), (249.871, 249.87)],
)
def test_a_return_is_rounded_in_decimals(mean: float, limit: float) -> None:
    shown = SHOWN.model_copy(update={"return_mean": at(mean, 0.0)})
    found = targets_from(shown, scenario_with(expert_level={"success_rate": 0.5, "return_mean": 0.0}))
    assert found["expert_level"].return_mean == limit


@pytest.mark.parametrize(("mean", "limit"), [(1912.8, 1910), (1.998, 1.99), (0.01234, 0.0123), (0.0, 0.0), (-1234.0, -1240)])
def test_a_measure_has_three_significant_digits(mean: float, limit: float) -> None:
    shown = SHOWN.model_copy(update={"measures": {"stl_bp": at(mean, 0.0)}})
    found = targets_from(shown, scenario_with(expert_level={"success_rate": 0.5, "measures": {"stl_bp": 1}}))
    assert found["expert_level"].measures == {"stl_bp": limit}


def test_what_the_file_does_not_name_is_not_written_and_the_rest_of_a_target_stays() -> None:
    scenario = scenario_with(
        expert_level={"success_rate": 0.5, "consecutive": 3, "mode": "deterministic"}, solved={"success_rate": 1.0}
    )
    found = targets_from(SHOWN, scenario)
    assert found == {"expert_level": Target(name="expert_level", success_rate=0.97, consecutive=3, mode="deterministic")}


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"solved": {"success_rate": 0.9}}, "targets: expected expert_level or beyond_expert, whose values .*, got solved"),
        ({"beyond_expert": {"success_rate": 0.9}}, "targets.beyond_expert: expected return_mean or measures"),
    ],
)
def test_targets_that_cannot_follow_from_an_expert_are_refused(targets: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        targets_from(SHOWN, scenario_with(**targets))


def test_an_expert_that_hardly_succeeds_gives_no_target() -> None:
    shown = SHOWN.model_copy(update={"success_rate": at(0.01, 0.01)})
    with pytest.raises(InputError, match=r"expected an expert that succeeds, got a success rate of 0.0100"):
        targets_from(shown, scenario_with(expert_level={"success_rate": 0.9}))


def test_a_limit_of_harm_is_at_most_one() -> None:
    shown = SHOWN.model_copy(update={"harm_rate": at(1.0, 0.01)})
    assert targets_from(shown, scenario_with(expert_level=ALL))["expert_level"].harm_rate == 1.0


numbers = st.floats(-1000, 1000)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), numbers, st.integers(0, 10_000)), min_size=2, max_size=50))
def test_an_expert_meets_its_own_level_and_not_what_lies_beyond(worlds: list[tuple[int, bool, float, int]]) -> None:
    success, harm, returns, stl = (np.array(column) for column in zip(*worlds, strict=True))
    success[:2] = 1  # of ten worlds, nine succeed, and two at least
    played = Played(success > 0, harm.astype(bool), returns.astype(float), stl[:, None, None])
    scenario = scenario_with(expert_level=ALL, beyond_expert=ALL)
    found = targets_from(level_of(played, ("stl_bp",), scenario), scenario)
    score = Score(
        episodes=len(success),
        success=int((success > 0).sum()),
        harm=int(harm.sum()),
        return_mean=float(played.total_reward.mean()),
        return_sd=float(played.total_reward.std()),
        measures={"stl_bp": float(played.stats.mean())},
    )

    assert meets(score, found["expert_level"])
    assert found["beyond_expert"].return_mean is not None
    assert found["beyond_expert"].return_mean >= score.return_mean + 2 * mean_of(played.total_reward).standard_error


# --- a scenario -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def queue() -> tuple[Params, Scenario, WrittenTargets]:
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    params = for_scenario(load_params(ROOT / "params.yaml"), scenario)
    return params, scenario, measure(params, scenario, WHEN, None)


def test_the_script_meets_its_expert_level_on_the_evaluation_worlds(queue: tuple[Params, Scenario, WrittenTargets]) -> None:
    params, scenario, written = queue
    world = worlds_of(scenario, "evaluation", params.evaluation.worlds, params.capture.observation)
    score = score_of(play(world, expert_of(scenario, world), params.evaluation.seed), world, scenario)

    assert meets(score, written.targets["expert_level"])
    assert not meets(score, written.targets["expert_level"].model_copy(update={"return_mean": 1.70}))  # rounded to the nearest
    assert not meets(score, written.targets["beyond_expert"])


def test_several_experts_have_the_level_of_the_average_one_with_the_standard_errors_of_one() -> None:
    one, other = (
        Level(
            success_rate=Measured(mean=rate, standard_error=0.3),
            harm_rate=Measured(mean=1 - rate, standard_error=error),
            return_mean=Measured(mean=2.0, standard_error=0.0),
            measures={"stl_bp": Measured(mean=1000 * error, standard_error=error)},
        )
        for rate, error in ((0.9, 3.0), (0.7, 4.0))
    )

    found = averaged([one, other])

    assert (found.success_rate.mean, found.success_rate.standard_error) == pytest.approx((0.8, 0.3))
    assert (found.harm_rate.mean, found.harm_rate.standard_error) == pytest.approx((0.2, math.sqrt(12.5)))
    assert found.return_mean == Measured(mean=2.0, standard_error=0.0)
    assert found.measures["stl_bp"].mean == 3500
    assert averaged([one]) == one


def test_a_learned_expert_acts_with_its_network_and_is_named_by_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_score: Callable[..., Score]
) -> None:
    scenario = load_scenario("cartpole", ROOT / "scenarios")
    learned = {"policy": "ppo", "success_rate": 0.7, "harm_rate": 0.05}
    shown_by_random_weights = {
        "success": ["every return >= 9"],
        "targets": {"expert_level": {"success_rate": 0.9, "return_mean": 9}},
    }
    scenario = Scenario.model_validate(scenario.model_dump() | {"expert": learned} | shown_by_random_weights)
    params = changed(for_scenario(load_params(ROOT / "params.yaml"), scenario), {"evaluation": {"worlds": 16}}, "test")
    world = worlds_of(scenario, "evaluation", 16)
    network = new_network(world, params.network, 7)
    monkeypatch.chdir(tmp_path)
    folder = expert_folder(scenario)
    about = {"kind": "expert", "scenario": "cartpole", "arm": "expert", "seed": 7, "env_steps": 0, "lineage": {}}
    weights = save_policy(folder / "seed-7", network, params.network, world, about).weights_sha256
    shown = make_score(100)
    seed = {"seed": 7, "env_steps": 0, "stopped": "budget", "selection": shown, "score": shown, "weights_sha256": weights}
    judged = {"kind": "ppo", "world": "gym", "scenario": "cartpole", "scenario_sha256": scenario.sha256, "seed": 100}
    approved = {
        "policy_sha256": weights,
        "score": shown,
        "seeds": [seed],
        "recorded": [7],
        "state": "approved",
        "diagnostics": (),
    }
    write_record(folder / "expert.json", ExpertPolicy(**judged | approved))

    written = measure(params, scenario, WHEN, None)

    played = play_episodes(network, world, params.evaluation.seed, "deterministic")
    assert written.policy_sha256 == weights
    assert written.expert.return_mean == mean_of(played.total_reward)


def test_the_file_of_the_default_scenario_says_what_its_expert_shows(queue: tuple[Params, Scenario, WrittenTargets]) -> None:
    _, scenario, written = queue
    assert scenario.targets == written.targets


@pytest.mark.parametrize("name", sorted({entry.scenario for entry in read_history(ROOT / HISTORY).entries}))
def test_targets_with_a_history_are_those_of_its_newest_entry(name: str) -> None:
    newest = read_history(ROOT / HISTORY).newest(name)
    assert newest is not None
    now = load_scenario(name, ROOT / "scenarios").targets
    assert {target: now[target] for target in newest.targets} == newest.targets


@pytest.mark.parametrize(("change", "seen"), [({}, 1), ({"evaluation_seed": 511}, 0)])
def test_runs_of_the_same_design_are_seen(
    queue: tuple[Params, Scenario, WrittenTargets],
    change: dict[str, int],
    seen: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params, scenario, _ = queue
    monkeypatch.chdir(tmp_path)
    assert runs_seen(params, scenario) == []
    path = Path("models/queue_conflict/baseline/scratch/runs.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schema_id": "arm-runs/0", "design": design_of(params, scenario).model_dump() | change}))
    assert runs_seen(params, scenario) == [path][:seen]


# --- the scenario file ----------------------------------------------------------------------------------------------------

FILE = """\
# Ünder a comment
expert: {success_rate: 0.90}
targets:  # fixed
  expert_level: {success_rate: 0.9,  return_mean: 1.70, mode: sampled}  # one line
  solved: {success_rate: 1.00}
  beyond_expert:
    # several lines
    return_mean: 2    # why
    measures:
      stl_bp: 6500
    success_rate: 0.90
recipe: {}
"""


def test_only_the_numbers_of_the_written_targets_change_in_a_file() -> None:
    targets = {
        "expert_level": Target(name="expert_level", success_rate=0.99, return_mean=1.7),
        "beyond_expert": Target(name="beyond_expert", success_rate=0.99, return_mean=-12.5, measures={"stl_bp": 6900.0}),
    }
    expected = (
        FILE.replace("0.9,  return_mean: 1.70", "0.99,  return_mean: 1.70")
        .replace("return_mean: 2 ", "return_mean: -12.50 ")
        .replace("6500", "6900")
        .replace("    success_rate: 0.90", "    success_rate: 0.99")
    )
    assert with_targets(FILE, targets) == expected


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_file_can_be_written(path: Path) -> None:
    text, scenario = path.read_text(), load_scenario(path.stem, path.parent)
    changed = {name: target.model_copy(update={"success_rate": 0.12}) for name, target in scenario.targets.items()}
    after = with_targets(text, changed)

    assert Scenario.model_validate({"name": path.stem} | YAML(typ="safe", pure=True).load(after)) == scenario.model_copy(
        update={"targets": {name: rounded(target) for name, target in changed.items()}}
    )
    assert len(after.splitlines()) == len(text.splitlines())


def rounded(target: Target) -> Target:
    """As a file has it: rates and returns to 0.01."""
    fields = ("harm_rate", "return_mean")
    return target.model_copy(update={key: None if (old := getattr(target, key)) is None else round(old, 2) for key in fields})


# --- the history ----------------------------------------------------------------------------------------------------------


def entry(**changes: Any) -> WrittenTargets:
    content: dict[str, Any] = {
        "scenario": "walk",
        "written_at": WHEN,
        "git_revision": "a" * 40,
        "policy_sha256": "b" * 64,
        "scenario_sha256": "c" * 64,
        "environment_sha256": "d" * 64,
        "evaluation_seed": 510,
        "evaluation_worlds": 128,
        "expert": SHOWN,
        "targets": {"expert_level": Target(name="expert_level", success_rate=0.97)},
        "after_runs": False,
    }
    return WrittenTargets(**content | changes)


def test_an_entry_is_added_and_the_older_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    first, other, second = entry(), entry(scenario="drive"), entry(policy_sha256="e" * 64)

    assert [add_entry(one, path) for one in (first, other, second)] == [True, True, True]
    assert read_history(path).entries == (first, other, second)
    assert read_history(path).newest("walk") == second
    assert read_history(path).newest("swim") is None


def test_the_same_measurement_is_one_entry(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    add_entry(entry(), path)
    assert not add_entry(entry(written_at="2031-01-01T00:00:00.000Z", git_revision=None, after_runs=True), path)
    assert read_history(path).entries == (entry(),)


def test_targets_that_return_to_an_older_state_are_an_entry_again(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    for one in (entry(), entry(evaluation_seed=511)):
        add_entry(one, path)
    assert add_entry(entry(), path)
    assert len(read_history(path).entries) == 3
