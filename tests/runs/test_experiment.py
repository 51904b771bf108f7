"""The command of an experiment, and when a record counts as today's."""

import json
import shlex
from pathlib import Path

import pytest
from tests.arms import arm_runs, clones_of
from tests.experiments import experiment_record

from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.params import Params, load_params, of_experiment
from headstart.config.scenario import Target
from headstart.core.errors import InputError, UsageError
from headstart.core.files import write_record
from headstart.runs.experiment import ExperimentRecord, experiment_command, fingerprint, record_path, recorded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(ROOT)
    return load_params()


def with_(params: Params, **changes: object) -> Params:
    return params.model_copy(update=changes)


def test_an_experiment_is_what_a_person_would_type() -> None:
    changes = {"seeds": [10, 11], "candidate": "no_bc", "anneal": {"arms": ["no_bc"]}, "capture": {"worlds": 64, "noise": 0.4}}
    assert shlex.join(experiment_command("fresh", "0123456789", changes)) == (
        "dvc exp run --temp --name evidence-fresh-0123456 -S '++seeds=[10,11]' -S ++candidate=no_bc "
        "-S '++anneal.arms=[no_bc]' -S ++capture.worlds=64 -S ++capture.noise=0.4"
    )


def experiment() -> ExperimentRecord:
    candidate, scratch = arm_runs("pretrained", [1] * 10), arm_runs("scratch", [9] * 10)
    target = Target(name="reliable", success_rate=0.9)
    found = compare(candidate, [scratch], clones_of(candidate), target, ComparisonLimits(resamples=20))
    return experiment_record(found, "no_bc")


def test_a_record_of_several_clones_and_targets_comes_back_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = experiment()
    write_record(record_path("no_bc"), made)

    assert recorded("no_bc") == made
    assert recorded("no_kl") is None


@pytest.mark.parametrize("name", ["", "spa ce", "é", "a/b", "-x"])
def test_a_name_that_no_file_can_have_is_refused_before_anything_runs(params: Params, name: str) -> None:
    with pytest.raises(InputError, match="expected a name of letters, digits"):
        fingerprint(params, name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"name": "no_kl"}, "expected a comparison of no_bc on some seeds"),
        ({"comparisons": {}}, "got one that is not whole"),
        ({"seeds": []}, "got one that is not whole"),
        ({"commit": 7}, "commit"),
    ],
)
def test_a_damaged_record_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: dict[str, object], message: str
) -> None:
    content = experiment().model_dump(mode="json") | damage
    (tmp_path / "reports/evidence").mkdir(parents=True)
    (tmp_path / "reports/evidence/no_bc.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as raised:
        recorded("no_bc")
    assert "`git checkout reports/evidence/no_bc.json`" in str(raised.value)


def test_every_experiment_of_params_yaml_is_one_that_can_be_run(params: Params) -> None:
    assert params.evidence
    for name in params.evidence:
        changed = of_experiment(params, name)
        assert changed.candidate in changed.anneal.arms
        fingerprint(params, name)


def test_an_unknown_experiment_is_named_with_its_neighbour(params: Params) -> None:
    with pytest.raises(UsageError, match=r"no experiment .queue_conflit. \(did you mean .queue_conflict."):
        of_experiment(params, "queue_conflit")


def test_an_experiment_is_about_one_scenario(params: Params) -> None:
    two = with_(params, evidence={"two": {"scenarios": ["queue_conflict", "rivalry_decay"]}})
    with pytest.raises(InputError, match=r"evidence\.two: expected one scenario, got queue_conflict, rivalry_decay"):
        of_experiment(two, "two")


def test_settings_are_those_of_the_arms_that_are_compared(params: Params) -> None:
    one = with_(params, evidence={"one": {}})
    before = fingerprint(one, "one")
    other_arm = params.arms | {"quick": params.arms["kickstart"]}
    tuning = params.tuning.model_copy(update={"seeds": (77,)})  # which `evidence` does not run
    assert fingerprint(with_(one, processes=7, arms=other_arm, tuning=tuning), "one") == before
    assert fingerprint(with_(one, seeds=(1, 2)), "one") != before
    for arm in ("scratch", "matched", "pretrained"):
        other = params.arms[arm].model_copy(update={"accept_loosened": "why"})
        assert fingerprint(with_(one, arms=params.arms | {arm: other}), "one") != before
    assert fingerprint(with_(one, baselines=("scratch",)), "one") != before
