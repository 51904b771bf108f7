"""Names are checked once, where scenarios and settings are read: before anything runs or is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.config.params import changed, load_params
from headstart.config.scenario import Scenario, imports_of, load_scenario
from headstart.core.errors import InputError
from headstart.core.yaml import read_yaml

ROOT = Path(__file__).parents[2]
BAD = ("../../x", "/elsewhere/x", "a b", "a.b", "", "Ü", "x" * 65, "a\nb", "\u202eb", "-a")


@pytest.fixture
def scenarios(tmp_path: Path) -> Callable[..., Path]:
    """Writes a scenario file like cartpole with some keys changed; returns its folder."""

    def write(file: str, **changes: Any) -> Path:
        content = read_yaml(ROOT / "scenarios/cartpole.yaml") | changes
        (tmp_path / f"{file}.yaml").write_text(json.dumps(content))
        return tmp_path

    return write


@pytest.mark.parametrize("name", ["My Env", "a.b", "Ü", "x" * 65])
def test_a_scenario_file_without_a_name_that_all_tools_can_spell_is_refused_with_the_cure(scenarios: Any, name: str) -> None:
    with pytest.raises(InputError, match=r"expected a name of 1 to 64 letters .*; rename the file"):
        load_scenario(name, scenarios(name))


@pytest.mark.parametrize("name", ["catalogue", "quarantine", "evaluate"])
def test_a_scenario_has_no_name_of_a_folder_that_all_scenarios_share(scenarios: Any, name: str) -> None:
    with pytest.raises(InputError, match="which are folders of all scenarios; rename the file"):
        load_scenario(name, scenarios(name))


@pytest.mark.parametrize("name", ["Mine", "CartPole-v1", "x" * 64])
def test_a_scenario_may_have_capitals_and_sixty_four_letters(scenarios: Any, name: str) -> None:
    assert load_scenario(name, scenarios(name)).name == name


def test_a_scenario_file_cannot_take_the_name_of_another(scenarios: Any) -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: name: expected 'mine', the name of the file, .* got 'queue_conflict'"):
        load_scenario("mine", scenarios("mine", name="queue_conflict"))
    assert load_scenario("mine", scenarios("mine", name="mine")).name == "mine"


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("key", ["targets", "variants"])
def test_a_target_or_variant_cannot_be_named_so_that_files_land_elsewhere(scenarios: Any, key: str, name: str) -> None:
    content = {name: {"success_rate": 0.5} if key == "targets" else {}}
    with pytest.raises(InputError, match=rf"mine\.yaml: {key}.*expected a name of 1 to 64 letters"):
        load_scenario("mine", scenarios("mine", **{key: content}))


@pytest.mark.parametrize("name", BAD)
def test_arms_scenarios_targets_and_experiments_of_params_are_named_as_files_can_be(name: str) -> None:
    params = load_params(ROOT / "params.yaml")
    arm = params.arms["scratch"].model_dump(mode="json", by_alias=True)
    for changes in (
        {"arms": {name: arm}},
        {"scenarios": [name]},
        {"candidate": name},
        {"baselines": ["scratch", name]},
        {"anneal": {"arms": [name]}},
        {"comparison": {"target": name}},
        {"evidence": {name: {}}},
    ):
        with pytest.raises(InputError, match="expected a name of 1 to 64 letters"):
            changed(params, changes, "params.yaml")


def test_an_arm_may_have_capitals() -> None:
    params = load_params(ROOT / "params.yaml")
    arm = params.arms["scratch"].model_dump(mode="json", by_alias=True)

    assert "Mine-2" in changed(params, {"arms": {"Mine-2": arm}}, "test").arms


@pytest.mark.parametrize(
    "path",
    ["demonstrations/../x.npz", "/x.npz", "demonstrations/a\u202eb.npz", "demonstrations/a\x1b.npz", "demonstrations", "x"],
)
def test_a_recording_lies_in_its_folder_under_a_name_that_can_be_seen(scenarios: Any, path: str) -> None:
    content = read_yaml(ROOT / "scenarios/cartpole.yaml")
    del content["expert"]
    folder = scenarios("mine", demonstrations={"format": "npz", "path": path})
    (folder / "mine.yaml").write_text(json.dumps(content | {"demonstrations": {"format": "npz", "path": path}}))

    with pytest.raises(InputError, match=r"demonstrations\.path: .*expected a path"):
        load_scenario("mine", folder)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"expert": {"worlds": 10**13}}, "expert.worlds"),
        ({"expert": {"worlds": -3}}, "expert.worlds"),
        ({"expert": {"worlds": 0}}, "expert.worlds"),
        ({"seeds": [10**30]}, "seeds.0"),
        ({"capture": {"seed": 10**30}}, "capture.seed"),
        ({"network": {"hidden": [10**9]}}, "network.hidden.0"),
        ({"network": {"hidden": [8] * 1000}}, "network.hidden"),
        ({"network": {"hidden": [0]}}, "network.hidden.0"),
        ({"bc_train": {"epochs": 10**30}}, "bc_train.epochs"),
        ({"evaluation": {"every": 10**30}}, "evaluation.every"),
        ({"promotion": {"drill_days": 10**12}}, "promotion.drill_days"),
        ({"processes": 10**9}, "processes"),
    ],
)
def test_a_number_beyond_all_use_is_refused_with_its_key(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=rf"params\.yaml: {place}: .*(less|greater|at most)"):
        changed(load_params(ROOT / "params.yaml"), changes, "params.yaml")


def test_of_many_problems_the_first_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("".join(f"key{n}: 1\n" for n in range(12_000)))  # 150 KB

    with pytest.raises(InputError, match=r"and 1[0-9]{4} more$") as refused:
        load_params(tmp_path / "params.yaml")
    assert len(str(refused.value)) < 2000


def test_code_that_a_scenario_imports_is_named() -> None:
    cartpole = load_scenario("cartpole", ROOT / "scenarios")
    setup = {"id": "mine:Env-v0", "wrappers": ["a.b:Wrapper", {"c:Other": {"x": 1}}]}
    own = {"policy": "callable", "call": "experts.mine:act", "success_rate": 0.5, "harm_rate": 0.5}
    zipped = {
        "policy": "sb3",
        "path": "experts/x.zip",
        "algorithm": "PPO",
        "trusted": True,
        "success_rate": 0.5,
        "harm_rate": 0.5,
    }

    def with_(**changes: Any) -> Scenario:
        return Scenario.model_validate(cartpole.model_dump() | changes)

    assert imports_of(with_(setup=setup, expert=own)) == ("mine:Env-v0", "a.b:Wrapper", "c:Other", "experts.mine:act")
    assert imports_of(with_(setup={"id": "x"}, expert=zipped)) == ("x", "experts/x.zip (pickled)")
    assert imports_of(load_scenario("queue_conflict", ROOT / "scenarios")) == ()
