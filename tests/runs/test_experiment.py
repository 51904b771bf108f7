"""The command of an experiment, and when a record counts as today's."""

import json
import shlex
from pathlib import Path

import pytest
from tests.runs.test_clone_gate import clone
from tests.scores import score
from tests.shifts import arm_with
from tests.stages.test_capture import approve

from headstart.compare.arm_runs import CurvePoint
from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.params import Params, load_params, of_experiment
from headstart.config.scenario import Target, load_scenario
from headstart.core.errors import InputError, UsageError
from headstart.core.files import read_record, write_record
from headstart.runs.experiment import ExperimentRecord, Machine, experiment_command, fingerprint, recorded
from headstart.runs.expert import expert_folder
from headstart.runs.expert_record import ExpertPolicy

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


@pytest.mark.parametrize("name", ["", "spa ce", "é", "a/b", "-x"])
def test_a_name_that_no_file_can_have_is_refused_before_anything_runs(params: Params, name: str) -> None:
    with pytest.raises(InputError, match="expected a name of letters, digits"):
        fingerprint(params, name)


def whole(root: Path) -> dict[str, object]:
    """A record of `no_bc`, written below `root`, as JSON: one arm of one seed, by itself."""
    scenario = load_scenario("queue_conflict", ROOT / "scenarios")
    approve(scenario, root)
    arm = arm_with("scratch", lambda seed: None, [3], start="random")
    curve = tuple(CurvePoint(env_steps=steps, scores={"sampled": score(success)}) for steps, success in ((0, 10), (100, 95)))
    arm = arm.model_copy(update={"runs": (arm.runs[0].model_copy(update={"curve": curve}),)})
    limits = ComparisonLimits(**load_params(ROOT / "params.yaml").comparison.model_dump(exclude={"target"}))
    record = ExperimentRecord(
        name="no_bc",
        scenario=scenario.name,
        seeds=(3,),
        command="dvc exp run",
        commit="c" * 40,
        machine=Machine(processor="x", cores=2, python="3.11.2", torch="2.13.0"),
        finished_at="2026-01-02T03:04:05.000Z",
        code_sha256="a" * 64,
        settings_sha256="b" * 64,
        expert=read_record(root / expert_folder(scenario) / "expert.json", ExpertPolicy),
        clones={3: clone()},
        headline="good",
        comparisons={"good": compare(arm, [arm], None, Target(name="good", success_rate=0.9), limits)},
    )
    write_record(root / "reports/evidence/no_bc.json", record)
    return dict(json.loads((root / "reports/evidence/no_bc.json").read_text()))


def test_a_record_that_is_whole_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = whole(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = recorded("no_bc")
    assert found is not None and found.model_dump(mode="json", by_alias=True) == content


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
    content = whole(tmp_path) | damage
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
    assert fingerprint(with_(one, processes=7, arms=other_arm), "one") == before
    assert fingerprint(with_(one, seeds=(1, 2)), "one") != before
    assert fingerprint(with_(one, baselines=("scratch",)), "one") != before
    assert fingerprint(with_(one, arms=params.arms | {"scratch": params.arms["matched"]}), "one") != before
