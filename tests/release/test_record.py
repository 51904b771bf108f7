"""A verdict is recorded only if files, settings and every number of its comparison are what they should be."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.released import Project

from headstart.compare.findings import ComparisonLimits
from headstart.config.params import for_scenario
from headstart.config.scenario import load_scenario
from headstart.config.settings import TOP, resolved
from headstart.core.errors import Hold, InputError, IntegrityError
from headstart.core.strict_json import pretty_json
from headstart.release.record import LOOSER_IF_LESS, LOOSER_IF_MORE, differences, record_verdict


def test_a_verdict_on_a_tree_with_changes_is_not_written(project: Project) -> None:
    (project.root / "dvc.yaml").write_text((project.root / "dvc.yaml").read_text() + "# edited\n")

    with pytest.raises(Hold, match=r"changed: dvc\.yaml"):
        record_verdict(project.root, "walk", "Ada")

    assert not (project.root / "governance").exists()


def test_a_verdict_on_code_that_did_not_train_the_arm_is_refused(project: Project) -> None:
    compiled = project.root / "src/learner/__pycache__/rule.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")
    (project.root / "src/learner/rule.py").write_text("learn = False\n")
    project.commit()
    with pytest.raises(IntegrityError, match=r"src/learner: expected MD5 \w+\.dir, with which anneal_walk-pretrained ran"):
        project.record()

    (project.root / "src/learner/rule.py").write_text("learn = True\n")
    project.commit()
    project.record()  # what Python compiled on the way is no code


def test_a_small_number_is_the_same_in_params_and_in_the_lock_of_dvc(project: Project) -> None:
    params = project.root / "params.yaml"
    content = yaml.safe_load(params.read_text())
    content["arms"]["pretrained"]["phases"][0]["learning_rate"] = 0.00005
    params.write_text(yaml.safe_dump(content).replace("5.0e-05", "0.00005"))
    project.dvc_commit()
    project.commit()
    assert "5e-05" in (project.root / "dvc.lock").read_text()
    line, _ = project.record()
    assert line.record.kind == "verdict"


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("params.yaml", lambda content: content["arms"]["pretrained"].update(value_start="fresh"), "arms.pretrained"),
        ("scenarios/walk.yaml", lambda content: content.update(horizon=11), "scenario.task"),
        ("scenarios/walk.yaml", lambda content: content.update(recipe={"network": {"hidden": [8]}}), "network"),
        ("params.yaml", lambda content: content["curate"].update(seed=7), None),  # no setting of this stage
    ],
)
def test_settings_that_the_stage_settings_has_not_read_yet_are_found(
    project: Project, file: str, change: Callable[[dict[str, Any]], None], words: str | None
) -> None:
    scenario = load_scenario("walk", project.root / "scenarios")
    settings = project.root / "data/walk/settings.json"
    settings.write_bytes(pretty_json({TOP: resolved(for_scenario(project.params(), scenario), scenario)}))
    pipeline = yaml.safe_load((project.root / "dvc.yaml").read_text())
    keys = [f"{TOP}.{key}" for key in ("arms.pretrained", "network", "seeds", "scenario.task")]
    for stage in pipeline["stages"].values():
        stage["deps"] = [dep for dep in stage["deps"] if dep != "scenarios/walk.yaml"]
    pipeline["stages"]["anneal_walk-pretrained"]["params"] = [{"data/walk/settings.json": keys}]
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    project.dvc_commit()
    content = yaml.safe_load((project.root / file).read_text())
    change(content)
    (project.root / file).write_text(yaml.safe_dump(content))
    project.commit()

    if words is None:
        project.record()
        return
    with pytest.raises(
        IntegrityError,
        match=rf"params\.yaml, scenarios/walk\.yaml: expected {words} as anneal_walk-pretrained ran with it, found another",
    ):
        project.record()


def _stricter(params: dict[str, Any]) -> None:
    params["comparison"]["max_ratio"] = 0.1


def _another_baseline(params: dict[str, Any]) -> None:
    params["baselines"] = ["scratch", "matched"]
    params["arms"]["matched"]["phases"][0]["env_steps"] *= 2


@pytest.mark.parametrize("in_lock", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            _stricter,
            r"expected limits\.max_ratio 0\.1, as params\.yaml and the runs give it, found 0\.7; `dvc repro evaluate@walk`",
        ),
        (_another_baseline, "expected the candidate pretrained against scratch, matched, as params.yaml has them, found runs of"),
    ],
)
def test_a_comparison_by_other_rules_than_those_of_params_is_refused(
    project: Project, change: Callable[[dict[str, Any]], None], words: str, in_lock: bool
) -> None:
    project.set_params(change)
    if in_lock:
        project.dvc_commit()  # what `dvc commit --force` does: dvc.lock says that evaluate ran with them
    project.commit()

    with pytest.raises(IntegrityError, match=rf"^reports/evaluate/walk/beyond\.json: {words}"):
        project.record()
    assert not (project.root / "governance").exists()


@pytest.mark.parametrize(
    "where",
    [
        ("grid", 0, "online", "upper"),
        ("grid", 0, "baseline", "passages", 3, "after"),
        ("candidate", "exams", "sampled", "success"),
        ("candidate", "curves", "return", "high", 5),
        ("final", "expert", "return", "mean"),
        ("beyond", "planned_power", "share"),
        ("verdict", "checks", -1, "measured"),
    ],
    ids=str,
)
def test_a_number_that_the_runs_do_not_give_is_refused(project: Project, where: tuple[str | int, ...]) -> None:
    path = project.root / "reports/evaluate/walk/beyond.json"
    content = json.loads(path.read_text())
    assert content["verdict"]["checks"][-1]["name"].startswith("shift-")
    part = content
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] += 1 if isinstance(part[where[-1]], int) else 1e-6
    path.write_bytes(pretty_json(content))
    project.dvc_commit()
    project.commit()

    named = "".join(f"[{key % len(content['verdict']['checks'])}]" if isinstance(key, int) else f".{key}" for key in where)
    # where a check rests on the number alone, the file is not even read
    with pytest.raises(
        (IntegrityError, InputError), match=f"{re.escape(f'expected {named[1:]} ')}|as the findings give it, got "
    ):
        project.record()


def test_a_comparison_of_another_processor_is_the_same() -> None:
    """Floats may differ in their last bits; nothing else may differ at all."""
    one = {"mean": 0.1 + 0.2, "runs": [1, 2], "text": "a", "median": None}

    assert list(differences(one, one | {"mean": 0.3})) == []
    assert list(differences(one, one | {"mean": 0.3000001})) == [("mean", 0.1 + 0.2, 0.3000001)]
    assert list(differences(one, one | {"runs": [1, 2, 3]})) == [("runs[2]", None, 3)]
    assert list(differences(one, one | {"text": "b", "median": 1.0})) == [("text", "a", "b"), ("median", None, 1.0)]
    assert list(differences(one, {"mean": one["mean"], "runs": [1, 2], "text": "a"} | {"more": {"x": 1}})) == [
        ("more", None, {"x": 1})
    ]


def test_a_loosened_rule_does_not_count(project: Project) -> None:
    project.set_params(lambda params: params["comparison"].update(max_ratio=3.0, max_harm_rise=0.5))
    project.compare()
    project.dvc_commit()
    project.commit()

    _, standing = record_verdict(project.root, "walk", "Ada")

    assert "check of its schedule: max_ratio, max_harm_rise" in standing.note
    assert standing.pass_streak == 0


def test_passes_under_stricter_rules_add_up_because_they_are_passes_under_the_default(project: Project) -> None:
    project.record()
    project.set_params(lambda params: params["comparison"].update(max_ratio=0.6))
    project.train(range(10, 20))
    project.commit()

    assert project.record()[1].pass_streak == 2
    decides_nothing = {"planned_ratio", "planned_log_sd", "resamples"}
    assert {*LOOSER_IF_MORE, *LOOSER_IF_LESS} == ComparisonLimits.model_fields.keys() - decides_nothing


def test_a_verdict_without_distribution_shift_does_not_count(project: Project) -> None:
    project.compare(shift=False)
    project.dvc_commit()
    project.commit()

    line, standing = record_verdict(project.root, "walk", "Ada")

    assert line.record.outcome == "PASS"  # type: ignore[union-attr]
    assert (standing.pass_streak, "looser than the default" in standing.note) == (0, True)
    assert "variant_worlds" in standing.note


def test_a_schedule_that_its_check_holds_does_not_count(project: Project) -> None:
    project.set_params(lambda params: params["arms"]["pretrained"]["phases"][-1].update(bc_weight=0.5))
    project.dvc_commit()
    project.commit()

    _, standing = record_verdict(project.root, "walk", "Ada")

    assert "held by the check of its schedule: arms.pretrained.phases.tune.bc_weight" in standing.note
    assert standing.pass_streak == 0


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("reports/evaluate/walk/beyond.json", "expected a file, found none; `dvc repro evaluate@walk` makes it"),
        ("models/walk/baseline/scratch/runs.json", "expected a readable file"),
        ("data/walk/validated.json", "expected a readable file"),
    ],
)
def test_a_verdict_without_its_files_is_refused(project: Project, missing: str, words: str) -> None:
    (project.root / missing).unlink()

    with pytest.raises(InputError, match=words):
        record_verdict(project.root, "walk", "Ada")
