"""params.yaml and scenario files: what is refused, and in which words."""

import re
from pathlib import Path

import pytest
import yaml

import headstart
from headstart.config.params import for_scenario, headline_target, load_params
from headstart.config.scenario import Scenario, load_scenario, modes_of, variant_of
from headstart.config.schedule import Ramp
from headstart.core.errors import InputError, UsageError
from headstart.core.yaml import read_yaml

ROOT = Path(__file__).parents[2]


def changed(tmp_path: Path, **sections: object) -> Path:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in sections.items():
        content[name] = content[name] | value if isinstance(value, dict) else value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_files_are_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert len(params.seeds) == 10
    for path in (ROOT / "scenarios").glob("*.yaml"):
        assert load_scenario(path.stem, ROOT / "scenarios").name == path.stem


def test_an_unknown_key_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown key 'bc_train\.epoch' \(did you mean 'epochs'\?\)"):
        load_params(changed(tmp_path, bc_train={"epoch": 3}))


def test_a_value_out_of_range_is_named_with_what_came(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bc_train\.learning_rate: .*less than or equal to 1, got 7"):
        load_params(changed(tmp_path, bc_train={"learning_rate": 7}))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("capture", "worlds", 10**13), ("capture", "worlds", 0), ("expert", "seed", 10**30), ("expert", "seed", -1)],
)
def test_worlds_and_seeds_that_no_machine_can_play_are_refused(tmp_path: Path, section: str, key: str, value: int) -> None:
    with pytest.raises(InputError, match=rf"{section}\.{key}: .*got {value}"):
        load_params(changed(tmp_path, **{section: {key: value}}))


def test_true_is_no_seed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seeds\.0: .*valid integer, got True"):
        load_params(changed(tmp_path, seeds=[True]))


def test_a_project_of_another_version_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    load_params(changed(tmp_path, headstart=headstart.__version__))
    with pytest.raises(
        InputError,
        match=rf"expected the version that runs, {headstart.__version__}, got 0\.0\.1; `pip install headstart==0\.0\.1`",
    ):
        load_params(changed(tmp_path, headstart="0.0.1"))


