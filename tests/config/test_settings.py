"""The settings that DVC compares: all keys are there, in their order where it counts, and a part of them holds nothing else."""

import json
from pathlib import Path

import pytest

from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario, variant_of
from headstart.config.settings import only, resolved, value_at

ROOT = Path(__file__).parents[2]


def settings(name: str) -> tuple[Params, Scenario]:
    scenario = load_scenario(name, ROOT / "scenarios")
    return for_scenario(load_params(ROOT / "params.yaml"), scenario), scenario


def test_every_key_is_there_as_json_with_the_recipe_and_without_arms_that_are_not_trained() -> None:
    params, scenario = settings("nav_mixed")
    found = resolved(params, scenario)
    assert json.loads(json.dumps(found)) == found
    assert sorted(found["arms"]) == ["matched", "pretrained", "scratch"]
    assert (found["network"]["normalise"], load_params(ROOT / "params.yaml").network.normalise) == (
        params.network.normalise,
        None,
    )
    assert (found["expert"]["per_block"], load_params(ROOT / "params.yaml").expert.per_block) == (True, False)
    assert found["curate"]["min_return"] is None
    assert found["scenario"]["demonstrations"] is None
    assert "recipe" not in found["scenario"]
    assert list(found["scenario"]["task"]) == ["name", "world", "horizon", "setup", "success", "harm"]
    assert value_at(found, "arms.scratch.start") == "random"
    assert value_at(found, "arms.none.start") is None


def test_the_order_of_targets_and_variants_is_a_setting() -> None:
    params, scenario = settings("nav_mixed")
    turned = scenario.model_copy(update={"targets": dict(reversed(scenario.targets.items()))})
    assert len(scenario.targets) > 1
    assert resolved(params, turned) != resolved(params, scenario)
    one, other = ({"a": {"x": 1}, "b": {"x": 2}}, {"b": {"x": 2}, "a": {"x": 1}})
    ordered = [resolved(params, scenario.model_copy(update={"variants": of})) for of in (one, other)]
    assert ordered[0] != ordered[1]


def test_an_edit_of_one_arm_changes_that_key_alone() -> None:
    params, scenario = settings("queue_conflict")
    edited = changed(params, {"arms": {"pretrained": {"ppo": {"num_epochs": 3}}}}, "test")
    before, after = resolved(params, scenario), resolved(edited, scenario)
    assert [key for key in before if before[key] != after[key]] == ["arms"]
    assert [arm for arm in before["arms"] if before["arms"][arm] != after["arms"][arm]] == ["pretrained"]
    untrained = changed(params, {"arms": {"quick": {"ppo": {"num_epochs": 3}}}}, "test")
    assert resolved(untrained, scenario) == before


def test_a_part_holds_what_is_named_and_nothing_else() -> None:
    params, scenario = settings("queue_conflict")
    hashed = scenario.sha256  # kept by the scenario; a part without the task must not have it
    ours, theirs = only(params, scenario, ["validate", "capture.observation", "arms.scratch", "scenario.expert.script"])
    assert ours.validate_ == params.validate_
    assert (ours.capture.observation, list(ours.arms), ours.processes) == ("compact", ["scratch"], 0)
    assert (theirs.name, theirs.expert.script) == ("queue_conflict", None)
    for read in (
        lambda: ours.capture.worlds,
        lambda: ours.bc_train,
        lambda: ours.num_clones,
        lambda: theirs.world,
        lambda: theirs.expert.policy,
        lambda: theirs.sha256,
    ):
        with pytest.raises(AttributeError):
            read()
    assert params.capture.worlds == 256  # the whole is as it was

    _, theirs = only(params, scenario, ["scenario.task", "scenario.variants"])
    assert theirs.sha256 == hashed
    name = next(iter(scenario.variants))
    assert variant_of(theirs, name).sha256 == variant_of(scenario, name).sha256 != hashed


def test_event_files_are_no_setting_of_a_stage_and_what_the_log_holds_is() -> None:
    params, scenario = settings("nav_mixed")
    before = resolved(params, scenario)
    boarded = changed(params, {"telemetry": {"tensorboard": True}}, "test")
    assert resolved(boarded, scenario) == before
    assert resolved(changed(params, {"telemetry": {"minibatch": True}}, "test"), scenario) != before
    part, _ = only(boarded, scenario, ["telemetry", "seeds"])
    assert (part.telemetry.tensorboard, part.telemetry.every) == (True, 1)
