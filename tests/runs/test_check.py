"""What is found wrong with a scenario before anything is trained on it, each fault planted in a toy environment."""

from pathlib import Path
from typing import Any

import pytest
from tests.one_process import PoolHere

from headstart.config.params import Params, changed, load_params
from headstart.config.scenario import Scenario
from headstart.core.errors import GateFailed, HeadstartError, InputError, MissingExtra
from headstart.core.statistics import wilson_lower
from headstart.runs.check import Found, examine, require_possible, require_sound
from headstart.runs.plan import estimates, no_pass

ROOT = Path(__file__).parents[2]
SHOWN = {
    "name": "mine",
    "world": "gym",
    "horizon": 20,
    "success": ["every return >= 1"],
    "harm": ["any terminated > 0"],
    "expert": {"policy": "ppo", "success_rate": 0.8, "harm_rate": 0.2},
    "targets": {"solved": {"success_rate": 0.9}},
}


def scenario(toy: str = "Shown", **changes: Any) -> Scenario:
    setup = {"id": f"tests.worlds.toys:{toy}-v0"} | changes.pop("setup", {})
    return Scenario.model_validate(SHOWN | {"setup": setup} | changes)


def params(**changes: Any) -> Params:
    return changed(load_params(ROOT / "params.yaml"), changes, "test")


def found(of: Scenario, **changes: Any) -> dict[str, Found]:
    return {one.name: one for one in examine(params(**changes), of)}


@pytest.fixture
def second_process() -> None:
    """For a test of what another process sees."""