def test_an_arm_that_nobody_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="arm 'magic' is named but not described"):
        load_params(changed(tmp_path, candidate="magic"))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"seeds": [1, 1]}, r"seeds: \[1, 1\] contains an entry twice"),
        ({"expert": {"seeds": [4, 3, 4]}}, r"expert\.seeds: \[4, 3, 4\] contains an entry twice"),
        ({"baselines": ["scratch", "scratch"]}, r"baselines: \['scratch', 'scratch'\] contains an entry twice"),
    ],
)
def test_what_is_named_twice_is_refused(tmp_path: Path, sections: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_params(changed(tmp_path, **sections))


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        (["matched"], "baselines: expected scratch among them, got matched"),
        ([], "baselines: expected scratch among them, got none"),
        (["scratch", "quick"], "baselines: expected arms with start: random, quick has start: bc"),
        (["scratch", "magic"], "arm 'magic' is named but not described"),
    ],
)
def test_a_baseline_that_is_no_baseline_is_refused(tmp_path: Path, baselines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_params(changed(tmp_path, baselines=baselines))


@pytest.mark.parametrize(
    ("clones", "of_seed"),
    [(None, [0, 1, 2, 3]), (1, [0, 0, 0, 0]), (3, [0, 1, 2, 0]), (9, [0, 1, 2, 3])],  # no more clones than seeds
)
def test_seeds_take_turns_at_the_clones(tmp_path: Path, clones: int | None, of_seed: list[int]) -> None:
    params = load_params(changed(tmp_path, seeds=[7, 5, 9, 0], bc_train={"clones": clones}))

    assert [params.clone_of(seed) for seed in (7, 5, 9, 0)] == of_seed
    assert params.num_clones == len(set(of_seed))


def test_clones_without_a_block_of_their_own_are_refused(tmp_path: Path) -> None:
    few: dict[str, object] = {"seeds": [1, 2, 3], "capture": {"blocks": 2}}
    with pytest.raises(InputError, match=r"capture\.blocks: expected a block for each of 3 clones, got 2"):
        load_params(changed(tmp_path, **few))

    assert load_params(changed(tmp_path, **few, bc_train={"clones": 2})).num_clones == 2


def test_a_learned_expert_shares_no_seed_with_the_comparison(tmp_path: Path) -> None:
    params = load_params(changed(tmp_path, seeds=[1, 2, 3, 4], expert={"seeds": [3, 5, 1]}))
    learned = load_scenario("nav_mixed", ROOT / "scenarios").model_copy(update={"recipe": {}})
    scripted = load_scenario("queue_conflict", ROOT / "scenarios")

    with pytest.raises(InputError, match=r"expert\.seeds: expected other seeds than those of .*both have \[1, 3\]"):
        for_scenario(params, learned)
    assert for_scenario(params, scripted).expert.seeds == (3, 5, 1)  # a script has no seeds
    own_seeds = learned.model_copy(update={"recipe": {"expert": {"seeds": [100]}}})
    assert for_scenario(params, own_seeds).expert.seeds == (100,)


def test_arms_that_would_be_the_same_runs_are_refused_before_they_train(tmp_path: Path) -> None:
    """The names of phases do not change the weights."""
    params, scenario = load_params(ROOT / "params.yaml"), load_scenario("queue_conflict", ROOT / "scenarios")
    scratch = params.arms["scratch"]
    renamed = scratch.model_copy(update={"phases": tuple(p.model_copy(update={"name": f"x-{p.name}"}) for p in scratch.phases)})
    other = scratch.model_copy(update={"ppo": scratch.ppo.model_copy(update={"gamma": 0.5})})
    arms = params.arms | {"twin": renamed, "other": other}

    for names in ({"baselines": ("scratch", "twin")}, {"candidate": "twin"}):
        with pytest.raises(
            InputError, match=r"queue_conflict: expected arms that train differently, arms\.scratch and arms\.twin have"
        ):
            for_scenario(params.model_copy(update={"arms": arms} | names), scenario)
    for names in ({"baselines": ("scratch", "other")}, {"candidate": "scratch"}):
        for_scenario(params.model_copy(update={"arms": arms} | names), scenario)


def test_a_target_that_the_scenario_does_not_have_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    params = load_params(changed(tmp_path, comparison={"target": "expert_levl"}))
    with pytest.raises(
        InputError,
        match=r"comparison\.target: expected a target of queue_conflict \(expert_level, beyond_expert\) or beyond_expert, got 'expert_levl' "
        r"\(did you mean 'expert_level'\?\)",
    ):
        for_scenario(params, load_scenario("queue_conflict", ROOT / "scenarios"))


@pytest.mark.parametrize(
    ("scenario", "target", "headline"),
    [
        ("queue_conflict", "beyond_expert", "beyond_expert"),
        ("queue_conflict", "expert_level", "expert_level"),
        ("nav_crossing", "beyond_expert", "beyond"),  # the last one, where there is none of the usual name
        ("nav_crossing", "beyond", "beyond"),
    ],
)
def test_the_usual_target_stands_for_the_last_one_of_a_scenario_that_has_none(
    tmp_path: Path, scenario: str, target: str, headline: str
) -> None:
    params = load_params(changed(tmp_path, comparison={"target": target}))
    assert headline_target(params, load_scenario(scenario, ROOT / "scenarios")) == headline


def test_an_unknown_scenario_lists_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no scenario 'queue_conflit' \(did you mean 'queue_conflict'\?\)"):
        load_scenario("queue_conflit", ROOT / "scenarios")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", 'found duplicate key "a"'),
        ("a: &x 1\nb: *x\n", "aliases are not allowed"),
        ("a: !!python/object:os.system {}\n", "line 1: tags are not allowed"),
        ("a: !!bool x\n", "line 1: tags are not allowed"),
        ("a: !!float 1\n", "line 1: tags are not allowed"),
        ("%YAML 1.3\n---\na: yes\n", "not readable as YAML|expected YAML 1.2"),
        ('a: "\\U99999999"\n', "not readable as YAML"),
        ("%YAML 1.1\n---\na: yes\n", "expected YAML 1.2, got 1.1"),
        ("- 1\n", "expected keys and values at the top, got list"),
        ("a: [1\n", "not readable as YAML"),
        ("1: a\n", "expected text as key, got 1"),
        ("a: " + "[" * 100_000 + "\n", "line 1: expected nesting at most 32 deep"),
        ("a: [" + "1, " * 60_000 + "]\n", "expected at most 50000 keys and values, got more"),
        ("a: &x [*x]\n", "aliases are not allowed"),
        ("#" * (1 << 21), "expected at most 1048576 bytes"),
    ],
)
def test_yaml_that_says_something_else_than_it_seems_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_yaml(tmp_path / "x.yaml")