@pytest.fixture(autouse=True)
def no_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes a second to begin, which other tests do not need."""
    if "second_process" not in request.fixturenames:
        monkeypatch.setattr("headstart.runs.check.ProcessPoolExecutor", PoolHere)


def test_a_sound_environment_has_nothing_to_cure(second_process: None) -> None:
    seen = found(scenario())
    assert {name for name, one in seen.items() if one.cure} == set()
    assert seen["shows"].says == "3 features: observation_0, observation_1, observation_2"
    assert seen["repeats"].says.startswith("1,024 steps again")
    assert seen["process"].says.startswith("1,024 steps in a second process")
    assert seen["ends"].says.startswith("204 of 204 episodes")  # 1,024 steps in episodes of 5
    require_sound(params(), scenario())


def test_a_picture_without_features_can_be_checked() -> None:
    seen = found(scenario("Arcade", horizon=100))
    assert {name for name, one in seen.items() if one.cure} == set()
    assert seen["shows"].says == "a picture of 4 channels, 84 × 84"


@pytest.mark.parametrize(
    ("toy", "says", "cure"),
    [
        ("Drifting", "give another episode: observation_0 after 1 steps", "self.np_random"),
        (
            "Sharing",
            "an episode depends on copies that are played beside it: observation_0 after 5 steps",
            "new one",
        ),
        ("Counting", "an episode depends on those before it: observation_0 after 0 steps", "reset"),
    ],
)
def test_an_environment_that_does_not_repeat_is_refused(toy: str, says: str, cure: str) -> None:
    one = found(scenario(toy))["repeats"]
    assert says in one.says
    assert cure in one.cure
    with pytest.raises(InputError, match=says):
        require_sound(params(), scenario(toy))


def test_a_number_of_info_that_does_not_repeat_is_refused_where_it_is_counted() -> None:
    assert found(scenario("Gambling"))["repeats"].cure == ""
    counted = found(scenario("Gambling", setup={"info": {"cost": "sum"}}))["repeats"]
    assert "the same seed and actions give another episode: reward, end, counter, mask or picture after 1 steps" in counted.says


def test_what_depends_on_the_process_is_found_in_a_second_one(second_process: None) -> None:
    assert "another process plays another episode, from step 0 on" in found(scenario("Salted"))["process"].says


@pytest.mark.parametrize(
    ("of", "message", "code"),
    [
        (scenario(setup={"id": "CartPole-v99"}), "CartPole-v99", 3),
        (scenario(setup={"id": "no_such_module:E-v0"}), "no module 'no_such_module'", 9),
        (scenario(setup={"id": "tests.worlds.toes:Shown-v0"}), "no module 'tests.worlds.toes': expected one that registers", 3),
        (
            scenario(setup={"wraper": []}),
            r"setup.wraper: unknown key \(did you mean 'wrappers'\?\); there are id, kwargs, info, w",
            3,
        ),
        (scenario(setup={"info": ["steps"]}), "return, steps, terminated are counted anyway, got 'steps'", 3),
        (scenario(setup={"kwargs": {"max_episode_steps": 9}}), "max_episode_steps is set already: the scenario's `horizon`", 3),
        (scenario(setup={"wrappers": ["tests.worlds.toys:Missing"]}), "setup.wrappers", 3),
        (scenario(harm=["any crashes > 0"]), "no counter 'crashes'; there are return, steps, terminated", 3),
        (scenario("Faulty", setup={"kwargs": {"fault": "nan"}}), "step 3: expected finite observations, observation_1 is nan", 3),
        (
            scenario("Faulty", setup={"kwargs": {"fault": "crash"}}),
            r"toys:Faulty-v0: \S*toys.py:\d+: ZeroDivisionError: division by zero",
            3,
        ),
        (scenario(variants={"other": {"id": "CartPole-v1"}}), "variants.other: expected what its scenario shows", 3),
    ],
)
def test_what_cannot_be_played_is_named(of: Scenario, message: str, code: int) -> None:
    for function in (lambda: list(examine(params(), of)), lambda: require_sound(params(), of)):
        with pytest.raises(HeadstartError, match=message) as caught:
            function()
        assert caught.value.exit_code == code
        assert isinstance(caught.value, InputError | MissingExtra)


def test_a_key_of_info_that_nobody_tells_is_found_with_those_that_there_are() -> None:
    wrong = {"info": {"cots": "sum"}}
    with pytest.raises(InputError, match=r"no step of 20 episodes told 'cots' \(did you mean 'cost'\?\)"):
        found(scenario("Telling", setup=wrong))
    one = found(scenario("Telling", setup=wrong | {"kwargs": {"length": 500}}, horizon=600))["info"]
    assert "told 'cots' (did you mean 'cost'?)" in one.says
    assert "`cots: {gather: sum, absent: 0}`" in one.cure


def test_features_that_never_change_and_equal_rewards_are_named() -> None:
    seen = found(scenario("Still"))
    assert seen["constant"].says == "1 of 3 features: observation_1"
    assert "set constant_reward: true" in seen["reward"].says
    assert "constant_reward" not in found(scenario("Still", constant_reward=True))["reward"].says


def test_features_that_leave_their_space_are_named_unless_the_scenario_allows_them() -> None:
    setup = {"wrappers": ["tests.worlds.toys:Doubled"]}
    assert (
        "3 features leave their bounds, which `validate` refuses: observation_0 shows -1.99"
        in found(scenario(setup=setup))["range"].says
    )
    assert "range" not in found(scenario(setup=setup, feature_range=[-2, 2]))


def test_episodes_that_only_the_horizon_ends_are_counted() -> None:
    assert found(scenario("Endless"))["ends"].says == "0 of 51 episodes end by themselves, the others at the horizon of 20"
    assert found(scenario("Endless", horizon=5000))["ends"].says.startswith("no episode ends within 1,024 steps")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"validate": {"replay_worlds": 19}}, "validate.replay_worlds 19: 19 episodes can be replayed, the gate wants 20"),
        ({"validate": {"min_episodes": 257}}, r"validate.min_episodes 257: a block has 256 \(capture.worlds\)"),
        ({"validate": {"min_success_rate": 1.0}}, "validate.min_success_rate 1.0: the lower bound of 2560 successes is 0.99"),
        ({"curate": {"min_steps": 21}}, "curate.min_steps 21: an episode has at most 20 steps"),
        (
            {"expert": {"worlds": 10}},
            f"expert.success_rate 0.8: the lower bound of 10 successes in 10 episodes is {wilson_lower(10, 10):.3f}",
        ),
        ({"expert": {"seeds": [0, 1]}}, "expert.min_seeds 3: expert.seeds has 2"),
    ],
)
def test_a_gate_that_the_numbers_cannot_meet_stops_before_training(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(GateFailed, match=says):
        require_possible(params(**changes), scenario())


@pytest.mark.parametrize(
    "changes",
    [{"validate": {"replay_worlds": 20, "min_episodes": 256}}, {"curate": {"min_steps": 20}}, {"expert": {"worlds": 11}}],
)
def test_a_gate_that_can_just_be_met_does_not(changes: dict[str, Any]) -> None:
    require_possible(params(**changes), scenario())


def test_an_expert_is_not_trained_for_a_gate_that_it_cannot_meet() -> None:
    with pytest.raises(GateFailed, match=r"expert\.min_seeds 3"):
        require_sound(params(expert={"seeds": [0, 1]}), scenario())


def test_a_recording_that_a_user_brings_is_not_held_to_what_capture_would_record() -> None:
    brought = {"expert": None, "demonstrations": {"format": "npz", "path": "demonstrations/mine.npz"}}
    require_possible(params(capture={"worlds": 1}, validate={"min_episodes": 20}), scenario(**brought))
    with pytest.raises(GateFailed, match=r"curate\.min_steps 21"):
        require_possible(params(curate={"min_steps": 21}), scenario(**brought))


def test_an_action_without_a_choice_is_refused() -> None:
    from gymnasium.spaces import Discrete

    with pytest.raises(GateFailed, match="the only action is chosen in every step"):
        require_possible(params(), scenario(setup={"kwargs": {"acting": Discrete(1)}}))


def test_what_keeps_a_verdict_from_a_pass_is_said() -> None:
    few = params(seeds=[40, 41, 42], evaluation={"every": 1_000_000})
    says = [one.says for one in no_pass(few, scenario())]
    assert says[0] == "seeds: 3; with fewer than 10 the verdict is no PASS"
    assert says[1] == "arms.scratch: 1 evaluations, a target must be met in 2 in a row"
    assert len(says) == 4
    assert not list(no_pass(params(), scenario()))


def test_the_time_of_training_follows_from_budgets_and_processes() -> None:
    asked = {"processes": 4, "anneal": {"arms": ["pretrained"]}}
    settings = params(**asked)
    of = {one.name: one for one in estimates(settings, scenario())}
    assert list(of) == ["expert", "scratch", "matched", "pretrained"]
    assert (of["expert"].runs, of["scratch"].runs, of["scratch"].env_steps) == (3, 10, 393216)
    fixed = settings.evaluation
    evaluated = ((393216 // fixed.every + 1) * fixed.worlds + 2 * fixed.exam_worlds) * scenario().horizon  # in one mode, and two
    one_run = {name: 393216 / of[name].rate + evaluated / of[name].acting for name in ("expert", "scratch")}
    assert of["expert"].seconds == pytest.approx(one_run["expert"])
    assert of["scratch"].seconds == pytest.approx(3 * one_run["scratch"])  # ten runs on four processes
    assert of["matched"].rate == of["pretrained"].rate  # one kind of PPO, measured once