def test_a_number_that_python_cannot_write_is_refused_in_words(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"^seeds: .*$", f"seeds: [0x{'f' * 5000}]", text, flags=re.MULTILINE))
    with pytest.raises(InputError, match=r"seeds\.0: .*got a number of too many digits"):
        load_params(tmp_path / "params.yaml")


def test_words_and_numbers_are_those_of_yaml_1_2_as_dvc_writes_them(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("small: 1e-05\nrate: 1e-3\ncountry: NO\nclock: 10:20:30\n")
    assert read_yaml(tmp_path / "x.yaml") == {"small": 1e-05, "rate": 1e-3, "country": "NO", "clock": "10:20:30"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml: expected a file, found none"):
        read_yaml(tmp_path / "nothing.yaml")


def test_a_number_is_a_ramp_that_stays() -> None:
    assert Ramp.model_validate(0.5) == Ramp.model_validate({"from": 0.5, "to": 0.5})


def test_targets_and_gates_do_not_change_what_a_scenario_is() -> None:
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    assert scenario.model_copy(update={"min_action_share": {}}).sha256 == scenario.sha256
    assert load_scenario("queue_conflict", ROOT / "scenarios").model_copy(update={"horizon": 5}).sha256 != scenario.sha256


def test_a_variant_says_some_keys_of_the_setup_otherwise_and_is_another_world() -> None:
    scenario = load_scenario("employment_punctuality", ROOT / "scenarios")
    assert scenario.sha256  # cached before: the variant must not inherit it

    hungry = variant_of(scenario, "hungry")

    assert hungry.setup == scenario.setup | {"decay": {"hunger": 36}}
    assert variant_of(scenario, "early").setup["shift"] == scenario.setup["shift"] | {"first": 20}
    assert (hungry.success, hungry.harm, hungry.horizon) == (scenario.success, scenario.harm, scenario.horizon)
    assert hungry.name == "employment_punctuality.hungry"
    assert hungry.sha256 != scenario.sha256


def test_variants_do_not_change_what_the_scenario_itself_is() -> None:
    scenario = load_scenario("nav_mixed", ROOT / "scenarios")

    assert Scenario.model_validate(scenario.model_dump() | {"variants": {}}).sha256 == scenario.sha256


def test_policies_are_evaluated_as_guardrails_and_targets_ask() -> None:
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    likeliest = scenario.targets["expert_level"].model_copy(update={"mode": "deterministic"})

    assert modes_of(scenario) == ("sampled",)
    assert modes_of(scenario.model_copy(update={"targets": {"expert_level": likeliest}})) == ("sampled", "deterministic")


def test_a_target_may_not_take_the_name_of_the_report_on_shift(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "scenarios/nav_crossing.yaml").read_text())
    content["targets"]["shift"] = {"success_rate": 0.5}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(content))

    with pytest.raises(InputError, match=r"targets\.shift: this name is reserved"):
        load_scenario("x", tmp_path)


@pytest.mark.parametrize(
    ("world", "said", "wanted"), [("gym", None, True), ("gym", False, False), ("town", None, False), ("nav", True, True)]
)
def test_features_are_normalised_in_gymnasium_worlds_unless_the_recipe_says_otherwise(
    world: str, said: bool | None, wanted: bool
) -> None:
    recipe = {} if said is None else {"network": {"normalise": said}}
    scenario = load_scenario("queue_conflict", ROOT / "scenarios").model_copy(update={"world": world, "recipe": recipe})
    assert for_scenario(load_params(ROOT / "params.yaml"), scenario).network.normalise is wanted


def test_town_and_nav_keep_their_own_range_of_features() -> None:
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    assert scenario.feature_limits == scenario.model_copy(update={"world": "nav"}).feature_limits == (-2.0, 2.0)
    assert scenario.model_copy(update={"world": "gym"}).feature_limits == (-float("inf"), float("inf"))
    assert load_scenario("nav_mixed", ROOT / "scenarios").feature_limits == (-4.0, 4.0)
